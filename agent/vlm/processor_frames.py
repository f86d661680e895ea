"""Frames as we prepare them, and as the model's own image processor does.

The library's PIL classes: those of torchvision, which this project does without, resize
with filters of their own. A processor of pictures is told to leave a frame whole, as
the library's processors of videos do.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor

from agent.vlm.loading import ModelSettings
from agent.vlm.model import VisionLanguageModel
from agent.vlm.preprocessing import PatchSettings, patchify
from agent.vlm.squares import square

_WHOLE: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "smolvlm": {"do_image_splitting": False},
        "internvl": {"crop_to_patches": False},
    }
)


def load_image_processor(settings: ModelSettings) -> Any:
    """Load the processor of pictures that a model's own files name.

    Raises:
        OSError: They have none.
        ValueError: It is of no class that the library knows.
        ImportError: It needs a package that is not installed.
    """
    files = settings.repository
    return AutoImageProcessor.from_pretrained(
        files.name,
        revision=files.revision or "main",
        cache_dir=files.cache_folder,
        local_files_only=files.offline,
        backend="pil",
    )


def our_frames(model: VisionLanguageModel, frames: NDArray[np.uint8]) -> Tensor:
    """Prepare frames, RGB, (N, height, width, 3), one by one.

    Returns:
        (patches, values) or (N, 3, side, side), float32.
    """
    if isinstance(model.patches, PatchSettings):
        by = model.patches
        return torch.cat([patchify(frame[None], by)[0] for frame in frames])
    return square(frames, model.patches)


def processor_frames(
    processor: Any, model: VisionLanguageModel, frames: NDArray[np.uint8]
) -> Tensor:
    """Have frames prepared by `processor`; otherwise as `our_frames`.

    Only the sizes are ours: a video's are not those that a processor of pictures has.
    """
    by, kind = model.patches, model.module.config.model_type
    pictures: Any = [Image.fromarray(frame) for frame in frames]
    options = dict(_WHOLE.get(kind, {}))
    if isinstance(by, PatchSettings):
        size = {"shortest_edge": by.min_pixels, "longest_edge": by.max_pixels}
        made = processor(pictures, size=size, return_tensors="pt")
        return torch.as_tensor(made["pixel_values"])
    if kind == "smolvlm":
        options["size"] = {"longest_edge": by.longest_side or by.side}
        options["max_image_size"] = {"longest_edge": by.side}
        pictures = [pictures]
    else:
        options["size"] = {"height": by.side, "width": by.side}
    found = torch.as_tensor(
        processor(pictures, return_tensors="pt", **options)["pixel_values"]
    )
    if kind == "llava_onevision":
        return found[:, 0]  # the first of a picture's tiles is the whole of it
    return found[0] if kind == "smolvlm" else found
