"""What happens before a simulated camera, as a pure function of (seed, UTC time).

Time is cut into blocks of 150 s, dealt one by one from a random generator seeded with
(seed, block): any moment of any day can be told without what came before. Nothing
crosses the edge of a block, so that within one the visits can be dealt in turn and none
hides another.

The 90 plates of a camera are split into groups, and a block takes its plates from the
group whose turn it is: five groups at the usual pace, so that a plate comes back after
ten minutes at the earliest; 45 smaller ones at a tenth of it, after 110 minutes.
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

__all__ = ["BLOCK_S", "Colour", "Kind", "Side", "Visit", "World", "seeded"]

CELL_S = 7.5
CELLS_PER_BLOCK = 20
BLOCK_S = CELL_S * CELLS_PER_BLOCK
PLATES = 90
PLATES_PER_BLOCK = 18

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
_BELOW_ZERO = 2**32 - 1  # marks the generators of a negative seed
_HORIZONTAL = (Side.LEFT, Side.RIGHT)
_VERTICAL = (Side.TOP, Side.BOTTOM)


@dataclass(frozen=True, slots=True)
class World:
    """Everything that ever passes one simulated camera.

    Attributes:
        seed: Which world, any whole number; the same in every process.
        pace: How busy it is, up to 1.0, the usual. A slow world has fewer visits, and
            its plates take longer to come back.
    """

    seed: int
    pace: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.pace <= 1:
            raise ValueError(f"a pace is above 0, up to 1, not {self.pace}")

    @property
    def plates_return_s(self) -> float:
        """Least seconds between two visits with the same plate."""
        _, groups = _plate_groups(self.pace)
        return (groups - 1) * BLOCK_S

    def visits(self, start_s: float, end_s: float) -> list[Visit]:
        """List the visits that overlap [start_s, end_s), in order of entry."""
        first, last = math.floor(start_s / BLOCK_S), math.floor(end_s / BLOCK_S)
        return [
            visit
            for block in range(first, last + 1)
            for visit in _deal_block(self, block)
            if visit.enter_s < end_s and visit.leave_s > start_s
        ]

    def visible(self, time_s: float) -> list[Visit]:
        """List the visits under way at one moment, in order of entry."""
        block = _deal_block(self, math.floor(time_s / BLOCK_S))
        return [visit for visit in block if visit.enter_s <= time_s < visit.leave_s]


def seeded(seed: int, *parts: int) -> np.random.Generator:
    """Give the random generator of one part of a world, whatever the seed's sign."""
    words = (seed, *parts) if seed >= 0 else (-seed, *parts, _BELOW_ZERO)
    return np.random.default_rng(words)


@lru_cache(maxsize=512)
def _deal_block(world: World, block: int) -> tuple[Visit, ...]:
    rng = seeded(world.seed, block % 2**63)
    plates = _deal_plates(rng, world, block)
    visits: list[Visit] = []
    for start_s in _deal_starts(rng, block * BLOCK_S, world.pace):
        for _ in range(_TRIES):
            visit = _deal_visit(rng, start_s)
            if _is_free(visit, visits, (block + 1) * BLOCK_S):
                plate = next(plates, None) if rng.random() < _PLATED else None
                visits.append(replace(visit, plate=plate))
                break
    return tuple(visits)


def _plate_groups(pace: float) -> tuple[int, int]:
    """Give how many plates a block may use, and how many such groups there are."""
    each = max(1, round(PLATES_PER_BLOCK * pace))
    return each, PLATES // each


def _deal_plates(rng: np.random.Generator, world: World, block: int) -> Iterator[int]:
    each, groups = _plate_groups(world.pace)
    shuffled = seeded(world.seed).permutation(PLATES)[: groups * each]
    group = shuffled.reshape(groups, each)[block % groups]
    return iter((10 + rng.permutation(group)).tolist())


def _deal_starts(
    rng: np.random.Generator, block_start_s: float, pace: float
) -> list[float]:
    chances = pace * np.array(_VISITS_PER_CELL)
    chances[0] += 1 - pace
    counts = rng.choice(3, size=CELLS_PER_BLOCK, p=chances)
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
