"""Old neighbours become one: chunks a minute, minutes an hour, hours a day.

H-KV would grow with every chunk. So what is old is kept coarser the older it is: a node
stands for a stretch of time with a few tokens of its children's H-KV. The children stay
in the archive, so a node can be opened again: the tokens of one child make room for
that child itself, all others stay.

Which tokens stay was measured (decision 0010): those whose keys are furthest from the
usual key, as novelty does within a chunk; averages of tokens say much less. A node says
the time once, by its first child's stamp.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import dropwhile, groupby, takewhile

import torch
from torch import Tensor

from memory.compression.selection import take_tokens
from memory.kv import KV, ChunkId, Node, Section, Tier


def bucket(id: ChunkId, tier: Tier) -> int:
    """Give the number of the minute, hour or day (UTC) that something begins in."""
    return id.start_ms // tier.duration_ms


def next_group(timelines: Iterable[Sequence[Node]]) -> list[Node]:
    """Choose the neighbours to consolidate next, none if there are none.

    That is the group with the greatest age for its length among those whose time is
    over, so that the time kept in minutes is 60 times as long as the time kept in
    chunks, whatever the budget. A budget too small for that takes the largest group of
    a time that goes on; what comes after it becomes a node of its own.

    Args:
        timelines: The resident nodes of each camera, in time order, at least one.
    """
    best: list[Node] = []
    greatest, largest = 0.0, 0
    running: list[Node] = []
    for nodes in timelines:
        for tier in (Tier.MINUTE, Tier.HOUR, Tier.DAY):
            group = _oldest_group(nodes, tier)
            if group:
                age_ms = nodes[-1].id.start_ms - group[-1].id.start_ms
                if age_ms / tier.duration_ms > greatest:
                    greatest, best = age_ms / tier.duration_ms, group
            group = _running_group(nodes, tier)
            size = sum(node.high.num_tokens for node in group)
            if size > largest:
                largest, running = size, group
    return best or running


def _oldest_group(nodes: Sequence[Node], tier: Tier) -> list[Node]:
    """Give the oldest nodes that make up a node of a tier; its time must be over."""
    for number, group in groupby(nodes, key=lambda node: bucket(node.id, tier)):
        if number >= bucket(nodes[-1].id, tier):
            break
        found = list(group)
        if all(node.id.tier >= tier - 1 for node in found):
            run = _first_run(found, tier)
            if run:
                return run
    return []


def _running_group(nodes: Sequence[Node], tier: Tier) -> list[Node]:
    """Give the nodes so far of the time that goes on, without the newest."""
    now = bucket(nodes[-1].id, tier)
    start = bisect_left(nodes, now, key=lambda node: bucket(node.id, tier))
    run = _first_run(nodes[start:-1], tier)
    return run if len(run) > 1 else []


def _first_run(nodes: Sequence[Node], tier: Tier) -> list[Node]:
    """Give the first of the nodes below a tier, as far as they follow each other."""
    others = dropwhile(lambda node: node.id.tier != tier - 1, nodes)
    return list(takewhile(lambda node: node.id.tier == tier - 1, others))


def consolidate(children: Sequence[Node], factors: Mapping[Tier, float]) -> Node:
    """Give the node of the next tier that stands for its children.

    Args:
        children: Of one camera and tier, in time order.
        factors: Tokens in / tokens kept of each tier; stamps don't count.
    """
    first, last = children[0].id, children[-1].id
    tier = Tier(first.tier + 1)
    bodies = [_body(child) for child in children]
    whole = _join(bodies)
    num_keep = max(math.ceil(whole.num_tokens / factors[tier]), 1)
    distance = key_distance(whole.keys)  # (S,)
    kept = distance.topk(min(num_keep, whole.num_tokens)).indices.sort().values
    sizes = torch.tensor([body.num_tokens for body in bodies])  # (children,)
    owner = torch.arange(len(sizes)).repeat_interleave(sizes)[kept.cpu()]  # (kept,)
    counts = owner.bincount(minlength=len(sizes)).tolist()
    return Node(
        ChunkId(first.camera, first.start_ms, last.end_ms, tier),
        _in_a_row(_join([_stamp(children[0]), take_tokens(whole, kept)])),
        children[0].stamp_tokens,
        tuple(
            Section(child.id, count, child.high.num_tokens)
            for child, count in zip(children, counts, strict=True)
        ),
    )


def key_distance(keys: Tensor) -> Tensor:
    """Give how far each token's keys (L, H, S, D) are from the median key, (S,)."""
    keys = keys.float()
    usual = keys.median(dim=2, keepdim=True).values  # (L, H, 1, D)
    distance: Tensor = torch.norm(keys - usual, dim=-1).mean(dim=(0, 1))  # (S,)
    return distance


