"""The models that memory is worked out for, counted without their weights.

The built-in one is loaded. Of the known ones the stock class is made on the device
`meta`, so that weights are counted and not drawn.
"""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForImageTextToText

from agent.vlm.catalogue import KNOWN
from agent.vlm.families import FAMILIES
from agent.vlm.loading import ModelSettings, default_heads, load_model
from agent.vlm.text_shape import text_config
from benchmarks.budget_costs import WATCHING, Costs
from benchmarks.true_shapes import TRUE, Shape
from ingest.simulation.address import SimulatedAddress
from memory.relevance import IndexHeads

_KINDS = {name: kind for kind, names in KNOWN.items() for name in names}

# The known models that `true_shapes` doesn't have: sizes of their published
# configurations, as others tell them; the files themselves were not read. A test holds
# the weights that they make to published numbers of them.
_TEXT = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "num_key_value_heads", "head_dim"),
)
_SIZES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "Qwen/Qwen2.5-VL-3B-Instruct": (151936, 2048, 11008, 36, 16, 2, 128),
        "Qwen/Qwen3-VL-4B-Instruct": (151936, 2560, 9728, 36, 32, 8, 128),
        "llava-hf/llava-onevision-qwen2-0.5b-ov-hf": (
            *(152000, 896, 4864, 24, 14, 2, 64),
        ),
        "llava-hf/llava-onevision-qwen2-7b-ov-hf": (
            *(152128, 3584, 18944, 28, 28, 4, 128),
        ),
        "HuggingFaceTB/SmolVLM2-256M-Video-Instruct": (49280, 576, 1536, 30, 9, 3, 64),
        "HuggingFaceTB/SmolVLM2-500M-Video-Instruct": (49280, 960, 2560, 32, 15, 5, 64),
        "HuggingFaceTB/SmolVLM2-2.2B-Instruct": (49280, 2048, 8192, 24, 32, 32, 64),
        "OpenGVLab/InternVL3-1B-hf": (151674, 896, 4864, 24, 14, 2, 64),
        "OpenGVLab/InternVL3-2B-hf": (151674, 1536, 8960, 28, 12, 2, 128),
        "OpenGVLab/InternVL3-8B-hf": (151674, 3584, 18944, 28, 28, 4, 128),
    }
)
_TIED = re.compile(r"VL-[34]B-Instruct|0\.5b")  # whose `lm_head` is their embeddings
_TOWER = (
    *("hidden_size", "intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "patch_size", "image_size"),
)
_SIGLIP = dict(zip(_TOWER, (1152, 4304, 27, 16, 14, 384), strict=True))
_SIGLIP_BASE = dict(zip(_TOWER, (768, 3072, 12, 12, 16, 512), strict=True))
_SCALE_FACTORS = {16: 4, 14: 3}  # of SmolVLM2, by the tower's patch
_SQUARE = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


class Splitter:
    """Counts tokens as the families' tokenizers do in time stamps and markers.

    Digits and signs stand alone; a word takes the space before it.
    """

    _pieces = re.compile(r"<[^<>\d]+>| ?[A-Za-z]+|.", re.DOTALL)

    def encode(self, text: str, **_: bool) -> list[int]:
        """Give as many ids as there are tokens."""
        return [0] * len(self._pieces.findall(text))


@cache
def all_costs() -> tuple[Costs, ...]:
    """Give the costs of the built-in model, then of all that are known."""
    return builtin_costs(), *map(known_costs, _KINDS)


def builtin_costs() -> Costs:
    """Give the built-in model's costs, of the simulated cameras that it is for."""
    own = load_model(ModelSettings(device="cpu"))
    side = SimulatedAddress().size
    prepared = (own.patches, own.tokenizer, (side, side))
    return count(own.name, own.module, prepared, len(own.heads.kv_heads))


def known_costs(name: str) -> Costs:
    """Give the costs of a model of `KNOWN` that was not calibrated.

    Raises:
        KeyError: It is none of them.
    """
    kind = _KINDS[name]
    true = {shape.name: shape for shape in TRUE}
    shape = true.get(name) or _shape(kind, name)
    config = shape.config
    text = text_config(config)
    if kind == "smolvlm":
        config.scale_factor = _SCALE_FACTORS[config.vision_config.patch_size]
    with torch.device("meta"):
        module = AutoModelForImageTextToText.from_config(config)
    by = FAMILIES[kind].settings(shape.facts, config, None)
    pairs = default_heads(text.num_hidden_layers, text.num_attention_heads)
    heads = len(IndexHeads.of(pairs, text.groups).kv_heads)
    prepared = (by, Splitter(), WATCHING.frame_size)
    return count(name.split("/")[-1], module, prepared, heads)


def count(
    name: str,
    module: Any,
    prepared: tuple[Any, Any, tuple[int, int]],
    index_heads: int,
) -> Costs:
    """Count a module's weights, and the tokens of a chunk as its family writes it.

    Args:
        name: As tables show it.
        module: The stock class, on any device.
        prepared: How frames are prepared, the tokenizer, and the frames' height and
            width in pixels.
        index_heads: Key-value heads of the index.
    """
    by, tokenizer, size = prepared
    config, family = module.config, FAMILIES[module.config.model_type]
    grid = family.visual_grid((WATCHING.chunk_frames, *size), config, by)
    times_s = np.arange(WATCHING.chunk_frames) / WATCHING.fps
    layout = family.lay_out(times_s, grid, config, tokenizer)
    parts = module.get_decoder().modules()
    linear = [part.weight for part in parts if isinstance(part, nn.Linear)]
    text = text_config(config)
    return Costs(
        name=name,
        num_weights=sum(weight.numel() for weight in module.parameters()),
        num_linear=sum(weight.numel() for weight in linear),
        num_rows=sum(len(weight) for weight in linear),
        shape=(text.num_hidden_layers, text.num_key_value_heads, text.head_dim),
        index_heads=index_heads,
        tokens=len(layout.token_ids),
        stamp_tokens=len(layout.pinned_tokens),
    )


def _shape(kind: str, name: str) -> Shape:
    """Give the shape of a known model that `true_shapes` doesn't have."""
    text: dict[str, Any] = dict(zip(_TEXT, _SIZES[name], strict=True))
    facts: dict[str, Any] = _SQUARE
    vision: dict[str, Any] = {}
    if kind.startswith("qwen"):
        twin = next(shape for shape in TRUE if shape.model_type == kind)
        text["rope_parameters"], facts = twin.text["rope_parameters"], twin.facts
        vision = twin.vision | {"out_hidden_size": text["hidden_size"]}
    elif kind == "llava_onevision":
        text["model_type"] = "qwen2"
        cut = {"num_hidden_layers": 26, "vision_use_head": False}
        vision = {"model_type": "siglip_vision_model"} | _SIGLIP | cut
    elif kind == "smolvlm":
        text["model_type"] = "llama"
        vision = _SIGLIP if "2.2B" in name else _SIGLIP_BASE
    else:
        text["model_type"] = "qwen2"
        vision = {"attention_bias": True}
    return Shape(name, kind, text, vision, facts, is_tied=bool(_TIED.search(name)))
