"""Weights of a language model in fewer bytes, by transformers' own quantisation.

Weights only: they are spread out to the model's dtype where they are used, so that
activations, keys and values keep it, and a chunk's KV is the same whatever runs beside
it. The vision tower and `lm_head` are left as they are.
"""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, TorchAoConfig

FULL = "full"
# What each way needs; all of it comes with the extra `quantised`.
NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"int8": ("torchao",), "nf4": ("bitsandbytes", "accelerate")}
)
# Modules that stay as they are, for transformers: all outside of the language model.
_OTHERS = [r"(?!model\.(?:language_model|text_model)\.).*"]


def quantisation(weights: str, dtype: torch.dtype) -> Any:
    """Give what transformers quantises by while it loads, or None for `full`.

    Args:
        weights: `full`; `int8`: 8 bits and a scale per row; `nf4`: the 4-bit values of
            QLoRA (arXiv:2305.14314) and a scale per 64 of them.
        dtype: What the model computes in.

    Raises:
        ImportError: A package that this needs is not installed.
    """
    if weights == FULL:
        return None
    missing = [package for package in NEEDED[weights] if find_spec(package) is None]
    if missing:
        raise ImportError(
            f"weights: {weights} needs {' and '.join(missing)}:"
            " pip install '.[quantised]'"
        )
    if weights == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=_OTHERS,  # of 4 bits too, whatever its name says
        )
    from torchao.quantization import Int8WeightOnlyConfig

    # Else it turns on TF32 for every float32 product of the process.
    by = Int8WeightOnlyConfig(set_inductor_config=False)
    return TorchAoConfig(by, modules_to_not_convert=_OTHERS)


def keep_as_loaded(module: Any) -> None:
    """Keep nf4 weights from being packed anew at their first use on some CPUs.

    On those with AVX512-BF16 bitsandbytes would then round their scales to bfloat16 and
    compute in it, so that weights had two digests and a fingerprint two kinds of KV.
    """
    for part in module.modules():
        if hasattr(part, "support_avx512bf16_for_cpu"):
            part.support_avx512bf16_for_cpu = False


def stored_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Give the plain tensors that a model's weights are held in, by name.

    A weight of torchao's is several of them behind one face, which shows neither their
    bytes nor, to slicing, their numbers.
    """
    for name, weight in module.state_dict().items():
        if hasattr(weight, "__tensor_flatten__"):
            for part in weight.__tensor_flatten__()[0]:
                yield f"{name}.{part}", getattr(weight, part)
        else:
            yield name, weight
