import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_model import make_model

from agent.errors import ModelLoadError
from agent.vlm import builtin
from agent.vlm.calibrated_heads import (
    FILE,
    CalibratedHeads,
    find_heads,
    places_for,
    save_heads,
    weights_digest,
)
from agent.vlm.loading import ModelSettings, load_model

CPU = ModelSettings(device="cpu", dtype="float32")
HEADS = CalibratedHeads("ab12", ((3, 1), (2, 0)), "text", 4, 64, 16, 48, 0.9, 1.0)


def test_heads_come_back_as_they_were_written(tmp_path: Path) -> None:
    assert CalibratedHeads.parse(HEADS.as_json()) == HEADS
    place = save_heads(HEADS, [tmp_path / "new" / FILE])
    assert find_heads("m", [place], "ab12") == HEADS
    assert [path.name for path in place.parent.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        HEADS.as_json().replace('"format": 1', '"format": 2'),
        HEADS.as_json().replace("[[3, 1], [2, 0]]", "[]"),
        HEADS.as_json().replace("[[3, 1], [2, 0]]", "[3]"),
        HEADS.as_json().replace('"chunks"', '"junks"'),
    ],
)
def test_a_damaged_file_is_left_aside_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / FILE).write_text(text)
    assert find_heads("m", [tmp_path / FILE], "ab12") is None
    assert f"{tmp_path / FILE} is left aside" in caplog.text


def test_heads_of_other_weights_are_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = save_heads(HEADS, [tmp_path / FILE])
    assert find_heads("m", [place], "cd34") is None
    assert "is of other weights" in caplog.text
    assert "longwatch calibrate --model m" in caplog.text


def test_a_folder_that_is_read_only_gives_way_to_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    places = places_for(tmp_path, "ab12")
    assert places[0] == tmp_path / FILE
    places[0].mkdir()  # not even root can replace a folder by a file
    saved = save_heads(HEADS, places)
    assert saved == tmp_path / "home" / "longwatch" / "heads" / "ab12.json"
    assert find_heads("m", places, "ab12") == HEADS
    assert places_for(tmp_path / "none", "ab12") == [saved]


def test_a_digest_is_of_the_weights_whatever_dtype_they_are_loaded_in() -> None:
    shipped = load_model(CPU)
    half = load_model(replace(CPU, dtype="bfloat16"))
    assert weights_digest(shipped.module) == weights_digest(half.module)
    assert shipped.fingerprint != half.fingerprint
    other = make_model()
    before = weights_digest(other.module)
    torch.nn.init.ones_(other.module.lm_head.weight)
    assert weights_digest(other.module) != before


def test_the_heads_that_ship_are_of_the_weights_that_ship(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = load_model(CPU)
    shipped = CalibratedHeads.parse((builtin.FOLDER / FILE).read_text())
    assert shipped.weights == weights_digest(model.module)
    assert model.heads.query_heads.tolist() == sorted(map(list, shipped.heads))
    assert not caplog.records


def test_a_model_that_was_never_calibrated_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    folder = save_builtin(tmp_path / "model")
    model = load_model(replace(CPU, name=str(folder), max_pixels=64 * 64))
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "was never calibrated" in record.getMessage()
    assert model.heads.query_heads[:, 0].unique().tolist() == [2]

    heads = replace(HEADS, weights=weights_digest(model.module))
    save_heads(heads, [folder / FILE])
    again = load_model(replace(CPU, name=str(folder), max_pixels=64 * 64))
    assert again.heads.query_heads.tolist() == [[2, 0], [3, 1]]
    assert again.fingerprint == model.fingerprint

    save_heads(replace(heads, heads=((4, 0),)), [folder / FILE])
    with pytest.raises(ModelLoadError, match="heads"):
        load_model(replace(CPU, name=str(folder)))


def save_builtin(folder: Path) -> Path:
    """The built-in model's folder without its heads."""
    folder.mkdir()
    for file in builtin.FOLDER.iterdir():
        if file.name != FILE:
            (folder / file.name).write_bytes(file.read_bytes())
    assert json.loads((folder / "config.json").read_text())
    return folder
