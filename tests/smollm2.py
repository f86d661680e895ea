"""A written log, tried on real weights; what these are is told in benchmarks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from agent.calibration.written import write_log
from benchmarks.smollm2 import IS_INSTALLED, SmolLM2
from memory.calibration import Trials, score_each_head
from memory.kv import ChunkId
from memory.relevance import ChunkKeys, IndexHeads

__all__ = ["IS_INSTALLED", "SmolLM2", "try_on_log"]


def try_on_log(
    model: SmolLM2, stream: int, chunks: int
) -> tuple[Trials, Trials, list[str]]:
    """Read a made-up log and ask about it.

    Returns:
        Trials of each head by late interaction; of one head that stands for the
        published way, mean query times mean key over all heads; and the questions.
    """
    log = write_log(stream, chunks)
    read = [
        ChunkKeys(ChunkId("log", n * 60_000, (n + 1) * 60_000), model.keys(text))
        for n, text in enumerate(log.chunks)
    ]
    each, mean = [], []
    for probe in log.probes:
        queries = model.queries(probe.text)
        each.append(score_each_head(queries, read, model.heads))
        mean.append(_mean_scores(queries, read, model.heads))
    holders = torch.zeros(len(log.probes), chunks, dtype=torch.bool)
    for number, probe in enumerate(log.probes):
        holders[number, list(probe.holders)] = True
    texts = [probe.text for probe in log.probes]
    return Trials(torch.stack(each), holders), Trials(torch.stack(mean), holders), texts


def _mean_scores(queries: Tensor, chunks: Sequence[Any], heads: IndexHeads) -> Tensor:
    keys = torch.stack([chunk.index_keys.mean(dim=1) for chunk in chunks])  # (C, I, D)
    return torch.einsum("hd,chd->c", queries.mean(dim=1), keys[:, heads.reads])[None]
