"""The index, and its two stages against judging every chunk by all of its keys."""

import pytest
import torch

from memory import index as index_module
from memory import two_stages
from memory.index import ChunkIndex, Window
from memory.kv import ChunkId
from memory.relevance import ChunkKeys, IndexHeads, score_chunks
from memory.relevant import Relevance
from memory.two_stages import TwoStages

HEADS = IndexHeads.of([(0, 0), (0, 1), (1, 2), (1, 3), (2, 3)], queries_per_kv=2)
NUM_KV_HEADS = len(HEADS.kv_heads)
NUM_KEYS, SIZE = 4, 8


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "BLOCK_CHUNKS", 16)


def keys_of(number: int, num_keys: int = NUM_KEYS) -> torch.Tensor:
    random = torch.Generator().manual_seed(number)
    keys = torch.randn(NUM_KV_HEADS, num_keys, SIZE, generator=random)
    return keys.bfloat16().float()  # as it is kept


def chunk_at(number: int, camera: str = "door") -> ChunkId:
    return ChunkId(camera, number * 1000, number * 1000 + 1000)


def filled(numbers: range, budget: int = 1 << 30) -> ChunkIndex:
    index = ChunkIndex(budget)
    for number in numbers:
        index.add([ChunkKeys(chunk_at(number), keys_of(number))])
    return index


def ids_in(window: Window) -> list[ChunkId]:
    count = sum(len(page.starts_ms) for page in window.pages)
    return [window.chunk(place) for place in range(count)]


def judge_all(window: Window, queries: torch.Tensor) -> Relevance:
    stages = TwoStages(queries, window.pages, HEADS)
    places = stages.short_list()
    keys = [window.keys(place) for place in places.tolist()]
    stages.refine(places, [each for each in keys if each is not None])
    return Relevance.of(window, stages.scores)


def test_a_window_is_filtered_by_camera_and_time() -> None:
    index = filled(range(40))
    index.add([ChunkKeys(chunk_at(3, "yard"), keys_of(3))])
    assert ids_in(index.window(["door"])) == [chunk_at(n) for n in range(40)]
    assert ids_in(index.window(["yard"])) == [chunk_at(3, "yard")]
    found = ids_in(index.window(["door", "yard"], 2500, 5000))
    assert found == [*(chunk_at(n) for n in (2, 3, 4)), chunk_at(3, "yard")]
    assert index.window(["gate"]).pages == ()
    assert len(index) == 41
    assert index.has(chunk_at(39))
    assert not index.has(chunk_at(40))


