"""Qwen3-VL: how a chunk is written down for this family.

Each temporal patch is a vision block of its own behind a time stamp in text. The family
was trained on stamps in seconds and on stamps as hours, minutes and seconds; a camera
that runs for weeks is told the time of day.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, Qwen3VLConfig


@dataclass(frozen=True, slots=True, eq=False)
class ChunkLayout:
    """The tokens of a chunk and where they stand.

    Attributes:
        token_ids: (S,), int64.
        positions: From the chunk's start, (3, S), float32: time, height, width.
        span: Positions the chunk takes.
        visual_tokens: Indices of the visual tokens, (V,), int64.
        pinned_tokens: Indices of the first time stamp's tokens, (P,), int64.
        summaries: Indices of each set of summary tokens, int64; none unless the model
            was trained to write them (`summary_token_ids` in its configuration).
    """

    token_ids: Tensor
    positions: Tensor
    span: int
    visual_tokens: Tensor
    pinned_tokens: Tensor
    summaries: tuple[Tensor, ...]


def time_stamp(time_s: float) -> str:
    """Write a moment as the model reads it, UTC."""
    return f"<{datetime.fromtimestamp(time_s, UTC):%H:%M:%S}>"


def lay_out(
    times_s: list[float],
    grid: tuple[int, int, int],
    config: Qwen3VLConfig,
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
        stamp = tokenizer.encode(time_stamp(time_s), add_special_tokens=False)
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
        end = text_positions(position, 1)
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


def text_positions(start: int, num_tokens: int) -> Tensor:
    """Give the positions of text, (3, S), float32: the three rows are the same."""
    return torch.arange(start, start + num_tokens).float().expand(3, -1)
