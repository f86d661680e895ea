"""What the archive does and costs here: its rates, its bytes, and a restart.

Run `python -m benchmarks.archive [--json FILE]`.

The server is the product's own embedded one, which has every write on the disk before
it acknowledges it. Ratios are of rates, ours over the other's: above 1 ours is faster.
What is compared is told in `benchmarks.archive_rates` and `benchmarks.archive_restart`.

For the bytes per second of video, the built-in model prefills a simulated camera as in
the product, and the same moments are encoded as H.264: as large as the camera sends
them and as large as the model sees them; at the rate they were sampled at, and with 25
frames a second. Container bytes are not counted. At a constant rate factor x264 gives a
frame that is shown for longer more bits, so that fewer frames may take more bytes.
"""

import argparse
import asyncio
import io
import json
import os
import shlex
import tempfile
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from agent.vlm.loading import ModelSettings, load_model
from benchmarks import archive_rates, archive_restart
from benchmarks.archive_ways import SHAPES
from benchmarks.contexts import HIGH, LOW, Setup
from benchmarks.environment import describe
from benchmarks.footage import BEGAN_S
from benchmarks.options import Parser, at_least, result_file
from ingest.simulation.renderer import render
from ingest.simulation.world import World
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.kv import KV, ChunkId, ChunkKV, Level
from memory.writing import write_chunk
from training.evaluate import CHUNK_S, FPS, SIZE, film_world

PROG = "python -m benchmarks.archive"
PARTS = ("rates", "video", "restart")
CAMERA_FPS = 25
MODEL_SIDE = 64  # of a frame as the built-in model sees it
CODEC = {"crf": "23", "preset": "medium"}
PIXELS = "yuv420p"
SERVER = {
    "kind": "embedded Valkey, Unix socket",
    "appendonly": "yes",
    "appendfsync": "always",
}

Picture = NDArray[np.uint8]


def measure_video(chunks: int, seed: int) -> dict[str, Any]:
    """Give bytes per second of a simulated camera, as memory and as H.264.

    Args:
        chunks: How many to prefill.
        seed: Of its world.
    """
    world, seconds = World(seed), chunks * CHUNK_S
    clips = [
        {"side": side, "fps": fps, "bytes_per_s": _clip(world, side, fps, seconds)}
        for side in (SIZE, MODEL_SIDE)
        for fps in (round(FPS), CAMERA_FPS)
    ]
    rows: list[dict[str, Any]] = []
    for numbers, stored in _stored(world, chunks).items():
        rate = sum(stored.values()) / seconds
        sizes = {f"{level.name.lower()}_bytes": stored[level] for level in Level}
        rows.append({"numbers": numbers, **sizes, "bytes_per_s": round(rate, 1)})
        for clip in clips:
            name = f"times_h264_{clip['side']}_px_{clip['fps']}_fps"
            rows[-1][name] = round(rate / clip["bytes_per_s"], 2)
    return {
        "chunks": chunks,
        "seconds": seconds,
        "h264": {"encoder": "libx264", "pixels": PIXELS, **CODEC},
        "clips": clips,
        "rows": rows,
    }


def _clip(world: World, side: int, fps: int, seconds: float) -> float:
    """Give bytes per second of a world's H.264."""
    moments = range(round(seconds * fps))
    frames = (render(world, BEGAN_S + number / fps, side) for number in moments)
    return round(encode(frames, side, fps) / seconds, 1)


def _stored(world: World, chunks: int) -> dict[str, dict[Level, int]]:
    """Give the bytes that the chunks take at each level, by numbers."""
    model, setup = load_model(ModelSettings()), Setup(context_chunks=1)
    ways = {
        numbers: BiLevel(
            LevelSettings(HIGH.method, HIGH.factor, numbers),
            LevelSettings(LOW.method, LOW.factor, numbers),
            model.heads,
            setup.index_keys,
        )
        for numbers in archive_rates.NUMBERS
    }
    stored = {numbers: dict.fromkeys(Level, 0) for numbers in ways}
    sink = model.prefill_sink()
    context: list[KV] = []
    for frames in film_world(world, BEGAN_S, chunks):
        whole: ChunkKV = model.prefill(frames, [sink, *context])
        times = round(frames.start_s * 1000), round(frames.end_s * 1000)
        for numbers, levels in ways.items():
            made = levels.compress_chunk(ChunkId("bench", *times), whole)
            context = [made.memory.high]  # the same whatever it is written as
            blobs, _ = write_chunk(made, levels, model.fingerprint)
            for level, blob in blobs.items():
                stored[numbers][level] += len(blob)
    return stored


