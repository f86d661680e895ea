"""A stock transformers vision-language model as memory sees it: KV in, KV out.

Nothing is patched, and no state is left on the module: positions are always given, so
that `rope_deltas` is never read, and every call owns the cache it runs over.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import (
    PreTrainedTokenizerBase,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLTextConfig,
)

from agent.vlm.cache import as_transformers_cache
from agent.vlm.preprocessing import PatchSettings, patchify
from agent.vlm.prompt import Prompt
from agent.vlm.qwen3_vl import lay_out, text_positions
from ingest.frame import FrameChunk
from memory.kv import KV, ChunkKV
from memory.rehydration import MixedCache, compose
from memory.relevance import IndexHeads
from memory.rope import unrotate


class ModelRotary:
    """The model's own rotary module, asked in float32."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self.scaling = float(getattr(module, "attention_scaling", 1.0))

    def cos_sin(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Give cos and sin, each (S, D) float32, for positions (3, S)."""
        like = torch.empty(0, dtype=torch.float32, device=positions.device)
        cos, sin = self._module(like, positions[:, None])  # (1, S, D)
        return cos[0], sin[0]


@dataclass(frozen=True, slots=True, eq=False)
class VisionLanguageModel:
    """A loaded model with what it needs to read and to speak.

    Not thread-safe: one thread owns it.

    Attributes:
        name: As configured.
        fingerprint: Changes whenever the KV it makes would: weights, configuration,
            preprocessing, layout.
        module: The stock class.
        tokenizer: Its tokenizer.
        patches: What its vision tower expects.
        prompt: Its chat template around what a camera saw.
        heads: Its retrieval heads.
        is_trained: False for random weights, whose answers mean nothing.
    """

    name: str
    fingerprint: str
    module: Qwen3VLForConditionalGeneration
    tokenizer: PreTrainedTokenizerBase
    patches: PatchSettings
    prompt: Prompt
    heads: IndexHeads
    is_trained: bool

    @property
    def rotary(self) -> ModelRotary:
        """The rotary module of its language model."""
        return ModelRotary(self.module.model.language_model.rotary_emb)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.module.device

    @torch.inference_mode()
    def prefill_sink(self) -> KV:
        """Run the tokens before the first chunk, the system prompt: the sink tokens."""
        ids = self.tokenize(self.prompt.before)
        return self._prefill(
            ids, text_positions(0, len(ids)), len(ids), self._empty(ids)
        )

    @torch.inference_mode()
    def prefill_text(self, text: str, context: Sequence[KV]) -> KV:
        """Run a chunk of text once; as `prefill`, without a picture."""
        ids = self.tokenize(text)
        cache = compose(context, self.rotary, room=len(ids))
        return self._prefill(ids, text_positions(0, len(ids)), len(ids), cache)

    @torch.inference_mode()
    def prefill(self, chunk: FrameChunk, context: Sequence[KV]) -> ChunkKV:
        """Run a chunk of frames once.

        Args:
            chunk: The frames.
            context: What the chunk sees: the sink, then KV of chunks before it.
        """
        pixels, grid = patchify(chunk.pixels, self.patches)
        merge, depth = self.patches.merge, self.patches.temporal_patch
        merged = (grid[0], grid[1] // merge, grid[2] // merge)
        times = [
            float(chunk.times_s[i : i + depth].mean())
            for i in range(0, len(chunk.times_s), depth)
        ]
        layout = lay_out(times, merged, self.module.config, self.tokenizer)
        thw = torch.tensor([grid], device=self.device)
        seen = self.module.model.get_video_features(
            pixels.to(self.device, self.module.dtype), thw, return_dict=True
        )
        cache = compose(context, self.rotary, room=len(layout.token_ids))
        kv = self._prefill(layout.token_ids, layout.positions, layout.span, cache, seen)
        return ChunkKV(
            kv,
            layout.visual_tokens.to(self.device),
            torch.cat(seen.pooler_output),
            merged,
            layout.pinned_tokens.to(self.device),
            tuple(places.to(self.device) for places in layout.summaries),
        )

    @torch.inference_mode()
    def question_queries(self, question: str, sink: KV) -> Tensor:
        """Give the pre-RoPE queries of a question's tokens in the retrieval heads.

        Only the question's own words are asked about, not the template around them.

        Returns:
            (Q', T, D), in the order of `heads.query_heads`.
        """
        ids = self.tokenize(self.plain(question))
        cache = compose([sink], self.rotary, room=len(ids))
        with self._queries() as captured:
            self.extend(cache, ids)
        return torch.stack(
            [
                captured[layer][0, :, head]
                for layer, head in self.heads.query_heads.tolist()
            ]
        )  # (Q', T, D)

    def with_heads(self, pairs: Sequence[tuple[int, int]]) -> "VisionLanguageModel":
        """Give the same model with other retrieval heads, (layer, query head) pairs."""
        config = text_config(self.module.config)
        kv_heads = config.num_key_value_heads or config.num_attention_heads
        groups = config.num_attention_heads // kv_heads
        return replace(self, heads=IndexHeads.of(pairs, groups))

    def plain(self, text: str) -> str:
        """Take the model's special tokens out of an asker's text."""
        for token in self.tokenizer.get_added_vocab():
            text = text.replace(token, " ")
        return text

    def tokenize(self, text: str) -> Tensor:
        """Give the token ids of text that may hold special tokens, (S,)."""
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        return torch.tensor(ids, dtype=torch.long)

    @torch.inference_mode()
    def extend(self, cache: MixedCache, ids: Tensor) -> Tensor:
        """Run text over a cache, write its KV behind it, give the last token's logits.

        Args:
            cache: Written to: `num_tokens` and `next_position` move on.
            ids: Token ids, (S,).

        Returns:
            Logits, (vocabulary,), float32.
        """
        hidden = self._run(cache, ids, text_positions(0, len(ids)), len(ids))
        logits: Tensor = self.module.lm_head(hidden[0, -1])
        return logits.float()

    def _empty(self, ids: Tensor) -> MixedCache:
        text = text_config(self.module.config)
        shape = (
            text.num_hidden_layers,
            text.num_key_value_heads or text.num_attention_heads,
            len(ids),
            text.head_dim,
        )
        keys = torch.empty(shape, dtype=self.module.dtype, device=self.device)
        return MixedCache(keys, torch.empty_like(keys), 0, 0)

    def _prefill(
        self,
        ids: Tensor,
        positions: Tensor,
        span: int,
        cache: MixedCache,
        seen: object = None,
    ) -> KV:
        """Run tokens over a cache and take their KV out of it again, pre-RoPE."""
        before, start = cache.num_tokens, cache.next_position
        self._run(cache, ids, positions, span, seen)
        cos, sin = self.rotary.cos_sin((positions + start).to(self.device))  # (S, D)
        keys = cache.keys[:, :, before : cache.num_tokens]  # (L, H, S, D)
        values = cache.values[:, :, before : cache.num_tokens]
        placed = positions.to(self.device).expand(len(keys), -1, -1)  # (L, 3, S)
        plain = unrotate(keys, cos, sin, self.rotary.scaling)
        return KV(plain, values.clone(), placed.contiguous(), span)

    def _run(
        self,
        cache: MixedCache,
        ids: Tensor,
        positions: Tensor,
        span: int,
        seen: object = None,
    ) -> Tensor:
        """Run tokens whose positions count from the cache's end; give hidden states."""
        out = self.module.model(
            input_ids=ids[None].to(self.device),
            position_ids=(positions + cache.next_position)[:, None].to(self.device),
            past_key_values=as_transformers_cache(cache),
            use_cache=True,
            mm_encoder_outputs=None if seen is None else {"video": seen},
        )
        cache.num_tokens += len(ids)
        cache.next_position += span
        hidden: Tensor = out.last_hidden_state  # (1, S, hidden)
        return hidden

    @contextmanager
    def _queries(self) -> Iterator[dict[int, Tensor]]:
        """Capture the queries before RoPE, per layer (1, T, heads, D)."""
        captured: dict[int, Tensor] = {}
        layers = self.module.model.language_model.layers
        wanted = set(self.heads.query_heads[:, 0].tolist())

        def capture(layer: int) -> RemovableHandle:
            norm: nn.Module = layers[layer].self_attn.q_norm
            return norm.register_forward_hook(
                lambda _module, _inputs, output: captured.update({layer: output})
            )

        hooks = [capture(layer) for layer in wanted]
        try:
            yield captured
        finally:
            for hook in hooks:
                hook.remove()


def text_config(config: Qwen3VLConfig) -> Qwen3VLTextConfig:
    """Give the language model's part of a configuration."""
    part = config.text_config
    if not isinstance(part, Qwen3VLTextConfig):
        raise TypeError(f"not a Qwen3-VL text configuration: {type(part)}")
    return part
