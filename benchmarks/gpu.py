"""What a GPU makes of models in their true shape: prefill, first token, memory.

Run `python -m benchmarks.gpu --json FILE`. `--shape tiny --device cpu` runs all of it
on a CPU in seconds, only to see that it runs. Weights are random (`true_shapes.py`), in
bfloat16; frames are noise, 8 in a chunk, one a second.

**Prefill.** A chunk of each camera waits, each behind the sink and the H-KV of one
chunk; they go through in batches as `agent.prefill_queue` makes them when all wait.
Preparing frames on the host is part of the time. The share is the model's operations
(`flops.py`) per second over those that the same device was just measured to do.

**First token.** A question over hours of resident chunks, in the steps of an answer:
relevance over all index keys, five chunks' L-KV from host memory, composing the cache,
and reading the question up to the first token. The device has come to rest between
steps. Reading L-KV from Redis is not in it: `benchmarks.path` measures that. Hours are
measured within `memory.context_tokens` and with no bound. Resident chunks are a few
distinct ones under as many names as there would be, together larger than a card's own
cache: reading them costs what reading as many distinct ones would. What is in them is
not the same, and which chunks are chosen means nothing.

**Memory.** Peaks are of allocated memory, above what was held when the row began.
Weights, resident KV as if each chunk had its own, and the largest peak are what a
question asks of a device: `needed_bytes`; if that is more than `device_bytes`, so long
a memory does not fit. The agent's own ends at `memory.resident_tokens`. A row that runs
out of memory says so, and the next goes on.
"""

import argparse
import gc
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from agent.config_sections import ModelConfig
from agent.vlm.generation import Reader, decode, decode_room
from benchmarks.contexts import UNBOUNDED
from benchmarks.environment import describe
from benchmarks.errors import NoGpuError
from benchmarks.flops import chunk_flops, matmul_rate
from benchmarks.gpu_bench import CHUNK_FRAMES, CHUNK_S, SEED, Bench, id_of
from benchmarks.meter import Meter
from benchmarks.options import Parser, result_file
from benchmarks.true_shapes import SHAPES, Shape
from ingest.frame import FrameChunk
from memory.compression.bilevel import CompressedChunk
from memory.kv import KV, ChunkMemory, Level
from memory.recall import Candidate, RecallLimits, plan_recall
from memory.rehydration import compose
from memory.relevance import score_chunks

PROG = "python -m benchmarks.gpu"
QUESTION = "What colour was the car with number #47 that came from the left?"
NUM_FINE = 5  # chunks that a question reads as L-KV
MAX_NEW_TOKENS = ModelConfig().max_new_tokens
Row = dict[str, Any]


