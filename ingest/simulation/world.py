"""What happens before a simulated camera, as a pure function of (seed, UTC time).

Time is cut into blocks of 150 s, dealt one by one from a random generator seeded with
(seed, block): any moment of any day can be told without what came before. Nothing
crosses the edge of a block, so that within one the visits can be dealt in turn and none
hides another.

A plate comes back after ten minutes at the earliest: the 90 plates of a camera are
split into five groups, and a block takes its plates from the group whose turn it is.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingest.simulation.visit import (
    SPRITE_HEIGHT,
    SPRITE_WIDTH,
    WORLD_UNITS,
    Colour,
    Kind,
    Side,
    Visit,
    Waypoint,
)

__all__ = ["BLOCK_S", "Colour", "Kind", "Side", "Visit", "World"]

CELL_S = 7.5
CELLS_PER_BLOCK = 20
BLOCK_S = CELL_S * CELLS_PER_BLOCK
PLATE_GROUPS = 5

_VISITS_PER_CELL = (0.22, 0.44, 0.34)  # chance of 0, 1, 2
_PLATED = 0.9
_WAYS = (0.6, 0.25, 0.15)  # chance to go straight on, to turn, to go back
_PAUSES = 0.25
_SPEEDS = (8.0, 12.0)  # units per second
_ROWS = (1, 17, 33, 49)
_COLUMNS = (2, 23, 44)
_STEP_S = 0.1
_CLEARANCE = 3  # units: what is moved in half a step, and rounding
_TRIES = 12
_OPPOSITE = {
    Side.LEFT: Side.RIGHT,
    Side.RIGHT: Side.LEFT,
    Side.TOP: Side.BOTTOM,
    Side.BOTTOM: Side.TOP,
}
_HORIZONTAL = (Side.LEFT, Side.RIGHT)
_VERTICAL = (Side.TOP, Side.BOTTOM)


@dataclass(frozen=True, slots=True)
class World:
    """Everything that ever passes one simulated camera.

    Attributes:
        seed: Which world: 0 or more; the same seed is the same world in every process.
    """

    seed: int

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"a seed is 0 or more, not {self.seed}")

    def visits(self, start_s: float, end_s: float) -> list[Visit]:
        """List the visits that overlap [start_s, end_s), in order of entry."""
        first, last = math.floor(start_s / BLOCK_S), math.floor(end_s / BLOCK_S)
        return [
            visit
            for block in range(first, last + 1)
            for visit in _deal_block(self.seed, block)
            if visit.enter_s < end_s and visit.leave_s > start_s
        ]

    def visible(self, time_s: float) -> list[Visit]:
        """List the visits under way at one moment, in order of entry."""
        block = _deal_block(self.seed, math.floor(time_s / BLOCK_S))
        return [visit for visit in block if visit.enter_s <= time_s < visit.leave_s]


@lru_cache(maxsize=512)
def _deal_block(seed: int, block: int) -> tuple[Visit, ...]:
    rng = np.random.default_rng((seed, block % 2**63))
    plates = _deal_plates(rng, seed, block)
    visits: list[Visit] = []
    for start_s in _deal_starts(rng, block * BLOCK_S):
        for _ in range(_TRIES):
            visit = _deal_visit(rng, start_s)
            if _is_free(visit, visits, (block + 1) * BLOCK_S):
                plate = next(plates, None) if rng.random() < _PLATED else None
                visits.append(replace(visit, plate=plate))
                break
    return tuple(visits)


def _deal_plates(rng: np.random.Generator, seed: int, block: int) -> Iterator[int]:
    groups = np.random.default_rng(seed).permutation(90).reshape(PLATE_GROUPS, -1)
    return iter((10 + rng.permutation(groups[block % PLATE_GROUPS])).tolist())


def _deal_starts(rng: np.random.Generator, block_start_s: float) -> list[float]:
    counts = rng.choice(3, size=CELLS_PER_BLOCK, p=_VISITS_PER_CELL)
    cells = np.repeat(np.arange(CELLS_PER_BLOCK), counts)
    starts = block_start_s + CELL_S * (cells + rng.random(len(cells)))
    return [float(start_s) for start_s in np.sort(np.round(starts, 3))]


def _deal_visit(rng: np.random.Generator, start_s: float) -> Visit:
    enters = list(Side)[rng.integers(4)]
    way = rng.choice(3, p=_WAYS)
    across = _VERTICAL if enters in _HORIZONTAL else _HORIZONTAL
    leaves = (_OPPOSITE[enters], across[rng.integers(2)], enters)[way]
    pauses = leaves is enters or rng.random() < _PAUSES
    return Visit(
        kind=list(Kind)[rng.integers(len(Kind))],
        colour=list(Colour)[rng.integers(len(Colour))],
        plate=None,
        enters_from=enters,
        leaves_to=leaves,
        path=_deal_path(rng, start_s, (enters, leaves), rng.uniform(1, 3) * pauses),
    )


def _deal_path(
    rng: np.random.Generator, start_s: float, sides: tuple[Side, Side], pause_s: float
) -> tuple[Waypoint, ...]:
    speed = _SPEEDS[rng.integers(len(_SPEEDS))]
    x = _COLUMNS[rng.integers(len(_COLUMNS))] + float(rng.integers(3))
    y = _ROWS[rng.integers(len(_ROWS))] + float(rng.integers(2))
    start, end = (_beyond(side, x, y) for side in sides)
    there_s = start_s + _distance(start, (x, y)) / speed
    on_s = there_s + pause_s
    path = [Waypoint(start_s, *start), Waypoint(there_s, x, y)]
    if pause_s:
        path.append(Waypoint(on_s, x, y))
    return (*path, Waypoint(on_s + _distance((x, y), end) / speed, *end))


def _beyond(side: Side, x: float, y: float) -> tuple[float, float]:
    return {
        Side.LEFT: (-float(SPRITE_WIDTH), y),
        Side.RIGHT: (float(WORLD_UNITS), y),
        Side.TOP: (x, -float(SPRITE_HEIGHT)),
        Side.BOTTOM: (x, float(WORLD_UNITS)),
    }[side]


def _distance(start: tuple[float, float], end: tuple[float, float]) -> float:
    return abs(end[0] - start[0]) + abs(end[1] - start[1])


def _is_free(visit: Visit, others: list[Visit], block_end_s: float) -> bool:
    if visit.leave_s >= block_end_s:
        return False
    times = np.arange(visit.enter_s, visit.leave_s + _STEP_S, _STEP_S)
    x, y = _positions(visit, times)
    for other in others:
        if other.leave_s <= visit.enter_s:
            continue
        other_x, other_y = _positions(other, times)
        near_x = np.abs(x - other_x) < SPRITE_WIDTH + _CLEARANCE
        near_y = np.abs(y - other_y) < SPRITE_HEIGHT + _CLEARANCE
        come, gone = other.enter_s - _STEP_S, other.leave_s + _STEP_S
        together = (times >= come) & (times <= gone)
        if np.any(near_x & near_y & together):
            return False
    return True


def _positions(
    visit: Visit, times: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at = [waypoint.time_s for waypoint in visit.path]
    x = np.interp(times, at, [waypoint.x for waypoint in visit.path])
    y = np.interp(times, at, [waypoint.y for waypoint in visit.path])
    return x, y
