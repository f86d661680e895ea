"""Tables of docs/accuracy.md: what fewer bits in the archive cost in answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from memory.codec import NUMBERS

WAYS = [numbers for numbers in NUMBERS if numbers != "model"]


def numbers_table(results: Mapping[str, Mapping[str, Any]], k: int) -> str:
    """Give the mix's answers by type and age, a row for each way of writing numbers.

    Args:
        results: Of `benchmarks.accuracy`, by the numbers it was run with.
        k: Chunks re-loaded.
    """
    found = {way: _margins(results[way]["rows"], k) for way in WAYS if way in results}
    names = list(next(iter(found.values())))
    first = next(iter(results.values()))
    commits = ", ".join(sorted({result["commit"] for result in results.values()}))
    command = (
        f"`{first['command']} --split {first['split']} --contexts bilevel "
        "--high novelty:16:NUMBERS --low novelty:2:NUMBERS`"
    )
    lines = [
        f"{command}, {len(first['worlds'])} worlds of 32 chunks, k = {k}, "
        f"{first['machine']}, commit {commits}; per cent right (questions):",
        "",
        _line(["numbers", "bytes a chunk", "recall@k", *names]),
        _line(["---"] * (len(names) + 3)),
    ]
    for way, cells in found.items():
        whole = cells["all"]
        shown = [_cell(cells[name], whole=way == WAYS[0]) for name in names]
        recall = f"{100 * whole['recall_at_k']:.1f}"
        stored = f"{whole['archive_bytes_per_chunk']:,}"
        lines.append(_line([way, stored, recall, *shown]))
    return "\n".join(lines)


def written_table(result: Mapping[str, Any]) -> str:
    """Give what was measured on real language weights."""
    lines = [
        f"`{result['command']}`, {len(result['logs'])} logs of 32 chunks, "
        f"{result['machine']}, torch {result['versions']['torch']}, commit "
        f"{result['commit']}:",
        "",
        _line(["numbers", "bytes a chunk", "needles found, %", "perplexity"]),
        _line(["---"] * 4),
    ]
    for row in result["rows"]:
        found = f"{100 * row['needle_accuracy']:.1f} ({row['needles']})"
        stored = f"{row['archive_bytes_per_chunk']:,}"
        lines.append(_line([row["numbers"], stored, found, f"{row['perplexity']:.3f}"]))
    return "\n".join(lines)


def _margins(rows: Sequence[Mapping[str, Any]], k: int) -> dict[str, Mapping[str, Any]]:
    """Give the margins of the mix: over all, by type, by age."""
    mix = [row for row in rows if row["context"] == "bilevel" and row["k"] == k]
    by_type = {row["type"]: row for row in mix if row["age"] == "all"}
    by_age = {f"age {row['age']}": row for row in mix if row["type"] == "all"}
    by_age.pop("age all")
    return {"all": by_type.pop("all"), **by_type, **by_age}


def _cell(row: Mapping[str, Any], *, whole: bool) -> str:
    told = f"{100 * row['accuracy']:.1f}"
    return f"{told} ({row['n']})" if whole else told


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
