"""ReKV's retrieval (ICLR 2025) over the same chunks and model: a control.

Per layer, the frames of full KV whose mean pre-RoPE key has the largest product with
the mean pre-RoPE query of the question; key heads repeated to query heads, summed over
heads (see its code).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agent.calibration.run import every_head
from agent.vlm.model import VisionLanguageModel
from agent.vlm.text_shape import text_config
from benchmarks.contexts import Stream
from benchmarks.frames import frames_of
from memory.kv import KV


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A stream cut into frames, each with its mean key.

    Attributes:
        kv: Of each frame.
        means: Mean pre-RoPE key of each, (n, L, H, D).
    """

    kv: Sequence[KV]
    means: Tensor

    @classmethod
    def of(cls, stream: Stream) -> "Frames":
        """Cut a stream."""
        kv = frames_of(stream.wholes)
        return cls(kv, torch.stack([f.keys.float().mean(dim=2) for f in kv]))

    def read(self, queries: Tensor, tokens: int) -> list[KV]:
        """Give the frames that each layer ranks highest, in time order.

        Args:
            queries: Pre-RoPE, of the question in every head, (L, Q, T, D).
            tokens: How many to read, at least one frame.
        """
        groups = queries.shape[1] // self.means.shape[2]
        keys = self.means.repeat_interleave(groups, dim=2)  # (n, L, Q, D)
        ranked = (keys * queries.float().mean(dim=2)).sum(dim=(2, 3))  # (n, L)
        count = min(max(1, tokens // self.kv[0].num_tokens), len(self.kv))
        best = ranked.topk(count, dim=0).indices.sort(dim=0).values  # (count, L)
        return [_layered(self.kv, row) for row in best]


def all_queries(model: VisionLanguageModel, text: str, sink: KV) -> Tensor:
    """Give the pre-RoPE queries of a question in every head, (L, Q, T, D)."""
    every = model.with_heads(every_head(model)).question_queries(text, sink)
    layers = text_config(model.module.config).num_hidden_layers
    return every.unflatten(0, (layers, -1))


def _layered(frames: Sequence[KV], chosen: Tensor) -> KV:
    """Build one run whose layers come from different frames, (L,) indices."""
    picks = list(enumerate(chosen.tolist()))
    return KV(
        torch.stack([frames[i].keys[layer] for layer, i in picks]),
        torch.stack([frames[i].values[layer] for layer, i in picks]),
        torch.stack([frames[i].positions[layer] for layer, i in picks]),
        frames[0].span,
    )
