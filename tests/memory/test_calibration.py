import pytest
import torch
from torch import Tensor

from memory.calibration import (
    Trials,
    choose_heads,
    ranks,
    recall_at,
    score_each_head,
)
from memory.kv import ChunkId
from memory.relevance import ChunkKeys, IndexHeads, head_scores


def rows(*given: list[float]) -> Tensor:
    return torch.tensor(given)


def test_a_rank_counts_ties_and_what_is_no_number_against_the_right_chunk() -> None:
    holders = torch.tensor([False, True, True, False])
    scores = rows(
        [0.1, 0.2, 0.5, 0.2],
        [0.5, 0.5, 0.1, 0.5],
        [0.9, 0.2, 0.3, float("nan")],
        [0.2, float("nan"), 0.9, 0.1],
    )
    assert ranks(scores, holders).tolist() == [1, 3, 3, 3]


def test_recall_counts_the_first_k() -> None:
    found = torch.tensor([1, 1, 3, 5, 4])
    assert recall_at(found, (1, 4)) == {"recall_at_1": 0.4, "recall_at_4": 0.8}


def made_up_trials(seed: int, *, questions: int = 40, chunks: int = 16) -> Trials:
    """Head 2 knows the even questions, head 5 the odd ones, the others nothing."""
    random = torch.Generator().manual_seed(seed)
    scores = torch.rand(questions, 9, chunks, generator=random) / 2
    right = torch.randint(chunks, (questions,), generator=random)
    asked = torch.arange(questions)
    for head, part in ((2, asked % 2 == 0), (5, asked % 2 == 1)):
        scores[asked[part], head, right[part]] = 0.9
    holders = torch.nn.functional.one_hot(right, chunks).bool()
    return Trials(scores, holders)


def test_heads_that_help_each_other_are_found_and_no_others() -> None:
    choice = choose_heads(made_up_trials(0), made_up_trials(1))
    assert set(choice.heads) == {2, 5}
    assert choice.together == pytest.approx(1.0)
    assert min(choice.alone) > 0.5


def test_a_head_that_adds_nothing_for_sure_is_left_out() -> None:
    trials = made_up_trials(0)
    trials.scores[:, 7] = trials.scores[:, [2, 5]].amax(dim=1)
    held_out = made_up_trials(1)
    held_out.scores[:, 7] = held_out.scores[:, [2, 5]].amax(dim=1)
    assert choose_heads(trials, held_out).heads == (7,)


def test_joined_trials_rank_as_they_do_apart() -> None:
    parts = [made_up_trials(0), made_up_trials(1, questions=6)]
    joined = Trials.join(parts)
    apart = torch.cat([part.ranks_of([2, 3]) for part in parts])
    assert torch.equal(joined.ranks_of([2, 3]), apart)


def test_a_question_that_no_chunk_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="holds its answer"):
        Trials(torch.rand(1, 2, 3), torch.zeros(1, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="holders are"):
        Trials(torch.rand(1, 2, 3), torch.ones(2, 3, dtype=torch.bool))


def test_scoring_layer_by_layer_changes_nothing() -> None:
    heads = IndexHeads.of(
        [(layer, head) for layer in range(3) for head in range(4)], queries_per_kv=2
    )
    chunks = [
        ChunkKeys(ChunkId("c", n * 10, n * 10 + 10), torch.randn(6, 5, 8))
        for n in range(11)
    ]
    queries = torch.randn(12, 7, 8)
    torch.testing.assert_close(
        score_each_head(queries, chunks, heads), head_scores(queries, chunks, heads)
    )
