"""Questions that wait for the model are decoded together."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
import torch
from tiny_model import make_chunks

from agent.decode_queue import Decoded, DecodeQueue, Job
from agent.progress import Progress
from agent.stopwatch import Stopwatch
from agent.vlm import generation
from agent.vlm.generation import Reader, decode, decode_room, text_of
from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread, Priority
from memory.kv import KV
from memory.rehydration import compose

QUESTIONS = ("where did #47 come from ?", "when ?", "what colour was it ?")
NEW_TOKENS = 6


@pytest.fixture(scope="module")
def runs(model: VisionLanguageModel) -> list[KV]:
    sink = model.prefill_sink()
    return [model.prefill(chunk, [sink]).kv for chunk in make_chunks((8, 8, 8))]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The questions that went together."""
    seen: list[list[str]] = []

    def watched(
        model: VisionLanguageModel, readers: Sequence[Reader]
    ) -> Iterator[tuple[int, int | None]]:
        seen.append([reader.question for reader in readers])
        return generation.decode_together(model, readers)

    monkeypatch.setattr("agent.decode_queue.decode_together", watched)
    return seen


def alone(model: VisionLanguageModel, runs: Sequence[KV], question: str) -> str:
    room = decode_room(model, question, NEW_TOKENS)
    cache = compose([model.prefill_sink(), *runs], model.rotary, room=room)
    return text_of(model, list(decode(model, Reader(cache, question, NEW_TOKENS))))


async def ask_all(
    model: VisionLanguageModel, runs: Sequence[KV], progresses: Sequence[Progress]
) -> list[Decoded | BaseException]:
    """Queue questions while the model is busy, each about a chunk more."""
    gate = threading.Event()
    async with asyncio.timeout(30), ModelThread() as thread:
        queue = DecodeQueue(thread, model, model.prefill_sink(), NEW_TOKENS)
        held = thread.submit(Priority.CHUNK, gate.wait)
        futures = [
            queue.submit(Job(text, runs[: n + 1], Stopwatch(), progress))
            for n, (text, progress) in enumerate(
                zip(QUESTIONS, progresses, strict=True)
            )
        ]
        gate.set()
        await held
        return await asyncio.gather(*futures, return_exceptions=True)


async def test_questions_that_wait_go_together_and_are_answered_as_alone(
    model: VisionLanguageModel, runs: list[KV], batches: list[list[str]]
) -> None:
    progresses = [Progress(is_streamed=True) for _ in QUESTIONS]
    done = await ask_all(model, runs, progresses)
    assert batches == [list(QUESTIONS)]
    for number, (question, said) in enumerate(zip(QUESTIONS, done, strict=True)):
        assert isinstance(said, Decoded)
        assert said.text == alone(model, runs[: number + 1], question)
        progresses[number].end()
        deltas = [delta.text async for delta in progresses[number].deltas()]
        assert "".join(deltas) == said.text


async def test_a_batch_that_finds_no_memory_is_answered_one_by_one(
    model: VisionLanguageModel, runs: list[KV], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def short_of_memory(
        model: VisionLanguageModel, readers: Sequence[Reader]
    ) -> Iterator[tuple[int, int | None]]:
        sizes.append(len(readers))
        for count, pair in enumerate(generation.decode_together(model, readers)):
            if len(readers) > 1 and count == 4:
                raise torch.OutOfMemoryError
            yield pair

    monkeypatch.setattr("agent.decode_queue.decode_together", short_of_memory)
    done = await ask_all(model, runs, [Progress() for _ in QUESTIONS])
    assert sizes == [3, 1, 1, 1]
    for number, (question, said) in enumerate(zip(QUESTIONS, done, strict=True)):
        assert isinstance(said, Decoded)
        assert said.text == alone(model, runs[: number + 1], question)


async def test_a_question_nobody_waits_for_ends_without_the_others(
    model: VisionLanguageModel, runs: list[KV], batches: list[list[str]]
) -> None:
    progresses = [Progress() for _ in QUESTIONS]
    progresses[1].end()
    first, second, third = await ask_all(model, runs, progresses)
    assert isinstance(first, Decoded)
    assert isinstance(third, Decoded)
    assert second == Decoded("", 0)
    assert third.text == alone(model, runs, QUESTIONS[2])
    assert len(batches) == 1
