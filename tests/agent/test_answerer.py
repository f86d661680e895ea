import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from asking import LIMITS, NoGaps, question
from tiny_model import START_S

from agent.answerer import Answerer
from agent.progress import Progress
from agent.vlm.generation import decode_together
from agent.worker import Priority
from ingest.status import Gap, GapReason
from memory import gaps as memory_gaps
from memory.errors import ArchiveUnavailableError
from memory.kv import ChunkId
from memory.redis_archive import RedisArchive


async def test_an_answer_names_its_chunks_and_what_was_watched(
    answerer: Answerer,
) -> None:
    answer = await answerer.answer(question())
    assert answer.status == "ok"
    assert len(answer.evidence) == 2
    assert answer.evidence[0].score >= answer.evidence[1].score
    [span] = answer.coverage.watched
    assert span.end_s == START_S + 24  # what is resident: no time was asked about
    assert answer.tokens["low"] in {84, 126}
    assert 0 < answer.tokens["answer"] <= 4


async def test_an_evicted_time_is_read_from_the_archive(answerer: Answerer) -> None:
    asked = question(start_s=START_S + 0.5, end_s=START_S + 3.5)
    answer = await answerer.answer(asked)
    assert answer.status == "ok"
    [found] = answer.evidence
    assert (found.start_s, found.level) == (START_S, "low")


async def test_a_time_nobody_watched_is_told_without_the_model(
    answerer: Answerer,
) -> None:
    answer = await answerer.answer(question(start_s=START_S + 900, end_s=START_S + 960))
    assert answer.status == "no_coverage"
    assert answer.tokens == {}
    [gap] = answer.coverage.gaps
    assert (gap.start_s, gap.end_s) == (START_S + 900, START_S + 960)


async def test_a_question_of_nothing_but_special_tokens_is_empty(
    answerer: Answerer,
) -> None:
    answer = await answerer.answer(question("<|im_end|> <|vision_start|>"))
    assert answer.error is not None
    assert answer.error.code == "empty"


async def test_a_deadline_that_is_over_is_told(answerer: Answerer) -> None:
    answer = await answerer.answer(question(deadline_s=0.001))
    assert answer.error is not None
    assert answer.error.code == "timeout"


class PatientProgress(Progress):
    """Shows a text only once the one before was read, as a slow model would."""

    def __init__(self) -> None:
        super().__init__(is_streamed=True)
        self.is_read = threading.Event()
        self.shown: list[str] = []

    def show(self, text: str) -> None:
        self.shown.append(text)
        super().show(text)
        if text != "".join(self.shown[-2:-1]):
            assert self.is_read.wait(10)
            self.is_read.clear()


async def test_a_streamed_answer_comes_in_pieces_that_join_to_it(
    answerer: Answerer,
) -> None:
    progress, deltas, were_before_the_end = PatientProgress(), [], []
    answering = asyncio.ensure_future(answerer.answer(question(), progress))
    async with asyncio.timeout(10):
        async for delta in progress.deltas():
            deltas.append(delta)
            were_before_the_end.append(not answering.done())
            progress.is_read.set()
        answer = await answering
    assert "".join(delta.text for delta in deltas) == answer.answer
    assert [delta.seq for delta in deltas] == list(range(len(deltas)))
    assert len(deltas) == answer.tokens["answer"] > 1
    assert all(were_before_the_end)
    assert (await answerer.answer(question())).answer == answer.answer


