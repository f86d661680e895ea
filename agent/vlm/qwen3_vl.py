"""Qwen3-VL: how a chunk is written down for this family.

Each temporal patch is a vision block of its own behind a time stamp in text. The family
was trained on stamps in seconds and on stamps as hours, minutes and seconds; a camera
that runs for weeks is told the time of day.
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

__all__ = ["ChunkLayout", "Qwen3VL", "lay_out", "time_stamp"]


class Qwen3VL(PatchTower):
    """The family; with DeepStack, whose features are part of what is seen."""

    title = "Qwen3-VL"

    def lay_out(
        self,
        times_s: NDArray[np.float64],
        grid: Grid,
        config: Any,
        tokenizer: PreTrainedTokenizerBase,
    ) -> ChunkLayout:
        """Stamp each temporal patch with the mean time of its frames."""
        depth = config.vision_config.temporal_patch_size
        return lay_out(mean_times(times_s, depth), grid, config, tokenizer)


def lay_out(
    times_s: list[float],
    grid: tuple[int, int, int],
    config: Any,
    tokenizer: PreTrainedTokenizerBase,
) -> ChunkLayout:
    """Lay out a chunk as `<time><|vision_start|>pads<|vision_end|>` per temporal patch.

    Summary tokens, if any, stand behind it, all where the vision end stands.

    Args:
        times_s: UTC of each temporal patch.
        grid: Visual tokens as (frames, rows, columns), after merging.
        config: The model's configuration.
        tokenizer: The model's tokenizer.
    """
    _, rows, columns = grid
    place = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).T  # (2, P)
    visual = torch.cat((torch.zeros(1, rows * columns), place))  # (3, P)
    ids: list[int] = []
    positions: list[Tensor] = []
    visual_tokens: list[Tensor] = []
    sets: list[list[int]] = getattr(config, "summary_token_ids", [])
    written: list[list[int]] = [[] for _ in sets]
    position, pinned = 0, 0
    for time_s in times_s:
        stamp = encode_text(tokenizer, time_stamp(time_s))
        pinned = pinned or len(stamp)
        before = [*stamp, config.vision_start_token_id]
        ids += before
        visual_tokens.append(len(ids) + torch.arange(rows * columns))
        ids += [config.video_token_id] * (rows * columns) + [config.vision_end_token_id]

        positions.append(text_positions(position, len(before)))
        position += len(before)
        positions.append(visual + position)
        position += max(rows, columns)
        for tokens, places in zip(sets, written, strict=True):
            places += range(len(ids), len(ids) + len(tokens))
            ids += tokens
        end = text_positions(position, 1)  # (3, 1)
        positions.append(end.expand(-1, 1 + sum(map(len, sets))))
        position += 1
    return ChunkLayout(
        torch.tensor(ids),
        torch.cat(positions, dim=1).float(),
        position,
        torch.cat(visual_tokens),
        torch.arange(pinned),
        tuple(torch.tensor(places) for places in written),
    )


def mean_times(times_s: NDArray[np.float64], depth: int) -> list[float]:
    """Give the mean time of the frames of each temporal patch, `depth` frames each."""
    return [float(times_s[i : i + depth].mean()) for i in range(0, len(times_s), depth)]
