"""The house of the HTTP tests, visited with a real browser."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from console.visits import Browser, Loop, ScriptedAnswerer
from tiny_model import make_chunks

from agent.http.house import House
from agent.vlm.model import VisionLanguageModel
from ingest.clock import utc_now
from memory.kv import ChunkId
from memory.store import MemoryStore
from tests.agent.http.conftest import (  # noqa: F401 - fixtures of one house for both
    house_of,
    jpeg,
    store,
    thread,
    tiny,
)

Remember = Callable[..., Awaitable[ChunkId]]


@pytest.fixture(scope="session")
def chromium() -> str:
    pytest.importorskip("playwright")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    return path


@pytest.fixture
def browser(chromium: str) -> Browser:
    return Browser(chromium)


@pytest.fixture
async def loop() -> Loop:
    return Loop()


@pytest.fixture
def remember(tiny: VisionLanguageModel, store: MemoryStore, jpeg: bytes) -> Remember:  # noqa: F811
    """Remember a chunk of four seconds that began so long ago."""

    async def remember(camera: str = "door", ago_s: float = 60) -> ChunkId:
        [chunk] = make_chunks((8,), camera=camera)
        later_s = utc_now() - ago_s - chunk.start_s
        moved = replace(
            chunk, times_s=chunk.times_s + later_s, end_s=chunk.end_s + later_s
        )
        id = ChunkId(camera, int(moved.start_s * 1e3), int(moved.end_s * 1e3))
        whole = await asyncio.to_thread(tiny.prefill, moved, [tiny.prefill_sink()])
        await store.remember(store.bilevel.compress_chunk(id, whole), jpeg)
        return id

    return remember


@pytest.fixture
def answerer() -> ScriptedAnswerer:
    return ScriptedAnswerer()


@pytest.fixture
def house(house_of: Callable[..., House], answerer: ScriptedAnswerer) -> House:  # noqa: F811
    return house_of(answerer)
