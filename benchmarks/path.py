"""What the path costs: ingest against the bare model, first token, bytes.

Run `python -m benchmarks.path --json benchmarks/results/path.json`.

Both sides of a ratio are measured in one run, on the same chunks, with the same model.
The stock side of the time to first token is one call of the transformers class on
all frames and the question, which is what there is without a memory.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from agent.answerer import Answerer
from agent.decode_queue import DecodeQueue
from agent.messages import Question, ReplyTo
from agent.prefill_queue import PrefillQueue
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from agent.watcher import Watcher
from agent.worker import ModelThread, Priority
from benchmarks.contexts import Setup
from benchmarks.environment import describe
from benchmarks.footage import CHUNK_S, film
from benchmarks.opening import empty, open_store
from benchmarks.stock import stock_first_token
from ingest.frame import FrameChunk
from ingest.settings import CameraSettings
from ingest.source import CameraSource
from memory.kv import KV
from memory.recall import RecallLimits
from memory.store import MemoryStore

SETUP = Setup()
CONTEXT_CHUNKS = 1
PREFILL_TOKENS = 8192  # as configured; one camera never shares a batch
LIMITS = RecallLimits(top_k=2, newest=1, context_tokens=1 << 20)
QUESTION = "What colour was the car with number #47?"
TTFT_REPEATS = 5
TURNS = 5  # of whole ingest and bare model, one after the other
TURN_CHUNKS = 100


async def take(settings: CameraSettings) -> list[FrameChunk]:
    """Give all chunks of a camera that ends."""
    async with CameraSource(settings) as source:
        return [chunk async for chunk in source]


async def ingest(
    settings: CameraSettings,
    model: VisionLanguageModel,
    thread: ModelThread,
    store: MemoryStore,
) -> tuple[float, Watcher]:
    """Watch a camera to its end; give seconds from its first chunk to the last kept.

    The clock starts when the first chunk is taken, so that the start of the camera's
    process is not in it, and every chunk's reading, hand-off and archiving is.
    """
    async with CameraSource(settings) as source:
        sink = model.prefill_sink()
        queue = PrefillQueue(thread, model, sink, store.bilevel, PREFILL_TOKENS, {})
        watcher = Watcher(source, queue, store, CONTEXT_CHUNKS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watcher.watch())
            tasks.create_task(watcher.archive())
            while not source.status.num_chunks:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.001)
            began = time.perf_counter()
        return time.perf_counter() - began, watcher


def prefill_bare(
    model: VisionLanguageModel, chunks: Sequence[FrameChunk], highs: Sequence[KV]
) -> float:
    """Prefill the same chunks against the same contexts in a loop; give seconds."""
    sink = model.prefill_sink()
    began = time.perf_counter()
    for number, chunk in enumerate(chunks):
        model.prefill(chunk, [sink, *highs[max(0, number - CONTEXT_CHUNKS) : number]])
    return time.perf_counter() - began


async def compare_ingest(
    settings: CameraSettings,
    model: VisionLanguageModel,
    thread: ModelThread,
    store: MemoryStore,
) -> dict[str, float]:
    """Run the whole ingest and the bare model in turn; give medians and their ratio."""
    whole, bare = [], []
    for _ in range(TURNS):
        empty(store, LIMITS.newest)
        seconds, watcher = await ingest(settings, model, thread, store)
        whole.append(watcher.counts.chunks / seconds)
        highs = [node.high for node in store.resident.nodes(["bench"])]
        chunks = await take(settings)
        bare_s = await thread.run(
            Priority.CHUNK, partial(prefill_bare, model, chunks, highs)
        )
        bare.append(len(chunks) / bare_s)
    ratios = [w / b for w, b in zip(whole, bare, strict=True)]
    return {
        "turns": TURNS,
        "chunks_per_turn": TURN_CHUNKS,
        "chunks_per_s": round(statistics.median(whole), 2),
        "bare_chunks_per_s": round(statistics.median(bare), 2),
        "overhead_ms_per_chunk": round(
            1000 / statistics.median(whole) - 1000 / statistics.median(bare), 2
        ),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }


async def time_to_first_token(
    model: VisionLanguageModel,
    thread: ModelThread,
    store: MemoryStore,
    num_chunks: int,
) -> float:
    """Ask over the newest chunks; give the median milliseconds to the first token."""
    newest = store.resident.nodes(["bench"])[-num_chunks:]
    window = (newest[0].id.start_ms / 1000, newest[-1].id.end_ms / 1000)
    times = []
    decoding = DecodeQueue(thread, model, model.prefill_sink(), 1)
    answerer = Answerer(decoding, store, LIMITS, {"bench": NoGaps()})
    for number in range(TTFT_REPEATS):
        question = Question(
            str(number),
            QUESTION,
            ("bench",),
            *window,
            deadline_s=600,
            top_k=None,
            stream=False,
            reply=ReplyTo("nowhere"),
        )
        began = time.perf_counter()
        answer = await answerer.answer(question)
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status == "ok", answer
    return statistics.median(times)


class NoGaps:
    """A camera that is not read any more: the answerer asks it for gaps only."""

    gaps: tuple[()] = ()
    is_online = False


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run everything once."""
    model = load_model(ModelSettings(name=arguments.model))
    with tempfile.TemporaryDirectory(prefix="longwatch-bench-") as name:
        folder = Path(name)
        short = film(folder / "short.mkv", arguments.seed, TURN_CHUNKS)
        longest = max(arguments.minutes) * 60 // CHUNK_S
        long = film(folder / "long.mkv", arguments.seed + 1, longest)
        async with open_store(model, SETUP) as store, ModelThread() as thread:
            await ingest(short, model, thread, store)
            compared = await compare_ingest(short, model, thread, store)
            empty(store, LIMITS.newest)
            _, watcher = await ingest(long, model, thread, store)
            chunks = await take(long)
            first_token = [
                await compare_first_token(model, thread, store, chunks, minutes)
                for minutes in arguments.minutes
            ]
            per_chunk = count_per_chunk(model, store, watcher)
    return {
        "command": "python -m benchmarks.path",
        "model": model.name,
        "seed": arguments.seed,
        "threads": torch.get_num_threads(),
        **describe(),
        "ingest": compared,
        "first_token": first_token,
        "per_chunk": per_chunk,
    }


