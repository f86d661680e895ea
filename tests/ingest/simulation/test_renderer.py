import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.simulation.renderer import _background, render, render_visits
from ingest.simulation.sprites import PALETTE, draw_plate, draw_sprite
from ingest.simulation.visit import SPRITE_HEIGHT, SPRITE_WIDTH, Kind, Visit
from ingest.simulation.world import World

START_S = 1.7e9

seeds = st.integers(0, 2**32)
moments = st.floats(START_S, START_S + 1e8)


def covered_by(world: World, visit: Visit, time_s: float) -> NDArray[np.bool_]:
    """Which pixels of the picture a visit changes."""
    with_it = render_visits(world, time_s, 64, [visit])
    without = render_visits(world, time_s, 64, [])
    return np.any(with_it != without, axis=2)


@given(seeds, moments, st.sampled_from([16, 64, 100, 256]))
@settings(max_examples=30)
def test_a_picture_is_a_function_of_seed_time_and_size(
    seed: int, time_s: float, size: int
):
    picture = render(World(seed), time_s, size)
    _background.cache_clear()
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, render(World(seed), time_s, size))
    assert not np.array_equal(picture, render(World(seed + 1), time_s, size))


@given(seeds, st.integers(0, 10**6))
@settings(max_examples=40)
def test_what_the_world_tells_is_what_the_picture_shows(seed: int, minute: int):
    world = World(seed)
    start_s = START_S + 60 * minute
    for time_s in np.arange(start_s, start_s + 60, 1.7):
        picture = render(world, time_s, 64)
        empty = render_visits(world, time_s, 64, [])
        changed = np.any(picture != empty, axis=2)
        told = np.zeros_like(changed)
        for visit in world.visits(time_s, time_s + 0.001):
            told |= covered_by(world, visit, time_s)
        np.testing.assert_array_equal(changed, told)


@given(seeds, st.integers(0, 10**6))
@settings(max_examples=40)
def test_no_visit_hides_another(seed: int, minute: int):
    world = World(seed)
    start_s = START_S + 60 * minute
    for time_s in np.arange(start_s, start_s + 60, 0.21):
        corners = [visit.position(time_s) for visit in world.visible(time_s)]
        for (x, y), (other_x, other_y) in combinations(corners, 2):
            apart = (
                abs(x - other_x) >= SPRITE_WIDTH or abs(y - other_y) >= SPRITE_HEIGHT
            )
            assert apart


def test_every_visit_is_seen_soon_after_it_enters_and_until_it_leaves():
    world = World(2)
    for visit in world.visits(START_S, START_S + 1200):
        middle_s = (visit.enter_s + visit.leave_s) / 2
        for time_s in (visit.enter_s + 0.8, middle_s, visit.leave_s - 0.8):
            assert covered_by(world, visit, time_s).sum() > 3
        for time_s in (visit.enter_s, visit.leave_s):
            assert not covered_by(world, visit, time_s).any()


def test_sizes_show_the_same_but_for_the_noise():
    world = World(7)
    for time_s in np.arange(START_S, START_S + 60, 3.0):
        small = render(world, time_s, 64).astype(int)
        large = render(world, time_s, 256).astype(int)
        assert np.abs(large[::4, ::4] - small).max() <= 14


def test_no_two_sprites_look_the_same():
    looks = [
        draw_sprite(kind, colour, None, faces_left=left)
        for kind in Kind
        for colour in PALETTE
        for left in (False, True)
        if not (left and kind in (Kind.BUS, Kind.PERSON))  # symmetrical
    ]
    flat = {
        np.where(covers[..., None], pixels, 1).tobytes() for pixels, covers in looks
    }
    assert len(flat) == len(looks)


def test_kinds_differ_by_silhouette_even_behind_a_plate():
    for plate in (None, 47):
        shapes = [draw_sprite(k, "red", plate, faces_left=False) for k in Kind]
        for (pixels, covers), (other_pixels, other_covers) in combinations(shapes, 2):
            differs = np.any(pixels != other_pixels, axis=2) | (covers != other_covers)
            assert differs.sum() >= 20


def test_colours_are_far_apart():
    for colour, other in combinations(PALETTE.values(), 2):
        assert np.abs(np.subtract(colour, other)).max() >= 85


def test_plates_differ_and_are_drawn_whole():
    panels = {plate: draw_plate(plate).tobytes() for plate in range(10, 100)}
    assert len(set(panels.values())) == 90
    for faces_left in (False, True):
        pixels, _ = draw_sprite(Kind.VAN, "blue", 38, faces_left=faces_left)
        panel = draw_plate(38)
        windows = np.lib.stride_tricks.sliding_window_view(pixels, panel.shape)
        assert (windows == panel).all(axis=(-3, -2, -1)).sum() == 1


@pytest.mark.parametrize("size", [64, 256])
def test_nothing_overflows(size: int):
    for seed in range(20):
        picture = render_visits(World(seed), START_S + 100 * seed, size, [])
        assert picture.min() > 15
        assert picture.max() < 210


def test_an_empty_camera_sees_light_that_changes_and_a_sensor_s_noise() -> None:
    world = World(7)
    hours = [render_visits(world, START_S + 60 * n, 64, []) for n in range(120)]
    means = [float(picture.mean()) for picture in hours]
    assert max(means) - min(means) > 10  # of 255, over two hours
    now, next_ = (
        render_visits(world, START_S + s, 64, []).astype(int) for s in (0.0, 0.5)
    )
    assert 0.5 < np.abs(now - next_).mean() < 10


def test_a_minute_is_rendered_in_far_less_than_a_minute() -> None:
    world, began = World(7), time.perf_counter()
    for frame in range(120):
        render(world, START_S + frame / 2, 256)
    assert time.perf_counter() - began < 15  # 0.1 s where nothing else runs
