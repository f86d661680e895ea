"""Frames per second of many cameras: their chunks side by side, and one by one.

Run `python -m benchmarks.cameras [--model NAME] [--json FILE]`. Both ways go through
the same prefill in turns, so that what else the machine does falls on both.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from agent.config_sections import ModelConfig
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from benchmarks.environment import describe
from ingest.frame import FrameChunk
from memory.kv import KV
from training.evaluate import film
from training.split import Split

CAMERAS = (1, 4, 16, 64)
TURNS = 5


def measure(
    model: VisionLanguageModel, cameras: Sequence[int], turns: int
) -> list[dict[str, Any]]:
    """Give a row per number of cameras, with a chunk of each waiting.

    Args:
        model: The model.
        cameras: How many wait at once.
        turns: Of both ways; the median counts.
    """
    sink = model.prefill_sink()
    worlds = [Split.VALIDATION.world(n) for n in range(max(cameras))]
    chunks = [chunk for world in worlds for chunk in film(world, 1)]
    limit = ModelConfig().prefill_tokens
    fitting = max(1, limit // model.num_visual_tokens(chunks[0]))
    prefill(model, chunks[:1], 1, sink)  # the first call of a process is slow
    rows = []
    for count in cameras:
        waiting = chunks[:count]
        frames = sum(len(chunk.pixels) for chunk in waiting)
        spent = [
            [prefill(model, waiting, size, sink) for size in (1, fitting)]
            for _ in range(turns)
        ]
        alone, together = (
            round(frames / median(way), 1) for way in zip(*spent, strict=True)
        )
        rows.append(
            {
                "cameras": count,
                "batch": min(fitting, count),
                "frames_per_s_one_by_one": alone,
                "frames_per_s_side_by_side": together,
                "times": round(together / alone, 2),
            }
        )
    return rows


def prefill(
    model: VisionLanguageModel, chunks: Sequence[FrameChunk], size: int, sink: KV
) -> float:
    """Prefill chunks in batches of a size; give seconds."""
    began = time.perf_counter()
    for start in range(0, len(chunks), size):
        part = chunks[start : start + size]
        model.prefill_batch(part, [[sink]] * len(part), [0.0] * len(part))
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter() - began


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cameras", description=__doc__
    )
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    model = load_model(ModelSettings(name=arguments.model))
    rows = measure(model, CAMERAS, TURNS)
    table = Table(*rows[0], title=f"{model.device}, {torch.get_num_threads()} threads")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    if arguments.json:
        facts = {"command": "python -m benchmarks.cameras", "model": model.name}
        facts |= {"threads": torch.get_num_threads(), **describe(), "rows": rows}
        arguments.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
