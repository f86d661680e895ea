"""Names of the archive's keys, as `docs/protocol.md` tells them.

The camera is the hash tag of its keys, so that they share a slot of a cluster and one
transaction can hold them all. The model is part of the key, so that the chunks of
another model are neither read nor overwritten.
"""

import re
from dataclasses import dataclass

from memory.kv import ChunkId, Level


@dataclass(frozen=True, slots=True)
class KeyParts:
    """What a key of a model's chunks says.

    Attributes:
        camera: Name of the camera.
        model: Fingerprint of the model.
        rest: `timeline`, `nodes`, `bytes`, or a blob's level and chunk as `entry` names
            it.
    """

    camera: str
    model: str
    rest: str


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

    def gaps(self, camera: str) -> str:
        """Name the sorted set of the times in which a camera was not watched."""
        return f"{self.prefix}:{{{camera}}}:gaps"

    def timeline(self, camera: str, model: str) -> str:
        """Name the sorted set of a camera's chunks."""
        return f"{self._of(camera, model)}:timeline"

    def nodes(self, camera: str, model: str) -> str:
        """Name the sorted set of a camera's nodes of many chunks."""
        return f"{self._of(camera, model)}:nodes"

    def listing(self, chunk: ChunkId, model: str) -> str:
        """Name the sorted set that a chunk or a node is listed in."""
        list_of = self.timeline if chunk.is_chunk else self.nodes
        return list_of(chunk.camera, model)

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

    def parse(self, key: str) -> KeyParts | None:
        """Give what a key of a model's chunks says, None for a key of another kind."""
        form = r":\{(.+)\}:([^:]+):(timeline|nodes|bytes|[hlkp]:\d+-\d+(?:\.[a-z]+)?)"
        found = re.fullmatch(re.escape(self.prefix) + form, key)
        return None if found is None else KeyParts(*found.groups())

    def _of(self, camera: str, model: str) -> str:
        return f"{self.prefix}:{{{camera}}}:{model}"


def entry(chunk: ChunkId, level: Level) -> str:
    """Name a blob among those of its camera and model: the field of its size."""
    return f"{level.value}:{chunk.name}"
