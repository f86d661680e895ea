"""The relevance of everything in a time, as recall asks about it."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memory.chunk_reader import ChunkReader
from memory.errors import ArchiveUnavailableError
from memory.index import Window
from memory.kv import ChunkId, Node
from memory.relevance import IndexHeads
from memory.two_stages import TwoStages

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Relevance:
    """Scores of chunks, and of nodes by the chunks in them.

    Attributes:
        window: The chunks that were judged.
        scores: Of each, (C,), summing to 1, or all 0.
    """

    window: Window
    scores: Tensor

    @classmethod
    def of(cls, window: Window, scores: Tensor) -> "Relevance":
        """Build from scores of any sum."""
        total = scores.sum()
        return cls(window, scores / total if total else scores)

    def best(self, count: int) -> list[ChunkId]:
        """Give the best chunks, the best first; one of score 0 is none."""
        values, places = self.scores.topk(min(count, len(self.scores)))
        return [
            self.window.chunk(place)
            for place, value in zip(places.tolist(), values.tolist(), strict=True)
            if value > 0
        ]

    def of_nodes(self, nodes: Sequence[Node]) -> list[float]:
        """Give each node the score of the best chunk that begins in its time."""
        found = [0.0] * len(nodes)
        for camera in {node.id.camera for node in nodes}:
            own = [n for n, node in enumerate(nodes) if node.id.camera == camera]
            own.sort(key=lambda n: nodes[n].id)
            best = self._best_of(camera, [nodes[n].id for n in own])
            for number, score in zip(own, best, strict=True):
                found[number] = score
        return found

    def _best_of(self, camera: str, nodes: Sequence[ChunkId]) -> list[float]:
        """Do the same for one camera's nodes, in the order of their starts."""
        starts = torch.tensor([node.start_ms for node in nodes])  # (nodes,)
        ends = torch.tensor([node.end_ms for node in nodes])  # (nodes,)
        best = torch.zeros(len(nodes))
        first = 0
        for page in self.window.pages:
            end = first + len(page.starts_ms)
            if page.camera == camera:
                owner = torch.bucketize(page.starts_ms, starts, right=True) - 1  # (c,)
                owner.clamp_(min=0)
                is_in = (starts[owner] <= page.starts_ms) & (
                    page.starts_ms < ends[owner]
                )
                scores = self.scores[first:end] * is_in  # (c,)
                best.scatter_reduce_(0, owner, scores, reduce="amax")
            first = end
        return best.tolist()


async def judge(
    reader: ChunkReader, window: Window, queries: Tensor, heads: IndexHeads
) -> Relevance:
    """Judge the chunks of a window in two stages.

    Those of the short list whose fine keys can't be read stay judged by their marks.

    Args:
        reader: Reads the fine keys that are in the archive only.
        window: The chunks.
        queries: Pre-RoPE queries of the question's tokens in `heads.query_heads`,
            (Q', T, D), on the CPU.
        heads: What the index holds.
    """
    if not window.pages:
        return Relevance(window, torch.zeros(0))
    stages = await asyncio.to_thread(TwoStages, queries, window.pages, heads)
    short_list = stages.short_list().tolist()
    found = {p: keys for p in short_list if (keys := window.keys(p)) is not None}
    others = {window.chunk(p): p for p in short_list if p not in found}
    try:
        async for batch in reader.keys(list(others)):
            found |= {others[k.id]: k for k in batch if k.index_keys.shape[1]}
    except ArchiveUnavailableError as exc:
        logger.warning("old chunks are judged by their marks: %s", exc)
    if found:
        places = torch.tensor(list(found))
        await asyncio.to_thread(stages.refine, places, list(found.values()))
    return Relevance.of(window, stages.scores)
