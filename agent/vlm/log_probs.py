"""How likely a model found the tokens that it chose: what an answer's confidence is of.

Of the distribution as the model gives it. Temperature and top-p change which token is
drawn, and nothing of what the model believes.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True, eq=False)
class LogProbs:
    """Log-probabilities of one answer's tokens, as they are chosen."""

    _noted: list[Tensor] = field(default_factory=list)

    def note(self, token: int, logits: Tensor) -> None:
        """Note a token.

        Nothing is waited for: on a GPU the number comes when it is asked for.

        Args:
            token: The one that was chosen.
            logits: What it was chosen from, (vocabulary,), float32.
        """
        self._noted.append(logits[token] - logits.logsumexp(dim=-1))

    @property
    def values(self) -> tuple[float, ...]:
        """Those noted so far, natural logarithms, none above zero."""
        if not self._noted:
            return ()
        return tuple(torch.stack(self._noted).clamp(max=0.0).tolist())
