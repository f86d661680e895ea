"""Several readers' caches side by side, for calls of the stock class.

Readers' caches and tokens may be more or fewer. Whatever is shorter is filled up behind
its end, and a mask hides what was filled up from all that comes later.

    B  readers   L  layers   H  heads   S  tokens of the longest run   D  head size
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from agent.vlm.layout import TokenRun
from memory.rehydration import MixedCache


@dataclass(slots=True, eq=False)
class Batch:
    """Caches side by side, and what of them is real.

    Attributes:
        keys: Post-RoPE, (L, B, H, capacity, D).
        values: (L, B, H, capacity, D).
        is_real: Which tokens are a reader's own, (B, capacity), bool.
        next_positions: Rotary position of each reader's next token.
        num_tokens: Tokens filled, of every reader alike.
        has_gaps: Whether any of these is not a reader's own.
    """

    keys: Tensor
    values: Tensor
    is_real: Tensor
    next_positions: list[int]
    num_tokens: int = 0
    has_gaps: bool = False

    @classmethod
    def of(cls, caches: Sequence[MixedCache], room: int) -> "Batch":
        """Put caches side by side; one alone is used as it is, not copied.

        Args:
            caches: Of each reader; one alone has the room already.
            room: Tokens that may still be written behind the longest.
        """
        longest = max(cache.num_tokens for cache in caches)
        if len(caches) == 1:
            keys, values = caches[0].keys[:, None], caches[0].values[:, None]
        else:
            capacity = longest + room
            keys = _side_by_side([c.keys for c in caches], caches, capacity)
            values = _side_by_side([c.values for c in caches], caches, capacity)
        is_real = torch.ones(
            len(caches), keys.shape[3], dtype=torch.bool, device=keys.device
        )
        starts = [cache.next_position for cache in caches]
        batch = cls(keys, values, is_real, starts)
        batch._fill([cache.num_tokens for cache in caches])
        return batch

    @property
    def mask(self) -> Tensor | None:
        """Which of the tokens filled may be looked at, (B, T); None if all may."""
        return self.is_real[:, : self.num_tokens] if self.has_gaps else None

    def ids_of(self, runs: Sequence[TokenRun]) -> Tensor:
        """Give each reader's next tokens, (B, S), int64."""
        return pad_sequence(
            [run.token_ids for run in runs],
            batch_first=True,
            padding_value=int(runs[0].token_ids[0]),  # text, never a picture
        )

    def positions_of(self, runs: Sequence[TokenRun]) -> Tensor:
        """Give where they stand, (3, B, S), float32."""
        starts = zip(runs, self.next_positions, strict=True)
        rows = [(run.positions + start).T for run, start in starts]  # (S, 3) each
        return pad_sequence(rows, batch_first=True).permute(2, 0, 1)

    def advance(self, runs: Sequence[TokenRun]) -> None:
        """Count these runs as written behind the caches."""
        self._fill([len(run.token_ids) for run in runs])
        spans = zip(self.next_positions, runs, strict=True)
        self.next_positions = [start + run.span for start, run in spans]

    def _fill(self, lengths: Sequence[int]) -> None:
        """Count so many more tokens of each reader as filled."""
        end = self.num_tokens + max(lengths)
        if len(set(lengths)) > 1:
            self.has_gaps = True
            for reader, length in enumerate(lengths):
                self.is_real[reader, self.num_tokens + length : end] = False
        self.num_tokens = end


def _side_by_side(
    parts: Sequence[Tensor], caches: Sequence[MixedCache], capacity: int
) -> Tensor:
    """Copy (L, H, capacity, D) into (L, B, H, capacity, D).

    What is filled up is zero: a mask takes no NaN of memory never written away.
    """
    layers, heads, _, size = parts[0].shape
    whole = parts[0].new_zeros(layers, len(parts), heads, capacity, size)
    for reader, (part, cache) in enumerate(zip(parts, caches, strict=True)):
        filled = slice(cache.num_tokens)
        whole[:, reader, :, filled] = part[:, :, filled]
    return whole
