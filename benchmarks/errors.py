"""Why nothing can be measured as it was asked for.

BenchmarkError
├── SameWorldError           two seeds name the same world
├── StreamLengthError        streams of this length can't be asked about
├── NoGpuError               there is no GPU to measure
├── OtherMeasurementsError   what was cut off was measured of something else
├── ServerError              what is to be killed does not start
└── public.DatasetError      a public benchmark's files are not as they should be
"""

from pathlib import Path


class BenchmarkError(Exception):
    """Base of all errors of this package: told to who gave the command."""


class SameWorldError(BenchmarkError, ValueError):
    """Two seeds name the same world: their streams would be one."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"seeds {first} and {second} name the same world")
        self.seeds = (first, second)


class StreamLengthError(BenchmarkError, ValueError):
    """Streams of so many chunks can't be asked about."""

    def __init__(self, chunks: int, reason: str) -> None:
        super().__init__(f"{chunks} chunks {reason}")
        self.chunks = chunks


class NoGpuError(BenchmarkError, RuntimeError):
    """There is no GPU to measure."""

    def __init__(self) -> None:
        super().__init__(
            "there is no CUDA device here; `--shape tiny --device cpu` runs without one"
        )


class OtherMeasurementsError(BenchmarkError, ValueError):
    """A file of finished streams is of other settings."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds other measurements; finish or remove it")
        self.path = path


class ServerError(BenchmarkError, RuntimeError):
    """A server or a process does not start, or ends by itself."""
