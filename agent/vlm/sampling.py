"""How the next token is chosen: the likeliest, or one drawn from the likely ones.

The warpers are the library's own, in the order in which its `generate` applies them, so
that the same settings and seed choose the same tokens there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the tokens of an answer are chosen.

    Attributes:
        temperature: 0 is greedy; 0.01 to 2, how evenly tokens are drawn.
        top_p: Tokens are drawn from the likeliest that have this share together.
        seed: Where chance begins, in every answer anew; None: anywhere.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = 0

    def __post_init__(self) -> None:
        if self.temperature != 0 and not 0.01 <= self.temperature <= 2:
            raise ValueError(f"temperature {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p {self.top_p}")


GREEDY = Sampling()


def choose_by(sampling: Sampling, device: torch.device) -> Callable[[Tensor], int]:
    """Give what chooses one answer's tokens, each from its logits, (vocabulary,).

    Args:
        sampling: How they are chosen.
        device: Where the logits are.
    """
    if sampling.temperature == 0:
        return lambda logits: int(logits.argmax())
    warp = LogitsProcessorList([TemperatureLogitsWarper(float(sampling.temperature))])
    if sampling.top_p < 1:
        warp.append(TopPLogitsWarper(sampling.top_p))
    chance = torch.Generator(device)
    if sampling.seed is None:
        chance.seed()
    else:
        chance.manual_seed(sampling.seed)
    no_ids = torch.empty(1, 0, dtype=torch.long, device=device)

    def draw(logits: Tensor) -> int:
        row = logits[None]  # (1, vocabulary)
        warped = warp(no_ids, row)  # type: ignore[arg-type]  # asks for Long, FloatTensor
        shares = warped.softmax(dim=-1)  # (1, vocabulary)
        return int(torch.multinomial(shares, 1, generator=chance))

    return draw
