"""The vision towers that read patches: Qwen2.5-VL's and Qwen3-VL's."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.vlm.family import Seen
from agent.vlm.preprocessing import PatchSettings, patchify


def see_patches(module: Any, pixels: NDArray[np.uint8], by: PatchSettings) -> Seen:
    """Run a patch tower over one chunk of frames.

    Args:
        module: The stock class.
        pixels: RGB, (N, height, width, 3).
        by: What the tower expects.
    """
    patches, grid = patchify(pixels, by)
    seen = module.model.get_video_features(
        patches.to(module.device, module.dtype),
        torch.tensor([grid], device=module.device),
        return_dict=True,
    )
    return Seen({"video": seen}, torch.cat(seen.pooler_output))


def mean_times(times_s: NDArray[np.float64], depth: int) -> list[float]:
    """Give the mean time of the frames of each temporal patch, `depth` frames each."""
    return [float(times_s[i : i + depth].mean()) for i in range(0, len(times_s), depth)]
