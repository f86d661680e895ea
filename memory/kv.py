"""The tensors that memory is made of.

One key to the shape comments of this package:

    L  layers          H  key-value heads     S  tokens      D  head size
    Q  query heads     T  query tokens        V  visual tokens
    F  size of a visual feature               C  chunks      N  index keys of a chunk
    I  key-value heads of the index           P  pinned tokens

Keys are always **pre-RoPE** here: a key knows what it is, not where it stands. Where it
stands is in `positions`, counted from the start of its own chunk, so that a chunk can
be put anywhere in a composed cache by rotating its keys once (Video-X2L does the same).
"""

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import torch
from torch import Tensor


class Level(StrEnum):
    """A form in which a chunk is kept."""

    HIGH = "h"  # high compression: few tokens, coarse, always resident
    LOW = "l"  # low compression: many tokens, fine, archived
    KEYS = "k"  # a few keys of the heads that retrieve: what relevance is judged by
    PICTURE = "p"  # a JPEG for people to look at


class Tier(IntEnum):
    """How long a time one H-KV stands for: a chunk's, or that of many chunks."""

    CHUNK = 0
    MINUTE = 1
    HOUR = 2
    DAY = 3

    @property
    def duration_ms(self) -> int:
        """Length of the time of day that a node of this tier is of, 0 for a chunk."""
        return (0, 60_000, 3_600_000, 86_400_000)[self]


@dataclass(frozen=True, slots=True, order=True)
class ChunkId:
    """Names one chunk of one camera, or a node of many chunks, by the time it covers.

    Attributes:
        camera: Name of the camera.
        start_ms: UTC of its first frame, milliseconds since the Unix epoch.
        end_ms: UTC at which it ends, exclusive.
        tier: What it is.
    """

    camera: str
    start_ms: int
    end_ms: int
    tier: Tier = Tier.CHUNK

    def __post_init__(self) -> None:
        if not 0 <= self.start_ms < self.end_ms:
            raise ValueError(f"a chunk ends after it starts: {self}")

    @property
    def name(self) -> str:
        """Its name within its camera, sortable as text.

        `<start>-<end>`, and a node's with the name of its tier behind: `.minute`.
        """
        times = f"{self.start_ms:013d}-{self.end_ms:013d}"
        return times if self.is_chunk else f"{times}.{self.tier.name.lower()}"

    @property
    def is_chunk(self) -> bool:
        """Whether it names a chunk, not a node."""
        return self.tier is Tier.CHUNK

    def overlaps(self, start_ms: int | None, end_ms: int | None) -> bool:
        """Tell whether any of it is in [start_ms, end_ms); None is without end."""
        begins = end_ms is None or self.start_ms < end_ms
        return begins and (start_ms is None or self.end_ms > start_ms)

    @classmethod
    def parse(cls, camera: str, name: str) -> "ChunkId":
        """Give back the id whose `name` this is.

        Raises:
            ValueError: `name` is not of that form.
        """
        times, _, tier = name.partition(".")
        start, _, end = times.partition("-")
        if not tier:
            return cls(camera, int(start), int(end))
        try:
            return cls(camera, int(start), int(end), Tier[tier.upper()])
        except KeyError as exc:
            raise ValueError(f"no tier is called {tier}") from exc


@dataclass(frozen=True, slots=True, eq=False)
class KV:
    """Keys, values and positions of a run of tokens, free of where it stands.

    Attributes:
        keys: Pre-RoPE, (L, H, S, D).
        values: (L, H, S, D), of the keys' dtype.
        positions: Rotary positions from the start of the run, (L, 3, S), float32: time,
            height, width; a model with 1-D positions repeats its row.
        span: Positions the run takes in a context before it was compressed.
    """

    keys: Tensor
    values: Tensor
    positions: Tensor
    span: int

    def __post_init__(self) -> None:
        if self.keys.ndim != 4 or self.keys.shape != self.values.shape:
            raise ValueError(
                "keys and values are both (L, H, S, D), not "
                f"{tuple(self.keys.shape)} and {tuple(self.values.shape)}"
            )
        if self.keys.dtype != self.values.dtype:
            raise ValueError(f"dtypes: {self.keys.dtype} and {self.values.dtype}")
        layers, _, tokens, _ = self.keys.shape
        if self.positions.shape != (layers, 3, tokens):
            raise ValueError(
                f"positions are (L, 3, S) = {(layers, 3, tokens)}, "
                f"not {tuple(self.positions.shape)}"
            )
        if self.positions.dtype != torch.float32:
            raise ValueError(f"positions are float32, not {self.positions.dtype}")
        if self.span < 1:
            raise ValueError(f"a run spans at least one position, not {self.span}")

    @property
    def num_tokens(self) -> int:
        """Tokens per layer, S."""
        return self.keys.shape[2]

    @property
    def num_bytes(self) -> int:
        """Size of keys and values together."""
        return self.keys.nbytes + self.values.nbytes

    def to(self, device: torch.device) -> "KV":
        """Give the same KV on a device."""
        keys, values = self.keys.to(device), self.values.to(device)
        return KV(keys, values, self.positions.to(device), self.span)


