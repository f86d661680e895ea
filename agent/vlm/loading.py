"""Load a model by name: the built-in one, a local folder, or a hub repository."""

import hashlib
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from agent.errors import ModelLoadError
from agent.vlm import builtin
from agent.vlm.calibrated_heads import find_heads, places_for, weights_digest
from agent.vlm.families import family_of
from agent.vlm.model import VisionLanguageModel
from agent.vlm.preprocessing import PatchSettings
from agent.vlm.prompt import Prompt
from agent.vlm.quantised import FULL, keep_as_loaded, quantisation, stored_tensors
from agent.vlm.repository import Repository
from agent.vlm.squares import SquareSettings
from agent.vlm.text_shape import text_config
from memory.relevance import IndexHeads

LAYOUT_VERSION = 1  # raise when prompt, chunk layout or preprocessing change
_DEVICE = re.compile(r"cpu|cuda(?::(\d+))?")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model, and how it is loaded.

    Attributes:
        name: `builtin`, a local folder, or a hub repository.
        revision: Of the hub repository.
        device: `auto`, `cpu` or `cuda`.
        dtype: `auto` (bfloat16 on a GPU, float32 on a CPU), `float32` or `bfloat16`.
        max_pixels: Most pixels of a frame as the model sees it; None for the default.
            Families that see squares of a fixed size take no notice.
        attention: Implementation of attention; None for the library's choice.
        cache_folder: Where downloads are kept; None for the hub library's own.
        offline: Whether to read only what is on this machine.
        weights: Of the language model: `full`, or `int8` or `nf4` in fewer bytes.
    """

    name: str = builtin.NAME
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    max_pixels: int | None = None
    attention: str | None = None
    cache_folder: Path | None = None
    offline: bool = False
    weights: str = FULL

    @property
    def repository(self) -> Repository:
        """Where the model's files are."""
        name = str(builtin.FOLDER) if self.name == builtin.NAME else self.name
        return Repository(name, self.revision, self.cache_folder, self.offline)


def load_model(settings: ModelSettings) -> VisionLanguageModel:
    """Load a model and its tokenizer.

    Raises:
        ModelLoadError: Not found, not readable, or of a family not supported.
    """
    if not sys.stderr.isatty():
        disable_progress_bar()  # of transformers: no place for it in a log
    device, dtype = place_of(settings)
    if settings.name == builtin.NAME:
        if settings.weights != FULL:
            raise ModelLoadError(settings.name, "its few weights are held in full only")
        return _load_builtin(device, dtype)
    try:
        return _load_pretrained(settings, device, dtype)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as exc:
        raise ModelLoadError(settings.name, str(exc)) from exc


def place_of(settings: ModelSettings) -> tuple[str, torch.dtype]:
    """Give the device and the dtype that a model is loaded to on this machine.

    Raises:
        ModelLoadError: The device is not there.
    """
    num_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = settings.device
    if device == "auto":
        device = "cuda" if num_cuda else "cpu"
    found = _DEVICE.fullmatch(device)
    if found is None:
        raise ModelLoadError(settings.name, f"no device {device!a}: auto, cpu or cuda")
    if device != "cpu" and int(found[1] or 0) >= num_cuda:
        reason = f"device {device} is not there; CUDA devices here: {num_cuda}"
        raise ModelLoadError(settings.name, reason)
    dtype = settings.dtype
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    return device, getattr(torch, dtype)


def assemble(
    name: str,
    module: Any,
    tokenizer: PreTrainedTokenizerBase,
    patches: PatchSettings | SquareSettings,
    *,
    is_trained: bool,
) -> VisionLanguageModel:
    """Put a loaded module and its parts together."""
    config = text_config(module.config)
    stop_ids = {tokenizer.eos_token_id, module.generation_config.eos_token_id}
    flat = {i for s in stop_ids for i in (s if isinstance(s, list) else [s])}
    turn = family_of(module.config).video_turn
    prompt = Prompt.of(tokenizer, frozenset(flat - {None}), turn)
    heads = default_heads(config.num_hidden_layers, config.num_attention_heads)
    module.eval().requires_grad_(requires_grad=False)
    return VisionLanguageModel(
        name,
        fingerprint(module, patches, tokenizer.encode(prompt.before)),
        module,
        tokenizer,
        patches,
        prompt,
        IndexHeads.of(heads, config.groups),
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
    module: Any, patches: PatchSettings | SquareSettings, sink: list[int]
) -> str:
    """Name everything that KV depends on, 16 hex digits.

    Args:
        module: Every tensor of its weights gives its name, shape, dtype and up to 64
            numbers.
        patches: How frames are prepared.
        sink: Token ids of the system prompt, as the tokenizer makes them.
    """
    digest = hashlib.sha256()
    config = module.config.to_dict()
    config.pop("transformers_version", None)
    config.pop("_name_or_path", None)
    facts = [LAYOUT_VERSION, config, asdict(patches), sink]
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, weight in stored_tensors(module):
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
    repository = settings.repository
    config = repository.config()
    family = family_of(config)
    facts = repository.processor_facts()
    patches = family.settings(facts, config, settings.max_pixels)
    tokenizer = repository.tokenizer()
    by = quantisation(settings.weights, dtype)
    module = repository.module(config, device, dtype, settings.attention, by)
    keep_as_loaded(module)
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
    """Give where the calibrated heads of a model may lie, the best place first.

    Those of quantised weights are kept by their digest only: the folder is the place
    of the full ones.
    """
    is_builtin = model.name == builtin.NAME
    folder = builtin.FOLDER if is_builtin else Path(model.name)
    if getattr(model.module, "hf_quantizer", None) is not None:
        return places_for(None, weights_digest(model.module))
    return places_for(folder, weights_digest(model.module))
