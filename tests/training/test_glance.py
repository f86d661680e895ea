"""Where a question's key is to be seen, on streams labelled by hand."""

import math

import pytest
import torch
from torch import Tensor

from training.glance import Targets, judge_looks, judge_recall
from training.labels import ATTRIBUTES, COLOUR, KIND, NOW_KEY, TENS, UNITS, look_key
from training.reading import Glance

PAIRS, CELLS = 3, 16
TRUCK, RED, BLUE = 2, 1, 4


def make_labels() -> Tensor:
    """A red truck #47 in the first two pairs, a blue one #48 in the last."""
    labels = torch.zeros(1, PAIRS * CELLS, len(ATTRIBUTES), dtype=torch.long)
    for place, colour, units in ((3, RED, 7), (20, RED, 7), (40, BLUE, 8)):
        labels[0, place, KIND], labels[0, place, COLOUR] = TRUCK, colour
        labels[0, place, TENS], labels[0, place, UNITS] = 4, units + 1
    labels[0, 21, KIND], labels[0, 21, COLOUR] = TRUCK, RED  # shows no plate
    return labels


def find(key: int) -> tuple[list[int], list[int], list[int]]:
    targets = Targets.of(torch.tensor([[key]]), make_labels())
    parts = (targets.shows, targets.first, targets.last)
    shown, first, last = (part[0, 0].nonzero().flatten().tolist() for part in parts)
    return shown, first, last


def test_a_plate_is_seen_where_it_can_be_read() -> None:
    assert find(47) == ([3, 20], [3], [20])
    assert find(48) == ([40], [40], [40])
    assert find(49) == ([], [], [])


def test_a_look_is_seen_where_kind_and_colour_meet_a_plate() -> None:
    assert find(look_key(TRUCK, RED)) == ([3, 20], [3], [20])
    assert find(look_key(TRUCK, BLUE + 1)) == ([], [], [])


def test_now_is_the_last_pair() -> None:
    assert find(NOW_KEY) == ([40], [40], [40])


def look(place: int) -> Tensor:
    """Look at one token behind a sink of two, with all heads, (1, 4, 1, K + X)."""
    logits = torch.full((1, 4, 1, 2 + PAIRS * CELLS), -8.0)
    logits[..., 2 + place] = 8.0
    return logits.log_softmax(dim=-1)


def test_looking_where_the_key_is_costs_less_than_looking_elsewhere() -> None:
    key = torch.tensor([[47]])
    targets = Targets.of(key, make_labels())
    at_it, elsewhere = (judge_looks(look(p), key, targets).item() for p in (3, 30))
    assert at_it < elsewhere - 5


def test_what_a_pair_shows_is_to_be_seen_in_what_is_read_of_it() -> None:
    pairs = torch.tensor([0, 0, 1, 1, 2, 2])
    unseen = torch.tensor([[True, False, False, True, False, False]])
    targets = Targets.of(torch.tensor([[47]]), make_labels()).among(pairs, unseen)
    parts = (targets.shows, targets.first, targets.last)
    shown, first, last = (part[0, 0].nonzero().flatten().tolist() for part in parts)
    assert (shown, first, last) == ([1, 2], [1], [2])


def test_an_answer_that_looks_away_from_the_key_costs_more() -> None:
    answers = torch.tensor([[[5, 6, -100]]])
    losses = []
    for share in (0.9, 0.1):
        recalls = torch.full((1, 4, 1, 3), share).log()
        recalls[..., 2] = -50.0  # padding is not judged
        glance = Glance(torch.zeros(1, 4, 1, 3), torch.zeros(1, 1, 8), recalls)
        losses.append(judge_recall(glance, torch.tensor([[47]]), answers).item())
    assert losses == pytest.approx([-math.log(0.9), -math.log(0.1)])