def encode(frames: Iterable[Picture], side: int, fps: int) -> int:
    """Give the bytes of frames (side, side, 3) as H.264, without a container's."""
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=CODEC)
        stream.width = stream.height = side
        stream.pix_fmt = PIXELS
        pictures = (av.VideoFrame.from_ndarray(frame, "rgb24") for frame in frames)
        num_bytes = 0
        for picture in chain(pictures, [None]):
            num_bytes += sum(packet.size for packet in stream.encode(picture))
    return num_bytes


async def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Give what was asked for, part by part."""
    found: dict[str, Any] = {}
    if "rates" in asked.parts:
        rows = archive_rates.measure(
            folder / "rates", asked.shapes, asked.seconds, asked.seed
        )
        found["rates"] = [row async for row in rows]
    if "video" in asked.parts:
        found["video"] = await asyncio.to_thread(
            measure_video, asked.video_chunks, asked.seed
        )
    if "restart" in asked.parts:
        found["restart"] = await archive_restart.measure(
            folder / "restart", asked.restart_chunks, asked.seed
        )
    return found


def show(found: dict[str, Any]) -> None:
    """Print a table for each part."""
    console = Console()
    if "rates" in found:
        _show_rates(console, found["rates"])
    if "video" in found:
        rows = found["video"]["rows"]
        table = Table("", *(row["numbers"] for row in rows))
        for name in list(rows[0])[1:]:
            table.add_row(name, *(str(row[name]) for row in rows))
        console.print(table)
        _show_facts(console, {k: v for k, v in found["video"].items() if k != "rows"})
    if "restart" in found:
        _show_facts(console, found["restart"])


def _show_rates(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    names = ("put_mb_per_s", "put_ratio", "get_mb_per_s", "get_ratio")
    for row in rows:
        title = f"{row['shape']}, {row['numbers']}, {row['in_flight']} in flight"
        table = Table("", *names, title=title)
        for way in row["ways"]:
            table.add_row(way["way"], *(str(way[name]) for name in names))
        console.print(table)


def _show_facts(console: Console, facts: dict[str, Any]) -> None:
    table = Table(show_header=False)
    for name, value in facts.items():
        table.add_row(name, str(value))
    console.print(table)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog=PROG, description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=result_file, help="where to write the result")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="for each row of rates"
    )
    parser.add_argument(
        "--shapes",
        nargs="+",
        choices=SHAPES,
        default=["builtin", "qwen2.5-vl-7b"],
    )
    parser.add_argument("--video-chunks", type=at_least(2), default=30)
    parser.add_argument(
        "--restart-chunks", type=at_least(1), default=archive_restart.DAY_CHUNKS
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(words)


def _command(asked: argparse.Namespace) -> str:
    options = {
        "--parts": asked.parts,
        "--shapes": asked.shapes,
        "--seconds": [asked.seconds],
        "--video-chunks": [asked.video_chunks],
        "--restart-chunks": [asked.restart_chunks],
        "--seed": [asked.seed],
    }
    words = [word for name, given in options.items() for word in (name, *given)]
    return f"{PROG} {shlex.join(map(str, words))}"


def main() -> None:
    """Measure, show, write."""
    asked = parse()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="lw-") as name:
        found = asyncio.run(measure(asked, Path(name)))
    show(found)
    if asked.json:
        facts = {
            "command": _command(asked),
            **describe(),
            "threads": torch.get_num_threads(),
            "load_before": load,
            "seed": asked.seed,
            "server": SERVER,
            **found,
        }
        asked.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
