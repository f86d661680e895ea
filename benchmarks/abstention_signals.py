"""Which number tells best that an answer is wrong: the candidates, side by side.

All are of one answer; the higher, the surer. They are compared on validation worlds.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from agent.abstention import Judged, risk_coverage
from benchmarks.abstention_asking import Said, StreamSaid

LEADING_TOKENS = 2
SHARES_WRONG = (0.02, 0.05, 0.1)
_ALL = 1 << 30  # more points than there are questions: each gets one


def _leading(count: int) -> Callable[[Said], float]:
    return lambda said: math.fsum(said.log_probs[:count])


def _least_sure_margin(said: Said) -> float:
    least = min(range(len(said.log_probs)), key=said.log_probs.__getitem__)
    return said.margins[least]


def _agreement(said: Said) -> float:
    """Give how little relevance is spread over chunks: its entropy, below zero."""
    whole = sum(said.relevance)
    shares = [score / whole for score in said.relevance if score > 0]
    return sum(share * math.log(share) for share in shares)


def _with_relevance(said: Said) -> float:
    return _leading(LEADING_TOKENS)(said) + math.log(max(said.relevance[0], 1e-6))


SIGNALS: dict[str, Callable[[Said], float]] = {
    "first token": _leading(1),
    "first two tokens": _leading(LEADING_TOKENS),
    "first three tokens": _leading(3),
    "whole answer": _leading(_ALL),
    "mean of the tokens": lambda s: sum(s.log_probs) / len(s.log_probs),
    "least sure token": lambda said: min(said.log_probs),
    "margin at the least sure token": _least_sure_margin,
    "relevance of the best chunk": lambda said: said.relevance[0],
    "relevance, how little it is spread": _agreement,
    "first two tokens and best relevance": _with_relevance,
}


def judge(
    streams: Sequence[StreamSaid],
    signal: Callable[[Said], float],
    types: Sequence[str],
) -> list[Judged]:
    """Give the answers to some types of questions, as sure as a signal says."""
    return [
        Judged(signal(said), said.is_right, stream.world)
        for stream in streams
        for said in stream.said
        if said.type in types
    ]


def compare(
    streams: Sequence[StreamSaid], types: Sequence[str]
) -> list[dict[str, Any]]:
    """Give, of each signal, the most that it answers at each share of wrong answers."""
    return [
        {"signal": name, **_measured(judge(streams, signal, types))}
        for name, signal in SIGNALS.items()
    ]


def _measured(judged: Sequence[Judged]) -> dict[str, Any]:
    """Give the curve's area, and how far it stays below each share."""
    curve = risk_coverage(judged, len(judged))
    most = {
        f"{share:g}": max((p.coverage for p in curve if p.wrong <= share), default=0.0)
        for share in SHARES_WRONG
    }
    area = sum(point.wrong for point in curve) / len(curve)
    return {
        "coverage_at": {share: round(found, 4) for share, found in most.items()},
        "area": round(area, 4),
    }
