"""The H-KV that is on the device, under a token budget: coarser the older it is.

It may not grow with time. When the budget is passed, old neighbours are consolidated
(`consolidation.py`); only if there are none does the oldest node leave. Everything
stays in the archive. Beside the H-KV, the L-KV of each camera's newest chunks is kept,
so that a question about now needs no archive.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from operator import attrgetter

from memory.compression.bilevel import CompressedChunk
from memory.consolidation import next_group, within
from memory.kv import KV, ChunkId, Node

_by_id = attrgetter("id")


class ResidentMemory:
    """All cameras' resident nodes. Belongs to the event loop; hands out snapshots.

    Args:
        budget_tokens: Most H-KV tokens of all cameras together.
        newest: Chunks of each camera whose L-KV is kept, too.
    """

    def __init__(self, budget_tokens: int, newest: int) -> None:
        self._budget_tokens = budget_tokens
        self._newest = newest
        self._nodes: dict[str, list[Node]] = {}
        self._fine: dict[str, OrderedDict[ChunkId, KV]] = {}
        self.num_tokens = 0
        self.num_evicted = 0

    def retain(self, chunk: CompressedChunk) -> None:
        """Keep a chunk just remembered, and its L-KV while it is among the newest."""
        self.insert(chunk.memory.node)
        fine = self._fine.setdefault(chunk.memory.id.camera, OrderedDict())
        fine[chunk.memory.id] = chunk.low
        while len(fine) > self._newest:
            fine.popitem(last=False)

    def insert(self, node: Node) -> None:
        """Keep a node's H-KV, in its place in time; known nodes are left alone.

        The oldest nodes of all cameras are evicted while the budget is passed.
        """
        nodes = self._nodes.setdefault(node.id.camera, [])
        at = bisect_left(nodes, node.id, key=_by_id)
        if at < len(nodes) and nodes[at].id == node.id:
            return
        nodes.insert(at, node)
        self.num_tokens += node.high.num_tokens
        while self.num_tokens > self._budget_tokens:
            self._evict_oldest()

    def replace(self, children: Sequence[Node], node: Node) -> bool:
        """Keep a node in the place of its children, if all of them are still here."""
        nodes = self._nodes.get(node.id.camera, [])
        start = bisect_left(nodes, children[0].id, key=_by_id)
        here = nodes[start : start + len(children)]
        if [each.id for each in here] != [child.id for child in children]:
            return False
        nodes[start : start + len(children)] = [node]
        self.num_tokens += node.high.num_tokens
        self.num_tokens -= sum(child.high.num_tokens for child in children)
        return True

    def next_group(self) -> list[Node]:
        """Give the neighbours to consolidate next, none if nothing is old enough."""
        return next_group(nodes for nodes in self._nodes.values() if nodes)

    def has_room(self, tokens: int) -> bool:
        """Tell whether so many tokens fit without anything leaving."""
        return self.num_tokens + tokens <= self._budget_tokens

    def nodes(
        self,
        cameras: Sequence[str],
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> tuple[Node, ...]:
        """Give a snapshot of a window: camera after camera, in time order.

        Of a node that is only partly in it, what is of children in it.
        """
        found = (
            within(node, start_ms, end_ms)
            for camera in cameras
            for node in self._nodes.get(camera, ())
            if node.id.overlaps(start_ms, end_ms)
        )
        return tuple(node for node in found if node is not None)

    def low(self, chunk: ChunkId) -> KV | None:
        """Give a newest chunk's L-KV, None for an older one."""
        return self._fine.get(chunk.camera, OrderedDict()).get(chunk)

    def forget(self, camera: str, before_ms: int) -> None:
        """Drop what a camera's chunks were that ended by a moment."""
        self._nodes[camera] = list(self.nodes([camera], before_ms))
        self.num_tokens = sum(
            node.high.num_tokens for nodes in self._nodes.values() for node in nodes
        )
        fine = self._fine.get(camera, OrderedDict())
        for chunk in [c for c in fine if c.end_ms <= before_ms]:
            del fine[chunk]

    def _evict_oldest(self) -> None:
        oldest = min(
            (nodes for nodes in self._nodes.values() if nodes),
            key=lambda nodes: nodes[0].id.start_ms,
        )
        node = oldest.pop(0)
        self._fine.get(node.id.camera, OrderedDict()).pop(node.id, None)
        self.num_tokens -= node.high.num_tokens
        self.num_evicted += 1
