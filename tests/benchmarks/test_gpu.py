"""The benchmark of GPUs, whole on a CPU, and the operations that it counts."""

import json
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from agent.vlm.families import FAMILIES
from benchmarks import gpu
from benchmarks.flops import chunk_flops
from benchmarks.gpu_bench import Bench
from benchmarks.meter import Meter
from benchmarks.true_shapes import TINY, TRUE, Shape, build_module


def run(monkeypatch: pytest.MonkeyPatch, path: Path) -> dict[str, Any]:
    words = ["gpu", "--shape", "tiny", "--device", "cpu", "--json", str(path)]
    monkeypatch.setattr("sys.argv", words)
    gpu.main()
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def test_every_row_of_every_model_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = run(monkeypatch, tmp_path / "gpu.json")
    assert {"command", "commit", "versions", "device", "seed"} <= set(result)
    for found, shape in zip(result["models"], TINY, strict=True):
        assert found["model"] == shape.name
        assert found["weights_bytes"] == 2 * found["parameters"]
        rows = found["prefill"]
        assert [(row["cameras"], row["batch"]) for row in rows] == [(1, 1), (3, 2)]
        assert all(row["frames_per_s"] > 0 < row["share_of_matmul"] for row in rows)
        bounded, unbounded = found["first_token"][2:]
        assert unbounded["read_low"] == bounded["read_low"] == gpu.NUM_FINE
        assert unbounded["read_high"] == unbounded["chunks"] - gpu.NUM_FINE == 220
        assert bounded["read_high"] < 220, "the bound must bite"
        assert unbounded["total_ms"] >= unbounded["first_token_ms"] > 0


def test_a_row_that_runs_out_of_memory_says_so_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compose = gpu.compose

    def compose_little(runs: list[Any], *rest: Any, **named: Any) -> Any:
        if len(runs) > 200:
            raise torch.OutOfMemoryError
        return compose(runs, *rest, **named)

    monkeypatch.setattr(gpu, "compose", compose_little)
    result = run(monkeypatch, tmp_path / "gpu.json")
    for found in result["models"]:
        failed = [row for row in found["first_token"] if "error" in row]
        assert failed == [{"hours": 0.5, "bound": None, "error": "out of memory"}]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "no CUDA device" in capsys.readouterr().err


@pytest.mark.parametrize("shape", TINY, ids=lambda shape: shape.model_type)
def test_operations_are_those_that_torch_counts(shape: Shape) -> None:
    bench = Bench.of(shape, "cpu")
    model, [chunk] = bench.model, bench.film(1)
    model.module.set_attn_implementation("eager")  # counted as the products it is
    with FlopCounterMode(display=False) as counter:
        whole = model.prefill(chunk, [bench.sink])
    context, tokens = bench.sink.num_tokens, whole.kv.num_tokens
    parts = chunk_flops(model, whole, context)
    seen = context * tokens + tokens * (tokens + 1) // 2
    hidden = (
        tokens * (context + tokens) - seen
    )  # pairs that eager masks behind its back
    parts["language_attention"] += parts["language_attention"] // seen * hidden
    rotary = counter.get_total_flops() - sum(parts.values())
    assert 0 <= rotary < 0.001 * counter.get_total_flops()


def test_true_shapes_have_the_parameters_and_tokens_of_the_checkpoints() -> None:
    parameters, tokens = [], []
    for shape in TRUE:
        module = build_module(shape, "meta")
        parameters.append(sum(weight.numel() for weight in module.parameters()))
        family = FAMILIES[shape.model_type]
        by = family.settings(shape.facts, module.config, None)
        frames = (8, shape.side, shape.side)
        tokens.append(prod(family.visual_grid(frames, module.config, by)))
        assert module.dtype == torch.bfloat16
    assert parameters == [8_292_166_656, 2_127_532_032, 8_767_123_696]
    assert tokens == [4 * 16 * 16, 4 * 14 * 14, 4 * 14 * 14]


@pytest.mark.gpu
def test_a_peak_is_what_a_step_held_above_what_was_there() -> None:
    device = torch.device("cuda", 0)
    there = torch.ones(1 << 20, device=device)
    meter = Meter(device)
    meter.begin_turn()
    with meter.step("step"):
        torch.ones(8 << 20, device=device)  # 32 MiB, gone at once
    del there
    assert meter.peaks["step"] == 32 << 20
