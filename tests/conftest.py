"""Real servers on Unix sockets, and a guard against blocking the event loop.

A server lives in a short temporary folder of its own: the path of a socket is bounded
at about 100 characters, and pytest's own folders may be deep. It listens to nothing but
that socket and, where a test needs it, one port of the loopback device.
"""

import asyncio
import logging
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from blockbuster import BlockBuster, blockbuster_ctx
from servers import (
    HOST,
    Broker,
    RedisServer,
    RtspServer,
    SecureRedisServer,
    Server,
    ThreeMasters,
    free_port,
)

from memory.embedded_valkey import EmbeddedValkey

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "videos"

AnyServer = TypeVar("AnyServer", bound="Server")


@pytest.fixture(autouse=True)
def loop_guard() -> Iterator[BlockBuster]:
    """Fail a test in which our code blocks the event loop."""
    with blockbuster_ctx(["agent", "ingest", "memory"]) as guard:
        yield guard


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Undo what a command that ran in this process set for its log lines."""
    level = logging.root.level
    yield
    logging.root.setLevel(level)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Callable[[], Path]]:
    """Make folders with a path short enough for a socket; gone after the run."""
    with tempfile.TemporaryDirectory(prefix="lw-") as root:
        yield lambda: Path(tempfile.mkdtemp(dir=root))


@pytest.fixture
def start_redis(
    short_folder: Callable[[], Path],
) -> Iterator[Callable[..., RedisServer]]:
    """Start a redis-server of the test's own, which it may kill; takes its options."""
    yield from _starting(RedisServer, short_folder)


@pytest.fixture
def start_mosquitto(
    short_folder: Callable[[], Path],
) -> Iterator[Callable[..., Broker]]:
    """Start a broker of the test's own, which it may kill; takes lines of settings."""
    yield from _starting(Broker, short_folder)


@pytest.fixture(scope="session")
def redis_server(short_folder: Callable[[], Path]) -> Iterator[RedisServer]:
    """The run's redis-server: don't kill or flush it, use `prefix`."""
    for start in _starting(RedisServer, short_folder):
        yield start()


@pytest.fixture(scope="session")
def redis_by_tls(short_folder: Callable[[], Path]) -> Iterator[SecureRedisServer]:
    """The run's redis-server with TLS and a user: likewise."""
    for start in _starting(SecureRedisServer, short_folder):
        yield start()


@pytest.fixture(scope="session")
def redis_cluster(short_folder: Callable[[], Path]) -> Iterator[ThreeMasters]:
    """The run's cluster: likewise."""
    cluster = ThreeMasters([short_folder() for _ in range(3)])
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


@pytest.fixture(params=["socket", "embedded", "tls", "cluster"])
async def archive_url(
    request: pytest.FixtureRequest, short_folder: Callable[[], Path]
) -> AsyncIterator[str]:
    """Where an archive may be: each kind of server in turn."""
    if request.param == "embedded":
        async with EmbeddedValkey(short_folder()) as valkey:
            yield valkey.url
        return
    fixtures = {
        "socket": "redis_server",
        "tls": "redis_by_tls",
        "cluster": "redis_cluster",
    }
    yield request.getfixturevalue(fixtures[request.param]).url


@pytest.fixture(scope="session")
def mosquitto(short_folder: Callable[[], Path]) -> Iterator[Broker]:
    """The run's broker: don't kill it, use `prefix`."""
    for start in _starting(Broker, short_folder):
        yield start()


@pytest.fixture(name="free_port")
def find_free_port() -> Callable[[], int]:
    """Find ports of the loopback device that nobody listens to."""
    return free_port


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips."""
    if not CLIPS.is_dir():
        pytest.skip(f"no clips in {CLIPS}")
    return CLIPS


@pytest.fixture
def serve_rtsp() -> Iterator[Callable[[Path], RtspServer]]:
    """Serve the files of a folder by RTSP on a loopback port."""
    servers: list[RtspServer] = []

    def serve(folder: Path) -> RtspServer:
        servers.append(RtspServer(folder, free_port()))
        return servers[-1]

    yield serve
    for server in servers:
        server.kill()


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A port that takes connections and never says anything."""
    over = asyncio.Event()

    async def listen(
        _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(listen, HOST, 0)
    yield server.sockets[0].getsockname()[1]
    over.set()
    server.close()
    await server.wait_closed()


@pytest.fixture
def prefix() -> str:
    """First part of the test's keys and topics."""
    return f"test-{uuid.uuid4().hex[:12]}"


def _starting(
    kind: type[AnyServer], short_folder: Callable[[], Path]
) -> Iterator[Callable[..., AnyServer]]:
    servers: list[AnyServer] = []

    def start(*options: str) -> AnyServer:
        servers.append(kind(short_folder(), *options))
        servers[-1].start()
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.kill()