def test_each_chunk_is_judged_by_its_own_keys() -> None:
    window = filled(range(40)).window(["door"], 10_000, 30_000)
    for place, chunk in enumerate(ids_in(window)):
        keys = window.keys(place)
        assert keys is not None
        assert keys.id == chunk
        expected = keys_of(chunk.start_ms // 1000)
        assert torch.equal(keys.index_keys.float(), expected)


def test_a_short_list_of_all_chunks_scores_as_late_interaction_does() -> None:
    index = filled(range(40))
    index.add([ChunkKeys(chunk_at(7, "yard"), keys_of(77))])
    window = index.window(["door", "yard"])
    queries = torch.randn(5, 6, SIZE, generator=torch.Generator().manual_seed(1))
    oracle = [ChunkKeys(id, keys_of(id.start_ms // 1000)) for id in ids_in(window)]
    oracle[-1] = ChunkKeys(chunk_at(7, "yard"), keys_of(77))
    expected = score_chunks(queries, oracle, HEADS)
    torch.testing.assert_close(judge_all(window, queries).scores, expected)


def test_of_one_key_per_chunk_both_stages_say_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also what drifts with time is taken out of both."""
    monkeypatch.setattr(two_stages, "SHORT_LIST", 20)
    index, oracle = ChunkIndex(1 << 30), []
    for number in range(600):
        keys = keys_of(number, 1) + 0.003 * number
        index.add([ChunkKeys(chunk_at(number), keys.bfloat16())])
        oracle.append(ChunkKeys(chunk_at(number), keys.bfloat16().float()))
    queries = torch.randn(5, 6, SIZE, generator=torch.Generator().manual_seed(1))
    window = index.window(["door"])
    found = judge_all(window, queries)
    expected = score_chunks(queries, oracle, HEADS)
    assert float((found.scores - expected).abs().max()) < 0.02 * float(expected.max())
    best = [window.chunk(int(place)) for place in expected.topk(3).indices]
    assert found.best(3) == best


def test_the_short_list_is_judged_again_and_the_others_keep_their_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A chunk's one telling key is not among its marks."""
    monkeypatch.setattr(two_stages, "SHORT_LIST", 89)
    queries = torch.randn(5, 6, SIZE, generator=torch.Generator().manual_seed(1))
    index = ChunkIndex(1 << 30)
    for number in range(90):
        keys = 0.1 * keys_of(number)
        if number == 50:
            keys[HEADS.reads[0], 2] = 2 * queries[0, 3]
            keys[HEADS.reads[0], :2] = -3 * queries[0, 3]
        index.add([ChunkKeys(chunk_at(number), keys)])
    window = index.window(["door"])
    first = Relevance.of(window, TwoStages(queries, window.pages, HEADS).scores)
    both = judge_all(window, queries)
    assert both.best(1) == [chunk_at(50)]
    assert both.scores[50] > first.scores[50]
    assert int((both.scores > 0).sum()) == 90
    assert float(both.scores.sum()) == pytest.approx(1.0)


def test_over_its_budget_the_oldest_lose_their_fine_keys_and_stay_in_the_search() -> (
    None
):
    one = filled(range(16)).num_bytes
    marks = 2 * NUM_KV_HEADS * SIZE * 2 * 16
    budget = 2 * one + 2 * marks + 2 * 16 * 16
    index = filled(range(64), budget)
    window = index.window(["door"])
    known = [window.keys(place) is not None for place in range(64)]
    assert known == [False] * 32 + [True] * 32
    assert index.num_bytes <= budget
    assert len(index) == 64


def test_after_a_restart_the_newest_come_first_and_keep_their_fine_keys() -> None:
    one = filled(range(16)).num_bytes
    index = filled(range(63, -1, -1), budget=3 * one)
    window = index.window(["door"])
    newest = {
        id.start_ms // 1000: window.keys(n) for n, id in enumerate(ids_in(window))
    }
    assert all(newest[number] is not None for number in range(63, 40, -1))
    assert newest[0] is None


def test_forgotten_chunks_are_not_found_and_free_their_memory() -> None:
    index = filled(range(40))
    before = index.num_bytes
    index.forget("door", 20_000)
    assert ids_in(index.window(["door"])) == [chunk_at(n) for n in range(20, 40)]
    assert index.num_bytes == before * 2 // 3
    index.add([ChunkKeys(chunk_at(40), keys_of(40))])
    assert len(index) == 21
    index.forget("door", 50_000)
    assert index.num_bytes == 0


def test_chunks_with_fewer_keys_or_none_are_taken_as_they_are() -> None:
    index = filled(range(3))
    index.add([ChunkKeys(chunk_at(3), keys_of(3, 1))])
    index.add([ChunkKeys(chunk_at(4), keys_of(4, 0))])
    index.add([ChunkKeys(chunk_at(5), keys_of(5, 7))])
    window = index.window(["door"])
    assert ids_in(window) == [chunk_at(n) for n in (0, 1, 2, 3, 5)]
    few, many = window.keys(3), window.keys(4)
    assert few is not None
    assert many is not None
    assert torch.equal(few.index_keys.float(), keys_of(3, 1).expand(-1, NUM_KEYS, -1))
    assert torch.equal(many.index_keys.float(), keys_of(5, 7))


def test_nodes_are_as_relevant_as_the_best_chunk_in_them() -> None:
    window = filled(range(6)).window(["door"])
    scores = torch.tensor([0.1, 0.3, 0.05, 0.25, 0.2, 0.1])
    relevance = Relevance.of(window, scores)

    class Piece:
        def __init__(self, start: int, end: int, camera: str = "door") -> None:
            self.id = ChunkId(camera, start * 1000, end * 1000)

    nodes = [Piece(3, 4), Piece(0, 3), Piece(4, 6), Piece(0, 9, "yard")]
    assert relevance.of_nodes(nodes) == pytest.approx([0.25, 0.3, 0.2, 0.0])
    assert relevance.best(2) == [chunk_at(1), chunk_at(3)]
