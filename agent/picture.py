"""A picture of a chunk, for people: the frame that shows most of what happened."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_QUALITY = 75
_APART = 4  # lines and columns between the pixels that are compared


def picture_of(pixels: NDArray[np.uint8], max_side: int) -> bytes:
    """Give a JPEG of the frame that differs most from what its chunk usually shows.

    Args:
        pixels: RGB, (frames, height, width, 3).
        max_side: Longer side of the picture; a smaller frame stays as it is.
    """
    few = pixels[:, ::_APART, ::_APART].astype(np.float32)
    unusual = np.abs(few - np.median(few, axis=0)).mean(axis=(1, 2, 3))  # (frames,)
    image = Image.fromarray(pixels[int(unusual.argmax())])
    image.thumbnail((max_side, max_side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()
