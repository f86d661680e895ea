"""Real servers on Unix sockets, and a guard against blocking the event loop.

A server lives in a short temporary folder of its own: the path of a socket is bounded
at about 100 characters, and pytest's own folders may be deep. It listens to nothing but
that socket and, where a test needs it, one port of the loopback device.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from getpass import getuser
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from blockbuster import BlockBuster, blockbuster_ctx

START_S = 10.0

AnyServer = TypeVar("AnyServer", bound="Server")


@pytest.fixture(autouse=True)
def loop_guard() -> Iterator[BlockBuster]:
    """Fail a test in which our code blocks the event loop."""
    with blockbuster_ctx(["agent", "ingest", "memory"]) as guard:
        yield guard


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


def find_binary(name: str) -> str:
    """Give back the path of a server's binary; skip, or under CI fail, without it."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed, and under CI it must be")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


class Server:
    """A server that can be killed and started again in the same folder."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return once its socket takes connections."""
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self.folder, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_S
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"no server:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.005)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.socket))
            except OSError:
                return False
        return True


class RedisServer(Server):
    """redis-server without persistence, unless the options ask for it."""

    def __init__(self, folder: Path, *options: str) -> None:
        binary = find_binary("redis-server")
        fixed = ["--port", "0", "--unixsocket", "s", "--save", ""]
        super().__init__(folder, [binary, *fixed, *options])
        self.url = f"unix://{self.socket}"


class Broker(Server):
    """mosquitto, open to everyone on a Unix socket and on one loopback port."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, *settings: str) -> None:
        config = folder / "mosquitto.conf"
        super().__init__(folder, [find_binary("mosquitto"), "-c", str(config)])
        self.port = _free_port()
        lines = [
            f"user {getuser()}",  # started by root it would lose its folder otherwise
            "allow_anonymous true",
            f"listener 0 {self.socket}",
            f"listener {self.port} {self.host}",
            *settings,
        ]
        config.write_text("\n".join(lines) + "\n")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((Broker.host, 0))
        port: int = probe.getsockname()[1]
        return port


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
def mosquitto(short_folder: Callable[[], Path]) -> Iterator[Broker]:
    """The run's broker: don't kill it, use `prefix`."""
    for start in _starting(Broker, short_folder):
        yield start()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Find ports of the loopback device that nobody listens to."""
    return _free_port


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
