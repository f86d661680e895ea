"""Trials to rows: accuracy with intervals, by context, type and age."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.contexts import Label
from benchmarks.costs import costs_of
from benchmarks.streams import AGES, WHOLE

RESAMPLES = 2000
BESIDE = ("tokens\na chunk", "first\nms", "recall\n@k", "all\n95 %")


@dataclass(frozen=True, slots=True)
class Trial:
    """One question in one context.

    Attributes:
        label: The context.
        type: Of the question.
        age: Bucket of how long ago it happened.
        is_right: Whether the answer was right.
        is_recalled: Whether a re-loaded chunk holds the answer, None if none is
            re-loaded or none holds it.
        tokens: KV tokens read, sink left out.
        first_token_ms: From the question to its first token.
    """

    label: Label
    type: str
    age: str
    is_right: bool
    is_recalled: bool | None
    tokens: int
    first_token_ms: float


@dataclass(frozen=True, slots=True)
class StreamRun:
    """What one stream gave.

    Attributes:
        seed: Its world.
        chunks: Its length.
        index_bytes: Of its index keys, all chunks together.
        archive_bytes: Of its chunks in the archive.
        trials: Every question in every context.
    """

    seed: int
    chunks: int
    index_bytes: int
    archive_bytes: int
    trials: tuple[Trial, ...]


def summarise(runs: Sequence[StreamRun]) -> list[dict[str, Any]]:
    """Give a row per length, context, type and age, with `all` for the margins."""
    rows = []
    for chunks in sorted({run.chunks for run in runs}):
        streams = [run for run in runs if run.chunks == chunks]
        total = chunks * len(streams)
        per_chunk = {
            "index_bytes_per_chunk": sum(r.index_bytes for r in streams) // total,
            "archive_bytes_per_chunk": sum(r.archive_bytes for r in streams) // total,
        }
        rows += [row | per_chunk for row in _rows(streams, chunks)]
    return rows


def _rows(streams: Sequence[StreamRun], chunks: int) -> list[dict[str, Any]]:
    cells: dict[tuple[Label, str, str], list[list[Trial]]] = defaultdict(
        lambda: [[] for _ in streams]
    )
    for number, stream in enumerate(streams):
        for trial in stream.trials:
            for type in (trial.type, "all"):
                for age in (trial.age, "all"):
                    cells[trial.label, type, age][number].append(trial)
    return [
        asdict(label)
        | {"chunks": chunks, "type": type, "age": age}
        | _measured([trials for trials in cells[label, type, age] if trials], chunks)
        for label, type, age in sorted(cells)
    ]


def _measured(by_stream: Sequence[Sequence[Trial]], chunks: int) -> dict[str, Any]:
    cell = [trial for trials in by_stream for trial in trials]
    recalled = [t.is_recalled for t in cell if t.is_recalled is not None]
    return {
        "n": len(cell),
        "accuracy": round(sum(t.is_right for t in cell) / len(cell), 4),
        "ci": interval([[t.is_right for t in trials] for trials in by_stream]),
        "recall_at_k": round(sum(recalled) / len(recalled), 4) if recalled else None,
        "tokens_per_chunk": round(sum(t.tokens for t in cell) / len(cell) / chunks, 2),
        "ttft_ms": round(float(np.median([t.first_token_ms for t in cell])), 1),
    }


def interval(by_stream: Sequence[Sequence[bool]]) -> list[float]:
    """Give the 95 % interval of the accuracy, by a bootstrap over streams."""
    right = np.array([sum(answers) for answers in by_stream])
    asked = np.array([len(answers) for answers in by_stream])
    dealer = np.random.default_rng(0)
    drawn = dealer.integers(len(right), size=(RESAMPLES, len(right)))
    means: NDArray[np.float64] = right[drawn].sum(axis=1) / asked[drawn].sum(axis=1)
    return [round(float(edge), 4) for edge in np.quantile(means, (0.025, 0.975))]


def show(result: Mapping[str, Any]) -> None:
    """Print a table per length: a row per context, a column per type and per age."""
    out, rows = Console(width=220), result["rows"]
    for chunks in sorted({row["chunks"] for row in rows}):
        here = [row for row in rows if row["chunks"] == chunks]
        margins = margins_of(here)
        heads = [f"{name}\nn={n}" for name, n in margins.items()]
        table = Table("context", *BESIDE, *heads, title=f"{chunks} chunks, % right")
        for label, cells in by_label(here).items():
            values = (
                f"{100 * cells[name]['accuracy']:.0f}" if name in cells else ""
                for name in margins
            )
            table.add_row(name_of(label), *beside(cells["all"]), *values)
        out.print(table)
        out.print(str(costs_of(result, chunks)))


def beside(row: dict[str, Any]) -> list[str]:
    """Write the columns of `BESIDE`."""
    recall, (low, high) = row["recall_at_k"], row["ci"]
    return [
        f"{row['tokens_per_chunk']:.1f}",
        f"{row['ttft_ms']:.0f}",
        "" if recall is None else f"{100 * recall:.0f}",
        f"{100 * low:.0f}-{100 * high:.0f}",
    ]


def margins_of(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Give the questions in each margin: `all`, then the types, then the ages."""
    counts: dict[str, int] = {}
    for cells in by_label(rows).values():
        counts |= {name: row["n"] for name, row in cells.items()}
    ages = [f"age {age}" for age in (*AGES, WHOLE)]
    types = sorted(counts.keys() - {"all", *ages})
    return {name: counts[name] for name in ("all", *types, *ages) if name in counts}


def by_label(rows: Sequence[dict[str, Any]]) -> dict[Label, dict[str, dict[str, Any]]]:
    """Give each context's rows in a margin: by type, or by age as `age <age>`."""
    found: dict[Label, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        label = Label(row["context"], row["h_factor"], row["l_factor"], row["k"])
        if row["age"] == "all":
            found[label][row["type"]] = row
        elif row["type"] == "all":
            found[label][f"age {row['age']}"] = row
    return found


def name_of(label: Label) -> str:
    """Write a context's name with what tells it from its like."""
    factor = f" {label.h_factor:g}x" if label.context == "h_only" else ""
    chosen = f" k={label.k}" if label.k else ""
    return f"{label.context}{factor}{chosen}"
