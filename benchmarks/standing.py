"""Do standing questions tell what happens, once and soon? On cameras with known events.

Run `python -m benchmarks.standing --json FILE`; the margin was chosen by
`--split validation --seeds 0-23 --margins 0 1 2 3`.

A stream is a simulated camera at its usual pace. Half of its standing questions are
about plates that pass it once, half about plates that don't. An alert is right if its
chunk ends after the visit begins, and one chunk after the one it ends in at the latest;
a second one is a repeat. Budgets are counted on the stream's clock, as if it were live.

Beside it stands the plain rule: the model answers the question about each chunk, and an
answer that contains "yes" is an alert; each of them, or those after a cooldown; over
the chunk alone, or over what the first pass reads. And the first pass without the
confirm pass.
"""

import argparse
import asyncio
import json
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agent.standing.definition import COOLDOWN_S, MARGIN
from agent.standing.questions import CONTEXT_CHUNKS
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread
from benchmarks.contexts import Setup
from benchmarks.environment import describe
from benchmarks.opening import open_store
from benchmarks.options import Parser, at_least, numbers, result_file, worlds_of
from benchmarks.standing_rules import Bench, Scene
from benchmarks.standing_truth import Scores
from training.evaluate import CHUNK_S

PROG = "python -m benchmarks.standing"
USUAL, TIGHT = (0.1, 2.0), (0.004, 0.05)  # share of time, and seconds saved up

Rows = dict[tuple[str, float], Scores]
"""The scores of each rule, by its name and its margin; 0 where it has none."""


async def measure(
    model: VisionLanguageModel, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Run every world through every rule; give a row for each."""
    rows: Rows = {}
    worlds = worlds_of(arguments.split, arguments.seeds)
    async with open_store(model, Setup()) as store, ModelThread() as thread:
        bench = Bench(model, store, thread)
        for world in track(worlds, "streams"):
            scene = await bench.remember(world, arguments.chunks, arguments.each)
            for margin in arguments.margins:
                stood = await bench.stand(scene, margin, *USUAL)
                _add(rows, "standing", stood.scores, margin)
                first = bench.first_pass(scene, stood, margin)
                _add(rows, "first", first, margin)
            if arguments.split == "test":
                await _compare(rows, bench, scene, arguments.margins[0])
    return [
        {"rule": rule, "margin": margin, **scores.summary(CHUNK_S)}
        for (rule, margin), scores in rows.items()
    ]


async def _compare(rows: Rows, bench: Bench, scene: Scene, margin: float) -> None:
    """Run the rules beside ours, and ours on a tight budget."""
    tight = await bench.stand(scene, margin, *TIGHT)
    _add(rows, "tight", tight.scores, margin)
    for name, is_alone in (("alone", True), ("before", False)):
        every, calm = await bench.plain(scene, is_alone=is_alone)
        _add(rows, f"plain_{name}", every)
        _add(rows, f"plain_{name}_cooled", calm)


def _add(rows: Rows, rule: str, scores: Scores, margin: float = 0.0) -> None:
    rows.setdefault((rule, margin), Scores()).add(scores)


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows."""
    names = ["rule", "margin", "events", "right", "false", "repeats", "precision"]
    names += ["recall", "delay_s", "checked_share", "model_share"]
    table = Table(*names)
    for row in rows:
        table.add_row(*(str(row[name]) for name in names))
    Console(width=160).print(table)


def main() -> None:
    """Read the command line, measure, show, write."""
    parser = Parser(
        prog=PROG,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--split", choices=["validation", "test"], default="test")
    add("--seeds", type=numbers, default=numbers("0-39"))
    add("--chunks", type=at_least(8), default=48, help="of 4 s, in a stream")
    add("--each", type=at_least(1), default=4, help="questions of each kind")
    add("--margins", type=float, nargs="+", default=[MARGIN])
    add("--model", default="builtin")
    add("--json", type=result_file, help="where to write the rows")
    arguments = parser.parse_args()
    with parser.tells():
        model = load_model(ModelSettings(name=arguments.model))
        rows = asyncio.run(measure(model, arguments))
    show(rows)
    if arguments.json:
        names = ("split", "seeds", "chunks", "each", "margins")
        result = {
            "command": PROG,
            "model": model.name,
            "fingerprint": model.fingerprint,
            **{name: getattr(arguments, name) for name in names},
            "chunk_s": CHUNK_S,
            "cooldown_s": COOLDOWN_S,
            "context_chunks": CONTEXT_CHUNKS,
            "shares": {"standing": USUAL[0], "tight": TIGHT[0]},
            **describe(),
            "threads": torch.get_num_threads(),
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
