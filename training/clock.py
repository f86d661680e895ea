"""A lesson besides the answers: what is read of a chunk is to know what time it is.

The time stands in text before a frame pair. Each of its visual tokens (or of its
summary tokens) is told to look there in the first layer, and is asked what it found;
nothing of this is left in the model.

    G  streams   N  chunks of a stream   H  heads   S  tokens of a chunk
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from agent.vlm.qwen3_vl import ChunkLayout
from training.footage import PAIRS_PER_CHUNK
from training.reading import FirstLayer

_UNITS = (24, 60, 60)  # hours, minutes, seconds: a token of the stamp each
_LOOKERS = ((2, 1), (3, 2))  # heads, and the token of the stamp that each looks at


class ClockJudge(nn.Module):
    """Judges whether tokens know the time; has a linear layer that reads it."""

    def __init__(self, size: int, layout: ChunkLayout, tokens: Tensor) -> None:
        super().__init__()
        self.told = nn.Linear(size, sum(_UNITS))
        self._tokens = tokens  # of a chunk, those that are to know it, (X,)
        step = len(layout.token_ids) // PAIRS_PER_CHUNK
        self._pairs = tokens // step
        self._stamps = self._pairs * step  # first token of each one's stamp

    def forward(self, first: FirstLayer, stamps: Tensor) -> Tensor:
        """Give the loss of looking at the time and of telling it.

        Args:
            first: What the first layer made of the chunks.
            stamps: Second of the day of each frame pair, (G, N, pairs).
        """
        loss = torch.zeros(())
        for head, offset in _LOOKERS:
            looks = first.looks[:, :, head, self._tokens, self._stamps + offset]
            loss = loss - looks.mean()
        told = self.told(first.hidden[:, :, self._tokens]).float().flatten(0, 2)
        each = stamps[:, :, self._pairs].flatten()
        wanted = (each // 3600 % 24, each // 60 % 60, each % 60)
        for part, right in zip(told.split(_UNITS, dim=-1), wanted, strict=True):
            loss = loss + functional.cross_entropy(part, right)
        return loss
