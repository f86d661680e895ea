"""Write the tables of README and docs from the results: a figure is never typed.

Run `python -m benchmarks.tables` after a benchmark has written its JSON to
`benchmarks/results/`: `path.json`, `change.json`, `decode.json`, `written.json`,
`long-run.json`, `long-run-7b.json`, `index-speed.json`, `archive.json`, `ingest.json`,
`sampling.json`, `soak.json`, `standing.json`, `standing-margins.json`,
`abstention.json`, or an `accuracy*.json` there: `accuracy.json` of 32 chunks, `-now`
of one type, `-128` to `-2700` of longer streams, `-summary` of weights that were
trained to summarise, `-float32` to `-int4` of KV written in so many bits.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.abstention_table import abstention_table
from benchmarks.accuracy_table import accuracy_table
from benchmarks.ingest_table import cameras_sentence, ingest_table
from benchmarks.memory_tables import (
    age_table,
    archive_table,
    index_table,
    shape_table,
)
from benchmarks.model_tables import change_table, decode_table
from benchmarks.numbers_table import WAYS, numbers_table, written_table
from benchmarks.sampling_table import sampling_table
from benchmarks.soak_table import soak_table
from benchmarks.standing_table import margins_sentence, standing_table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


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


def write_accuracy(result: dict[str, Any]) -> str:
    """Give the table of answers; `now` from a run of its own where there is one."""
    path = RESULTS / "accuracy-now.json"
    now = json.loads(path.read_text()) if path.exists() else None
    return accuracy_table(result, now)


def write_numbers(result: dict[str, Any]) -> str:
    """Give the table of numbers in fewer bits, of all those that were run."""
    paths = {way: RESULTS / f"accuracy-{way}.json" for way in WAYS}
    results = {
        way: json.loads(path.read_text())
        for way, path in paths.items()
        if path.exists()
    }
    return numbers_table(results, max(result["top_k"]))


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
        result, path = RESULTS / f"{RESULT_OF.get(name, name)}.json", ROOT / page
        if result.exists():
            table = write(json.loads(result.read_text()))
            path.write_text(fill(path.read_text(), name, table))


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "path": ("README.md", path_table),
    "accuracy": ("docs/accuracy.md", write_accuracy),
    "accuracy-int4": ("docs/accuracy.md", write_numbers),
    "written": ("docs/accuracy.md", written_table),
    "change": ("docs/models.md", change_table),
    "decode": ("docs/models.md", decode_table),
    "long-run": ("docs/accuracy.md", age_table),
    "long-run-7b": ("docs/accuracy.md", shape_table),
    "index-speed": ("docs/accuracy.md", index_table),
    "archive": ("docs/archive.md", archive_table),
    "ingest": ("docs/cameras.md", ingest_table),
    "cameras-per-core": ("README.md", cameras_sentence),
    "sampling": ("docs/cameras.md", sampling_table),
    "soak": ("docs/cameras.md", soak_table),
    "abstention": ("docs/abstention.md", abstention_table),
    "standing": ("docs/standing.md", standing_table),
    "standing-margins": ("docs/standing.md", margins_sentence),
    **{
        f"accuracy-{name}": ("docs/accuracy.md", accuracy_table)
        for name in ("128", "1024", "2700", "summary")
    },
}
RESULT_OF = {"cameras-per-core": "ingest"}  # of another name than the table's

if __name__ == "__main__":
    main()
