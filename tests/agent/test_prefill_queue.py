import asyncio
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest
import torch
from tiny_model import make_chunks

from agent.prefill_queue import Prefilled, PrefillQueue
from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread, Priority
from ingest.frame import FrameChunk
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.kv import KV, ChunkKV

TOKENS = 4 * 16  # visual, of a chunk of eight frames


@dataclass
class WatchedModel:
    """The model, and who went through it together."""

    model: VisionLanguageModel
    batches: list[list[str]] = field(default_factory=list)
    refuses: str = ""

    def num_visual_tokens(self, chunk: FrameChunk) -> int:
        return self.model.num_visual_tokens(chunk)

    def prefill_batch(
        self,
        chunks: Sequence[FrameChunk],
        contexts: Sequence[Sequence[KV]],
        least_changes: Sequence[float],
    ) -> list[ChunkKV]:
        self.batches.append([chunk.camera for chunk in chunks])
        if self.refuses in self.batches[-1]:
            raise torch.OutOfMemoryError("no room")
        return self.model.prefill_batch(chunks, contexts, least_changes)


@pytest.fixture
def watched(model: VisionLanguageModel) -> WatchedModel:
    return WatchedModel(model)


def new_queue(
    thread: ModelThread,
    watched: WatchedModel,
    max_tokens: int,
    least_change: Mapping[str, float],
) -> PrefillQueue:
    levels = BiLevel(
        LevelSettings("value_norm", 16),
        LevelSettings("value_norm", 2),
        watched.model.heads,
        8,
    )
    sink = watched.model.prefill_sink()
    return PrefillQueue(
        thread,
        watched,  # type: ignore[arg-type]
        sink,
        levels,
        max_tokens,
        least_change,
    )


async def run_all(
    watched: WatchedModel,
    chunks: Sequence[FrameChunk],
    max_tokens: int,
    least_change: Mapping[str, float] = MappingProxyType({}),
) -> list[Prefilled | BaseException]:
    """Queue chunks while the model is busy, then let it go on."""
    gate = threading.Event()
    contexts = {chunk.camera: deque[KV](maxlen=1) for chunk in chunks}
    async with asyncio.timeout(30), ModelThread() as thread:
        queue = new_queue(thread, watched, max_tokens, least_change)
        held = thread.submit(Priority.CHUNK, gate.wait)
        futures = [queue.submit(chunk, contexts[chunk.camera]) for chunk in chunks]
        gate.set()
        await held
        return await asyncio.gather(*futures, return_exceptions=True)


def of(camera: str, *lengths: int, seed: int = 0) -> list[FrameChunk]:
    return make_chunks(lengths, camera=camera, seed=seed)


async def test_cameras_that_wait_go_together(watched: WatchedModel) -> None:
    chunks = [*of("door", 8), *of("yard", 8, seed=1), *of("gate", 8, seed=2)]
    done = await run_all(watched, chunks, 3 * TOKENS)
    assert watched.batches == [["door", "yard", "gate"]]
    for chunk, prefilled in zip(chunks, done, strict=True):
        assert isinstance(prefilled, Prefilled)
        assert prefilled.compressed.memory.id.camera == chunk.camera
        sink = watched.model.prefill_sink()
        alone = watched.model.prefill(chunk, [sink])
        kept = LevelSettings("value_norm", 2).apply(alone)
        torch.testing.assert_close(
            prefilled.compressed.low.values, kept.values, atol=1e-4, rtol=1e-4
        )


async def test_a_batch_holds_as_many_tokens_as_it_may(watched: WatchedModel) -> None:
    chunks = [of(name, 8)[0] for name in ("a", "b", "c")]
    await run_all(watched, chunks, 2 * TOKENS)
    assert watched.batches == [["a", "b"], ["c"]]


async def test_a_chunk_larger_than_a_batch_goes_alone(watched: WatchedModel) -> None:
    chunks = [of(name, 8)[0] for name in ("a", "b")]
    await run_all(watched, chunks, 1)
    assert watched.batches == [["a"], ["b"]]


async def test_a_camera_s_chunks_go_in_order_and_see_the_one_before(
    watched: WatchedModel,
) -> None:
    chunks = of("door", 8, 8)
    first, second = await run_all(watched, chunks, 10 * TOKENS)
    assert watched.batches == [["door"], ["door"]]
    assert isinstance(first, Prefilled)
    assert isinstance(second, Prefilled)
    context = [watched.model.prefill_sink(), first.compressed.memory.high]
    whole = watched.model.prefill(chunks[1], context)
    kept = LevelSettings("value_norm", 2).apply(whole)
    torch.testing.assert_close(second.compressed.low.values, kept.values)


async def test_only_what_is_alike_goes_together(watched: WatchedModel) -> None:
    chunks = [*of("a", 8), *of("b", 4), *of("c", 8)]
    await run_all(watched, chunks, 10 * TOKENS)
    assert watched.batches == [["a", "c"], ["b"]]


async def test_each_camera_leaves_out_what_it_was_told_to(
    watched: WatchedModel,
) -> None:
    chunks = [of(name, 8)[0] for name in ("all", "part")]
    whole, part = await run_all(watched, chunks, 10 * TOKENS, {"part": 0.3})
    assert watched.batches == [["all", "part"]]
    assert isinstance(whole, Prefilled)
    assert isinstance(part, Prefilled)
    assert whole.compressed.num_left_out == 0
    left_out = part.compressed.num_left_out
    assert left_out > 0
    assert part.compressed.num_tokens == whole.compressed.num_tokens - left_out


async def test_a_chunk_that_fails_spares_the_others(watched: WatchedModel) -> None:
    watched.refuses = "b"
    chunks = [of(name, 8)[0] for name in ("a", "b", "c")]
    first, failed, last = await run_all(watched, chunks, 10 * TOKENS)
    assert watched.batches == [["a", "b", "c"], ["a"], ["b"], ["c"]]
    assert isinstance(failed, torch.OutOfMemoryError)
    assert isinstance(first, Prefilled)
    assert isinstance(last, Prefilled)


async def test_a_cancelled_chunk_is_not_run(watched: WatchedModel) -> None:
    gate = threading.Event()
    async with asyncio.timeout(30), ModelThread() as thread:
        queue = new_queue(thread, watched, 10 * TOKENS, {})
        held = thread.submit(Priority.CHUNK, gate.wait)
        gone = queue.submit(of("a", 8)[0], deque(maxlen=1))
        kept = queue.submit(of("b", 8)[0], deque(maxlen=1))
        gone.cancel()
        gate.set()
        await held
        await kept
    assert watched.batches == [["b"]]


def test_visual_tokens_are_counted_before_a_prefill(model: VisionLanguageModel) -> None:
    [chunk] = of("door", 8)
    whole = model.prefill(chunk, [model.prefill_sink()])
    assert model.num_visual_tokens(chunk) == len(whole.visual_tokens) == TOKENS
