"""The bottom half: a question through relevance, recall and decode to an answer."""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from agent.coverage import coverage_of
from agent.errors import AnswerTimeoutError, InvalidQuestionError
from agent.messages import Answer, Coverage, Evidence, Gap, Question, error_answer
from agent.stopwatch import Stopwatch
from agent.vlm.generation import decode, decode_room
from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread, Priority
from ingest.source import CameraSource
from memory.errors import ArchiveUnavailableError
from memory.kv import KV, ChunkId, ChunkMemory, Level
from memory.recall import Candidate, Reading, RecallLimits, plan_recall
from memory.rehydration import compose
from memory.relevance import score_chunks
from memory.store import MemoryStore, Recollection

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Answerer:
    """Answers questions from memory.

    Attributes:
        model: The model.
        sink: KV of the tokens before the first chunk.
        thread: The thread that owns the model.
        store: The memory.
        limits: How much a question may read.
        max_new_tokens: Most tokens of an answer.
        sources: The cameras, for the reasons of gaps.
    """

    model: VisionLanguageModel
    sink: KV
    thread: ModelThread
    store: MemoryStore
    limits: RecallLimits
    max_new_tokens: int
    sources: Mapping[str, CameraSource]

    async def answer(self, question: Question) -> Answer:
        """Answer a question; whatever goes wrong becomes an answer that says so."""
        cancelled = threading.Event()
        try:
            async with asyncio.timeout(question.expires_s - time.monotonic()):
                answer = await self._answer(question, cancelled)
        except TimeoutError:
            late = AnswerTimeoutError(question.deadline_s)
            answer = error_answer(question.id, late.code, str(late), question.text)
        except torch.OutOfMemoryError:
            text = "the GPU is out of memory; ask about a shorter time"
            answer = error_answer(question.id, "out_of_memory", text, question.text)
        except (InvalidQuestionError, ArchiveUnavailableError) as exc:
            answer = error_answer(question.id, exc.code, str(exc), question.text)
        except (RuntimeError, ValueError) as exc:
            logger.exception("question %s failed", question.id)
            text = f"the model failed: {type(exc).__name__}"
            answer = error_answer(question.id, "failed", text, question.text)
        finally:
            cancelled.set()
        _log(answer)
        return answer

    async def _answer(self, question: Question, cancelled: threading.Event) -> Answer:
        watch = Stopwatch()
        cameras = question.cameras or tuple(sorted(self.sources))
        start_ms, end_ms = _in_ms(question.start_s), _in_ms(question.end_s)
        watched = {
            camera: await self.store.watched(camera, start_ms, end_ms)
            for camera in cameras
        }
        coverage = self._coverage(question, watched)
        memories = await self._candidates(question, watched)
        answer = Answer(
            question.id,
            question.text,
            "Nothing was watched then.",
            "no_coverage",
            coverage=coverage,
            model=self.model.name,
        )
        if not memories:
            if coverage.watched:
                raise ArchiveUnavailableError("what was watched then can't be read now")
            return answer
        watch.lap("coverage")
        scores = await self.thread.run(
            Priority.QUESTION, partial(self._score, question.text, memories)
        )
        watch.lap("relevance")
        top_k = question.top_k or self.limits.top_k
        try:
            return await self._read(answer, memories, scores, top_k, watch, cancelled)
        except torch.OutOfMemoryError:
            logger.warning("out of GPU memory, reading %d chunks fine", top_k // 2)
            halved = await self._read(
                answer, memories, scores, top_k // 2, watch, cancelled
            )
            degraded = (*halved.degraded, "top_k_reduced")
            return replace(halved, status="partial", degraded=degraded)

    async def _read(
        self,
        answer: Answer,
        memories: Sequence[ChunkMemory],
        scores: Sequence[float],
        top_k: int,
        watch: Stopwatch,
        cancelled: threading.Event,
    ) -> Answer:
        """Recall chunks, decode over them, and complete the answer."""
        candidates = [
            Candidate(m.id, m.high.num_tokens, m.low_tokens, score)
            for m, score in zip(memories, scores, strict=True)
        ]
        plan = plan_recall(candidates, replace(self.limits, top_k=top_k))
        recalled = await self.store.recall(plan, memories)
        watch.lap("fetch")
        text, num_tokens = await self.thread.run(
            Priority.QUESTION,
            partial(self._decode, answer.question, recalled, watch, cancelled),
        )
        watch.total("total")
        return replace(
            answer,
            answer=text,
            status="partial" if recalled.degraded else "ok",
            degraded=tuple(sorted(recalled.degraded)),
            evidence=_evidence(recalled.readings),
            timings_ms=watch.laps_ms,
            tokens={
                "context": self.sink.num_tokens + sum(_tokens(recalled).values()),
                **_tokens(recalled),
                "answer": num_tokens,
            },
        )

    def _score(self, text: str, memories: Sequence[ChunkMemory]) -> list[float]:
        """Score chunks; runs on the model thread."""
        if not self.model.plain(text).strip():
            raise InvalidQuestionError("empty", "the question has no words")
        queries = self.model.question_queries(text, self.sink)
        scores: list[float] = score_chunks(queries, memories, self.model.heads).tolist()
        return scores

    def _decode(
        self,
        text: str,
        recalled: Recollection,
        watch: Stopwatch,
        cancelled: threading.Event,
    ) -> tuple[str, int]:
        """Re-hydrate and decode; runs on the model thread."""
        room = decode_room(self.model, text, self.max_new_tokens)
        cache = compose([self.sink, *recalled.runs], self.model.rotary, room=room)
        watch.lap("rehydrate")
        ids: list[int] = []
        limit = self.max_new_tokens
        for token in decode(self.model, cache, text, limit, cancelled.is_set):
            if not ids:
                watch.lap("first_token")
            ids.append(token)
        watch.lap("decode")
        words = self.model.tokenizer.decode(ids, skip_special_tokens=True)
        return str(words).strip(), len(ids)

    async def _candidates(
        self, question: Question, watched: Mapping[str, Sequence[ChunkId]]
    ) -> tuple[ChunkMemory, ...]:
        """Give what can be read: resident chunks, and older ones if a time is asked."""
        resident = self.store.resident.chunks(tuple(watched))
        if resident and question.start_s is None and question.end_s is None:
            return resident
        asked = [chunk for chunks in watched.values() for chunk in chunks]
        return await self.store.candidates(asked, self.limits.context_tokens)

    def _coverage(
        self, question: Question, watched: Mapping[str, Sequence[ChunkId]]
    ) -> Coverage:
        """Tell what of the time asked about was watched, camera by camera."""
        parts = []
        for camera, chunks in watched.items():
            if not chunks and question.start_s is None:
                continue
            start_s, end_s = question.start_s, question.end_s
            if start_s is None:
                start_s = chunks[0].start_ms / 1000
            if end_s is None:
                end_s = chunks[-1].end_ms / 1000 if chunks else time.time()
            gaps = [
                Gap(camera, gap.start_s, gap.end_s, gap.reason.value)
                for gap in self.sources[camera].gaps
            ]
            parts.append(coverage_of(camera, chunks, (start_s, end_s), gaps))
        return Coverage(
            tuple(span for part in parts for span in part.watched),
            tuple(gap for part in parts for gap in part.gaps),
        )


def _in_ms(time_s: float | None) -> int | None:
    return None if time_s is None else round(time_s * 1000)


def _tokens(recalled: Recollection) -> dict[str, int]:
    counts = {"high": 0, "low": 0}
    for reading, run in zip(recalled.readings, recalled.runs, strict=True):
        counts[reading.level.name.lower()] += run.num_tokens
    return counts


def _evidence(readings: Sequence[Reading]) -> tuple[Evidence, ...]:
    """Give the chunks that relevance chose, the most relevant first."""
    chosen = sorted(
        (r for r in readings if r.is_evidence), key=lambda r: r.score, reverse=True
    )
    return tuple(
        Evidence(
            r.chunk.camera,
            r.chunk.name,
            r.chunk.start_ms / 1000,
            r.chunk.end_ms / 1000,
            r.score,
            "low" if r.level is Level.LOW else "high",
        )
        for r in chosen
    )


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
