"""Where a model's threshold is found, and that the shipped one is of these weights."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tiny_model import make_model

from agent.abstention import Abstention
from agent.calibration.sureness import FILE, abstention_of, parse, places_of, write
from agent.vlm import builtin
from agent.vlm.calibrated_heads import weights_digest
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel

RULE = Abstention("ab12", 2, 0.8, 0.05, 0.95, 1000, 0.7)
CPU = ModelSettings(device="cpu", dtype="float32")


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VisionLanguageModel:
    """A model that lies in a folder, and a home that is empty."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    (tmp_path / "model").mkdir()
    return replace(make_model(), name=str(tmp_path / "model"))


def rule_for(model: VisionLanguageModel) -> Abstention:
    return replace(RULE, weights=weights_digest(model.module))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_built_in_model_ships_with_its_own(dtype: str) -> None:
    found = abstention_of(load_model(replace(CPU, dtype=dtype)))
    assert found == parse((builtin.FOLDER / FILE).read_text())
    assert found.most_wrong == 0.05
    assert found.questions > 5000


def test_a_model_that_was_never_calibrated_has_none(
    local: VisionLanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    assert abstention_of(local) is None
    assert abstention_of(replace(local, name="somebody/a-hub-model")) is None
    assert not caplog.records, "nothing is wrong with that"


def test_it_lies_beside_the_weights_else_in_the_users_folder(
    local: VisionLanguageModel, tmp_path: Path
) -> None:
    rule = rule_for(local)
    beside, of_user = places_of(local)
    assert beside == tmp_path / "model" / FILE
    assert of_user.is_relative_to(tmp_path / "home")
    of_user.parent.mkdir(parents=True)
    of_user.write_text(write(rule))
    assert abstention_of(local) == rule
    assert abstention_of(replace(local, name="somebody/a-hub-model")) == rule
    beside.write_text(write(replace(rule, threshold=0.7)))
    assert abstention_of(local) == replace(rule, threshold=0.7)


def test_that_of_other_weights_is_not_believed(
    local: VisionLanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    places_of(local)[0].write_text(write(RULE))
    assert abstention_of(local) is None
    assert "is of other weights" in caplog.text


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"format": 1', '"format": 2'),
        ('"threshold": 0.8', '"threshold": 80'),
        ('"trust"', '"rust"'),
        ("{", "["),
    ],
)
def test_a_damaged_file_is_left_aside_and_named(
    local: VisionLanguageModel,
    caplog: pytest.LogCaptureFixture,
    right: str,
    wrong: str,
) -> None:
    place = places_of(local)[0]
    place.write_text(write(rule_for(local)).replace(right, wrong, 1))
    assert abstention_of(local) is None
    assert f"{place} is left aside" in caplog.text


def test_it_comes_back_as_it_was_written() -> None:
    assert asdict(parse(write(RULE))) == asdict(RULE)
