import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.motion import COLUMNS, ROWS, cells_of, cells_of_rgb, change

sides = st.integers(1, 200)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width), dtype=np.uint8)


@given(st.integers(1, 140), sides)
def test_a_cell_is_the_mean_of_its_pixels(height: int, width: int):
    luma = noise(height, width)
    cells = cells_of(luma)
    rows, columns = min(ROWS, height), min(COLUMNS, width)
    assert cells.shape == (rows, columns)
    for row, column in [(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)]:
        top, bottom = row * height // rows, (row + 1) * height // rows
        left, right = column * width // columns, (column + 1) * width // columns
        assert cells[row, column] == pytest.approx(
            luma[top:bottom, left:right].mean(), abs=1e-3
        )


def test_of_a_large_picture_every_fourth_line_is_read():
    luma = noise(1080, 1920)
    other = noise(1080, 1920, seed=1)
    other[::4] = luma[::4]
    np.testing.assert_array_equal(cells_of(luma), cells_of(other))


def test_noise_and_exposure_are_no_change():
    before = noise(360, 640) // 2
    noisy = before + noise(360, 640, seed=1) % 9
    assert change(cells_of(before), cells_of(noisy)) == 0
    assert change(cells_of(before), cells_of(before + 60)) == 0


@given(st.integers(1, ROWS // 2), st.integers(1, COLUMNS // 2))
def test_what_moves_counts_by_its_share_of_the_picture(rows: int, columns: int):
    before = np.full((ROWS, COLUMNS), 100, np.uint8)
    after = before.copy()
    after[:rows, :columns] = 140
    share = rows * columns / (ROWS * COLUMNS)
    assert change(cells_of(before), cells_of(after)) == pytest.approx(share)


def test_another_size_of_picture_is_another_picture():
    assert change(cells_of(noise(10, 10)), cells_of(noise(20, 20))) == 1


def test_of_rgb_green_is_looked_at():
    pixels = np.stack([noise(60, 80, seed) for seed in range(3)], axis=-1)
    np.testing.assert_array_equal(cells_of_rgb(pixels), cells_of(pixels[..., 1]))
