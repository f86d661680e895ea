"""The built-in model: a tiny stock Qwen3-VL, for simulated cameras only.

`training/` makes it and docs/builtin-model.md says what it can do. It has everything a
real model has (chat template, tokenizer, vision tower, QK-norm), so that the whole path
runs anywhere.
"""

from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from agent.vlm.preprocessing import PatchSettings

NAME = "builtin"
SEED = 0
PROCESSOR = "Qwen3VLProcessor"
PATCHES = PatchSettings(
    patch=8,
    temporal_patch=2,
    merge=2,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    min_pixels=64 * 64,
    max_pixels=64 * 64,
)

FOLDER = Path(__file__).with_name("builtin_model")

_SPECIAL = (
    "<|pad|>",
    "<|unk|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|video_pad|>",
    "<|image_pad|>",
)
SUMMARY_TOKENS = tuple(f"<|summary_{number}|>" for number in range(9))
_WORDS = Path(__file__).with_name("builtin_words.txt")
_VISION = "<|vision_start|><|{}_pad|><|vision_end|>"
_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }} "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] in ('image', 'image_url') %}"
    + _VISION.format("image")
    + "{% elif part['type'] == 'video' %}"
    + _VISION.format("video")
    + "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "<|im_end|>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
)


def load(
    dtype: torch.dtype,
) -> tuple[Qwen3VLForConditionalGeneration, PreTrainedTokenizerBase]:
    """Load the trained model and its tokenizer."""
    module = Qwen3VLForConditionalGeneration.from_pretrained(FOLDER, dtype=dtype)
    return module, AutoTokenizer.from_pretrained(FOLDER)


def build_tokenizer() -> PreTrainedTokenizerBase:
    """Build the word-level tokenizer: a plate is one token, a time stamp three."""
    words = [
        *_SPECIAL,
        *SUMMARY_TOKENS,
        *(f"<{hour:02d}" for hour in range(24)),
        *(f":{minute:02d}" for minute in range(60)),
        *(f":{second:02d}>" for second in range(60)),
        *(f"#{plate}" for plate in range(10, 100)),
        *(str(number) for number in range(100)),
        *_WORDS.read_text().split(),
    ]
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unk|>"))
    pieces = r"<\d\d|:\d\d>|:\d\d|#\d\d|\d+|\p{L}+|[^\s\p{L}\d]"
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(pieces), behavior="removed", invert=True
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        unk_token="<|unk|>",
        eos_token="<|im_end|>",
        additional_special_tokens=[*_SPECIAL[2:], *SUMMARY_TOKENS],
        chat_template=_TEMPLATE,
        processor_class=PROCESSOR,
    )


def build_config(tokenizer: PreTrainedTokenizerBase) -> Qwen3VLConfig:
    """Give the configuration that training starts from."""
    vocabulary = tokenizer.get_vocab()
    ids = {word: vocabulary[word] for word in _SPECIAL}
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": 32,
            "max_position_embeddings": 65536,
            "pad_token_id": ids["<|pad|>"],
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5000000.0,
                "mrope_section": [6, 5, 5],
            },
        },
        vision_config={
            "depth": 3,
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_heads": 4,
            "patch_size": PATCHES.patch,
            "temporal_patch_size": PATCHES.temporal_patch,
            "spatial_merge_size": PATCHES.merge,
            "out_hidden_size": 128,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [],
        },
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        video_token_id=ids["<|video_pad|>"],
        image_token_id=ids["<|image_pad|>"],
        tie_word_embeddings=True,
    )


def build_module(config: Qwen3VLConfig) -> Qwen3VLForConditionalGeneration:
    """Make the model with random weights, the same ones every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Qwen3VLForConditionalGeneration(config)
