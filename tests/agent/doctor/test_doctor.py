"""Every family passes its checks, and a planted fault fails the one that is for it."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tiny_families import FACTS, make_family_model, save
from typer.testing import CliRunner

from agent.__main__ import app
from agent.calibration import command as calibration
from agent.calibration.run import Plan
from agent.config_sections import MemoryConfig
from agent.doctor import conformance
from agent.doctor.checks import check_frames, check_tokens
from agent.doctor.command import PLAN, examination_of
from agent.doctor.conformance import check_conformance, in_float32
from agent.doctor.examine import Examination, examine
from agent.doctor.finding import Finding, Verdict
from agent.doctor.footage import Footage, film
from agent.doctor.report import has_passed, report_json, show_report
from agent.errors import ModelLoadError
from agent.model_list import watching_of
from agent.vlm.families import FAMILIES
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from memory.kv import KV
from memory.rehydration import MixedCache

WATCHING = watching_of(None, MemoryConfig())
NOBODY = Console(file=io.StringIO())


@pytest.fixture(scope="module")
def footage() -> Footage:
    return film()


@pytest.fixture(scope="module", params=list(FAMILIES))
def model(request: pytest.FixtureRequest) -> VisionLanguageModel:
    model = make_family_model(request.param)
    # A tiny vocabulary lacks the token that the class of Qwen2.5-VL stops at.
    model.module.generation_config.eos_token_id = model.tokenizer.eos_token_id
    return model


def settings(folder: Path) -> ModelSettings:
    return ModelSettings(str(folder), device="cpu")


def test_a_family_in_a_folder_passes_every_check(
    model: VisionLanguageModel, tmp_path: Path
) -> None:
    save(model, tmp_path)
    what = Examination(settings(tmp_path), WATCHING, None)
    findings = {finding.name: finding for finding in examine(what, NOBODY)}
    for name in ("model", "frames", "special tokens", conformance.NAME):
        assert findings[name].verdict is Verdict.PASSED, findings[name].figure
    assert findings[conformance.NAME].data["same_tokens"] == conformance.STEPS
    assert findings["speed"].data["prefill_fps"] > 0
    assert findings["cost"].data["num_layers"] == 3
    assert len(findings["answers"].data["asked"]) >= 2
    assert findings["calibration"].figure == "not asked for"


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    def plant(name: str, faulty: Any) -> None:
        monkeypatch.setattr(conformance, name, faulty)

    return plant


def test_positions_that_are_one_off_are_seen(
    model: VisionLanguageModel, footage: Footage, planted: Callable[[str, Any], None]
) -> None:
    right = conformance.compose

    def wrong(runs: list[KV], *given: Any, **named: Any) -> MixedCache:
        cache = right(runs, *given, **named)
        cache.next_position += 1
        return cache

    planted("compose", wrong)
    assert check_conformance(model, footage).verdict is Verdict.FAILED


def test_a_chunk_whose_values_are_scaled_is_seen(
    model: VisionLanguageModel, footage: Footage, planted: Callable[[str, Any], None]
) -> None:
    right = conformance.decode_low

    def wrong(*given: Any) -> KV:
        kv = right(*given)
        return replace(kv, values=kv.values * 1.05)

    planted("decode_low", wrong)
    assert check_conformance(model, footage).verdict is Verdict.FAILED


def test_nothing_is_told_where_a_missing_chunk_hardly_shows(
    footage: Footage, planted: Callable[[str, Any], None]
) -> None:
    model = make_family_model("qwen3_vl")
    model.module.to(torch.bfloat16)
    found = check_conformance(model, footage)
    assert found.verdict is Verdict.NONE
    assert found.figure.startswith("can't tell")
    assert "--dtype float32" in found.figure
    wide = conformance.compare_in_float32(model, footage)
    assert wide is not None
    assert wide.verdict is Verdict.PASSED
    assert wide.difference < 1e-4
    assert model.module.dtype is torch.bfloat16

    def out_of_memory(*_given: Any) -> None:
        raise torch.OutOfMemoryError

    planted("compare", out_of_memory)
    assert conformance.compare_in_float32(model, footage) is None
    assert model.module.dtype is torch.bfloat16


def test_float32_meanwhile_changes_no_weight() -> None:
    module = make_family_model("qwen2_5_vl").module.to(torch.bfloat16)
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    rotary = module.get_decoder().rotary_emb.inv_freq.dtype
    with in_float32(module):
        pass
    assert module.get_decoder().rotary_emb.inv_freq.dtype is rotary
    for name, weight in module.state_dict().items():
        assert torch.equal(weight, before[name])


def saved_with(folder: Path, facts: dict[str, Any] | None) -> Finding:
    """Frames of a model that reads its own facts, beside a processor with these."""
    model = make_family_model("internvl")
    save(model, folder)
    (folder / "video_preprocessor_config.json").write_text(
        json.dumps(FACTS["internvl"])
    )
    beside = folder / "preprocessor_config.json"
    beside.unlink()
    if facts is not None:
        beside.write_text(json.dumps(facts))
    return check_frames(load_model(settings(folder)), settings(folder), film())


def test_another_mean_than_the_processors_is_seen(tmp_path: Path) -> None:
    assert saved_with(tmp_path, FACTS["internvl"]).verdict is Verdict.PASSED
    wrong = FACTS["internvl"] | {"image_mean": [0.5, 0.5, 0.5]}
    found = saved_with(tmp_path, wrong)
    assert found.verdict is Verdict.FAILED
    assert "differs by" in found.figure


def test_without_a_processor_frames_are_said_not_to_be_checked(tmp_path: Path) -> None:
    found = saved_with(tmp_path, None)
    assert found.verdict is Verdict.NONE
    assert found.figure.startswith("not checked: ")


def test_a_special_token_that_is_not_one_is_named() -> None:
    model = make_family_model("qwen3_vl")
    model.module.config.video_token_id = 5
    found = check_tokens(model)
    assert found.verdict is Verdict.FAILED
    assert "not as one special token" in found.figure


def test_a_marker_that_is_read_in_pieces_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_family_model("internvl")
    monkeypatch.setattr(type(model.family), "markers", ("<none>",))
    found = check_tokens(model)
    assert "<none> is read as" in found.figure


def test_an_answer_that_never_ends_is_named() -> None:
    model = make_family_model("smolvlm")
    endless = replace(model, prompt=replace(model.prompt, stop_ids=frozenset({999})))
    found = check_tokens(endless)
    assert "no answer ends: <end_of_utterance> is no stop token" in found.figure
    assert "no token 999 to stop at" in found.figure


def test_a_check_that_a_model_breaks_has_failed_and_the_next_is_run(
    tmp_path: Path, planted: Callable[[str, Any], None]
) -> None:
    save(make_family_model("smolvlm"), tmp_path)

    def fall_over(*_given: Any) -> None:
        raise RuntimeError("out of memory")

    planted("stock_logits", fall_over)
    what = Examination(settings(tmp_path), WATCHING, None)
    findings = {finding.name: finding for finding in examine(what, NOBODY)}
    assert findings[conformance.NAME].verdict is Verdict.FAILED
    assert "out of memory" in findings[conformance.NAME].figure
    assert findings["answers"].data["asked"]


def test_the_builtin_model_is_examined_whole_and_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = tmp_path / "heads.json"
    monkeypatch.setattr(calibration, "heads_places", lambda _model: [heads])
    what = examination_of(None, {"device": "cpu"}, calibrate=True)
    assert what.plan == PLAN
    few = replace(what, plan=Plan("camera", streams=2, chunks=16))
    findings = list(examine(few, NOBODY))
    report = json.loads(json.dumps(report_json(findings)))
    assert report["passed"] is has_passed(findings) is True
    body = {check["name"]: check for check in report["checks"]}
    assert body["calibration"]["data"]["file"] == str(heads)
    assert heads.is_file()
    assert any(each["is_right"] for each in body["answers"]["data"]["asked"])
    assert body["cost"]["data"]["low_gb_per_hour"] > 0
    page = Console(file=io.StringIO(), width=80)
    page.print(show_report(findings))
    assert "\N{CHECK MARK}" in page.file.getvalue()


def test_random_weights_that_find_nothing_fail_calibration(tmp_path: Path) -> None:
    save(make_family_model("qwen3_vl"), tmp_path)
    plan = Plan("camera", streams=2, chunks=8)
    *others, last = examine(Examination(settings(tmp_path), WATCHING, plan), NOBODY)
    assert last.verdict is Verdict.FAILED
    assert "no heads of" in last.figure
    assert has_passed(others)


def test_a_model_that_is_not_there_can_not_be_examined(tmp_path: Path) -> None:
    what = examination_of(None, {"name": str(tmp_path / "none")}, calibrate=False)
    with pytest.raises(ModelLoadError, match="no such folder"):
        list(examine(what, NOBODY))
    done = CliRunner().invoke(app, ["doctor", "--model", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert "longwatch: can't load model" in done.stderr
    assert "no such folder" in done.stderr
