"""Frames of full KV, for the controls that read frames instead of chunks.

A frame here is what the model takes as one: a temporal patch of Qwen3-VL, two pictures
with a time stamp before them.
"""

from collections.abc import Sequence

from memory.kv import KV, ChunkKV


def frames_of(wholes: Sequence[ChunkKV]) -> list[KV]:
    """Cut a stream's chunks into frames, in time order."""
    return [frame for whole in wholes for frame in split_frames(whole)]


def split_frames(whole: ChunkKV) -> list[KV]:
    """Cut a chunk's KV into its temporal patches, each with its stamp and markers.

    Raises:
        ValueError: Tokens were left out of it, and its patches differ in size.
    """
    if whole.num_left_out:
        raise ValueError("a chunk that lacks tokens can't be cut into frames")
    count = whole.grid[0]
    size = whole.kv.num_tokens // count
    parts = []
    for number in range(count):
        part = slice(number * size, (number + 1) * size)
        positions = whole.kv.positions[:, :, part]
        start = positions[:, :1, :1]
        span = whole.kv.span // count
        keys, values = whole.kv.keys[:, :, part], whole.kv.values[:, :, part]
        parts.append(KV(keys, values, positions - start, span))
    return parts
