"""Does the demo answer truly? Its cameras, questions and settings, seed after seed.

Run `python -m benchmarks.demo_truth --seeds 0-19 --json FILE`.

The agent's own memory and answerer over the demo's two cameras, in one process and at
fixed times, so that a run can be repeated. Beside each answer stands what the same
model says from full KV, and with the right chunks re-loaded: where those are wrong too,
neither relevance nor compression is to blame.
"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import track

from agent.abstention import Abstention
from agent.answerer import Answerer
from agent.calibration.sureness import abstention_of
from agent.config_sections import MemoryConfig
from agent.decode_queue import DecodeQueue
from agent.demo import BACKLOG_S, MAX_NEW_TOKENS, NUM_QUESTIONS, TOP_K, worlds_of
from agent.demo_questions import DemoQuestion, questions_about
from agent.messages import Question, ReplyTo
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread
from benchmarks.contexts import Asked, Setup, Stream, choose_oracle
from benchmarks.contexts import holders_of as find_holders
from benchmarks.environment import describe
from benchmarks.opening import empty, open_store
from benchmarks.options import Parser, numbers, result_file
from benchmarks.path import NoGaps
from memory.compression.bilevel import LevelSettings
from memory.kv import KV, ChunkId
from memory.recall import RecallLimits
from memory.store import MemoryStore
from training.evaluate import CHUNK_S, film_world, say

MEMORY = MemoryConfig()
SETUP = Setup(
    LevelSettings(MEMORY.high_method, MEMORY.high_factor),
    LevelSettings(MEMORY.low_method, MEMORY.low_factor),
    MEMORY.index_keys,
)
LIMITS = RecallLimits(TOP_K, MEMORY.newest_chunks, MEMORY.context_tokens)
CHUNKS = math.ceil(BACKLOG_S / CHUNK_S)
START_S, APART_S = 1_790_000_000.0, 1009.37  # of the first seed, and the next ones
PROG = "python -m benchmarks.demo_truth"


class Demo:
    """The demo's agent without its processes."""

    def __init__(
        self,
        model: VisionLanguageModel,
        store: MemoryStore,
        thread: ModelThread,
        abstention: Abstention | None,
    ) -> None:
        self.model, self.store = model, store
        self.sink = model.prefill_sink()
        sources: dict[str, Any] = {name: NoGaps() for name in worlds_of(0)}
        decoding = DecodeQueue(thread, model, self.sink, MAX_NEW_TOKENS)
        self.answerer = Answerer(
            decoding, store, LIMITS, sources, abstention=abstention
        )

    async def run(self, seed: int) -> list[dict[str, Any]]:
        """Watch both cameras, ask the demo's questions, give a row for each."""
        start_s = START_S + seed % 100_000 * APART_S
        empty(self.store, LIMITS.newest)
        worlds = worlds_of(seed)
        streams = {name: await self._watch(name, seed, start_s) for name in worlds}
        window = (start_s, start_s + CHUNKS * CHUNK_S)
        windows = dict.fromkeys(worlds, window)
        rows = [
            await self._ask(question, streams[question.camera], seed)
            for question in questions_about(worlds, windows, NUM_QUESTIONS, seed)
        ]
        for name in worlds:
            await self.store.archive.forget(name, 1 << 52)
        return rows

    async def _watch(self, name: str, seed: int, start_s: float) -> Stream:
        wholes, memories = [], []
        for frames in film_world(worlds_of(seed)[name], start_s, CHUNKS):
            whole = self.model.prefill(frames, [self.sink])
            times = (round(frames.start_s * 1000), round(frames.end_s * 1000))
            chunk = self.store.bilevel.compress_chunk(ChunkId(name, *times), whole)
            await self.store.remember(chunk)
            wholes.append(whole)
            memories.append(chunk.memory)
        return Stream(self.model, self.sink, wholes, memories, seed, SETUP)

    async def _ask(
        self, question: DemoQuestion, stream: Stream, seed: int
    ) -> dict[str, Any]:
        truth = question.truth
        assert truth is not None  # the cameras are simulated
        answer = await self.answerer.answer(_put(question))
        holders = find_holders(truth, stream.memories)
        read = {evidence.chunk for evidence in answer.evidence}
        asked = Asked(question.text, [0.0] * CHUNKS, 0.0, holders)
        readings = choose_oracle(stream, asked, TOP_K)
        oracle = await self.store.recall(readings, stream.nodes)
        full = [whole.kv for whole in stream.wholes]
        return {
            "seed": seed,
            "camera": question.camera,
            "type": truth.type.value,
            "question": question.text,
            "expected": truth.answer,
            "answer": answer.answer,
            "status": answer.status,
            "is_right": answer.status != "unsure" and truth.is_right(answer.answer),
            "is_recalled": any(stream.memories[n].id.name in read for n in holders),
            "oracle": self._say(question.text, oracle.runs),
            "full": self._say(question.text, full),
        }

    def _say(self, text: str, runs: Sequence[KV]) -> str:
        return say(self.model, [self.sink, *runs], text, MAX_NEW_TOKENS)


def _put(question: DemoQuestion) -> Question:
    """Write a question as the demo puts it: to one camera, about all it remembers."""
    return Question(
        "demo",
        question.text,
        (question.camera,),
        None,
        None,
        deadline_s=600,
        top_k=None,
        stream=False,
        reply=ReplyTo("nowhere"),
    )


async def measure(seeds: list[int], model: VisionLanguageModel) -> list[dict[str, Any]]:
    """Ask the demo's questions of every seed."""
    abstention = await asyncio.to_thread(abstention_of, model)
    async with open_store(model, SETUP) as store, ModelThread() as thread:
        demo = Demo(model, store, thread, abstention)
        return [row for seed in track(seeds, "demos") for row in await demo.run(seed)]


def counts_of(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Give how many were asked for, and answered rightly, not surely, or wrongly."""
    right = sum(row["is_right"] for row in rows)
    unsure = sum(row["status"] == "unsure" for row in rows)
    wrong = len(rows) - right - unsure
    return {"asked": len(rows), "right": right, "unsure": unsure, "wrong": wrong}


def show(rows: list[dict[str, Any]]) -> None:
    """Print right / asked for each seed, all counts, and every answer not right."""
    out = Console(width=120)
    for row in rows:
        if not row["is_right"]:
            found = "found" if row["is_recalled"] else "not found"
            out.print(
                f"{row['seed']} {row['camera']}: {row['question']} {row['expected']}, "
                f"not {row['answer']} (chunk {found}; right chunks: {row['oracle']}; "
                f"full KV: {row['full']})"
            )
    asked = Counter(row["seed"] for row in rows)
    right = Counter(row["seed"] for row in rows if row["is_right"])
    out.print(", ".join(f"seed {seed}: {right[seed]}/{n}" for seed, n in asked.items()))
    found = (f"{count} {name}" for name, count in counts_of(rows).items())
    out.print(f"in all: {', '.join(found)}")


def main() -> None:
    """Read the command line, measure, show, write."""
    parser = Parser(prog=PROG, description=__doc__)
    parser.add_argument("--seeds", type=numbers, default=numbers("0-19"))
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--json", type=result_file, help="where to write the rows")
    arguments = parser.parse_args()
    with parser.tells():
        model = load_model(ModelSettings(name=arguments.model))
    rows = asyncio.run(measure(arguments.seeds, model))
    show(rows)
    if arguments.json:
        result = {
            "command": PROG,
            "model": model.name,
            "fingerprint": model.fingerprint,
            "seeds": arguments.seeds,
            **describe(),
            **counts_of(rows),
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
