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
from agent.messages import Question, ReplyTo
from agent.vlm.generation import question_ids
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from agent.vlm.preprocessing import patchify
from agent.vlm.qwen3_vl import lay_out
from agent.watcher import Watcher
from agent.worker import ModelThread, Priority
from benchmarks.environment import describe
from ingest.frame import FrameChunk
from ingest.settings import CameraSettings
from ingest.source import CameraSource
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.embedded_valkey import EmbeddedValkey
from memory.kv import KV
from memory.recall import RecallLimits
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore

CHUNK_S = 4  # 8 frames at 2 fps
CONTEXT_CHUNKS = 1
LIMITS = RecallLimits(top_k=2, newest=1, context_tokens=1 << 20)
QUESTION = "What colour was the car with number #47?"
TTFT_REPEATS = 5
TURNS = 5  # of whole ingest and bare model, one after the other
TURN_CHUNKS = 100


def camera(seed: int, chunks: int) -> CameraSettings:
    """A simulated camera of so many chunks, as fast as they are taken."""
    address = f"simulated:seed={seed}&size=64&fps=2&duration_s={chunks * CHUNK_S}"
    backlog = f"&backlog_s={chunks * CHUNK_S}&speed=1000"
    return CameraSettings(
        name="bench", address=address + backlog, fps=2, realtime=False
    )


async def open_store(folder: Path, url: str, model: VisionLanguageModel) -> MemoryStore:
    """A memory over a running archive, with the default levels."""
    archive = RedisArchive(url, model=model.fingerprint)
    await archive.__aenter__()
    spool = await asyncio.to_thread(Spool, folder / "spool", 1 << 30)
    levels = BiLevel(
        LevelSettings("novelty", 16), LevelSettings("value_norm", 2), model.heads, 16
    )
    resident = ResidentMemory(1 << 20, LIMITS.newest)
    return MemoryStore(
        archive, spool, resident, levels, model.fingerprint, model.device
    )


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
        watcher = Watcher(source, model, sink, thread, store, CONTEXT_CHUNKS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watcher.watch())
            tasks.create_task(watcher.archive())
            while not source.status.num_chunks:  # noqa: ASYNC110 - nothing to wait on
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
    seed: int, model: VisionLanguageModel, thread: ModelThread, store: MemoryStore
) -> dict[str, float]:
    """Run the whole ingest and the bare model in turn; give medians and their ratio."""
    whole, bare = [], []
    for turn in range(TURNS):
        settings = camera(seed + turn, TURN_CHUNKS)
        store.resident = ResidentMemory(1 << 20, LIMITS.newest)
        seconds, watcher = await ingest(settings, model, thread, store)
        whole.append(watcher.counts.chunks / seconds)
        highs = [m.high for m in store.resident.chunks(["bench"])]
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
    newest = store.resident.chunks(["bench"])[-num_chunks:]
    window = (newest[0].id.start_ms / 1000, newest[-1].id.end_ms / 1000)
    times = []
    answerer = Answerer(
        model, model.prefill_sink(), thread, store, LIMITS, 1, {"bench": NoGaps()}
    )
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


def stock_first_token(
    model: VisionLanguageModel, chunks: Sequence[FrameChunk]
) -> float:
    """One stock call on all frames and the question; give milliseconds."""
    began = time.perf_counter()
    ids, pixels, grids = [model.tokenize(model.prompt.before)], [], []
    for chunk in chunks:
        patches, grid = patchify(chunk.pixels, model.patches)
        merged = (
            grid[0],
            grid[1] // model.patches.merge,
            grid[2] // model.patches.merge,
        )
        times = chunk.times_s.reshape(grid[0], -1).mean(axis=1).tolist()
        layout = lay_out(times, merged, model.module.config, model.tokenizer)
        ids.append(layout.token_ids)
        pixels.append(patches)
        grids.append(grid)
    ids.append(question_ids(model, QUESTION))
    whole = torch.cat(ids)[None]
    with torch.inference_mode():
        out = model.module(
            input_ids=whole,
            pixel_values_videos=torch.cat(pixels).to(model.module.dtype),
            video_grid_thw=torch.tensor(grids),
            mm_token_type_ids=2 * (whole == model.module.config.video_token_id).int(),
            logits_to_keep=1,
        )
        out.logits[0, -1].argmax().item()
    model.module.model.rope_deltas = None
    return (time.perf_counter() - began) * 1000


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run everything once."""
    model = load_model(ModelSettings(name=arguments.model))
    longest = max(arguments.minutes) * 60 // CHUNK_S
    settings = camera(arguments.seed, longest)
    chunks = (await take(settings))[:longest]
    with tempfile.TemporaryDirectory(prefix="longwatch-bench-") as name:
        folder = Path(name)
        valkey, thread = EmbeddedValkey(folder / "archive"), ModelThread()
        async with valkey, thread:
            store = await open_store(folder, valkey.url, model)
            await ingest(camera(arguments.seed, 20), model, thread, store)
            compared = await compare_ingest(arguments.seed + 1, model, thread, store)
            store.resident = ResidentMemory(1 << 20, LIMITS.newest)
            _, watcher = await ingest(settings, model, thread, store)
            resident, counts = store.resident.chunks(["bench"]), watcher.counts
            rows = []
            for minutes in arguments.minutes:
                num_chunks = minutes * 60 // CHUNK_S
                ours = await time_to_first_token(model, thread, store, num_chunks)
                stock = await thread.run(
                    Priority.CHUNK,
                    partial(stock_first_token, model, chunks[-num_chunks:]),
                )
                rows.append(
                    {
                        "minutes": minutes,
                        "chunks": num_chunks,
                        "longwatch_ms": round(ours, 1),
                        "stock_ms": round(stock, 1),
                    }
                )
            await store.archive.__aexit__(None, None, None)
    return {
        "command": "python -m benchmarks.path",
        "model": model.name,
        "seed": arguments.seed,
        "threads": torch.get_num_threads(),
        **describe(),
        "ingest": compared,
        "first_token": rows,
        "per_chunk": {
            "tokens_in": counts.tokens_in / counts.chunks,
            "tokens_h": counts.tokens_h / counts.chunks,
            "tokens_l": counts.tokens_l / counts.chunks,
            "archive_bytes_h": counts.bytes_h // counts.chunks,
            "archive_bytes_l": counts.bytes_l // counts.chunks,
            "full_bytes": counts.tokens_in // counts.chunks * token_bytes(model),
            "resident_bytes": sum(m.high.num_bytes for m in resident) // len(resident),
            "index_bytes": sum(m.index_keys.nbytes for m in resident) // len(resident),
        },
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
