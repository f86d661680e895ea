"""What the memory is worth in answers: the product's path against its controls.

Run `python -m benchmarks.accuracy --split test --seeds 0-39 --chunks 32 --json FILE`.

Streams of simulated cameras are prefilled, compressed, archived in a real Valkey,
scored, recalled, re-hydrated and decoded by the product's own code. Evaluation worlds
are those of `training/split.py` that no model was trained on; choices are made on
`validation`.

With `--dataset vnbench --root DIR` and others: a public benchmark, with options of its
own (docs/public-benchmarks.md).
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track

from agent.vlm.generation import decode, decode_room
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from benchmarks import contexts
from benchmarks.contexts import HIGH, LOW, PLANNED, Asked, Stream
from benchmarks.environment import describe
from benchmarks.public import run as public
from benchmarks.rows import Trial, show, summarise
from ingest.simulation.questions import Question
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.embedded_valkey import EmbeddedValkey
from memory.kv import KV, ChunkId
from memory.redis_archive import RedisArchive
from memory.rehydration import compose
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore
from training.evaluate import CHUNK_S, film, questions_on
from training.split import Split

INDEX_KEYS = 16
MAX_NEW_TOKENS = 8
MAX_FULL_CHUNKS = 128  # beyond, full KV is left out
TOP_K = (1, 2, 4)
CAMERA = "bench"
AGES = {"now": 8, "1min": 90, "10min": 900, "1h": 5400, "3h": float("inf")}


class Bench:
    """One model and one memory, asked about stream after stream."""

    def __init__(self, model: VisionLanguageModel, store: MemoryStore) -> None:
        self.model, self.store = model, store
        self.sink = model.prefill_sink()
        self.archive_bytes = self.index_bytes = self.num_chunks = 0

    async def run(
        self, seed: int, chunks: int, each: int, types: Sequence[str]
    ) -> list[Trial]:
        """Watch a world, then ask every question of these types in every context."""
        stream = await self._watch(seed, chunks)
        trials = []
        for question in questions_on(seed, chunks, each):
            if types and question.type.value not in types:
                continue
            asked = self._ask(stream, question)
            trials += [t async for t in self._trials(stream, question, asked, chunks)]
        return trials

    async def _watch(self, seed: int, chunks: int) -> Stream:
        self.store.resident = ResidentMemory(contexts.UNBOUNDED, contexts.NEWEST)
        wholes = []
        for frames in film(seed, chunks):
            whole = self.model.prefill(frames, [self.sink])
            times = (round(frames.start_s * 1000), round(frames.end_s * 1000))
            chunk = self.store.bilevel.compress_chunk(ChunkId(CAMERA, *times), whole)
            stored = await self.store.remember(chunk)
            self.archive_bytes += stored.high_bytes + stored.low_bytes
            self.index_bytes += chunk.memory.index_keys.nbytes
            self.num_chunks += 1
            wholes.append(whole)
        memories = self.store.resident.chunks([CAMERA])
        return Stream(self.model, self.sink, wholes, memories, seed)

    def _ask(self, stream: Stream, question: Question) -> Asked:
        start, end = (round(t * 1000) for t in question.holds)
        holders = [
            number
            for number, memory in enumerate(stream.memories)
            if memory.id.start_ms < end and memory.id.end_ms > start
        ]
        return Asked(question.text, contexts.score(stream, question.text), holders)

    async def _trials(
        self, stream: Stream, question: Question, asked: Asked, chunks: int
    ) -> AsyncIterator[Trial]:
        age = age_of(question, stream.memories[-1].id.end_ms / 1000)
        for name, h_factor, k, runs, spent_ms in self._fixed(stream, asked, chunks):
            yield self._trial(
                stream, question, age, (name, h_factor, k), runs, spent_ms
            )
        for name, choose in PLANNED.items():
            for k in TOP_K:
                began = time.perf_counter()
                if name == "bilevel":
                    contexts.score(stream, asked.text)
                readings = choose(stream, asked, k)
                recalled = await self.store.recall(readings, stream.memories)
                spent_ms = (time.perf_counter() - began) * 1000
                label = (name, HIGH.factor, k)
                trial = self._trial(
                    stream, question, age, label, recalled.runs, spent_ms
                )
                is_recalled = contexts.recall_at(asked, k)
                yield replace(trial, is_recalled=is_recalled)

    def _fixed(
        self, stream: Stream, asked: Asked, chunks: int
    ) -> Iterator[tuple[str, float, int, Sequence[KV], float]]:
        """Give the contexts that need no archive, each with what making it took."""
        mix = sum(m.high.num_tokens for m in stream.memories) + 2 * (
            stream.memories[0].low_tokens - stream.memories[0].high.num_tokens
        )  # the tokens of the mix at k = 1, the newest chunk included
        makers: dict[tuple[str, float, int], Any] = {
            ("blind", 0, 0): list,
            ("recent", 1, 0): lambda: contexts.recent(stream, mix),
            ("uniform", 1, 0): lambda: contexts.uniform(stream, mix),
            ("flat", 0, 0): lambda: contexts.flat(stream, mix),
            ("rekv", 1, 0): lambda: contexts.rekv(stream, asked.text, mix),
            ("l_only", LOW.factor, 0): lambda: contexts.level(stream, LOW),
        }
        for factor in (8, 16, 32):
            settings = LevelSettings(HIGH.method, factor)
            makers["h_only", factor, 0] = lambda s=settings: contexts.level(stream, s)
        if chunks <= MAX_FULL_CHUNKS:
            makers["full", 1, 0] = lambda: contexts.full(stream)
        for (name, factor, k), make in makers.items():
            began = time.perf_counter()
            runs = make()
            yield name, factor, k, runs, (time.perf_counter() - began) * 1000

    def _trial(
        self,
        stream: Stream,
        question: Question,
        age: str,
        label: tuple[str, float, int],
        runs: Sequence[KV],
        spent_ms: float,
    ) -> Trial:
        began = time.perf_counter()
        room = decode_room(self.model, question.text, MAX_NEW_TOKENS)
        cache = compose([stream.sink, *runs], self.model.rotary, room=room)
        ids, first_ms = [], 0.0
        for token in decode(
            self.model, cache, question.text, MAX_NEW_TOKENS, lambda: False
        ):
            first_ms = first_ms or (time.perf_counter() - began) * 1000
            ids.append(token)
        answer = str(self.model.tokenizer.decode(ids, skip_special_tokens=True))
        context, h_factor, k = label
        return Trial(
            stream.seed,
            context,
            h_factor,
            k,
            question.type.value,
            age,
            question.is_right(answer),
            is_recalled=False,
            tokens=sum(run.num_tokens for run in runs),
            first_token_ms=spent_ms + first_ms,
        )


def age_of(question: Question, now_s: float) -> str:
    """Give the bucket of how long ago what is asked about happened."""
    happened = question.happened or question.holds
    age_s = now_s - happened[1]
    return next(name for name, limit in AGES.items() if age_s < limit)


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run every stream in every length."""
    model = load_model(ModelSettings(name=arguments.model))
    split = Split[arguments.split.upper()]
    rows = []
    with tempfile.TemporaryDirectory(prefix="longwatch-bench-") as name:
        folder = Path(name)
        async with EmbeddedValkey(folder / "archive") as valkey:
            archive = RedisArchive(valkey.url, model=model.fingerprint)
            async with archive:
                spool = await asyncio.to_thread(Spool, folder / "spool", 1 << 30)
                levels = BiLevel(HIGH, LOW, model.heads, INDEX_KEYS)
                resident = ResidentMemory(contexts.UNBOUNDED, contexts.NEWEST)
                store = MemoryStore(
                    archive, spool, resident, levels, model.fingerprint, model.device
                )
                for chunks in arguments.chunks:
                    bench, trials = Bench(model, store), []
                    for seed in track(arguments.seeds, f"{chunks} chunks"):
                        world = split.world(seed)
                        trials += await bench.run(
                            world, chunks, arguments.each, arguments.types
                        )
                        await archive.forget(CAMERA, 1 << 52)
                    per_chunk = {
                        "index_bytes_per_chunk": bench.index_bytes // bench.num_chunks,
                        "archive_bytes_per_chunk": bench.archive_bytes
                        // bench.num_chunks,
                    }
                    rows += [
                        r | per_chunk for r in summarise(trials, chunks, LOW.factor)
                    ]
    return {
        "command": "python -m benchmarks.accuracy",
        "split": arguments.split,
        "seeds": arguments.seeds,
        "model": model.name,
        "fingerprint": model.fingerprint,
        "chunk_s": CHUNK_S,
        **describe(),
        "rows": rows,
    }


def numbers(text: str) -> list[int]:
    """Read `3`, `0-39`, or `1,5,9`."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main() -> None:
    """Read the command line, measure, show, write."""
    if any(word.startswith("--dataset") for word in sys.argv[1:]):
        public.main()
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    parser.add_argument("--seeds", type=numbers, default=numbers("0-39"))
    parser.add_argument("--chunks", type=int, nargs="+", default=[32])
    parser.add_argument("--each", type=int, default=8, help="questions of a type")
    parser.add_argument("--types", nargs="*", default=[], help="all, unless named")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--quick", action="store_true", help="two streams only")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.each = arguments.seeds[:2], 2
    result = asyncio.run(measure(arguments))
    show(result)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
