"""What the memory is worth in answers: the product's path against its controls.

Run `python -m benchmarks.accuracy --split test --seeds 0-39 --chunks 32 1024 --json
FILE`. The same command again goes on where a run was cut off.

Evaluation worlds are those of `training/split.py` that no model was trained on; choices
are made on `validation`, with --high, --low, --keys, --context, --contexts and --types:
`python -m benchmarks.accuracy --split validation --high pooling:16 --contexts bilevel`.

With `--dataset vnbench --root DIR` and others: a public benchmark, with options of its
own: `--dataset vnbench --help`, and docs/public-benchmarks.md.
"""

import argparse
import asyncio
import json
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
from benchmarks.options import (
    Parser,
    at_least,
    level,
    numbers,
    result_file,
    worlds_of,
)
from benchmarks.partial import Partial
from benchmarks.public import run as public
from benchmarks.rows import show, summarise
from benchmarks.streams import Take, questions_on, take_of
from ingest.simulation.questions import QuestionType
from training.evaluate import CHUNK_S

PROG = "python -m benchmarks.accuracy"


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run every stream of every length that is not done yet.

    Raises:
        SameWorldError: Two seeds name the same world.
        StreamLengthError: Streams of a length can't be asked about.
        ModelLoadError: The model can't be loaded.
        OtherMeasurementsError: What was cut off was measured of something else.
    """
    worlds = worlds_of(arguments.split, arguments.seeds)
    lengths = list(dict.fromkeys(arguments.chunks))
    takes = {(w, chunks): take_of(w, chunks) for chunks in lengths for w in worlds}
    model = load_model(ModelSettings(name=arguments.model, device=arguments.device))
    environment, facts = describe(), facts_of(model, arguments)
    with tempfile.TemporaryDirectory() as nowhere:
        target = arguments.json or Path(nowhere) / "accuracy.json"
        partial = Partial(target.with_name(f"{target.name}.part"), facts)
        left = [take for stream, take in takes.items() if stream not in partial.done]
        commit = str(environment["commit"])
        asyncio.run(run_streams(model, arguments, left, partial, commit))
        runs = [run for run in partial.runs if (run.seed, run.chunks) in takes]
        result = {
            **facts,
            "seeds": arguments.seeds,
            "worlds": worlds,
            **environment,
            "commit": ", ".join(sorted(partial.commits)),
            "threads": torch.get_num_threads(),
            **full_cost(model, next(iter(takes.values()))),
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
        "command": PROG,
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


def full_cost(model: VisionLanguageModel, take: Take) -> dict[str, int]:
    """Give what a chunk costs uncompressed; all of them cost the same."""
    whole = model.prefill(next(take.film()), [model.prefill_sink()]).kv
    return {
        "full_tokens_per_chunk": whole.num_tokens,
        "full_bytes_per_chunk": whole.num_bytes,
    }


async def run_streams(
    model: VisionLanguageModel,
    arguments: argparse.Namespace,
    takes: Sequence[Take],
    partial: Partial,
    commit: str,
) -> None:
    """Run streams, and add them to those that are done."""
    setup = setup_of(arguments)
    async with open_store(model, setup) as store:
        bench = Bench(model, store, setup, frozenset(arguments.contexts))
        for take in track(takes, "streams"):
            asked = questions_on(take, arguments.each)
            asked = [q for q in asked if q.type.value in arguments.types]
            partial.add(await bench.run(take, asked), commit)


def setup_of(arguments: argparse.Namespace) -> Setup:
    """Give what the memory is made like."""
    return Setup(
        arguments.high,
        arguments.low,
        arguments.keys,
        arguments.context,
        arguments.least_change,
    )


def make_parser(prog: str = PROG) -> Parser:
    """Give what reads the command line."""
    usual, types = Setup(), [type.value for type in QuestionType]
    parser = Parser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--split", choices=["validation", "test"], default="test")
    add("--seeds", type=numbers, default=numbers("0-39"), help="such as 0-39 or -8,5")
    add("--chunks", type=at_least(1), nargs="+", default=[32])
    add("--each", type=at_least(1), default=1, help="questions of a type about an age")
    add("--types", nargs="+", choices=types, default=types)
    add("--contexts", nargs="+", choices=NAMES, default=NAMES)
    add("--high", type=level, default=usual.high, metavar="METHOD:FACTOR")
    add("--low", type=level, default=usual.low, metavar="METHOD:FACTOR")
    add("--keys", type=at_least(1), default=usual.index_keys, help="a chunk and head")
    add(
        "--context",
        type=at_least(0),
        default=0,
        help="chunks that a chunk sees, as H-KV",
    )
    add("--least-change", type=float, default=0.0, help="less is not prefilled")
    add("--model", default="builtin")
    add("--device", default="auto")
    add("--json", type=result_file, help="where to write the rows")
    add("--quick", action="store_true", help="two streams only")
    return parser


def parse(parser: Parser, words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    arguments = parser.parse_args(words)
    if arguments.quick:
        arguments.seeds = arguments.seeds[:2]
    return arguments


def main() -> None:
    """Measure, show, write."""
    if any(word.startswith("--dataset") for word in sys.argv[1:]):
        public.main()
        return
    parser = make_parser()
    arguments = parse(parser)
    with parser.tells():
        result = measure(arguments)
    show(result)


if __name__ == "__main__":
    main()
