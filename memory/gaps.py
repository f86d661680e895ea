"""When a camera was not watched, and why: kept in the archive beside what was seen.

Gaps are the camera's, whatever the model. They live in memory, a few numbers each, and
are written as soon as the archive takes them. Writing one again changes nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from memory.errors import ArchiveFullError, ArchiveRefusesError
from memory.redis_archive import RedisArchive
from memory.redis_connection import Command

MAX_GAPS = 10_000  # of a camera; the oldest are forgotten
SEAM_MS = 1000  # gaps of one reason this near to each other are one


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """A time in which a camera was not watched, UTC in milliseconds.

    Attributes:
        start_ms: When it began.
        end_ms: When it ended.
        reason: Why, one word.
    """

    start_ms: int
    end_ms: int
    reason: str

    @property
    def name(self) -> str:
        """How it is written: `<start>-<end>.<reason>`."""
        return f"{self.start_ms:013d}-{self.end_ms:013d}.{self.reason}"

    @classmethod
    def parse(cls, name: str) -> "Gap":
        """Give back the gap whose `name` this is.

        Raises:
            ValueError: `name` is not of that form.
        """
        times, _, reason = name.partition(".")
        start, _, end = times.partition("-")
        return cls(int(start), int(end), reason)


class GapLog:
    """The gaps of all cameras. Belongs to the event loop."""

    def __init__(self) -> None:
        self._gaps: dict[str, list[Gap]] = {}
        self._written: dict[str, set[Gap]] = {}
        self._unsure: dict[str, set[Gap]] = {}  # the archive may have them
        self._changed: set[str] = set()  # cameras that the archive knows otherwise

    def add(self, camera: str, gap: Gap) -> None:
        """Note a gap; one that goes on where another of its reason ended joins it."""
        gaps = self._gaps.setdefault(camera, [])
        at = bisect_left(gaps, gap)
        first = max(at - 1, 0)
        joined = _joined([*gaps[first:at], gap, *gaps[at : at + 1]])
        if joined != gaps[first : at + 1]:
            gaps[first : at + 1] = joined
            del gaps[:-MAX_GAPS]
            self._changed.add(camera)

    def within(
        self, camera: str, start_ms: int | None = None, end_ms: int | None = None
    ) -> Sequence[Gap]:
        """Give the gaps that overlap [start_ms, end_ms), oldest first."""
        return [
            gap
            for gap in self._gaps.get(camera, [])
            if (end_ms is None or gap.start_ms < end_ms)
            and (start_ms is None or gap.end_ms > start_ms)
        ]

    def forget(self, camera: str, before_ms: int) -> None:
        """Drop what ended by a moment."""
        gaps = self._gaps.get(camera, [])
        left = [gap for gap in gaps if gap.end_ms > before_ms]
        if len(left) < len(gaps):
            self._gaps[camera] = left
            self._changed.add(camera)

    async def load(self, archive: RedisArchive, camera: str) -> None:
        """Take up what the archive knows of a camera.

        Raises:
            ArchiveUnavailableError: It does not answer.
        """
        async with archive.redis.turn() as client:
            names = await client.zrangebyscore(_key(archive, camera), "-inf", "+inf")
        found = set(_parse(names))
        self._written[camera] = found
        self._changed.add(camera)  # what joins is written anew
        for gap in sorted(found):
            self.add(camera, gap)

    async def write(self, archive: RedisArchive) -> None:
        """Have the archive know what is known here, no more and no less.

        Raises:
            ArchiveUnavailableError: It does not answer; write again.
            ArchiveFullError: It takes no more.
        """
        for camera in sorted(self._changed):
            known = set(self._gaps.get(camera, []))
            written = self._written.get(camera, set())
            unsure = self._unsure.setdefault(camera, set())
            commands: list[Command] = []
            new = sorted(known - written)
            if new:
                pairs = [each for gap in new for each in (gap.end_ms, gap.name)]
                commands.append(("ZADD", _key(archive, camera), *pairs))
            if old := sorted((written | unsure) - known):
                names = [gap.name for gap in old]
                commands.append(("ZREM", _key(archive, camera), *names))
            unsure.update(new)  # until it has answered
            try:
                if commands:
                    await archive.redis.transact(commands)
            except (ArchiveFullError, ArchiveRefusesError):
                unsure.difference_update(new)
                raise
            self._written[camera] = known
            unsure.clear()
            if known == set(self._gaps.get(camera, [])):  # no news meanwhile
                self._changed.discard(camera)


async def cameras_with_gaps(archive: RedisArchive) -> list[str]:
    """Give the cameras that the archive has gaps of, sorted.

    Raises:
        ArchiveUnavailableError: It does not answer.
    """
    keys = await archive.redis.scan(archive.keys.pattern("gaps"))
    return sorted(map(archive.keys.camera_of, keys))


def _parse(names: Iterable[bytes]) -> Iterator[Gap]:
    """Read the names of gaps; what is none is nobody's."""
    for name in names:
        with suppress(ValueError):
            yield Gap.parse(name.decode())


def _key(archive: RedisArchive, camera: str) -> str:
    return archive.keys.gaps(camera)


def _joined(gaps: Iterable[Gap]) -> list[Gap]:
    """Join gaps of one reason, in the order of their starts, that are near."""
    joined: list[Gap] = []
    for gap in gaps:
        last = joined[-1] if joined else None
        is_near = last is not None and gap.start_ms - last.end_ms <= SEAM_MS
        if last is not None and is_near and gap.reason == last.reason:
            end_ms = max(gap.end_ms, last.end_ms)
            joined[-1] = Gap(last.start_ms, end_ms, gap.reason)
        else:
            joined.append(gap)
    return joined
