"""One simulated camera and the rules that watch it: the product's, and plain ones."""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agent.standing.backlog import chunks_before
from agent.standing.budget import Budget
from agent.standing.checker import Checker
from agent.standing.definition import COOLDOWN_S, StandingQuestion
from agent.standing.happening import Happening, Rules
from agent.standing.judging import Judge
from agent.standing.keeping import StandingFile
from agent.standing.questions import CONTEXT_CHUNKS, StandingQuestions
from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread, Priority
from benchmarks.opening import empty
from benchmarks.standing_truth import Scores, score
from ingest.simulation.questions import Question, QuestionType, ask
from ingest.simulation.world import World
from memory.compression.bilevel import CompressedChunk
from memory.kv import KV, ChunkId
from memory.store import MemoryStore
from training.evaluate import CHUNK_S, MAX_NEW_TOKENS, film_world, say
from training.split import start_of

_TRIES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One camera's stream, remembered, and what is asked about it.

    Attributes:
        chunks: In time order.
        questions: Half of them about what happens.
    """

    chunks: list[CompressedChunk]
    questions: list[Question]

    @property
    def ids(self) -> list[ChunkId]:
        """The chunks by name."""
        return [chunk.memory.id for chunk in self.chunks]

    def scores(self, told: Sequence[Sequence[float]], **costs: Any) -> Scores:
        """Judge the times of the alerts of each question."""
        found = Scores(chunks=len(self.chunks), **costs)
        for question, times_s in zip(self.questions, told, strict=True):
            found.all.append(score(question, times_s, CHUNK_S))
        return found

    def runs(self, number: int, *, is_alone: bool) -> list[KV]:
        """Give what a chunk is read by: itself fine, and coarse what was before it."""
        nodes = [chunk.memory.node for chunk in self.chunks]
        before = chunks_before(nodes, self.ids[number], CONTEXT_CHUNKS)
        coarse = [] if is_alone else [node.high for node in before]
        return [*coarse, self.chunks[number].low]


@dataclass(frozen=True, slots=True, eq=False)
class Stood:
    """What the product told of a scene.

    Attributes:
        scores: Of its alerts.
        odds: Log-odds of each question's first pass, chunk by chunk.
    """

    scores: Scores
    odds: list[list[float]]


class Bench:
    """Runs scenes through every rule."""

    def __init__(
        self, model: VisionLanguageModel, store: MemoryStore, thread: ModelThread
    ) -> None:
        self.model, self.store, self.thread = model, store, thread
        self.sink = model.prefill_sink()

    async def remember(self, world: int, chunks: int, each: int) -> Scene:
        """Watch a world, and choose up to `each` questions of both kinds."""
        empty(self.store, newest=1)
        start_s, found = start_of(world), []
        for film in film_world(World(world), start_s, chunks):
            whole = await asyncio.to_thread(self.model.prefill, film, [self.sink])
            times = round(film.start_s * 1000), round(film.end_s * 1000)
            id = ChunkId(f"w{world}", *times)
            found.append(self.store.bilevel.compress_chunk(id, whole))
            await self.store.remember(found[-1])
        window = (start_s, start_s + chunks * CHUNK_S)
        return Scene(found, questions_on(World(world), window, each))

    async def stand(
        self, scene: Scene, margin: float, share: float, burst_s: float
    ) -> Stood:
        """Let the product watch; its budget is earned on the stream's clock."""
        now_s = [scene.ids[0].start_ms / 1000]
        budget = Budget(share, burst_s, lambda: now_s[0])
        checker = Checker(Judge(self.thread, self.model, self.sink, budget), self.store)
        names = [f"q{number}" for number in range(len(scene.questions))]
        told: dict[str, list[float]] = {name: [] for name in names}
        odds: list[list[float]] = [[] for _ in names]
        with tempfile.TemporaryDirectory() as folder:
            file = StandingFile(Path(folder) / "standing.json")
            tell = partial(_note, told, lambda: now_s[0])
            standing = StandingQuestions(checker, file, tell)
            for name, asked in zip(names, scene.questions, strict=True):
                camera = scene.ids[0].camera
                await standing.set(StandingQuestion(camera, name, asked.text, margin))
            for chunk in scene.chunks:
                now_s[0] = chunk.memory.id.end_ms / 1000
                standing.note_chunk(chunk)
                await standing.check_next()
                states = {state["name"]: state for state in standing.states()}
                for name, row in zip(names, odds, strict=True):
                    row.append(states[name]["log_odds"])
        report = standing.report()
        assert not report["failed"]
        scores = scene.scores(
            [told[name] for name in names],
            model_s=report["model_s"],
            verdicts=int(report["verdicts"]),
            checked=int(report["checked"]),
        )
        return Stood(scores, odds)

    def first_pass(self, scene: Scene, stood: Stood, margin: float) -> Scores:
        """Judge what the same would have told without the confirm pass."""
        rules, told = Rules(margin, COOLDOWN_S), []
        begun_s = scene.ids[0].start_ms / 1000
        for odds in stood.odds:
            times_s: list[float] = []
            happening = Happening().settled(is_going=False, time_s=begun_s)
            for number, (id, each) in enumerate(zip(scene.ids, odds, strict=True)):
                end_s = id.end_ms / 1000
                if number and happening.is_news(each, end_s, rules):
                    times_s.append(end_s)
                    happening = happening.alerted(end_s)
                else:
                    happening = happening.after(each, end_s, rules)
            told.append(times_s)
        verdicts = len(scene.chunks) * len(scene.questions)
        return scene.scores(told, verdicts=verdicts, checked=len(scene.chunks))

    async def plain(self, scene: Scene, *, is_alone: bool) -> tuple[Scores, Scores]:
        """Let the plain rule watch; every alert, and those after a cooldown."""
        every: list[list[float]] = [[] for _ in scene.questions]
        spent_s, chunks = 0.0, len(scene.chunks)
        for number, id in enumerate(scene.ids):
            runs = [self.sink, *scene.runs(number, is_alone=is_alone)]
            for asked, times_s in zip(scene.questions, every, strict=True):
                job = partial(_timed, self.model, runs, asked.text)
                text, cost_s = await self.thread.run(Priority.CHUNK, job)
                spent_s += cost_s
                if "yes" in text.lower():
                    times_s.append(id.end_ms / 1000)
        costs = {"model_s": spent_s, "checked": chunks}
        costs["verdicts"] = chunks * len(scene.questions)
        calm = [_cooled(times_s) for times_s in every]
        return scene.scores(every, **costs), scene.scores(calm, **costs)


