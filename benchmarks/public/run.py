"""A public benchmark from a local copy: a row per context, a column per group.

Run `python -m benchmarks.accuracy --dataset vnbench --root DIR --model NAME`; how the
folder looks for each benchmark is in docs/public-benchmarks.md. Every question is asked
in the contexts that Video-X2L (arXiv 2506.21184) compares: full KV where it fits, L-KV
only, H-KV only, and both with the most relevant chunks re-loaded; and blind. The same
command again goes on where a run was cut off.
"""

import argparse
import asyncio
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from agent.config_sections import MemoryConfig, ModelConfig
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from benchmarks.contexts import Setup
from benchmarks.environment import describe
from benchmarks.opening import open_store
from benchmarks.options import Parser, at_least, result_file
from benchmarks.public import (
    longvideobench,
    mlvu,
    ovobench,
    scoring,
    streamingbench,
    videomme,
    vnbench,
)
from benchmarks.public.asking import Inquiry
from benchmarks.public.finished import Finished, Videos
from benchmarks.public.items import Item
from benchmarks.public.reading import DatasetError
from benchmarks.public.scoring import Score, Scorer, is_right
from benchmarks.public.watching import Context, Viewer, ViewSettings
from memory.compression.bilevel import LevelSettings

MEMORY = MemoryConfig()  # the product's own defaults
HIGH = LevelSettings(MEMORY.high_method, MEMORY.high_factor)
LOW = LevelSettings(MEMORY.low_method, MEMORY.low_factor)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """How a benchmark is read and scored."""

    load: Callable[[Path], list[Item]]
    score: Scorer


BENCHMARKS: Mapping[str, Benchmark] = {
    "vnbench": Benchmark(vnbench.load, scoring.score_vnbench),
    "mlvu": Benchmark(mlvu.load, scoring.score_mlvu),
    "videomme": Benchmark(videomme.load, scoring.score_videomme),
    "longvideobench": Benchmark(longvideobench.load, scoring.score_longvideobench),
    "streamingbench": Benchmark(streamingbench.load_real_time, scoring.score_real_time),
    "streamingbench-proactive": Benchmark(
        streamingbench.load_proactive, scoring.score_proactive
    ),
    "ovobench": Benchmark(ovobench.load, scoring.score_ovobench),
}


def by_video(items: Sequence[Item], limit: int | None) -> list[list[Item]]:
    """Give the items of each video, the first `limit` videos only.

    Raises:
        DatasetError: A video is not there.
    """
    videos: dict[Path, list[Item]] = {}
    for item in items:
        videos.setdefault(item.video, []).append(item)
    wanted = list(videos.items())[:limit]
    missing = [video for video, _ in wanted if not video.is_file()]
    if missing:
        reason = f"no such video; {len(missing)} of {len(wanted)} are missing"
        raise DatasetError(missing[0], "", reason)
    return [asked for _, asked in wanted]


async def ask_all(
    model: VisionLanguageModel,
    videos: Videos,
    view: ViewSettings,
    finished: Finished,
    commit: str,
) -> Inquiry:
    """Watch every video and ask everything about it, over a real archive.

    Args:
        model: The model.
        videos: The items of each video.
        view: How videos are watched and read.
        finished: The videos that were watched before; the others are added.
        commit: Of the code that watches them.

    Raises:
        CameraError: A video can't be read.
    """
    async with open_store(model, Setup(HIGH, LOW, MEMORY.index_keys)) as store:
        inquiry = Inquiry(Viewer(model, store, view))
        finished.put_into(inquiry, videos)
        for items in track(finished.left(videos), "videos"):
            await inquiry.ask_about_video(items)
            finished.add(inquiry, items, commit)
    return inquiry


def rows_of(inquiry: Inquiry, score: Scorer) -> list[dict[str, Any]]:
    """Give a row per context and column; one that lacks questions says how many."""
    every = _scores(inquiry, Context("h_only"), score)
    rows = []
    for context in inquiry.replies:
        counts = inquiry.tokens[context].values()
        scores = _scores(inquiry, context, score)
        for column, whole in every.items():
            found = scores.get(column, Score(math.nan, 0))
            rows.append(
                {
                    "context": context.name,
                    "k": context.k,
                    "column": column,
                    "accuracy": round(found.accuracy, 4) if found.num else None,
                    "n": found.num,
                    "left_out": whole.num - found.num,
                    "mean_tokens": round(sum(counts) / len(counts), 1),
                }
            )
    return rows


def _scores(inquiry: Inquiry, context: Context, score: Scorer) -> dict[str, Score]:
    return score(list(inquiry.replies[context].values()))


