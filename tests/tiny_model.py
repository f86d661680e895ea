"""Stock Qwen3-VL classes with random weights, and one stock call as the oracle."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import Qwen3VLForConditionalGeneration

from agent.vlm import builtin
from agent.vlm.generation import question_ids
from agent.vlm.loading import assemble
from agent.vlm.model import VisionLanguageModel
from agent.vlm.preprocessing import patchify
from agent.vlm.qwen3_vl import lay_out
from ingest.frame import FrameChunk

START_S = 1_790_000_000.0


def make_model(
    *, seed: int = 0, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> VisionLanguageModel:
    """A tiny model with DeepStack and grouped queries, as the big ones have.

    Weights are wide enough that attention is sharp: a wrong position shows.
    """
    tokenizer = builtin.build_tokenizer()
    config = builtin.build_config(tokenizer)
    config.text_config.num_key_value_heads = 2
    config.vision_config.deepstack_visual_indexes = [0, 1]
    torch.manual_seed(seed)
    module = Qwen3VLForConditionalGeneration(config)
    for name, weight in module.named_parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        elif "norm" in name and name.endswith("weight"):
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    module.tie_weights()
    module.to(device, dtype)
    return assemble("tiny", module, tokenizer, builtin.PATCHES, is_trained=False)


def make_chunks(
    lengths: Sequence[int], *, camera: str = "door", seed: int = 0, fps: float = 2.0
) -> list[FrameChunk]:
    """Chunks of noise, one after the other."""
    random = np.random.default_rng(seed)
    chunks, start_s = [], START_S
    for length in lengths:
        pixels = random.integers(0, 256, (length, 64, 64, 3), dtype=np.uint8)
        times_s = start_s + np.arange(length) / fps
        start_s = float(times_s[-1]) + 1 / fps
        chunks.append(FrameChunk(camera, pixels, times_s, start_s))
    return chunks


def stock_inputs(
    model: VisionLanguageModel, chunks: Sequence[FrameChunk], question: str
) -> dict[str, Tensor]:
    """The whole stream and the question as one call of the stock class takes them."""
    ids, pixels, grids = [model.tokenize(model.prompt.before)], [], []
    for chunk in chunks:
        patches, (frames, rows, columns) = patchify(chunk.pixels, model.patches)
        times = chunk.times_s.tolist()
        pairs = [times[i : i + 2] for i in range(0, len(times), 2)]
        means = [sum(pair) / len(pair) for pair in pairs]
        merged = (frames, rows // 2, columns // 2)
        layout = lay_out(means, merged, model.module.config, model.tokenizer)
        ids.append(layout.token_ids)
        pixels.append(patches)
        grids.append((frames, rows, columns))
    ids.append(question_ids(model, question))
    whole = torch.cat(ids)[None]
    return {
        "input_ids": whole,
        "attention_mask": torch.ones_like(whole),
        "pixel_values_videos": torch.cat(pixels),
        "video_grid_thw": torch.tensor(grids),
        "mm_token_type_ids": 2 * (whole == model.module.config.video_token_id).int(),
    }
