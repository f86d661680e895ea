"""Confidence, thresholds and their promise, against sums by hand and by simulation."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.abstention import (
    Abstention,
    Judged,
    Point,
    at_most,
    confidence_of,
    design_effect,
    error_bound,
    find_threshold,
    outcome,
    risk_coverage,
)

RULE = Abstention("ab12", 2, 0.8, 0.05, 0.95, 1000, 0.7)
LOG_PROBS = st.lists(st.floats(-50, 0), max_size=9)
ANSWERS = st.lists(
    st.builds(
        Judged,
        st.sampled_from([n / 16 for n in range(17)]),
        st.booleans(),
        st.integers(0, 5),
    ),
    max_size=300,
)


def answers(wrong: int, of: int, confidence: float = 0.9) -> list[Judged]:
    """Answers of which each is about a stream of its own."""
    return [Judged(confidence, n >= wrong, n) for n in range(of)]


def by_chance(seed: int, count: int, together: int = 1) -> list[Judged]:
    """Answers that are right as often as they are sure, some of them wrong together."""
    dealer, told = random.Random(seed), []
    for stream in range(count // together):
        confidence = dealer.random() ** 0.1
        is_right = dealer.random() < confidence
        told += [Judged(confidence, is_right, stream)] * together
    return told


def truly_wrong(threshold: float) -> float:
    """The share of wrong answers above a threshold among endlessly many of those."""
    sure = [(n / 1e4) ** 0.1 for n in range(10_000) if (n / 1e4) ** 0.1 >= threshold]
    return 1 - math.fsum(sure) / len(sure)


@given(LOG_PROBS, st.integers(1, 9))
def test_confidence_is_the_probability_of_the_first_tokens(
    log_probs: list[float], leading: int
) -> None:
    found = confidence_of(log_probs, leading)
    assert (found is None) == (not log_probs)
    if found is not None:
        product = math.prod(math.exp(value) for value in log_probs[:leading])
        assert found == pytest.approx(product)
        assert 0 <= found <= 1
        if len(log_probs) >= leading:
            assert found == confidence_of([*log_probs[:leading], -1.0], leading)


def test_nothing_said_is_never_sure() -> None:
    assert RULE.confidence(()) is None
    assert not RULE.is_sure(None)


def test_the_threshold_itself_is_sure_enough() -> None:
    assert RULE.is_sure(RULE.confidence([math.log(0.8), 0.0, -9.0]))
    assert not RULE.is_sure(RULE.confidence([math.log(0.8), -1e-3, 0.0]))


@pytest.mark.parametrize(
    "wrong", [{"leading_tokens": 0}, {"threshold": 1.1}, {"threshold": float("nan")}]
)
def test_a_rule_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"leading tokens|a share"):
        replace(RULE, **wrong)  # type: ignore[arg-type]


@given(st.integers(0, 40), st.integers(1, 40), st.floats(0, 1))
def test_the_chance_of_so_few_is_the_binomial_sum(
    wrong: int, given: int, share: float
) -> None:
    slow = sum(
        math.comb(given, n) * share**n * (1 - share) ** (given - n)
        for n in range(min(wrong, given) + 1)
    )
    assert at_most(wrong, given, share) == pytest.approx(slow, abs=1e-9)


@pytest.mark.parametrize(
    ("wrong", "of", "bound"),
    [(0, 59, 1 - 0.05 ** (1 / 59)), (1, 20, 0.2161), (0, 10, 0.2589), (7, 7, 1.0)],
)
def test_the_bound_is_that_of_the_tables(wrong: int, of: int, bound: float) -> None:
    assert error_bound(answers(wrong, of)) == pytest.approx(bound, abs=1e-4)


def test_no_answers_prove_nothing() -> None:
    assert error_bound([]) == 1.0
    assert find_threshold([], 0.05) is None
    assert find_threshold(answers(0, 58), 0.05) is None
    assert find_threshold(answers(0, 59), 0.05) == 0.9
    assert risk_coverage([]) == []
    assert outcome([], 0.5) == Point(0.5, 0.0, 0.0)


@pytest.mark.parametrize(("share", "trust"), [(0.0, 0.95), (1.0, 0.95), (0.05, 1.0)])
def test_what_nothing_can_promise_is_refused(share: float, trust: float) -> None:
    with pytest.raises(ValueError, match="with a trust of"):
        find_threshold(answers(0, 100), share, trust)


def test_answers_that_go_wrong_together_weigh_as_one() -> None:
    alone = by_chance(1, 4000)
    assert design_effect(alone) == pytest.approx(1, abs=0.05)
    fivefold = [each for each in alone for _ in range(5)]
    assert design_effect(fivefold) == pytest.approx(5, rel=0.05)
    assert error_bound(fivefold) == pytest.approx(error_bound(alone), abs=2e-3)


@settings(deadline=None)
@given(ANSWERS, st.sampled_from([0.02, 0.05, 0.1, 0.3]))
def test_what_is_found_keeps_its_promise_on_what_it_was_found_on(
    judged: list[Judged], share: float
) -> None:
    threshold = find_threshold(judged, share)
    if threshold is not None:
        above = [each for each in judged if each.confidence >= threshold]
        assert error_bound(above) <= share + 1e-9
        assert outcome(judged, threshold).wrong <= share
        looser = find_threshold(judged, share * 2)
        assert looser is not None
        assert looser <= threshold
    mixed = random.Random(0).sample(judged, len(judged))
    assert find_threshold(mixed, share) == threshold


@pytest.mark.parametrize("together", [1, 4])
def test_unseen_answers_are_wrong_too_often_in_at_most_one_calibration_of_twenty(
    together: int,
) -> None:
    found = [find_threshold(by_chance(n, 800, together), 0.05) for n in range(200)]
    kept = [threshold for threshold in found if threshold is not None]
    assert len(kept) > 100
    broken = sum(truly_wrong(threshold) > 0.05 for threshold in kept)
    assert broken <= 0.05 * len(found) + 2 * math.sqrt(0.05 * 0.95 * len(found))


def test_one_surest_answer_that_is_wrong_does_not_end_the_search() -> None:
    judged = [Judged(0.99, False, -1), *answers(0, 999)]
    assert find_threshold(judged, 0.05) == 0.9


@settings(deadline=None)
@given(ANSWERS, st.integers(1, 20))
def test_the_curve_is_what_each_threshold_gives(
    judged: list[Judged], points: int
) -> None:
    curve = risk_coverage(judged, points)
    assert curve == [outcome(judged, point.threshold) for point in curve]
    coverages: Sequence[float] = [point.coverage for point in curve]
    assert coverages == sorted(set(coverages))
    assert len(curve) <= points
    if judged:
        assert coverages[-1] == 1.0
