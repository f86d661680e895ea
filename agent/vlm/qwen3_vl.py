"""Qwen3-VL: how a chunk is written down for this family.

Each temporal patch is a vision block of its own behind a time stamp in text. The family
was trained on stamps in seconds and on stamps as hours, minutes and seconds; a camera
that runs for weeks is told the time of day.
"""

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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
    grid: Grid,
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
    stamps = [encode_text(tokenizer, time_stamp(time_s)) for time_s in times_s]
    return _join([_lay_out_pair(stamp, grid, config) for stamp in stamps])


def _lay_out_pair(stamp: list[int], grid: Grid, config: Any) -> ChunkLayout:
    """Lay out one temporal patch."""
    _, rows, columns = grid
    before = [*stamp, config.vision_start_token_id]
    pads = [config.video_token_id] * (rows * columns)
    sets: list[list[int]] = getattr(config, "summary_token_ids", [])
    closing = [config.vision_end_token_id, *chain.from_iterable(sets)]
    first, end = len(before), len(before) + max(rows, columns)
    written = len(before) + len(pads) + 1  # where the first summary token stands
    place = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).T  # (2, V)
    visual = torch.cat((torch.zeros(1, len(pads)), place))  # (3, V)
    closed = text_positions(end, 1).expand(-1, len(closing))
    return ChunkLayout(
        torch.tensor([*before, *pads, *closing]),
        torch.cat((text_positions(0, first), visual + first, closed), dim=1),
        end + 1,
        first + torch.arange(len(pads)),
        torch.arange(len(stamp)),
        (written + torch.arange(len(closing) - 1)).split([len(ids) for ids in sets]),
    )


def _join(parts: Sequence[ChunkLayout]) -> ChunkLayout:
    """Stand parts of a chunk one behind the other; the first one's stamp is pinned."""
    tokens = accumulate((len(part.token_ids) for part in parts), initial=0)
    spans = accumulate((part.span for part in parts), initial=0)
    placed = list(zip(parts, tokens, spans, strict=False))  # less the two totals
    written = [[at + ids for ids in part.summaries] for part, at, _ in placed]
    return ChunkLayout(
        torch.cat([part.token_ids for part in parts]),
        torch.cat([part.positions + start for part, _, start in placed], dim=1),
        sum(part.span for part in parts),
        torch.cat([at + part.visual_tokens for part, at, _ in placed]),
        parts[0].pinned_tokens,
        tuple(torch.cat(of_set) for of_set in zip(*written, strict=True)),
    )


def mean_times(times_s: NDArray[np.float64], depth: int) -> list[float]:
    """Give the mean time of the frames of each temporal patch, `depth` frames each."""
    return [float(times_s[i : i + depth].mean()) for i in range(0, len(times_s), depth)]
