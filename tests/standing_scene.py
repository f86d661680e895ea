"""A simulated camera's minute and a half, and standing questions about it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.standing.budget import Budget
from agent.standing.definition import StandingQuestion
from agent.standing.questions import StandingQuestions
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from ingest.frame import FrameChunk
from ingest.simulation.world import World
from memory.compression.bilevel import BiLevel, CompressedChunk, LevelSettings
from memory.kv import KV, ChunkId
from memory.store import MemoryStore
from training.evaluate import film_world

START_S, CHUNKS = 1_790_000_000.0, 24
TRUCK = StandingQuestion("gate", "truck", "Was #88 seen?")
BUS = StandingQuestion("gate", "bus", "Did you see #99?")
ABSENT = StandingQuestion("gate", "absent", "Has #12 been there?")
TRUCK_S, BUS_S = (17.5, 26.6), (24.1, 37.7)  # seconds of their visits
THERE = 5  # number of a chunk in which the truck is in full view


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What the camera saw, as the built-in model remembers it."""

    model: VisionLanguageModel
    sink: KV
    levels: BiLevel
    films: list[FrameChunk]
    chunks: list[CompressedChunk]

    @classmethod
    def of_world(cls) -> "Scene":
        model = load_model(ModelSettings(name="builtin"))
        sink = model.prefill_sink()
        high, low = LevelSettings("novelty", 16), LevelSettings("novelty", 2)
        levels = BiLevel(high, low, model.heads, 8)
        films = list(film_world(World(7), START_S, CHUNKS))
        chunks = []
        for film in films:
            times = round(film.start_s * 1000), round(film.end_s * 1000)
            whole = model.prefill(film, [sink])
            chunks.append(levels.compress_chunk(ChunkId("gate", *times), whole))
        return cls(model, sink, levels, films, chunks)


@dataclass(slots=True, eq=False)
class Stand:
    """Standing questions, and what they have told."""

    questions: StandingQuestions
    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    @property
    def store(self) -> MemoryStore:
        return self.questions.checker.store

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [dict(event) for kind, event in self.told if kind == "alert"]

    async def set(self, *questions: StandingQuestion) -> None:
        for question in questions:
            await self.questions.set(question)

    async def watch(self, chunks: Sequence[CompressedChunk]) -> None:
        """Remember chunks and check each."""
        for chunk in chunks:
            await self.store.remember(chunk)
            self.questions.note_chunk(chunk)
            await self.questions.check_next()


OpenStand = Callable[..., Awaitable[Stand]]
"""Opens standing questions, again as after a restart; may be given a budget."""


def ample() -> Budget:
    return Budget(1.0, burst_s=600.0)


def seconds(evidence: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Give when the chunks of an alert were, since the beginning."""
    ids = [ChunkId.parse("gate", each["chunk"]) for each in evidence]
    return [(id.start_ms / 1000 - START_S, id.end_ms / 1000 - START_S) for id in ids]
