"""What every visual token shows, told by the world's log: the vision tower's lesson.

P  frame pairs     V  visual tokens of a pair, 4 x 4     A  attributes
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingest.simulation.sprites import draw_plate, draw_sprite
from ingest.simulation.visit import (
    SPRITE_HEIGHT,
    SPRITE_WIDTH,
    WORLD_UNITS,
    Colour,
    Kind,
    Visit,
)

CELLS = 4  # visual tokens a side
PAIR_S = 0.5  # between the two frames of a pair
_CELL = WORLD_UNITS // CELLS
_SHOWN = 40  # units of a visitor, both frames together, that make a cell its own
_DIGITS = (7, 5)  # width and height of a plate without its rim
IGNORED = -100
KIND, COLOUR, TENS, UNITS, MOTION = range(5)  # where each stands in ATTRIBUTES
NOW_KEY = 1
_LOOK_KEYS = 100  # plates lie below


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing that a visual token tells.

    Attributes:
        name: What it is.
        classes: How many values it has; 0 stands for none.
    """

    name: str
    classes: int


ATTRIBUTES = (
    Attribute("kind", 1 + len(Kind)),
    Attribute("colour", 1 + len(Colour)),
    Attribute("tens", 10),  # 0: no plate, or none that can be read
    Attribute("units", 11),  # the digit + 1
    Attribute("motion", 6),  # none, left, right, up, down, still
    Attribute("edge", 5),  # none, cut by left, right, top, bottom
)


def look_key(kind: int, colour: int) -> int:
    """Give the key of a visitor named by kind and colour, both as labels, 1 and up.

    What a question is about is one number, its key: a plate, a look, or `NOW_KEY`.
    """
    return _LOOK_KEYS + kind * ATTRIBUTES[COLOUR].classes + colour


def label_pair(visits: Sequence[Visit], time_s: float) -> NDArray[np.int8]:
    """Label the visual tokens of the frame pair at `time_s`, (V, A).

    A plate is told by the token that shows most of it; what its neighbours say of it is
    not judged (`IGNORED`), and tokens that show nothing of it say none.
    """
    labels = np.zeros((CELLS * CELLS, len(ATTRIBUTES)), np.int8)
    most = np.full(CELLS * CELLS, _SHOWN - 1)
    times = (time_s, time_s + PAIR_S)
    for visit in visits:
        seen = [t for t in times if visit.enter_s <= t < visit.leave_s]
        boxes = [visit.position(t) for t in seen]
        shown = np.zeros(CELLS * CELLS, np.int64)
        for x, y in boxes:
            shown += _cover(x, y, SPRITE_WIDTH, SPRITE_HEIGHT)
        mine = shown > most
        labels[mine] = _describe(visit, boxes, times)
        most[mine] = shown[mine]
    for visit in visits:
        _label_plate(labels, visit, times)
    return labels


def _label_plate(
    labels: NDArray[np.int8], visit: Visit, times: tuple[float, float]
) -> None:
    if visit.plate is None:
        return
    for time_s in times:
        if not visit.enter_s <= time_s < visit.leave_s:
            continue
        x, y = visit.position(time_s)
        row, column = _plate_at(visit.kind, faces_left=visit.faces_left(time_s))
        digits = _cover(x + column + 1, y + row + 1, *_DIGITS)
        partly = (digits > 0) & (labels[:, TENS] == 0)
        labels[np.ix_(partly, (TENS, UNITS))] = IGNORED
        if digits.sum() == _DIGITS[0] * _DIGITS[1]:
            best = int(digits.argmax())
            labels[best, TENS] = visit.plate // 10
            labels[best, UNITS] = visit.plate % 10 + 1


@lru_cache
def _plate_at(kind: Kind, *, faces_left: bool) -> tuple[int, int]:
    """Find row and column of the plate in a visitor's picture."""
    panel = draw_plate(88)
    height, width = panel.shape[:2]
    picture, _ = draw_sprite(kind, Colour.RED, 88, faces_left=faces_left)
    for row in range(SPRITE_HEIGHT - height + 1):
        for column in range(SPRITE_WIDTH - width + 1):
            part = picture[row : row + height, column : column + width]
            if np.array_equal(part, panel):
                return row, column
    raise AssertionError(f"the {kind} has no plate")


def _cover(x: int, y: int, width: int, height: int) -> NDArray[np.int64]:
    """Give how many units of a box lie in each cell, (V,)."""
    return np.outer(_overlap(y, height), _overlap(x, width)).ravel()


def _overlap(start: int, length: int) -> NDArray[np.int64]:
    """Give how many units of [start, start + length) lie in each cell, (CELLS,)."""
    edges = np.arange(CELLS + 1) * _CELL
    return np.diff(np.clip(edges, start, start + length))


def _describe(
    visit: Visit, boxes: list[tuple[int, int]], times: tuple[float, float]
) -> NDArray[np.int8]:
    (x0, y0), (x1, y1) = (visit.position(t) for t in times)
    across, down = x1 - x0, y1 - y0
    if across == down == 0:
        motion = 5
    elif abs(across) >= abs(down):
        motion = 2 if across > 0 else 1
    else:
        motion = 4 if down > 0 else 3
    return np.array(
        (
            1 + list(Kind).index(visit.kind),
            1 + list(Colour).index(visit.colour),
            0,
            0,
            motion,
            max(_cut_by(x, y) for x, y in boxes),
        ),
        np.int8,
    )


def _cut_by(x: int, y: int) -> int:
    if x < 0:
        return 1
    if x + SPRITE_WIDTH > WORLD_UNITS:
        return 2
    if y < 0:
        return 3
    return 4 if y + SPRITE_HEIGHT > WORLD_UNITS else 0