def questions_on(
    world: World, window: tuple[float, float], each: int
) -> list[Question]:
    """Ask whether plates were seen: up to `each` that were, as many that weren't."""
    visits, dealer = world.visits(*window), random.Random(world.seed)
    kinds: tuple[list[Question], list[Question]] = ([], [])
    asked: set[object] = set()
    for _ in range(_TRIES):
        question = ask(visits, [window], QuestionType.SEEN, dealer)
        if question is None:
            continue
        about, found = question.happened or question.text, kinds[not question.happened]
        if len(found) < each and about not in asked:
            found.append(question)
            asked.add(about)
    return [question for found in kinds for question in found]


def _note(
    told: Mapping[str, list[float]],
    now_s: Callable[[], float],
    kind: str,
    event: Mapping[str, Any],
) -> None:
    if kind == "alert":
        told[event["name"]].append(now_s())


def _timed(
    model: VisionLanguageModel, runs: Sequence[KV], text: str
) -> tuple[str, float]:
    started_s = time.monotonic()
    said = say(model, runs, text, MAX_NEW_TOKENS)
    return said, time.monotonic() - started_s


def _cooled(times_s: Sequence[float]) -> list[float]:
    """Leave out alerts that come too soon after one before."""
    found: list[float] = []
    for time_s in times_s:
        if not found or time_s - found[-1] >= COOLDOWN_S:
            found.append(time_s)
    return found
