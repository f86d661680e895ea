"""The command that tells how often a model is right refuses what it cannot ask."""

import pytest
import typer
from typer.testing import CliRunner

from training.evaluate import main, worlds_named


@pytest.mark.parametrize(
    ("seeds", "worlds"),
    [("300000-300002", [300_000, 300_001, 300_002]), ("7", [7]), ("7-7", [7])],
)
def test_worlds_are_named_by_their_first_and_last(
    seeds: str, worlds: list[int]
) -> None:
    assert list(worlds_named(seeds)) == worlds


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seeds", "-5"], "from 0 up"),
        (["--seeds", "5-"], "from 0 up"),
        (["--seeds", "all"], "from 0 up"),
        (["--seeds", "9-5"], "9 is after 5"),
        (["--chunks", "0"], "--chunks"),
        (["--each", "0"], "--each"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: list[str], told: str) -> None:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(main)
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 2
    assert told in result.output
