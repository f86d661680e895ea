"""A camera that does what it is told: MPEG-TS by HTTP, at its own pace, or worse."""

import io
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np

HOST = "127.0.0.1"
_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
_PACKET = 188  # bytes of one of MPEG-TS
_TICK_S = 0.05


def encode(
    seconds: int,
    *,
    fps: int = 10,
    size: tuple[int, int] = (160, 120),
    codec: str = "libx264",
    start_s: int = 0,
    container: str = "mpegts",
) -> bytes:
    """Encode grey pictures that get lighter second by second."""
    buffer = io.BytesIO()
    options = {"tune": "zerolatency", "g": str(fps)} if codec == "libx264" else {}
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=fps, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(seconds * fps):
            grey = 20 + 15 * (number // fps % 15)
            pixels = np.full((size[1], size[0], 3), grey, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = start_s * fps + number
            frame.time_base = Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def encode_sound(seconds: int) -> bytes:
    """Encode silence, without a picture."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as output:
        stream = output.add_stream("mp2", rate=48_000)
        for number in range(seconds * 48_000 // 1152):
            frame = av.AudioFrame(format="s16", layout="stereo", samples=1152)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.rate, frame.pts = 48_000, number * 1152
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def damaged(data: bytes, share: float) -> bytes:
    """Change bytes at random, but none of a packet's own header."""
    random = np.random.default_rng(0)
    changed = np.frombuffer(data, np.uint8).copy()
    hit = random.random(len(changed)) < share
    hit[np.arange(len(changed)) % _PACKET < 5] = False
    changed[hit] ^= random.integers(1, 256, hit.sum(), dtype=np.uint8)
    return changed.tobytes()


def garbage(num_bytes: int) -> bytes:
    """Give bytes that are no video, always the same."""
    return np.random.default_rng(1).integers(0, 256, num_bytes, np.uint8).tobytes()


class Feed:
    """Sends one stream to whoever connects, from its beginning, in its own time.

    Args:
        data: What is sent.
        seconds: How long that takes.
        more: What is sent after it, again and again, a piece a second; none: it ends.
    """

    def __init__(self, data: bytes, seconds: float, more: bytes = b"") -> None:
        self._data, self._seconds, self._more = data, seconds, more
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._connections: set[socket.socket] = set()
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        """Where it is, with a password that nobody asks for."""
        return f"http://me:s3cret@{HOST}:{self.port}/live.ts"

    def start(self) -> None:
        """Listen, where it did before."""
        self._listener = socket.create_server((HOST, self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(
            target=self._serve, args=(self._listener,), daemon=True
        ).start()

    def stop_listening(self) -> None:
        """Let nobody else connect; who is connected stays so."""
        with suppress(OSError):  # it was closed before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def hang_up(self) -> None:
        """Close all connections."""
        for connection in tuple(self._connections):
            with suppress(OSError):  # the other side was first
                connection.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """Close everything."""
        self.stop_listening()
        self.hang_up()

    def freeze(self) -> None:
        """Send nothing, and keep the connection."""
        self._goes_on.clear()

    def thaw(self) -> None:
        """Go on."""
        self._goes_on.set()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connections.add(connection)
            threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # nobody listens any more
            connection.recv(65536)
            connection.sendall(_HEAD)
            for piece, pause_s in self._pieces():
                self._goes_on.wait()
                connection.sendall(piece)
                time.sleep(pause_s)
        self._connections.discard(connection)

    def _pieces(self) -> Iterator[tuple[bytes, float]]:
        count = max(round(self._seconds / _TICK_S), 1)
        length = -(-len(self._data) // count)
        for number in range(count):
            yield self._data[number * length : (number + 1) * length], _TICK_S
        if self._more:
            yield from itertools.repeat((self._more, 1.0))
