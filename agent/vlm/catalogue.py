"""What a model costs, from its configuration alone: no weights are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from agent.errors import ModelLoadError
from agent.vlm import builtin
from agent.vlm.families import family_of
from agent.vlm.loading import ModelSettings, place_of
from agent.vlm.text_shape import text_config
from memory.codec import kv_bytes
from memory.compression.bilevel import LevelSettings

# Repositories of each family that are known to be of the supported class, by name only:
# what they cost is read from their own configuration.
KNOWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "qwen2_5_vl": (
            "Qwen/Qwen2.5-VL-3B-Instruct",
            "Qwen/Qwen2.5-VL-7B-Instruct",
        ),
        "qwen3_vl": (
            "Qwen/Qwen3-VL-2B-Instruct",
            "Qwen/Qwen3-VL-4B-Instruct",
            "Qwen/Qwen3-VL-8B-Instruct",
        ),
        "llava_onevision": (
            "llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
            "llava-hf/llava-onevision-qwen2-7b-ov-hf",
        ),
        "smolvlm": (
            "HuggingFaceTB/SmolVLM2-256M-Video-Instruct",
            "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
            "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        ),
        "internvl": (
            "OpenGVLab/InternVL3-1B-hf",
            "OpenGVLab/InternVL3-2B-hf",
            "OpenGVLab/InternVL3-8B-hf",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Watching:
    """What one camera shows, and how much of it is kept.

    Attributes:
        fps: Frames per second.
        chunk_frames: Frames in a chunk.
        frame_size: Height and width of a frame, pixels.
        high_factor: Tokens in / tokens kept, in H-KV.
        low_factor: The same in L-KV.
        low_numbers: What L-KV is archived as (`memory.codec.NUMBERS`).
    """

    fps: float
    chunk_frames: int
    frame_size: tuple[int, int]
    high_factor: float
    low_factor: float
    low_numbers: str = "model"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model costs.

    Attributes:
        name: As configured.
        family: As people call it.
        num_layers: Of its language model.
        num_kv_heads: In each layer.
        dtype: That its KV is held in on this machine.
        token_bytes: Keys and values of one token, all layers.
        frame_tokens: Visual tokens per frame.
        chunk_tokens: Tokens of a chunk, time stamps and markers included.
        high_gb_per_hour: KV of H-KV that an hour of one camera leaves on the device,
            10^9 bytes.
        low_gb_per_hour: The same of L-KV in the archive.
    """

    name: str
    family: str
    num_layers: int
    num_kv_heads: int
    dtype: str
    token_bytes: int
    frame_tokens: float
    chunk_tokens: int
    high_gb_per_hour: float
    low_gb_per_hour: float


def describe_model(settings: ModelSettings, watching: Watching) -> ModelFacts:
    """Work out what a model costs from its configuration and its tokenizer.

    Raises:
        ModelLoadError: They can't be read, or are of a family not supported.
    """
    try:
        return _describe(settings, watching)
    except (OSError, ValueError, KeyError, ImportError) as exc:
        raise ModelLoadError(settings.name, str(exc)) from exc


def _describe(settings: ModelSettings, watching: Watching) -> ModelFacts:
    repository = settings.repository
    config = repository.config()
    family, text = family_of(config), text_config(config)
    _, dtype = place_of(settings)
    facts = repository.processor_facts()
    by = family.settings(facts, config, settings.max_pixels)
    frames = (watching.chunk_frames, *watching.frame_size)
    grid = family.visual_grid(frames, config, by)
    times_s = np.arange(watching.chunk_frames) / watching.fps
    layout = family.lay_out(times_s, grid, config, repository.tokenizer())
    num_tokens = len(layout.token_ids)
    heads = (text.num_hidden_layers, text.num_key_value_heads)
    token_bytes = kv_bytes((*heads, 1, text.head_dim), "model", dtype.itemsize)
    chunks_per_hour = 3600 * watching.fps / watching.chunk_frames

    def gb_per_hour(factor: float, numbers: str) -> float:
        level = LevelSettings("novelty", factor)  # how many are kept is the same in all
        kept = level.num_keep(num_tokens, len(layout.pinned_tokens))
        chunk = kv_bytes((*heads, kept, text.head_dim), numbers, dtype.itemsize)
        return chunk * chunks_per_hour / 1e9

    return ModelFacts(
        settings.name,
        "built-in" if settings.name == builtin.NAME else family.title,
        text.num_hidden_layers,
        text.num_key_value_heads,
        str(dtype).removeprefix("torch."),
        token_bytes,
        len(layout.visual_tokens) / watching.chunk_frames,
        num_tokens,
        gb_per_hour(watching.high_factor, "model"),
        gb_per_hour(watching.low_factor, watching.low_numbers),
    )
