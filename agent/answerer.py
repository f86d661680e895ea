"""The bottom half: a question through relevance, recall and decode to an answer."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from agent.abstention import Abstention
from agent.coverage_for import coverage_for
from agent.decode_queue import DecodeQueue, Job
from agent.errors import AnswerTimeoutError, InvalidQuestionError
from agent.links import NO_LINKS, Links
from agent.messages import Answer, Evidence, Question, Status, error_answer
from agent.progress import Progress
from agent.stopwatch import Stopwatch
from agent.vlm.model import VisionLanguageModel
from agent.worker import Priority
from ingest.films import film_at
from ingest.source import CameraSource
from memory.descent import Reach
from memory.errors import ArchiveUnavailableError
from memory.gaps import GapLog
from memory.kv import KV, ChunkId, Level
from memory.recall import Candidate, Reading, RecallLimits, plan_recall
from memory.recollection import Recollection
from memory.relevant import Relevance
from memory.store import MemoryStore

logger = logging.getLogger(__name__)

NOT_SURE = "I am not sure."
MAX_QUESTION_TOKENS = 512  # bounds what scoring a question costs


@dataclass(frozen=True, slots=True, eq=False)
class Answerer:
    """Answers questions from memory.

    Attributes:
        decoding: The questions that are ready to be decoded, in front of the model.
        store: The memory.
        limits: How much a question may read.
        sources: The cameras, for the reasons of gaps.
        gaps: When they were not watched, as far back as that is known.
        recordings: The folders of films of those that are recorded.
        links: Where pictures and films of chunks can be had.
        abstention: When no answer is given, None if the model always gives one.
    """

    decoding: DecodeQueue
    store: MemoryStore
    limits: RecallLimits
    sources: Mapping[str, CameraSource]
    gaps: GapLog = field(default_factory=GapLog)
    recordings: Mapping[str, Path] = field(default_factory=dict)
    links: Links = NO_LINKS
    abstention: Abstention | None = None

    @property
    def model(self) -> VisionLanguageModel:
        """The model."""
        return self.decoding.model

    async def answer(
        self, question: Question, progress: Progress | None = None
    ) -> Answer:
        """Answer a question; whatever goes wrong becomes an answer that says so.

        Args:
            question: The question.
            progress: Where the text is shown as it comes; ended with the answer.
        """
        progress = progress or Progress()
        try:
            left_s = question.expires_s - time.monotonic()
            async with asyncio.timeout(left_s):
                with self.decoding.thread.hold():
                    answer = await self._answer(question, progress)
            if answer.status == "unsure":
                progress.show(answer.answer)  # in the place of what was not sure
        except TimeoutError:
            late = AnswerTimeoutError(question.deadline_s)
            answer = error_answer(question.id, late.code, str(late), question.text)
        except torch.OutOfMemoryError:
            text = "the GPU is out of memory; ask about a shorter time"
            answer = error_answer(question.id, "out_of_memory", text, question.text)
        except (InvalidQuestionError, ArchiveUnavailableError) as exc:
            answer = error_answer(question.id, exc.code, str(exc), question.text)
        except Exception as exc:  # the asker must hear of it, and the cameras go on
            logger.exception("question %s failed", question.id)
            text = f"the agent failed on it: {type(exc).__name__}"
            answer = error_answer(question.id, "failed", text, question.text)
        finally:
            progress.end()
        _log(answer)
        return answer

    async def _answer(self, question: Question, progress: Progress) -> Answer:
        watch = Stopwatch()
        cameras = question.cameras or tuple(sorted(self.sources))
        times = _in_ms(question.start_s), _in_ms(question.end_s)
        watched = {name: self.store.watched(name, *times) for name in cameras}
        coverage = coverage_for(question, watched, self.gaps, self.sources)
        answer = Answer(
            question.id,
            question.text,
            "Nothing was watched then.",
            "no_coverage",
            coverage=coverage,
            understood=question.understood,
            model=self.model.name,
        )
        reach = await self.store.reach(cameras, times, self.limits.context_tokens)
        is_whole = reach.is_whole and self.store.loading.is_done
        is_whole = is_whole and all(each.is_whole for each in watched.values())
        if not reach.nodes:
            if coverage.watched or not is_whole:
                raise ArchiveUnavailableError("what was watched then can't be read now")
            return answer
        watch.lap("coverage")
        queries = await self.decoding.thread.run(
            Priority.QUESTION, partial(self._queries, question, progress)
        )
        relevance = await self.store.relevance(queries, cameras, *times)
        watch.lap("relevance")
        job = partial(
            Job,
            question.timeless,
            watch=watch,
            progress=progress,
            earlier=question.earlier,
        )
        read = partial(self._read, answer, reach, relevance, job, watch)
        top_k = question.top_k or self.limits.top_k
        with contextlib.suppress(torch.OutOfMemoryError):
            away = None if is_whole else self._why()
            return _degraded(await read(top_k), away)
        logger.warning("out of GPU memory, reading %d chunks fine", top_k // 2)
        return _degraded(await read(top_k // 2), "top_k_reduced")

    async def _read(
        self,
        answer: Answer,
        reach: Reach,
        relevance: Relevance,
        job_of: Callable[[Sequence[KV]], Job],
        watch: Stopwatch,
        top_k: int,
    ) -> Answer:
        """Recall chunks, decode over them, and complete the answer."""
        best = relevance.best(top_k)
        opened = await self.store.descend(reach.nodes, best)
        watch.lap("descent")
        scores = relevance.of_nodes(opened.nodes)
        candidates = [
            Candidate(node.id, node.high.num_tokens, node.low_tokens, score)
            for node, score in zip(opened.nodes, scores, strict=True)
        ]
        plan = plan_recall(candidates, replace(self.limits, top_k=top_k))
        recalled = await self.store.recall(plan, opened.nodes)
        watch.lap("fetch")
        decoded = await self.decoding.submit(job_of(recalled.runs))
        watch.total("total")
        read = _tokens(recalled)
        whole = replace(
            answer,
            answer=decoded.text,
            status="partial" if recalled.degraded else "ok",
            degraded=tuple(sorted(recalled.degraded)),
            evidence=await asyncio.to_thread(self._evidence, recalled.readings),
            timings_ms=watch.laps_ms,
            tokens={
                "context": self.decoding.sink.num_tokens + sum(read.values()),
                **read,
                "answer": decoded.num_tokens,
            },
        )
        if not opened.is_whole:
            whole = _degraded(whole, "archive_unavailable")
        whole = _degraded(whole, None if recalled.readings else "context_full")
        return self._if_sure(whole, decoded.log_probs)

    def _if_sure(self, answer: Answer, log_probs: Sequence[float]) -> Answer:
        """Give an answer with how sure it is, its words only if that is enough."""
        if self.abstention is None:
            return answer
        confidence = self.abstention.confidence(log_probs)
        answer = replace(answer, confidence=confidence)
        if self.abstention.is_sure(confidence):
            return answer
        return replace(answer, answer=NOT_SURE, status="unsure")

    def _evidence(self, readings: Sequence[Reading]) -> tuple[Evidence, ...]:
        """Give the chunks that relevance chose, the most relevant first."""
        chosen = [reading for reading in readings if reading.is_evidence]
        best_first = sorted(chosen, key=lambda r: r.score, reverse=True)
        return tuple(self._evidence_of(reading) for reading in best_first)

    def _evidence_of(self, reading: Reading) -> Evidence:
        chunk, film = reading.chunk, self._film(reading.chunk)
        return Evidence(
            chunk.camera,
            chunk.name,
            chunk.start_ms / 1000,
            chunk.end_ms / 1000,
            reading.score,
            "low" if reading.level is Level.LOW else "high",
            film,
            self.links.picture(chunk),
            self.links.film(chunk) if film else None,
        )

    def _film(self, chunk: ChunkId) -> str | None:
        """Give the film that shows a chunk from its beginning, if there is one."""
        folder = self.recordings.get(chunk.camera)
        film = film_at(folder, chunk.start_ms) if folder else None
        return str(film.path) if film else None

    def _queries(self, question: Question, progress: Progress) -> torch.Tensor:
        """Give the question's queries in the index heads; on the model thread.

        What earlier questions were about, this one may be, too.
        """
        text = self.model.plain(question.timeless)
        words = len(self.model.tokenize(text))
        if not text.strip() or not words:
            raise InvalidQuestionError("empty", "the question has no words")
        if words > MAX_QUESTION_TOKENS:
            reason = f"{words} tokens, at most {MAX_QUESTION_TOKENS} are allowed"
            raise InvalidQuestionError("too_long", reason)
        if progress.is_over():
            return torch.empty(0)  # nobody waits for it
        whole = " ".join([*(asked for asked, _ in question.earlier), text])
        if len(self.model.tokenize(self.model.plain(whole))) > MAX_QUESTION_TOKENS:
            whole = text
        return self.model.question_queries(whole, self.decoding.sink)

    def _why(self) -> str:
        """Give why memory is not whole."""
        is_loading = not self.store.loading.is_done and not self.store.outage.is_on
        return "loading" if is_loading else "archive_unavailable"


def _degraded(answer: Answer, why: str | None) -> Answer:
    """Give an answer that says what it is missing, None for nothing."""
    if why is None or why in answer.degraded:
        return answer
    status: Status = "unsure" if answer.status == "unsure" else "partial"
    return replace(answer, status=status, degraded=(*answer.degraded, why))


def _in_ms(time_s: float | None) -> int | None:
    return None if time_s is None else round(time_s * 1000)


def _tokens(recalled: Recollection) -> dict[str, int]:
    counts = {"high": 0, "low": 0}
    for reading, run in zip(recalled.readings, recalled.runs, strict=True):
        counts[reading.level.name.lower()] += run.num_tokens
    return counts


def _log(answer: Answer) -> None:
    timings = {f"{name}_ms": round(ms, 1) for name, ms in answer.timings_ms.items()}
    logger.info(
        "answered %s: %s",
        answer.id,
        answer.status,
        extra={
            **timings,
            **{f"tokens_{name}": count for name, count in answer.tokens.items()},
            "degraded": list(answer.degraded),
            "scores": [round(found.score, 4) for found in answer.evidence],
        },
    )