def replies_of(inquiry: Inquiry) -> list[dict[str, Any]]:
    """Give every reply, so that a table can be checked by hand."""
    return [
        {
            "context": context.name,
            "k": context.k,
            "id": reply.item.id,
            "group": reply.item.group,
            "answer": reply.item.answer,
            "said": reply.said,
            "at_s": reply.at_s if math.isfinite(reply.at_s) else None,
            "is_right": is_right(reply),
        }
        for context, replies in inquiry.replies.items()
        for reply in replies.values()
    ]


def show(result: Mapping[str, Any]) -> None:
    """Print the table; a column a context has not all questions of is a dash."""
    rows = result["rows"]
    columns = list(dict.fromkeys(row["column"] for row in rows))
    title = f"{result['dataset']}, {result['model']}, %"
    table = Table("context", "k", "KV tokens", *columns, title=title)
    lines: dict[Context, list[dict[str, Any]]] = {}
    for row in rows:
        lines.setdefault(Context(row["context"], row["k"]), []).append(row)
    for context, cells in lines.items():
        told = [
            "-" if cell["left_out"] else f"{100 * cell['accuracy']:.1f}"
            for cell in cells
        ]
        tokens = f"{cells[0]['mean_tokens']:.0f}"
        table.add_row(context.name, str(context.k or ""), tokens, *told)
    Console(width=max(120, 14 * len(columns) + 30)).print(table)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Read a benchmark, ask all of it that is not done yet, and score it.

    Raises:
        DatasetError: Its files are not as they should be.
        ModelLoadError: The model can't be loaded.
        CameraError: A video can't be read.
        OtherMeasurementsError: What was cut off was measured of something else.
    """
    benchmark = BENCHMARKS[arguments.dataset]
    videos = by_video(benchmark.load(arguments.root), arguments.limit)
    settings = ModelSettings(name=arguments.model, max_pixels=arguments.max_pixels)
    model, view = load_model(settings), view_of(arguments)
    environment, facts = describe(), facts_of(model, arguments.dataset, view)
    with tempfile.TemporaryDirectory() as nowhere:
        target = arguments.json or Path(nowhere) / "public.json"
        finished = Finished(target.with_name(f"{target.name}.part"), facts)
        commit = str(environment["commit"])
        inquiry = asyncio.run(ask_all(model, videos, view, finished, commit))
        result = {
            **facts,
            "videos": len(videos),
            "videos_done": len(videos),
            "is_limited": arguments.limit is not None,
            **environment,
            "commit": ", ".join(sorted(finished.commits)),
            "rows": rows_of(inquiry, benchmark.score),
            "replies": replies_of(inquiry),
        }
        if arguments.json:
            target.write_text(json.dumps(result, indent=2) + "\n")
            finished.remove()
    return result


def facts_of(
    model: VisionLanguageModel, dataset: str, view: ViewSettings
) -> dict[str, Any]:
    """Give what is measured: videos of the same facts stand in one result."""
    return {
        "command": "python -m benchmarks.accuracy",
        "dataset": dataset,
        "model": model.name,
        "fingerprint": model.fingerprint,
        "max_pixels": model.patches.max_pixels,
        "view": asdict(view),
        "h": asdict(HIGH),
        "l": asdict(LOW),
        "index_keys": MEMORY.index_keys,
    }


def view_of(arguments: argparse.Namespace) -> ViewSettings:
    """Give how videos are watched and read."""
    return ViewSettings(
        fps=arguments.fps,
        chunk_frames=arguments.chunk_frames,
        context_chunks=arguments.context_chunks,
        context_tokens=arguments.context_tokens,
        newest=MEMORY.newest_chunks,
        full_tokens=arguments.full_tokens,
        top_k=tuple(arguments.k),
    )


def make_parser() -> Parser:
    """Give what reads the command line."""
    default, chunks = ViewSettings(), ModelConfig().context_chunks
    parser = Parser(prog="python -m benchmarks.accuracy", description=__doc__)
    add = parser.add_argument
    add("--dataset", choices=sorted(BENCHMARKS), required=True)
    add("--root", type=Path, required=True, help="where its files are")
    add("--model", required=True, help="a folder or hub repository")
    add("--json", type=result_file, help="where to write rows and replies")
    add("--limit", type=at_least(1), help="so many videos only, the first ones")
    add(
        "--quick",
        action="store_const",
        const=2,
        dest="limit",
        help="the first two videos only",
    )
    add("--k", type=int, nargs="+", default=default.top_k)
    add("--fps", type=float, default=default.fps)
    add("--chunk-frames", type=int, default=default.chunk_frames)
    add("--context-chunks", type=int, default=chunks)
    add("--context-tokens", type=int, default=MEMORY.context_tokens)
    add("--full-tokens", type=int, default=default.full_tokens)
    add("--max-pixels", type=int, help="of a frame; the model's own")
    return parser


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line, measure, show."""
    parser = make_parser()
    arguments = parser.parse_args(words)
    with parser.tells():
        result = measure(arguments)
    show(result)
