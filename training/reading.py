"""The language model, batched for training: chunks once, many questions behind them.

The product runs chunk after chunk over a cache, then one question. Here all chunks of a
step are prefilled side by side, each seeing [sink | itself], and every stream's
questions read its composed cache side by side, with the weights of the stock modules
and the positions of `memory.rehydration.compose`. A test holds this to the product's
own path.

    G  streams   N  chunks of a stream   S  tokens of a chunk   K  sink tokens
    Q  questions of a stream   T  tokens of a question   H  heads   D  head size
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel

from training.layers import attend, causal, cos_sin, finish, mix, project, rotate
from training.spread import Spread

GLANCE_LAYER = 1


@dataclass(frozen=True, slots=True)
class Past:
    """Keys and values of one layer, keys before RoPE.

    Attributes:
        sink_keys: (H, K, D).
        sink_values: (H, K, D).
        keys: (G, N, H, S, D).
        values: (G, N, H, S, D).
    """

    sink_keys: Tensor
    sink_values: Tensor
    keys: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class Places:
    """Where tokens stand.

    Attributes:
        chunk: Of a chunk's tokens from its start, (3, S).
        span: Positions that a chunk takes.
    """

    chunk: Tensor
    span: int


@dataclass(frozen=True, slots=True)
class FirstLayer:
    """What the first layer makes of a chunk.

    Attributes:
        hidden: Hidden states after it, (G, N, S, C).
        looks: Log of its attention within the chunk, (G, N, H, S, S).
    """

    hidden: Tensor
    looks: Tensor


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions to streams, as tokens.

    Attributes:
        ids: With their answers behind them, (G, Q, T).
        answer_places: Tokens whose successors are judged, (G, Q, A).
        key_places: The token that names what is asked about, (G, Q).
    """

    ids: Tensor
    answer_places: Tensor
    key_places: Tensor


@dataclass(frozen=True, slots=True)
class Glance:
    """Where the token that names what is asked about looks, and who looks at it.

    Attributes:
        looks: Log of its attention to the cache in `GLANCE_LAYER`, (G, H, Q, K + N S).
        finds: Its hidden state after that layer, (G, Q, C).
        recalls: Log of the attention that the tokens before the answer's pay to it in
            the next layer, (G, H, Q, A).
    """

    looks: Tensor
    finds: Tensor
    recalls: Tensor


def watch(
    model: Qwen3VLTextModel, sink_ids: Tensor, chunks: Tensor, places: Places
) -> tuple[list[Past], FirstLayer]:
    """Prefill the sink, then all chunks, each behind the sink alone.

    Args:
        model: The stock language model.
        sink_ids: (K,).
        chunks: Embeddings, visual features in place, (G, N, S, C).
        places: Where their tokens stand.

    Returns:
        The past of every layer, and how the chunks fare in the first.
    """
    rows = chunks.shape[:2]  # streams, and the chunks of each
    sink = model.embed_tokens(sink_ids)[None]  # (1, K, C)
    hidden = chunks.flatten(0, 1)  # (G N, S, C)
    count, many = len(sink_ids), len(hidden)
    at_sink = cos_sin(model, torch.arange(count, device=chunks.device).expand(3, -1))
    at_chunk = cos_sin(model, places.chunk + count)
    sink_mask = causal(count, 0, chunks.device)
    mask = causal(hidden.shape[1], count, chunks.device)
    pasts: list[Past] = []
    for depth, layer in enumerate(model.layers):
        sink_q, sink_k, sink_v = project(layer, sink)
        query, key, value = project(layer, hidden)  # (G N, H, S, D)
        past = (part.unflatten(0, rows) for part in (key, value))
        pasts.append(Past(sink_k[0], sink_v[0], *past))
        if depth == len(model.layers) - 1:
            break  # nothing reads what the last layer makes of a chunk
        turned = rotate(sink_k, at_sink)
        sink = finish(
            layer, sink, mix(rotate(sink_q, at_sink), turned, sink_v, sink_mask)
        )
        keys = torch.cat((turned.expand(many, -1, -1, -1), rotate(key, at_chunk)), 2)
        values = torch.cat((sink_v.expand(many, -1, -1, -1), value), 2)
        turned_query = rotate(query, at_chunk)
        hidden = finish(layer, hidden, mix(turned_query, keys, values, mask))
        if depth == 0:
            looks = attend(turned_query, keys, mask).float().log_softmax(dim=-1)
            looks = looks[..., count:].unflatten(0, rows)  # (G, N, H, S, S)
            first = FirstLayer(hidden.unflatten(0, rows), looks)
    return pasts, first


