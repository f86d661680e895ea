"""What a question will read: each chunk at one level, in time order, under a budget.

The newest chunks are always read fine: what is happening now must not need retrieval.
The most relevant ones are re-loaded fine. Everything else is read coarse, as far as the
budget goes, the least relevant left out first. No tensors here: names, counts and
scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from memory.kv import ChunkId, Level


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk, or a node of many, that could be read.

    Attributes:
        chunk: Its name.
        high_tokens: Cost of reading it as H-KV.
        low_tokens: Cost of reading it as L-KV; 0 for more than a chunk, which has none.
        score: Relevance to the question.
    """

    chunk: ChunkId
    high_tokens: int
    low_tokens: int
    score: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One chunk of a recall plan.

    Attributes:
        chunk: Its name.
        level: Level at which it is read.
        score: Relevance to the question.
        is_evidence: Whether relevance chose it (the newest are read fine regardless).
    """

    chunk: ChunkId
    level: Level
    score: float
    is_evidence: bool


@dataclass(frozen=True, slots=True)
class RecallLimits:
    """How much a question may read.

    Attributes:
        top_k: Chunks re-loaded by relevance.
        newest: Newest chunks of each camera that are read fine whatever is asked.
        context_tokens: Most KV tokens read in all.
    """

    top_k: int
    newest: int
    context_tokens: int


def plan_recall(
    candidates: Sequence[Candidate], limits: RecallLimits
) -> tuple[Reading, ...]:
    """Choose a level for each chunk.

    A chunk of score 0 is no evidence, however few there are: nothing points at it.

    Args:
        candidates: In time order within each camera.
        limits: Budget. A chunk whose L-KV no longer fits is read as H-KV; one whose
            H-KV doesn't fit either is left out.

    Returns:
        The readings, camera after camera, each in time order.
    """
    ranked = sorted(candidates, key=lambda c: c.score, reverse=True)
    chunks = [c for c in ranked if c.low_tokens]
    evidence = {c.chunk for c in chunks[: limits.top_k] if c.score > 0}
    fine = evidence | _newest(candidates, limits.newest)
    fine_first = sorted(ranked, key=lambda c: c.chunk not in fine)

    room = limits.context_tokens
    levels: dict[ChunkId, Level] = {}
    for candidate in fine_first:
        if candidate.chunk in fine and candidate.low_tokens <= room:
            levels[candidate.chunk] = Level.LOW
            room -= candidate.low_tokens
        elif candidate.high_tokens <= room:
            levels[candidate.chunk] = Level.HIGH
            room -= candidate.high_tokens
    scores = {c.chunk: c.score for c in candidates}
    return tuple(
        Reading(chunk, levels[chunk], scores[chunk], chunk in evidence)
        for chunk in sorted(levels)
    )


def _newest(candidates: Sequence[Candidate], count: int) -> set[ChunkId]:
    by_camera: dict[str, list[ChunkId]] = {}
    for candidate in candidates:
        if candidate.low_tokens:
            by_camera.setdefault(candidate.chunk.camera, []).append(candidate.chunk)
    return {
        c for chunks in by_camera.values() for c in sorted(chunks)[-count:] if count
    }
