"""Real video, a real RTSP server in its own process, and a look at child processes.

A generated video shows a known grey in each second, so that a picture tells its second.
"""

import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
import waiting
from hypothesis import settings
from numpy.typing import NDArray

settings.register_profile("unhurried", deadline=None)  # CI machines are busy
settings.load_profile("unhurried")

HOST = "127.0.0.1"


def grey_of(second: int) -> int:
    return 20 + 15 * (second % 15)


@pytest.fixture(scope="session")
def second_of() -> Callable[[NDArray[np.uint8]], int]:
    """Read off a picture which second (modulo 15) of a generated video it shows."""
    return lambda pixels: round((float(pixels.mean()) - 20) / 15)


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Write a video at a path: `make_video(path, seconds=12, fps=10)`."""

    def make(
        path: Path, seconds: int = 12, fps: int = 10, keyframe_every: int | None = None
    ) -> Path:
        options = {"g": str(keyframe_every or fps)}
        if keyframe_every:
            options["sc_threshold"] = "0"  # none where the picture changes
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=fps, options=options)
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
    return partial(waiting.until, timeout_s=15)  # a process starts, or dies


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
