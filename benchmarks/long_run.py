"""Is a month of memory as good as an hour of it, and as quick?

Run `python -m benchmarks.long_run --json FILE`; `--days 1` for a short one. With
`--shape` it is random numbers of a larger model's shape (`benchmarks.long_shape`).

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
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.answerer import Answerer
from agent.decode_queue import DecodeQueue
from agent.messages import Answer, Question, ReplyTo
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread
from benchmarks import long_shape
from benchmarks.archive_ways import SHAPES
from benchmarks.long_memory import (
    DAY_CHUNKS,
    INDEX_KEYS,
    LEVELS,
    LIMITS,
    PROG,
    LongMemory,
    facts,
    filled,
    open_store,
)
from benchmarks.long_stream import CAMERA, HOUR_CHUNKS, LongStream, make_stream
from benchmarks.options import Parser, at_least, result_file
from benchmarks.outage_victims import Redis
from benchmarks.path import NoGaps
from memory.compression.bilevel import BiLevel
from memory.kv import ChunkId
from memory.redis_archive import RedisArchive
from memory.retention import Limits

POOL, RESIDENT_TOKENS = 2048, 4096
MAX_NEW_TOKENS = 8
RETIRE_EVERY = 4000  # chunks; the agent does it every minute
FIRST_TOKEN = ("coverage", "relevance", "descent", "fetch", "rehydrate", "first_token")
ROUNDS = 3  # each question is timed so often; the least counts


class LongRun:
    """What a memory that gets older is asked on the way.

    Args:
        model: The model.
        memory: Its memory.
        thread: The thread that owns the model.
        stream: What is remembered.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        memory: LongMemory,
        thread: ModelThread,
        stream: LongStream,
    ) -> None:
        self.model, self.memory, self.stream = model, memory, stream
        self.sink = model.prefill_sink()
        decoding = DecodeQueue(thread, model, self.sink, MAX_NEW_TOKENS)
        sources: dict[str, Any] = {CAMERA: NoGaps()}
        self.answerer = Answerer(decoding, memory.store, LIMITS, sources)

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
        count = self.memory.count
        return self.stream.best(queries, self.model.heads, count, LIMITS.top_k)


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


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure what a command line asks for."""
    if arguments.shape:
        return long_shape.measure(arguments, folder)
    return measure(arguments, folder)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make a stream, remember it, and ask at each age that it gets to."""
    arguments = filled(arguments, pool=POOL, resident_tokens=RESIDENT_TOKENS)
    model = load_model(ModelSettings())
    levels = BiLevel(*LEVELS, model.heads, INDEX_KEYS)
    total = max(round(arguments.days * DAY_CHUNKS), HOUR_CHUNKS)
    stream = make_stream(model, levels, arguments.seed, total, arguments.pool)
    redis = Redis(folder, fsync=None)
    try:
        rows = asyncio.run(grow_old(model, stream, arguments, redis.url, folder))
    finally:
        redis.kill()
    return {**facts(arguments, model=model.name), "rows": rows}


async def grow_old(
    model: VisionLanguageModel,
    stream: LongStream,
    arguments: argparse.Namespace,
    url: str,
    folder: Path,
) -> list[dict[str, Any]]:
    """Write and ask, age after age."""
    ages = {"1h": HOUR_CHUNKS} | {f"{n}d": n * DAY_CHUNKS for n in (1, 7, 30)}
    async with (
        RedisArchive(url, model=model.fingerprint) as archive,
        ModelThread() as thread,
    ):
        store = await open_store(archive, folder, arguments, model.heads, model.device)
        limits = Limits(total=arguments.archive_bytes)
        memory = LongMemory(store, stream, limits, RETIRE_EVERY)
        long = LongRun(model, memory, thread, stream)
        reached = {age: n for age, n in ages.items() if n <= len(stream.drawn)}
        return await memory.grow_old(reached, long.ask_all)


def parser() -> Parser:
    """Build the command line."""
    found = Parser(prog=PROG, description=__doc__)
    found.add_argument("--shape", choices=SHAPES)
    found.add_argument("--days", type=float, default=30.0)
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--pool", type=at_least(1))
    found.add_argument("--resident-tokens", type=at_least(256))
    found.add_argument("--index-bytes", type=at_least(0), default=1 << 28)
    found.add_argument("--archive-bytes", type=at_least(1), default=6 << 30)
    found.add_argument("--json", type=result_file)
    return found


def main() -> None:
    """Run, show, write."""
    words = parser()
    arguments = words.parse_args()
    with words.tells(), tempfile.TemporaryDirectory(prefix="lw-") as name:
        result = run(arguments, Path(name))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
