"""No world is for two things."""

from itertools import combinations

import pytest
from typer.testing import CliRunner

from agent.__main__ import app
from agent.calibration import filmed
from agent.demo import worlds_of
from ingest.simulation.split import CALIBRATION, TAKEN, TEST, TRAIN, VALIDATION
from training.split import Split


def test_parts_share_no_world() -> None:
    parts = [CALIBRATION, TRAIN, VALIDATION, TEST]
    assert sum(len(part) for part in parts) == len(TAKEN)
    assert all(not set(a) & set(b) for a, b in combinations(parts, 2))
    assert all(set(part) <= set(TAKEN) for part in parts)


def test_no_demo_shows_a_world_of_a_part() -> None:
    for seed in range(-1000, 250_000, 7):
        shown = {world.seed for world in worlds_of(seed).values()}
        assert len(shown) == 2
        assert not any(world in TAKEN for world in shown)


def test_the_parts_are_those_that_models_were_made_with() -> None:
    """Worlds of the shipped model, and of what is told of it."""
    first = [Split[name].world(0) for name in ("TRAIN", "VALIDATION", "TEST")]
    assert first == [100_000, 200_000, 300_000]
    assert Split.TRAIN.world(99_999) == 199_999
    assert CALIBRATION[0] == 90_000


@pytest.mark.parametrize("number", [-1, 100_000])
def test_a_part_has_no_world_beyond_its_end(number: int) -> None:
    with pytest.raises(ValueError, match="worlds 0 to 99,999"):
        Split.TEST.world(number)


def test_calibration_ends_where_training_worlds_begin() -> None:
    last = len(CALIBRATION) - 1
    assert filmed.make_probes(last, 8)
    with pytest.raises(IndexError):
        filmed.make_probes(last + 1, 8)
    options = ["calibrate", "--streams", str(last + 2)]
    assert CliRunner().invoke(app, options).exit_code == 2