def cut(node: Node, first: int, end: int) -> Node | None:
    """Give a node's sections from `first` up to `end` behind its stamp, None if none.

    They may have no tokens.
    """
    sections = node.sections[first:end]
    start = node.stamp_tokens + sum(s.num_tokens for s in node.sections[:first])
    length = sum(section.num_tokens for section in sections)
    if not sections:
        return None
    if len(sections) == len(node.sections):
        return node
    kept = torch.cat(
        (torch.arange(node.stamp_tokens), torch.arange(start, start + length))
    ).to(node.high.keys.device)
    times = (sections[0].child.start_ms, sections[-1].child.end_ms)
    return replace(
        node,
        id=ChunkId(node.id.camera, *times, node.id.tier),
        high=_in_a_row(take_tokens(node.high, kept)),
        sections=sections,
    )


def within(node: Node, start_ms: int | None, end_ms: int | None) -> Node | None:
    """Give what of a node is of children that overlap [start_ms, end_ms).

    None if nothing is; None as a time is without end.
    """
    is_begun = start_ms is None or start_ms <= node.id.start_ms
    if is_begun and (end_ms is None or node.id.end_ms <= end_ms):
        return node
    if node.id.is_chunk:
        return node if node.id.overlaps(start_ms, end_ms) else None
    inside = [
        number
        for number, section in enumerate(node.sections)
        if section.child.overlaps(start_ms, end_ms)
    ]
    return cut(node, inside[0], inside[-1] + 1) if inside else None


def open_node(node: Node, children: Sequence[Node]) -> list[Node]:
    """Give a node with some of its children in the place of their sections.

    Args:
        node: More than a chunk.
        children: Those that are there, in any order.
    """
    found = {child.id: child for child in children}
    opened: list[Node] = []
    first = 0
    for number, section in enumerate(node.sections):
        if section.child in found:
            opened += [*_told(cut(node, first, number)), found[section.child]]
            first = number + 1
    return [*opened, *_told(cut(node, first, len(node.sections)))]


def _told(node: Node | None) -> list[Node]:
    """Give a node that says anything but the time, or nothing."""
    return [] if node is None or node.is_empty else [node]


def uncovered(nodes: Iterable[ChunkId]) -> list[ChunkId]:
    """Give the nodes that lie within no other of a higher tier, in time order.

    Args:
        nodes: Nodes and chunks of one camera, in any order.
    """
    top: list[ChunkId] = []
    end_ms = 0  # until when the nodes of higher tiers seen so far reach
    for node in sorted(nodes, key=lambda id: (id.start_ms, -id.tier)):
        if node.end_ms <= end_ms:
            continue
        top.append(node)
        if not node.is_chunk:
            end_ms = max(end_ms, node.end_ms)
    return top


def _body(node: Node) -> KV:
    tokens = torch.arange(node.stamp_tokens, node.high.num_tokens)
    return take_tokens(node.high, tokens.to(node.high.keys.device))


def _stamp(node: Node) -> KV:
    tokens = torch.arange(node.stamp_tokens)
    return take_tokens(node.high, tokens.to(node.high.keys.device))


def _join(runs: Sequence[KV]) -> KV:
    """Put runs behind each other; where they stand is left to `_in_a_row`."""
    return KV(
        torch.cat([run.keys for run in runs], dim=2),
        torch.cat([run.values for run in runs], dim=2),
        torch.cat([run.positions for run in runs], dim=2),
        sum(run.span for run in runs),
    )


def _in_a_row(kv: KV) -> KV:
    """Stand token behind token; height and width keep their distance from time."""
    time = kv.positions[:, :1]  # (L, 1, S)
    row = torch.arange(kv.num_tokens, device=time.device).float()  # (S,)
    return KV(kv.keys, kv.values, kv.positions - time + row, max(kv.num_tokens, 1))
