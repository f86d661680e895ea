"""Crowds: pictures with many visitors at once, which teach the vision tower faster.

A camera sees one or two visitors at a time; a picture of six tells six plates for the
price of one.
"""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.simulation.renderer import render_visits
from ingest.simulation.visit import (
    SPRITE_HEIGHT,
    SPRITE_WIDTH,
    Colour,
    Kind,
    Side,
    Visit,
    Waypoint,
)
from ingest.simulation.world import World
from training.footage import SIZES, pack, render_all
from training.labels import PAIR_S, label_pair
from training.split import Split, start_of

Crowds = tuple[NDArray[np.uint8], NDArray[np.int8]]  # patches and labels
PAIRS = 40  # of each world
_VISITORS, _TRIES = 7, 30
_SPEEDS = (0.0, 8.0, 8.0, 12.0, 12.0)  # units per second
_WAYS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def make_crowds(folder: Path, worlds: int) -> Crowds:
    """Render crowds before so many training worlds' backgrounds."""
    seeds = [Split.TRAIN.world(number) for number in range(worlds)]
    stem = folder / f"crowds-{worlds}x{PAIRS}"
    return render_all(stem, partial(look_at_crowds, pairs=PAIRS), seeds)


def look_at_crowds(seed: int, pairs: int) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Render crowds before one world's background, as `footage.look` does."""
    world, rng = World(seed), np.random.default_rng((seed, 9))
    size = SIZES[seed % len(SIZES)]
    times = start_of(seed) + 600.0 * np.arange(pairs)
    frames, labels = [], []
    for time_s in times.tolist():
        visits = deal_crowd(rng, time_s)
        frames += [
            render_visits(world, t, size, visits) for t in (time_s, time_s + PAIR_S)
        ]
        labels.append(label_pair(visits, time_s))
    return pack(np.stack(frames)), np.stack(labels)


def deal_crowd(rng: np.random.Generator, time_s: float) -> list[Visit]:
    """Deal visitors that do not hide each other in the pair at `time_s`."""
    visits: list[Visit] = []
    for _ in range(_TRIES):
        visit = _deal_visitor(rng, time_s)
        if len(visits) < _VISITORS and not any(_hide(visit, v, time_s) for v in visits):
            visits.append(visit)
    return visits


def _deal_visitor(rng: np.random.Generator, time_s: float) -> Visit:
    x, y = float(rng.integers(-13, 62)), float(rng.integers(-9, 62))
    across, down = _WAYS[rng.integers(len(_WAYS))]
    speed = _SPEEDS[rng.integers(len(_SPEEDS))]
    path = tuple(
        Waypoint(
            time_s + after_s, x + across * speed * after_s, y + down * speed * after_s
        )
        for after_s in (-1.0, 2.0)
    )
    return Visit(
        kind=list(Kind)[rng.integers(len(Kind))],
        colour=list(Colour)[rng.integers(len(Colour))],
        plate=int(rng.integers(10, 100)),
        enters_from=Side.LEFT,
        leaves_to=Side.RIGHT,
        path=path,
    )


def _hide(one: Visit, other: Visit, time_s: float) -> bool:
    for moment in (time_s, time_s + PAIR_S):
        (x, y), (other_x, other_y) = one.position(moment), other.position(moment)
        if abs(x - other_x) < SPRITE_WIDTH and abs(y - other_y) < SPRITE_HEIGHT:
            return True
    return False