def measure_prefill(bench: Bench, matmul: float, cameras: int) -> Row:
    """Prefill a chunk of each camera.

    Args:
        bench: The model.
        matmul: Operations per second that the device can do.
        cameras: How many there are.
    """
    model, chunks = bench.model, bench.film(cameras)
    [before] = bench.remember(1)
    context = [bench.sink, before.memory.high]
    seen = sum(run.num_tokens for run in context)
    parts = chunk_flops(model, model.prefill(chunks[0], context), seen)
    flops = sum(parts.values())
    size = max(1, bench.scale.prefill_tokens // model.num_visual_tokens(chunks[0]))
    meter = Meter(model.device)
    for _ in range(bench.scale.turns + 1):
        meter.begin_turn()
        for start in range(0, cameras, size):
            remember_batch(bench, meter, chunks[start : start + size], context)
    per_s = cameras / meter.ms("prefill") * 1000
    rate = per_s * flops
    return {
        "batch": min(size, cameras),
        "chunk_tokens": before.num_tokens,
        "context": seen,
        "chunk_teraflops": round(flops / 1e12, 6),
        "frames_per_s": round(per_s * CHUNK_FRAMES, 2),
        "teraflops_per_s": round(rate / 1e12, 4),
        "share_of_matmul": round(rate / matmul, 4),
        **meter.row(),
    }


def remember_batch(
    bench: Bench, meter: Meter, chunks: Sequence[FrameChunk], context: Sequence[KV]
) -> None:
    """Prefill chunks side by side and compress each, as the agent does."""
    with meter.step("prefill"):
        wholes = bench.model.prefill_batch(
            chunks, [context] * len(chunks), [0.0] * len(chunks)
        )
    with meter.step("compress"):
        for whole in wholes:
            bench.levels.compress_chunk(id_of(0), whole)


def measure_question(
    bench: Bench, made: Sequence[CompressedChunk], hours: float, context_tokens: int
) -> Row:
    """Ask over hours of resident chunks.

    Args:
        bench: The model.
        made: Distinct chunks, which stand for all in turn.
        hours: How long was watched.
        context_tokens: Most KV tokens that are read.
    """
    count = round(hours * 3600 / CHUNK_S)
    memories = [replace(made[n % len(made)].memory, id=id_of(n)) for n in range(count)]
    meter = Meter(bench.model.device)
    for _ in range(bench.scale.turns + 1):
        meter.begin_turn()
        read = ask(bench, meter, memories, made, context_tokens)
    resident = sum(m.high.num_bytes + m.index_keys.nbytes for m in memories)
    needed = bench.weights_bytes + resident + max(meter.peaks.values(), default=0)
    return {
        "chunks": count,
        "resident_tokens": sum(m.high.num_tokens for m in memories),
        "resident_bytes": resident,
        "needed_bytes": needed if meter.peaks else None,
        **read,
        **meter.row(),
    }


def ask(
    bench: Bench,
    meter: Meter,
    memories: Sequence[ChunkMemory],
    made: Sequence[CompressedChunk],
    context_tokens: int,
) -> Row:
    """Go from a question to the first token of its answer; give what was read."""
    model = bench.model
    with meter.step("relevance"):
        queries = model.question_queries(QUESTION, bench.sink)
        scores: list[float] = score_chunks(queries, memories, model.heads).tolist()
    with meter.step("fetch"):
        candidates = [
            # No chunk of score 0 is evidence, and random weights may point at none.
            Candidate(m.id, m.high.num_tokens, m.low_tokens, max(s, 1e-30))
            for m, s in zip(memories, scores, strict=True)
        ]
        plan = plan_recall(candidates, RecallLimits(NUM_FINE, 0, context_tokens))
        numbers = [r.chunk.start_ms // (CHUNK_S * 1000) for r in plan]
        runs = [
            made[n % len(made)].low.to(model.device)
            if reading.level is Level.LOW
            else memories[n].high
            for n, reading in zip(numbers, plan, strict=True)
        ]
    room = decode_room(model, QUESTION, MAX_NEW_TOKENS)
    with meter.step("rehydrate"):
        cache = compose([bench.sink, *runs], model.rotary, room=room)
    context = cache.num_tokens
    with meter.step("first_token"):
        next(decode(model, Reader(cache, QUESTION, MAX_NEW_TOKENS)), None)
    fine = sum(reading.level is Level.LOW for reading in plan)
    return {"read_low": fine, "read_high": len(plan) - fine, "context": context}


def measure(shape: Shape, device: str) -> Row:
    """Measure one model in all rows."""
    torch.manual_seed(SEED)
    bench = Bench.of(shape, device)
    model, scale = bench.model, bench.scale
    matmul = matmul_rate(model.device, scale.matmul_side, scale.turns)
    prefill = [
        attempt({"cameras": n}, partial(measure_prefill, bench, matmul, n))
        for n in scale.cameras
    ]
    made = bench.remember(scale.distinct)
    first_token = [
        attempt(
            {"hours": hours, "bound": None if bound == UNBOUNDED else bound},
            partial(measure_question, bench, made, hours, bound),
        )
        for hours in scale.hours
        for bound in (scale.context_tokens, UNBOUNDED)
    ]
    return {
        "parameters": sum(weight.numel() for weight in model.module.parameters()),
        "weights_bytes": bench.weights_bytes,
        "attention": model.module.config._attn_implementation,
        "matmul_teraflops_per_s": round(matmul / 1e12, 4),
        "prefill": prefill,
        "first_token": first_token,
    }


def attempt(row: Row, work: Callable[[], Row]) -> Row:
    """Fill in a row, or say that memory ran out."""
    try:
        row = row | work()
    except torch.OutOfMemoryError:
        row = row | {"error": "out of memory"}
    gc.collect()  # behind the handler, where what failed holds no tensors any more
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return row


def show(found: Row) -> None:
    """Print the rows of a model for a person."""
    out = Console()
    for name in ("prefill", "first_token"):
        rows = found.get(name, [])
        columns = list(dict.fromkeys(key for row in rows for key in row))
        table = Table("", *(str(n) for n in range(1, len(rows) + 1)))
        for column in columns:
            table.add_row(column, *(str(row.get(column, "")) for row in rows))
        out.print(f"{found['model']}: {name}", found.get("error", ""), table)


def describe_device(device: str) -> Row:
    """Say what is measured on."""
    if device == "cpu":
        return {"device": "cpu", "threads": torch.get_num_threads()}
    facts = torch.cuda.get_device_properties(0)
    memory = {"device_bytes": facts.total_memory, "cuda": torch.version.cuda}
    return {"device": facts.name} | memory


def main() -> None:
    """Measure, show, write: after each model, so that a later one loses nothing."""
    parser = Parser(
        prog=PROG,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--shape", choices=SHAPES, default="true")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--json", type=result_file, help="where to write the rows")
    asked = parser.parse_args()
    with parser.tells():
        if asked.device == "cuda" and not torch.cuda.is_available():
            raise NoGpuError
    facts = {
        "command": f"{PROG} {shlex.join(sys.argv[1:])}".rstrip(),
        **describe(),
        **describe_device(asked.device),
        "dtype": "bfloat16",
        "seed": SEED,
        "models": [],
    }
    for shape in SHAPES[asked.shape]:
        found = attempt({"model": shape.name}, partial(measure, shape, asked.device))
        show(found)
        facts["models"].append(found)
        if asked.json:
            asked.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
