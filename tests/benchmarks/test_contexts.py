import pytest
import torch
from tiny_model import make_chunks, make_model

from benchmarks import contexts, rekv
from benchmarks.contexts import Asked, Label, Setup, Stream
from benchmarks.frames import split_frames
from ingest.simulation.questions import Question, QuestionType
from memory.compression.bilevel import BiLevel
from memory.kv import KV, ChunkId, Level
from memory.rehydration import compose

QUESTION = "where was #47 ?"


@pytest.fixture(scope="module")
def stream() -> Stream:
    model, setup = make_model(), Setup(index_keys=4)
    sink = model.prefill_sink()
    wholes = [model.prefill(chunk, [sink]) for chunk in make_chunks((8, 8, 8, 8))]
    levels = BiLevel(setup.high, setup.low, model.heads, setup.index_keys)
    memories = [
        levels.compress_chunk(ChunkId("c", n * 4000, n * 4000 + 4000), whole).memory
        for n, whole in enumerate(wholes)
    ]
    return Stream(model, sink, wholes, memories, seed=1, setup=setup)


def test_a_chunk_cut_into_frames_composes_to_the_chunk(stream: Stream) -> None:
    whole = stream.wholes[0]
    cut = compose([stream.sink, *split_frames(whole)], stream.model.rotary, room=0)
    uncut = compose([stream.sink, whole.kv], stream.model.rotary, room=0)
    torch.testing.assert_close(cut.keys, uncut.keys)
    assert torch.equal(cut.values, uncut.values)
    assert cut.next_position == uncut.next_position


def test_controls_of_equal_cost_keep_to_the_tokens_of_the_mix(stream: Stream) -> None:
    tokens = 170
    queries = rekv.all_queries(stream.model, QUESTION, stream.sink)
    for runs in (
        contexts.recent(stream, tokens),
        contexts.uniform(stream, tokens),
        contexts.flat(stream, tokens),
        rekv.Frames.of(stream).read(queries, tokens),
    ):
        assert 0.85 * tokens <= sum(run.num_tokens for run in runs) <= 1.05 * tokens


def times_of(stream: Stream, runs: list[KV]) -> list[tuple[int, int]]:
    """Find which frames, (chunk, number), runs are."""
    cut = {
        (chunk, number): frame
        for chunk, whole in enumerate(stream.wholes)
        for number, frame in enumerate(split_frames(whole))
    }
    return [
        next(at for at, frame in cut.items() if torch.equal(frame.keys, run.keys))
        for run in runs
    ]


def test_recent_is_the_newest_frames_and_uniform_is_spread(stream: Stream) -> None:
    tokens = 6 * split_frames(stream.wholes[0])[0].num_tokens
    newest = times_of(stream, contexts.recent(stream, tokens))
    assert newest == [(2, 2), (2, 3), (3, 0), (3, 1), (3, 2), (3, 3)]
    spread = times_of(stream, contexts.uniform(stream, tokens))
    assert spread == [(0, 0), (0, 3), (1, 2), (2, 1), (3, 0), (3, 3)]


def test_flat_compression_costs_exactly_what_the_mix_does(stream: Stream) -> None:
    for tokens in (29, 30, 170):
        assert sum(r.num_tokens for r in contexts.flat(stream, tokens)) == tokens


def test_the_tokens_of_the_mix_are_what_its_plan_reads(stream: Stream) -> None:
    scores = [0.7, 0.1, 0.1, 0.1]
    readings = contexts.plan(stream, scores, k=1)
    fine = [r.level is Level.LOW for r in readings]
    assert fine == [True, False, False, True]
    tokens = sum(
        memory.low_tokens if is_fine else memory.high.num_tokens
        for memory, is_fine in zip(stream.memories, fine, strict=True)
    )
    assert stream.mix_tokens(1) == tokens


def test_rekv_reads_everything_when_it_may(stream: Stream) -> None:
    queries = rekv.all_queries(stream.model, QUESTION, stream.sink)
    runs = rekv.Frames.of(stream).read(queries, tokens=10_000)
    full = contexts.fixed(stream)[Label("full", 0, 1)]()
    everything = compose(full, stream.model.rotary, room=0)
    ranked = compose(runs, stream.model.rotary, room=0)
    torch.testing.assert_close(ranked.keys, everything.keys)


def test_rekv_reads_the_frames_that_each_layer_ranks_highest(stream: Stream) -> None:
    queries = rekv.all_queries(stream.model, QUESTION, stream.sink)  # (L, Q, T, D)
    frames = [f for whole in stream.wholes for f in split_frames(whole)]
    layers, heads = queries.shape[:2]
    group = heads // frames[0].keys.shape[1]
    runs = rekv.Frames.of(stream).read(queries, tokens=3 * frames[0].num_tokens)
    chosen = []
    for layer in range(layers):
        ranked = [
            sum(
                queries[layer, h].mean(0) @ frame.keys[layer, h // group].mean(0)
                for h in range(heads)
            )
            for frame in frames
        ]
        best = sorted(sorted(range(len(frames)), key=lambda n: -ranked[n])[:3])
        chosen.append(best)
        for run, number in zip(runs, best, strict=True):
            assert torch.equal(run.keys[layer], frames[number].keys[layer])
            assert torch.equal(run.values[layer], frames[number].values[layer])
    assert len({tuple(best) for best in chosen}) > 1


def test_full_kv_is_left_out_of_long_streams(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Label("full", 0, 1) in contexts.fixed(stream)
    monkeypatch.setattr(contexts, "MAX_FULL_CHUNKS", 3)
    assert Label("full", 0, 1) not in contexts.fixed(stream)


def test_the_oracle_reads_the_chunks_that_hold_the_answer(stream: Stream) -> None:
    asked = Asked("?", [0.7, 0.1, 0.1, 0.1], 0.0, holders=[1, 2])
    fine = [
        number
        for number, reading in enumerate(contexts.choose_oracle(stream, asked, 1))
        if reading.level is Level.LOW
    ]
    assert fine == [1, 3]  # the newest is read fine by everyone


def test_the_mix_re_loads_the_chunks_of_the_highest_scores(stream: Stream) -> None:
    asked = Asked("?", [0.1, 0.6, 0.3, 0.0], 0.0, holders=[])
    chosen = [
        [
            n
            for n, r in enumerate(contexts.choose_scored(stream, asked, k))
            if r.is_evidence
        ]
        for k in (1, 2)
    ]
    assert chosen == [[1], [1, 2]]


def test_recall_is_told_by_what_was_re_loaded(stream: Stream) -> None:
    asked = Asked("?", [0.4, 0.3, 0.2, 0.1], 0.0, holders=[1, 2])
    told = [
        contexts.is_recalled(stream, asked, contexts.choose_scored(stream, asked, k))
        for k in (1, 2)
    ]
    assert told == [False, True]
    nowhere = Asked("?", asked.scores, 0.0, holders=[])
    readings = contexts.choose_scored(stream, nowhere, 4)
    assert contexts.is_recalled(stream, nowhere, readings) is None


def test_holders_take_turns_between_the_things_asked_about(stream: Stream) -> None:
    span = (1.0, 9.0)
    shown = ((3.5, 7.5), (8.0, 9.0))  # chunk 1 the most, then 0; chunk 2
    question = Question("?", "#47", QuestionType.ORDER, span, span, shown)
    assert contexts.holders_of(question, stream.memories) == [1, 2, 0]
    absent = Question("?", "not seen", QuestionType.NOT_SEEN, None, span)
    assert contexts.holders_of(absent, stream.memories) == []
