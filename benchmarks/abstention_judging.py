"""Answers to figures: the threshold of validation worlds, and what it is worth on test.

Pure, so that what a threshold was found on can be seen at one glance.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from agent.abstention import (
    TRUST,
    Abstention,
    Judged,
    confidence_of,
    design_effect,
    error_bound,
    find_threshold,
    outcome,
    risk_coverage,
)
from benchmarks.abstention_asking import (
    IN_MEMORY,
    NEVER_TAUGHT,
    NOT_IN_MEMORY,
    Said,
    StreamSaid,
)
from benchmarks.abstention_signals import LEADING_TOKENS, compare, judge
from benchmarks.rows import interval

ASKED = (*IN_MEMORY, *NOT_IN_MEMORY)
MOST_WRONG = 0.05
OTHER_SHARES = (0.02, 0.03, 0.1)


def judged_by(
    weights: str, streams: Mapping[str, Sequence[StreamSaid]]
) -> dict[str, Any]:
    """Find the threshold on validation, and judge it on test."""
    known = judge(streams["validation"], confidence, ASKED)
    threshold = find_threshold(known, MOST_WRONG)
    result: dict[str, Any] = {
        "signals": compare(streams["validation"], ASKED),
        "curve": _curve(streams["test"]),
        "other_shares": [_at(share, streams) for share in OTHER_SHARES],
        "threshold": None,
    }
    if threshold is None:
        return result
    found = Abstention(
        weights,
        LEADING_TOKENS,
        threshold,
        MOST_WRONG,
        TRUST,
        len(known),
        round(outcome(known, threshold).coverage, 4),
    )
    return result | {
        "threshold": asdict(found),
        "validation": _told(known, threshold),
        "test": _told(judge(streams["test"], confidence, ASKED), threshold),
        "rows": _rows(streams["test"], threshold),
        "longer": [
            {"chunks": int(part), **_told(judge(said, confidence, ASKED), threshold)}
            for part, said in streams.items()
            if part.isdecimal()
        ],
    }


def confidence(said: Said) -> float:
    """Give how sure the product says an answer is."""
    found = confidence_of(said.log_probs, LEADING_TOKENS)
    return 0.0 if found is None else found


def _at(share: float, streams: Mapping[str, Sequence[StreamSaid]]) -> dict[str, Any]:
    """Give what another share of wrong answers would have meant."""
    threshold = find_threshold(judge(streams["validation"], confidence, ASKED), share)
    if threshold is None:
        return {"most_wrong": share, "threshold": None}
    told = _told(judge(streams["test"], confidence, ASKED), threshold)
    return {"most_wrong": share, "threshold": round(threshold, 4), **told}


def _curve(streams: Sequence[StreamSaid]) -> list[dict[str, float]]:
    points = risk_coverage(judge(streams, confidence, ASKED))
    return [{k: round(v, 4) for k, v in asdict(point).items()} for point in points]


def _rows(streams: Sequence[StreamSaid], threshold: float) -> list[dict[str, Any]]:
    """Give a row for each type, and for those whose answer is, and is not, there."""
    groups = {
        "all": ASKED,
        "in memory": IN_MEMORY,
        "not in memory": NOT_IN_MEMORY,
        "never taught": NEVER_TAUGHT,
        **{type: (type,) for type in (*ASKED, *NEVER_TAUGHT)},
    }
    return [
        {"type": name, **_told(judge(streams, confidence, types), threshold)}
        for name, types in groups.items()
    ]


def _told(judged: Sequence[Judged], threshold: float) -> dict[str, Any]:
    """Give what comes of a threshold for some questions."""
    given = [each for each in judged if each.confidence >= threshold]
    by_stream: defaultdict[int, list[bool]] = defaultdict(list)
    for each in given:
        by_stream[each.stream].append(not each.is_right)
    told = {
        "questions": len(judged),
        "right_of_all": sum(each.is_right for each in judged) / max(1, len(judged)),
        "coverage": len(given) / max(1, len(judged)),
        "wrong": sum(not each.is_right for each in given) / max(1, len(given)),
        "bound": error_bound(given),
        "design_effect": design_effect(given),
    }
    rounded = {name: round(value, 4) for name, value in told.items()}
    return {**rounded, "ci": interval(list(by_stream.values())) if given else None}
