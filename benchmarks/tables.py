"""Write the README's tables from the results: a figure is never typed.

Run `python -m benchmarks.tables` after a benchmark has written its JSON.
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "path.json"


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
        stock = row["stock_ms"]
        alone = f"{stock} ms" if stock is not None else "not run"
        lines.append(f"| {what} | {row['longwatch_ms']} ms | {alone} |")
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


def main() -> None:
    """Replace what stands between the README's markers."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, rest = text.split("<!-- path:begin -->", 1)
    _, after = rest.split("<!-- path:end -->", 1)
    table = path_table(json.loads(RESULT.read_text()))
    readme.write_text(f"{before}<!-- path:begin -->\n{table}\n<!-- path:end -->{after}")


if __name__ == "__main__":
    main()
