import pytest
import torch
from tiny_model import make_chunks, make_model

from benchmarks import contexts
from benchmarks.contexts import HIGH, LOW, Asked, Stream
from memory.compression.bilevel import BiLevel
from memory.kv import ChunkId, Level
from memory.rehydration import compose


@pytest.fixture(scope="module")
def stream() -> Stream:
    model = make_model()
    sink = model.prefill_sink()
    wholes = [model.prefill(chunk, [sink]) for chunk in make_chunks((8, 8, 8, 8))]
    levels = BiLevel(HIGH, LOW, model.heads, index_keys=4)
    memories = [
        levels.compress_chunk(ChunkId("c", n * 4000, n * 4000 + 4000), whole).memory
        for n, whole in enumerate(wholes)
    ]
    return Stream(model, sink, wholes, memories, seed=1)


def test_a_chunk_cut_into_frames_composes_to_the_chunk(stream: Stream) -> None:
    whole = stream.wholes[0]
    cut = compose(
        [stream.sink, *contexts.split_frames(whole)], stream.model.rotary, room=0
    )
    uncut = compose([stream.sink, whole.kv], stream.model.rotary, room=0)
    torch.testing.assert_close(cut.keys, uncut.keys)
    assert torch.equal(cut.values, uncut.values)
    assert cut.next_position == uncut.next_position


def test_controls_of_equal_cost_keep_to_the_tokens_of_the_mix(stream: Stream) -> None:
    tokens = 170
    for runs in (
        contexts.recent(stream, tokens),
        contexts.uniform(stream, tokens),
        contexts.flat(stream, tokens),
        contexts.rekv(stream, "where was #47 ?", tokens),
    ):
        assert 0.75 * tokens <= sum(run.num_tokens for run in runs) <= 1.05 * tokens


def test_rekv_reads_everything_when_it_may(stream: Stream) -> None:
    runs = contexts.rekv(stream, "where was #47 ?", tokens=10_000)
    everything = compose(contexts.full(stream), stream.model.rotary, room=0)
    ranked = compose(runs, stream.model.rotary, room=0)
    torch.testing.assert_close(ranked.keys, everything.keys)


def test_the_oracle_reads_the_chunks_that_hold_the_answer(stream: Stream) -> None:
    asked = Asked("?", [0.7, 0.1, 0.1, 0.1], holders=[1, 2])
    fine = [
        number
        for number, reading in enumerate(contexts.choose_oracle(stream, asked, 1))
        if reading.level is Level.LOW
    ]
    assert fine == [1, 3]  # the newest is read fine by everyone
    assert not contexts.recall_at(asked, 1)
    assert contexts.recall_at(asked, 4)
