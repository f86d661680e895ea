"""Write the tables of README and docs from the results: a figure is never typed.

Run `python -m benchmarks.tables` after a benchmark has written its JSON to
`benchmarks/results/path.json` or `accuracy.json`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contexts import Label
from benchmarks.rows import by_label, margins_of, name_of

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CONTEXTS = (
    *("full", "bilevel", "oracle", "random", "flat", "h_only", "l_only"),
    *("recent", "uniform", "rekv", "blind"),
)


def path_table(result: dict[str, Any]) -> str:
    """Give the table of the path's costs, with what it was measured by."""
    ingest, chunk = result["ingest"], result["per_chunk"]
    resident, low = chunk["resident_bytes"], chunk["archive_bytes_l"]
    lines = [
        f"`{result['command']}`, {result['model']} model, {result['machine']}, "
        f"torch {result['versions']['torch']}, commit {result['commit']}, "
        f"seed {result['seed']}:",
        "",
        "| what | Longwatch | the stock model alone |",
        "|---|---|---|",
        f"| chunks per second, whole ingest (median of {ingest['turns']} turns) | "
        f"{ingest['chunks_per_s']} | {ingest['bare_chunks_per_s']} "
        f"(ratio {ingest['ratio']}, {ingest['ratio_min']} to {ingest['ratio_max']}; "
        f"{ingest['overhead_ms_per_chunk']} ms per chunk more) |",
    ]
    for row in result["first_token"]:
        what = f"first token over {row['minutes']} min ({row['chunks']} chunks)"
        ours, alone = row["longwatch_ms"], row["stock_ms"]
        lines.append(f"| {what} | {ours} ms | {alone} ms |")
    lines += [
        "",
        "| per chunk | tokens | bytes |",
        "|---|---|---|",
        f"| as prefilled | {chunk['tokens_in']:.0f} | {chunk['full_bytes']:,} |",
        f"| H-KV on the device | {chunk['tokens_h']:.0f} | {resident:,} |",
        f"| index keys on the device | | {chunk['index_bytes']:,} |",
        f"| L-KV in the archive | {chunk['tokens_l']:.0f} | {low:,} |",
        f"| H-KV and index in the archive | | {chunk['archive_bytes_h']:,} |",
    ]
    return "\n".join(lines)


def accuracy_table(result: dict[str, Any]) -> str:
    """Give what each context is worth in answers, by type and by age, per length."""
    worlds = result.get("worlds", result["seeds"])
    lines = [
        f"`{result['command']} --split {result['split']}`, {result['model']} model "
        f"({result['fingerprint']}), {len(worlds)} worlds from {min(worlds)} to "
        f"{max(worlds)}, H-KV by {_told(result['high'])}, L-KV by "
        f"{_told(result['low'])}, {result['index_keys']} index keys, "
        f"{result['machine']}, torch {result['versions']['torch']}, "
        f"commit {result['commit']}.",
    ]
    for chunks in sorted({row["chunks"] for row in result["rows"]}):
        rows = [row for row in result["rows"] if row["chunks"] == chunks]
        lines += ["", *_length_table(rows, chunks, result["chunk_s"])]
    return "\n".join(lines)


def _length_table(rows: list[dict[str, Any]], chunks: int, chunk_s: float) -> list[str]:
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


def _cell(row: dict[str, Any] | None) -> str:
    """Write an accuracy, with its interval in the margin of everything."""
    if row is None:
        return ""
    text = f"{100 * row['accuracy']:.0f}"
    if row["type"] == row["age"] == "all":
        low, high = row["ci"]
        text = f"**{text}** ({100 * low:.0f}-{100 * high:.0f})"
    return text


def _order(label: Label) -> tuple[int, Label]:
    return CONTEXTS.index(label.context), label


def _told(level: dict[str, Any]) -> str:
    return f"{level['method']} {level['factor']:g}x"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def fill(text: str, name: str, table: str) -> str:
    """Replace what stands between a page's markers of a table.

    Raises:
        ValueError: The page has no such markers.
    """
    before, begin, rest = text.partition(f"<!-- {name}:begin -->")
    _, end, after = rest.partition(f"<!-- {name}:end -->")
    if not (begin and end):
        raise ValueError(f"there is no place for the table {name}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def main() -> None:
    """Fill every table whose result is there."""
    for name, (page, write) in TABLES.items():
        result, path = RESULTS / f"{name}.json", ROOT / page
        if result.exists():
            table = write(json.loads(result.read_text()))
            path.write_text(fill(path.read_text(), name, table))


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "path": ("README.md", path_table),
    "accuracy": ("docs/accuracy.md", accuracy_table),
}

if __name__ == "__main__":
    main()
