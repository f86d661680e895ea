"""A model on a device with what it remembers by, and how much is measured of it."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from agent.config_sections import MemoryConfig, ModelConfig
from agent.vlm.model import VisionLanguageModel
from benchmarks.contexts import HIGH, LOW
from benchmarks.true_shapes import TINY, Shape, build_model
from ingest.frame import FrameChunk
from memory.compression.bilevel import BiLevel, CompressedChunk
from memory.kv import KV, ChunkId

SEED = 0
CHUNK_FRAMES, FPS = 8, 1
CHUNK_S = CHUNK_FRAMES // FPS
_MEMORY, _MODEL = MemoryConfig(), ModelConfig()


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        cameras: How many have a chunk waiting, in each row.
        hours: Of resident memory, in each row.
        distinct: Chunks whose KV stands for all: 100 MB of H-KV or more, true shapes.
        turns: Timings, of which the median counts; one more warms up.
        matmul_side: Of the matrices that the device's rate is measured with.
        prefill_tokens: Most visual tokens of a batch, as configured.
        context_tokens: Most KV tokens that a question reads, as configured.
    """

    cameras: tuple[int, ...] = (1, 4, 16, 64)
    hours: tuple[float, ...] = (1, 24)
    distinct: int = 32
    turns: int = 5
    matmul_side: int = 8192
    prefill_tokens: int = _MODEL.prefill_tokens
    context_tokens: int = _MEMORY.context_tokens


SMALL = Scale((1, 3), (0.05, 0.5), 3, 1, 128, 90, 160)


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A model with what it remembers by.

    Attributes:
        model: The model.
        scale: How much is measured.
        sink: KV of its system prompt.
        levels: How its chunks are compressed.
        side: Of its square frames, pixels.
    """

    model: VisionLanguageModel
    scale: Scale
    sink: KV
    levels: BiLevel
    side: int

    @classmethod
    def of(cls, shape: Shape, device: str) -> "Bench":
        """Build a shape on a device."""
        model = build_model(shape, device)
        levels = BiLevel(HIGH, LOW, model.heads, _MEMORY.index_keys)
        scale = SMALL if shape in TINY else Scale()
        return cls(model, scale, model.prefill_sink(), levels, shape.side)

    @property
    def weights_bytes(self) -> int:
        """Bytes of its weights."""
        return sum(weight.nbytes for weight in self.model.module.parameters())

    def film(self, count: int) -> list[FrameChunk]:
        """Give chunks of noise."""
        chance = np.random.default_rng(SEED)
        times_s = np.arange(CHUNK_FRAMES) / FPS
        shape = (count, CHUNK_FRAMES, self.side, self.side, 3)
        noise = chance.integers(0, 256, shape, np.uint8)
        return [FrameChunk("camera", each, times_s, float(CHUNK_S)) for each in noise]

    def remember(self, count: int) -> list[CompressedChunk]:
        """Prefill and compress distinct chunks, with L-KV in host memory."""
        found, context = [], [self.sink]
        for chunk in self.film(count):
            whole = self.model.prefill(chunk, context)
            made = self.levels.compress_chunk(id_of(0), whole)
            context = [self.sink, made.memory.high]
            found.append(replace(made, low=made.low.to(torch.device("cpu"))))
        return found


def id_of(number: int) -> ChunkId:
    """Name the chunks of a stream."""
    return ChunkId("camera", number * CHUNK_S * 1000, (number + 1) * CHUNK_S * 1000)
