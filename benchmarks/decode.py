"""Decode against the library's own `generate`, over the same composed cache.

Run `python -m benchmarks.decode --json FILE`.

Greedy, without stop tokens, so that both say equally many; `generate` is spared its
check for them. Its cache is a stock `DynamicCache`, filled from ours. Times alternate
in one process. Several questions side by side each have a cache of their own; copying
these next to each other is part of their time. Memory is the cache and what decoding
adds to it at its peak, each in a fresh process: resident memory on a CPU (Linux),
allocated memory on a GPU.
"""

import argparse
import ctypes
import gc
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import DynamicCache, PreTrainedTokenizerBase, Qwen3VLConfig

from agent.vlm import builtin
from agent.vlm.generation import (
    Reader,
    decode,
    decode_room,
    decode_together,
    question_ids,
)
from agent.vlm.loading import ModelSettings, assemble, load_model
from agent.vlm.model import VisionLanguageModel
from benchmarks.environment import describe
from benchmarks.footage import BEGAN_S, CHUNK_FRAMES, FPS, SIZE
from ingest.frame import FrameChunk
from ingest.simulation.renderer import render
from ingest.simulation.world import World
from memory.kv import KV
from memory.rehydration import MixedCache, compose

QUESTION = "where did #47 come from ?"
MODELS, CONTEXTS = ("builtin", "larger"), (1024, 8192)
QUESTIONS = (1, 2, 4)  # side by side


def larger_config(tokenizer: PreTrainedTokenizerBase) -> Qwen3VLConfig:
    """Give a configuration with the proportions of a small language model."""
    config = builtin.build_config(tokenizer)
    config.text_config.hidden_size = config.vision_config.out_hidden_size = 768
    config.text_config.intermediate_size = 2048
    config.text_config.num_hidden_layers = 12
    config.text_config.num_attention_heads = 12
    config.text_config.num_key_value_heads = 4
    config.text_config.head_dim = 64
    config.text_config.rope_parameters["mrope_section"] = [12, 10, 10]
    return config


def larger_model() -> VisionLanguageModel:
    """Give random weights of that configuration."""
    tokenizer = builtin.build_tokenizer()
    module = builtin.build_module(larger_config(tokenizer))
    if torch.cuda.is_available():
        module.to("cuda", torch.bfloat16)
    return assemble("larger", module, tokenizer, builtin.PATCHES, is_trained=False)


def open_model(name: str) -> VisionLanguageModel:
    """Give a model that never stops by itself."""
    model = larger_model() if name == "larger" else load_model(ModelSettings(name=name))
    model.module.generation_config.eos_token_id = None
    return replace(model, prompt=replace(model.prompt, stop_ids=frozenset()))


