"""How long steps take on a device, and the most memory that each of them holds."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import torch


def synchronise(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(slots=True)
class Meter:
    """Times and peak memory of named steps, turn by turn.

    Attributes:
        device: Where they run.
        turns: Milliseconds of each step; the first turn warms up.
        peaks: Most bytes allocated in each step above what was held when the meter was
            made; none on a CPU.
    """

    device: torch.device
    turns: list[dict[str, float]] = field(default_factory=list)
    peaks: Counter[str] = field(default_factory=Counter)
    _held: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.device.type == "cuda":
            self._held = torch.cuda.memory_allocated(self.device)

    def begin_turn(self) -> None:
        """Count what follows as another turn."""
        self.turns.append({})

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a step, to the end of what it starts on the device."""
        synchronise(self.device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        began = time.perf_counter()
        yield
        synchronise(self.device)
        turn = self.turns[-1]
        turn[name] = turn.get(name, 0.0) + (time.perf_counter() - began) * 1000
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device) - self._held
            self.peaks[name] = max(self.peaks[name], peak)

    def ms(self, name: str) -> float:
        """Give the median milliseconds of a step in a turn."""
        return median(turn[name] for turn in self.turns[1:])

    def row(self) -> dict[str, float]:
        """Give milliseconds of each step and of all together, and peak bytes."""
        times = {f"{name}_ms": round(self.ms(name), 2) for name in self.turns[0]}
        total = median(sum(turn.values()) for turn in self.turns[1:])
        peaks = {f"{name}_peak_bytes": peak for name, peak in self.peaks.items()}
        return times | {"total_ms": round(total, 2)} | peaks
