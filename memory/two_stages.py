"""Which of very many chunks does a question mean? All by two keys, a few by all keys.

Late interaction (`relevance.py`) looks for the best of a chunk's fine keys. Over a
month of chunks that is too much to look at, so there are two stages. First every chunk
is judged by its **marks**, the two of its keys that are furthest from what the camera
usually shows: plain matrix products. Then the best of those are judged again by all
their fine keys, and the others keep their place in the softmax: without them a few
chunks would share what is due to many. Decision 0011 has what that loses, and why marks
find what means of keys do not.

    Q' query heads that retrieve        R  rows: each question token in each query head
    C  chunks of all pages              c  chunks of one page
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from memory.relevance import DETREND_FROM_CHUNKS, ChunkKeys, IndexHeads, best_keys

SHORT_LIST = 256  # chunks that are judged by their fine keys


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Chunks of one camera that are judged together.

    Attributes:
        camera: Name of the camera.
        starts_ms: Their starts, (c,), int64.
        ends_ms: Their ends, (c,), int64.
        marks: Two keys of each, (I, 2, c, D), bfloat16.
    """

    camera: str
    starts_ms: Tensor
    ends_ms: Tensor
    marks: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What a softmax and its entropy need of some logits, row by row.

    Attributes:
        peak: What the logits are counted from, (R, 1); none is larger.
        total: Sum of exp(logit - peak), (R, 1).
        spread: Sum of exp(logit - peak) x (logit - peak), (R, 1).
    """

    peak: Tensor
    total: Tensor
    spread: Tensor

    @classmethod
    def of(cls, logits: Tensor, weights: Tensor, peak: Tensor) -> "Sums":
        """Build from logits counted from a peak, (R, c), and their exponentials."""
        total = weights.sum(dim=-1, keepdim=True, dtype=torch.float32)
        spread = (weights * logits).sum(dim=-1, keepdim=True, dtype=torch.float32)
        return cls(peak, total, spread)

    def __add__(self, other: "Sums") -> "Sums":
        peak = torch.maximum(self.peak, other.peak)
        one, two = self.counted_from(peak), other.counted_from(peak)
        return Sums(peak, one.total + two.total, one.spread + two.spread)

    def __sub__(self, other: "Sums") -> "Sums":
        own = other.counted_from(self.peak)
        return Sums(self.peak, self.total - own.total, self.spread - own.spread)

    def counted_from(self, peak: Tensor) -> "Sums":
        """Give the same, counted from another peak."""
        rise = self.peak - peak  # (R, 1)
        scale = rise.exp()
        spread = scale * (self.spread + self.total * rise)
        return Sums(peak, scale * self.total, spread)

    def due(self, num_chunks: int) -> Tensor:
        """Give what a weight of 1 scores in each row, (R, 1).

        That is its share, counted by the square of how sharply the row points, as
        `relevance.sharpness` has it.
        """
        entropy = self.total.log() - self.spread / self.total
        sharpness = 1 - entropy / math.log(max(num_chunks, 2))
        return sharpness.clamp(min=0).square() / self.total


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A page, judged by its marks.

    Attributes:
        page: The page.
        logits: Counted from their peak, drift taken out, (R, c), bfloat16.
        weights: Their exponentials, (R, c), bfloat16.
        sums: Of both.
        times: Its chunks' times as `drift` counts them, (c,).
        drift: What the logits rise with time, (R,).
    """

    page: Page
    logits: Tensor
    weights: Tensor
    sums: Sums
    times: Tensor
    drift: Tensor


