"""Frames to the squares that a vision tower of fixed size reads.

LLaVA-OneVision, SmolVLM2 and InternVL3 see a video frame as one square of the tower's
own size, whatever its shape was, and never cut it into tiles. transformers' video
processors need torchvision; this does the same with Pillow and is tested against the
library's PIL image processors.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from agent.vlm.preprocessing import three_numbers


@dataclass(frozen=True, slots=True)
class SquareSettings:
    """How a frame becomes a square; read from the model's preprocessor configuration.

    Attributes:
        side: Of the square, pixels.
        mean: Per channel, of pixels in 0..1.
        std: Per channel.
        resample: Filter of resizing, by Pillow's number.
        longest_side: A frame is first scaled to this longer side, keeping its shape;
            None: straight to the square.
    """

    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: int
    longest_side: int | None = None

    @classmethod
    def of(
        cls, facts: dict[str, Any], side: int, longest_side: int | None = None
    ) -> "SquareSettings":
        """Read a preprocessor configuration.

        Raises:
            ValueError: It lacks something.
        """
        return cls(
            side,
            three_numbers(facts, "image_mean"),
            three_numbers(facts, "image_std"),
            facts.get("resample", Image.Resampling.BICUBIC),
            longest_side,
        )

    @property
    def max_pixels(self) -> int:
        """Pixels of a prepared frame."""
        return self.side**2


def square(frames: NDArray[np.uint8], settings: SquareSettings) -> Tensor:
    """Give frames, RGB, (N, height, width, 3), as (N, 3, side, side), float32."""
    resized = np.stack([_resize(f, settings) for f in frames])  # (N, h, w, 3)
    mean = np.asarray(settings.mean, np.float32) * 255
    std = np.asarray(settings.std, np.float32) * 255
    video = torch.from_numpy((resized.astype(np.float32) - mean) / std)  # (N, h, w, 3)
    return video.permute(0, 3, 1, 2)  # (N, 3, h, w)


def scaled_size(height: int, width: int, longest_side: int) -> tuple[int, int]:
    """Give the size with this longer side; the shorter one is even (SmolVLM's rule)."""
    ratio = width / height
    if width >= height:
        shorter = int(longest_side / ratio)
        return max(1, shorter + shorter % 2), longest_side
    shorter = int(longest_side * ratio)
    return longest_side, max(1, shorter + shorter % 2)


def _resize(frame: NDArray[np.uint8], settings: SquareSettings) -> NDArray[np.uint8]:
    picture = Image.fromarray(frame)
    filter = Image.Resampling(settings.resample)
    if settings.longest_side is not None:
        height, width = frame.shape[:2]
        height, width = scaled_size(height, width, settings.longest_side)
        picture = picture.resize((width, height), filter)
    return np.asarray(picture.resize((settings.side, settings.side), filter))
