"""Weights in fewer bytes, by the packages themselves: tiny models, on a CPU."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_families import make_family_model, make_pairs, save
from torch import Tensor

from agent.errors import ModelLoadError
from agent.vlm import quantised
from agent.vlm.calibrated_heads import CalibratedHeads, save_heads, weights_digest
from agent.vlm.families import FAMILIES
from agent.vlm.loading import ModelSettings, heads_places, load_model
from agent.vlm.model import VisionLanguageModel
from agent.vlm.quantised import NEEDED, stored_tensors
from memory.kv import ChunkKV
from memory.rehydration import compose

MISSING = [name for needed in NEEDED.values() for name in needed if not find_spec(name)]
needs_packages = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"
)
# Of the linear layers' bytes in float32: 8 bits and a scale per row of 64 or more;
# 4 bits, a scale per 64, and a table per layer that only tiny layers feel.
MOST_BYTES = {"int8": 0.3, "nf4": 0.25}
MOST_ERROR = {"int8": 0.05, "nf4": 0.4}
[CHUNK] = make_pairs((4,))


def load(folder: Path, weights: str, dtype: str = "float32") -> VisionLanguageModel:
    return load_model(
        ModelSettings(str(folder), device="cpu", dtype=dtype, weights=weights)
    )


def prefill(model: VisionLanguageModel) -> ChunkKV:
    return model.prefill(CHUNK, [model.prefill_sink()])


def relative_error(found: Tensor, true: Tensor) -> float:
    return float((found.float() - true.float()).norm() / true.float().norm())


def is_quantised(name: str) -> bool:
    """Whether a tensor is of a linear layer of the language model."""
    inside = name.startswith(("model.language_model.layers", "model.text_model.layers"))
    return inside and "_proj.weight" in name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    save(make_family_model("qwen3_vl"), tmp_path / "model")
    return tmp_path / "model"


@needs_packages
@pytest.mark.parametrize("weights", NEEDED)
@pytest.mark.parametrize("model_type", FAMILIES)
def test_linear_layers_of_the_language_model_take_fewer_bytes_and_nothing_else_changes(
    model_type: str, weights: str, tmp_path: Path
) -> None:
    save(make_family_model(model_type), tmp_path)
    full = dict(stored_tensors(load(tmp_path, "full").module))
    few = dict(stored_tensors(load(tmp_path, weights).module))
    theirs = sum(full[name].nbytes for name in full if is_quantised(name))
    ours = sum(few[name].nbytes for name in few if is_quantised(name))
    assert 0 < ours < MOST_BYTES[weights] * theirs
    others = {name for name in full if not is_quantised(name)}
    assert others == {name for name in few if not is_quantised(name)}
    assert all(torch.equal(few[name], full[name]) for name in others)


@needs_packages
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("weights", NEEDED)
@pytest.mark.parametrize("model_type", FAMILIES)
def test_kv_keeps_its_dtype_and_is_close_to_that_of_full_weights(
    model_type: str, weights: str, dtype: str, tmp_path: Path
) -> None:
    save(make_family_model(model_type), tmp_path)
    true, found = (load(tmp_path, by, dtype) for by in ("full", weights))
    theirs, ours = prefill(true), prefill(found)
    assert ours.kv.keys.dtype == found.module.dtype == getattr(torch, dtype)
    assert found.device == torch.device("cpu")
    for a, b in ((ours.kv.keys, theirs.kv.keys), (ours.kv.values, theirs.kv.values)):
        assert 1e-3 < relative_error(a, b) < MOST_ERROR[weights]
    torch.testing.assert_close(ours.features, theirs.features)


@needs_packages
@pytest.mark.parametrize("weights", NEEDED)
def test_questions_are_asked_and_answered(folder: Path, weights: str) -> None:
    true, found = load(folder, "full"), load(folder, weights)
    sink = found.prefill_sink()
    theirs, ours = (m.question_queries("what is it?", sink) for m in (true, found))
    assert 1e-3 < relative_error(ours, theirs) < MOST_ERROR[weights]
    ids = found.tokenize("what is it?")
    logits = [
        m.extend(compose([sink, prefill(m).kv], m.rotary, room=len(ids)), ids)
        for m in (true, found)
    ]
    assert 1e-3 < relative_error(logits[1], logits[0]) < MOST_ERROR[weights]


@needs_packages
@pytest.mark.parametrize("weights", NEEDED)
def test_a_chunk_has_the_kv_that_it_has_alone(folder: Path, weights: str) -> None:
    model = load(folder, weights)
    sink, chunks = model.prefill_sink(), make_pairs((4, 4))
    together = model.prefill_batch(chunks, [[sink]] * 2, [0.0] * 2)
    for chunk, found in zip(chunks, together, strict=True):
        alone = model.prefill(chunk, [sink])
        torch.testing.assert_close(found.kv.keys, alone.kv.keys, atol=1e-4, rtol=1e-4)


@needs_packages
def test_each_way_has_a_fingerprint_of_its_own(folder: Path) -> None:
    ways = ("full", *NEEDED)
    first, again = ([load(folder, by) for by in ways] for _ in range(2))
    names = [model.fingerprint for model in first]
    assert names == [model.fingerprint for model in again]
    assert len({*names}) == len({weights_digest(m.module) for m in first}) == len(ways)


@needs_packages
@pytest.mark.parametrize("weights", NEEDED)
def test_heads_are_kept_for_the_weights_they_were_measured_on(
    folder: Path, weights: str
) -> None:
    model = load(folder, weights)
    before = weights_digest(model.module)
    prefill(model)
    assert weights_digest(model.module) == before
    pairs = ((0, 3), (2, 1))
    heads = CalibratedHeads(before, pairs, "text", 4, 64, 16, 48, 0.9, 1.0)
    place = save_heads(heads, heads_places(model))
    assert place.parent.name == "heads"
    assert load(folder, weights).heads.query_heads.tolist() == [list(p) for p in pairs]
    assert load(folder, "full").heads.query_heads[:, 0].unique().tolist() == [1]


@pytest.mark.parametrize(("weights", "package"), [("int8", "torchao"), ("nf4", "bits")])
def test_a_missing_package_is_named_with_the_extra(
    folder: Path, monkeypatch: pytest.MonkeyPatch, weights: str, package: str
) -> None:
    def find_none(name: str) -> Any:
        return None

    monkeypatch.setattr(quantised, "find_spec", find_none)
    message = rf"{weights} needs {package}.*: pip install '\.\[quantised\]'"
    with pytest.raises(ModelLoadError, match=message):
        load(folder, weights)
    assert load(folder, "full").is_trained


def test_the_builtin_model_is_held_in_full_only() -> None:
    with pytest.raises(ModelLoadError, match=r"builtin: .* in full only"):
        load_model(ModelSettings(device="cpu", weights="int8"))
