"""What watching a 1080p camera costs: CPU at its own pace, and its greatest pace."""

import asyncio
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bare_decode import decode_apart, find_hardware
from benchmarks.ingest_clip import FPS
from benchmarks.processes import cpu_s, readers
from ingest.clock import utc_now
from ingest.settings import CameraSettings, Decoding
from ingest.source import CameraSource


@dataclass(frozen=True, slots=True)
class Way:
    """A way of watching whose cost is measured.

    Attributes:
        clip: The name of the clip: `moving` or `still`.
        decoding: What is decoded.
    """

    clip: str
    decoding: Decoding


WAYS = (
    Way("moving", Decoding.ALL),
    Way("moving", Decoding.KEYFRAMES),
    Way("still", Decoding.ALL),
    Way("still", Decoding.CALM_KEYFRAMES),
    Way("still", Decoding.KEYFRAMES),
)
CALM_FLOOR_FPS = 0.2  # a camera is calm only if it may be looked at less often


def cpu_row(path: Path, way: Way, from_s: float, seconds: float) -> dict[str, Any]:
    """Give the CPU that a camera takes in its own time.

    Args:
        path: Its clip.
        way: How it is watched.
        from_s: What comes before that in the clip does not count.
        seconds: How much of it counts, to be over before the clip is.
    """
    reader_s, agent_s = asyncio.run(_watch(_camera(path, way), from_s, seconds))
    cores = reader_s / seconds
    return {
        "clip": way.clip,
        "decoding": str(way.decoding),
        "cores": round(cores, 4),
        "cameras_per_core": round(1 / cores, 1),
        "agent_cores": round(agent_s / seconds, 5),
        "measured_s": seconds,
    }


def _camera(path: Path, way: Way) -> CameraSettings:
    is_calm = way.decoding is Decoding.CALM_KEYFRAMES
    return CameraSettings(
        name="bench",
        address=str(path),
        fps=1.0,
        floor_fps=CALM_FLOOR_FPS if is_calm else None,
        decoding=way.decoding,
        chunk_frames=1,
    )


async def _watch(
    settings: CameraSettings, from_s: float, seconds: float
) -> tuple[float, float]:
    """Give CPU seconds of the reader and of this process."""
    async with CameraSource(settings) as source:
        began_s = (await anext(source)).start_s
        taking = asyncio.create_task(_take(source))
        await asyncio.sleep(began_s + from_s - utc_now())
        reader_s, agent_s = _reader_cpu_s(), time.process_time()
        await asyncio.sleep(began_s + from_s + seconds - utc_now())
        spent = _reader_cpu_s() - reader_s, time.process_time() - agent_s
        taking.cancel()
    return spent


async def _take(source: CameraSource) -> None:
    async for _ in source:
        pass


def hardware_row(path: Path) -> dict[str, Any] | str:
    """Give the CPU of decoding by hardware, PyAV alone; `none` where there is none."""
    device = find_hardware(str(path))
    if device is None:
        return "none"
    found = decode_apart(str(path), FPS, device)
    cores = found.cpu_s / (found.frames / FPS)
    return {
        "device": device,
        "cores": round(cores, 4),
        "cameras_per_core": round(1 / cores, 1),
    }


def throughput(path: Path, seconds: int, turns: int) -> dict[str, Any]:
    """Compare the whole ingest, its chunks dropped, with PyAV alone, turn by turn.

    Both count from the frame that completes the ingest's first chunk to the last frame,
    so that no start or end of a process counts; `with_start` are those of all frames.
    `ratio` is of frames per second, `cpu_ratio` of frames per CPU second of the process
    that decodes, on which a busy machine has less influence.
    """
    frames = seconds * FPS
    taken, bare = [], []
    for _ in range(turns + 1):
        taken.append(asyncio.run(_take_all(path)))
        bare.append(decode_apart(str(path), taken[-1].skipped))
    pairs = list(zip(taken, bare, strict=True))[1:]  # the first one warms up
    ours = [(frames - one.skipped) / one.seconds for one, _ in pairs]
    alone = [other.frames / other.seconds for _, other in pairs]
    work = [one.cpu_s / (frames - one.skipped) for one, _ in pairs]
    least_work = [other.cpu_s / other.frames for _, other in pairs]
    return {
        "turns": turns,
        "frames": frames - taken[-1].skipped,
        "frames_per_s": round(median(ours), 1),
        "bare_frames_per_s": round(median(alone), 1),
        "frames_per_s_with_start": round(median(frames / t.all_s for t, _ in pairs), 1),
        **_spread("ratio", [a / b for a, b in zip(ours, alone, strict=True)]),
        **_spread("cpu_ratio", [b / a for a, b in zip(work, least_work, strict=True)]),
    }


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Give the median, the least and the most."""
    return {
        name: round(median(values), 3),
        f"{name}_min": round(min(values), 3),
        f"{name}_max": round(max(values), 3),
    }


@dataclass(frozen=True, slots=True)
class _Taken:
    """One reading of a whole file.

    Attributes:
        skipped: Frames that had been decoded when the first chunk came.
        seconds: From then to when the last chunk came.
        cpu_s: CPU seconds of the reader in that time.
        all_s: From entering the source to the end.
    """

    skipped: int
    seconds: float
    cpu_s: float
    all_s: float


async def _take_all(path: Path) -> _Taken:
    settings = CameraSettings(name="bench", address=str(path), realtime=False)
    before_s = _buried_cpu_s()
    began_s = time.perf_counter()
    async with CameraSource(settings) as source:
        first = await anext(source)
        first_s, first_cpu_s = time.perf_counter(), _reader_cpu_s()
        last_s = first_s
        async for _ in source:
            last_s = time.perf_counter()
        ended_s = time.perf_counter()
    return _Taken(
        skipped=round((first.end_s - first.start_s) * FPS),
        seconds=last_s - first_s,
        cpu_s=_buried_cpu_s() - before_s - first_cpu_s,
        all_s=ended_s - began_s,
    )


def _reader_cpu_s() -> float:
    """Give the CPU seconds that the one reader has taken; 0 without one."""
    return sum(cpu_s(pid) or 0.0 for pid in readers())


def _buried_cpu_s() -> float:
    """Give the CPU seconds of all child processes that are over."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
