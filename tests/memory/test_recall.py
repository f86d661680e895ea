from hypothesis import given
from hypothesis import strategies as st

from memory.kv import ChunkId, Level
from memory.recall import Candidate, RecallLimits, plan_recall


def candidates(*scores: float, camera: str = "door") -> list[Candidate]:
    return [
        Candidate(ChunkId(camera, n * 1000, n * 1000 + 1000), 2, 10, score)
        for n, score in enumerate(scores)
    ]


def test_the_most_relevant_and_the_newest_are_read_fine() -> None:
    chunks = candidates(0.1, 0.6, 0.05, 0.05, 0.2)
    plan = plan_recall(chunks, RecallLimits(top_k=1, newest=1, context_tokens=1000))
    assert [reading.level for reading in plan] == [
        Level.HIGH,
        Level.LOW,
        Level.HIGH,
        Level.HIGH,
        Level.LOW,
    ]
    assert [reading.is_evidence for reading in plan] == [
        False,
        True,
        False,
        False,
        False,
    ]


def test_what_nothing_points_at_is_no_evidence() -> None:
    chunks = candidates(0.0, 1.0, 0.0)
    plan = plan_recall(chunks, RecallLimits(top_k=2, newest=0, context_tokens=1000))
    assert [reading.is_evidence for reading in plan] == [False, True, False]
    assert [r.level for r in plan] == [Level.HIGH, Level.LOW, Level.HIGH]


def test_each_camera_has_newest_chunks() -> None:
    chunks = candidates(0.5, 0.1) + candidates(0.3, 0.1, camera="yard")
    plan = plan_recall(chunks, RecallLimits(top_k=0, newest=1, context_tokens=1000))
    fine = [r.chunk for r in plan if r.level is Level.LOW]
    assert [(c.camera, c.start_ms) for c in fine] == [("door", 1000), ("yard", 1000)]


def test_a_tight_budget_leaves_out_the_least_relevant() -> None:
    chunks = candidates(0.1, 0.6, 0.05, 0.2)
    plan = plan_recall(chunks, RecallLimits(top_k=1, newest=0, context_tokens=14))
    assert [(r.chunk.start_ms, r.level) for r in plan] == [
        (0, Level.HIGH),
        (1000, Level.LOW),
        (3000, Level.HIGH),
    ]


def test_a_fine_chunk_that_does_not_fit_is_read_coarse() -> None:
    plan = plan_recall(
        candidates(0.9), RecallLimits(top_k=1, newest=0, context_tokens=5)
    )
    assert [(r.level, r.is_evidence) for r in plan] == [(Level.HIGH, True)]


@given(
    st.lists(st.floats(0, 1), max_size=30),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 200),
)
def test_recall_keeps_chunks_in_time_order_and_under_the_budget(
    scores: list[float], top_k: int, newest: int, budget: int
) -> None:
    chunks = candidates(*scores)
    plan = plan_recall(chunks, RecallLimits(top_k, newest, budget))
    cost = sum(10 if r.level is Level.LOW else 2 for r in plan)
    assert cost <= budget
    starts = [r.chunk.start_ms for r in plan]
    assert starts == sorted(set(starts))
    assert sum(r.is_evidence for r in plan) <= top_k
