"""Real video, a real RTSP server in its own process, and a look at child processes.

A generated video shows a known grey in each second, so that a picture tells its second.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

settings.register_profile("unhurried", deadline=None)  # CI machines are busy
settings.load_profile("unhurried")

HOST = "127.0.0.1"
START_S = 10.0
CLIPS = Path(__file__).resolve().parents[3] / "shared" / "videos"


def grey_of(second: int) -> int:
    return 20 + 15 * (second % 15)


@pytest.fixture(scope="session")
def second_of() -> Callable[[NDArray[np.uint8]], int]:
    """Read off a picture which second (modulo 15) of a generated video it shows."""
    return lambda pixels: round((float(pixels.mean()) - 20) / 15)


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Write a video at a path: `make_video(path, seconds=12, fps=10)`."""

    def make(path: Path, seconds: int = 12, fps: int = 10) -> Path:
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=fps, options={"g": str(fps)})
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
            for number in range(seconds * fps):
                pixels = np.full((120, 160, 3), grey_of(number // fps), np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return make


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory, make_video: Callable) -> Path:
    """12 seconds of video at 10 frames a second, 160x120."""
    return make_video(tmp_path_factory.mktemp("video") / "twelve.mp4")


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips."""
    if not CLIPS.is_dir():
        pytest.skip(f"no clips in {CLIPS}")
    return CLIPS


class RtspServer:
    """An RTSP server over the files of a folder, to be killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self.start()

    def url(self, name: str) -> str:
        return f"rtsp://{HOST}:{self._port}/{name}?play_count=0"

    def start(self) -> None:
        binary = Path(sys.executable).with_name("rtsp-server")
        command = [binary, "-d", self._folder, "-H", HOST, "-p", str(self._port)]
        command += ["-cp", str(free_port())]  # its default port may be taken
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while not self._accepts():
            assert self._process.poll() is None, "the RTSP server did not start"
            assert time.monotonic() < deadline, "the RTSP server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def _accepts(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex((HOST, self._port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


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
def readers_of() -> Callable[[int], list[int]]:
    """List the reader processes that a process has, zombies included."""

    def readers(parent: int) -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_text()
            except OSError:  # it has just gone
                continue
            is_child = int(state[1]) == parent
            if is_child and ("ingest.reader" in command or state[0] == "Z"):
                found.append(int(folder.name))
        return found

    return readers


@pytest.fixture
def my_readers(readers_of: Callable[[int], list[int]]) -> Callable[[], list[int]]:
    """List the reader processes of this process."""
    return lambda: readers_of(os.getpid())


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Wait, within bounds, until a condition holds: `await until(...)`."""

    async def wait(holds: Callable[[], object], within_s: float = 15) -> None:
        async with asyncio.timeout(within_s):
            while not holds():  # noqa: ASYNC110  # of another process: no event
                await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def serve_http() -> Iterator[Callable[[Path, str], str]]:
    """Serve the files of a folder by HTTP: `serve_http(folder, name)` is a URL."""
    servers: list[ThreadingHTTPServer] = []

    class QuietHandler(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

    def serve(folder: Path, name: str) -> str:
        answer = partial(QuietHandler, directory=str(folder))
        servers.append(ThreadingHTTPServer((HOST, 0), answer))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://{HOST}:{servers[-1].server_port}/{name}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
