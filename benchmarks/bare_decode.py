"""PyAV alone on a file: `python -m benchmarks.bare_decode FILE SKIP [DEVICE]`.

Decodes every frame, looks at none, and prints as JSON how many frames came, and the
seconds and CPU seconds from the frame after the first SKIP ones to the end. DEVICE is a
kind of hardware that decodes, such as `cuda`; without it the exit status is 1.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

import av
import av.error
from av.codec.hwaccel import HWAccel, hwdevices_available

from benchmarks.errors import ServerError


@dataclass(frozen=True, slots=True)
class Decoded:
    """What decoding took.

    Attributes:
        frames: How many counted.
        seconds: How long.
        cpu_s: CPU seconds of the process.
    """

    frames: int
    seconds: float
    cpu_s: float


def decode(path: str, skip: int, device: str | None = None) -> Decoded:
    """Decode a file here."""
    hardware = None
    if device:
        hardware = HWAccel(device_type=device, allow_software_fallback=False)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    number = 0
    with av.open(path, hwaccel=hardware) as container:
        for number, _ in enumerate(container.decode(video=0), 1):
            if number == skip:
                began_s, began_cpu_s = time.perf_counter(), time.process_time()
    seconds = time.perf_counter() - began_s
    return Decoded(number - skip, seconds, time.process_time() - began_cpu_s)


def decode_apart(path: str, skip: int, device: str | None = None) -> Decoded:
    """Decode a file in a process of its own.

    Raises:
        ServerError: It can't be decoded so.
    """
    command = [sys.executable, "-m", "benchmarks.bare_decode", path, str(skip)]
    command += [device] if device else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(f"no decoding of the clip: {done.stderr[-300:]}")
    return Decoded(**json.loads(done.stdout))


def find_hardware(path: str) -> str | None:
    """Give a kind of hardware that decodes a file here, None without any."""
    for device in hwdevices_available():
        try:
            decode_apart(path, 0, device)
        except ServerError:
            continue
        return device
    return None


def main() -> int:
    """Decode what the arguments say, and tell."""
    path, skip, *device = sys.argv[1:]
    try:
        found = decode(path, int(skip), *device)
    except (av.error.FFmpegError, OSError, RuntimeError, ValueError, TypeError) as exc:
        print(type(exc).__name__, exc, file=sys.stderr)
        return 1
    counts = {"frames": found.frames, "seconds": found.seconds, "cpu_s": found.cpu_s}
    print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
