"""Where the picture and the film of a chunk can be had."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memory.kv import ChunkId


@dataclass(frozen=True, slots=True)
class Links:
    """Gives addresses of what an answer rests on.

    Attributes:
        base: What they begin with, without a slash at its end; None: there are none.
        has_pictures: Whether a picture is kept of each chunk.
    """

    base: str | None
    has_pictures: bool = True

    def picture(self, chunk: ChunkId) -> str | None:
        """Give where a chunk's picture is; there is none once its L-KV is retired."""
        return self._of(chunk, "picture") if self.has_pictures else None

    def film(self, chunk: ChunkId) -> str | None:
        """Give where the film is that shows a chunk, if it was recorded."""
        return self._of(chunk, "film")

    def linked(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Give evidence that is ready for JSON with its links."""
        chunk = ChunkId.parse(found["camera"], found["chunk"])
        film_url = self.film(chunk) if found["film"] else None
        return {**found, "picture": self.picture(chunk), "film_url": film_url}

    def _of(self, chunk: ChunkId, what: str) -> str | None:
        if self.base is None:
            return None
        return f"{self.base}/api/evidence/{chunk.camera}/{chunk.name}/{what}"


NO_LINKS = Links(None)
