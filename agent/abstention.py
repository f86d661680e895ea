"""Knowing what it does not know: how sure an answer is, and from where on to give it.

Pure. The confidence of an answer is the probability that the model gave to its first
tokens. A threshold is found on answers that were judged, so that with a stated trust at
most a stated share of the answers above it are wrong, of questions of the same kind:

- whether a share is too large is told by the exact binomial bound (Clopper and Pearson,
  Biometrika 26, 1934);
- answers about one stream go wrong together. They count as so many fewer as the share
  varies more between streams than chance has it vary: Kish's design effect, in the
  bound as Korn and Graubard (Survey Methodology 24, 1998) put it there;
- thresholds are tried one after the other, from the surest answers on, and the first
  that fails ends it: no correction for trying many is needed then (fixed sequence
  testing, as in Angelopoulos and others, Learn then Test, 2021);
- what is wrong of the answered over the share answered is the risk-coverage curve
  (Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, 2017).
"""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

TRUST = 0.95
_STEPS = 100  # thresholds that are tried, a hundredth of the questions apart
_FIRST = 0.1  # the share of them that the first one answers
_HALVINGS = 60  # more than a float64 has bits


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer whose truth is known.

    Attributes:
        confidence: How sure it was.
        is_right: Whether it was right.
        stream: What it is about: answers of different streams are independent.
    """

    confidence: float
    is_right: bool
    stream: int


@dataclass(frozen=True, slots=True)
class Point:
    """What comes of one threshold.

    Attributes:
        threshold: The least confidence that is answered.
        coverage: Share of the questions that are answered.
        wrong: Share of those answered that are wrong, 0 if none is.
    """

    threshold: float
    coverage: float
    wrong: float


@dataclass(frozen=True, slots=True)
class Abstention:
    """When a model does not answer, as it was calibrated.

    Attributes:
        weights: Digest of the weights it was found with.
        leading_tokens: First tokens of an answer that count.
        threshold: The least confidence that is answered.
        most_wrong: Share of wrong answers that it was found for.
        trust: How certain it is that no more are wrong.
        questions: Those that it was found on.
        coverage: Share of them that were answered.
    """

    weights: str
    leading_tokens: int
    threshold: float
    most_wrong: float
    trust: float
    questions: int
    coverage: float

    def __post_init__(self) -> None:
        if self.leading_tokens < 1:
            raise ValueError(f"{self.leading_tokens} leading tokens")
        shares = self.threshold, self.most_wrong, self.trust, self.coverage
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"a share is not between 0 and 1: {shares}")

    def confidence(self, log_probs: Sequence[float]) -> float | None:
        """Give how sure an answer is, None if nothing was said.

        Args:
            log_probs: Of its tokens, the stop token too.
        """
        return confidence_of(log_probs, self.leading_tokens)

    def is_sure(self, confidence: float | None) -> bool:
        """Tell whether an answer is to be given; one of no confidence is not."""
        return confidence is not None and confidence >= self.threshold


def confidence_of(log_probs: Sequence[float], leading_tokens: int) -> float | None:
    """Give the probability of an answer's first tokens, None if nothing was said.

    The later ones may be unsure of what does not matter: the seconds of a time.
    """
    if not log_probs:
        return None
    return math.exp(math.fsum(log_probs[:leading_tokens]))


def find_threshold(
    judged: Sequence[Judged], most_wrong: float, trust: float = TRUST
) -> float | None:
    """Give the lowest threshold that keeps wrong answers rare, None if none does.

    Args:
        judged: Answers of the kind that will be given.
        most_wrong: Share of the answers given that may be wrong.
        trust: How certain it has to be that no more are, of answers not judged here.
    """
    ordered = sorted(judged, key=_surest_first)
    needed = max(math.ceil(_FIRST * len(ordered)), _least(most_wrong, trust))
    found, left = None, len(ordered) - needed
    if left < 0:
        return None
    ranks = (needed + left * n // _STEPS for n in range(_STEPS + 1))
    for threshold in dict.fromkeys(ordered[rank - 1].confidence for rank in ranks):
        given = [each for each in ordered if each.confidence >= threshold]
        if at_most(*_independent(given), most_wrong) > 1 - trust:
            break
        found = threshold
    return found


def error_bound(judged: Sequence[Judged], trust: float = TRUST) -> float:
    """Give the share of wrong answers that, with so much trust, is not exceeded.

    The upper bound, one-sided; 1 where there are no answers.
    """
    wrong, given = _independent(judged)
    low, high = 0.0, 1.0
    if wrong >= given:
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if at_most(wrong, given, middle) > 1 - trust:
            low = middle
        else:
            high = middle
    return high


def at_most(wrong: int, given: int, share: float) -> float:
    """Give the chance of so few wrong answers, if each is wrong by a chance `share`."""
    if wrong >= given or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    yes, no, whole = math.log(share), math.log1p(-share), math.lgamma(given + 1)
    logs = (
        whole
        - math.lgamma(n + 1)
        - math.lgamma(given - n + 1)
        + n * yes
        + (given - n) * no
        for n in range(wrong + 1)
    )
    return min(1.0, math.fsum(math.exp(log) for log in logs))


def design_effect(judged: Sequence[Judged]) -> float:
    """Give how many answers of these weigh as much as an independent one, at least 1.

    The variance of the share of wrong answers between streams, over what it would be if
    each were wrong by chance.
    """
    wrong = sum(not each.is_right for each in judged)
    streams: defaultdict[int, list[bool]] = defaultdict(list)
    for each in judged:
        streams[each.stream].append(not each.is_right)
    if not 0 < wrong < len(judged) or len(streams) < 2:
        return 1.0
    share = wrong / len(judged)
    off = math.fsum((sum(told) - share * len(told)) ** 2 for told in streams.values())
    between = off * len(streams) / (len(streams) - 1)
    by_chance = len(judged) ** 2 * share * (1 - share) / (len(judged) - 1)
    return max(1.0, between / by_chance)


def _independent(judged: Sequence[Judged]) -> tuple[int, int]:
    """Give the wrong answers and all, as many as they weigh, rounded for the worse."""
    wrong, effect = sum(not each.is_right for each in judged), design_effect(judged)
    return math.ceil(wrong / effect), math.floor(len(judged) / effect)


def outcome(judged: Sequence[Judged], threshold: float) -> Point:
    """Give what comes of a threshold."""
    given = [each for each in judged if each.confidence >= threshold]
    wrong = sum(not each.is_right for each in given)
    return Point(
        threshold,
        len(given) / len(judged) if judged else 0.0,
        wrong / len(given) if given else 0.0,
    )


def risk_coverage(judged: Sequence[Judged], points: int = 10) -> list[Point]:
    """Give the curve of wrong answers over those given, the surest first.

    Args:
        judged: Answers.
        points: So many, evenly over the questions; fewer where answers are as sure.
    """
    ordered = sorted(judged, key=_surest_first)
    keys = [_surest_first(each) for each in ordered]
    wrong = list(accumulate(not each.is_right for each in ordered))
    ranks = (-(-n * len(ordered) // points) for n in range(1, points + 1))
    counts = (bisect_right(keys, keys[rank - 1]) for rank in ranks if ordered)
    return [
        Point(-keys[n - 1], n / len(ordered), wrong[n - 1] / n)
        for n in dict.fromkeys(counts)
    ]


def _surest_first(judged: Judged) -> float:
    return -judged.confidence


def _least(most_wrong: float, trust: float) -> int:
    """Give the answers of which none may be wrong, for that to prove anything."""
    if not (0 < most_wrong < 1 and 0 < trust < 1):
        raise ValueError(f"{most_wrong} wrong with a trust of {trust}")
    return math.ceil(math.log(1 - trust) / math.log1p(-most_wrong))
