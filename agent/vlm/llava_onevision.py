"""LLaVA-OneVision: a chunk is one video of square frames, closed by a newline token.

The library closes each video with one `image_newline`, a trained vector in the place of
a visual token; so does each chunk here.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from agent.vlm.family import Grid, Seen, VideoTurn, taken
from agent.vlm.layout import (
    ChunkLayout,
    encode_text,
    lay_out_in_a_row,
    time_stamp,
)
from agent.vlm.squares import SquareSettings, square


class LlavaOneVision:
    """The family, on Qwen2: positions have one row."""

    title = "LLaVA-OneVision"
    position_rows = 1
    video_turn = VideoTurn("<video>")
    markers: tuple[str, ...] = ()

    def settings(
        self, facts: dict[str, Any], config: Any, max_pixels: int | None
    ) -> SquareSettings:
        """Give how frames are squared: `max_pixels` changes nothing here."""
        return SquareSettings.of(facts, config.vision_config.image_size)

    def visual_grid(
        self, frames: tuple[int, int, int], config: Any, by: SquareSettings
    ) -> Grid:
        """Give the grid of the tower, pooled two by two."""
        side = math.ceil(by.side // config.vision_config.patch_size / 2)
        return frames[0], side, side

    def see(
        self,
        module: Any,
        chunks: Sequence[NDArray[np.uint8]],
        kept: Sequence[Tensor],
        by: SquareSettings,
    ) -> Seen:
        """Run the vision tower; the newline is no feature of a frame."""
        video = torch.stack([square(pixels, by) for pixels in chunks])
        video = video.to(module.device, module.dtype)
        seen = module.model.get_video_features(video, return_dict=True)
        features = taken(seen.pooler_output[:, :-1], kept)  # (V, F) each
        newlines = seen.pooler_output[:, -1:]  # (B, 1, F)
        closed = [x for pair in zip(features, newlines, strict=True) for x in pair]
        seen.pooler_output = torch.cat(closed)[None]  # as if of one video
        return Seen({"video": seen}, features)

    def lay_out(
        self,
        times_s: NDArray[np.float64],
        grid: Grid,
        config: Any,
        tokenizer: PreTrainedTokenizerBase,
    ) -> ChunkLayout:
        """Lay out a chunk as `<time>`, the visual tokens of all frames, a newline.

        The family has no stamps of its own: this one is text before a video.
        """
        stamp = encode_text(tokenizer, time_stamp(times_s[0]))
        between: list[list[int]] = [[]] * (grid[0] - 1)
        return lay_out_in_a_row(
            [stamp, *between, [config.video_token_id]],
            config.video_token_id,
            grid[1] * grid[2],
            len(stamp),
        )
