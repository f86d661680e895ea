"""Several readers' caches and tokens side by side, for one call of the stock class.

Caches must be filled alike; tokens may be more or fewer. Shorter runs are padded at
their end: nothing looks at what comes later, so the padding changes nothing.

    B  readers   L  layers   H  heads   S  tokens of the longest run   D  head size
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from agent.vlm.layout import TokenRun
from memory.rehydration import MixedCache


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one call runs, and over what.

    Attributes:
        token_ids: (B, S), int64.
        positions: In the cache, (3, B, S), float32.
        keys: Post-RoPE, with room for S more tokens, (L, B, H, capacity, D).
        values: (L, B, H, capacity, D).
        num_tokens: Tokens of each cache before.
    """

    token_ids: Tensor
    positions: Tensor
    keys: Tensor
    values: Tensor
    num_tokens: int

    @classmethod
    def of(cls, caches: Sequence[MixedCache], runs: Sequence[TokenRun]) -> "Batch":
        """Put each run behind its cache; one cache is used as it is, not copied.

        Raises:
            ValueError: The caches are not filled alike.
        """
        filled = {cache.num_tokens for cache in caches}
        if len(filled) != 1:
            raise ValueError(f"caches of {sorted(filled)} tokens can't go together")
        placed = [
            run.positions + cache.next_position
            for cache, run in zip(caches, runs, strict=True)
        ]  # (3, S) each
        rows = pad_sequence([p.T for p in placed], batch_first=True)  # (B, S, 3)
        return cls(
            pad_sequence(
                [run.token_ids for run in runs],
                batch_first=True,
                padding_value=int(runs[0].token_ids[0]),  # text, never a picture
            ),
            rows.permute(2, 0, 1),
            _side_by_side([cache.keys for cache in caches]),
            _side_by_side([cache.values for cache in caches]),
            filled.pop(),
        )

    def added(self, reader: int, num_tokens: int) -> tuple[Tensor, Tensor]:
        """Give a reader's own new keys and values, each (L, H, S, D)."""
        new = slice(self.num_tokens, self.num_tokens + num_tokens)
        return self.keys[:, reader, :, new], self.values[:, reader, :, new]


def _side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """Stack (L, H, capacity, D) as readers, (L, B, H, capacity, D)."""
    return parts[0][:, None] if len(parts) == 1 else torch.stack(list(parts), dim=1)
