"""Frames to the patches of a Qwen vision tower.

transformers' own video processors need torchvision, which this project does without, so
resizing (Pillow, bicubic, as its PIL image processors do), normalising and patching are
done here and tested against the library's PIL image processor.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

DEFAULT_FRAME_TOKENS = 256  # most visual tokens of a frame pair, unless configured


@dataclass(frozen=True, slots=True)
class PatchSettings:
    """What the vision tower expects; read from the model's preprocessor configuration.

    Attributes:
        patch: Side of a patch, pixels.
        temporal_patch: Frames per patch.
        merge: Patches per side that are merged into one visual token.
        mean: Per channel, of pixels in 0..1.
        std: Per channel.
        min_pixels: Least pixels of a resized frame.
        max_pixels: Most pixels of a resized frame.
    """

    patch: int
    temporal_patch: int
    merge: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    min_pixels: int
    max_pixels: int

    @classmethod
    def of(cls, facts: dict[str, Any], max_pixels: int | None) -> "PatchSettings":
        """Read a preprocessor configuration.

        Args:
            facts: The configuration; its own limits are kept to.
            max_pixels: Most pixels as configured; goes before all limits.

        Raises:
            ValueError: It lacks something.
        """
        sizes = ("patch_size", "temporal_patch_size", "merge_size")
        patch, depth, merge = (one_fact(facts, name) for name in sizes)
        size = facts.get("size") or {}
        token = (patch * merge) ** 2  # pixels
        least = facts.get("min_pixels") or size.get("shortest_edge") or 4 * token
        limit = facts.get("max_pixels") or size.get("longest_edge") or math.inf
        most = max_pixels or min(limit, DEFAULT_FRAME_TOKENS * token)
        mean = three_numbers(facts, "image_mean")
        std = three_numbers(facts, "image_std")
        return cls(patch, depth, merge, mean, std, min(least, most), int(most))

    def grid(self, count: int, height: int, width: int) -> tuple[int, int, int]:
        """Give the visual tokens of frames as (frames, rows, columns), merged."""
        rows, columns = self.fit(height, width)
        unit = self.patch * self.merge
        return -(-count // self.temporal_patch), rows // unit, columns // unit

    def fit(self, height: int, width: int) -> tuple[int, int]:
        """Give the size a frame is resized to: whole merged patches, within the limits.

        Keeps the aspect ratio as nearly as whole patches allow (Qwen2-VL's rule).
        """
        unit = self.patch * self.merge
        rows, columns = round(height / unit), round(width / unit)
        if rows * columns * unit**2 > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            rows = max(1, math.floor(height / shrink / unit))
            columns = max(1, math.floor(width / shrink / unit))
        elif rows * columns * unit**2 < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            rows = math.ceil(height * grow / unit)
            columns = math.ceil(width * grow / unit)
        return rows * unit, columns * unit


def patchify(
    frames: NDArray[np.uint8], settings: PatchSettings
) -> tuple[Tensor, tuple[int, int, int]]:
    """Cut frames into patches in the order a Qwen vision tower reads them.

    Args:
        frames: RGB, (N, height, width, 3); the last one is repeated to fill a temporal
            patch.
        settings: What the vision tower expects.

    Returns:
        Patches (n, 3 * temporal_patch * patch * patch), float32, and their grid in
        patches (frames, rows, columns).
    """
    height, width = settings.fit(*frames.shape[1:3])
    resized = np.stack([_resize(f, height, width) for f in frames])  # (N, h, w, 3)
    missing = -len(resized) % settings.temporal_patch
    resized = np.concatenate([resized, resized[-1:].repeat(missing, axis=0)])
    mean = np.asarray(settings.mean, np.float32) * 255
    std = np.asarray(settings.std, np.float32) * 255
    video = torch.from_numpy((resized.astype(np.float32) - mean) / std)  # (N, h, w, 3)

    patch, merge, depth = settings.patch, settings.merge, settings.temporal_patch
    grid = (len(video) // depth, height // patch, width // patch)
    split = video.view(
        grid[0],
        depth,
        grid[1] // merge,
        merge,
        patch,
        grid[2] // merge,
        merge,
        patch,
        3,
    )
    # frame, merged row, merged column, row, column | channel, depth, y, x
    patches = split.permute(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return patches.reshape(grid[0] * grid[1] * grid[2], -1), grid


def one_fact(facts: dict[str, Any], name: str) -> Any:
    """Give a value of a preprocessor configuration.

    Raises:
        ValueError: It is not there.
    """
    if facts.get(name) is None:
        raise ValueError(f"its preprocessor configuration has no {name}")
    return facts[name]


def three_numbers(facts: dict[str, Any], name: str) -> tuple[float, float, float]:
    """Give a number per channel of a preprocessor configuration.

    Raises:
        ValueError: It is not there.
    """
    red, green, blue = one_fact(facts, name)
    return red, green, blue


def _resize(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    if frame.shape[:2] == (height, width):
        return frame
    picture = Image.fromarray(frame)
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
