"""Knowing what it does not know: how much is answered if few answers may be wrong.

Run `python -m benchmarks.abstention --json benchmarks/results/abstention.json`. The
same command again goes on where a run was cut off.

The threshold is found on validation worlds and judged on test worlds, which it never
saw. `--threshold agent/vlm/builtin_model/abstention.json` writes what ships.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich import print_json
from rich.progress import track

from agent.abstention import Abstention
from agent.calibration.sureness import write
from agent.vlm.calibrated_heads import weights_digest
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from benchmarks.abstention_asking import TOP_K, StreamSaid, SureBench
from benchmarks.abstention_judging import judged_by
from benchmarks.contexts import Setup
from benchmarks.environment import describe
from benchmarks.opening import open_store
from benchmarks.options import Parser, at_least, numbers, result_file, worlds_of
from benchmarks.partial import Records
from benchmarks.streams import take_of

PROG = "python -m benchmarks.abstention"


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ask about all streams that are not done yet, find the threshold, judge it.

    Raises:
        SameWorldError: Two seeds name the same world.
        StreamLengthError: Streams of this length can't be asked about.
        ModelLoadError: The model can't be loaded.
        OtherMeasurementsError: What was cut off was measured of something else.
    """
    worlds = worlds_in(arguments)
    model = load_model(
        ModelSettings(arguments.model, None, arguments.device, arguments.dtype)
    )
    environment, facts = describe(), facts_of(model, arguments)
    with tempfile.TemporaryDirectory() as nowhere:
        target = arguments.json or Path(nowhere) / "abstention.json"
        records = Records(target.with_name(f"{target.name}.part"), facts)
        done = {(body["split"], body["world"]) for body in records.bodies()}
        asked = [(part, world) for part in worlds for world in worlds[part]]
        left = [stream for stream in asked if stream not in done]
        commit = str(environment["commit"])
        asyncio.run(ask_all(model, arguments, left, records, commit))
        streams = [StreamSaid.of(body) for body in records.bodies()]
        by_part = {
            part: [s for s in streams if s.split == part and s.world in worlds[part]]
            for part in worlds
        }
        result: dict[str, Any] = {
            **facts,
            "worlds": {part: len(found) for part, found in worlds.items()},
            "first_worlds": {part: min(found) for part, found in worlds.items()},
            **environment,
            "commit": ", ".join(sorted(records.commits)),
            "threads": torch.get_num_threads(),
            **judged_by(weights_digest(model.module), by_part),
        }
        if arguments.json:
            target.write_text(json.dumps(result, indent=1) + "\n")
            records.remove()
    return result


def worlds_in(arguments: argparse.Namespace) -> dict[str, list[int]]:
    """Give the worlds of each part that is asked about.

    The same threshold is judged on longer streams, too: a part named by their chunks.
    """
    worlds = {
        "validation": worlds_of("validation", arguments.validation),
        "test": worlds_of("test", arguments.seeds),
    }
    for chunks in arguments.longer:
        worlds[str(chunks)] = worlds_of("test", arguments.longer_seeds)
    return worlds


def facts_of(
    model: VisionLanguageModel, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Give what is measured: streams of the same facts stand in one result."""
    return {
        "command": PROG,
        "model": model.name,
        "fingerprint": model.fingerprint,
        "device": str(model.device),
        "dtype": str(model.module.dtype).removeprefix("torch."),
        **asdict(Setup()),
        "top_k": TOP_K,
        "each": arguments.each,
        "chunks": arguments.chunks,
    }


async def ask_all(
    model: VisionLanguageModel,
    arguments: argparse.Namespace,
    left: Sequence[tuple[str, int]],
    records: Records,
    commit: str,
) -> None:
    """Ask about streams, and keep each one's answers."""
    setup = Setup()
    async with open_store(model, setup) as store:
        bench = SureBench(model, store, setup, frozenset({"bilevel"}))
        for part, world in track(left, "streams"):
            chunks = int(part) if part.isdecimal() else arguments.chunks
            said = await bench.ask(part, take_of(world, chunks), arguments.each)
            records.write({"commit": commit, **said.as_body()})


def make_parser() -> Parser:
    """Give what reads the command line."""
    parser = Parser(
        prog=PROG,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--validation", type=numbers, default=numbers("0-239"), help="to find it on")
    add("--seeds", type=numbers, default=numbers("0-479"), help="to judge it on")
    add("--chunks", type=at_least(1), default=32)
    add("--longer", type=at_least(1), nargs="*", default=[128], help="chunks")
    add("--longer-seeds", type=numbers, default=numbers("0-39"))
    add("--each", type=at_least(1), default=1, help="questions of a type about an age")
    add("--model", default="builtin")
    add("--device", default="auto")
    add("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    add("--json", type=result_file, help="where to write the rows")
    add("--threshold", type=result_file, help="where to write what was found")
    return parser


def main() -> None:
    """Measure, show, write."""
    parser = make_parser()
    arguments = parser.parse_args()
    with parser.tells():
        result = measure(arguments)
    print_json(json.dumps(result))
    if arguments.threshold and result["threshold"]:
        arguments.threshold.write_text(write(Abstention(**result["threshold"])))


if __name__ == "__main__":
    main()
