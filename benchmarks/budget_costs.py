"""What memory costs, from a model's shape: the formulas of docs/memory-budget.md.

All is for the default settings, keys and values in bfloat16. A chunk is as long as a
camera's default settings make it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from agent.answerer import MAX_QUESTION_TOKENS
from agent.config_sections import MemoryConfig, ModelConfig
from agent.config_servers import ArchiveConfig
from agent.desk import MAX_AT_ONCE
from agent.model_list import watching_of
from memory.codec import kv_bytes
from memory.compression.bilevel import LevelSettings
from memory.index import BLOCK_CHUNKS
from memory.kv import Tier

MEMORY, MODEL = MemoryConfig(), ModelConfig()
RETENTION_S = ArchiveConfig().retention_s
WATCHING = watching_of(None, MEMORY)
CHUNK_S, DAY_S = WATCHING.chunk_frames / WATCHING.fps, 86_400
DAILY = DAY_S / CHUNK_S  # chunks a day
ITEMSIZE = 2  # bytes of a number, bfloat16
POSITION_BYTES = 3 * 4  # of a token: time, height, width, float32
TIMES_BYTES = 2 * 8  # of a chunk in the index: start and end, int64
NUM_MARKS = 2  # keys per head that the index keeps of every chunk
HEADER_BYTES = 512  # estimated: of a blob, with what fills it up to whole alignments
FACTORS: Mapping[Tier, int] = MappingProxyType(
    {
        Tier.MINUTE: MEMORY.minute_factor,
        Tier.HOUR: MEMORY.hour_factor,
        Tier.DAY: MEMORY.day_factor,
    }
)
TIERS_S = {tier: tier.duration_ms / 1000 for tier in FACTORS}
# Bytes of a weight of a linear layer, and of a row of it: int8 has a float32 and a byte
# per row, nf4 a float32 per 64 weights.
WAYS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"full": (ITEMSIZE, 0), "int8": (1, 4 + 1), "nf4": (1 / 2 + 4 / 64, 0)}
)
NUM_COPIES = 2  # of caches read together: composed one by one, then side by side


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a model's memory is worked out from.

    Attributes:
        name: Of the model.
        num_weights: All of them.
        num_linear: Those in linear layers of its language model.
        num_rows: Rows of those layers.
        shape: Of its language model: layers, key-value heads, head size.
        index_heads: Key-value heads of the index.
        tokens: Of a chunk before compression.
        stamp_tokens: Of a chunk's first time stamp.
    """

    name: str
    num_weights: int
    num_linear: int
    num_rows: int
    shape: tuple[int, int, int]
    index_heads: int
    tokens: int
    stamp_tokens: int

    @property
    def high(self) -> int:
        """Tokens of a chunk's H-KV."""
        return self._kept(MEMORY.high_factor)

    @property
    def low(self) -> int:
        """Tokens of a chunk's L-KV."""
        return self._kept(MEMORY.low_factor)

    def weight_bytes(self, way: str = "full") -> int:
        """Give the bytes of the weights, its language model's held in one of `WAYS`."""
        each, row = WAYS[way]
        others = ITEMSIZE * (self.num_weights - self.num_linear)
        return others + int(each * self.num_linear + row * self.num_rows)

    def kv_bytes(self, tokens: int, numbers: str = "model") -> int:
        """Give the bytes of keys and values as one of `memory.codec.NUMBERS`."""
        layers, heads, size = self.shape
        return kv_bytes((layers, heads, tokens, size), numbers, ITEMSIZE)

    def resident_bytes(self, tokens: int) -> int:
        """Give the bytes of KV on the device: positions are of every layer."""
        return self.kv_bytes(tokens) + POSITION_BYTES * self.shape[0] * tokens

    def blob_bytes(self, tokens: int, numbers: str = "model") -> int:
        """Give the bytes of a blob of KV: positions are written once."""
        return self.kv_bytes(tokens, numbers) + POSITION_BYTES * tokens + HEADER_BYTES

    def key_bytes(self, count: int) -> int:
        """Give the bytes of so many index keys in each head."""
        return self.index_heads * count * self.shape[2] * ITEMSIZE

    def cache_bytes(self, context_tokens: int = MEMORY.context_tokens) -> int:
        """Give the most that one question reads, asks and says, composed."""
        said = MAX_QUESTION_TOKENS + MODEL.max_new_tokens
        return self.kv_bytes(context_tokens + said)

    def answering_bytes(self, context_tokens: int = MEMORY.context_tokens) -> int:
        """Give what the most questions that are decoded together take."""
        return NUM_COPIES * MAX_AT_ONCE * self.cache_bytes(context_tokens)

    def watching_bytes(self) -> int:
        """Give what a camera takes beside H-KV: its newest L-KV, and a prefill's KV.

        That is the chunk with those it sees, twice, and what is taken out of it.
        """
        seen = MODEL.context_chunks * self.high + self.tokens
        prefill = self.kv_bytes(NUM_COPIES * seen + self.tokens)
        return self.resident_bytes(MEMORY.newest_chunks * self.low) + prefill

    def node_tokens(self) -> dict[Tier, int]:
        """Give the tokens of a chunk's H-KV, and of a minute, an hour and a day."""
        found, body, length_s = {Tier.CHUNK: self.high}, self.high, CHUNK_S
        for tier, factor in FACTORS.items():
            whole = (body - self.stamp_tokens) * TIERS_S[tier] / length_s
            found[tier] = body = self.stamp_tokens + math.ceil(whole / factor)
            length_s = TIERS_S[tier]
        return found

    def tokens_needed(self, n: float, total_s: float = RETENTION_S) -> float:
        """Give the H-KV tokens of a camera in the moment when they are most.

        Args:
            n: Chunks are kept n minutes behind the end of their minute, minutes n
                hours, hours n days. In that moment n + 1 of each are there.
            total_s: All that is remembered.
        """
        ends_s = [min((n + 1) * each_s, total_s) for each_s in TIERS_S.values()]
        lengths_s = [CHUNK_S, *TIERS_S.values()]
        spans_s = (end - start for start, end in pairwise([0, *ends_s, total_s]))
        each = zip(self.node_tokens().values(), lengths_s, spans_s, strict=True)
        return sum(tokens * span_s / length_s for tokens, length_s, span_s in each)

    def least_kept(self, tokens: float, total_s: float = RETENTION_S) -> float:
        """Give the n of `tokens_needed` that a camera's tokens are enough for.

        Below 0 a running minute, hour and day don't fit together: from -1.
        """
        low, high = -1.0, total_s / min(TIERS_S.values())
        for _ in range(60):
            middle = (low + high) / 2
            fits = self.tokens_needed(middle, total_s) <= tokens
            low, high = (middle, high) if fits else (low, middle)
        return low

    def low_bytes_a_day(self, numbers: str) -> float:
        """Give the L-KV that a day of a camera adds to the archive."""
        return self.blob_bytes(self.low, numbers) * DAILY

    def high_bytes_a_day(self) -> float:
        """Give what a day adds beside L-KV: H-KV, index keys and nodes."""
        keys = self.key_bytes(MEMORY.index_keys) + HEADER_BYTES
        nodes = self.node_tokens()
        total = (self.blob_bytes(nodes.pop(Tier.CHUNK)) + keys) * DAILY
        for tier, tokens in nodes.items():
            total += self.blob_bytes(tokens) * DAY_S / TIERS_S[tier]
        return total

    def mark_bytes(self, chunks: int = 1) -> int:
        """Give what the index keeps of chunks whatever the budget, room left out."""
        return (self.key_bytes(NUM_MARKS) + TIMES_BYTES) * chunks

    def index_bytes(
        self, chunks: int, budget: float = MEMORY.index_bytes
    ) -> tuple[int, int]:
        """Give what a camera's index takes, and how many chunks have fine keys in it.

        Room is made for whole blocks; the oldest lose their fine keys first.
        """
        blocks = math.ceil(chunks / BLOCK_CHUNKS)
        marks = blocks * self.mark_bytes(BLOCK_CHUNKS)
        fine = self.key_bytes(MEMORY.index_keys) * BLOCK_CHUNKS
        fitting = int(max(min((budget - marks) / fine, blocks), 0))
        without = (blocks - fitting) * BLOCK_CHUNKS
        return marks + fitting * fine, max(chunks - without, 0)

    def _kept(self, factor: float) -> int:
        level = LevelSettings("novelty", factor)  # how many are kept is the same in all
        return level.num_keep(self.tokens, self.stamp_tokens)
