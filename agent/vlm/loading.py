"""Load a model by name: the built-in one, a local folder, or a hub repository."""

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    Qwen3VLForConditionalGeneration,
)
from transformers.utils.hub import cached_file
from transformers.utils.logging import disable_progress_bar

from agent.errors import ModelLoadError
from agent.vlm import builtin
from agent.vlm.calibrated_heads import find_heads, places_for, weights_digest
from agent.vlm.model import VisionLanguageModel, text_config
from agent.vlm.preprocessing import PatchSettings
from agent.vlm.prompt import Prompt
from memory.relevance import IndexHeads

LAYOUT_VERSION = 1  # raise when prompt, chunk layout or preprocessing change
SUPPORTED = {"qwen3_vl": "Qwen3-VL"}
DEFAULT_FRAME_TOKENS = 256  # most visual tokens of a frame pair, unless configured
_PROCESSOR_FILES = ("video_preprocessor_config.json", "preprocessor_config.json")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model, and how it is loaded.

    Attributes:
        name: `builtin`, a local folder, or a hub repository.
        revision: Of the hub repository.
        device: `auto`, `cpu` or `cuda`.
        dtype: `auto` (bfloat16 on a GPU, float32 on a CPU), `float32` or `bfloat16`.
        max_pixels: Most pixels of a frame as the model sees it; None for the default.
    """

    name: str = builtin.NAME
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    max_pixels: int | None = None


def load_model(settings: ModelSettings) -> VisionLanguageModel:
    """Load a model and its tokenizer.

    Raises:
        ModelLoadError: Not found, not readable, or of a family not supported.
    """
    if not sys.stderr.isatty():
        disable_progress_bar()  # of transformers: no place for it in a log
    has_cuda = torch.cuda.is_available()
    device = settings.device
    if device == "auto":
        device = "cuda" if has_cuda else "cpu"
    if device == "cuda" and not has_cuda:
        raise ModelLoadError(settings.name, "no CUDA device is present")
    dtype_name = settings.dtype
    if dtype_name == "auto":
        dtype_name = "bfloat16" if device == "cuda" else "float32"
    dtype: torch.dtype = getattr(torch, dtype_name)
    if settings.name == builtin.NAME:
        return _load_builtin(device, dtype)
    try:
        return _load_pretrained(settings, device, dtype)
    except (OSError, ValueError, KeyError, RuntimeError) as exc:
        raise ModelLoadError(settings.name, str(exc)) from exc


def assemble(
    name: str,
    module: Qwen3VLForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    patches: PatchSettings,
    *,
    is_trained: bool,
) -> VisionLanguageModel:
    """Put a loaded module and its parts together."""
    config = text_config(module.config)
    stop_ids = {tokenizer.eos_token_id, module.generation_config.eos_token_id}
    flat = {i for s in stop_ids for i in (s if isinstance(s, list) else [s])}
    prompt = Prompt.of(tokenizer, frozenset(flat - {None}))
    heads = default_heads(config.num_hidden_layers, config.num_attention_heads)
    kv_heads = config.num_key_value_heads or config.num_attention_heads
    groups = config.num_attention_heads // kv_heads
    module.eval().requires_grad_(requires_grad=False)
    return VisionLanguageModel(
        name,
        fingerprint(module, patches, tokenizer.encode(prompt.before)),
        module,
        tokenizer,
        patches,
        prompt,
        IndexHeads.of(heads, groups),
        is_trained,
    )


def default_heads(num_layers: int, num_heads: int) -> list[tuple[int, int]]:
    """Give the heads that score chunks of a model that was not calibrated.

    All heads of one layer 60 % deep: where the retrieval heads of a measured language
    model lie. Calibration replaces this guess.
    """
    layer = round(0.6 * (num_layers - 1))
    return [(layer, head) for head in range(num_heads)]


def fingerprint(
    module: Qwen3VLForConditionalGeneration, patches: PatchSettings, sink: list[int]
) -> str:
    """Name everything that KV depends on, 16 hex digits.

    Args:
        module: Every weight tensor gives its name, shape, dtype and up to 64 numbers.
        patches: How frames are prepared.
        sink: Token ids of the system prompt, as the tokenizer makes them.
    """
    digest = hashlib.sha256()
    config = module.config.to_dict()
    config.pop("transformers_version", None)
    config.pop("_name_or_path", None)
    facts = [LAYOUT_VERSION, config, asdict(patches), sink]
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, weight in module.state_dict().items():
        flat = weight.flatten()
        sample = flat[:: max(1, len(flat) // 64)].float().cpu()
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()[:16]


def _load_builtin(device: str, dtype: torch.dtype) -> VisionLanguageModel:
    module, tokenizer = builtin.load(dtype)
    nn.Module.to(module, device)  # in place, unlike a tensor's
    model = assemble(builtin.NAME, module, tokenizer, builtin.PATCHES, is_trained=True)
    return _with_calibrated_heads(model)


def _load_pretrained(
    settings: ModelSettings, device: str, dtype: torch.dtype
) -> VisionLanguageModel:
    config = AutoConfig.from_pretrained(settings.name, revision=settings.revision)
    if config.model_type not in SUPPORTED:
        supported = ", ".join(SUPPORTED.values())
        raise ModelLoadError(
            settings.name,
            f"{config.model_type} is not supported; supported: {supported}",
        )
    rope_type = config.text_config.rope_parameters.get("rope_type", "default")
    if rope_type in {"dynamic", "longrope"}:
        raise ModelLoadError(
            settings.name,
            f"RoPE of type {rope_type} changes with length: not supported",
        )
    tokenizer = AutoTokenizer.from_pretrained(settings.name, revision=settings.revision)
    module = Qwen3VLForConditionalGeneration.from_pretrained(
        settings.name, revision=settings.revision or "main", dtype=dtype
    )
    patches = _patch_settings(settings)
    nn.Module.to(module, device)  # in place, unlike a tensor's
    model = assemble(settings.name, module, tokenizer, patches, is_trained=True)
    return _with_calibrated_heads(model)


def _with_calibrated_heads(model: VisionLanguageModel) -> VisionLanguageModel:
    """Give a model with its calibrated heads, or as it is if it was never calibrated.

    Raises:
        ModelLoadError: The file names heads that the model does not have.
    """
    weights = weights_digest(model.module)
    found = find_heads(model.name, heads_places(model), weights)
    if found is None:
        return model
    config = text_config(model.module.config)
    shape = (config.num_hidden_layers, config.num_attention_heads)
    if any(pair[0] >= shape[0] or pair[1] >= shape[1] for pair in found.heads):
        raise ModelLoadError(model.name, f"it has {shape} heads, not {found.heads}")
    return model.with_heads(found.heads)


def heads_places(model: VisionLanguageModel) -> list[Path]:
    """Give where the calibrated heads of a model may lie, the best place first."""
    is_builtin = model.name == builtin.NAME
    folder = builtin.FOLDER if is_builtin else Path(model.name)
    return places_for(folder, weights_digest(model.module))


def _patch_settings(settings: ModelSettings) -> PatchSettings:
    facts = _processor_facts(settings)
    unit = facts["patch_size"] * facts["merge_size"]
    return PatchSettings(
        patch=facts["patch_size"],
        temporal_patch=facts["temporal_patch_size"],
        merge=facts["merge_size"],
        mean=tuple(facts["image_mean"]),
        std=tuple(facts["image_std"]),
        min_pixels=4 * unit**2,
        max_pixels=settings.max_pixels or DEFAULT_FRAME_TOKENS * unit**2,
    )


def _processor_facts(settings: ModelSettings) -> dict[str, Any]:
    """Read the preprocessing of a model without building its torchvision processor."""
    for name in _PROCESSOR_FILES:
        path = cached_file(
            settings.name,
            name,
            revision=settings.revision,
            _raise_exceptions_for_missing_entries=False,
        )
        if path is not None:
            facts: dict[str, Any] = json.loads(Path(path).read_text())
            return facts
    raise ModelLoadError(settings.name, f"it has none of {', '.join(_PROCESSOR_FILES)}")
