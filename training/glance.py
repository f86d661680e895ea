"""A lesson besides the answers: where what is asked about is looked for, and found.

An answer takes two steps, from the question's key (a plate, a kind behind its colour,
the word "now") to the visual tokens that show it, and from the answer's own tokens to
the key and what it found; neither is worth much to the loss before the other is there.
Judged by themselves, in one layer each, they are learned in a few hundred steps. None
of this is left in the model.

    G  streams   Q  questions   X  visual tokens of a stream   K  sink tokens
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.labels import (
    ATTRIBUTES,
    CELLS,
    COLOUR,
    KIND,
    MOTION,
    NOW_KEY,
    TENS,
    UNITS,
    look_key,
)
from training.reading import Glance

_LOOKS = 3  # heads that are told where to look
_RECALLS = 2  # heads of the next layer through which an answer asks the key
_FACTS = (KIND, COLOUR, MOTION, MOTION, TENS, UNITS)  # of the first pair; last motion
_LAST_MOTION = 3
_WORLD_FACTS = 4  # of them, those that also say "none" of what is not there
_CLOCK = 60  # minutes, seconds


@dataclass(frozen=True, slots=True)
class Targets:
    """Where each question's key is to be seen.

    Attributes:
        shows: Visual tokens that show it (or what is read in their place), (G, Q, X).
        first: Of them, those of the first frame pair, (G, Q, X).
        last: Those of the last, (G, Q, X).
    """

    shows: Tensor
    first: Tensor
    last: Tensor

    @classmethod
    def of(cls, keys: Tensor, labels: Tensor) -> "Targets":
        """Find keys (G, Q) among the labels of visual tokens, (G, X, A)."""
        plates = labels[..., TENS] * 10 + labels[..., UNITS] - 1  # (G, X)
        looks = look_key(labels[..., KIND], labels[..., COLOUR])
        is_plated = labels[..., TENS] > 0
        pair = torch.arange(labels.shape[1], device=labels.device) // CELLS**2  # (X,)
        present = (labels[..., KIND] > 0) & (pair == pair[-1])
        key = keys[..., None]  # (G, Q, 1)
        shows = (plates[:, None] == key) & (key >= 10)
        shows = shows | ((looks[:, None] == key) & is_plated[:, None])
        shows = shows | ((key == NOW_KEY) & present[:, None])
        first = torch.where(shows, pair, len(pair)).amin(dim=2, keepdim=True)
        last = torch.where(shows, pair, -1).amax(dim=2, keepdim=True)
        return cls(shows, shows & (pair == first), shows & (pair == last))

    def among(self, pairs: Tensor, unseen: Tensor) -> "Targets":
        """Take instead what is read of the frame pairs that show each key.

        Args:
            pairs: The frame pair of each token that could be read, (Y,).
            unseen: Those that are not, (G, Y).
        """
        parts = (self.shows, self.first, self.last)
        shown = (part.unflatten(2, (-1, CELLS**2)).any(dim=3) for part in parts)
        return Targets(*(part[..., pairs] & ~unseen[:, None] for part in shown))


def judge_looks(looks: Tensor, keys: Tensor, targets: Targets) -> Tensor:
    """Give the loss of looking where the key is to be seen.

    The first head is to look at all tokens that show the key, the second at those of
    the first frame pair that does, the third at those of the last, all three at the
    sink if none does.

    Args:
        looks: Log attention to the sink and to what may show keys, (G, H, Q, K + X).
        keys: What each question is about, 0 for what no token shows, (G, Q).
        targets: Where that is.
    """
    wanted = torch.stack((targets.shows, targets.first, targets.last), dim=1)
    sink = looks.shape[3] - wanted.shape[3]
    at_sink = ~targets.shows.any(dim=2)[:, None, :, None]
    missed = ~torch.cat((at_sink.expand(-1, _LOOKS, -1, sink), wanted), dim=3)
    mass = looks[:, :_LOOKS].masked_fill(missed, -1e4).logsumexp(dim=3)
    return -mass.transpose(1, 2)[keys > 0].mean()


def judge_recall(glance: Glance, keys: Tensor, answers: Tensor) -> Tensor:
    """Give the loss of an answer's tokens looking back at the key.

    Args:
        glance: Who looks at the key.
        keys: What each question is about, 0 for what no token shows, (G, Q).
        answers: Tokens wanted, -100 for none, (G, Q, A).
    """
    judged = (keys > 0)[..., None] & (answers != -100)  # (G, Q, A)
    return -glance.recalls[:, :_RECALLS].transpose(1, 2).mean(dim=2)[judged].mean()


class FactsJudge(nn.Module):
    """Judges what the key's token found; has a linear layer that reads it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.classes = [ATTRIBUTES[fact].classes for fact in _FACTS]
        self.facts = nn.Linear(size, sum(self.classes) + 2 * _CLOCK)

    def forward(
        self,
        finds: Tensor,
        keys: Tensor,
        labels: Tensor,
        stamps: Tensor,
        targets: Targets,
    ) -> Tensor:
        """Give the loss of finding.

        Args:
            finds: Hidden states of the keys' tokens, (G, Q, C).
            keys: What each question is about, 0 for what no token shows, (G, Q).
            labels: Of the streams' visual tokens, (G, X, A).
            stamps: Second of the day of each frame pair, (G, X / 16).
            targets: Where the keys are to be seen among the visual tokens.
        """
        named, found = keys > 0, targets.shows.any(dim=2)
        told = self.facts(finds).float()
        parts = told.split([*self.classes, _CLOCK, _CLOCK], dim=-1)
        facts = torch.zeros(())
        for number, true in enumerate(_truth(labels, targets, found)):
            judged = named if number < _WORLD_FACTS else found
            facts = facts + functional.cross_entropy(
                parts[number][judged], true[judged]
            )
        for part, unit in zip(parts[-2:], (60, 1), strict=True):
            facts = facts + _judge_time(part, stamps // unit % 60, targets.shows)
        return facts


def _truth(labels: Tensor, targets: Targets, found: Tensor) -> list[Tensor]:
    """Give the facts of each question's key, each (G, Q); 0 where there is none."""
    wide = (-1, -1, labels.shape[2])
    at_first, at_last = (
        labels.gather(1, part.float().argmax(dim=2)[..., None].expand(wide))
        for part in (targets.first, targets.last)
    )  # (G, Q, A)
    return [
        (at_last if number == _LAST_MOTION else at_first)[..., fact].clamp(min=0)
        * found
        for number, fact in enumerate(_FACTS)
    ]


def _judge_time(told: Tensor, clock: Tensor, shows: Tensor) -> Tensor:
    """Ask for any of the minutes or seconds, (G, X / 16), at which a key was seen."""
    seen = shows.unflatten(2, (-1, CELLS**2)).any(dim=3)  # (G, Q, pairs)
    spots = clock[:, None].expand_as(seen)
    right = torch.zeros_like(told).scatter_add(2, spots, seen.to(told.dtype)) > 0
    mass = told.log_softmax(dim=-1).masked_fill(~right, -1e4).logsumexp(dim=-1)
    return -mass[seen.any(dim=2)].mean()
