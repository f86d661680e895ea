"""What does it cost to look at a camera by motion, what does it save, what is missed?

Run `python -m benchmarks.sampling [--seconds 60] [--json FILE]`. Clips of real cameras
are watched at one steady rate, at the greatest rate, and by motion. Of each is told:

- CPU: of the process that reads it, at its own pace, from the second sampled frame on,
  for so many seconds or to the end, whichever is earlier. Chunks are of one frame then,
  as in `benchmarks.ingest`.
- Frames and chunks: of the whole clip, how many are decoded, sampled, and made.
- Events: how many of the sampled frames lie in each. Two or more show what changed.

Exit status 1 says that the clips are not there: they are not part of the repository.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.environment import describe
from benchmarks.errors import ServerError
from benchmarks.ingest_costs import CALM_FLOOR_FPS
from benchmarks.options import Parser, at_least, result_file
from benchmarks.processes import cpu_s, readers
from benchmarks.sampling_clips import CLIPS, Clip, NoClipsError, Span, find_clips
from ingest.camera import read_frames
from ingest.chunker import chunk_frames
from ingest.settings import CameraSettings, Decoding
from ingest.source import CameraSource

BASE_FPS = 1.0
BURST_FPS = 4.0
_SHOWN = ("clip", "way", "cores", "decoded", "sampled", "events_with_two")


@dataclass(frozen=True, slots=True)
class Way:
    """A way of sampling that is measured.

    Attributes:
        name: What it is called.
        floor_fps: Frames a second while nothing differs,
        fps: while anything does,
        burst_fps: and while something moves.
        decoding: What is decoded.
    """

    name: str
    floor_fps: float
    fps: float
    burst_fps: float
    decoding: Decoding = Decoding.ALL


_BY_MOTION = (CALM_FLOOR_FPS, BASE_FPS, BURST_FPS)
WAYS = (
    Way("steady", BASE_FPS, BASE_FPS, BASE_FPS),
    Way("steady and often", BURST_FPS, BURST_FPS, BURST_FPS),
    Way("by motion", *_BY_MOTION),
    Way("by motion and calm", *_BY_MOTION, Decoding.CALM_KEYFRAMES),
)


def measure(
    clips: Sequence[Clip], ways: Sequence[Way], seconds: float
) -> Iterator[dict[str, Any]]:
    """Give a row per clip and way as it is measured.

    Args:
        clips: What is watched.
        ways: How.
        seconds: The most of a clip that is played at its own pace.

    Raises:
        ServerError: A reader ended before it was measured.
    """
    for clip in clips:
        for way in ways:
            camera = camera_of(clip.path, way, realtime=True)
            yield {
                "clip": clip.name,
                "way": way.name,
                **asyncio.run(_cpu(camera, seconds)),
                **looked_at(replace(camera, realtime=False), clip),
            }


def looked_at(camera: CameraSettings, clip: Clip) -> dict[str, Any]:
    """Count what is sampled of a clip, and how much of it lies in each event."""
    decoded_s: list[float] = []
    chunks = list(
        chunk_frames(
            camera.name,
            read_frames(camera, alive=decoded_s.append),
            camera.chunk_frames,
            camera.rates.floor,
            camera.longest_chunk_s,
        )
    )
    times_s = np.concatenate([chunk.times_s for chunk in chunks])
    found = frames_in(times_s - times_s[0], clip.events)
    return {
        "frames": clip.frames,
        "decoded": len(decoded_s),
        "sampled": len(times_s),
        "skipped": round(1 - len(times_s) / clip.frames, 4),
        "chunks": len(chunks),
        "in_events": found,
        "least_in_event": min(found),
        "events": len(found),
        "events_with_two": sum(count >= 2 for count in found),
    }


def frames_in(times_s: NDArray[np.float64], events: Sequence[Span]) -> list[int]:
    """Count the times that lie in each event, its ends included."""
    return [int(np.sum((a <= times_s) & (times_s <= b))) for a, b in events]


def camera_of(path: Path, way: Way, *, realtime: bool) -> CameraSettings:
    """Give the camera that plays a clip, sampled in a way.

    Args:
        path: The clip.
        way: How it is sampled.
        realtime: At its own pace, and not as fast as it is taken.
    """
    return CameraSettings(
        name="bench",
        address=str(path),
        floor_fps=way.floor_fps,
        fps=way.fps,
        burst_fps=way.burst_fps,
        decoding=way.decoding,
        realtime=realtime,
    )


async def _cpu(camera: CameraSettings, seconds: float) -> dict[str, float]:
    """Give the share of a core that its reader takes."""
    async with CameraSource(replace(camera, chunk_frames=1)) as source:
        await anext(source)
        (reader,) = readers()
        first = last = _now(reader)
        async for _ in source:
            now = _now(reader)
            if now is None or first is None:
                break  # it has sent everything, and left
            last = now
            if now[0] - first[0] >= seconds:
                break
        reconnects = source.status.reconnects
    if first is None or last is None or last == first or reconnects:
        raise ServerError(f"the reader of {camera.address} was gone too early")
    measured_s = last[0] - first[0]
    cores = (last[1] - first[1]) / measured_s
    return {"cores": round(cores, 4), "measured_s": round(measured_s, 1)}


def _now(reader: int) -> tuple[float, float] | None:
    """Give the time, and the CPU seconds of a process; None once it is gone."""
    spent_s = cpu_s(reader)
    return None if spent_s is None else (time.monotonic(), spent_s)


def main() -> int:
    """Measure, show, write."""
    parser = Parser(prog="python -m benchmarks.sampling", description=__doc__)
    parser.add_argument("--seconds", type=at_least(5), default=60)
    parser.add_argument("--json", type=result_file, help="where to write the result")
    arguments = parser.parse_args()
    try:
        clips = find_clips(CLIPS)
    except NoClipsError as exc:
        print(exc, file=sys.stderr)
        return 1
    with parser.tells():
        rows = list(measure(clips, WAYS, arguments.seconds))
    _show(rows)
    if arguments.json:
        options = f"--seconds {arguments.seconds}"
        facts = {"command": f"python -m benchmarks.sampling {options}", **describe()}
        facts["clips"] = [_told(clip) for clip in clips]
        facts["ways"] = [asdict(way) for way in WAYS]
        arguments.json.write_text(json.dumps(facts | {"rows": rows}, indent=1) + "\n")
    return 0


def _told(clip: Clip) -> dict[str, Any]:
    size, seconds = list(clip.size), round(clip.seconds, 1)
    return {"name": clip.name, "size": size, "frames": clip.frames, "seconds": seconds}


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(*_SHOWN, title="sampling")
    for row in rows:
        table.add_row(*(str(row[name]) for name in _SHOWN))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
