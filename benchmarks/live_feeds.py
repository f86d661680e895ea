"""Cameras that never end, in a process of their own: `python -m benchmarks.live_feeds`.

Each sends H.264 at 25 fps as MPEG-TS by HTTP to whoever connects, its time stamps those
of a clock, and does what a line on standard input tells it: `3 freeze`, `3 thaw`, `3
kill`, `3 start`, `3 garbage`, `3 sound`, `3 resize`. Their ports are the first line on
standard output. The process ends with its standard input.
"""

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import cycle
from types import TracebackType
from typing import Self, TypeAlias

import av

from benchmarks.errors import ServerError
from benchmarks.feeds import HOST, Feed, garbage
from ingest.simulation.renderer import render
from ingest.simulation.world import World

FPS = 25
SIZES = ((320, 180), (192, 144))
_SECONDS = 4  # of a clip, which is sent again and again
_BEGAN_S = 1_750_000_000.0
_LATE_S = 0.5  # frames that should have gone out before that are left out
_GARBAGE = garbage(2000)

Clip: TypeAlias = Sequence[bytes]
"""Encoded frames, the first a keyframe, none of them after a later one."""


def encode_clip(seed: int, size: tuple[int, int], seconds: int = _SECONDS) -> Clip:
    """Encode what a simulated camera sees, a frame a packet."""
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height = size
    codec.pix_fmt, codec.framerate = "yuv420p", Fraction(FPS)
    codec.time_base = Fraction(1, FPS)
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(2 * FPS)}
    world, packets = World(seed), []
    for number in range(seconds * FPS):
        pixels = render(world, _BEGAN_S + number / FPS, 64)
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
        frame = frame.reformat(*size, "yuv420p")
        frame.pts, frame.time_base = number, codec.time_base
        packets += codec.encode(frame)
    return [bytes(packet) for packet in (*packets, *codec.encode(None))]


class LiveFeed(Feed):
    """Sends clips for ever, one at a time, over and over.

    Args:
        clips: Of which `resize` takes the next one.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = cycle(clips)
        self._is_garbage = False
        self.resize()
        super().__init__(b"", 0)

    def resize(self) -> None:
        """Send the next clip once this one is over."""
        self._clip = next(self._clips)

    def garbage(self) -> None:
        """Send no video, to whoever is connected too."""
        self._is_garbage = True

    def sound(self) -> None:
        """Send video again."""
        self._is_garbage = False

    def _pieces(self) -> Iterator[tuple[bytes, float]]:
        """Give a frame at a time; what could not be sent in time is left out."""
        sink, began_s, number = io.BytesIO(), time.monotonic(), 0
        sink.seekable = lambda: False  # type: ignore[method-assign]  # a connection
        with av.open(
            sink, "w", format="mpegts", options={"flush_packets": "1"}
        ) as output:
            stream = output.add_mux_stream("h264", rate=FPS)
            while True:
                late_s = time.monotonic() - began_s - number / FPS
                if late_s > _LATE_S:
                    number += round(late_s * FPS)
                for place, data in enumerate(self._clip):
                    packet = av.Packet(data)
                    packet.stream, packet.time_base = stream, Fraction(1, FPS)
                    packet.pts = packet.dts = number
                    packet.is_keyframe = place == 0
                    output.mux(packet)
                    piece = _GARBAGE if self._is_garbage else sink.getvalue()
                    sink.seek(0)
                    sink.truncate()
                    number += 1
                    left_s = began_s + number / FPS - time.monotonic()
                    yield piece, max(left_s, 0.0)
                    if left_s < -_LATE_S:
                        break


class LiveFeeds:
    """The process that sends them, from entering to leaving.

    Args:
        count: How many cameras.
        seed: Of what they show.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._command = [sys.executable, "-m", "benchmarks.live_feeds"]
        self._command += [str(count), str(seed)]
        self.ports: list[int] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        ports = self._process.stdout.readline()
        if not ports:
            self._process.wait()
            raise ServerError("the cameras do not start")
        self.ports = json.loads(ports)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def url(self, camera: int) -> str:
        """Give the address of a camera."""
        return f"http://{HOST}:{self.ports[camera]}/live.ts"

    def tell(self, camera: int, word: str) -> None:
        """Have a camera do something.

        Raises:
            ServerError: The process is gone.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{camera} {word}\n")
            self._process.stdin.flush()
        except BrokenPipeError as exc:
            raise ServerError("the cameras' process has ended") from exc


def main() -> None:
    """Serve as many as the first argument says, seeded by the second."""
    count, seed = map(int, sys.argv[1:])
    feeds = []
    for number in range(count):
        clips = [encode_clip(seed + number, size) for size in SIZES]
        feeds.append(LiveFeed(clips))
    words: list[dict[str, Callable[[], None]]] = [
        {
            each.__name__: each
            for each in (
                *(feed.freeze, feed.thaw, feed.kill, feed.start),
                *(feed.garbage, feed.sound, feed.resize),
            )
        }
        for feed in feeds
    ]
    print(json.dumps([feed.port for feed in feeds]), flush=True)
    for line in sys.stdin:
        camera, word = line.split()
        words[int(camera)][word]()


if __name__ == "__main__":
    main()
