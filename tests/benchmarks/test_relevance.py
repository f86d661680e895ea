import pytest
import torch
from tiny_model import make_model

from agent.calibration.run import every_head
from benchmarks.relevance import (
    ASKED,
    BITS,
    KEYS,
    Method,
    Stream,
    Trial,
    bytes_per_chunk,
    frame_means,
    store,
    summarise,
    with_best_layer,
)
from ingest.simulation.questions import QuestionType
from training.evaluate import questions_on

WORLD, CHUNKS = 43, 8


@pytest.fixture(scope="module")
def stream() -> Stream:
    model = make_model()
    return Stream(model.with_heads(every_head(model)), WORLD, CHUNKS)


def test_every_way_ranks_and_all_heads_as_an_index_are_all_heads(
    stream: Stream,
) -> None:
    asked = [q for q in questions_on(WORLD, CHUNKS, 2) if q.type in ASKED]
    assert asked
    for question in asked:
        trial = stream.ask(WORLD, question)
        assert len(trial.ranks) == len(KEYS) * len(BITS) + 2
        assert all(1 <= rank <= CHUNKS for rank in trial.ranks.values())
        assert len(trial.layer_ranks) == 4
        as_index = trial.ranks[Method("calibrated", 64, 16)]
        assert as_index == trial.ranks[Method("every_head")]


def test_fewer_bits_are_fewer_levels_and_stay_near() -> None:
    keys = torch.randn(2, 5, 32)
    spread = keys.amax(dim=-1, keepdim=True) - keys.amin(dim=-1, keepdim=True)
    for bits in (8, 4, 2):
        kept = store(keys, bits)
        assert all(len(key.unique()) <= 2**bits for key in kept.flatten(0, 1))
        assert ((kept - keys).abs() <= 0.51 * spread / (2**bits - 1) + 2e-3).all()
    assert torch.equal(store(keys, 16), keys.bfloat16().float())


def test_bytes_count_heads_keys_and_what_few_bits_need_beside(stream: Stream) -> None:
    kv_heads, head_dim = 8, 32  # 4 layers of 2
    of = {
        Method("calibrated", 16, 16): kv_heads * 16 * head_dim * 2,
        Method("calibrated", 4, 4): kv_heads * 4 * (head_dim // 2 + 4),
        Method("one_layer", 64, 16): 2 * 64 * head_dim * 2,
        Method("mean_key", 0, 16): kv_heads * 4 * head_dim * 2,
    }
    assert {method: bytes_per_chunk(method, stream) for method in of} == of


def test_the_mean_key_of_a_frame_is_that_of_its_visual_tokens(stream: Stream) -> None:
    whole = stream.wholes[0]
    size = len(whole.visual_tokens) // whole.grid[0]
    tokens = whole.visual_tokens[2 * size : 3 * size]
    third = whole.kv.keys[1, 0, tokens].mean(dim=0)
    torch.testing.assert_close(frame_means(whole)[2, 2], third)


def test_the_best_layer_is_chosen_on_other_worlds() -> None:
    def asked(world: int, *layer_ranks: int) -> Trial:
        return Trial(world, QuestionType.KIND, {}, layer_ranks)

    trials = [asked(1, 1, 5), asked(1, 1, 5), asked(2, 7, 2), asked(2, 7, 2)]
    chosen = [t.ranks[Method("one_layer")] for t in with_best_layer(trials)]
    assert chosen == [5, 5, 7, 7]


def test_rows_count_each_question_for_its_type_and_for_all(stream: Stream) -> None:
    method = Method("every_head")
    trials = [
        Trial(1, QuestionType.KIND, {method: 1}, (1,)),
        Trial(1, QuestionType.PLATE, {method: 3}, (1,)),
        Trial(2, QuestionType.SIDE, {method: 9}, (1,)),
    ]
    rows = {row["type"]: row for row in summarise(trials, stream, CHUNKS)}
    assert rows["all"]["n"] == 3
    assert rows["all"]["recall_at_1"] == pytest.approx(1 / 3, abs=1e-4)
    assert rows["by_plate"]["n"] == 2
    assert rows["by_plate"]["recall_at_4"] == 0.5
    assert rows["plate"]["recall_at_4"] == 1.0
