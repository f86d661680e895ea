"""A house of real parts, with a tiny model, and a real server in front of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from servers import RedisServer
from tiny_model import make_chunks, make_model

from agent.answerer import Answerer
from agent.decode_queue import DecodeQueue
from agent.desk import Desk
from agent.http.house import House
from agent.http.server import HttpServer
from agent.http.settings import HttpSettings, Rights, Token
from agent.messages import Answer, Question
from agent.news import News
from agent.pauses import Pauses
from agent.prefill_queue import PrefillQueue
from agent.progress import Progress
from agent.questions import QuestionRules
from agent.vlm.model import VisionLanguageModel
from agent.watcher import Watcher
from agent.worker import ModelThread
from ingest.settings import CameraSettings
from ingest.source import CameraSource
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.gaps import GapLog
from memory.index import ChunkIndex
from memory.kv import ChunkId
from memory.recall import RecallLimits
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore

CAMERAS = ("door", "yard")
MASTER, GUEST = "m" * 20, "g" * 20
TOKENS = (
    Token(MASTER, Rights("master")),
    Token(
        GUEST, Rights("guest", frozenset({"yard"}), ask=True, watch=False, pause=False)
    ),
)

Serve = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]


class SlowAnswerer:
    """Answers once it is let, with some text before; remembers what it was asked."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.asked: list[Question] = []
        self.cancelled = 0

    async def answer(self, question: Question, progress: Progress) -> Answer:
        self.asked.append(question)
        progress.show("It was")
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Answer(question.id, question.text, "It was red.", "ok")


@pytest.fixture(scope="session")
def tiny() -> VisionLanguageModel:
    return make_model()


@pytest.fixture
def jpeg() -> bytes:
    file = BytesIO()
    Image.new("RGB", (16, 12), "red").save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
async def thread() -> AsyncIterator[ModelThread]:
    async with ModelThread() as thread:
        yield thread


@pytest.fixture
async def store(
    tiny: VisionLanguageModel,
    redis_server: RedisServer,
    prefix: str,
    tmp_path: Path,
    jpeg: bytes,
) -> AsyncIterator[MemoryStore]:
    """A memory of three chunks of the camera `door`."""
    levels = BiLevel(
        LevelSettings("novelty", 16), LevelSettings("value_norm", 2), tiny.heads, 8
    )
    archive = RedisArchive(redis_server.url, model=tiny.fingerprint, prefix=prefix)
    async with archive:
        store = MemoryStore(
            archive,
            await asyncio.to_thread(Spool, tmp_path / "spool", 1 << 20),
            ResidentMemory(budget_tokens=1000, newest=1),
            ChunkIndex(1 << 24),
            levels,
            tiny.fingerprint,
            tiny.device,
        )
        sink = tiny.prefill_sink()
        for chunk in make_chunks((8,) * 3):
            id = ChunkId("door", int(chunk.start_s * 1e3), int(chunk.end_s * 1e3))
            whole = await asyncio.to_thread(tiny.prefill, chunk, [sink])
            await store.remember(levels.compress_chunk(id, whole), jpeg)
        yield store


@pytest.fixture
def house_of(
    tiny: VisionLanguageModel, store: MemoryStore, thread: ModelThread, tmp_path: Path
) -> Callable[..., House]:
    """Build a house whose questions go to the tiny model, or to another answerer."""
    sink, news = tiny.prefill_sink(), News()

    def build(answerer: Any = None, **parts: Any) -> House:
        sources = {
            name: CameraSource(CameraSettings(name=name, address="simulated:seed=1"))
            for name in CAMERAS
        }
        prefilling = PrefillQueue(thread, tiny, sink, store.bilevel, 4096, {})
        limits = RecallLimits(top_k=2, newest=1, context_tokens=4096)
        gaps = GapLog()
        films = parts.get("recordings", {})
        decoding = DecodeQueue(thread, tiny, sink, 6)
        real = Answerer(decoding, store, limits, sources, gaps, films)
        zones = dict.fromkeys(CAMERAS, UTC)
        return House(
            rules=QuestionRules("longwatch", frozenset(CAMERAS)),
            store=store,
            model=tiny,
            watchers={
                name: Watcher(source, prefilling, store, 1, 384, news)
                for name, source in sources.items()
            },
            desk=Desk(answerer or real, zones, 4, news),
            pauses=Pauses(tmp_path / "paused.json", sources),
            news=news,
            gaps=gaps,
            **parts,
        )

    return build


@pytest.fixture
def house(house_of: Callable[..., House]) -> House:
    return house_of()


@pytest.fixture
def slow() -> SlowAnswerer:
    return SlowAnswerer()


@pytest.fixture
def serve(house: House) -> Serve:
    """Serve a house at a free port; gives a client that has a token, if named."""

    @asynccontextmanager
    async def start(
        served: House = house,
        *,
        tokens: Sequence[Token] = (),
        token: str | None = None,
        per_minute: int | None = None,
    ) -> AsyncIterator[httpx2.AsyncClient]:
        settings = HttpSettings(
            port=0, tokens=tuple(tokens), requests_per_minute=per_minute
        )
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            HttpServer(served, settings) as server,
            httpx2.AsyncClient(
                base_url=server.url, headers=headers, timeout=10
            ) as client,
        ):
            yield client

    return start
