"""The benchmark of decode measures what it says."""

import pytest
import torch

from agent.vlm.generation import decode_room
from benchmarks import decode
from memory.rehydration import compose

NEW_TOKENS = 6


@pytest.mark.parametrize("name", ["builtin", "larger"])
def test_generate_says_the_same_over_the_same_cache(name: str) -> None:
    model = decode.open_model(name)
    runs = decode.make_runs(model, 300)
    assert 200 < sum(run.num_tokens for run in runs) <= 300
    room = decode_room(model, decode.QUESTION, NEW_TOKENS)
    ours, stock = (
        way(model, compose(runs, model.rotary, room=room))
        for way in (decode.Ours, decode.Stock)
    )
    assert ours.num_bytes > stock.num_bytes  # the room
    said = stock.say(NEW_TOKENS)
    assert ours.say(NEW_TOKENS) == said
    assert len(said) == NEW_TOKENS, "neither may stop early"
    fewer = decode.Ours(model, compose(runs[:1], model.rotary, room=room))
    fewer.cache.next_position += 9
    assert fewer.say(NEW_TOKENS) != said, "the oracle must see the cache"


def test_peak_memory_sees_what_was_freed_again() -> None:
    cpu = torch.device("cpu")
    before = decode._start_peak(cpu)
    torch.ones(8 << 20)  # 32 MiB, gone at once
    assert 30 << 20 < decode._peak(cpu) - before < 64 << 20
