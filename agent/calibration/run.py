"""Calibrate a model: watch made-up streams, ask about them, see which heads find it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from agent.calibration import filmed, written
from agent.calibration.probe import Probe
from agent.config_sections import MemoryConfig
from agent.errors import CalibrationFailedError
from agent.vlm.calibrated_heads import CalibratedHeads, weights_digest
from agent.vlm.model import VisionLanguageModel
from agent.vlm.text_shape import text_config
from memory.calibration import (
    Choice,
    Trials,
    choose_heads,
    recall_at,
    score_each_head,
)
from memory.compression.index import take_index_keys
from memory.kv import KV, ChunkId
from memory.relevance import ChunkKeys

Source = Literal["camera", "text"]
_TIMES_CHANCE = 3  # what heads have to beat to be worth anything


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is watched.

    Attributes:
        source: `camera`: simulated cameras; `text`: a written log, needs no vision.
        streams: Half of them to rank heads on, half held out; at least 2.
        chunks: In each.
        index_keys: Keys per chunk and head that pictures are judged by.
    """

    source: Source
    streams: int
    chunks: int
    index_keys: int = MemoryConfig().index_keys

    @property
    def steps(self) -> int:
        """Steps that `calibrate` reports."""
        return self.streams * self.chunks


@dataclass(frozen=True, slots=True)
class Report:
    """What a calibration found, beside what it replaces.

    Attributes:
        found: The heads.
        choice: How the set was put together.
        before: Recall at 1 and 4 of the heads that the model had until now.
        every: The same of all heads together.
    """

    found: CalibratedHeads
    choice: Choice
    before: dict[str, float]
    every: dict[str, float]


def calibrate(
    model: VisionLanguageModel, plan: Plan, advance: Callable[[], None]
) -> Report:
    """Find a model's retrieval heads.

    Args:
        model: With the heads it has until now.
        plan: How much is watched.
        advance: Called after each chunk.

    Raises:
        CalibrationFailedError: No head does better than chance.
    """
    pairs = every_head(model)
    whole = model.with_heads(pairs)
    sink = whole.prefill_sink()
    parts = [
        _try_heads(whole, sink, plan, stream, advance) for stream in range(plan.streams)
    ]
    ranking, held_out = Trials.join(parts[::2]), Trials.join(parts[1::2])
    choice = choose_heads(ranking, held_out)
    recall = recall_at(held_out.ranks_of(choice.heads), (1, 4))
    chance = held_out.holders.double().mean().item()
    if recall["recall_at_1"] < _TIMES_CHANCE * chance:
        raise CalibrationFailedError(model.name, recall["recall_at_1"], chance)
    number = {pair: place for place, pair in enumerate(pairs)}
    before = [number[layer, head] for layer, head in model.heads.query_heads.tolist()]
    return Report(
        CalibratedHeads(
            weights_digest(model.module),
            tuple(pairs[head] for head in choice.heads),
            plan.source,
            plan.streams,
            plan.chunks,
            plan.index_keys,
            len(held_out.holders),
            **recall,
        ),
        choice,
        recall_at(held_out.ranks_of(before), (1, 4)),
        recall_at(held_out.ranks_of(range(len(pairs))), (1, 4)),
    )


def every_head(model: VisionLanguageModel) -> list[tuple[int, int]]:
    """Give all (layer, query head) pairs of a model."""
    config = text_config(model.module.config)
    return [
        (layer, head)
        for layer in range(config.num_hidden_layers)
        for head in range(config.num_attention_heads)
    ]


def _try_heads(
    model: VisionLanguageModel,
    sink: KV,
    plan: Plan,
    stream: int,
    advance: Callable[[], None],
) -> Trials:
    """Watch one stream and ask all questions about it."""
    probes: Sequence[Probe]
    if plan.source == "camera":
        probes = filmed.make_probes(stream, plan.chunks)
        watched = _watch(model, sink, plan, stream)
    else:
        log = written.write_log(stream, plan.chunks)
        probes, watched = log.probes, _read(model, sink, log)
    chunks = []
    for chunk in watched:
        chunks.append(chunk)
        advance()
    scores, holders = [], torch.zeros(len(probes), len(chunks), dtype=torch.bool)
    for number, probe in enumerate(probes):
        queries = model.question_queries(probe.text, sink)
        scores.append(score_each_head(queries, chunks, model.heads).cpu())
        holders[number, list(probe.holders)] = True
    return Trials(torch.stack(scores), holders)


def _watch(
    model: VisionLanguageModel, sink: KV, plan: Plan, stream: int
) -> Iterator[ChunkKeys]:
    for frames in filmed.film(stream, plan.chunks):
        whole = model.prefill(frames, [sink])
        times = (round(frames.start_s * 1000), round(frames.end_s * 1000))
        keys = take_index_keys(whole, model.heads, plan.index_keys)
        yield ChunkKeys(ChunkId(frames.camera, *times), keys)


def _read(
    model: VisionLanguageModel, sink: KV, log: written.Log
) -> Iterator[ChunkKeys]:
    for number, text in enumerate(log.chunks):
        kv = model.prefill_text(text, [sink])
        id = ChunkId("made-up", number * 60_000, (number + 1) * 60_000)
        yield ChunkKeys(id, kv.keys.flatten(0, 1))  # (L * H, S, D)
