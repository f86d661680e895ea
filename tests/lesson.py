"""What tests of training share: a model whose positions show, and its lessons."""

from collections.abc import Sequence

import torch
from torch import Tensor

from agent.vlm import builtin
from agent.vlm.loading import assemble
from agent.vlm.model import VisionLanguageModel
from ingest.frame import FrameChunk
from memory.kv import ChunkKV
from training.template import Template


def make_wide_model() -> VisionLanguageModel:
    """The built-in shape, with weights wide enough that a wrong position shows."""
    tokenizer = builtin.build_tokenizer()
    module = builtin.build_module(builtin.build_config(tokenizer))
    torch.manual_seed(0)
    for weight in module.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        else:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    module.tie_weights()
    return assemble("tiny", module, tokenizer, builtin.PATCHES, is_trained=False)


def embed_chunks(
    model: VisionLanguageModel,
    template: Template,
    chunks: Sequence[FrameChunk],
    prefilled: Sequence[ChunkKV],
) -> Tensor:
    """Embed a stream's chunks as the text stage does, (1, N, S, C)."""
    seconds = torch.tensor([chunk.start_s for chunk in chunks], dtype=torch.float64)
    stamps = (seconds[:, None] + torch.arange(4) + 0.25).floor().long() % 86_400
    ids = template.chunk_ids(stamps[None])
    embedded = model.module.model.language_model.embed_tokens(ids)
    seen = torch.stack([p.features for p in prefilled])[None]
    return embedded.index_copy(2, template.layout.visual_tokens, seen)
