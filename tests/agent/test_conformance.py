"""The whole path against one call of the stock class on the same frames and prompt."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import torch
from servers import RedisServer
from tiny_model import make_chunks, stock_inputs

from agent.vlm.generation import Reader, decode, decode_room, question_ids
from agent.vlm.model import VisionLanguageModel
from ingest.frame import FrameChunk
from memory.codec import decode_low
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.index import ChunkIndex
from memory.kv import KV, ChunkId, Level
from memory.redis_archive import RedisArchive
from memory.rehydration import compose
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore

QUESTION = "where did the red car #47 come from ?"
NEW_TOKENS = 12


@pytest.fixture
async def store(
    model: VisionLanguageModel, redis_server: RedisServer, prefix: str, tmp_path: Path
) -> AsyncIterator[MemoryStore]:
    """Memory that compresses nothing, over a real Redis."""
    whole = LevelSettings("novelty", 1)
    archive = RedisArchive(redis_server.url, model=model.fingerprint, prefix=prefix)
    async with archive:
        yield MemoryStore(
            archive,
            await asyncio.to_thread(Spool, tmp_path, 1 << 20),
            ResidentMemory(budget_tokens=1 << 20, newest=0),
            ChunkIndex(1 << 24),
            BiLevel(whole, whole, model.heads, index_keys=4),
            model.fingerprint,
            model.device,
        )


async def stream(
    model: VisionLanguageModel, store: MemoryStore, chunks: Sequence[FrameChunk]
) -> None:
    """Prefill chunk after chunk, each seeing all chunks of its camera before it."""
    sink = model.prefill_sink()
    seen: dict[str, list[KV]] = {}
    for chunk in chunks:
        context = seen.setdefault(chunk.camera, [])
        id = ChunkId(chunk.camera, int(chunk.start_s * 1000), int(chunk.end_s * 1000))
        whole = model.prefill(chunk, [sink, *context])
        compressed = store.bilevel.compress_chunk(id, whole)
        context.append(compressed.memory.high)
        await store.remember(compressed)


async def archived(store: MemoryStore, camera: str) -> list[KV]:
    """Read all L-KV of a camera back from Redis."""
    chunks = await store.archive.timeline(camera)
    blobs = [await store.archive.get(chunk, Level.LOW) for chunk in chunks]
    return [
        decode_low(blob, chunk, store.model)
        for blob, chunk in zip(blobs, chunks, strict=True)
    ]


def assert_conforms(
    model: VisionLanguageModel, chunks: Sequence[FrameChunk], runs: Sequence[KV]
) -> None:
    inputs = stock_inputs(model, chunks, QUESTION)
    with torch.inference_mode():
        stock = model.module(**inputs).logits[0, -1].float()
        tokens = model.module.generate(
            **inputs, max_new_tokens=NEW_TOKENS, do_sample=False
        )
    sink = model.prefill_sink()
    room = decode_room(model, QUESTION, NEW_TOKENS)
    cache = compose([sink, *runs], model.rotary, room=room)
    logits = model.extend(cache, question_ids(model, QUESTION))
    torch.testing.assert_close(logits, stock, atol=1e-4, rtol=0)

    fewer = compose([sink, *runs[:-1]], model.rotary, room=room)
    other = model.extend(fewer, question_ids(model, QUESTION))
    assert (other - stock).abs().max() > 1e-2, "the oracle must see a missing chunk"

    cache = compose([sink, *runs], model.rotary, room=room)
    ours = list(decode(model, Reader(cache, QUESTION, NEW_TOKENS)))
    theirs = tokens[0, inputs["input_ids"].shape[1] :].tolist()
    ended = [token for token in theirs if token not in model.prompt.stop_ids]
    assert ours == ended
    assert ours


@pytest.mark.parametrize("lengths", [(8, 8, 8), (8, 3, 5, 1, 2)])
async def test_streamed_and_rehydrated_equals_one_stock_call(
    model: VisionLanguageModel, store: MemoryStore, lengths: tuple[int, ...]
) -> None:
    chunks = make_chunks(lengths)
    await stream(model, store, chunks)
    runs = await archived(store, "door")
    await asyncio.to_thread(assert_conforms, model, chunks, runs)


async def test_two_interleaved_cameras_do_not_touch_each_other(
    model: VisionLanguageModel, store: MemoryStore
) -> None:
    door = make_chunks((8, 4, 6), camera="door", seed=1)
    yard = make_chunks((4, 8, 2), camera="yard", seed=2)
    model.module.model.rope_deltas = None
    await stream(
        model, store, [c for pair in zip(door, yard, strict=True) for c in pair]
    )
    assert model.module.model.rope_deltas is None, "state was left on the module"
    for name, chunks in (("door", door), ("yard", yard)):
        runs = await archived(store, name)
        await asyncio.to_thread(assert_conforms, model, chunks, runs)


async def test_a_mix_of_levels_equals_concatenation_by_hand(
    model: VisionLanguageModel,
) -> None:
    levels = BiLevel(
        LevelSettings("novelty", 16), LevelSettings("value_norm", 2), model.heads, 4
    )
    sink = model.prefill_sink()
    wholes = [model.prefill(chunk, [sink]) for chunk in make_chunks((8, 8, 8))]
    ids = [ChunkId("door", n * 4000, n * 4000 + 4000) for n in range(3)]
    chunks = [levels.compress_chunk(i, w) for i, w in zip(ids, wholes, strict=True)]
    runs = [chunks[0].memory.high, chunks[1].low, chunks[2].memory.high]
    cache = compose([sink, *runs], model.rotary, room=4)

    start, filled = sink.num_tokens, sink.num_tokens
    for run in runs:
        wide = min(run.span, run.num_tokens)
        time = run.positions[0, 0] * wide / run.span
        rows = run.positions[0, 1:] - run.positions[0, :1]
        positions = torch.cat((time[None], time + rows)) + start  # (3, S)
        cos, sin = model.module.model.language_model.rotary_emb(
            torch.empty(0), positions[:, None]
        )
        half = run.keys.shape[-1] // 2
        turned = torch.cat((-run.keys[..., half:], run.keys[..., :half]), dim=-1)
        by_hand = run.keys * cos[0] + turned * sin[0]
        part = slice(filled, filled + run.num_tokens)
        torch.testing.assert_close(cache.keys[:, :, part], by_hand)
        assert torch.equal(cache.values[:, :, part], run.values)
        start += wide
        filled += run.num_tokens
    assert (cache.num_tokens, cache.next_position) == (filled, start)
