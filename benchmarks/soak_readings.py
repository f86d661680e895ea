"""What an agent takes while its cameras are soaked, and whether that grows."""

import asyncio
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.processes import num_files, reader_of, readers, rss_bytes

_SHARE = 10  # the first and the last tenth are compared


@dataclass(frozen=True, slots=True)
class Reading:
    """What was taken at one moment.

    Attributes:
        at_s: Seconds since the beginning.
        agent_bytes: Resident in this process.
        reader_bytes: Resident in a reader, on average.
        calm_reader_bytes: Resident in the reader of the camera that is left alone.
        readers: How many there are.
        files: Open in this process.
        tasks: Of the event loop.
        threads: Of this process.
    """

    at_s: float
    agent_bytes: float
    reader_bytes: float
    calm_reader_bytes: float
    readers: float
    files: float
    tasks: float
    threads: float


NAMES = tuple(name for name in Reading.__slots__ if name != "at_s")


def read(at_s: float, calm_port: int) -> Reading:
    """Look at this process and its readers; call it in the event loop.

    Args:
        at_s: Seconds since the beginning.
        calm_port: Of the camera that is left alone.
    """
    pids = readers()
    calm = reader_of(calm_port)
    return Reading(
        at_s=at_s,
        agent_bytes=rss_bytes(os.getpid()),
        reader_bytes=sum(map(rss_bytes, pids)) / max(len(pids), 1),
        calm_reader_bytes=rss_bytes(calm) if calm else 0,
        readers=len(pids),
        files=num_files(),
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
    )


def summarise(readings: Sequence[Reading], warm_up_s: float) -> list[dict[str, object]]:
    """Give a row per quantity: medians of the first and last tenth, slope, most.

    Args:
        readings: In order of time.
        warm_up_s: What is read before that does not count.
    """
    counted = [reading for reading in readings if reading.at_s >= warm_up_s]
    return [_row(counted, name) for name in NAMES]


def _row(readings: Sequence[Reading], name: str) -> dict[str, object]:
    values: list[float] = [getattr(reading, name) for reading in readings]
    part = max(len(values) // _SHARE, 1)
    return {
        "name": name,
        "first": median(values[:part]),
        "last": median(values[-part:]),
        "most": max(values),
        "per_hour": round(slope([r.at_s for r in readings], values) * 3600, 3),
    }


def slope(times_s: Sequence[float], values: Sequence[float]) -> float:
    """Give the growth per second by least squares; 0 of fewer than two readings."""
    if len(times_s) < 2:
        return 0.0
    return float(np.polyfit(times_s, values, 1)[0])
