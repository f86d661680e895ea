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

from agent.coverage import MAX_GAPS, coverage_of
from agent.decode_queue import DecodeQueue, Job
from agent.errors import AnswerTimeoutError, InvalidQuestionError
from agent.links import NO_LINKS, Links
from agent.messages import Answer, Coverage, Evidence, Gap, Question, error_answer
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
from memory.store import MemoryStore, Watched
from memory.watch import SEAM_MS

logger = logging.getLogger(__name__)

NEWEST_GAPS = 50  # the log has them a second later
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
    """

    decoding: DecodeQueue
    store: MemoryStore
    limits: RecallLimits
    sources: Mapping[str, CameraSource]
    gaps: GapLog = field(default_factory=GapLog)
    recordings: Mapping[str, Path] = field(default_factory=dict)
    links: Links = NO_LINKS

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
            async with asyncio.timeout(question.expires_s - time.monotonic()):
                answer = await self._answer(question, progress)
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
        coverage = self._coverage(question, watched)
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
        return _degraded(whole, None if recalled.readings else "context_full")

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

    def _coverage(self, question: Question, watched: Mapping[str, Watched]) -> Coverage:
        """Tell what of the time asked about was watched, camera by camera."""
        parts = []
        for camera, seen in watched.items():
            start_s, end_s = question.start_s, question.end_s
            spans = seen.spans[-MAX_GAPS - 1 :]  # and no gap before them is told
            since_ms = _in_ms(start_s)
            if spans and (since_ms is None or len(spans) < len(seen.spans)):
                since_ms = max(since_ms or 0, spans[0].start_ms - SEAM_MS)
            gaps = [
                Gap(camera, gap.start_ms / 1000, gap.end_ms / 1000, gap.reason)
                for gap in self.gaps.within(camera, since_ms, _in_ms(end_s))
            ]
            gaps += [
                Gap(camera, gap.start_s, gap.end_s, gap.reason.value)
                for gap in self.sources[camera].gaps[-NEWEST_GAPS:]
            ]
            starts = [span.start_ms / 1000 for span in spans[:1]]
            ends = [span.end_ms / 1000 for span in spans[-1:]]
            if len(spans) < len(seen.spans):
                start_s = max(start_s or 0, starts[0])
            elif start_s is None:
                start_s = min([*starts, *(gap.start_s for gap in gaps[:1])], default=0)
            if end_s is None:
                end_s = max([*ends, *(gap.end_s for gap in gaps[-1:])], default=0)
            if spans and self.sources[camera].is_online:
                known_s = max([*ends, *(gap.end_s for gap in gaps)])
                end_s = min(end_s, known_s)  # the chunk that comes is no gap
            if seen.is_whole and start_s < end_s:
                parts.append(coverage_of(camera, spans, (start_s, end_s), gaps))
        return Coverage(
            tuple(span for part in parts for span in part.watched),
            tuple(gap for part in parts for gap in part.gaps),
        )


def _degraded(answer: Answer, why: str | None) -> Answer:
    """Give an answer that says what it is missing, None for nothing."""
    if why is None or why in answer.degraded:
        return answer
    return replace(answer, status="partial", degraded=(*answer.degraded, why))


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
