"""Which heads retrieve? Found from questions whose chunks are known.

Most heads say nothing about where a thing was seen, and drown the few that do. Heads
are ranked by the reciprocal rank of the right chunk, and sets of the best are compared
on questions that they were not put together on. Scores are those of `memory.relevance`;
ties count against a head.

    Q' heads        A  questions        C  chunks        M  heads of the short list
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memory.relevance import ChunkKeys, Indexed, IndexHeads, head_scores

MOST_HEADS = 8  # the index would grow; measured sets are done at half of that
WORTH = 0.01  # of mean reciprocal rank: less is not worth a larger index
SHORT_LIST = 32  # heads, the best alone, that a set is put together from


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """How strongly each head pointed at each chunk, question after question.

    Attributes:
        scores: Of `head_scores`, (A, Q', C).
        holders: Which chunks hold the answer, (A, C), bool, at least one of each row.
    """

    scores: Tensor
    holders: Tensor

    def __post_init__(self) -> None:
        questions, _, chunks = self.scores.shape
        if self.holders.shape != (questions, chunks):
            raise ValueError(
                f"holders are {(questions, chunks)}, not {tuple(self.holders.shape)}"
            )
        if not self.holders.any(dim=1).all():
            raise ValueError("every question has a chunk that holds its answer")

    @classmethod
    def join(cls, parts: Sequence["Trials"]) -> "Trials":
        """Put trials over streams of one length together."""
        scores = torch.cat([part.scores for part in parts])
        return cls(scores, torch.cat([part.holders for part in parts]))

    def ranks_of(self, heads: Sequence[int]) -> Tensor:
        """Give the rank of the right chunk when these heads score together, (A,)."""
        return ranks(self.scores[:, list(heads)].sum(dim=1), self.holders)


@dataclass(frozen=True, slots=True)
class Choice:
    """The heads that were chosen, and what showed it.

    Attributes:
        heads: Their numbers, best first.
        alone: Mean reciprocal rank of each, scoring alone, on the questions that heads
            are ranked by.
        together: That of all of them on the questions held out.
    """

    heads: tuple[int, ...]
    alone: tuple[float, ...]
    together: float


def ranks(scores: Tensor, holders: Tensor) -> Tensor:
    """Give the rank of the best-scored right chunk, from 1, (...).

    What is not below it ranks before it: equals, and scores that are no number.

    Args:
        scores: (..., C).
        holders: Which chunks are right, bool, of that shape or spread to it.
    """
    best = scores.masked_fill(~holders, -torch.inf).amax(dim=-1, keepdim=True)
    return 1 + (~(scores < best) & ~holders).sum(dim=-1)


def score_each_head(
    queries: Tensor, chunks: Sequence[Indexed], heads: IndexHeads
) -> Tensor:
    """Give `head_scores` of very many heads, layer by layer: bounds the memory.

    Args:
        queries: Pre-RoPE queries of a question, (Q', T, D).
        chunks: Their index keys are of all `heads.kv_heads`, (I, N, D).
        heads: All heads that are compared.
    """
    parts = []
    for layer in heads.query_heads[:, 0].unique().tolist():
        own = heads.query_heads[:, 0] == layer  # (Q',)
        rows = (heads.kv_heads[:, 0] == layer).nonzero().flatten()  # (I',)
        part = IndexHeads(
            heads.query_heads[own], heads.kv_heads[rows], heads.reads[own] - rows[0]
        )
        cut = [ChunkKeys(chunk.id, chunk.index_keys[rows]) for chunk in chunks]
        parts.append(head_scores(queries[own], cut, part))
    return torch.cat(parts)  # (Q', C)


def choose_heads(ranking: Trials, held_out: Trials) -> Choice:
    """Choose few heads that find the right chunk together.

    Compared are the first one, two, ... heads in two orders, both of `ranking`: by how
    well each does alone, and as each adds most to those before it. Of these sets the
    smallest is chosen that is not surely worse than the best one on `held_out`: by no
    more than one standard error of the difference, question by question, or `WORTH`.
    """
    alone = (1 / ranks(ranking.scores, ranking.holders[:, None])).mean(dim=0)  # (Q',)
    best_alone = alone.topk(min(SHORT_LIST, len(alone))).indices.tolist()
    orders = (best_alone[:MOST_HEADS], _join_greedily(ranking, best_alone))
    sets = [order[: n + 1] for n in range(MOST_HEADS) for order in orders]
    found = torch.stack([1 / held_out.ranks_of(heads) for heads in sets])  # (sets, A)
    together = found.mean(dim=1)
    missed = found[together.argmax()] - found  # (sets, A)
    error = missed.std(dim=1, correction=0) / missed.shape[1] ** 0.5
    good = (missed.mean(dim=1) <= error.clamp(min=WORTH)).nonzero().flatten().tolist()
    place = min(good, key=lambda n: (len(sets[n]), -together[n].item()))
    chosen = sets[place]
    return Choice(tuple(chosen), tuple(alone[chosen].tolist()), together[place].item())


def recall_at(found: Tensor, counts: Iterable[int]) -> dict[str, float]:
    """Give the share of ranks among the first k, for each k."""
    return {
        f"recall_at_{k}": round((found <= k).double().mean().item(), 4) for k in counts
    }


def _join_greedily(ranking: Trials, listed: Sequence[int]) -> list[int]:
    """Order heads as each adds most to those before it, until none adds anything."""
    scores = ranking.scores[:, listed]  # (A, M, C)
    chosen: list[int] = []
    current = torch.zeros_like(scores[:, 0])  # (A, C)
    best = 0.0
    while len(chosen) < MOST_HEADS:
        joined = current[:, None] + scores  # (A, M, C)
        joined[:, [listed.index(head) for head in chosen]] = 0
        gains = (1 / ranks(joined, ranking.holders[:, None])).mean(dim=0)  # (M,)
        place = int(gains.argmax())
        if gains[place] <= best:
            break
        best = gains[place].item()
        chosen.append(listed[place])
        current = joined[:, place]
    return chosen
