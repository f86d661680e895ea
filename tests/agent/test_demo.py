from hypothesis import given
from hypothesis import strategies as st

from agent.demo import _watched, worlds_of
from ingest.simulation.split import TAKEN


def test_what_was_watched_begins_with_the_first_chunk() -> None:
    state = {"chunks": 3, "last_chunk": "1790000008250-1790000012250"}
    assert _watched(state) == (1_790_000_000.25, 1_790_000_012.25)


def test_every_seed_has_two_worlds_of_its_own() -> None:
    seeds = [world.seed for seed in range(-5, 5) for world in worlds_of(seed).values()]
    assert len(set(seeds)) == 20


@given(st.integers() | st.integers(40_000, 210_000))
def test_no_seed_shows_a_world_that_a_model_was_made_with(seed: int) -> None:
    first, second = (world.seed for world in worlds_of(seed).values())
    assert first not in TAKEN
    assert second not in TAKEN
    assert second == first + 1
    if 2 * seed not in TAKEN:
        assert first == 2 * seed


def test_seeds_on_the_edge_of_taken_worlds_stay_on_their_side() -> None:
    edges = (44_999, 199_999, 200_000)
    shown = {seed: worlds_of(seed)["garden"].seed for seed in edges}
    assert shown == {44_999: 89_998, 199_999: 39_998, 200_000: 400_000}
    assert worlds_of(50_000)["garden"].seed == 10_000
