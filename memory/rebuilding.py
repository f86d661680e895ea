"""After a restart: what was remembered becomes resident again, the newest first.

H-KV of the nodes that stand for everything, then the index keys of every chunk. No
L-KV is read. Meanwhile questions are answered from what is there.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from memory.chunk_reader import ChunkReader
from memory.consolidation import uncovered
from memory.consolidator import Consolidator
from memory.index import ChunkIndex
from memory.kv import ChunkId
from memory.resident import ResidentMemory


@dataclass(slots=True, eq=False)
class Loading:
    """How far memory is loaded.

    Attributes:
        is_listed: Whether it is known what there is to load.
        is_done: Whether nothing is left to load.
        num_nodes: Nodes that are resident again.
        num_left_out: Nodes that the budget had no room for.
        num_keys: Chunks that are in the index again.
        total: Nodes and chunks to load.
    """

    is_listed: bool = True
    is_done: bool = True
    num_nodes: int = 0
    num_left_out: int = 0
    num_keys: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """What is loaded of it, 0 to 1."""
        done = self.num_nodes + self.num_left_out + self.num_keys
        return 1.0 if self.is_done or not self.total else done / self.total


Listed = Mapping[str, tuple[set[ChunkId], list[ChunkId]]]
"""Of each camera its chunks and its nodes."""


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads what is stored, the newest of all cameras first.

    Attributes:
        reader: Reads it.
        resident: Where H-KV goes, until its budget is full.
        index: Where index keys go.
        consolidator: Makes room for older H-KV.
    """

    reader: ChunkReader
    resident: ResidentMemory
    index: ChunkIndex
    consolidator: Consolidator

    async def load(self, listed: Listed, loading: Loading) -> None:
        """Load all that is listed and not here yet.

        Args:
            listed: What there is.
            loading: Is told how far it is.

        Raises:
            ArchiveUnavailableError: The archive does not answer; what is loaded stays.
        """
        top = await asyncio.to_thread(self._top, listed)
        chunks = _newest_first(chain.from_iterable(c for c, _ in listed.values()))
        chunks = [chunk for chunk in chunks if not self.index.has(chunk)]
        loading.total = len(top) + len(chunks)
        async for node in self.reader.nodes(top):
            tokens = node.high.num_tokens
            await self.consolidator.make_room(self.resident, tokens)
            if not self.resident.has_room(tokens):
                break
            self.resident.insert(node)
            loading.num_nodes += 1
        loading.num_left_out = len(top) - loading.num_nodes
        async for batch in self.reader.keys(chunks):
            self.index.add(batch)
            loading.num_keys += len(batch)
        loading.is_done = True

    def _top(self, listed: Listed) -> list[ChunkId]:
        """Give the nodes that stand for everything, each time once."""
        found: list[ChunkId] = []
        for camera, (chunks, nodes) in listed.items():
            here = {node.id for node in self.resident.nodes([camera])}
            found += set(uncovered([*chunks, *nodes, *here])) - here
        return _newest_first(found)


def _newest_first(ids: Iterable[ChunkId]) -> list[ChunkId]:
    return sorted(ids, key=lambda id: id.start_ms, reverse=True)
