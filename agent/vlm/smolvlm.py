"""SmolVLM2: each frame is a picture of its own behind a line that says its time.

The family was trained on minutes and seconds from the video's start, as in `Frame from
01:02:`; a camera that runs for weeks is told the time of day in the same line. The
sentence that the library puts before a video, with its number of frames and its length,
is left out: a stream has neither.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.models.smolvlm.processing_smolvlm import (
    DEFAULT_CHAT_TEMPLATE,
    DEFAULT_MEDIA_OUTTRO,
    FRAME_TIMESTAMP_MESSAGE,
)

from agent.vlm.family import Grid, Seen, VideoTurn, taken
from agent.vlm.layout import ChunkLayout, lay_out_pictures, time_of_day
from agent.vlm.squares import SquareSettings, square

_AROUND, _WHOLE = "<fake_token_around_image>", "<global-img>"


class SmolVLM2:
    """The family, on Llama: positions have one row."""

    title = "SmolVLM2"
    position_rows = 1
    video_turn = VideoTurn("<video>", DEFAULT_CHAT_TEMPLATE, DEFAULT_MEDIA_OUTTRO)
    markers = (_AROUND, _WHOLE)

    def settings(
        self, facts: dict[str, Any], config: Any, max_pixels: int | None
    ) -> SquareSettings:
        """Give how frames are squared: `max_pixels` changes nothing here."""
        size = facts.get("video_sampling", {}).get("video_size") or facts.get("size")
        longest = (size or {}).get("longest_edge")
        return SquareSettings.of(facts, config.vision_config.image_size, longest)

    def visual_grid(
        self, frames: tuple[int, int, int], config: Any, by: SquareSettings
    ) -> Grid:
        """Give the grid of the tower, shuffled together by the scale factor."""
        side = by.side // config.vision_config.patch_size // config.scale_factor
        return frames[0], side, side

    def see(
        self,
        module: Any,
        chunks: Sequence[NDArray[np.uint8]],
        kept: Sequence[Tensor],
        by: SquareSettings,
    ) -> Seen:
        """Run the vision tower."""
        frames = torch.stack([square(pixels, by) for pixels in chunks])
        frames = frames.to(module.device, module.dtype)
        seen = module.model.get_image_features(frames, return_dict=True)
        seen.pooler_output = taken(seen.pooler_output, kept)
        return Seen({"image": seen}, seen.pooler_output)

    def lay_out(
        self,
        times_s: NDArray[np.float64],
        grid: Grid,
        config: Any,
        tokenizer: PreTrainedTokenizerBase,
    ) -> ChunkLayout:
        """Lay out each frame behind its time, between the family's own markers."""
        return lay_out_pictures(
            [
                FRAME_TIMESTAMP_MESSAGE.format(timestamp=time_of_day(time_s))
                for time_s in times_s
            ],
            (_AROUND + _WHOLE, _AROUND),
            tokenizer,
            config.image_token_id,
            grid[1] * grid[2],
        )
