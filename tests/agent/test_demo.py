from agent.demo import _watched, worlds_of


def test_what_was_watched_begins_with_the_first_chunk() -> None:
    state = {"chunks": 3, "last_chunk": "1790000008250-1790000012250"}
    assert _watched(state) == (1_790_000_000.25, 1_790_000_012.25)


def test_every_seed_has_two_worlds_of_its_own() -> None:
    seeds = [world.seed for seed in range(-5, 5) for world in worlds_of(seed).values()]
    assert len(set(seeds)) == 20
