"""The month-long benchmark, an hour of it cut short."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from servers import find_binary

from agent.vlm.loading import ModelSettings, load_model
from benchmarks import long_run, long_shape, long_stream
from benchmarks.archive_ways import SHAPES
from benchmarks.long_memory import LEVELS
from benchmarks.long_shape import STEPS, ShapeStream
from benchmarks.long_stream import LongStream, id_of, make_stream
from memory.compression.bilevel import BiLevel
from memory.relevance import score_chunks

FIRST, POOL, COUNT = 40, 24, 120


@pytest.fixture(scope="module")
def stream() -> LongStream:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_stream, "HOUR_CHUNKS", FIRST)
        model = load_model(ModelSettings())
        return make_stream(model, BiLevel(*LEVELS, model.heads, 8), 1, COUNT, POOL)


def test_a_stream_is_its_first_hour_and_then_the_pool(stream: LongStream) -> None:
    chunks = list(stream.chunks(0, COUNT))
    assert [made.memory.id for made in chunks] == [id_of(n) for n in range(COUNT)]
    assert chunks[3].low is stream.first[3].low
    drawn = {id(made.low) for made in chunks[FIRST:]}
    assert drawn <= {id(made.low) for made in stream.pool}
    assert stream.asked
    for each in stream.asked:
        assert each.holders <= {id_of(n) for n in range(FIRST)}
        assert each.holders


def test_a_flat_scan_judges_as_relevance_does(stream: LongStream) -> None:
    model = load_model(ModelSettings())
    sink = model.prefill_sink()
    memories = [made.memory for made in stream.chunks(0, COUNT)]
    for asked in stream.asked[:3]:
        queries = model.question_queries(asked.question.text, sink)
        expected = score_chunks(queries, memories, model.heads)
        found = stream.flat_scores(queries, model.heads, COUNT)
        torch.testing.assert_close(found / found.sum(), expected)
        best = [id_of(int(place)) for place in expected.topk(4).indices]
        assert stream.best(queries, model.heads, COUNT, 4) == best


@pytest.mark.timeout(120)
def test_it_asks_at_each_age_it_gets_to(
    short_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_binary("redis-server")
    monkeypatch.setattr(long_stream, "HOUR_CHUNKS", FIRST)
    monkeypatch.setattr(long_run, "HOUR_CHUNKS", FIRST)
    monkeypatch.setattr(long_run, "DAY_CHUNKS", COUNT)
    monkeypatch.setattr(long_run, "RETIRE_EVERY", 50)
    words = f"--days 1 --pool {POOL} --resident-tokens 256 --archive-bytes 2000000"
    options = long_run.parser().parse_args(words.split())
    result = long_run.measure(options, short_folder())
    hour, day = result["rows"]
    assert (hour["chunks"], day["chunks"]) == (FIRST, COUNT)
    assert day["resident_tokens"] <= 256
    assert day["lows_retired"] > 0
    assert day["indexed"] == COUNT
    assert hour["found_at_4"] == hour["flat_found_at_4"]
    assert 0 < hour["first_token_ms"] < 10_000


def test_a_question_points_at_the_keys_of_its_chunk_alone() -> None:
    stream = ShapeStream(SHAPES["builtin-chunk"], 3, seed=1)
    chunks = list(stream.chunks(0, 60))
    assert chunks[0].low is chunks[3].low
    assert not torch.equal(chunks[0].memory.index_keys, chunks[3].memory.index_keys)
    memories = [made.memory for made in chunks]
    for number in (0, 3, 59):
        scores = score_chunks(stream.queries(number), memories, stream.heads)
        assert scores.argmax() == number


@pytest.mark.timeout(120)
def test_random_numbers_of_a_shape_stay_under_their_budgets(
    short_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_binary("redis-server")
    monkeypatch.setattr(long_shape, "HOUR_CHUNKS", COUNT)
    monkeypatch.setattr(long_shape, "DAY_CHUNKS", 8 * COUNT)
    words = "--shape builtin-chunk --days 0.25 --pool 3 --resident-tokens 256"
    words += " --archive-bytes 6000000"
    options = long_run.parser().parse_args(words.split())
    result = long_run.run(options, short_folder())
    assert (result["shape"], result["pool"]) == ("builtin-chunk", 3)
    hour, later = result["rows"]
    assert (hour["age"], later["age"]) == ("1h", "6h")
    assert (hour["chunks"], later["chunks"]) == (COUNT, 2 * COUNT)
    assert hour.keys() == later.keys()
    for row in (hour, later):
        assert row["resident_tokens"] <= 256
        assert row["indexed"] == row["chunks"]
        assert row["asked_from_chunk"] == 0
        assert row["found_at_4"] == 1.0
        assert row["archive_bytes"] <= 6_000_000 + 6 * 50_000
        assert tuple(row["steps_ms"]) == STEPS
        assert 0 < sum(row["steps_ms"].values()) < 10_000
    assert hour["found_levels"] == {"low": 12}
    assert later["lows_retired"] > hour["lows_retired"] == 0