class TwoStages:
    """The relevance of all chunks of some pages, sharper where it matters.

    Args:
        queries: Pre-RoPE queries of the question's tokens in `heads.query_heads`,
            (Q', T, D), on the CPU.
        pages: At least one, each with at least one chunk.
        heads: What the index holds.

    Attributes:
        num_chunks: All chunks, C.
        scores: Of all chunks, in the order of the pages, (C,).
    """

    def __init__(
        self, queries: Tensor, pages: Sequence[Page], heads: IndexHeads
    ) -> None:
        self._scaled = queries.float() * queries.shape[-1] ** -0.5  # (Q', T, D)
        self._heads = heads
        self._judged = _judge(self._scaled.bfloat16(), pages, heads)
        self.num_chunks = sum(len(page.starts_ms) for page in pages)
        self._sums = reduce(add, (each.sums for each in self._judged))
        self.scores = self._scores()

    def short_list(self) -> Tensor:
        """Give the places of the best chunks among all, (n,), best first."""
        return self.scores.topk(min(SHORT_LIST, self.num_chunks)).indices

    def refine(self, places: Tensor, keys: Sequence[ChunkKeys]) -> None:
        """Judge some chunks again, by their fine keys; once.

        Marks are among the fine keys: no chunk's logits get smaller.

        Args:
            places: Which, (n,), int64, at least one.
            keys: Those of each.
        """
        by_row = self._heads.reads.argsort(stable=True)
        best = best_keys(self._scaled, keys, self._heads)[by_row]  # (Q', T, n)
        fine = best.flatten(0, 1) - self._take_out(places)  # (R, n)
        peak = fine.amax(dim=-1, keepdim=True)  # (R, 1)
        self._sums = self._sums + Sums.of(fine - peak, (fine - peak).exp(), peak)
        self.scores = self._scores()
        weights = (fine - self._sums.peak).exp()  # (R, n)
        self.scores[places] = (self._sums.due(self.num_chunks) * weights).sum(dim=0)

    def _scores(self) -> Tensor:
        due, peak = self._sums.due(self.num_chunks), self._sums.peak  # (R, 1)
        each = [
            (due * (judged.sums.peak - peak).exp()).bfloat16().T @ judged.weights
            for judged in self._judged
        ]
        return torch.cat(each, dim=1)[0].float()  # (C,)

    def _take_out(self, places: Tensor) -> Tensor:
        """Take chunks out of the first stage; give the drift at them, (R, n)."""
        drift = torch.empty(len(self._sums.peak), len(places))
        first = 0
        for judged in self._judged:
            end = first + len(judged.times)
            here = (first <= places) & (places < end)
            there = places[here] - first
            if len(there):
                logits, weights = judged.logits[:, there], judged.weights[:, there]
                self._sums -= Sums.of(logits, weights, judged.sums.peak)
                judged.weights[:, there] = 0
                drift[:, here] = judged.drift[:, None] * judged.times[there]
            first = end
        return drift


def _judge(scaled: Tensor, pages: Sequence[Page], heads: IndexHeads) -> list[Judged]:
    """Judge page after page: the logits of one fit a core's cache."""
    times = _centred_times(pages)
    products = [_products(scaled, page.marks, heads) for page in pages]  # (R, c) each
    drifts = _drifts(pages, products, times)
    judged = []
    for page, logits, when in zip(pages, products, times, strict=True):
        drift = drifts[page.camera]
        if drift.any():
            logits.addcmul_(drift.bfloat16()[:, None], when.bfloat16(), value=-1)
        peak = logits.amax(dim=-1, keepdim=True)  # (R, 1)
        weights = logits.sub_(peak).exp()  # (R, c)
        sums = Sums.of(logits, weights, peak.float())
        judged.append(Judged(page, logits, weights, sums, when, drift))
    return judged


def _products(scaled: Tensor, marks: Tensor, heads: IndexHeads) -> Tensor:
    """Give the larger product of queries (Q', T, D) and marks, (R, c), bfloat16.

    The rows are in the order of the key-value heads that they read.
    """
    num_heads, tokens, size = scaled.shape
    products = scaled.new_empty(num_heads * tokens, marks.shape[2])
    first = 0
    for row, (one, other) in enumerate(marks):  # (c, D) each
        reading = scaled[heads.reads == row].view(-1, size)  # (q * T, D)
        end = first + len(reading)
        torch.mm(reading, one.T, out=products[first:end])
        torch.maximum(products[first:end], reading @ other.T, out=products[first:end])
        first = end
    return products


def _centred_times(pages: Sequence[Page]) -> list[Tensor]:
    """Give each chunk's time in days from the mean of its camera's, (c,)."""
    days = [page.starts_ms.double() / 86_400_000 for page in pages]
    means = {}
    for camera in {page.camera for page in pages}:
        own = [d for d, page in zip(days, pages, strict=True) if page.camera == camera]
        means[camera] = torch.cat(own).mean()
    return [
        (each - means[page.camera]).float()
        for each, page in zip(days, pages, strict=True)
    ]


def _drifts(
    pages: Sequence[Page], products: Sequence[Tensor], times: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Give the slope of each camera's logits over time, (R,), as `detrend` has it."""
    drifts = {}
    for camera in {page.camera for page in pages}:
        own = [n for n, page in enumerate(pages) if page.camera == camera]
        spread = sum(float(times[n].square().sum()) for n in own)
        drifts[camera] = torch.zeros(len(products[0]))
        if spread and sum(len(times[n]) for n in own) >= DETREND_FROM_CHUNKS:
            rises = [products[n] @ times[n].bfloat16() for n in own]  # (R,) each
            drifts[camera] = torch.stack(rises).float().sum(dim=0) / spread
    return drifts
