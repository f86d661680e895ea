"""What the memory is worth in answers: the product's path against its controls.

Run `python -m benchmarks.accuracy --split test --seeds 0-39 --chunks 32 1024 --json
FILE`. The same command again goes on where a run was cut off.

Evaluation worlds are those of `training/split.py` that no model was trained on; choices
are made on `validation`, with --high, --low, --keys, --context, --contexts and --types:
`python -m benchmarks.accuracy --split validation --high pooling:16 --contexts bilevel`.

With `--dataset vnbench --root DIR` and others: a public benchmark, with options of its
own (docs/public-benchmarks.md).
"""

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from benchmarks.bench import Bench
from benchmarks.contexts import NAMES, TOP_K, Setup
from benchmarks.environment import describe
from benchmarks.opening import open_store
from benchmarks.partial import Partial
from benchmarks.public import run as public
from benchmarks.rows import show, summarise
from benchmarks.streams import questions_on, take_of
from ingest.simulation.questions import QuestionType
from memory.compression.bilevel import LevelSettings
from training.evaluate import CHUNK_S
from training.split import Split

WORLDS = 100_000  # of a split


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run every stream of every length that is not done yet.

    Raises:
        ValueError: What was cut off was measured of something else.
    """
    model = load_model(ModelSettings(name=arguments.model, device=arguments.device))
    environment, facts = describe(), facts_of(model, arguments)
    worlds = [world_of(arguments.split, seed) for seed in arguments.seeds]
    worlds = list(dict.fromkeys(worlds))
    due = [(world, chunks) for chunks in arguments.chunks for world in worlds]
    with tempfile.TemporaryDirectory() as nowhere:
        target = arguments.json or Path(nowhere) / "accuracy.json"
        partial = Partial(target.with_name(f"{target.name}.part"), facts)
        commit = str(environment["commit"])
        asyncio.run(run_streams(model, arguments, due, partial, commit))
        runs = [run for run in partial.runs if (run.seed, run.chunks) in due]
        result = {
            **facts,
            "seeds": worlds,
            **environment,
            "commit": ", ".join(sorted(partial.commits)),
            "threads": torch.get_num_threads(),
            "rows": summarise(runs),
        }
        if arguments.json:
            target.write_text(json.dumps(result, indent=1) + "\n")
            partial.remove()
    return result


def facts_of(
    model: VisionLanguageModel, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Give what is measured: streams of the same facts stand in one result."""
    return {
        "command": "python -m benchmarks.accuracy",
        "split": arguments.split,
        "model": model.name,
        "fingerprint": model.fingerprint,
        "device": str(model.device),
        **asdict(setup_of(arguments)),
        "top_k": list(TOP_K),
        "contexts": sorted(arguments.contexts),
        "types": sorted(arguments.types),
        "each": arguments.each,
        "chunk_s": CHUNK_S,
    }


async def run_streams(
    model: VisionLanguageModel,
    arguments: argparse.Namespace,
    due: Sequence[tuple[int, int]],
    partial: Partial,
    commit: str,
) -> None:
    """Run the streams, (world, chunks), that `partial` does not hold, and add them."""
    done = partial.done
    left = [stream for stream in due if stream not in done]
    setup = setup_of(arguments)
    async with open_store(model, setup) as store:
        bench = Bench(model, store, setup, frozenset(arguments.contexts))
        for world, chunks in track(left, "streams"):
            take = take_of(world, chunks)
            asked = questions_on(take, arguments.each)
            asked = [q for q in asked if q.type.value in arguments.types]
            partial.add(await bench.run(take, asked), commit)


def setup_of(arguments: argparse.Namespace) -> Setup:
    """Give what the memory is made like."""
    return Setup(arguments.high, arguments.low, arguments.keys, arguments.context)


def world_of(split: str, seed: int) -> int:
    """Give the world of a split that a seed names: any whole number names one."""
    return Split[split.upper()].world(seed % WORLDS)


def numbers(text: str) -> list[int]:
    """Read `3`, `0-39`, `1,5,9` or `-8--2`."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(-?\d+)(?:-(-?\d+))?", part)
        if match is None:
            raise argparse.ArgumentTypeError(f"{part!r} is no number and no range")
        first, last = match[1], match[2] or match[1]
        found += range(int(first), int(last) + 1)
    return found


def level(text: str) -> LevelSettings:
    """Read `novelty:16`."""
    method, _, factor = text.partition(":")
    try:
        return LevelSettings(method, float(factor))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    usual, types = Setup(), [type.value for type in QuestionType]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    parser.add_argument("--seeds", type=numbers, default=numbers("0-39"))
    parser.add_argument("--chunks", type=int, nargs="+", default=[32])
    parser.add_argument(
        "--each", type=int, default=1, help="questions of a type about an age"
    )
    parser.add_argument("--types", nargs="+", choices=types, default=types)
    parser.add_argument("--contexts", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--high", type=level, default=usual.high, help="METHOD:FACTOR")
    parser.add_argument("--low", type=level, default=usual.low, help="METHOD:FACTOR")
    parser.add_argument("--keys", type=int, default=usual.index_keys)
    parser.add_argument(
        "--context", type=int, default=0, help="chunks that a chunk sees, as H-KV"
    )
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--quick", action="store_true", help="two streams only")
    arguments = parser.parse_args(words)
    if arguments.quick:
        arguments.seeds = arguments.seeds[:2]
    return arguments


def main() -> None:
    """Measure, show, write."""
    if any(word.startswith("--dataset") for word in sys.argv[1:]):
        public.main()
        return
    result = measure(parse())
    show(result["rows"])


if __name__ == "__main__":
    main()
