"""Is a month of memory as good as an hour of it, and as quick?

Run `python -m benchmarks.long_run --json FILE`; `--days 1` for a short one.

One camera's chunks are written at full speed through the product's own memory, under
budgets, so that H-KV is consolidated and old L-KV retired on the way. After an hour, a
day, a week and a month the same questions are asked about the first hour, and answered
by the product's answerer: is the right chunk found, as by a scan of all fine keys? How
long does the first token take? What does memory hold by then?
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress as Bar
from rich.table import Table

from agent.answerer import Answerer
from agent.decode_queue import DecodeQueue
from agent.messages import Answer, Question, ReplyTo
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread
from benchmarks.environment import describe
from benchmarks.long_stream import CAMERA, HOUR_CHUNKS, LongStream, make_stream
from benchmarks.options import Parser, at_least, result_file
from benchmarks.outage_victims import Redis
from benchmarks.path import NoGaps
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.index import ChunkIndex
from memory.kv import ChunkId
from memory.recall import RecallLimits
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.retention import Limits
from memory.spool import Spool
from memory.store import MemoryStore

PROG = "python -m benchmarks.long_run"
DAY_CHUNKS = 24 * HOUR_CHUNKS
MAX_NEW_TOKENS = 8
LEVELS = LevelSettings("novelty", 16, "int8"), LevelSettings("novelty", 2, "int4")
INDEX_KEYS = 8
LIMITS = RecallLimits(top_k=4, newest=1, context_tokens=16384)
RETIRE_EVERY = 4000  # chunks; the agent does it every minute
FIRST_TOKEN = ("coverage", "relevance", "descent", "fetch", "rehydrate", "first_token")
ROUNDS = 3  # each question is timed so often; the least counts


class LongRun:
    """One memory that gets older, and what it is asked on the way.

    Args:
        model: The model.
        store: Its memory.
        thread: The thread that owns the model.
        stream: What is remembered.
        limits: What the archive may hold.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        store: MemoryStore,
        thread: ModelThread,
        stream: LongStream,
        limits: Limits,
    ) -> None:
        self.model, self.store = model, store
        self.stream, self.limits = stream, limits
        self.sink = model.prefill_sink()
        decoding = DecodeQueue(thread, model, self.sink, MAX_NEW_TOKENS)
        sources: dict[str, Any] = {CAMERA: NoGaps()}
        self.answerer = Answerer(decoding, store, LIMITS, sources)
        self.count = 0
        self.retired = 0

    async def write_until(self, count: int, bar: Bar) -> dict[str, float]:
        """Remember chunks up to a number; give how fast."""
        task = bar.add_task(f"to {count:,} chunks", total=count - self.count)
        began, before = time.perf_counter(), self.count
        for chunk in self.stream.chunks(self.count, count):
            await self.store.remember(chunk)
            self.count += 1
            bar.advance(task)
            if self.count % RETIRE_EVERY == 0:
                self.retired += (
                    await self.store.retire([CAMERA], self.limits)
                ).num_lows
        seconds = time.perf_counter() - began
        bar.remove_task(task)
        return {"chunks_per_s": round((self.count - before) / seconds, 1)}

    async def ask_all(self) -> dict[str, Any]:
        """Ask every question; give what was found, and what it took."""
        answers = [await self._ask(each.question.text) for each in self.stream.asked]
        two, flat, right, levels = Counter[int](), Counter[int](), 0, Counter[str]()
        for answer, asked in zip(answers, self.stream.asked, strict=True):
            right += asked.question.is_right(answer.answer)
            found = [e.chunk for e in answer.evidence]
            names = {chunk.name for chunk in asked.holders}
            levels.update(e.level for e in answer.evidence if e.chunk in names)
            scanned = await asyncio.to_thread(self._scan, asked.question.text)
            for k in (1, LIMITS.top_k):
                two[k] += not names.isdisjoint(found[:k])
                flat[k] += not asked.holders.isdisjoint(scanned[:k])
        count = len(answers)
        return {
            "questions": count,
            "right": right / count,
            **{f"found_at_{k}": two[k] / count for k in (1, LIMITS.top_k)},
            **{f"flat_found_at_{k}": flat[k] / count for k in (1, LIMITS.top_k)},
            "found_levels": dict(levels),
            **_times(answers),
        }

    async def _ask(self, text: str) -> Answer:
        fastest: Answer | None = None
        for _ in range(ROUNDS):
            answer = await self.answerer.answer(_question(text))
            if fastest is None or _first_ms(answer) < _first_ms(fastest):
                fastest = answer
        assert fastest is not None
        return fastest

    def _scan(self, text: str) -> list[ChunkId]:
        """Give the best chunks by all fine keys of all chunks."""
        queries = self.model.question_queries(text, self.sink)
        return self.stream.best(queries, self.model.heads, self.count, LIMITS.top_k)

    async def hold(self) -> dict[str, Any]:
        """Give what memory holds now."""
        async with self.store.archive.redis.turn() as client:
            info = await client.info("memory")
        nodes = self.store.resident.nodes([CAMERA])
        return {
            "resident_tokens": self.store.resident.num_tokens,
            "resident_nodes": dict(Counter(n.id.tier.name.lower() for n in nodes)),
            "index_bytes": self.store.index.num_bytes,
            "indexed": len(self.store.index),
            "process_bytes": _resident_bytes(),
            "archive_bytes": await self.store.archive.size(CAMERA),
            "server_bytes": info["used_memory_rss"],
            "lows_retired": self.retired,
        }


