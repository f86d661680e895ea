"""What a question may read: the product's mix of levels, and the controls beside it.

A context is a list of runs of KV, to be composed behind the sink. All of a stream's
contexts come from the same prefilled chunks and the same model.

The controls of equal cost read as many tokens as the mix does with k chunks re-loaded
and the newest one: flat compression for each k, the others for the largest, which
favours them. Their row says with which k.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, zip_longest

import torch

from agent.config_sections import MemoryConfig
from agent.vlm.model import VisionLanguageModel
from benchmarks.frames import frames_of
from ingest.simulation.questions import Question, Window
from memory.compression.bilevel import METHODS, LevelSettings
from memory.kv import KV, ChunkKV, ChunkMemory, Node
from memory.recall import Candidate, Reading, RecallLimits, plan_recall
from memory.relevance import score_chunks

_USUAL = MemoryConfig()
HIGH = LevelSettings(_USUAL.high_method, _USUAL.high_factor)
LOW = LevelSettings(_USUAL.low_method, _USUAL.low_factor)
NEWEST = _USUAL.newest_chunks
UNBOUNDED = 1 << 30
TOP_K = (1, 2, 4)
SHOWN_FACTORS = (8, 16, 32)  # of H-KV alone
MAX_FULL_CHUNKS = 128  # beyond, full KV is left out: never trained, and slow


@dataclass(frozen=True, slots=True)
class Setup:
    """What a memory is made like.

    Attributes:
        high: How H-KV is made.
        low: How L-KV is made.
        index_keys: Keys per chunk and head in the index.
        context_chunks: Chunks before each one that it sees, as H-KV.
        least_change: Change below which a visual token is not prefilled.
    """

    high: LevelSettings = HIGH
    low: LevelSettings = LOW
    index_keys: int = _USUAL.index_keys
    context_chunks: int = 0
    least_change: float = 0.0


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """A context by name.

    Attributes:
        context: Its name.
        h_factor: Compression factor of what is read coarse, 0 for nothing.
        l_factor: Compression factor of what is read fine, 0 for nothing.
        k: Chunks re-loaded by the mix, or by the mix that it costs as much as.
    """

    context: str
    h_factor: float = 0
    l_factor: float = 0
    k: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One camera's prefilled chunks, and what the product remembers of them.

    Attributes:
        model: The model.
        sink: KV of the system prompt.
        wholes: Full KV of each chunk, in time order.
        memories: H-KV and index keys of each.
        seed: For the random control.
        setup: What the memory is made like.
    """

    model: VisionLanguageModel
    sink: KV
    wholes: Sequence[ChunkKV]
    memories: Sequence[ChunkMemory]
    seed: int
    setup: Setup

    @property
    def nodes(self) -> list[Node]:
        """What is read of each chunk if not its L-KV."""
        return [memory.node for memory in self.memories]

    def mix_tokens(self, k: int) -> int:
        """Give the tokens that the mix reads with k chunks, the newest beside them."""
        fine = min(k + NEWEST, len(self.memories))
        more = self.memories[0].low_tokens - self.memories[0].high.num_tokens
        return sum(m.high.num_tokens for m in self.memories) + fine * more


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question to a stream, and which of its chunks hold the answer.

    Attributes:
        text: What is asked.
        scores: The product's relevance of each chunk.
        scored_ms: What it took to find them.
        holders: Indices of the chunks that hold the answer, those that tell it best
            first; none for a question about what was not there.
    """

    text: str
    scores: Sequence[float]
    scored_ms: float
    holders: Sequence[int]


def holders_of(question: Question, memories: Sequence[ChunkMemory]) -> list[int]:
    """Give the chunks that hold the answer: of each thing shown the best one first."""
    ranked = []
    for shown in question.shown:
        overlaps = [(_overlap_s(memory, shown), n) for n, memory in enumerate(memories)]
        held = sorted((pair for pair in overlaps if pair[0] > 0), key=_longest_first)
        ranked.append([number for _, number in held])
    turns = [n for turn in zip_longest(*ranked) for n in turn if n is not None]
    return list(dict.fromkeys(turns))


def _longest_first(pair: tuple[float, int]) -> tuple[float, int]:
    overlap_s, number = pair
    return -overlap_s, number


def _overlap_s(memory: ChunkMemory, window: Window) -> float:
    start_s, end_s = memory.id.start_ms / 1000, memory.id.end_ms / 1000
    return min(end_s, window[1]) - max(start_s, window[0])


def score(stream: Stream, text: str) -> list[float]:
    """Give the product's relevance of each chunk."""
    queries = stream.model.question_queries(text, stream.sink)
    scores: list[float] = score_chunks(
        queries, stream.memories, stream.model.heads
    ).tolist()
    return scores


