"""Summary tokens: a model trained to write down what it saw, as in Video-XL.

Behind each frame pair stand tokens that ask the model for a summary; trained, they hold
what was seen, and the rest is dropped (Video-XL, arXiv 2409.14485; Video-X2L,
arXiv 2506.21184, keeps them dense for L-KV and sparse for H-KV). Here a chunk is
prefilled once with sets of both densities, where Video-X2L prefills it twice.
"""

from memory.compression.selection import take_tokens
from memory.kv import KV, ChunkKV


def keep_summaries(chunk: ChunkKV, num_keep: int) -> KV:
    """Keep the largest set of summary tokens that fits, or else the smallest.

    Raises:
        ValueError: The model was not trained to write summaries.
    """
    if not chunk.summaries:
        raise ValueError("this model has no summary tokens")
    sets = sorted(chunk.summaries, key=len)
    kept = next((s for s in reversed(sets) if len(s) <= num_keep), sets[0])
    return take_tokens(chunk.kv, kept)
