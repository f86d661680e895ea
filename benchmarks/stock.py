"""What there is without a memory: one call of the stock class on all frames."""

import time
from collections.abc import Sequence

import torch

from agent.vlm.generation import question_ids
from agent.vlm.model import VisionLanguageModel
from agent.vlm.preprocessing import patchify
from agent.vlm.qwen3_vl import lay_out
from ingest.frame import FrameChunk


def stock_first_token(
    model: VisionLanguageModel, question: str, chunks: Sequence[FrameChunk]
) -> float:
    """One stock call on all frames and the question; give milliseconds."""
    began = time.perf_counter()
    ids, pixels, grids = [model.tokenize(model.prompt.before)], [], []
    for chunk in chunks:
        patches, grid = patchify(chunk.pixels, model.patches)
        merged = (
            grid[0],
            grid[1] // model.patches.merge,
            grid[2] // model.patches.merge,
        )
        times = chunk.times_s.reshape(grid[0], -1).mean(axis=1).tolist()
        layout = lay_out(times, merged, model.module.config, model.tokenizer)
        ids.append(layout.token_ids)
        pixels.append(patches)
        grids.append(grid)
    ids.append(question_ids(model, question))
    whole = torch.cat(ids)[None]
    with torch.inference_mode():
        out = model.module(
            input_ids=whole,
            pixel_values_videos=torch.cat(pixels).to(model.module.dtype),
            video_grid_thw=torch.tensor(grids),
            mm_token_type_ids=2 * (whole == model.module.config.video_token_id).int(),
            logits_to_keep=1,
        )
        out.logits[0, -1].argmax().item()
    model.module.model.rope_deltas = None
    return (time.perf_counter() - began) * 1000
