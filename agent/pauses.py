"""Which cameras are not to be watched for now; a restart changes nothing about it."""

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from ingest.source import CameraSource

logger = logging.getLogger(__name__)


class Pauses:
    """Pauses cameras and resumes them.

    Args:
        path: The file that remembers it.
        sources: The cameras.
    """

    def __init__(self, path: Path, sources: Mapping[str, CameraSource]) -> None:
        self._path, self._sources = path, sources
        self._writing = asyncio.Lock()

    async def set_watching(self, camera: str, *, is_watching: bool) -> None:
        """Have a camera watched, or not, from now on and after a restart.

        Raises:
            KeyError: There is no such camera.
            OSError: It can't be remembered; the camera does as it was told.
        """
        source = self._sources[camera]
        (source.resume if is_watching else source.pause)()
        logger.info("camera %s is %s", camera, "watched" if is_watching else "paused")
        async with self._writing:
            paused = sorted(n for n, s in self._sources.items() if s.is_paused)
            await asyncio.to_thread(write_whole, self._path, json.dumps(paused))


def read_paused(path: Path) -> frozenset[str]:
    """Give the cameras that were paused when the agent last ran."""
    try:
        names = json.loads(path.read_text())
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as exc:
        logger.warning("which cameras were paused is lost: %s", type(exc).__name__)
        return frozenset()
    known = names if isinstance(names, list) else []
    return frozenset(name for name in known if isinstance(name, str))


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that a kill at any instant leaves the old or the new one.

    Raises:
        OSError: The disk refuses.
    """
    unfinished = path.with_suffix(".part")
    with unfinished.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
