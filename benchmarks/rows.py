"""Trials to rows: accuracy with intervals, by context, type and age."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Trial:
    """One question in one context.

    Attributes:
        seed: The stream.
        context: Name of the context.
        h_factor: Compression factor of what is read coarse, 0 for none.
        k: Chunks re-loaded, 0 for none.
        type: Of the question.
        age: Bucket of how long ago it happened.
        is_right: Whether the answer was right.
        is_recalled: Whether one of the k best-scored chunks holds the answer.
        tokens: KV tokens read, sink left out.
        first_token_ms: From the question to its first token.
    """

    seed: int
    context: str
    h_factor: float
    k: int
    type: str
    age: str
    is_right: bool
    is_recalled: bool
    tokens: int
    first_token_ms: float


def summarise(
    trials: Sequence[Trial], chunks: int, l_factor: float
) -> list[dict[str, Any]]:
    """Give a row per context, type and age, with `all` for the margins."""
    cells: dict[tuple[Any, ...], list[Trial]] = defaultdict(list)
    for trial in trials:
        label = (trial.context, trial.h_factor, trial.k)
        for type in (trial.type, "all"):
            for age in (trial.age, "all"):
                cells[*label, type, age].append(trial)
    return [_row(key, cell, chunks, l_factor) for key, cell in sorted(cells.items())]


def _row(
    key: tuple[Any, ...], cell: Sequence[Trial], chunks: int, l_factor: float
) -> dict[str, Any]:
    context, h_factor, k, type, age = key
    return {
        "context": context,
        "h_factor": h_factor,
        "l_factor": l_factor,
        "k": k,
        "chunks": chunks,
        "type": type,
        "age": age,
        "n": len(cell),
        "accuracy": round(sum(t.is_right for t in cell) / len(cell), 4),
        "ci": interval(cell),
        "recall_at_k": round(sum(t.is_recalled for t in cell) / len(cell), 4),
        "tokens_per_chunk": round(sum(t.tokens for t in cell) / len(cell) / chunks, 2),
        "ttft_ms": round(sorted(t.first_token_ms for t in cell)[len(cell) // 2], 1),
    }


def interval(cell: Sequence[Trial]) -> list[float]:
    """Give the 95 % interval of the accuracy, by a bootstrap over streams."""
    by_seed: dict[int, list[bool]] = defaultdict(list)
    for trial in cell:
        by_seed[trial.seed].append(trial.is_right)
    streams, dealer = list(by_seed.values()), random.Random(0)
    means = []
    for _ in range(RESAMPLES):
        drawn = dealer.choices(streams, k=len(streams))
        total = sum(len(answers) for answers in drawn)
        means.append(sum(sum(answers) for answers in drawn) / total)
    means.sort()
    return [round(means[int(RESAMPLES * q)], 4) for q in (0.025, 0.975)]


def show(result: dict[str, Any]) -> None:
    """Print the table: a row per context, a column per type."""
    rows = [row for row in result["rows"] if row["age"] == "all"]
    types = sorted({row["type"] for row in rows})
    for chunks in sorted({row["chunks"] for row in rows}):
        table = Table("context", "H", "k", "tok", *types, title=f"{chunks} chunks, %")
        cells: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(dict)
        for row in rows:
            if row["chunks"] == chunks:
                key = (row["context"], row["h_factor"], row["k"])
                cells[key][row["type"]] = row
        for (context, factor, k), by_type in cells.items():
            values = [f"{100 * by_type[t]['accuracy']:.0f}" for t in types]
            tokens = f"{by_type['all']['tokens_per_chunk']:.1f}"
            table.add_row(context, f"{factor:g}", str(k), tokens, *values)
        Console(width=160).print(table)
