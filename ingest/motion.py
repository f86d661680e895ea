"""How much of a picture has changed: a grid of mean luma, compared cell by cell.

A cell's mean is steady where single pixels are noise, and cheap: of a picture of 1080
lines every fourth line is read, a millisecond's work, and only when a frame is due.
"""

import numpy as np
from numpy.typing import NDArray

COLUMNS, ROWS = 64, 36
_LINES_APART = 4  # of a large picture; all lines of one that is not
_LEVELS = 8.0  # of 256: a cell changed if its mean did by more; noise and codecs don't

Cells = NDArray[np.float32]
"""Mean luma of each cell, (rows, columns), 0 to 255."""


def cells_of(luma: NDArray[np.uint8]) -> Cells:
    """Give the mean luma of each cell of a picture.

    Args:
        luma: (height, width), at least one pixel.
    """
    height, width = luma.shape
    luma = luma[:: _LINES_APART if height >= _LINES_APART * ROWS else 1]
    rows = _edges(len(luma), ROWS)
    columns = _edges(width, COLUMNS)
    sums = np.add.reduceat(luma, rows, axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, columns, axis=1)  # (rows, columns)
    heights = np.diff([*rows, len(luma)])
    sizes = heights[:, None] * np.diff([*columns, width])
    means: Cells = (sums / sizes).astype(np.float32)
    return means


def cells_of_rgb(pixels: NDArray[np.uint8]) -> Cells:
    """Give nearly the same of RGB, (height, width, 3): of green, most of luma."""
    return cells_of(pixels[:, :, 1])


def change(before: Cells, after: Cells) -> float:
    """Give the share of cells that changed, 0 to 1; 1 if the grids differ in shape.

    What all cells have in common, as when a camera sets its exposure, is no change.
    """
    if before.shape != after.shape:
        return 1.0
    difference = after - before  # (rows, columns)
    return float(np.mean(np.abs(difference - np.median(difference)) > _LEVELS))


def _edges(length: int, parts: int) -> NDArray[np.intp]:
    """Give where each part begins; fewer parts if there are not as many pixels."""
    parts = min(parts, length)
    edges: NDArray[np.intp] = np.arange(parts) * length // parts
    return edges