def read(
    model: Qwen3VLTextModel,
    pasts: list[Past],
    places: Places,
    spread: Spread,
    asked: Asked,
    unseen: Tensor | None = None,
) -> tuple[Tensor, Glance]:
    """Run questions over their streams' composed caches.

    Args:
        model: The stock language model.
        pasts: Of every layer, from `watch`.
        places: As given to `watch`.
        spread: Where the chunks stand.
        asked: The questions.
        unseen: Tokens of the chunks that questions do not read, (G, N S).

    Returns:
        Hidden states at `asked.answer_places` after the last norm, (G, Q, A, C), and
        where the key tokens look in layer `GLANCE_LAYER`.
    """
    count = pasts[0].sink_keys.shape[1]
    at_past = cos_sin(model, place_stream(places, spread, count))
    tokens, device = asked.ids.shape[2], asked.ids.device
    own = torch.arange(tokens, device=device)
    behind = count + spread.ends[:, None] + own  # (G, T)
    at_question = cos_sin(model, behind.expand(3, -1, -1))
    at_question = tuple(part[:, None, None] for part in at_question)
    mask = causal(tokens, 0, device)
    past_mask = torch.zeros(1, 1, device=device)
    if unseen is not None:
        past_mask = past_mask.expand(unseen.shape).masked_fill(unseen, -torch.inf)
        past_mask = functional.pad(past_mask, (count, 0))
    hidden = model.embed_tokens(asked.ids)  # (G, Q, T, C)
    for layer, past in zip(model.layers, pasts, strict=True):
        query, key, value = project(layer, hidden)  # (G, Q, H, T, D)
        query, key = rotate(query, at_question), rotate(key, at_question)
        if layer is model.layers[-1]:
            places_ = asked.answer_places[:, :, None, :, None]
            query = query.gather(
                3, places_.expand(-1, -1, query.shape[2], -1, query.shape[4])
            )
            hidden = hidden.gather(
                2, asked.answer_places[..., None].expand(-1, -1, -1, hidden.shape[3])
            )
            mask = mask[asked.answer_places][:, :, None]  # (G, Q, 1, A, T)
        masks = (past_mask[:, None, None, None], mask)
        mixed, logits = _read_past(query, (key, value), past, at_past, masks)
        hidden = finish(layer, hidden, mixed)
        if layer is model.layers[GLANCE_LAYER]:
            looks = _rows(logits, asked.key_places[..., None]).squeeze(3)
            at = asked.key_places[..., None, None].expand(-1, -1, -1, hidden.shape[-1])
            finds = hidden.gather(2, at).squeeze(2)
        elif layer is model.layers[GLANCE_LAYER + 1]:
            attention = _rows(logits, asked.answer_places)  # (G, H, Q, A, K + N S + T)
            keys = logits.shape[-1] - tokens + asked.key_places  # (G, Q)
            at = keys[:, None, :, None, None].expand(*attention.shape[:-1], 1)
            recalls = attention.gather(4, at).squeeze(4)
    past_tokens = at_past[0].shape[-2]
    return model.norm(hidden), Glance(looks[..., :past_tokens], finds, recalls)


def _rows(logits: Tensor, places: Tensor) -> Tensor:
    """Give the log attention of some tokens, (G, Q, A), of each question."""
    at = places[:, None, ..., None].expand(
        -1, logits.shape[1], -1, -1, logits.shape[-1]
    )
    return logits.gather(3, at).float().log_softmax(dim=-1)


def place_stream(places: Places, spread: Spread, sink: int) -> Tensor:
    """Give the positions of a composed cache, (3, G, K + N S), as `compose` does."""
    shift = places.chunk[0] * (spread.widths[..., None] / places.span - 1)  # (G, N, S)
    starts = sink + spread.starts[..., None]
    placed = places.chunk[:, None, None] + shift + starts  # (3, G, N, S)
    at_sink = torch.arange(float(sink), device=placed.device)
    at_sink = at_sink.expand(3, len(spread.ends), -1)
    return torch.cat((at_sink, placed.flatten(2)), dim=2)


def _read_past(
    query: Tensor,
    own: tuple[Tensor, Tensor],
    past: Past,
    at_past: tuple[Tensor, Tensor],
    masks: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    """Attend to the cache and to the question's own tokens; give the logits too."""
    streams, questions, heads, tokens, size = query.shape
    keys, values = (
        torch.cat(
            (sink.expand(streams, -1, -1, -1), part.transpose(1, 2).flatten(2, 3)), 2
        )
        for sink, part in (
            (past.sink_keys, past.keys),
            (past.sink_values, past.values),
        )
    )  # (G, H, K + N S, D)
    keys = rotate(keys, (at_past[0][:, None], at_past[1][:, None]))
    query = query * size**-0.5
    flat = query.transpose(1, 2).reshape(streams, heads, questions * tokens, size)
    far = (flat @ keys.transpose(-1, -2)).view(streams, heads, questions, tokens, -1)
    near = (query @ own[0].transpose(-1, -2) + masks[1]).transpose(1, 2)
    logits = torch.cat((far + masks[0], near), dim=-1)  # (G, H, Q, T, K + N S + T)
    weights = logits.softmax(dim=-1).to(values.dtype)
    split = [keys.shape[2], near.shape[-1]]
    far, near = weights.split(split, dim=-1)  # (G, H, Q, T, ...)
    seen = (far.flatten(2, 3) @ values).view(streams, heads, questions, tokens, size)
    said = near.transpose(1, 2) @ own[1]  # (G, Q, H, T, D)
    return seen.transpose(1, 2) + said, logits
