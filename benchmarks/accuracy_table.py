"""The tables of docs/accuracy.md from the JSON of `benchmarks.accuracy`.

One moment of a stream can be asked about as `now`, so that this type takes many more
streams than the others: its column may come from a run of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.contexts import TOP_K, Label
from benchmarks.costs import costs_of
from benchmarks.rows import by_label, margins_of, name_of
from benchmarks.streams import AGES, WHOLE

CONTEXTS = (
    *("full", "bilevel", "oracle", "random", "flat", "h_only", "l_only"),
    *("recent", "uniform", "rekv", "blind"),
)
BY_AGE = (("full", 0), ("bilevel", max(TOP_K)))
NOW = "now"  # as a type of question
_SAME = (
    *("split", "fingerprint", "high", "low", "index_keys", "context_chunks"),
    "chunk_s",
)

Rows = Sequence[dict[str, Any]]


def accuracy_table(
    result: Mapping[str, Any], now: Mapping[str, Any] | None = None
) -> str:
    """Give what each context is worth in answers, by type and by age, per length.

    Args:
        result: Of the run.
        now: Of a run of the type `now` alone, whose rows take the place of those here.

    Raises:
        ValueError: Both runs are of different settings.
    """
    lines = [
        f"`{result['command']} --split {result['split']}`, {result['model']} model "
        f"({result['fingerprint']}), {_worlds(result)}, H-KV by "
        f"{_told(result['high'])}, L-KV by {_told(result['low'])}, "
        f"{result['index_keys']} index keys, {result['machine']}, torch "
        f"{result['versions']['torch']}, commit {result['commit']}. After ± stands "
        "half the width of the 95 % interval, nothing where the streams are all alike."
    ]
    if now is not None:
        result = _with_now(result, now)
        lengths = " ".join(str(chunks) for chunks in _lengths(now["rows"]))
        lines += [
            "",
            f"The type `now` is of `{now['command']} --split {now['split']} --types "
            f"{' '.join(now['types'])} --each {now['each']} --chunks {lengths}`, "
            f"{_worlds(now)}, commit "
            f"{now['commit']}; it is counted in `all` and in the ages as often as "
            "the other run asked it.",
        ]
    for chunks in _lengths(result["rows"]):
        rows = [row for row in result["rows"] if row["chunks"] == chunks]
        lines += ["", *_length_table(rows, chunks, result["chunk_s"])]
        lines += ["", str(costs_of(result, chunks))]
        lines += ["", *_age_table(rows, chunks)]
    return "\n".join(lines)


def _with_now(result: Mapping[str, Any], now: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the result with the rows of `now` in the lengths that it was asked in."""
    for name in _SAME:
        if result.get(name) != now.get(name):
            raise ValueError(f"`now` was run with another {name}: {now.get(name)}")
    asked = {row["chunks"] for row in now["rows"]}
    there = {(row["chunks"], _label(row)) for row in result["rows"]}
    taken = [
        row
        for row in now["rows"]
        if row["type"] == NOW and (row["chunks"], _label(row)) in there
    ]
    left = [
        row
        for row in result["rows"]
        if row["type"] != NOW or row["chunks"] not in asked
    ]
    return {**result, "rows": [*left, *taken]}


def _length_table(rows: Rows, chunks: int, chunk_s: float) -> list[str]:
    margins, found = margins_of(rows), by_label(rows)
    heads = [name if name != "all" else "all (95 %)" for name in margins]
    counts = [str(count) for count in margins.values()]
    fixed = ["context", "tokens a chunk", "first token", "recall@k"]
    lines = [
        f"**{chunks} chunks ({chunks * chunk_s / 60:.0f} min)**, per cent right:",
        "",
        _line([*fixed, *heads]),
        _line(["---"] * (len(fixed) + len(heads))),
        _line(["questions", "", "", "", *counts]),
    ]
    for label in sorted(found, key=_order):
        cells = found[label]
        whole = cells["all"]
        recall = whole["recall_at_k"]
        lines.append(
            _line(
                [
                    name_of(label),
                    f"{whole['tokens_per_chunk']:.1f}",
                    f"{whole['ttft_ms']:.0f} ms",
                    "" if recall is None else f"{100 * recall:.0f}",
                    *(_cell(cells.get(name)) for name in margins),
                ]
            )
        )
    return lines


def _age_table(rows: Rows, chunks: int) -> list[str]:
    """Give type by age for full KV and the mix, where a length has them."""
    cells = {(_label(row), row["type"], row["age"]): row for row in rows}
    shown = [label for label in by_label(rows) if (label.context, label.k) in BY_AGE]
    shown.sort(key=_order)
    types = sorted({row["type"] for row in rows} - {"all"})
    there = {row["age"] for row in rows}
    ages = [age for age in (*AGES, WHOLE) if age in there]
    if not shown:
        return []
    names = " / ".join(name_of(label) for label in shown)
    lines = [
        f"**{chunks} chunks by type and age**, per cent right of {names} (questions):",
        "",
        _line(["type", *ages]),
        _line(["---"] * (1 + len(ages))),
    ]
    for type in types:
        found = [[cells.get((label, type, age)) for label in shown] for age in ages]
        lines.append(_line([type, *map(_age_cell, found)]))
    return lines


def _age_cell(rows: Sequence[dict[str, Any] | None]) -> str:
    counts = {row["n"] for row in rows if row is not None}
    if not counts:
        return ""
    told = ("-" if row is None else f"{100 * row['accuracy']:.0f}" for row in rows)
    return f"{' / '.join(told)} ({max(counts)})"


def _cell(row: dict[str, Any] | None) -> str:
    """Write an accuracy with its interval."""
    if row is None:
        return ""
    text = f"{100 * row['accuracy']:.0f}"
    low, high = row["ci"]
    if row["type"] == row["age"] == "all":
        return f"**{text}** ({100 * low:.0f}-{100 * high:.0f})"
    return f"{text} ±{50 * (high - low):.0f}" if low < high else text


def _lengths(rows: Rows) -> list[int]:
    return sorted({row["chunks"] for row in rows})


def _label(row: Mapping[str, Any]) -> Label:
    return Label(row["context"], row["h_factor"], row["l_factor"], row["k"])


def _order(label: Label) -> tuple[int, Label]:
    return CONTEXTS.index(label.context), label


def _worlds(result: Mapping[str, Any]) -> str:
    """Tell the worlds; before `worlds` was written, `seeds` were the worlds."""
    worlds = result.get("worlds", result["seeds"])
    told = f"{len(worlds)} worlds from {min(worlds)} to {max(worlds)}"
    return f"{told} (seeds {_ranges(result['seeds'])})" if "worlds" in result else told


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers as the command line takes them."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def _told(level: Mapping[str, Any]) -> str:
    return f"{level['method']} {level['factor']:g}x"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
