"""Which visual tokens of a chunk show something new, told from pixels alone.

TimeChat-Online (arXiv 2504.17343) drops a visual token before the language model if its
patch has hardly changed since the last one kept in its place. Compared with that one,
and not with the frame before, something that moves slowly is kept in the end.

A chunk is judged by itself and its first temporal patch is whole: it may be recalled
alone, or against another context, when what came before it is not there to be seen.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLES = 8  # per side of a token: finer detail is mostly noise


def changed_tokens(
    frames: NDArray[np.uint8], grid: tuple[int, int, int], least_change: float
) -> NDArray[np.bool_]:
    """Tell which visual tokens changed enough since the last one kept in their place.

    Args:
        frames: RGB, (N, height, width, 3).
        grid: Visual tokens as (frames, rows, columns); in time, each covers as many
            frames as any other, the last ones repeated if need be.
        least_change: Root mean square of the change in a token's samples, in shares of
            full brightness; what changed less is not new. At 0 everything is.

    Returns:
        (V,), in the order of the visual tokens.
    """
    if least_change <= 0:
        return np.ones(math.prod(grid), bool)
    seen = _sample(frames, grid)  # (frames, rows, columns, values)
    changed = np.ones(grid, bool)  # (frames, rows, columns)
    kept = seen[0].copy()  # (rows, columns, values)
    for now, is_new in zip(seen[1:], changed[1:], strict=True):
        change = np.sqrt(np.square(now - kept).mean(axis=-1))  # (rows, columns)
        is_new[:] = change >= least_change
        kept[is_new] = now[is_new]
    return changed.ravel()


def _sample(
    frames: NDArray[np.uint8], grid: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Give what each token shows, (frames, rows, columns, values), values in 0..1."""
    count, rows, columns = grid
    size = (columns * SAMPLES, rows * SAMPLES)
    pictures = [Image.fromarray(f).resize(size, Image.Resampling.BOX) for f in frames]
    small = np.stack([np.asarray(p, np.float32) for p in pictures])  # (N, h, w, 3)
    depth = -(-len(small) // count)  # frames of a token
    missing = count * depth - len(small)
    small = np.concatenate([small, small[-1:].repeat(missing, axis=0)])
    split = small.reshape(count, depth, rows, SAMPLES, columns, SAMPLES, 3)
    by_token = split.transpose(0, 2, 4, 1, 3, 5, 6).reshape(count, rows, columns, -1)
    return by_token / np.float32(255)
