"""One new chunk, checked: is what a standing question waits for in it, and is it news?

The first pass reads coarse what was before and fine what is new, and costs one verdict.
Only what it finds is read again, from the L-KV of the chunk and of those before it: the
confirm pass, whose margin is the same. A chunk with none before it is not believed: all
false alerts of the built-in model came of such. Before its first chunk a question is
asked of what memory has of the time before: what was there already is no news.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.messages import Evidence
from agent.standing.alert import Alert
from agent.standing.backlog import NewChunk
from agent.standing.definition import StandingQuestion
from agent.standing.happening import Happening, Phase, Rules
from agent.standing.judging import Judge
from agent.vlm.verdict import Verdict
from ingest.films import film_at
from memory.kv import ChunkId, Level, Node
from memory.recall import Reading
from memory.recollection import Recollection
from memory.store import MemoryStore


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a chunk for one standing question.

    Attributes:
        standing: The question.
        verdict: Of the first pass.
        happening: What it has come to.
        alert: If there is news.
    """

    standing: StandingQuestion
    verdict: Verdict
    happening: Happening
    alert: Alert | None = None


@dataclass(slots=True, eq=False)
class Checker:
    """Checks chunks against standing questions.

    Attributes:
        judge: Gives verdicts.
        store: The memory.
        recordings: The folders of films of the cameras that are recorded.
        confirms: Confirm passes so far.
    """

    judge: Judge
    store: MemoryStore
    recordings: Mapping[str, Path] = field(default_factory=dict)
    confirms: int = 0

    async def check(
        self,
        chunk: NewChunk,
        standing: Sequence[tuple[StandingQuestion, Happening]],
    ) -> list[Checked]:
        """Check a chunk.

        Args:
            chunk: The chunk.
            standing: Questions about its camera, at least one, and where they stand.

        Raises:
            queue.Full: Too many jobs wait for the model.
        """
        questions = [each for each, _ in standing]
        happenings = await self._settle(chunk, standing)
        runs = [*(node.high for node in chunk.before), chunk.fine]
        texts = [each.question for each in questions]
        verdicts = await self.judge.ask(runs, texts)
        return [
            await self._decide(chunk, each, verdict, happening)
            for each, verdict, happening in zip(
                questions, verdicts, happenings, strict=True
            )
        ]

    async def _settle(
        self,
        chunk: NewChunk,
        standing: Sequence[tuple[StandingQuestion, Happening]],
    ) -> list[Happening]:
        """Tell what was going on before, where that is not known yet."""
        found = {each.name: happening for each, happening in standing}
        new = [each for each, h in standing if h.phase is Phase.UNKNOWN]
        is_loaded = bool(chunk.before) or self.store.loading.is_done
        if new and is_loaded:
            said = [False] * len(new)
            if chunk.before:
                recalled = await self._recall(chunk.before)
                texts = [each.question for each in new]
                verdicts = await self.judge.ask(recalled.runs, texts)
                pairs = zip(new, verdicts, strict=True)
                said = [verdict.log_odds >= each.margin for each, verdict in pairs]
            time_s = chunk.id.start_ms / 1000
            for each, is_going in zip(new, said, strict=True):
                before = found[each.name]
                found[each.name] = before.settled(is_going=is_going, time_s=time_s)
        return [found[each.name] for each, _ in standing]

    async def _decide(
        self,
        chunk: NewChunk,
        standing: StandingQuestion,
        verdict: Verdict,
        happening: Happening,
    ) -> Checked:
        rules = Rules(standing.margin, standing.cooldown_s)
        is_news = happening.is_news(verdict.log_odds, chunk.end_s, rules)
        if is_news and chunk.before:
            alert = await self._confirm(chunk, standing)
            if alert is not None:
                told = happening.alerted(chunk.end_s)
                return Checked(standing, verdict, told, alert)
        after = happening.after(verdict.log_odds, chunk.end_s, rules)
        return Checked(standing, verdict, after)

    async def _confirm(
        self, chunk: NewChunk, standing: StandingQuestion
    ) -> Alert | None:
        """Read all of it fine; give the alert if the answer is still yes."""
        self.confirms += 1
        recalled = await self._recall((*chunk.before, chunk.node))
        [verdict] = await self.judge.ask(recalled.runs, [standing.question])
        if verdict.log_odds < standing.margin:
            return None
        return Alert(
            standing.name,
            standing.camera,
            standing.question,
            chunk.end_s,
            verdict.log_odds,
            await self._evidence(recalled, standing),
        )

    async def _evidence(
        self, recalled: Recollection, standing: StandingQuestion
    ) -> tuple[Evidence, ...]:
        """Ask of each chunk alone; give those that say yes, or else the newest."""
        found = []
        for reading, run in zip(recalled.readings, recalled.runs, strict=True):
            [verdict] = await self.judge.ask([run], [standing.question])
            film = await asyncio.to_thread(self._film, reading.chunk)
            found.append(_evidence(reading, verdict.log_odds, film))
        told = [each for each in found if each.score >= standing.margin]
        return tuple(sorted(told or found[-1:], key=lambda e: e.score, reverse=True))

    def _film(self, chunk: ChunkId) -> str | None:
        """Give the film that shows a chunk from its beginning, if there is one."""
        folder = self.recordings.get(chunk.camera)
        film = film_at(folder, chunk.start_ms) if folder else None
        return str(film.path) if film else None

    async def _recall(self, nodes: Sequence[Node]) -> Recollection:
        """Re-hydrate chunks: their L-KV, or what there is of them."""
        plan = [Reading(n.id, Level.LOW, 0.0, is_evidence=True) for n in nodes]
        return await self.store.recall(plan, nodes)


def _evidence(reading: Reading, log_odds: float, film: str | None) -> Evidence:
    chunk = reading.chunk
    return Evidence(
        chunk.camera,
        chunk.name,
        chunk.start_ms / 1000,
        chunk.end_ms / 1000,
        log_odds,
        "low" if reading.level is Level.LOW else "high",
        film,
    )
