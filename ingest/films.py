"""The films of a camera on disk, found by their names.

A film is named after its time, `<start>-<end>.mp4`, UTC in milliseconds.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"(\d{13})-(\d{13})\.mp4")


@dataclass(frozen=True, slots=True)
class Recording:
    """How a camera is recorded.

    Attributes:
        folder: Where; of one camera.
        film_s: Length of a film, to the next keyframe.
        max_bytes: Of all films.
        max_age_s: Of a film.
    """

    folder: str
    film_s: float = 60.0
    max_bytes: int = 10_000_000_000
    max_age_s: float = 7 * 86_400


@dataclass(frozen=True, slots=True, order=True)
class Film:
    """A film on disk, UTC in milliseconds."""

    start_ms: int
    end_ms: int
    path: Path


def films_of(folder: Path) -> list[Film]:
    """Give the whole films of a folder, oldest first; none if there is no folder."""
    found = []
    for path in folder.glob("*.mp4"):
        name = _NAME.fullmatch(path.name)
        if name:
            found.append(Film(int(name[1]), int(name[2]), path))
    return sorted(found)


def name_of(start_s: float, end_s: float) -> str:
    """Name a film after its time, UTC in seconds."""
    start_ms = round(start_s * 1000)
    end_ms = max(round(end_s * 1000), start_ms + 1)
    return f"{start_ms:013d}-{end_ms:013d}.mp4"


def film_at(folder: Path, time_ms: int) -> Film | None:
    """Give the film that shows a moment, None if none does."""
    films = films_of(folder)
    return next((f for f in films if f.start_ms <= time_ms < f.end_ms), None)
