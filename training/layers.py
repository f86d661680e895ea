"""Parts of the stock language model's layers, for any batch shape: weights, no loop.

H  heads   S  tokens   T  tokens that ask   D  head size   C  hidden size
"""

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLTextAttention,
    Qwen3VLTextDecoderLayer,
    Qwen3VLTextModel,
    rotate_half,
)


def project(layer: Qwen3VLTextDecoderLayer, hidden: Tensor) -> list[Tensor]:
    """Give queries, keys and values before RoPE, each (..., H, S, D)."""
    attention: Qwen3VLTextAttention = layer.self_attn
    normed = layer.input_layernorm(hidden)
    shape = (*hidden.shape[:-1], -1, attention.head_dim)
    parts = (
        attention.q_norm(attention.q_proj(normed).view(shape)),
        attention.k_norm(attention.k_proj(normed).view(shape)),
        attention.v_proj(normed).view(shape),
    )
    return [part.transpose(-2, -3) for part in parts]


def mix(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Give the values that each query attends to, (..., H, T, D); as for `attend`."""
    return attend(query, key, mask).softmax(dim=-1).to(value.dtype) @ value


def attend(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
    """Give the logits of attention, (..., H, T, S).

    Args:
        query: (..., H, T, D).
        key: (..., H, S, D).
        mask: Added to the logits: 0 where a token may look, spread to their shape.
    """
    return query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + mask


def finish(layer: Qwen3VLTextDecoderLayer, hidden: Tensor, mixed: Tensor) -> Tensor:
    """Complete a layer: project what attention gave, then the MLP, (..., T, C).

    Args:
        layer: The layer.
        hidden: What went into it, (..., T, C).
        mixed: What attention gave, (..., H, T, D).
    """
    joined = mixed.transpose(-2, -3).flatten(-2)  # (..., T, H D)
    hidden = hidden + layer.self_attn.o_proj(joined)
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden))


def cos_sin(model: Qwen3VLTextModel, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Give cos and sin of positions (3, ..., T), each (..., T, D)."""
    flat = positions.float().reshape(3, -1, positions.shape[-1])
    cos, sin = model.rotary_emb(torch.empty(0, device=flat.device), flat)
    shape = (*positions.shape[1:], -1)
    return cos.view(shape), sin.view(shape)


def rotate(part: Tensor, at: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate queries or keys, (..., S, D), to the positions of a cos and a sin."""
    cos, sin = at
    return part * cos + rotate_half(part) * sin


def causal(tokens: int, before: int, device: torch.device) -> Tensor:
    """Give the mask of tokens that follow so many others, 0 where they may look."""
    mask = torch.full((tokens, tokens), -torch.inf, device=device).triu(1)
    return functional.pad(mask, (before, 0))  # (tokens, before + tokens)
