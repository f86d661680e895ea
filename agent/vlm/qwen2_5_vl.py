"""Qwen2.5-VL: a chunk is one video, whose positions grow with time inside it.

Time goes by `tokens_per_second` of the vision configuration; rows and columns count
from the video's start. What follows stands behind the larger side of a frame, wherever
time went, so a chunk's times may overlap with those of the next, as in the library.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from agent.vlm.family import Grid
from agent.vlm.layout import ChunkLayout, encode_text, text_positions, time_stamp
from agent.vlm.patches import PatchTower


class Qwen25VL(PatchTower):
    """The family."""

    title = "Qwen2.5-VL"

    def lay_out(
        self,
        times_s: NDArray[np.float64],
        grid: Grid,
        config: Any,
        tokenizer: PreTrainedTokenizerBase,
    ) -> ChunkLayout:
        """Lay out a chunk as `<time><|vision_start|>pads<|vision_end|>`.

        The family has no stamps of its own: this one is text before a video.
        """
        stamp = encode_text(tokenizer, time_stamp(times_s[0]))
        before = [*stamp, config.vision_start_token_id]
        starts = times_s[:: config.vision_config.temporal_patch_size]
        visual = video_positions(starts, grid, config.vision_config.tokens_per_second)
        count = visual.shape[1]
        first, end = len(before), len(before) + max(grid[1:])
        positions = (text_positions(0, first), visual + first, text_positions(end, 1))
        pads = [config.video_token_id] * count
        return ChunkLayout(
            torch.tensor([*before, *pads, config.vision_end_token_id]),
            torch.cat(positions, dim=1),
            end + 1,
            first + torch.arange(count),
            torch.arange(len(stamp)),
        )


def video_positions(
    starts_s: NDArray[np.float64], grid: Grid, tokens_per_second: float
) -> Tensor:
    """Give the positions of a video's visual tokens from its start, (3, V).

    Args:
        starts_s: Time of the first frame of each temporal patch.
        grid: Visual tokens as (frames, rows, columns).
        tokens_per_second: Positions that a second takes.
    """
    passed_s = torch.tensor(starts_s - starts_s[0]).round(decimals=3)
    time = (passed_s * tokens_per_second).floor()  # (frames,)
    rows, columns = torch.arange(grid[1]), torch.arange(grid[2])
    return torch.cartesian_prod(time.float(), rows.float(), columns.float()).T
