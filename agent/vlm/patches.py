"""The vision towers that read patches: Qwen2.5-VL's and Qwen3-VL's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.vlm.family import Grid, Seen, taken
from agent.vlm.preprocessing import PatchSettings, patchify


class PatchTower:
    """What both families share: all but how a chunk is written down."""

    position_rows = 3
    video_turn = None
    markers: tuple[str, ...] = ()  # it writes them by their ids

    def settings(
        self, facts: dict[str, Any], config: Any, max_pixels: int | None
    ) -> PatchSettings:
        """Give how frames are cut into patches."""
        return PatchSettings.of(facts, max_pixels)

    def visual_grid(
        self, frames: tuple[int, int, int], config: Any, by: PatchSettings
    ) -> Grid:
        """Give the grid of merged patches."""
        return by.grid(*frames)

    def see(
        self,
        module: Any,
        chunks: Sequence[NDArray[np.uint8]],
        kept: Sequence[Tensor],
        by: PatchSettings,
    ) -> Seen:
        """Run the vision tower over packed chunks: none sees another."""
        packed, grids = zip(*(patchify(pixels, by) for pixels in chunks), strict=True)
        seen = module.model.get_video_features(
            torch.cat(packed).to(module.device, module.dtype),  # (P, C)
            torch.tensor(grids, device=module.device),
            return_dict=True,
        )
        seen.pooler_output = taken(seen.pooler_output, kept)
        if "deepstack_features" in seen:
            seen.deepstack_features = [taken(x, kept) for x in seen.deepstack_features]
        return Seen({"video": seen}, seen.pooler_output)
