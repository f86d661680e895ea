"""Pictures of a simulated world: the same world, moment and size give the same pixels.

A scene is composed on the 64 x 64 unit grid and enlarged to whole pixels, so a picture
of 256 shows exactly what one of 64 shows, sensor noise aside.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingest.simulation.sprites import draw_sprite
from ingest.simulation.visit import WORLD_UNITS, Visit
from ingest.simulation.world import World, seeded

_GRIDS = ((4, 16.0), (8, 12.0), (16, 8.0), (32, 6.0), (64, 4.0))  # cells, amplitude
_DAYLIGHT_S = 1500.0
_DAYLIGHT = 0.12
_NOISE_MEAN = 7  # of what _sensor_noise gives


def render(world: World, time_s: float, size: int = 256) -> NDArray[np.uint8]:
    """Render what the camera sees at a moment, (size, size, 3)."""
    return render_visits(world, time_s, size, world.visible(time_s))


def render_visits(
    world: World, time_s: float, size: int, visits: list[Visit]
) -> NDArray[np.uint8]:
    """Render a moment with only these visits in view, (size, size, 3).

    Rendering with and without a visit shows which pixels are its own.
    """
    scene = _light(world.seed, time_s)  # (64, 64, 3)
    for visit in visits:
        _paste(scene, visit, time_s)
    scene -= _NOISE_MEAN
    if size != WORLD_UNITS:
        units = np.arange(size) * WORLD_UNITS // size
        scene = scene.take(units, axis=0).take(units, axis=1)  # (size, size, 3)
    scene += _sensor_noise(world.seed, time_s, scene.size).reshape(scene.shape)
    return scene


def _light(seed: int, time_s: float) -> NDArray[np.uint8]:
    background, phase = _background(seed)
    level = 1 + _DAYLIGHT * math.sin(2 * math.pi * (time_s / _DAYLIGHT_S + phase))
    return (background * np.float32(level)).astype(np.uint8)


@lru_cache(maxsize=256)
def _background(seed: int) -> tuple[NDArray[np.float32], float]:
    rng = seeded(seed, 0, 1)
    picture = np.full((WORLD_UNITS, WORLD_UNITS, 3), rng.uniform(85, 130), np.float32)
    picture += rng.uniform(-12, 12, size=3).astype(np.float32)
    for cells, amplitude in _GRIDS:
        each = WORLD_UNITS // cells
        grey = rng.normal(0, amplitude, (cells, cells, 1))
        tint = rng.normal(0, amplitude / 4, (cells, cells, 3))
        grid = (grey + tint).astype(np.float32)
        picture += grid.repeat(each, axis=0).repeat(each, axis=1)
    return picture.clip(45, 170), rng.random()


def _paste(scene: NDArray[np.uint8], visit: Visit, time_s: float) -> None:
    pixels, covers = draw_sprite(
        visit.kind, visit.colour, visit.plate, faces_left=visit.faces_left(time_s)
    )
    x, y = visit.position(time_s)
    left, top = max(-x, 0), max(-y, 0)
    right = min(covers.shape[1], WORLD_UNITS - x)
    bottom = min(covers.shape[0], WORLD_UNITS - y)
    if left >= right or top >= bottom:
        return
    part = np.s_[top:bottom, left:right]
    behind = scene[y + top : y + bottom, x + left : x + right]
    np.copyto(behind, pixels[part], where=covers[part][:, :, None])


def _sensor_noise(seed: int, time_s: float, count: int) -> NDArray[np.uint8]:
    rng = seeded(seed, round(time_s * 1000) % 2**63)
    drawn = np.frombuffer(rng.bytes(count), np.uint8)
    noise: NDArray[np.uint8] = (drawn & 7) + (drawn >> 5)  # two dice of 0 to 7
    return noise