def _question(text: str) -> Question:
    reply = ReplyTo("nowhere")
    asked = (text, (CAMERA,), None, None, 600.0, None)
    return Question("long", *asked, stream=False, reply=reply)


def _first_ms(answer: Answer) -> float:
    return sum(answer.timings_ms.get(step, 0.0) for step in FIRST_TOKEN)


def _times(answers: Sequence[Answer]) -> dict[str, Any]:
    steps = {
        step: round(statistics.median(a.timings_ms.get(step, 0.0) for a in answers), 1)
        for step in FIRST_TOKEN
    }
    return {
        "first_token_ms": round(statistics.median(map(_first_ms, answers)), 1),
        "first_token_steps_ms": steps,
        "context_tokens": statistics.median(a.tokens["context"] for a in answers),
    }


def _resident_bytes() -> int:
    """Give the resident set of this process, after Linux."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make a stream, remember it, and ask at each age that it gets to."""
    model = load_model(ModelSettings())
    levels = BiLevel(*LEVELS, model.heads, INDEX_KEYS)
    total = max(round(arguments.days * DAY_CHUNKS), HOUR_CHUNKS)
    stream = make_stream(model, levels, arguments.seed, total, arguments.pool)
    redis = Redis(folder, fsync=None)
    try:
        rows = asyncio.run(grow_old(model, stream, arguments, redis.url, folder))
    finally:
        redis.kill()
    return {
        "command": PROG,
        "model": model.name,
        "seed": arguments.seed,
        "days": arguments.days,
        "pool": arguments.pool,
        "resident_tokens": arguments.resident_tokens,
        "context_tokens": LIMITS.context_tokens,
        "top_k": LIMITS.top_k,
        "index_bytes": arguments.index_bytes,
        "archive_bytes": arguments.archive_bytes,
        "numbers": [level.numbers for level in LEVELS],
        "server": "redis-server without a file",
        "threads": torch.get_num_threads(),
        **describe(),
        "rows": rows,
    }


async def grow_old(
    model: VisionLanguageModel,
    stream: LongStream,
    arguments: argparse.Namespace,
    url: str,
    folder: Path,
) -> list[dict[str, Any]]:
    """Write and ask, age after age."""
    ages = {"1h": HOUR_CHUNKS} | {f"{n}d": n * DAY_CHUNKS for n in (1, 7, 30)}
    rows = []
    async with (
        RedisArchive(url, model=model.fingerprint) as archive,
        ModelThread() as thread,
    ):
        store = MemoryStore(
            archive,
            await asyncio.to_thread(Spool, folder / "spool", 1 << 30),
            ResidentMemory(arguments.resident_tokens, LIMITS.newest),
            ChunkIndex(arguments.index_bytes),
            BiLevel(*LEVELS, model.heads, INDEX_KEYS),
            model.fingerprint,
            model.device,
        )
        limits = Limits(total=arguments.archive_bytes)
        long = LongRun(model, store, thread, stream, limits)
        with Bar(console=Console(stderr=True)) as bar:
            for age, count in ages.items():
                if count <= len(stream.drawn):
                    speed = await long.write_until(count, bar)
                    row = {"age": age, "chunks": count, **await long.ask_all()}
                    rows.append(row | await long.hold() | speed)
                    show(rows)
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print what was measured at each age."""
    table = Table("", *(row["age"] for row in rows))
    names = dict.fromkeys(name for row in rows for name in row if name != "age")
    for name in names:
        table.add_row(name, *(str(row[name]) for row in rows))
    Console().print(table)


def parser() -> Parser:
    """Build the command line."""
    found = Parser(prog=PROG, description=__doc__)
    found.add_argument("--days", type=float, default=30.0)
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--pool", type=at_least(1), default=2048)
    found.add_argument("--resident-tokens", type=at_least(256), default=4096)
    found.add_argument("--index-bytes", type=at_least(0), default=1 << 28)
    found.add_argument("--archive-bytes", type=at_least(1), default=6 << 30)
    found.add_argument("--json", type=result_file)
    return found


def main() -> None:
    """Run, show, write."""
    words = parser()
    arguments = words.parse_args()
    with words.tells(), tempfile.TemporaryDirectory(prefix="lw-") as name:
        result = measure(arguments, Path(name))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
