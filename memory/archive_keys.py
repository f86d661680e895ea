"""Names of the archive's keys, as `docs/protocol.md` tells them.

The camera is the hash tag of its keys, so that they share a slot of a cluster and one
transaction can hold them all. The model is part of the key, so that the chunks of
another model are neither read nor overwritten.
"""

import re
from dataclasses import dataclass

from memory.kv import ChunkId, Level


@dataclass(frozen=True, slots=True)
class BlobKey:
    """What a blob's key says.

    Attributes:
        chunk: The chunk.
        level: Which level of it.
        model: Fingerprint of the model that made it.
    """

    chunk: ChunkId
    level: Level
    model: str


@dataclass(frozen=True, slots=True)
class ArchiveKeys:
    """Makes the keys under one prefix.

    Attributes:
        prefix: First part of every key.
    """

    prefix: str

    def models(self, camera: str) -> str:
        """Name the set of models that have written chunks of a camera."""
        return f"{self.prefix}:{{{camera}}}:models"

    def timeline(self, camera: str, model: str) -> str:
        """Name the sorted set of a camera's chunks."""
        return f"{self._of(camera, model)}:timeline"

    def book(self, camera: str, model: str) -> str:
        """Name the hash of the sizes of a camera's blobs."""
        return f"{self._of(camera, model)}:bytes"

    def blob(self, chunk: ChunkId, level: Level, model: str) -> str:
        """Name a blob."""
        return f"{self._of(chunk.camera, model)}:{entry(chunk, level)}"

    def pattern(self, end: str = "*") -> str:
        """Give what SCAN finds the keys of all cameras by."""
        return f"{self.prefix}:{{*}}:{end}"

    def camera_of(self, key: str) -> str:
        """Give the camera of a key that `pattern` has found."""
        return key.removeprefix(f"{self.prefix}:{{").partition("}")[0]

    def parse_blob(self, key: str) -> BlobKey | None:
        """Give what a blob's key says, None for a key of another kind."""
        form = rf"{re.escape(self.prefix)}:\{{(.+)\}}:([^:]+):([hl]):(\d+-\d+)"
        found = re.fullmatch(form, key)
        if found is None:
            return None
        camera, model, level, name = found.groups()
        try:
            return BlobKey(ChunkId.parse(camera, name), Level(level), model)
        except ValueError:
            return None

    def _of(self, camera: str, model: str) -> str:
        return f"{self.prefix}:{{{camera}}}:{model}"


def entry(chunk: ChunkId, level: Level) -> str:
    """Name a blob among those of its camera and model: the field of its size."""
    return f"{level.value}:{chunk.name}"
