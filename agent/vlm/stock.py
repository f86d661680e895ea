"""One plain call of the stock class: what streaming and re-hydration are held to.

Everything at once and nothing kept: the same tokens and prepared frames as a stream's,
positions as the class itself gives them, no cache.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agent.vlm.model import VisionLanguageModel
from agent.vlm.preprocessing import PatchSettings, patchify
from agent.vlm.squares import SquareSettings, square
from ingest.frame import FrameChunk


@torch.inference_mode()
def stock_logits(
    model: VisionLanguageModel, chunks: Sequence[FrameChunk], text: Tensor, last: int
) -> Tensor:
    """Run the sink, chunks and a text behind them in one call.

    Args:
        model: Whose stock class is called.
        chunks: As many frames in each, evenly spaced in time.
        text: Token ids behind the last chunk, (S,).
        last: How many of the last tokens' logits are wanted.

    Returns:
        (last, vocabulary), float32.
    """
    module = model.module
    sink = model.tokenize(model.prompt.before)
    ids = torch.cat([sink, *(_tokens(model, chunk) for chunk in chunks), text])[None]
    inputs = _pixels(model, chunks, ids)
    inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    placed = {name: tensor.to(module.device) for name, tensor in inputs.items()}
    try:
        logits: Tensor = module(**placed, use_cache=False, logits_to_keep=last).logits
    finally:
        if hasattr(module.model, "rope_deltas"):
            module.model.rope_deltas = None  # the call left them there
    return logits[0].float()


def _tokens(model: VisionLanguageModel, chunk: FrameChunk) -> Tensor:
    config = model.module.config
    grid = model.family.visual_grid(chunk.pixels.shape[:3], config, model.patches)
    return model.family.lay_out(chunk.times_s, grid, config, model.tokenizer).token_ids


def _pixels(
    model: VisionLanguageModel, chunks: Sequence[FrameChunk], ids: Tensor
) -> dict[str, Tensor]:
    """Give the frames under the names that the stock class takes them by."""
    if isinstance(model.patches, PatchSettings):
        return _patches(model, model.patches, chunks, ids)
    return _squares(model, model.patches, chunks)


def _patches(
    model: VisionLanguageModel,
    by: PatchSettings,
    chunks: Sequence[FrameChunk],
    ids: Tensor,
) -> dict[str, Tensor]:
    packed, grids = zip(*(patchify(chunk.pixels, by) for chunk in chunks), strict=True)
    is_visual = ids == model.module.config.video_token_id  # (1, S)
    inputs = {
        "pixel_values_videos": torch.cat(packed).to(model.module.dtype),  # (P, C)
        "video_grid_thw": torch.tensor(grids),
        "mm_token_type_ids": 2 * is_visual.int(),
    }
    if model.module.config.model_type == "qwen2_5_vl":
        steps_s = [float(np.diff(chunk.times_s).mean()) for chunk in chunks]
        inputs["second_per_grid_ts"] = by.temporal_patch * torch.tensor(steps_s)
    return inputs


def _squares(
    model: VisionLanguageModel, by: SquareSettings, chunks: Sequence[FrameChunk]
) -> dict[str, Tensor]:
    prepared: Any = torch.stack([square(chunk.pixels, by) for chunk in chunks])
    prepared = prepared.to(model.module.dtype)  # (chunks, N, 3, side, side)
    kind = model.module.config.model_type
    if kind == "llava_onevision":  # each chunk a video
        return {"pixel_values_videos": prepared}
    frames = prepared.flatten(0, 1)  # (frames, 3, side, side)
    return {"pixel_values": frames[None] if kind == "smolvlm" else frames}
