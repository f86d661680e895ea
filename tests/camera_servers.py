"""Cameras of other kinds for tests, on the loopback device: MJPEG, HLS, datagrams."""

import io
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import av
import numpy as np
from PIL import Image

HOST = "127.0.0.1"
SIZE = (160, 120)
_BOUNDARY = "a-picture"
_DATAGRAM = 7 * 188  # bytes: whole packets of MPEG-TS, and less than an MTU


def grey_of(second: int) -> int:
    """Give the grey of a second, as the generated videos have it."""
    return 20 + 15 * (second % 15)


def jpeg_of(second: int) -> bytes:
    """Encode the picture of a second."""
    buffer = io.BytesIO()
    Image.new("RGB", SIZE, (grey_of(second),) * 3).save(buffer, "jpeg")
    return buffer.getvalue()


def _left_s(due_s: float) -> float:
    return max(due_s - time.monotonic(), 0.0)


class MjpegCamera:
    """Sends JPEGs in one endless HTTP answer; a context manager.

    Args:
        fps: How many a second.
        credentials: What the header `Authorization` has to be, None for anything.
    """

    def __init__(self, fps: int, credentials: str | None = None) -> None:
        self.authorizations: list[str | None] = []
        self._fps, self._credentials = fps, credentials
        self._is_over = threading.Event()
        camera = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.answer(self)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Answer)
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request: refuse it, or send pictures until the other side goes."""
        told = request.headers["Authorization"]
        self.authorizations.append(told)
        if self._credentials not in (None, told):
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="camera"')
            request.end_headers()
            return
        request.send_response(200)
        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        request.send_header("Content-Type", kind)
        request.end_headers()
        began_s, number = time.monotonic(), 0
        while not self._is_over.wait(_left_s(began_s + number / self._fps)):
            jpeg = jpeg_of(number // self._fps)
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
            head += f"Content-Length: {len(jpeg)}\r\n\r\n"
            try:
                request.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:  # nobody looks any more
                return
            number += 1


class OwnThread:
    """Runs a function on a thread of its own while it is entered."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._is_over.set()
        self._thread.join()


class HlsCamera(OwnThread):
    """Writes a live HLS stream of one-second segments; a context manager.

    Args:
        folder: Where `live.m3u8` and its segments are written.
        fps: How many pictures a second.
    """

    def __init__(self, folder: Path, fps: int = 10) -> None:
        self.playlist = folder / "live.m3u8"
        self._fps = fps
        super().__init__(self._write)

    @property
    def num_segments(self) -> int:
        """How many segments have been written."""
        return len(list(self.playlist.parent.glob("*.ts")))

    def _write(self) -> None:
        options = {"hls_time": "1", "hls_list_size": "5"}
        codec = {"tune": "zerolatency", "g": str(self._fps), "sc_threshold": "0"}
        playlist = str(self.playlist)
        with av.open(playlist, "w", format="hls", options=options) as output:
            stream = output.add_stream("libx264", rate=self._fps, options=codec)
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            began_s, number = time.monotonic(), 0
            while not self._is_over.wait(_left_s(began_s + number / self._fps)):
                grey = grey_of(number // self._fps)
                pixels = np.full((SIZE[1], SIZE[0], 3), grey, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, self._fps)
                output.mux(stream.encode(frame))
                number += 1
            output.mux(stream.encode(None))


class DatagramCamera(OwnThread):
    """Sends a stream to a port by UDP, in its own time; a context manager.

    Args:
        data: MPEG-TS.
        seconds: How long sending it takes.
        port: Where to; nobody needs to be there.
    """

    def __init__(self, data: bytes, seconds: float, port: int) -> None:
        self._data, self._seconds, self._port = data, seconds, port
        super().__init__(self._send)

    def _send(self) -> None:
        pieces = range(0, len(self._data), _DATAGRAM)
        pause_s = self._seconds / len(pieces)
        began_s = time.monotonic()
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            for number, start in enumerate(pieces):
                due_s = began_s + number * pause_s
                if self._is_over.wait(_left_s(due_s)):
                    return
                piece = self._data[start : start + _DATAGRAM]
                sender.sendto(piece, (HOST, self._port))


class PushingCamera(OwnThread):
    """Pushes a video by RTMP, in its own time, to who listens; a context manager.

    Args:
        video: What it pushes, H.264.
        address: Where to; it tries until somebody is there.
    """

    def __init__(self, video: Path, address: str) -> None:
        self._video, self._address = video, address
        super().__init__(self._try)

    def _try(self) -> None:
        while not self._is_over.wait(0.1):
            with suppress(av.FFmpegError):  # nobody there, or there no more
                self._push()

    def _push(self) -> None:
        with (
            av.open(str(self._video)) as film,
            av.open(self._address, "w", format="flv") as output,
        ):
            stream = output.add_stream_from_template(film.streams.video[0])
            began_s = time.monotonic()
            for packet in film.demux(video=0):
                if packet.dts is None:
                    return
                due_s = began_s + float(packet.dts * packet.time_base)
                if self._is_over.wait(_left_s(due_s)):
                    return
                packet.stream = stream
                output.mux(packet)