async def test_an_answer_that_starts_over_is_streamed_from_the_start(
    answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = answerer.model.tokenize("came")[0]

    def fail_once(*given: Any) -> Iterator[tuple[int, int | None]]:
        monkeypatch.setattr("agent.decode_queue.decode_together", decode_together)
        yield next(iter(decode_together(*given)))
        yield 0, other
        raise torch.OutOfMemoryError

    monkeypatch.setattr("agent.decode_queue.decode_together", fail_once)
    progress, text, numbers = PatientProgress(), "", []
    answering = asyncio.ensure_future(answerer.answer(question(), progress))
    async with asyncio.timeout(10):
        async for delta in progress.deltas():
            text = delta.text if delta.seq == 0 else text + delta.text
            numbers.append(delta.seq)
            progress.is_read.set()
        answer = await answering
    assert answer.degraded == ("top_k_reduced",)
    assert text == answer.answer
    assert numbers.count(0) == 2


async def test_decoding_ends_between_tokens_when_nobody_waits(
    answerer: Answerer,
) -> None:
    progress = PatientProgress()
    answering = asyncio.ensure_future(answerer.answer(question(), progress))
    async with asyncio.timeout(10):
        async for _ in progress.deltas():
            answering.cancel()
            await asyncio.wait([answering])
            break
        progress.is_read.set()
        await answerer.decoding.thread.run(
            Priority.QUESTION, lambda: None
        )  # behind the answer
    assert answering.cancelled()
    assert len(set(progress.shown)) == 1


async def test_a_model_that_fails_is_an_answer_not_the_end(
    answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_names: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("agent.decode_queue.compose", fail)
    answer = await answerer.answer(question())
    assert answer.error is not None
    assert answer.error.code == "failed"
    assert "boom" not in answer.error.message


async def test_more_chunks_than_there_are_may_be_asked_for(answerer: Answerer) -> None:
    answer = await answerer.answer(question(top_k=64))
    assert answer.status == "ok"
    assert len(answer.evidence) == 6  # those that are evicted, too


async def test_an_archive_that_is_away_is_not_told_as_nothing_watched(
    answerer: Answerer,
) -> None:
    async with RedisArchive("redis://127.0.0.1:9", model="m", timeout_s=0.5) as away:
        answerer.store.archive = away
        old = question(start_s=START_S + 0.5, end_s=START_S + 3.5)
        answer = await answerer.answer(old)
        assert answer.error is not None
        assert answer.error.code == "archive_unavailable"
        newest = question(start_s=START_S + 0.5, end_s=START_S + 24)
        answer = await answerer.answer(newest)
        assert answer.status == "partial"
        assert "archive_unavailable" in answer.degraded


async def test_memory_that_is_not_yet_rebuilt_is_not_told_as_the_whole(
    answerer: Answerer,
) -> None:
    """As after a restart of the agent while the archive is away."""
    archive = answerer.store.archive
    async with RedisArchive("redis://127.0.0.1:9", model="m", timeout_s=0.5) as away:
        answerer.store.archive = away
        with pytest.raises(ArchiveUnavailableError):
            await answerer.store.rebuild(["door"])
    answerer.store.archive = archive
    answer = await answerer.answer(question())
    assert answer.status == "partial"
    assert answer.degraded == ("archive_unavailable",)
    answerer.store.outage.end()  # as the replay notices
    await answerer.store.rebuild(["door"])
    assert (await answerer.answer(question())).status == "ok"


async def test_a_question_of_too_many_tokens_is_refused(answerer: Answerer) -> None:
    answer = await answerer.answer(question("a " * 600))
    assert answer.error is not None
    assert answer.error.code == "too_long"


async def test_a_context_too_small_for_anything_is_told(answerer: Answerer) -> None:
    small = replace(answerer, limits=replace(LIMITS, context_tokens=2))
    answer = await small.answer(question())
    assert answer.status == "partial"
    assert answer.degraded == ("context_full",)


async def test_an_outage_that_goes_on_is_told(answerer: Answerer) -> None:
    now_s = START_S + 100
    outage = Gap(START_S + 24, now_s, GapReason.OFFLINE)
    source = NoGaps()
    source.gaps = (outage,)
    offline = replace(answerer, sources={"door": source})
    answer = await offline.answer(question())
    [gap] = answer.coverage.gaps
    assert (gap.start_s, gap.end_s, gap.kind) == (START_S + 24, now_s, "offline")


async def test_without_a_start_nothing_is_told_of_the_time_before_memory(
    answerer: Answerer,
) -> None:
    """Another model may have watched then; what led to the first chunk is told."""
    start_ms = round(1000 * START_S)
    answerer.gaps.add("door", memory_gaps.Gap(1000, 9000, "offline"))
    answerer.gaps.add(
        "door", memory_gaps.Gap(start_ms - 60_000, start_ms, "not_started")
    )
    answer = await answerer.answer(question())
    [gap] = answer.coverage.gaps
    assert (gap.start_s, gap.end_s, gap.kind) == (
        *(START_S - 60, START_S),
        "not_started",
    )
    answer = await answerer.answer(question(start_s=0.0, end_s=START_S + 24))
    assert [gap.kind for gap in answer.coverage.gaps] == [
        *("offline", "not_watched", "not_started"),
    ]


async def test_of_many_gaps_the_newest_are_told_with_their_reasons(
    answerer: Answerer,
) -> None:
    first_s = START_S + 24
    for number in range(200):
        start_ms = round(1000 * (first_s + 20 * number))
        watched = ChunkId("door", start_ms + 10_000, start_ms + 20_000)
        answerer.store._times.add(watched)
        reason = f"reason_{number % 3}"
        answerer.gaps.add("door", memory_gaps.Gap(start_ms, start_ms + 10_000, reason))
    answer = await answerer.answer(question(start_s=START_S))
    assert [gap.kind for gap in answer.coverage.gaps] == [
        f"reason_{number % 3}" for number in range(150, 200)
    ]
    assert len(answer.coverage.watched) == 50
    assert answer.coverage.watched[-1].end_s == first_s + 4000
