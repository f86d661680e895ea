"""Write the trained model as a folder that `from_pretrained` loads."""

import copy
import json
from pathlib import Path

import torch
from torch import nn
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerBase,
    Qwen3VLForConditionalGeneration,
)

from agent.vlm.builtin import FOLDER, PATCHES, PROCESSOR


def export(
    module: Qwen3VLForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
) -> None:
    """Write configuration, weights in bfloat16, tokenizer, preprocessing and card."""
    folder.mkdir(parents=True, exist_ok=True)
    module.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
    )
    small = copy.deepcopy(module)
    nn.Module.to(small, torch.bfloat16)
    small.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _write(folder / "preprocessor_config.json", _image_facts())
    _write(folder / "video_preprocessor_config.json", _video_facts())
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


def _image_facts() -> dict[str, object]:
    return {"image_processor_type": "Qwen2VLImageProcessor", **_patch_facts()}


def _video_facts() -> dict[str, object]:
    """Give what the library's video processor reads.

    It shares `size` out among all frames of a video, unless each has its own cap.
    """
    return {
        "video_processor_type": "Qwen3VLVideoProcessor",
        **_patch_facts(),
        "cap_pixels_per_frame": True,
        "max_video_tokens": PATCHES.max_pixels // (PATCHES.patch * PATCHES.merge) ** 2,
    }


def _patch_facts() -> dict[str, object]:
    return {
        "processor_class": PROCESSOR,
        "patch_size": PATCHES.patch,
        "temporal_patch_size": PATCHES.temporal_patch,
        "merge_size": PATCHES.merge,
        "image_mean": PATCHES.mean,
        "image_std": PATCHES.std,
        "size": {
            "shortest_edge": PATCHES.min_pixels,
            "longest_edge": PATCHES.max_pixels,
        },
    }


def _write(path: Path, facts: object) -> None:
    path.write_text(json.dumps(facts, indent=2) + "\n")
