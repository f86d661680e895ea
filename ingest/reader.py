"""The process that reads one camera: `python -m ingest.reader`.

FFmpeg hangs, leaks and crashes; here it does so alone. The request comes as JSON on
standard input (an address may hold a password, so it is in no argument), messages leave
on standard output, and whatever else is printed goes to standard error.
"""

import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from ingest.camera import read_frames
from ingest.chunker import chunk_frames
from ingest.errors import CameraError
from ingest.settings import ReaderRequest
from ingest.wire import TOO_LARGE, End, Failure, Heartbeat, write_message

_HEARTBEAT_S = 0.25
_CHECK_S = 0.5


def main() -> int:
    """Read the camera that standard input asks for until it ends or fails."""
    output = _take_output()
    request = ReaderRequest.from_json(sys.stdin.buffer.read())
    threading.Thread(target=_stand_guard, args=(request,), daemon=True).start()
    try:
        send_chunks(request, output)
    except BrokenPipeError:
        os._exit(0)  # the owner left: nothing to flush, and nobody to flush it to
    return 0


def send_chunks(request: ReaderRequest, output: BinaryIO) -> None:
    """Write the chunks of a camera, heartbeats between them, and how it ended.

    Raises:
        BrokenPipeError: Nobody is there to read them.
    """
    settings = request.settings
    frames = read_frames(settings, request.resume, _Pulse(output).beat)
    chunks = chunk_frames(
        settings.name,
        frames,
        settings.chunk_frames,
        settings.rates.floor,
        settings.longest_chunk_s,
    )
    try:
        for chunk in chunks:
            write_message(output, chunk)
    except CameraError as exc:
        write_message(output, Failure(type(exc).__name__, str(exc)))
    else:
        write_message(output, End())


class _Pulse:
    """Writes heartbeats, a few a second at most."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._next_s = time.monotonic()

    def beat(self, last_frame_s: float) -> None:
        """Tell that a frame has come."""
        if time.monotonic() >= self._next_s:
            write_message(self._output, Heartbeat(last_frame_s))
            self._next_s = time.monotonic() + _HEARTBEAT_S


def _take_output() -> BinaryIO:
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=1 << 20)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return output


def _stand_guard(request: ReaderRequest) -> None:
    """End the process with its parent, and once it takes too much memory."""
    while os.getppid() == request.parent_pid:
        if _resident_bytes() > request.settings.reader_bytes:
            os._exit(TOO_LARGE)
        time.sleep(_CHECK_S)  # a thread that does nothing else
    os._exit(1)


def _resident_bytes() -> int:
    """Give how much memory is resident, in bytes.

    On Linux not by `getrusage`: its maximum outlasts `exec`, so that it is our parent's
    as well, and a model in there is larger than any reader should get.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
