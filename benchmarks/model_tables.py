"""Tables of docs/models.md, from what `benchmarks.change` and `.decode` wrote."""

from collections.abc import Mapping, Sequence
from typing import Any


def change_table(result: Mapping[str, Any]) -> str:
    """Give what leaving out unchanged tokens saves: share left out, time saved."""
    rows = result["rows"]
    thresholds = sorted({row["least_change"] for row in rows} - {0.0})
    head = ["clip (chunks)", "whole", *(f"{least:g}" for least in thresholds)]
    lines = []
    for clip in dict.fromkeys(row["clip"] for row in rows):
        found = {row["least_change"]: row for row in rows if row["clip"] == clip}
        cells = [_saved(found[least]) for least in thresholds]
        whole = found[0.0]
        named = f"{clip} ({whole['chunks']})"
        lines.append([named, f"{whole['prefill_ms']:.0f} ms", *cells])
    return _table(result, head, lines)


def decode_table(result: Mapping[str, Any]) -> str:
    """Give tokens per second and memory against `generate`, and side by side."""
    head = [
        *("model", "context, tokens", "tokens/s", "`generate`", "memory", "`generate`"),
        *("2 questions", "4 questions"),
    ]
    lines = [
        [
            f"{row['model']}, {row['parameters'] / 1e6:.1f} M",
            f"{row['context_tokens']:,}",
            f"{row['ours_tokens_per_s']:.0f}",
            f"{row['stock_tokens_per_s']:.0f}",
            f"{row['ours_peak_bytes'] / 1e6:.0f} MB",
            f"{row['stock_peak_bytes'] / 1e6:.0f} MB",
            f"{row['2_questions_tokens_per_s']:.0f}",
            f"{row['4_questions_tokens_per_s']:.0f}",
        ]
        for row in result["rows"]
    ]
    return _table(result, head, lines)


def _saved(row: Mapping[str, Any]) -> str:
    return f"{100 * row['left_out']:.0f} %, {100 * row['saved']:.0f} %"


def _table(
    result: Mapping[str, Any], head: Sequence[str], lines: Sequence[Sequence[str]]
) -> str:
    """Write a table below what it was measured by."""
    versions = result["versions"]
    facts = (
        f"`{result['command']}`, {result['machine']}, torch {versions['torch']}, "
        f"commit {result['commit']}:"
    )
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join([facts, "", *(f"| {' | '.join(row)} |" for row in rows)])
