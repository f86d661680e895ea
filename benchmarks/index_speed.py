"""How long does it take to judge every chunk ever remembered?

Run `python -m benchmarks.index_speed --json FILE`.

An index of random keys, in the built-in model's shape and in that of a 7B model with as
many retrieval heads as calibration usually finds, and the most it may find. Judged as a
question is: the marks of all chunks, then the fine keys of the short list.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.environment import describe
from benchmarks.options import Parser, at_least, result_file
from memory.index import ChunkIndex
from memory.kv import ChunkId
from memory.relevance import ChunkKeys, IndexHeads
from memory.two_stages import TwoStages

PROG = "python -m benchmarks.index_speed"
CHUNK_MS = 10_000
NUM_KEYS = 8
UNBOUNDED = 1 << 40
REPEATS = 9


@dataclass(frozen=True, slots=True)
class Shape:
    """What an index is of.

    Attributes:
        name: Of the shape.
        heads: Query heads that retrieve, each with a key-value head of its own.
        size: Head size.
        tokens: Tokens of the question.
    """

    name: str
    heads: int
    size: int
    tokens: int


SHAPES = (
    Shape("built-in", 3, 32, 10),
    Shape("7B, 4 heads", 4, 128, 14),
    Shape("7B, 8 heads", 8, 128, 14),
)


def fill(shape: Shape, count: int) -> ChunkIndex:
    """Give an index of so many chunks."""
    index = ChunkIndex(UNBOUNDED)
    chance = torch.Generator().manual_seed(0)
    for first in range(0, count, 1000):
        size = (1000, shape.heads, NUM_KEYS, shape.size)
        for number, keys in enumerate(torch.randn(size, generator=chance), first):
            if number < count:
                start_ms = number * CHUNK_MS
                id = ChunkId("camera", start_ms, start_ms + CHUNK_MS)
                index.add([ChunkKeys(id, keys)])
    return index


def measure(shape: Shape, count: int) -> dict[str, Any]:
    """Judge a question again and again; give the median of each step."""
    index = fill(shape, count)
    heads = IndexHeads.of([(layer, 0) for layer in range(shape.heads)], 1)
    chance = torch.Generator().manual_seed(1)
    queries = torch.randn(shape.heads, shape.tokens, shape.size, generator=chance)
    times: dict[str, list[float]] = {"marks": [], "short list": [], "fine keys": []}
    for _ in range(REPEATS):
        began = time.perf_counter()
        window = index.window(["camera"])
        stages = TwoStages(queries, window.pages, heads)
        judged = time.perf_counter()
        places = stages.short_list()
        keys = [window.keys(place) for place in places.tolist()]
        chosen = time.perf_counter()
        stages.refine(places, [each for each in keys if each is not None])
        times["marks"].append(judged - began)
        times["short list"].append(chosen - judged)
        times["fine keys"].append(time.perf_counter() - chosen)
    steps = {f"{k}_ms": round(1000 * statistics.median(t), 1) for k, t in times.items()}
    least = round(1000 * min(times["marks"]), 1)
    row = {**asdict(shape), "chunks": count, **steps, "marks_least_ms": least}
    return row | {"bytes_per_chunk": index.bytes_per_chunk}


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print a row for each shape."""
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure every shape."""
    rows = [measure(shape, arguments.chunks) for shape in SHAPES]
    return {
        "command": PROG,
        "threads": torch.get_num_threads(),
        **describe(),
        "rows": rows,
    }


def main() -> None:
    """Run, show, write."""
    parser = Parser(prog=PROG, description=__doc__)
    parser.add_argument("--chunks", type=at_least(1), default=100_000)
    parser.add_argument("--json", type=result_file)
    arguments = parser.parse_args()
    result = run(arguments)
    show(result["rows"])
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
