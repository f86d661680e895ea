"""From nodes that stand for a long time down to the chunks in them.

What is old is resident as a node of an hour or a day. A question opens as few as it
needs: down to the chunks it means (`descend`), and, if it names a time, as finely
everywhere in that time as its budget allows (`reach`). Children come from the archive;
one that can't be read stays what its parent says of it.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from memory.chunk_reader import ChunkReader, Times
from memory.consolidation import open_node, within
from memory.errors import ArchiveUnavailableError
from memory.kv import ChunkId, Node


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What can be read.

    Attributes:
        nodes: Camera after camera, each in time order.
        is_whole: False if the archive could not be asked for more.
    """

    nodes: tuple[Node, ...]
    is_whole: bool


async def descend(
    reader: ChunkReader, nodes: Sequence[Node], chunks: Iterable[ChunkId]
) -> Reach:
    """Open nodes down to some chunks; each level takes one round to the archive.

    Args:
        reader: Reads children.
        nodes: In any order.
        chunks: Those that are wanted. One that no node leads to is read as it is.
    """
    opened = {node.id: node for node in nodes}
    wanted = [chunk for chunk in chunks if chunk not in opened]
    asked: set[ChunkId] = set()
    while wanted:
        steps = {chunk: _step(opened.values(), chunk, asked) for chunk in wanted}
        ids = {id for _, id in steps.values()} - asked
        if not ids:
            break
        asked |= ids
        try:
            found = {node.id: node async for node in reader.nodes(sorted(ids))}
        except ArchiveUnavailableError:
            return Reach(_in_order(opened.values()), is_whole=False)
        holders = {holder.id: holder for holder, _ in steps.values() if holder}
        for holder in holders.values():
            del opened[holder.id]
            opened |= {n.id: n for n in open_node(holder, list(found.values()))}
        opened |= {
            id: found[id] for holder, id in steps.values() if not holder and id in found
        }
        wanted = [chunk for chunk in wanted if chunk not in opened]
    return Reach(_in_order(opened.values()), is_whole=True)


async def reach(
    reader: ChunkReader,
    nodes: Sequence[Node],
    missing: Iterable[ChunkId],
    times: Times,
    max_tokens: int,
) -> Reach:
    """Read what was remembered of a time as finely as fits.

    Args:
        reader: Reads what is not resident.
        nodes: What is resident of it.
        missing: Chunks of it that no node stands for.
        times: The time; what is outside is left out.
        max_tokens: Most H-KV tokens to read; the newest get it first.
    """
    held = list(nodes)
    room = max_tokens - _tokens(held)
    try:
        newest_first = sorted(missing, key=lambda id: id.start_ms, reverse=True)
        async for node in reader.nodes(newest_first):
            room -= node.high.num_tokens
            if room < 0:
                break
            held.append(node)
        asked: set[ChunkId] = set()
        while opening := _to_open(held, max_tokens - _tokens(held), asked):
            ids = [s.child for node in opening for s in node.sections]
            asked |= set(ids)
            found = [node async for node in reader.nodes(ids)]
            opened = chain.from_iterable(
                open_node(node, found) if node in opening else [node] for node in held
            )
            inside = (within(node, *times) for node in opened)
            held = [node for node in inside if node is not None]
    except ArchiveUnavailableError:
        return Reach(_in_order(n for n in held if not n.is_empty), is_whole=False)
    return Reach(_in_order(n for n in held if not n.is_empty), is_whole=True)


def _to_open(nodes: Sequence[Node], room: int, asked: set[ChunkId]) -> list[Node]:
    """Choose the nodes to open at once: the coarsest, the newest first, while they fit.

    One whose children were asked for in vain is left as it is.
    """
    closed = [
        node
        for node in nodes
        if node.sections and not asked.issuperset(s.child for s in node.sections)
    ]
    if not closed:
        return []
    coarsest = max(node.id.tier for node in closed)
    opening = []
    newest_first = sorted(closed, key=lambda node: node.id.start_ms, reverse=True)
    for node in newest_first:
        growth = sum(s.high_tokens for s in node.sections) - node.high.num_tokens
        if node.id.tier == coarsest and growth <= room:
            room -= growth
            opening.append(node)
    return opening


def _step(
    nodes: Iterable[Node], chunk: ChunkId, asked: Container[ChunkId]
) -> tuple[Node | None, ChunkId]:
    """Give the node to open on the way to a chunk, and the child to open it at.

    Where there is none, or its child was asked for in vain: the chunk itself.
    """
    times = chunk.start_ms, chunk.start_ms + 1
    for node in nodes:
        if node.id.camera == chunk.camera and node.id.overlaps(*times):
            for section in node.sections:
                child = section.child
                if child.start_ms <= chunk.start_ms < child.end_ms:
                    return (None, chunk) if child in asked else (node, child)
    return None, chunk


def _tokens(nodes: Iterable[Node]) -> int:
    return sum(node.high.num_tokens for node in nodes)


def _in_order(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple(sorted(nodes, key=lambda node: node.id))
