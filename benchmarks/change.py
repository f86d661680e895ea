"""What leaving out visual tokens that hardly changed saves, on footage of real cameras.

Run `python -m benchmarks.change --videos FOLDER --json FILE`.

The share that is left out is told from pixels, and holds for every model whose token
covers 32 by 32 of them, in pairs of frames. The times are of random weights in the
proportions of Qwen2.5-VL-7B: a token costs the vision tower, which sees all of them,
0.4 times what it costs the language model, which sees those that are left.

What it costs in answers: `python -m benchmarks.accuracy --least-change 0.03`.
"""

import argparse
import json
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from agent.vlm import builtin
from agent.vlm.loading import assemble
from agent.vlm.model import VisionLanguageModel
from agent.vlm.preprocessing import PatchSettings
from benchmarks.decode import larger_config
from benchmarks.environment import describe
from benchmarks.options import Parser, at_least
from ingest.camera import read_frames
from ingest.chunker import chunk_frames
from ingest.errors import CameraError
from ingest.frame import FrameChunk
from ingest.settings import CameraSettings, Resume

PROG = "python -m benchmarks.change"
LEAST = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08)
FPS, CHUNK_FRAMES = 1.0, 8
PATCHES = PatchSettings(16, 2, 2, (0.5,) * 3, (0.5,) * 3, 1, 448 * 448)


def make_model() -> VisionLanguageModel:
    """Give random weights: 77 million for language, 8 for each of 4 patches a token."""
    tokenizer = builtin.build_tokenizer()
    config = larger_config(tokenizer)
    vision = config.vision_config
    vision.depth, vision.hidden_size, vision.intermediate_size = 10, 256, 1024
    vision.patch_size = PATCHES.patch
    module = builtin.build_module(config)
    return assemble("larger", module, tokenizer, PATCHES, is_trained=False)


def chunks_of(video: Path) -> list[FrameChunk]:
    """Read a video as a camera: full chunks of sampled frames.

    Raises:
        CameraError: It can't be read.
    """
    camera = CameraSettings(
        name="clip", address=str(video), fps=FPS, chunk_frames=CHUNK_FRAMES
    )
    frames = read_frames(camera, Resume(0.0, 0.0))
    chunks = chunk_frames(camera.name, frames, CHUNK_FRAMES, FPS)
    return [chunk for chunk in chunks if len(chunk.pixels) == CHUNK_FRAMES]


def measure(
    model: VisionLanguageModel, videos: Sequence[Path], repeats: int
) -> Iterator[dict[str, Any]]:
    """Give a row per clip and threshold."""
    sink = model.prefill_sink()
    for video in videos:
        chunks = chunks_of(video)
        model.prefill(chunks[0], [sink])  # warms up
        spent: dict[float, list[float]] = {least: [] for least in LEAST}
        dropped: dict[float, list[float]] = {least: [] for least in LEAST}
        for _ in range(repeats):
            for chunk in chunks:
                for least in LEAST:  # in turns: other load strikes all alike
                    began = time.perf_counter()
                    whole = model.prefill(chunk, [sink], least)
                    spent[least].append((time.perf_counter() - began) * 1000)
                    share = whole.num_left_out / np.prod(whole.grid)
                    dropped[least].append(float(share))
        for least in LEAST:
            yield {
                "clip": video.stem,
                "chunks": len(chunks),
                "least_change": least,
                "left_out": round(float(np.mean(dropped[least])), 3),
                "left_out_from": round(min(dropped[least]), 3),
                "left_out_to": round(max(dropped[least]), 3),
                "prefill_ms": round(median(spent[least]), 1),
                "saved": round(1 - median(spent[least]) / median(spent[0.0]), 3),
            }


def main() -> None:
    """Measure, show, write."""
    parser = Parser(
        prog=PROG,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--videos", type=Path, required=True, help="a folder of them")
    parser.add_argument("--repeats", type=at_least(1), default=3)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    asked = parser.parse_args()
    videos = sorted(asked.videos.glob("*.mp4"))
    if not videos:
        parser.error(f"there is no .mp4 in '{asked.videos}'")
    try:
        rows = list(measure(make_model(), videos, asked.repeats))
    except CameraError as exc:
        parser.error(str(exc))
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    if asked.json:
        words = ["--videos", asked.videos.name, "--repeats", str(asked.repeats)]
        facts = {
            "command": f"{PROG} {shlex.join(words)}",
            **describe(),
            "threads": torch.get_num_threads(),
            "rows": rows,
        }
        asked.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
