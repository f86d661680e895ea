import io

import numpy as np
import pytest
from PIL import Image

from agent.picture import picture_of


def frames(count: int, height: int, width: int) -> np.ndarray:
    return np.full((count, height, width, 3), 60, np.uint8)


def test_the_frame_in_which_something_happens_is_shown():
    pixels = frames(8, 120, 160)
    pixels[5, 40:80, 40:80] = (200, 30, 30)
    shown = np.asarray(Image.open(io.BytesIO(picture_of(pixels, 384))))
    assert shown.shape == (120, 160, 3)
    assert np.abs(shown[60, 60].astype(int) - (200, 30, 30)).max() < 20
    assert np.abs(shown[10, 10].astype(int) - 60).max() < 10


@pytest.mark.parametrize(("height", "width"), [(1080, 1920), (1920, 1080)])
def test_a_large_frame_is_scaled_down_as_a_whole(height: int, width: int):
    shown = Image.open(io.BytesIO(picture_of(frames(1, height, width), 384)))
    assert max(shown.size) == 384
    assert shown.size[0] / shown.size[1] == pytest.approx(width / height, rel=0.01)
