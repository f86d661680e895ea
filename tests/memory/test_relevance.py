import math

import pytest
import torch
from kv_factory import make_memory

from memory.kv import ChunkMemory
from memory.relevance import IndexHeads, detrend, head_scores, score_chunks, sharpness


def test_index_holds_each_kv_head_once() -> None:
    heads = IndexHeads.of([(2, 5), (2, 4), (1, 0), (2, 1)], queries_per_kv=2)
    assert heads.query_heads.tolist() == [[1, 0], [2, 1], [2, 4], [2, 5]]
    assert heads.kv_heads.tolist() == [[1, 0], [2, 0], [2, 2]]
    assert heads.reads.tolist() == [0, 1, 2, 2]


def test_scores_equal_the_obvious_loop() -> None:
    heads = IndexHeads.of([(0, 0), (0, 1), (1, 3)], queries_per_kv=2)
    memories = [make_memory(number) for number in range(5)]
    queries = torch.randn(3, 4, 8)
    slow = torch.zeros(5, dtype=torch.float64)
    for head in range(3):
        for token in range(4):
            best = torch.stack(
                [
                    max(
                        queries[head, token] @ key / 8**0.5
                        for key in memory.index_keys[heads.reads[head]]
                    )
                    for memory in memories
                ]
            )
            share = best.double().softmax(dim=0)
            entropy = -sum(float(p) * math.log(float(p)) for p in share)
            slow += (1 - entropy / math.log(5)) ** 2 * share
    scores = score_chunks(queries, memories, heads)
    torch.testing.assert_close(scores, (slow / slow.sum()).float())


def test_one_token_is_enough_to_point_at_a_chunk() -> None:
    heads = IndexHeads.of([(0, 0), (0, 2)], queries_per_kv=2)
    memories = [make_memory(number) for number in range(30)]
    for memory in memories:
        memory.index_keys.div_(memory.index_keys.norm(dim=-1, keepdim=True))
    queries = torch.zeros(2, 9, 8)
    queries[0, 4] = 20 * memories[17].index_keys[0, 1]
    scores = score_chunks(queries, memories, heads)
    assert scores.argmax() == 17
    assert scores.sum() == pytest.approx(1)


def test_two_words_that_meet_in_one_chunk_outweigh_either_alone() -> None:
    heads = IndexHeads.of([(0, 0)], queries_per_kv=1)
    nurse, ladder = torch.eye(8)[:2]
    memories = [make_memory(number) for number in range(20)]
    for number, memory in enumerate(memories):
        memory.index_keys.zero_()
        if number in {2, 6, 10, 14, 18}:
            memory.index_keys[0, 0] = 20 * nurse
        if number in {5, 10, 15}:
            memory.index_keys[0, 1] = 20 * ladder
    queries = torch.stack((nurse, ladder, torch.zeros(8)))[None]
    scores = score_chunks(queries, memories, heads).tolist()
    assert scores.pop(10) > 1.2 * max(scores)


def test_sharpness_is_of_the_spread_alone() -> None:
    assert sharpness(torch.full((3, 7), 1 / 7)).tolist() == pytest.approx([0] * 3)
    assert sharpness(torch.eye(7)).tolist() == [1.0] * 7
    assert sharpness(torch.ones(2, 1)).tolist() == [1.0, 1.0]
    half = torch.tensor([0.5, 0.5, 0, 0])
    assert sharpness(half).item() == pytest.approx(0.5)


def test_chunks_of_uneven_key_counts_are_scored() -> None:
    heads = IndexHeads.of([(0, 0), (1, 0)], queries_per_kv=1)
    short = make_memory(1)
    cut = type(short)(short.id, short.high, short.index_keys[:, :1], short.low_tokens)
    scores = score_chunks(torch.randn(2, 3, 8), [make_memory(0), cut], heads)
    assert scores.shape == (2,)
    assert torch.isfinite(scores).all()


def test_detrending_takes_out_a_line_and_leaves_mean_and_peak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memory.relevance.DETREND_FROM_CHUNKS", 8)
    times = 1.79e12 + 4000 * torch.arange(20, dtype=torch.float64)
    line = 7 + 0.3 * torch.arange(20.0)
    flat = detrend(line, times)
    assert flat.std() < 1e-4
    assert flat.mean() == pytest.approx(line.mean().item())
    peak = torch.zeros(20)
    peak[4] = 5.0
    assert detrend(line + peak, times).argmax() == 4
    assert torch.equal(detrend(line[:5], times[:5]), line[:5])


def test_a_difference_between_cameras_is_no_trend() -> None:
    heads = IndexHeads.of([(0, 0)], queries_per_kv=1)
    memories = []
    for camera, likeness in (("alike", 1.0), ("other", 0.0)):
        for number in range(20):
            memory = make_memory(number, camera=camera)
            keys = torch.zeros(1, 3, 8)
            keys[..., 0] = likeness
            memories.append(
                type(memory)(memory.id, memory.high, keys, memory.low_tokens)
            )
    queries = torch.zeros(1, 1, 8)
    queries[..., 0] = 8.0
    scores = score_chunks(queries, memories, heads)
    assert scores[:20].min() > scores[20:].max()


def test_scoring_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = IndexHeads.of([(0, 0), (1, 1)], queries_per_kv=1)
    memories = [make_memory(number) for number in range(30)]
    queries = torch.randn(2, 5, 8)
    whole = score_chunks(queries, memories, heads)
    monkeypatch.setattr("memory.relevance.BLOCK_CHUNKS", 7)
    torch.testing.assert_close(score_chunks(queries, memories, heads), whole)


def without_index(memory: ChunkMemory) -> ChunkMemory:
    return ChunkMemory(
        memory.id, memory.high, memory.index_keys[:, :0], memory.low_tokens
    )


def test_a_chunk_without_an_index_has_no_relevance_and_takes_none() -> None:
    heads = IndexHeads.of([(0, 0), (1, 1)], queries_per_kv=1)
    memories = [make_memory(number) for number in range(20)]
    queries = torch.randn(2, 5, 8)
    alone = score_chunks(queries, memories[5:], heads)
    mixed = score_chunks(
        queries, [*map(without_index, memories[:5]), *memories[5:]], heads
    )
    assert mixed[:5].tolist() == [0.0] * 5
    torch.testing.assert_close(mixed[5:], alone)
    none = score_chunks(queries, [without_index(m) for m in memories], heads)
    assert none.tolist() == [0.0] * 20


def test_a_head_alone_scores_as_it_does_among_others() -> None:
    pairs = [(0, 0), (0, 1), (1, 1)]
    heads = IndexHeads.of(pairs, queries_per_kv=2)
    memories = [make_memory(number) for number in range(12)]
    queries = torch.randn(3, 5, 8)
    each = head_scores(queries, memories, heads)
    assert each.shape == (3, 12)
    whole = each.sum(dim=0)
    torch.testing.assert_close(
        whole / whole.sum(), score_chunks(queries, memories, heads)
    )
