import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kv_factory import make_kv

from memory.consolidation import (
    consolidate,
    cut,
    key_distance,
    next_group,
    open_node,
    uncovered,
    within,
)
from memory.kv import ChunkId, Node, Tier

FACTORS = {Tier.MINUTE: 2.0, Tier.HOUR: 4.0, Tier.DAY: 2.0}
STAMP = 2


def node_at(second: float, tokens: int = 6, *, seed: int = 0, length: int = 10) -> Node:
    start = round(second * 1000)
    chunk = ChunkId("door", start, start + 1000 * length)
    return Node(chunk, make_kv(tokens, seed=seed), STAMP, low_tokens=9)


def minute_at(minute: int, chunks: int = 6) -> Node:
    seconds = (60 * minute + 10 * number for number in range(chunks))
    return consolidate([node_at(s, seed=round(s)) for s in seconds], FACTORS)


def names(nodes: list[Node]) -> list[str]:
    return [node.id.name for node in nodes]


@given(st.lists(st.integers(STAMP + 1, 12), min_size=1, max_size=8), st.floats(1, 20))
def test_a_node_keeps_one_stamp_and_the_tokens_that_its_factor_leaves(
    sizes: list[int], factor: float
) -> None:
    children = [node_at(10 * n, size, seed=n) for n, size in enumerate(sizes)]
    node = consolidate(children, {Tier.MINUTE: factor})
    bodies = sum(sizes) - STAMP * len(sizes)
    kept = min(max(math.ceil(bodies / factor), 1), bodies)
    assert node.high.num_tokens == STAMP + kept
    assert node.id == ChunkId("door", 0, 10_000 * len(sizes), Tier.MINUTE)
    assert [section.child for section in node.sections] == [c.id for c in children]
    assert [section.high_tokens for section in node.sections] == sizes
    assert torch.equal(
        node.high.keys[:, :, :STAMP], children[0].high.keys[:, :, :STAMP]
    )


def test_its_tokens_are_its_childrens_own_in_time_order_and_none_twice() -> None:
    children = [node_at(10 * n, 9, seed=n) for n in range(6)]
    node = consolidate(children, FACTORS)
    first = STAMP
    for section, child in zip(node.sections, children, strict=True):
        places = []
        for token in range(first, first + section.num_tokens):
            value = node.high.values[:, :, token]
            same = (child.high.values == value[:, :, None]).all(dim=(0, 1, 3))
            places.append(int(same.nonzero()))
        assert places == sorted(set(places))
        assert all(place >= STAMP for place in places)
        first += section.num_tokens


def test_the_tokens_kept_are_those_furthest_from_the_usual_key() -> None:
    usual = node_at(0, 8)
    usual.high.keys[:] = 1.0
    odd = node_at(10, 8)
    odd.high.keys[:] = 1.0
    odd.high.keys[:, :, 5] = 9.0
    node = consolidate([usual, odd], {Tier.MINUTE: 100.0})
    assert [section.num_tokens for section in node.sections] == [0, 1]
    assert torch.equal(node.high.values[:, :, -1], odd.high.values[:, :, 5])


def test_key_distance_is_that_from_the_median_of_each_channel() -> None:
    keys = torch.randn(3, 2, 7, 4)
    for token in range(7):
        each = [
            torch.dist(keys[layer, head, token], keys[layer, head].median(dim=0).values)
            for layer in range(3)
            for head in range(2)
        ]
        assert key_distance(keys)[token] == pytest.approx(float(sum(each)) / 6)


def test_every_token_of_a_node_has_a_position_of_its_own() -> None:
    children = [node_at(10 * n, 9, seed=n) for n in range(6)]
    children[2].high.positions[:, 1] += 5  # a height
    node = consolidate(children, {Tier.MINUTE: 1.0})
    time = node.high.positions[:, 0]
    assert torch.equal(time, torch.arange(node.high.num_tokens).expand(3, -1).float())
    assert node.high.span == node.high.num_tokens
    first = STAMP + sum(section.num_tokens for section in node.sections[:2])
    offset = node.high.positions[:, 1] - time
    assert (offset[:, first : first + 7] == 5).all()
    assert (offset[:, :first] == 0).all()


@given(st.sets(st.integers(0, 5)))
def test_an_opened_node_has_each_child_in_its_place_and_loses_nothing_else(
    opened: set[int],
) -> None:
    children = [node_at(10 * n, 9, seed=n) for n in range(6)]
    node = consolidate(children, FACTORS)
    found = open_node(node, [children[n] for n in opened])
    assert found == sorted(found, key=lambda each: each.id.start_ms)
    assert [c for c in children if c in found] == [children[n] for n in sorted(opened)]
    coarse = [each for each in found if each.sections]
    left = [
        section for each in coarse for section in each.sections if section.num_tokens
    ]
    assert left == [
        section
        for number, section in enumerate(node.sections)
        if number not in opened and section.num_tokens
    ]
    for each in coarse:
        assert each.high.num_tokens == STAMP + sum(s.num_tokens for s in each.sections)
        assert torch.equal(each.high.keys[:, :, :STAMP], node.high.keys[:, :, :STAMP])


