"""A stock class's own rotary module, as memory asks it."""

import torch
from torch import Tensor, nn


class ModelRotary:
    """The model's own rotary module, asked in float32."""

    def __init__(self, module: nn.Module, position_rows: int) -> None:
        self._module, self._position_rows = module, position_rows
        self.scaling = float(getattr(module, "attention_scaling", 1.0))

    def cos_sin(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Give cos and sin, each (S, D) float32, for positions (3, S)."""
        like = torch.empty(0, dtype=torch.float32, device=positions.device)
        cos, sin = self._module(
            like, self.position_ids(positions[:, None])
        )  # (1, S, D)
        return cos[0], sin[0]

    def position_ids(self, positions: Tensor) -> Tensor:
        """Give positions (3, B, S) as the stock class takes them: as is or (B, S)."""
        return positions if self._position_rows == 3 else positions[0]
