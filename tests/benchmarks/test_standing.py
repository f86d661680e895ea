"""How alerts are judged, and that every rule runs on one short stream."""

import asyncio
from typing import Any

import pytest
import torch

from agent.vlm.loading import ModelSettings, load_model
from agent.worker import ModelThread
from benchmarks.contexts import Setup
from benchmarks.opening import open_store
from benchmarks.standing import USUAL
from benchmarks.standing_rules import Bench, questions_on
from benchmarks.standing_table import margins_sentence, standing_table
from benchmarks.standing_truth import Score, Scores, score
from ingest.simulation.questions import Question, QuestionType
from ingest.simulation.world import World

VISIT = Question("Was #47 seen?", "yes", QuestionType.SEEN, (10.0, 19.0), (10.0, 19.0))
NEVER = Question("Was #48 seen?", "no", QuestionType.SEEN, None, (0.0, 96.0))


@pytest.mark.parametrize(
    ("times_s", "wanted"),
    [
        ([], Score(1, (), 0, 0)),
        ([12.0], Score(1, (2.0,), 0, 0)),
        ([8.0, 12.0], Score(1, (2.0,), 1, 0)),
        ([12.0, 16.0, 20.0], Score(1, (2.0,), 0, 2)),
        ([27.0], Score(1, (17.0,), 0, 0)),
        ([28.0], Score(1, (), 1, 0)),
    ],
)
def test_an_alert_is_right_once_while_it_happens(
    times_s: list[float], wanted: Score
) -> None:
    found = score(VISIT, times_s, 4.0)
    assert found.events == wanted.events
    assert found.delays_s == wanted.delays_s
    assert (found.false, found.repeats) == (wanted.false, wanted.repeats)


def test_every_alert_about_nothing_is_false() -> None:
    assert score(NEVER, [4.0, 8.0], 4.0).false == 2


def test_a_row_has_precision_recall_and_delay() -> None:
    scores = Scores(model_s=0.4, verdicts=20, checked=8, chunks=10)
    times = ([12.0], [16.0, 20.0], [])
    scores.all = [score(VISIT, each, 4.0) for each in times]
    scores.all.append(score(NEVER, [4.0], 4.0))
    row = scores.summary(4.0)
    assert (row["events"], row["alerts"], row["right"]) == (3, 4, 2)
    assert (row["precision"], row["recall"]) == (0.5, 0.6667)
    assert row["delay_s"] == {"median": 4.0, "p90": 5.6}
    assert (row["checked_share"], row["model_share"]) == (0.8, 0.01)
    assert row["model_ms_per_chunk"] == 40.0


def test_half_of_the_questions_are_about_what_happens() -> None:
    window = (1_790_000_000.0, 1_790_000_192.0)
    asked = questions_on(World(7), window, 4)
    assert [question.answer for question in asked] == ["yes"] * 4 + ["no"] * 4
    assert len({question.text for question in asked}) == 8


async def test_every_rule_runs_on_a_short_stream() -> None:
    torch.set_num_threads(1)
    model = await asyncio.to_thread(load_model, ModelSettings(name="builtin"))
    async with open_store(model, Setup()) as store, ModelThread() as thread:
        bench = Bench(model, store, thread)
        scene = await bench.remember(200_000, 12, 1)
        stood = await bench.stand(scene, 1.0, *USUAL)
        first = bench.first_pass(scene, stood, 1.0)
        every, calm = await bench.plain(scene, is_alone=False)
    rows = {
        "standing": stood.scores,
        "tight": stood.scores,
        "first": first,
        "plain_alone": every,
        "plain_alone_cooled": calm,
        "plain_before": every,
        "plain_before_cooled": calm,
    }
    assert stood.scores.checked == first.checked == 12
    assert [len(odds) for odds in stood.odds] == [12] * len(scene.questions)
    assert stood.scores.model_s > 0
    assert len(calm.all) == len(every.all) == len(scene.questions)
    result: dict[str, Any] = {
        "command": "python -m benchmarks.standing",
        "model": "builtin",
        "machine": "one core",
        "versions": {"torch": "2"},
        "commit": "abc",
        "split": "validation",
        "seeds": [0],
        "chunks": 12,
        "chunk_s": 4.0,
        "cooldown_s": 60.0,
        "shares": {"standing": 0.1, "tight": 0.004},
        "rows": [{"rule": n, "margin": 1.0, **s.summary(4.0)} for n, s in rows.items()],
    }
    table = standing_table(result)
    assert "| the same, at most 0.4% of the model's time |" in table
    assert len(table.splitlines()) == 4 + len(rows)
    told = result["rows"][0]
    told["delay_s"] = {"median": 4.44, "p90": 6.0}
    wanted = f"1: {told['right']} right of {told['alerts']} alerts"
    assert wanted in margins_sentence(result)
    assert margins_sentence(result).endswith("median delay 4.4 s.")
