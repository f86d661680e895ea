"""What a question reads, over a real video, a real archive and the built-in model."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
import torch
from torch import Tensor

from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from benchmarks.public.watching import Context, Viewer, ViewSettings
from ingest.frame import FrameChunk
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.embedded_valkey import EmbeddedValkey
from memory.index import ChunkIndex
from memory.kv import KV
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore

HIGH, LOW, INDEX_KEYS = LevelSettings("novelty", 16), LevelSettings("value_norm", 2), 16
VIEW = ViewSettings(fps=2.0, context_chunks=0, top_k=(1, 2))
FRAME_TIMES = [n / 2 for n in range(20)]  # ten seconds at two frames a second


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    return load_model(ModelSettings(device="cpu"))


@pytest.fixture
async def store(model: VisionLanguageModel) -> AsyncIterator[MemoryStore]:
    with tempfile.TemporaryDirectory(prefix="lw-") as name:
        folder = Path(name)
        spool = await asyncio.to_thread(Spool, folder / "spool", 1 << 20)
        async with (
            EmbeddedValkey(folder / "archive") as valkey,
            RedisArchive(valkey.url, model=model.fingerprint) as archive,
        ):
            yield MemoryStore(
                archive,
                spool,
                ResidentMemory(1 << 30, 1),
                ChunkIndex(1 << 30),
                BiLevel(HIGH, LOW, model.heads, INDEX_KEYS),
                model.fingerprint,
                model.device,
            )


@pytest.fixture
def video(tmp_path: Path, clip: bytes) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip)
    return path


@pytest.fixture
def seen(
    model: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> list[list[float]]:
    """The frame times of every chunk that is prefilled."""
    chunks: list[list[float]] = []
    prefill = VisionLanguageModel.prefill

    def watch(
        self: VisionLanguageModel, chunk: FrameChunk, context: Sequence[KV]
    ) -> object:
        chunks.append(chunk.times_s.tolist())
        return prefill(self, chunk, context)

    monkeypatch.setattr(VisionLanguageModel, "prefill", watch)
    return chunks


async def watch_all(
    model: VisionLanguageModel, store: MemoryStore, video: Path, **changes: int
) -> Viewer:
    """A viewer that has watched a video to its end."""
    viewer = Viewer(model, store, replace(VIEW, **changes))
    await viewer.open(video)
    await viewer.watch_until()
    return viewer


async def read(viewer: Viewer) -> dict[Context, Sequence[KV]]:
    return {context: runs async for context, runs in viewer.contexts("where?")}


def tokens(runs: Sequence[KV]) -> int:
    return sum(run.num_tokens for run in runs)


async def test_only_frames_before_a_question_are_ingested_and_each_once(
    model: VisionLanguageModel, store: MemoryStore, video: Path, seen: list[list[float]]
) -> None:
    viewer = Viewer(model, store, VIEW)
    await viewer.open(video)
    done: list[float] = []
    for time_s in (1.0, 1.0, 6.5, inf):
        await viewer.watch_until(time_s)
        done = [time for chunk in seen for time in chunk]
        assert done == [time for time in FRAME_TIMES if time < time_s]
    assert [len(chunk) for chunk in seen] == [2, 8, 3, 7]
    assert viewer.num_chunks == 4


async def test_nothing_is_read_before_anything_was_seen(
    model: VisionLanguageModel, store: MemoryStore, video: Path
) -> None:
    viewer = Viewer(model, store, VIEW)
    await viewer.open(video)
    await viewer.watch_until(0.0)
    assert {tokens(runs) for runs in (await read(viewer)).values()} == {0}


async def test_contexts_read_what_they_are_named_after(
    model: VisionLanguageModel, store: MemoryStore, video: Path
) -> None:
    contexts = await read(await watch_all(model, store, video))
    memories = store.resident.nodes(["video"])
    high = [memory.high.num_tokens for memory in memories]
    low = [memory.low_tokens for memory in memories]
    assert len(memories) == 3
    assert tokens(contexts[Context("blind")]) == 0
    assert [r.num_tokens for r in contexts[Context("h_only")]] == high
    assert [r.num_tokens for r in contexts[Context("l_only")]] == low
    assert tokens(contexts[Context("full")]) > sum(low) > sum(high)
    one = [r.num_tokens for r in contexts[Context("bilevel", 1)]]
    assert one[-1] == low[-1]  # the newest is read fine whatever is asked
    assert sum(got == fine for got, fine in zip(one, low, strict=True)) in {1, 2}
    assert sum(high) < sum(one) < sum(low)


async def test_the_mix_reloads_the_chunks_that_relevance_ranks_first(
    model: VisionLanguageModel, store: MemoryStore, video: Path
) -> None:
    viewer = await watch_all(model, store, video, chunk_frames=2)
    memories = store.resident.nodes(["video"])
    queries = model.question_queries("where?", model.prefill_sink())
    ranked = (await store.relevance(queries, ["video"])).scores.argsort(descending=True)
    runs = (await read(viewer))[Context("bilevel", 2)]
    fine = {
        number
        for number, (run, memory) in enumerate(zip(runs, memories, strict=True))
        if run.num_tokens == memory.low_tokens
    }
    assert len(memories) == 10
    assert fine == {*ranked[:2].tolist(), 9}


async def test_l_kv_comes_back_from_the_archive_as_it_was_made(
    model: VisionLanguageModel, store: MemoryStore, video: Path
) -> None:
    contexts = await read(await watch_all(model, store, video))
    whole, low = contexts[Context("full")][0], contexts[Context("l_only")][0]
    kept = (whole.keys[0, 0, :, None] == low.keys[0, 0]).all(-1).any(0)
    assert kept.all()  # every archived key is one of the prefilled keys
    assert low.keys.device == torch.device("cpu")


async def test_l_kv_only_reads_even_what_nothing_points_at(
    model: VisionLanguageModel,
    store: MemoryStore,
    video: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(_queries: object, memories: Sequence[object], _heads: object) -> Tensor:
        return torch.zeros(len(memories))

    monkeypatch.setattr("benchmarks.public.watching.score_chunks", nothing)
    contexts = await read(await watch_all(model, store, video))
    low = [memory.low_tokens for memory in store.resident.nodes(["video"])]
    assert [run.num_tokens for run in contexts[Context("l_only")]] == low


async def test_contexts_of_everything_are_left_out_when_they_do_not_fit(
    model: VisionLanguageModel, store: MemoryStore, video: Path
) -> None:
    everything = await read(await watch_all(model, store, video))
    full, low = (tokens(everything[Context(name)]) for name in ("full", "l_only"))
    left: dict[int, set[str]] = {}
    for room in (full, full - 1, low, low - 1):
        viewer = await watch_all(model, store, video, full_tokens=room)
        left[room] = {c.name for c in everything} - {c.name for c in await read(viewer)}
    assert left == {
        full: set(),
        full - 1: {"full"},
        low: {"full"},
        low - 1: {"full", "l_only"},
    }


async def test_another_video_begins_with_an_empty_memory(
    model: VisionLanguageModel, store: MemoryStore, video: Path
) -> None:
    viewer = Viewer(model, store, VIEW)
    for _ in range(2):
        await viewer.open(video)
        assert not await store.archive.timeline("video")
        assert not store.resident.nodes(["video"])
        await viewer.watch_until()
        assert len(await store.archive.timeline("video")) == 3
