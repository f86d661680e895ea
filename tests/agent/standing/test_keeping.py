"""What is kept is there again after a restart, or its loss is told."""

import asyncio
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent.messages import Evidence
from agent.standing.alert import Alert
from agent.standing.definition import StandingQuestion
from agent.standing.happening import Happening, Phase
from agent.standing.keeping import Kept, StandingFile
from agent.standing.merging import merge

CAR = StandingQuestion("gate", "car", "Was #47 seen?")
DOG = StandingQuestion("yard", "dog", "Was #12 seen?", 3.0, 5.0, False)
GOING = Happening(Phase.GOING, 1, 12.5, 8.0)
FOUND = Evidence("gate", "0000000004000-0000000008000", 4.0, 8.0, 5.25, "low")
ALERT = Alert("car", "gate", CAR.question, 8.0, 4.125, (FOUND,))
KEPT = Kept((CAR, DOG), {CAR.key: GOING, DOG.key: Happening()}, (ALERT,))


async def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    file = StandingFile(tmp_path / "standing.json")
    assert await file.read() == Kept()
    await file.write(KEPT)
    assert await file.read() == KEPT
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["standing.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "5",
        '{"version": 2}',
        '{"version": 1, "questions": [{}], "alerts": []}',
        '{"version": 1, "questions": 4, "alerts": []}',
        '{"version": 1, "questions": [], "alerts": [{"evidence": []}]}',
        "\xff",
    ],
)
async def test_a_broken_file_is_set_aside_and_told(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "standing.json"
    path.write_text(text, encoding="latin-1")
    with caplog.at_level(logging.WARNING):
        assert await StandingFile(path).read() == Kept()
    assert "standing questions begin anew: standing.json can't be read" in caplog.text
    assert not path.exists()
    broken = tmp_path / "standing.json.broken"
    assert broken.read_text(encoding="latin-1") == text


async def test_a_state_of_no_known_phase_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "standing.json"
    file = StandingFile(path)
    await file.write(KEPT)
    body = json.loads(path.read_text())
    body["questions"][0]["happening"]["phase"] = "dancing"
    path.write_text(json.dumps(body))
    assert await file.read() == Kept()


async def test_a_disk_that_refuses_is_told_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = StandingFile(tmp_path / "nowhere" / "standing.json")
    with caplog.at_level(logging.WARNING):
        await file.write(KEPT)
    assert "not kept: FileNotFoundError" in caplog.text


async def test_the_last_of_several_writers_wins(tmp_path: Path) -> None:
    file = StandingFile(tmp_path / "standing.json")
    kept = [Kept((replace(CAR, question=f"Was #{n} seen?"),)) for n in range(10, 30)]
    await asyncio.gather(*(file.write(each) for each in kept))
    assert (await file.read()).questions == kept[-1].questions


def test_the_config_wins_and_what_it_has_no_more_is_gone() -> None:
    gone = StandingQuestion("gate", "gone", "Was #13 seen?", source="config")
    kept = Kept((CAR, gone), {CAR.key: GOING, gone.key: GOING})
    louder = replace(CAR, margin=5.0)
    merged = merge(kept, [louder])
    assert merged.questions == (replace(louder, source="config"),)
    assert merged.happenings == {CAR.key: GOING}, "the same is asked: it goes on"


def test_what_is_asked_anew_begins_anew() -> None:
    kept = Kept((CAR,), {CAR.key: GOING})
    assert merge(kept, [replace(CAR, question="Was #48 seen?")]).happenings == {}
    assert merge(kept, [replace(CAR, enabled=False)]).happenings == {}
    assert merge(kept, []) == kept
