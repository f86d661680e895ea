"""Where a stream's chunks stand in the cache that a question reads.

Memory is read for hours, at positions that no stream of a lesson reaches, and coarse
chunks take fewer positions than whole ones. So a lesson's chunks stand in their natural
places in half of the streams only; in the others some stand as close as coarse chunks
do, or with gaps between. Keys and values stay whole: compression is never trained on.

    G  streams   N  chunks of a stream
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_NATURAL, _MIXED = 0.5, 0.3  # of streams; the others have gaps
_COARSE = (3, 12)  # positions of a coarse chunk
_FINE = 0.15  # of a mixed stream's chunks, those that stand as whole ones
_FARTHEST = 60_000  # positions of the longest stream with gaps


@dataclass(frozen=True, slots=True)
class Spread:
    """Where chunks stand.

    Attributes:
        starts: First position of each chunk, sink not counted, (G, N).
        widths: Positions that each takes, (G, N).
        ends: First position behind each stream, (G,).
    """

    starts: Tensor
    widths: Tensor
    ends: Tensor

    @classmethod
    def close(cls, widths: Tensor) -> "Spread":
        """Stand chunk behind chunk, each as wide as is said, (G, N)."""
        return cls._behind(widths, torch.zeros_like(widths))

    @classmethod
    def deal(
        cls, rng: np.random.Generator, streams: int, chunks: int, span: int
    ) -> "Spread":
        """Deal each stream one of the three ways.

        Args:
            rng: Deals.
            streams: How many.
            chunks: Of each.
            span: Positions that a whole chunk takes.
        """
        widths = np.full((streams, chunks), span)
        gaps = np.zeros((streams, chunks))
        for stream, way in enumerate(rng.random(streams)):
            if way < _NATURAL:
                continue
            if way < _NATURAL + _MIXED:
                coarse = rng.random(chunks) > _FINE
                coarse[-1] = False  # the newest chunk is always read whole
                widths[stream, coarse] = rng.integers(*_COARSE)
            else:
                parts = rng.random(chunks) ** 4
                most = np.exp(rng.uniform(np.log(span * chunks), np.log(_FARTHEST)))
                gaps[stream] = np.floor(most * parts / parts.sum())
        return cls._behind(torch.from_numpy(widths), torch.from_numpy(gaps).long())

    @classmethod
    def _behind(cls, widths: Tensor, gaps: Tensor) -> "Spread":
        """Stand chunk behind chunk, a gap before each, both (G, N)."""
        taken = (widths + gaps).cumsum(dim=1)
        return cls(taken - widths, widths, taken[:, -1])
