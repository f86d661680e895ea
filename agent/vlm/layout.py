"""A chunk written down as tokens, and where each stands: what all families share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True, eq=False)
class TokenRun:
    """Tokens and where they stand.

    Attributes:
        token_ids: (S,), int64.
        positions: From the run's start, (3, S), float32: time, height, width; the
            same three times in a family whose positions have one row.
        span: Positions the run takes.
    """

    token_ids: Tensor
    positions: Tensor
    span: int

    @classmethod
    def of_text(cls, token_ids: Tensor) -> "TokenRun":
        """Stand text token behind token."""
        return cls(token_ids, text_positions(0, len(token_ids)), len(token_ids))


@dataclass(frozen=True, slots=True, eq=False)
class ChunkLayout(TokenRun):
    """The tokens of a chunk and where they stand.

    Attributes:
        visual_tokens: Indices of the visual tokens, (V,), int64.
        pinned_tokens: Indices of the first time stamp's tokens, (P,), int64.
        summaries: Indices of each set of summary tokens, int64; none unless the model
            was trained to write them (`summary_token_ids` in its configuration).
    """

    visual_tokens: Tensor
    pinned_tokens: Tensor
    summaries: tuple[Tensor, ...] = ()

    def without(self, dropped: Tensor) -> "ChunkLayout":
        """Leave out some visual tokens; what stays, stays in its position.

        Args:
            dropped: Which of the visual tokens, (V,), bool.
        """
        stays = torch.ones(len(self.token_ids), dtype=torch.bool)  # (S,)
        stays[self.visual_tokens[dropped]] = False
        index = stays.cumsum(0) - 1  # (S,), where each token that stays goes
        return ChunkLayout(
            self.token_ids[stays],
            self.positions[:, stays],
            self.span,
            index[self.visual_tokens[~dropped]],
            index[self.pinned_tokens],
            tuple(index[tokens] for tokens in self.summaries),
        )


def time_of_day(time_s: float) -> str:
    """Write a moment as hours, minutes and seconds, UTC."""
    return f"{datetime.fromtimestamp(time_s, UTC):%H:%M:%S}"


def time_stamp(time_s: float) -> str:
    """Write a moment as it stands before a video, UTC."""
    return f"<{time_of_day(time_s)}>"


def text_positions(start: int, num_tokens: int) -> Tensor:
    """Give the positions of text, (3, S), float32: the three rows are the same."""
    return torch.arange(start, start + num_tokens).float().expand(3, -1)


def lay_out_in_a_row(
    texts: Sequence[Sequence[int]], visual_id: int, num_visual: int, num_pinned: int
) -> ChunkLayout:
    """Lay out frames between texts, every token one position after the one before.

    Args:
        texts: Token ids before the first frame, between frames, after the last one.
        visual_id: Token id that stands for a visual token.
        num_visual: Visual tokens of a frame.
        num_pinned: Tokens of the first time stamp, with which the first text begins.
    """
    ids = list(texts[0])
    visual_tokens: list[int] = []
    for text in texts[1:]:
        visual_tokens += range(len(ids), len(ids) + num_visual)
        ids += [visual_id] * num_visual
        ids += text
    return ChunkLayout(
        torch.tensor(ids),
        text_positions(0, len(ids)),
        len(ids),
        torch.tensor(visual_tokens),
        torch.arange(num_pinned),
    )


def lay_out_pictures(
    stamps: Sequence[str],
    markers: tuple[str, str],
    tokenizer: PreTrainedTokenizerBase,
    visual_id: int,
    num_visual: int,
) -> ChunkLayout:
    """Lay out each frame as a picture of its own, behind its stamp.

    Args:
        stamps: What tells the time of each frame.
        markers: What stands right before and right behind each picture.
        tokenizer: The model's tokenizer.
        visual_id: Token id that stands for a visual token.
        num_visual: Visual tokens of a frame.
    """
    first, *others = [encode_text(tokenizer, stamp) for stamp in stamps]
    before, after = (encode_text(tokenizer, marker) for marker in markers)
    between = [[*after, *stamp, *before] for stamp in others]
    texts = [[*first, *before], *between, after]
    return lay_out_in_a_row(texts, visual_id, num_visual, len(first))


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Give a text's token ids, and none that the tokenizer would add around it."""
    return list(tokenizer.encode(text, add_special_tokens=False))
