"""Does the archive still hold what it took? A server without persistence may not.

One that was restarted empty answers every request, and its chunks are gone. Nobody can
bring them back, but a question about their time must not be told that nobody watched.
"""

import logging

from memory.kv import ChunkId
from memory.redis_archive import RedisArchive

logger = logging.getLogger(__name__)


class Witnesses:
    """A chunk of each camera that the archive has taken, looked up now and then.

    A witness stays until it was looked up: chunks that come after a loss don't hide it.
    """

    def __init__(self) -> None:
        self._next: dict[str, ChunkId] = {}  # in the order of their turns
        self._newest: dict[str, ChunkId] = {}
        self._lost_ms: dict[str, int] = {}

    def saw(self, chunk: ChunkId) -> None:
        """Note that the archive took a chunk."""
        self._newest[chunk.camera] = chunk
        self._next.setdefault(chunk.camera, chunk)

    def forget(self, camera: str, before_ms: int) -> None:
        """Ask no more for what was forgotten on purpose."""
        for chunks in (self._next, self._newest):
            if camera in chunks and chunks[camera].end_ms <= before_ms:
                del chunks[camera]

    def is_lost(self, camera: str, start_ms: int | None) -> bool:
        """Tell whether chunks of a time that begins at `start_ms` may be lost."""
        lost_ms = self._lost_ms.get(camera)
        return lost_ms is not None and (start_ms is None or start_ms < lost_ms)

    async def look(self, archive: RedisArchive) -> None:
        """Look one camera's witness up, the cameras taking turns.

        Raises:
            ArchiveUnavailableError: The archive does not answer.
        """
        if not self._next:
            return
        camera, witness = next(iter(self._next.items()))
        held = await archive.timeline(camera, witness.start_ms, witness.end_ms)
        if self._next.get(camera) is not witness:  # forgotten meanwhile
            return
        del self._next[camera]
        if witness in held:
            self._next[camera] = self._newest[camera]
            return
        self._lost_ms[camera] = self._newest.pop(camera).end_ms
        logger.warning(
            "the archive has lost chunks of %s: was its server restarted empty?",
            camera,
            extra={"lost": witness.name},
        )
