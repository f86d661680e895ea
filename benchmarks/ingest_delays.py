"""How long a frame, and a camera, take from where they are to the agent's hands."""

import asyncio
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.live_feeds import LiveFeeds
from ingest.clock import utc_now
from ingest.settings import CameraSettings
from ingest.source import CameraSource

FPS = 5.0


def hand_off(path: Path, chunks: int) -> list[dict[str, Any]]:
    """Give a row per source: the age of a chunk when the consumer has it.

    A chunk of one frame is complete when the next sampled frame is there. A file or a
    simulated camera at its own pace gives each at a known moment, which is the chunk's
    end; from there to the consumer's hands it is scaled, converted, written into the
    pipe, read and taken by the event loop.

    Args:
        path: The clip of the 1080p camera.
        chunks: How many, at most as many as the clip has.
    """
    sources = {
        "1080p file": _camera(str(path)),
        "simulated, 256 px": _camera("simulated:?fps=25"),
    }
    rows = []
    for name, settings in sources.items():
        ages = asyncio.run(_ages(settings, chunks))
        rows.append({"source": name, "chunks": len(ages), **_told(ages)})
    return rows


async def _ages(settings: CameraSettings, chunks: int) -> list[float]:
    ages: list[float] = []
    async with CameraSource(settings) as source:
        async for chunk in source:
            ages.append(utc_now() - chunk.end_s)
            if len(ages) > chunks:
                break
    return ages[1:]  # the first frame is decoded before its moment is known


def start(path: Path, seed: int, turns: int) -> list[dict[str, Any]]:
    """Give a row per source: from entering it to a chunk of one frame.

    Sampled at 5 fps, so that of a live camera a fifth of a second of it is the time to
    the frame that completes the chunk.
    """
    with LiveFeeds(1, seed) as feeds:
        sources = {
            "1080p file, as fast as it is taken": _camera(str(path), realtime=False),
            "simulated, a backlog": _camera(
                "simulated:?backlog_s=60&fps=25", realtime=False
            ),
            "HTTP MPEG-TS, live": _camera(feeds.url(0)),
        }
        return [
            {"source": name, "turns": turns}
            | _told([asyncio.run(_until_first(settings)) for _ in range(turns)])
            for name, settings in sources.items()
        ]


async def _until_first(settings: CameraSettings) -> float:
    began_s = time.perf_counter()
    async with CameraSource(settings) as source:
        await anext(source)
        return time.perf_counter() - began_s


def _camera(address: str, *, realtime: bool = True) -> CameraSettings:
    return CameraSettings(
        name="bench", address=address, fps=FPS, chunk_frames=1, realtime=realtime
    )


def _told(times_s: list[float]) -> dict[str, float]:
    return {
        "median_ms": round(median(times_s) * 1000, 1),
        "worst_ms": round(max(times_s) * 1000, 1),
    }