async def compare_first_token(
    model: VisionLanguageModel,
    thread: ModelThread,
    store: MemoryStore,
    chunks: Sequence[FrameChunk],
    minutes: int,
) -> dict[str, float]:
    """Ask over the newest minutes of memory, and one stock call on the same frames."""
    num_chunks = minutes * 60 // CHUNK_S
    ours = await time_to_first_token(model, thread, store, num_chunks)
    stock = await thread.run(
        Priority.CHUNK,
        partial(stock_first_token, model, QUESTION, chunks[-num_chunks:]),
    )
    return {
        "minutes": minutes,
        "chunks": num_chunks,
        "longwatch_ms": round(ours, 1),
        "stock_ms": round(stock, 1),
    }


def count_per_chunk(
    model: VisionLanguageModel, store: MemoryStore, watcher: Watcher
) -> dict[str, float]:
    """Give tokens and bytes of a chunk in each tier."""
    counts, resident = watcher.counts, store.resident.nodes(["bench"])
    return {
        "tokens_in": counts.tokens_in / counts.chunks,
        "tokens_h": counts.tokens_h / counts.chunks,
        "tokens_l": counts.tokens_l / counts.chunks,
        "archive_bytes_h": counts.bytes_h // counts.chunks,
        "archive_bytes_l": counts.bytes_l // counts.chunks,
        "full_bytes": counts.tokens_in // counts.chunks * token_bytes(model),
        "resident_bytes": sum(m.high.num_bytes for m in resident) // len(resident),
        "index_bytes": store.index.bytes_per_chunk,
    }


def token_bytes(model: VisionLanguageModel) -> int:
    """Give the bytes of one token's keys and values, all layers."""
    sink = model.prefill_sink()
    return sink.num_bytes // sink.num_tokens


def show(result: dict[str, Any]) -> None:
    """Print the result for a person."""
    out = Console()
    ingest_part = result["ingest"]
    out.print(
        f"ingest: {ingest_part['chunks_per_s']} chunks/s, bare model "
        f"{ingest_part['bare_chunks_per_s']}, ratio {ingest_part['ratio']}"
    )
    table = Table("minutes", "chunks", "Longwatch ms", "stock call ms")
    for row in result["first_token"]:
        table.add_row(*(str(value) for value in row.values()))
    out.print(table)
    out.print(result["per_chunk"])


def main() -> None:
    """Read the command line, measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10, 60])
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments))
    show(result)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
