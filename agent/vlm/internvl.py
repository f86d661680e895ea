"""InternVL3: each frame is a picture of its own on a line of its own.

The library numbers frames, `Frame1: `; a camera's would count without end, so a frame
is told the time of day in that place.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from agent.vlm.family import Grid, Seen, VideoTurn, taken
from agent.vlm.layout import ChunkLayout, lay_out_pictures, time_of_day
from agent.vlm.squares import SquareSettings, square

_BEFORE, _AFTER = "<img>", "</img>\n"


class InternVL3:
    """The family, on Qwen2: positions have one row."""

    title = "InternVL3"
    position_rows = 1
    video_turn = VideoTurn("<video>\n")  # each frame brings its line end
    markers = (_BEFORE, _AFTER.rstrip())

    def settings(
        self, facts: dict[str, Any], config: Any, max_pixels: int | None
    ) -> SquareSettings:
        """Give how frames are squared: `max_pixels` changes nothing here."""
        return SquareSettings.of(facts, config.vision_config.image_size[0])

    def visual_grid(
        self, frames: tuple[int, int, int], config: Any, by: SquareSettings
    ) -> Grid:
        """Give the grid of the tower, shuffled together by the downsampling ratio."""
        patches = by.side // config.vision_config.patch_size[0]
        side = int(patches * config.downsample_ratio)
        return frames[0], side, side

    def see(
        self,
        module: Any,
        chunks: Sequence[NDArray[np.uint8]],
        kept: Sequence[Tensor],
        by: SquareSettings,
    ) -> Seen:
        """Run the vision tower."""
        frames = torch.cat([square(pixels, by) for pixels in chunks])
        frames = frames.to(module.device, module.dtype)
        seen = module.model.get_image_features(frames, return_dict=True)
        each = seen.pooler_output.chunk(len(chunks))  # (N, P, F) of each
        features = taken([part.flatten(0, 1) for part in each], kept)
        seen.pooler_output = torch.cat(features)  # (V of all, F)
        return Seen({"image": seen}, features)

    def lay_out(
        self,
        times_s: NDArray[np.float64],
        grid: Grid,
        config: Any,
        tokenizer: PreTrainedTokenizerBase,
    ) -> ChunkLayout:
        """Lay out each frame as `Frame 14:03:05: <img>pads</img>` and a line end."""
        return lay_out_pictures(
            [f"Frame {time_of_day(time_s)}: " for time_s in times_s],
            (_BEFORE, _AFTER),
            tokenizer,
            config.image_token_id,
            grid[1] * grid[2],
        )