def plan(stream: Stream, scores: Sequence[float], k: int) -> tuple[Reading, ...]:
    """Plan a recall as the product does."""
    candidates = [
        Candidate(m.id, m.high.num_tokens, m.low_tokens, s)
        for m, s in zip(stream.memories, scores, strict=True)
    ]
    return plan_recall(candidates, RecallLimits(k, NEWEST, UNBOUNDED))


def plan_for(stream: Stream, chosen: Sequence[int]) -> tuple[Reading, ...]:
    """Plan a recall that re-loads just these chunks, and the newest."""
    scores = [float(number in chosen) for number in range(len(stream.memories))]
    return plan(stream, scores, len(chosen))


def choose_random(stream: Stream, asked: Asked, k: int) -> tuple[Reading, ...]:
    """Re-load k chunks by chance."""
    dealer = random.Random(f"{stream.seed} {asked.text}")
    count = len(stream.memories)
    return plan_for(stream, dealer.sample(range(count), min(k, count)))


def choose_oracle(stream: Stream, asked: Asked, k: int) -> tuple[Reading, ...]:
    """Re-load the chunks that hold the answer, the best k of them."""
    return plan_for(stream, asked.holders[:k])


def choose_scored(stream: Stream, asked: Asked, k: int) -> tuple[Reading, ...]:
    """Re-load what the product finds relevant."""
    return plan(stream, asked.scores, k)


def is_recalled(
    stream: Stream, asked: Asked, readings: Sequence[Reading]
) -> bool | None:
    """Tell whether a re-loaded chunk holds the answer, None if there is none such."""
    held = {stream.memories[number].id for number in asked.holders}
    return any(r.is_evidence and r.chunk in held for r in readings) if held else None


def level(stream: Stream, settings: LevelSettings) -> list[KV]:
    """Read everything at one compression factor."""
    return [settings.apply(whole) for whole in stream.wholes]


def recent(stream: Stream, tokens: int) -> list[KV]:
    """Read the newest frames only, uncompressed, as many as fit and at least one."""
    frames = frames_of(stream.wholes)
    return frames[-max(1, tokens // frames[0].num_tokens) :]


def uniform(stream: Stream, tokens: int) -> list[KV]:
    """Read frames spread evenly over the stream, uncompressed, as many as fit."""
    frames = frames_of(stream.wholes)
    count = min(max(1, tokens // frames[0].num_tokens), len(frames))
    places = torch.linspace(0, len(frames) - 1, count).round().int().tolist()
    return [frames[place] for place in places]


def flat(stream: Stream, tokens: int) -> list[KV]:
    """Read everything, each chunk in as many tokens as the next, or one more."""
    keep, count = METHODS[stream.setup.high.method], len(stream.wholes)
    ends = [tokens * number // count for number in range(count + 1)]
    return [
        keep(whole, end - start)
        for whole, (start, end) in zip(stream.wholes, pairwise(ends), strict=True)
    ]


def fixed(stream: Stream) -> dict[Label, Callable[[], list[KV]]]:
    """Give what makes each context that is the same whatever is asked."""
    high, low = stream.setup.high, stream.setup.low
    makers: dict[Label, Callable[[], list[KV]]] = {
        Label("blind"): list,
        Label("l_only", 0, low.factor): partial(level, stream, low),
    }
    for factor in sorted({*SHOWN_FACTORS, high.factor}):
        settings = LevelSettings(high.method, factor)
        makers[Label("h_only", factor)] = partial(level, stream, settings)
    for k in TOP_K:
        makers[Label("flat", 0, 0, k)] = partial(flat, stream, stream.mix_tokens(k))
    most, tokens = max(TOP_K), stream.mix_tokens(max(TOP_K))
    makers[Label("recent", 0, 1, most)] = partial(recent, stream, tokens)
    makers[Label("uniform", 0, 1, most)] = partial(uniform, stream, tokens)
    if len(stream.wholes) <= MAX_FULL_CHUNKS:
        makers[Label("full", 0, 1)] = lambda: [w.kv for w in stream.wholes]
    return makers


CHOSEN: Mapping[str, Callable[[Stream, Asked, int], tuple[Reading, ...]]] = {
    "random": choose_random,
    "bilevel": choose_scored,
    "oracle": choose_oracle,
}
NAMES = (
    *("blind", "full", "h_only", "l_only", "recent", "uniform", "flat", "rekv"),
    *CHOSEN,
)