@dataclass(frozen=True, slots=True, eq=False)
class ChunkKV:
    """What one prefill of a chunk gives: its full KV and what to choose from it by.

    Attributes:
        kv: Keys, values and positions of all S tokens of the chunk.
        visual_tokens: Indices of the visual tokens, (V,), int64, increasing.
        features: Output of the vision tower for each visual token, (V, F).
        grid: Places of visual tokens as (frames, rows, columns).
        places: The place of each visual token in the grid, in reading order, (V,),
            int64, increasing. Some may be empty, but not in the first frame: a token
            that would have shown what the one before it in time showed is left out.
        pinned_tokens: Indices of the tokens that every method but `summary` keeps: the
            chunk's first time stamp, (P,), int64.
        summaries: Indices of each set of summary tokens, (S',), int64, from a model
            that was trained to write them.
    """

    kv: KV
    visual_tokens: Tensor
    features: Tensor
    grid: tuple[int, int, int]
    places: Tensor
    pinned_tokens: Tensor
    summaries: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        visual = len(self.places)
        if self.visual_tokens.shape != (visual,) or len(self.features) != visual:
            raise ValueError(
                f"{visual} places ask for {visual} visual tokens, got "
                f"{tuple(self.visual_tokens.shape)} and {len(self.features)} features"
            )
        if not self.grid[1] * self.grid[2] <= visual <= math.prod(self.grid):
            raise ValueError(f"{visual} visual tokens in a grid of {self.grid}")

    @property
    def num_left_out(self) -> int:
        """Places of the grid without a token."""
        return math.prod(self.grid) - len(self.places)


@dataclass(frozen=True, slots=True)
class Section:
    """The tokens of a node that are of one of its children.

    Attributes:
        child: The child's name.
        num_tokens: How many, in time order behind those of the children before it.
        high_tokens: Tokens of the child's own H-KV.
    """

    child: ChunkId
    num_tokens: int
    high_tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """H-KV of a chunk, or of many: what is resident of a time.

    Attributes:
        id: Its name.
        high: Its H-KV: the tokens of its time stamp, then those of its sections.
        stamp_tokens: Tokens of its time stamp.
        sections: What it has of its children, in time order; a chunk has none.
        low_tokens: Tokens of a chunk's archived L-KV; 0 for more than a chunk.
    """

    id: ChunkId
    high: KV
    stamp_tokens: int
    sections: tuple[Section, ...] = ()
    low_tokens: int = 0

    def __post_init__(self) -> None:
        if self.id.is_chunk == bool(self.sections):
            raise ValueError(f"{self.id} has {len(self.sections)} sections")
        told = self.stamp_tokens + sum(each.num_tokens for each in self.sections)
        if self.sections and told != self.high.num_tokens:
            raise ValueError(f"{self.high.num_tokens} tokens, {told} are accounted for")

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing but the time."""
        return self.high.num_tokens <= self.stamp_tokens


@dataclass(frozen=True, slots=True, eq=False)
class ChunkMemory:
    """What is kept of a chunk to find it and to read it coarsely.

    Attributes:
        id: The chunk.
        high: Its H-KV.
        index_keys: Fine pre-RoPE keys of the retrieval heads, taken before compression,
            (I, N, D); N is 0 if what was archived is of other heads than those in use.
        low_tokens: Tokens of its archived L-KV.
        stamp_tokens: Tokens of the time stamp that its H-KV begins with.
    """

    id: ChunkId
    high: KV
    index_keys: Tensor
    low_tokens: int
    stamp_tokens: int = 0

    @property
    def is_indexed(self) -> bool:
        """Whether its relevance can be judged."""
        return self.index_keys.shape[1] > 0

    @property
    def node(self) -> Node:
        """What of it is resident."""
        return Node(self.id, self.high, self.stamp_tokens, low_tokens=self.low_tokens)
