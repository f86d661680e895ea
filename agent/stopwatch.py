"""Milliseconds per step of a question, for the answer's timings and the log."""

import time


class Stopwatch:
    """Counts from when it is made; each lap gets a name."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self.laps_ms: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Name the time since the last lap."""
        now = time.monotonic()
        self.laps_ms[name] = (now - self._last) * 1000
        self._last = now

    def total(self, name: str) -> None:
        """Name the time since the start."""
        self.laps_ms[name] = (time.monotonic() - self._start) * 1000
