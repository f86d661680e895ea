"""What one prefill of a chunk costs: without summary tokens, with them, and twice.

Run `python -m benchmarks.prefill`.

Video-X2L prefills a chunk once per level, each time with summary tokens of one density
(arXiv 2506.21184); Longwatch's compression needs one prefill and no such tokens, and
its own way of training them one prefill with both.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from benchmarks.environment import describe
from ingest.frame import FrameChunk
from training.evaluate import film
from training.split import Split

FOLDER = Path(__file__).parent / "summary_model"
TURNS = 40


def measure(model: VisionLanguageModel, turns: int) -> list[dict[str, Any]]:
    """Give a row per way: tokens prefilled for a chunk, and milliseconds.

    Args:
        model: One that was trained to write summaries.
        turns: Chunks that each way prefills.
    """
    chunks = film(Split.VALIDATION.world(0), turns)
    config = model.module.config
    sparse, dense = trained = config.summary_token_ids
    ways: dict[str, tuple[list[list[int]], ...]] = {
        "none: one prefill": ([],),
        "both densities: one prefill": ([sparse, dense],),
        "each density: two prefills": ([sparse], [dense]),
    }
    rows = []
    for name, passes in ways.items():
        tokens, spent_ms = _time(model, chunks, passes)
        rows.append({"summary_tokens": name, "tokens": tokens, "ms": spent_ms})
    config.summary_token_ids = trained
    for row in rows:
        row["times_none"] = round(row["ms"] / rows[0]["ms"], 2)
    return rows


def _time(
    model: VisionLanguageModel,
    chunks: list[FrameChunk],
    passes: tuple[list[list[int]], ...],
) -> tuple[int, float]:
    sink = model.prefill_sink()
    spent, tokens = [], 0
    for chunk in chunks:
        tokens, took_ms = 0, 0.0
        for sets in passes:
            model.module.config.summary_token_ids = sets
            whole, ms = _timed(lambda c=chunk: model.prefill(c, [sink]))
            tokens, took_ms = tokens + whole.kv.num_tokens, took_ms + ms
        spent.append(took_ms)
    return tokens, round(median(spent), 2)


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = call()
    return result, (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(FOLDER))
    parser.add_argument("--json", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    rows = measure(load_model(ModelSettings(name=arguments.model)), TURNS)
    table = Table(*rows[0], title=f"{TURNS} chunks, {torch.get_num_threads()} threads")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    if arguments.json:
        facts = {"command": "python -m benchmarks.prefill", **describe(), "rows": rows}
        arguments.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
