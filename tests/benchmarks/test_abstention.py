"""How much is answered if few answers may be wrong: found here, judged there."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.abstention import Abstention, confidence_of
from agent.calibration.sureness import FILE, parse
from agent.decode_queue import Decoded, DecodeQueue, Job
from agent.progress import Progress
from agent.stopwatch import Stopwatch
from agent.vlm import builtin
from agent.vlm.loading import ModelSettings, load_model
from agent.worker import ModelThread
from benchmarks.abstention import make_parser, measure
from benchmarks.abstention_asking import (
    LOOKS,
    TOP_K,
    Said,
    StreamSaid,
    SureBench,
    looks_never_seen,
    type_of,
)
from benchmarks.abstention_judging import ASKED, confidence, judged_by
from benchmarks.abstention_signals import LEADING_TOKENS, SIGNALS, compare
from benchmarks.abstention_table import NAME, PAGE, RESULT, abstention_table
from benchmarks.bench import MAX_NEW_TOKENS
from benchmarks.contexts import Asked, Setup, choose_scored
from benchmarks.opening import open_store
from benchmarks.streams import questions_on, take_of
from ingest.simulation.questions import NOT_SEEN, QuestionType
from training.split import Split

SURE = Said("colour", True, (-0.01, -0.02, -5.0), (9.0, 7.0, 0.1), (0.5, 0.2, 0.0))


def streams(split: str, count: int, wrong: float) -> list[StreamSaid]:
    """Streams of ten answers each, of which the unsure are wrong."""
    unsure = replace(SURE, is_right=False, log_probs=(-1.0, -0.1))
    few = round(10 * wrong)
    said = (*[SURE] * (10 - few), *[unsure] * few)
    return [StreamSaid(split, n, said) for n in range(count)]


def test_nobody_looked_as_those_who_are_asked_about() -> None:
    for number in range(5):
        take = take_of(Split.VALIDATION.world(number), 32)
        asked = looks_never_seen(take, 3)
        assert len({question.text for question in asked}) == 3
        for visit in take.world.visits(*take.window):
            assert all(f"{visit.colour} {visit.kind}" not in q.text for q in asked)
        assert all(question.is_right(NOT_SEEN) for question in asked)
        assert not any(question.is_right("#47") for question in asked)


def test_every_question_has_a_type_that_is_counted_once() -> None:
    take = take_of(Split.VALIDATION.world(1), 32)
    types = {type_of(question) for question in questions_on(take, 1)}
    assert {"seen", "seen_not", "not_seen"} <= types <= {*ASKED, "order", "count"}
    assert len(set(ASKED)) == len(ASKED)
    assert {LOOKS, *QuestionType} <= {*ASKED, "order", "count"}


def test_confidence_is_what_the_product_says_of_the_same_question() -> None:
    model, take = load_model(ModelSettings(device="cpu")), take_of(200_003, 8)
    question = looks_never_seen(take, 1)[0]

    async def ask_both() -> tuple[Said, Decoded]:
        async with open_store(model, Setup()) as store, ModelThread() as thread:
            bench = SureBench(model, store, Setup(), frozenset({"bilevel"}))
            stream, _ = await bench._watch(take)
            said = await bench._say(stream, LOOKS, question)
            scores, _ = bench._score(stream, question)
            asked = Asked(question.text, scores, 0, ())
            readings = choose_scored(stream, asked, TOP_K)
            recalled = await store.recall(readings, stream.nodes)
            queue = DecodeQueue(thread, model, bench.sink, MAX_NEW_TOKENS)
            job = Job(question.text, recalled.runs, Stopwatch(), Progress())
            return said, await queue.submit(job)

    said, decoded = asyncio.run(ask_both())
    assert decoded.log_probs == pytest.approx(said.log_probs, abs=1e-4)
    theirs = confidence_of(decoded.log_probs, LEADING_TOKENS)
    assert theirs == pytest.approx(confidence(said), abs=1e-4)
    assert question.is_right(decoded.text) == said.is_right
    assert len(said.margins) == len(said.log_probs)


def test_signals_are_each_as_told() -> None:
    values = {name: signal(SURE) for name, signal in SIGNALS.items()}
    assert values["first token"] == pytest.approx(-0.01)
    assert values["first two tokens"] == pytest.approx(-0.03)
    assert values["whole answer"] == pytest.approx(-5.03)
    assert values["least sure token"] == -5.0
    assert values["margin at the least sure token"] == 0.1
    spread = replace(SURE, relevance=(0.4, 0.4, 0.4))
    name = "relevance, how little it is spread"
    assert SIGNALS[name](spread) < values[name] < 0


def test_a_signal_that_tells_right_from_wrong_answers_all_the_right_ones() -> None:
    rows = {row["signal"]: row for row in compare(streams("test", 20, 0.2), ASKED)}
    assert rows["first two tokens"]["coverage_at"]["0.02"] == 0.8
    assert rows["relevance of the best chunk"]["coverage_at"]["0.1"] == 0
    assert rows["relevance of the best chunk"]["area"] == 0.2


def test_the_threshold_is_of_validation_alone_and_judged_on_test() -> None:
    known = streams("validation", 40, 0.2)
    first = judged_by(
        "ab12",
        {
            "validation": known,
            "test": streams("test", 9, 0.3),
            "128": streams("128", 4, 0.5),
        },
    )
    other = judged_by("ab12", {"validation": known, "test": streams("test", 9, 0.9)})
    assert first["threshold"] == other["threshold"]
    found = Abstention(**first["threshold"])
    assert found.is_sure(found.confidence(SURE.log_probs))
    assert not found.is_sure(found.confidence((-1.0, -0.1)))
    assert found.coverage == 0.8
    assert first["test"]["coverage"] == 0.7
    assert first["test"]["wrong"] == 0
    assert first["test"]["right_of_all"] == 0.7
    assert [(r["chunks"], r["coverage"]) for r in first["longer"]] == [(128, 0.5)]
    rows = {row["type"]: row for row in first["rows"]}
    assert rows["all"] == rows["in memory"] | {"type": "all"}
    assert rows["looks"]["questions"] == 0


def test_too_few_answers_find_no_threshold() -> None:
    few = streams("validation", 5, 0.0)
    assert judged_by("ab12", {"validation": few, "test": few})["threshold"] is None


@pytest.mark.timeout(120)
def test_a_run_that_was_cut_off_goes_on_to_the_same_result(tmp_path: Path) -> None:
    target = tmp_path / "abstention.json"
    words = ["--chunks", "8", "--device", "cpu", "--json", str(target)]

    def run(validation: str, seeds: str) -> dict[str, Any]:
        more = ["--validation", validation, "--seeds", seeds, "--longer"]
        return measure(make_parser().parse_args([*words, *more]))

    whole = run("0-1", "0")
    assert json.loads(target.read_text()) == json.loads(json.dumps(whole))
    assert whole["curve"][-1]["coverage"] == 1.0
    part = tmp_path / "abstention.json.part"
    assert not part.exists()
    with pytest.MonkeyPatch.context() as patch:
        asked, ask = [], SureBench.ask

        async def cut_off(self: SureBench, split: str, *rest: Any) -> StreamSaid:
            if split == "test":
                raise KeyboardInterrupt
            return await ask(self, split, *rest)

        patch.setattr(SureBench, "ask", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run("0-1", "0")
        assert len(part.read_text().splitlines()) == 3

        async def noted(self: SureBench, split: str, *rest: Any) -> StreamSaid:
            asked.append(split)
            return await ask(self, split, *rest)

        patch.setattr(SureBench, "ask", noted)
        again = run("0-1", "0")
    assert asked == ["test"]
    same = ("signals", "curve", "threshold", "other_shares")
    assert [again[name] for name in same] == [whole[name] for name in same]


def test_the_page_and_what_ships_are_of_the_result() -> None:
    result = json.loads(RESULT.read_text())
    assert parse((builtin.FOLDER / FILE).read_text()) == Abstention(
        **result["threshold"]
    )
    _, _, rest = PAGE.read_text().partition(f"<!-- {NAME}:begin -->\n")
    table, end, _ = rest.partition(f"\n<!-- {NAME}:end -->")
    assert end
    assert table == abstention_table(result)
    assert result["test"]["wrong"] <= result["threshold"]["most_wrong"]
