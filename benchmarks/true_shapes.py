"""Random weights in the true shape of published models, and tiny ones to try out.

A random weight costs a device what a trained one does. What is not the published
models' own is the tokenizer: text is of the built-in one, under the published
vocabulary sizes, so that a time stamp is 3 tokens where theirs takes about 10.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from agent.vlm import builtin
from agent.vlm.families import FAMILIES
from agent.vlm.loading import assemble
from agent.vlm.model import VisionLanguageModel

_Section = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model is made like.

    Attributes:
        name: Of the checkpoint whose shape it is; begins with `tiny` if of none.
        model_type: Of its configuration.
        text: What its language model has that is not the class's default.
        vision: The same of its vision tower.
        facts: Its preprocessor configuration.
        side: Of the square frames that it is measured with, pixels.
        is_tied: Whether its embeddings are its `lm_head`.
    """

    name: str
    model_type: str
    text: _Section
    vision: _Section
    facts: _Section
    side: int = 448
    is_tied: bool = False

    @property
    def config(self) -> Any:
        """Its configuration, of the stock class."""
        return AutoConfig.for_model(
            self.model_type,
            text_config=self.text,
            vision_config=self.vision,
            tie_word_embeddings=self.is_tied,
        )


def build_module(shape: Shape, device: str) -> Any:
    """Give the stock class in bfloat16, made on the device: the host holds no copy.

    The library draws weights from a normal distribution of its `initializer_range`,
    0.02; norms are 1 and biases 0.

    Args:
        shape: What it is made like.
        device: Where it is made; `meta` for no weights at all.
    """
    with torch.device(device):
        return AutoModelForImageTextToText.from_config(
            shape.config, dtype=torch.bfloat16
        )


def build_model(shape: Shape, device: str) -> VisionLanguageModel:
    """Give a model of random weights on a device."""
    module = build_module(shape, device)
    settings = FAMILIES[shape.model_type].settings(shape.facts, module.config, None)
    tokenizer = builtin.build_tokenizer()
    return assemble(shape.name, module, tokenizer, settings, is_trained=False)


def _rope(theta: float, *section: int) -> _Section:
    return {
        "rope_type": "default",
        "rope_theta": theta,
        "mrope_section": list(section),
    }


# Qwen2.5-VL-7B: config.json of Qwen/Qwen2.5-VL-7B-Instruct-AWQ on huggingface.co, which
# names Qwen/Qwen2.5-VL-7B-Instruct as what it is of. Of the vision tower it has two
# numbers, as here; the others are the defaults of transformers' own class. The
# preprocessor's are of copies there that name the model.
_QWEN2_5_FACTS = {
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "min_pixels": 3136,
    "max_pixels": 12845056,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_QWEN2_5_VL_7B = Shape(
    "Qwen/Qwen2.5-VL-7B-Instruct",
    "qwen2_5_vl",
    {
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": _rope(1e6, 16, 24, 24),
    },
    {"hidden_size": 1280, "tokens_per_second": 2},
    _QWEN2_5_FACTS,
)

# Qwen3-VL: torchtitan/experiments/qwen3_vl/__init__.py of pytorch/torchtitan (commit
# 0375bb6), sizes "2B" and "8B"; the 8B's also config.json of a model tuned from it,
# Steinate/Cortex on huggingface.co. The preprocessor's are of a copy there,
# cdreetz/Qwen3-VL-8B-Instruct. The files of Qwen's own repositories were not read.
_QWEN3_TEXT = {
    "vocab_size": 151936,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 262144,
    "rope_parameters": _rope(5e6, 24, 20, 20),
}
_QWEN3_FACTS = {
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "size": {"longest_edge": 25165824, "shortest_edge": 4096},
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
_QWEN3_VL_2B = Shape(
    "Qwen/Qwen3-VL-2B-Instruct",
    "qwen3_vl",
    _QWEN3_TEXT
    | {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
    },
    {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "out_hidden_size": 2048,
        "deepstack_visual_indexes": [5, 11, 17],
    },
    _QWEN3_FACTS,
    is_tied=True,
)
_QWEN3_VL_8B = Shape(
    "Qwen/Qwen3-VL-8B-Instruct",
    "qwen3_vl",
    _QWEN3_TEXT
    | {
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
    },
    {
        "depth": 27,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "out_hidden_size": 4096,
        "deepstack_visual_indexes": [8, 16, 24],
    },
    _QWEN3_FACTS,
)
TRUE = (_QWEN2_5_VL_7B, _QWEN3_VL_2B, _QWEN3_VL_8B)

# Too little for any of it to be worth a figure.
_TINY_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_parameters": _rope(1e4, 3, 3, 2),
}
_TINY_VISION = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "out_hidden_size": 64,
}
TINY = (
    Shape(
        "tiny Qwen2.5-VL",
        "qwen2_5_vl",
        _TINY_TEXT | {"vocab_size": 152064},
        _TINY_VISION | {"window_size": 56, "fullatt_block_indexes": [1]},
        _QWEN2_5_FACTS,
        side=84,
    ),
    Shape(
        "tiny Qwen3-VL",
        "qwen3_vl",
        _TINY_TEXT | {"vocab_size": 151936, "head_dim": 16},
        _TINY_VISION | {"deepstack_visual_indexes": [0]},
        _QWEN3_FACTS,
        side=96,
        is_tied=True,
    ),
)
SHAPES: Mapping[str, tuple[Shape, ...]] = MappingProxyType(
    {
        "true": TRUE,
        "qwen2.5-vl-7b": (_QWEN2_5_VL_7B,),
        "qwen3-vl-2b": (_QWEN3_VL_2B,),
        "qwen3-vl-8b": (_QWEN3_VL_8B,),
        "tiny": TINY,
    }
)
