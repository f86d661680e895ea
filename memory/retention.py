"""What the archive gives up when it holds more than it may.

Pure: it is told what the book says, and tells what has to go. L-KV goes first, the
oldest before all: its chunk stays, coarse. Only if that is not enough do chunks go
whole, oldest first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from memory.kv import ChunkId, Level


@dataclass(frozen=True, slots=True, order=True)
class Booked:
    """What the archive's book says of one chunk, or of a node.

    Attributes:
        end_ms: When the chunk ended; first, so that the oldest sorts first.
        chunk: The chunk.
        model: Fingerprint of the model that made it.
        high_bytes: Size of its H-KV and its index keys, 0 if there is none.
        low_bytes: Size of its L-KV and its picture, 0 if there is neither.
    """

    end_ms: int
    chunk: ChunkId
    model: str
    high_bytes: int
    low_bytes: int

    @property
    def num_bytes(self) -> int:
        """Size of all there is."""
        return self.high_bytes + self.low_bytes

    def is_before(self, time_ms: int) -> bool:
        """Tell whether a chunk ended by a time, or a node has anything from before."""
        if self.chunk.is_chunk:
            return self.end_ms <= time_ms
        return self.chunk.start_ms < time_ms

    @classmethod
    def read(
        cls, camera: str, model: str, sizes: Mapping[bytes, bytes]
    ) -> list["Booked"]:
        """Read the book of a camera, oldest chunk first."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for field, size in sizes.items():
            level, _, name = field.decode().partition(":")
            found[name][level] = int(size)
        booked = []
        for name, levels in found.items():
            chunk = ChunkId.parse(camera, name)
            high, low, keys, picture = (
                levels.get(level.value, 0)
                for level in (Level.HIGH, Level.LOW, Level.KEYS, Level.PICTURE)
            )
            coarse, fine = high + keys, low + picture
            booked.append(cls(chunk.end_ms, chunk, model, coarse, fine))
        return sorted(booked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the archive may hold; None is without bound.

    Attributes:
        before_ms: UTC in milliseconds; what is from before goes whole.
        total: Bytes of all cameras together.
        per_camera: Bytes of each camera.
    """

    before_ms: int | None = None
    total: int | None = None
    per_camera: int | None = None

    def hold(self, sizes: Sequence[int]) -> bool:
        """Tell whether the bytes of each camera are within the limits."""
        return (self.total is None or sum(sizes) <= self.total) and (
            self.per_camera is None or max(sizes, default=0) <= self.per_camera
        )

    def tightened(self) -> "Limits":
        """Give limits of two hundredths fewer bytes."""
        total, per_camera = (
            None if each is None else each - each // 50
            for each in (self.total, self.per_camera)
        )
        return replace(self, total=total, per_camera=per_camera)


@dataclass(frozen=True, slots=True)
class Retirement:
    """What has to go.

    Attributes:
        lows: Chunks that lose their L-KV.
        chunks: Chunks that go whole.
    """

    lows: tuple[Booked, ...]
    chunks: tuple[Booked, ...]

    @property
    def freed(self) -> "Freed":
        """What that frees."""
        num_bytes = sum(b.low_bytes for b in self.lows)
        num_bytes += sum(b.num_bytes for b in self.chunks)
        num_chunks = sum(b.chunk.is_chunk for b in self.chunks)
        return Freed(len(self.lows), num_chunks, num_bytes)


@dataclass(frozen=True, slots=True)
class Freed:
    """What went from the archive.

    Attributes:
        num_lows: Chunks that lost their L-KV.
        num_chunks: Chunks that went whole.
        num_bytes: The bytes of both, by the book.
    """

    num_lows: int = 0
    num_chunks: int = 0
    num_bytes: int = 0

    def __add__(self, other: "Freed") -> "Freed":
        return Freed(
            self.num_lows + other.num_lows,
            self.num_chunks + other.num_chunks,
            self.num_bytes + other.num_bytes,
        )


def plan_retirement(booked: Iterable[Booked], limits: Limits) -> Retirement:
    """Choose what goes: what is too old, then of each camera, then of all together.

    Args:
        booked: Everything the archive holds, of any camera and model.
        limits: What it may hold.
    """
    held = sorted(booked)
    cameras: dict[str, list[Booked]] = defaultdict(list)
    for each in held:
        if limits.before_ms is None or not each.is_before(limits.before_ms):
            cameras[each.chunk.camera].append(each)
    fitting = [_fit(some, limits.per_camera) for some in cameras.values()]
    left = {
        (each.chunk, each.model): each
        for each in _fit(sorted(chain(*fitting)), limits.total)
    }
    kept = [(each, left.get((each.chunk, each.model))) for each in held]
    return Retirement(
        lows=tuple(b for b, now in kept if now and b.low_bytes > now.low_bytes),
        chunks=tuple(b for b, now in kept if now is None),
    )


def _fit(held: Sequence[Booked], max_bytes: int | None) -> list[Booked]:
    """Give what is left of chunks, oldest first, so that it fits."""
    if max_bytes is None:
        return list(held)
    over = sum(each.num_bytes for each in held) - max_bytes
    left = []
    for each in held:
        if over > 0 and each.low_bytes:
            over -= each.low_bytes
            left.append(replace(each, low_bytes=0))
        else:
            left.append(each)
    num_gone = 0
    while over > 0:  # then no L-KV is left
        over -= left[num_gone].high_bytes
        num_gone += 1
    return left[num_gone:]