def make_runs(model: VisionLanguageModel, num_tokens: int) -> list[KV]:
    """Give the sink, and one chunk so often that both have so many tokens."""
    times_s = BEGAN_S + np.arange(CHUNK_FRAMES) / FPS
    pixels = np.stack([render(World(1), time_s, SIZE) for time_s in times_s])
    end_s = BEGAN_S + CHUNK_FRAMES / FPS
    sink = model.prefill_sink()
    chunk = model.prefill(FrameChunk("bench", pixels, times_s, end_s), [sink]).kv
    return [sink, *[chunk] * ((num_tokens - sink.num_tokens) // chunk.num_tokens)]


@dataclass(frozen=True, slots=True, eq=False)
class Ours:
    """Our decode: the cache was composed with room for what it writes."""

    model: VisionLanguageModel
    cache: MixedCache

    @property
    def num_bytes(self) -> int:
        """Bytes of the cache now."""
        return self.cache.keys.nbytes + self.cache.values.nbytes

    def say(self, num_tokens: int) -> list[int]:
        """Decode so many tokens."""
        return list(decode(self.model, Reader(self.cache, QUESTION, num_tokens)))


class Stock:
    """The library's `generate`, over a stock cache filled from a composed one."""

    def __init__(self, model: VisionLanguageModel, cache: MixedCache) -> None:
        self.model = model
        self.past, self.next_position = cache.num_tokens, cache.next_position
        self.cache = DynamicCache()
        for layer, pair in enumerate(zip(cache.keys, cache.values, strict=True)):
            # `update` of an empty layer copies.
            self.cache.update(*(part[None, :, : self.past] for part in pair), layer)

    @property
    def num_bytes(self) -> int:
        """Bytes of the cache now."""
        return sum(x.keys.nbytes + x.values.nbytes for x in self.cache.layers)

    def say(self, num_tokens: int) -> list[int]:
        """Generate so many tokens."""
        ids = question_ids(self.model, QUESTION)[None].to(self.model.device)
        count = ids.shape[1]
        positions = torch.arange(count, device=ids.device) + self.next_position
        tokens = self.model.module.generate(
            input_ids=ids,
            attention_mask=ids.new_ones(1, self.past + count),
            position_ids=positions.expand(3, 1, -1),
            past_key_values=self.cache,
            max_new_tokens=num_tokens,
            do_sample=False,
        )
        return tokens[0, count:].tolist()


Way = type[Ours] | type[Stock]


def measure_speed(
    model: VisionLanguageModel, runs: list[KV], num_tokens: int, repeats: int
) -> dict[str, Any]:
    """Give tokens per second of both ways, in turns, and whether they say the same."""
    room = decode_room(model, QUESTION, num_tokens)
    spent: dict[Way, list[float]] = {Ours: [], Stock: []}
    said: dict[Way, list[int]] = {}
    for turn in range(repeats + 1):
        for way in (Ours, Stock) if turn % 2 else (Stock, Ours):
            speaker = way(model, compose(runs, model.rotary, room=room))
            began = time.perf_counter()
            said[way] = speaker.say(num_tokens)
            spent[way].append(time.perf_counter() - began)
            del speaker
    speeds = {
        way: num_tokens / median(times[1:])  # the first one warms up
        for way, times in spent.items()
    }
    return {
        "ours_tokens_per_s": round(speeds[Ours], 2),
        "stock_tokens_per_s": round(speeds[Stock], 2),
        "speed_ratio": round(speeds[Ours] / speeds[Stock], 3),
        "same_tokens": said[Ours] == said[Stock],
        "tokens": len(said[Ours]),
    }


def measure_together(
    model: VisionLanguageModel, runs: list[KV], num_tokens: int, repeats: int
) -> dict[str, float]:
    """Give tokens per second of several questions side by side, all told."""
    room = decode_room(model, QUESTION, num_tokens)
    spent: dict[int, list[float]] = {count: [] for count in QUESTIONS}
    for _ in range(repeats + 1):
        for count in QUESTIONS:
            caches = [compose(runs, model.rotary, room=room) for _ in range(count)]
            readers = [Reader(cache, QUESTION, num_tokens) for cache in caches]
            began = time.perf_counter()
            tokens = [token for _, token in decode_together(model, readers)]
            spent[count].append(time.perf_counter() - began)
            assert len(tokens) == count * (num_tokens + 1)  # each ends with None
    return {
        f"{count}_questions_tokens_per_s": round(
            count * num_tokens / median(times[1:]), 2
        )
        for count, times in spent.items()
    }


def measure_memory(name: str, context: int, num_tokens: int, way: Way) -> int:
    """Give the bytes of a cache and of all that decoding over it adds, at their peak.

    Runs in a process of its own.
    """
    model = open_model(name)
    runs = make_runs(model, context)
    room = decode_room(model, QUESTION, num_tokens)
    way(model, compose(runs[:2], model.rotary, room=room)).say(2)  # what is made once
    speaker = way(model, compose(runs, model.rotary, room=room))
    del runs
    before = _start_peak(model.device)
    speaker.say(num_tokens)
    return speaker.num_bytes + _peak(model.device) - before


def _start_peak(device: torch.device) -> int:
    """Forget the peak so far; give the bytes in use now."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    ctypes.CDLL(None).malloc_trim(0)  # what was freed is used again, unseen
    Path("/proc/self/clear_refs").write_text("5")
    return _status_bytes("VmRSS")


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(x.split()[1]) for x in lines if x.startswith(f"{name}:"))


def measure(
    names: Sequence[str], contexts: Sequence[int], num_tokens: int, repeats: int
) -> Iterator[dict[str, Any]]:
    """Give a row per model and context."""
    for name in names:
        model = open_model(name)
        weights = sum(weight.numel() for weight in model.module.parameters())
        for context in contexts:
            runs = make_runs(model, context)
            speed = measure_speed(model, runs, num_tokens, repeats)
            ours, stock = (
                _alone(measure_memory, name, context, num_tokens, way)
                for way in (Ours, Stock)
            )
            yield {
                "model": name,
                "parameters": weights,
                "context_tokens": sum(run.num_tokens for run in runs),
                **speed,
                **measure_together(model, runs, num_tokens, repeats),
                "ours_peak_bytes": ours,
                "stock_peak_bytes": stock,
                "memory_ratio": round(ours / stock, 3),
            }


def _alone(work: Callable[..., int], *given: object) -> int:
    """Run it in a fresh process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--contexts", nargs="+", type=int, default=CONTEXTS)
    parser.add_argument("--tokens", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    rows = list(measure(asked.models, asked.contexts, asked.tokens, asked.repeats))
    table = Table("", *(f"{row['model']} {row['context_tokens']}" for row in rows))
    for name in rows[0]:
        table.add_row(name, *(str(row[name]) for row in rows))
    Console().print(table)
    if asked.json:
        facts = {
            "command": shlex.join(["python", "-m", "benchmarks.decode", *sys.argv[1:]]),
            **describe(),
            "threads": torch.get_num_threads(),
            "load": os.getloadavg()[0],
            "device": str(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
            "seed": 1,
            "rows": rows,
        }
        asked.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
