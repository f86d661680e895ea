from collections import defaultdict
from hashlib import sha256
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.simulation.renderer import render
from ingest.simulation.visit import WORLD_UNITS, Colour, Kind, Side, Visit, Waypoint
from ingest.simulation.world import BLOCK_S, World, _deal_block

DAY_S = 86400.0
START_S = 1.7e9

seeds = st.integers(-(2**32), 2**32)
moments = st.floats(0, 4e9)


@given(seeds, moments)
@settings(max_examples=25)
def test_a_moment_is_the_same_however_it_is_come_by(seed: int, time_s: float):
    around = World(seed).visits(time_s - 500, time_s + 500)
    _deal_block.cache_clear()
    under_way = [v for v in around if v.enter_s <= time_s < v.leave_s]
    assert World(seed).visible(time_s) == under_way


@given(seeds, moments, st.floats(0, 400))
def test_visits_are_those_that_overlap_in_order_of_entry(
    seed: int, start_s: float, length_s: float
):
    end_s = start_s + length_s
    visits = World(seed).visits(start_s, end_s)
    assert all(v.enter_s < end_s and v.leave_s > start_s for v in visits)
    assert all(a.enter_s <= b.enter_s for a, b in pairwise(visits))


def test_seeds_are_different_worlds():
    hours = [World(seed).visits(START_S, START_S + 3600) for seed in range(4)]
    assert all(a != b for a, b in pairwise(hours))


def test_a_negative_seed_is_a_world_of_its_own():
    hours = [World(seed).visits(START_S, START_S + 3600) for seed in (-7, 7, -8, 8)]
    assert all(a != b for a, b in combinations(hours, 2))
    pictures = [render(World(seed), START_S, 64) for seed in (-7, 7, -8)]
    assert not any(np.array_equal(a, b) for a, b in combinations(pictures, 2))


def test_the_worlds_that_models_were_trained_on_stay_as_they_are():
    """A digest of what was dealt and drawn before worlds had a pace."""
    digest = sha256()
    for seed in (0, 7, 99_999, 200_003, 2**70):
        world = World(seed)
        digest.update(repr(world.visits(START_S, START_S + 4000)).encode())
        digest.update(render(world, START_S + 777.25, 64).tobytes())
    assert digest.hexdigest()[:16] == "1e3821ab8740ec0f"


@pytest.mark.parametrize(("pace", "minutes"), [(0.4, 27), (0.1, 110), (0.05, 222)])
def test_plates_of_a_slow_world_take_long_to_come_back(pace: float, minutes: int):
    world = World(5, pace)
    assert world.plates_return_s >= minutes * 60
    visits = world.visits(START_S, START_S + DAY_S)
    usual = len(World(5).visits(START_S, START_S + DAY_S))
    assert 0.8 * pace < len(visits) / usual < 1.3 * pace
    seen: dict[int, list[Visit]] = defaultdict(list)
    for visit in visits:
        if visit.plate is not None:
            seen[visit.plate].append(visit)
    assert len(seen) > 80
    for same in seen.values():
        for visit, again in pairwise(same):
            assert again.enter_s - visit.leave_s >= world.plates_return_s


def test_a_day_does_not_repeat_and_plates_return_after_ten_minutes():
    visits = World(5).visits(START_S, START_S + DAY_S)
    assert 8_000 < len(visits) < 18_000
    seen: dict[int, list[Visit]] = defaultdict(list)
    for visit in visits:
        if visit.plate is not None:
            seen[visit.plate].append(visit)
    assert sorted(seen) == list(range(10, 100))
    for same in seen.values():
        assert all(b.enter_s - a.leave_s >= 600 for a, b in pairwise(same))
    things = [(v.kind, v.colour, v.plate, v.enters_from, v.leaves_to) for v in visits]
    assert len({tuple(things[n : n + 3]) for n in range(len(things))}) > 8_000


def test_about_a_fifth_of_the_time_is_empty_and_everything_occurs():
    world = World(1)
    times = [START_S + 2.0 * number for number in range(20_000)]
    empty = sum(not world.visible(time_s) for time_s in times) / len(times)
    assert 0.15 < empty < 0.3
    visits = world.visits(START_S, START_S + DAY_S / 4)
    assert {v.kind for v in visits} == set(Kind)
    assert {v.colour for v in visits} == set(Colour)
    assert {(v.enters_from, v.leaves_to) for v in visits} == {
        (enters, leaves) for enters in Side for leaves in Side
    }
    assert sum(v.plate is not None for v in visits) / len(visits) > 0.7
    stops = [v for v in visits if any(_is_stop(a, b) for a, b in pairwise(v.path))]
    assert 0.2 < len(stops) / len(visits) < 0.6
    turned = [v for v in visits if v.enters_from == v.leaves_to]
    assert 0.05 < len(turned) / len(visits) < 0.3


def _is_stop(before: Waypoint, after: Waypoint) -> bool:
    same = (before.x, before.y) == (after.x, after.y)
    return same and before.time_s < after.time_s


def test_several_are_there_at_once():
    world = World(1)
    counts = [len(world.visible(START_S + 2.0 * n)) for n in range(5000)]
    assert max(counts) >= 3


@given(seeds, st.integers(0, 20_000_000))
def test_visits_begin_and_end_out_of_view_and_stay_in_their_block(
    seed: int, block: int
):
    for visit in World(seed).visits(block * BLOCK_S, (block + 1) * BLOCK_S):
        assert block * BLOCK_S <= visit.enter_s < visit.leave_s < (block + 1) * BLOCK_S
        for time_s, side in (
            (visit.enter_s, visit.enters_from),
            (visit.leave_s, visit.leaves_to),
        ):
            x, y = visit.position(time_s)
            assert {
                Side.LEFT: x == -16,
                Side.RIGHT: x == WORLD_UNITS,
                Side.TOP: y == -12,
                Side.BOTTOM: y == WORLD_UNITS,
            }[side]


def test_a_visit_checks_itself():
    path = (Waypoint(0, -16, 0), Waypoint(9, 64, 0))
    things = (Kind.CAR, Colour.RED)
    with pytest.raises(ValueError, match="plate"):
        Visit(*things, 7, Side.LEFT, Side.RIGHT, path)
    with pytest.raises(ValueError, match="path"):
        Visit(*things, 70, Side.LEFT, Side.RIGHT, path[::-1])
    for pace in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="pace"):
            World(1, pace)
