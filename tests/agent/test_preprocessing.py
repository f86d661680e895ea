import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
    Qwen2VLImageProcessorPil,
    smart_resize,
)

from agent.vlm.preprocessing import PatchSettings, patchify

SETTINGS = PatchSettings(
    patch=16,
    temporal_patch=2,
    merge=2,
    mean=(0.5, 0.4, 0.3),
    std=(0.5, 0.6, 0.7),
    min_pixels=64 * 64,
    max_pixels=256 * 256,
)


@pytest.mark.parametrize(
    ("height", "width"), [(480, 640), (64, 64), (33, 47), (720, 1280), (300, 90)]
)
def test_patches_equal_those_of_the_librarys_processor(height: int, width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    processor = Qwen2VLImageProcessorPil(
        patch_size=16,
        merge_size=2,
        temporal_patch_size=2,
        image_mean=SETTINGS.mean,
        image_std=SETTINGS.std,
        size={"shortest_edge": 64 * 64, "longest_edge": 256 * 256},
    )
    theirs = processor([Image.fromarray(picture)], return_tensors="pt")
    ours, grid = patchify(np.stack([picture, picture]), SETTINGS)
    assert [list(grid)] == theirs["image_grid_thw"].tolist()
    torch.testing.assert_close(ours, theirs["pixel_values"], atol=1e-5, rtol=0)


def test_a_patch_holds_both_frames_of_its_pair() -> None:
    frames = np.zeros((4, 64, 64, 3), np.uint8)
    frames[1], frames[2] = 255, 128
    patches, grid = patchify(frames, SETTINGS)
    assert grid == (2, 4, 4)
    pairs = patches.view(2, 16, 3, 2, 16, 16)
    red = (np.array([0, 255, 128, 0]) / 255 - 0.5) / 0.5
    assert pairs[:, 0, 0, :, 0, 0].flatten().tolist() == pytest.approx(red, abs=1e-5)


def test_an_odd_last_frame_is_repeated() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    patches, grid = patchify(frames, SETTINGS)
    filled, _ = patchify(np.concatenate([frames, frames[2:]]), SETTINGS)
    assert grid[0] == 2
    assert torch.equal(patches, filled)


@pytest.mark.parametrize("size", [(1080, 1920), (20, 30), (50, 50), (2000, 100)])
def test_sizes_are_those_of_the_librarys_rule(size: tuple[int, int]) -> None:
    theirs = smart_resize(*size, factor=32, min_pixels=64 * 64, max_pixels=256 * 256)
    assert SETTINGS.fit(*size) == theirs
