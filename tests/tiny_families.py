"""A tiny model of every family: its real configuration class, small random weights."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_model import START_S
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    InternVLConfig,
    LlavaOnevisionConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen3VLConfig,
    SmolVLMConfig,
)

from agent.vlm.families import FAMILIES
from agent.vlm.loading import assemble
from agent.vlm.model import VisionLanguageModel
from ingest.frame import FrameChunk

SPECIAL = (
    *("<|pad|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"),
    *("<|vision_start|>", "<|vision_end|>", "<|video_pad|>", "<|image_pad|>"),
    *("<fake_token_around_image>", "<global-img>", "<end_of_utterance>"),
    *("<img>", "</img>", "<IMG_CONTEXT>"),
)
_LINES = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "CONTENT<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_PARTS = (
    "{% for part in message['content'] %}{% if part['type'] == 'video' %}"
    "{{ '<video>\n' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
)
PARTS = _LINES.replace("CONTENT", _PARTS)
PLAIN = _LINES.replace("CONTENT", "{{ message['content'] }}")

_QWEN_FACTS = {
    "patch_size": 4,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.48, 0.46, 0.41],
    "image_std": [0.27, 0.26, 0.28],
    "size": {"shortest_edge": 256, "longest_edge": 1024},
}
_SQUARE = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
FACTS: dict[str, dict[str, Any]] = {
    "qwen2_5_vl": _QWEN_FACTS,
    "qwen3_vl": _QWEN_FACTS,
    "llava_onevision": _SQUARE | {"size": {"height": 28, "width": 28}, "resample": 3},
    "smolvlm": _SQUARE
    | {
        "size": {"longest_edge": 64},
        "max_image_size": {"longest_edge": 32},
        "video_sampling": {"video_size": {"longest_edge": 48}},
        "resample": 1,
    },
    "internvl": _SQUARE | {"size": {"height": 32, "width": 32}, "resample": 3},
}


def make_tokenizer(model_type: str) -> PreTrainedTokenizerFast:
    """Bytes and special tokens; case, spaces and line ends count."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<end_of_utterance>" if model_type == "smolvlm" else "<|im_end|>",
        additional_special_tokens=list(SPECIAL),
        chat_template=PLAIN if model_type.startswith("qwen") else PARTS,
    )


def make_config(model_type: str, tokenizer: PreTrainedTokenizerFast) -> Any:
    """A configuration of the family's own class."""
    ids = tokenizer.get_vocab()
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 4096,
        "pad_token_id": ids["<|pad|>"],
    }
    if not model_type.startswith("qwen"):
        name = "llama" if model_type == "smolvlm" else "qwen2"
        return _of_square(model_type, text | {"model_type": name}, ids)
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [3, 3, 2]}
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 4,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "out_hidden_size": 64,
    }
    marks = {
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "video_token_id": ids["<|video_pad|>"],
        "image_token_id": ids["<|image_pad|>"],
    }
    text |= {"rope_parameters": rope}
    if model_type == "qwen2_5_vl":
        vision |= {"fullatt_block_indexes": [1], "window_size": 16}
        vision |= {"tokens_per_second": 2}
        return Qwen2_5_VLConfig(text_config=text, vision_config=vision, **marks)
    vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]}
    return Qwen3VLConfig(text_config=text, vision_config=vision, **marks)


def _of_square(model_type: str, text: dict[str, Any], ids: dict[str, int]) -> Any:
    vision: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 4,
        "image_size": 32,
    }
    if model_type == "llava_onevision":  # an odd side, as the real one's 27
        tower = {"model_type": "siglip_vision_model", "vision_use_head": False}
        return LlavaOnevisionConfig(
            text_config=text,
            vision_config=vision | tower | {"image_size": 28},
            image_token_index=ids["<image>"],
            video_token_index=ids["<video>"],
        )
    if model_type == "smolvlm":
        return SmolVLMConfig(
            text_config=text,
            vision_config=vision,
            image_token_id=ids["<image>"],
            scale_factor=2,
        )
    return InternVLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<IMG_CONTEXT>"],
        image_seq_length=16,
    )


def make_family_model(model_type: str, *, seed: int = 0) -> VisionLanguageModel:
    """A model of a family, with weights wide enough that a wrong position shows."""
    tokenizer = make_tokenizer(model_type)
    config = make_config(model_type, tokenizer)
    torch.manual_seed(seed)
    module = AutoModelForImageTextToText.from_config(config)
    for name, weight in module.named_parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        elif "norm" in name and name.endswith("weight"):
            torch.nn.init.uniform_(weight, 0.5, 1.5)
        else:
            torch.nn.init.normal_(weight, std=0.3)
    module.tie_weights()
    settings = FAMILIES[model_type].settings(FACTS[model_type], config, None)
    return assemble(model_type, module, tokenizer, settings, is_trained=False)


def save(model: VisionLanguageModel, folder: Path) -> None:
    """Write a model as its repository holds it."""
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    facts = json.dumps(FACTS[model.module.config.model_type])
    (folder / "preprocessor_config.json").write_text(facts)


def make_pairs(lengths: Sequence[int]) -> list[FrameChunk]:
    """Frames of noise in equal pairs, 2 a second, of a size the model resizes."""
    random = np.random.default_rng(0)
    chunks, start_s = [], START_S + 0.25
    for length in lengths:
        pairs = random.integers(0, 256, (-(-length // 2), 24, 40, 3), dtype=np.uint8)
        times_s = start_s + np.arange(length) / 2
        start_s = float(times_s[-1]) + 0.5
        pixels = pairs.repeat(2, axis=0)[:length]
        chunks.append(FrameChunk("door", pixels, times_s, start_s))
    return chunks
