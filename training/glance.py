"""A lesson besides the answers: where a question's plate looks, and what it finds.

An answer takes two steps, from the question's plate to the tokens that show it and from
there to the answer's words, and neither is worth much to the loss before the other is
there. Judged by itself, in one layer, the first is learned in a few hundred steps. None
of this is left in the model.

    G  streams   Q  questions   X  visual tokens of a stream   K  sink tokens
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.labels import CELLS, TENS, UNITS
from training.reading import Glance

_FACTS = (9, 9, 6, 6, 60, 60)  # kind, colour, motion at first and last, minute, second
_WORLD_FACTS = 4  # of them, those that also say "none" of a plate that is not there


class GlanceJudge(nn.Module):
    """Judges glances; has a linear layer that reads what was found."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.facts = nn.Linear(size, sum(_FACTS))

    def forward(
        self, glance: Glance, plates: Tensor, labels: Tensor, stamps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Give the loss of looking and the loss of finding.

        The first head is to look at all tokens that show the plate, the second at those
        of the first frame pair that does, the third at those of the last, all three at
        the sink if none does.

        Args:
            glance: Its looks at the sink and at visual tokens only, (G, H, Q, K + X).
            plates: What each question names, 0 for none, (G, Q).
            labels: Of the streams' visual tokens, (G, X, A).
            stamps: Second of the day of each frame pair, (G, X / 16).
        """
        shown = labels[..., TENS] * 10 + labels[..., UNITS] - 1  # (G, X)
        named = plates > 0
        shows = (shown[:, None] == plates[..., None]) & named[..., None]  # (G, Q, X)
        found = shows.any(dim=2)
        pair = torch.arange(shows.shape[2]) // CELLS**2
        first = torch.where(shows, pair, shows.shape[2]).amin(dim=2)
        last = torch.where(shows, pair, -1).amax(dim=2)
        wanted = torch.stack(
            (
                shows,
                shows & (pair == first[..., None]),
                shows & (pair == last[..., None]),
            ),
            dim=1,
        )  # (G, 3, Q, X)
        sink = glance.looks.shape[3] - shows.shape[2]
        at_sink = ~found[:, None, :, None].expand(-1, 3, -1, sink)
        mass = glance.looks[:, :3].masked_fill(~torch.cat((at_sink, wanted), 3), -1e4)
        looked = -mass.logsumexp(dim=3).transpose(1, 2)[named].mean()

        told = self.facts(glance.finds).float().split(_FACTS, dim=-1)
        truth = _truth(labels, stamps, wanted, found)
        missed = torch.zeros(())
        for number, (part, true) in enumerate(zip(told, truth, strict=True)):
            judged = named if number < _WORLD_FACTS else found
            missed = missed + functional.cross_entropy(part[judged], true[judged])
        return looked, missed


def _truth(
    labels: Tensor, stamps: Tensor, wanted: Tensor, found: Tensor
) -> list[Tensor]:
    """Give the facts of each question's plate, each (G, Q); 0 where there is none."""
    first = wanted[:, 1].float().argmax(dim=2)  # (G, Q)
    last = wanted[:, 2].float().argmax(dim=2)
    wide = (-1, -1, labels.shape[2])
    at_first = labels.gather(1, first[..., None].expand(wide))  # (G, Q, A)
    at_last = labels.gather(1, last[..., None].expand(wide))
    looks = (at_first[..., 0], at_first[..., 1], at_first[..., 4], at_last[..., 4])
    time = stamps.gather(1, first // CELLS**2)
    return [*(part * found for part in looks), time // 60 % 60, time % 60]