def test_a_cut_keeps_the_tokens_of_its_sections() -> None:
    node = consolidate(
        [node_at(10 * n, 9, seed=n) for n in range(6)], {Tier.MINUTE: 1.0}
    )
    piece = cut(node, 2, 4)
    assert piece is not None
    assert piece.id == ChunkId("door", 20_000, 40_000, Tier.MINUTE)
    kept = [0, 1, *range(STAMP + 14, STAMP + 28)]
    assert torch.equal(piece.high.values, node.high.values[:, :, kept])
    assert cut(node, 3, 3) is None
    assert cut(node, 0, 6) is node


def test_within_a_time_a_node_is_what_it_has_of_children_that_overlap_it() -> None:
    node = consolidate([node_at(10 * n, 9, seed=n) for n in range(6)], FACTORS)
    piece = within(node, 15_000, 30_000)
    assert piece is not None
    starts = [section.child.start_ms for section in piece.sections]
    assert starts == [10_000, 20_000]
    assert within(node, None, None) is node
    assert within(node, 60_000, None) is None
    chunk = node_at(0)
    assert within(chunk, 5000, 6000) is chunk
    assert within(chunk, 10_000, None) is None


def test_the_oldest_minute_goes_first_and_the_newest_chunk_never() -> None:
    nodes = [node_at(10 * n) for n in range(15)]
    assert next_group([nodes]) == nodes[:6]
    made = consolidate(nodes[:6], FACTORS)
    assert next_group([[made, *nodes[6:]]]) == nodes[6:12]
    second = consolidate(nodes[6:12], FACTORS)
    assert next_group([nodes[12:]]) == nodes[12:14]  # nothing else is left
    assert next_group([[made, second, nodes[12]]]) == [made, second]
    assert next_group([nodes[12:13]]) == []


def test_what_is_left_of_a_time_that_was_begun_early_becomes_a_node_of_its_own() -> (
    None
):
    minutes = [minute_at(n) for n in range(60)]
    early = consolidate(minutes[:20], FACTORS)
    now = [minute_at(n) for n in range(60, 63)]
    assert next_group([[early, *minutes[20:], *now]]) == minutes[20:]
    hours = [early, consolidate(minutes[20:], FACTORS)]
    tomorrow = Node(ChunkId("door", 90_000_000, 90_010_000), make_kv(4), STAMP)
    assert next_group([[*hours, tomorrow]]) == hours


def test_a_group_is_chosen_by_its_age_for_its_length() -> None:
    """Minutes become an hour when they are 60 times as old as chunks may be."""
    minutes = [minute_at(n) for n in range(60)]
    young = [node_at(3600 + 10 * n) for n in range(13)]
    assert next_group([[*minutes, *young]]) == young[:6]
    later = [node_at(3600 + 10 * n) for n in range(700)]
    left = [node_at(3600 + 6900 + 10 * n) for n in range(10)]
    assert next_group([[*minutes, *later]]) == later[:6]
    assert next_group([[*minutes, *left]]) == minutes


def test_cameras_are_compared_by_age() -> None:
    door = [node_at(10 * n) for n in range(20)]
    yard = [node_at(10 * n) for n in range(6, 20)]
    assert next_group([yard, door]) == door[:6]


def test_a_bucket_with_finer_nodes_in_it_waits_for_them() -> None:
    minutes = [minute_at(n) for n in range(59)]
    chunks = [node_at(59 * 60 + 10 * n) for n in range(6)]
    now = [node_at(7200 + 10 * n) for n in range(2)]
    assert next_group([[*minutes, *chunks, *now]]) == chunks


def test_what_a_node_stands_for_is_not_loaded_beside_it() -> None:
    chunks = [node_at(10 * n).id for n in range(20)]
    minute = minute_at(0).id
    hour = ChunkId("door", 0, 60_000, Tier.HOUR)
    assert uncovered([*chunks, minute]) == [minute, *chunks[6:]]
    assert uncovered([*reversed(chunks), minute, hour]) == [hour, *chunks[6:]]


def test_a_node_of_nodes_opens_down_to_its_chunks() -> None:
    minutes = [minute_at(n) for n in range(60)]
    hour = consolidate(minutes, FACTORS)
    assert hour.id.tier is Tier.HOUR
    [before, minute, after] = open_node(hour, [minutes[30]])
    assert (before.id.tier, minute, after.id.tier) == (
        Tier.HOUR,
        minutes[30],
        Tier.HOUR,
    )
    chunk = node_at(1810, seed=1810)
    opened = open_node(minute, [chunk])
    assert chunk in opened
    assert names(opened) == sorted(names(opened))


def test_a_node_that_does_not_add_up_is_refused() -> None:
    minute = minute_at(0)
    with pytest.raises(ValueError, match="accounted for"):
        Node(minute.id, minute.high, STAMP + 1, minute.sections)
    with pytest.raises(ValueError, match="sections"):
        Node(minute.id, minute.high, STAMP)
