"""A stock transformers vision-language model as memory sees it: KV in, KV out.

Nothing is patched, and no state is left on the module: positions are always given, so
that `rope_deltas` is never read, and every call owns the cache it runs over.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedTokenizerBase

from agent.vlm.cache import as_transformers_cache
from agent.vlm.families import family_of
from agent.vlm.family import Family
from agent.vlm.layout import text_positions
from agent.vlm.preprocessing import PatchSettings
from agent.vlm.prompt import Prompt
from agent.vlm.squares import SquareSettings
from ingest.frame import FrameChunk
from memory.kv import KV, ChunkKV
from memory.rehydration import MixedCache, compose
from memory.relevance import IndexHeads
from memory.rope import unrotate


class ModelRotary:
    """The model's own rotary module, asked in float32."""

    def __init__(self, module: nn.Module, position_rows: int) -> None:
        self._module, self._position_rows = module, position_rows
        self.scaling = float(getattr(module, "attention_scaling", 1.0))

    def cos_sin(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Give cos and sin, each (S, D) float32, for positions (3, S)."""
        like = torch.empty(0, dtype=torch.float32, device=positions.device)
        cos, sin = self._module(like, self.position_ids(positions))  # (1, S, D)
        return cos[0], sin[0]

    def position_ids(self, positions: Tensor) -> Tensor:
        """Give positions (3, S) as the stock class takes them: (3, 1, S) or (1, S)."""
        return positions[:, None] if self._position_rows == 3 else positions[:1]


@dataclass(frozen=True, slots=True)
class TextShape:
    """The sizes of a language model, by their names in its configuration."""

    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int

    @property
    def groups(self) -> int:
        """Query heads per key-value head."""
        return self.num_attention_heads // self.num_key_value_heads


def text_config(config: Any) -> TextShape:
    """Give the sizes of the language model of a configuration."""
    part = config.text_config
    heads = part.num_attention_heads
    return TextShape(
        part.num_hidden_layers,
        heads,
        getattr(part, "num_key_value_heads", None) or heads,
        getattr(part, "head_dim", None) or part.hidden_size // heads,
    )


@dataclass(frozen=True, slots=True, eq=False)
class VisionLanguageModel:
    """A loaded model with what it needs to read and to speak.

    Not thread-safe: one thread owns it.

    Attributes:
        name: As configured.
        fingerprint: Changes whenever the KV it makes would: weights, configuration,
            preprocessing, layout.
        module: The stock class; `Any`, as `agent.vlm.family` explains.
        tokenizer: Its tokenizer.
        patches: How frames are prepared for its vision tower.
        prompt: Its chat template around what a camera saw.
        heads: Its retrieval heads.
        is_trained: False for random weights, whose answers mean nothing.
    """

    name: str
    fingerprint: str
    module: Any
    tokenizer: PreTrainedTokenizerBase
    patches: PatchSettings | SquareSettings
    prompt: Prompt
    heads: IndexHeads
    is_trained: bool

    @property
    def rotary(self) -> ModelRotary:
        """The rotary module of its language model."""
        language_model = self.module.get_decoder()
        return ModelRotary(language_model.rotary_emb, self.family.position_rows)

    @property
    def family(self) -> Family[Any]:
        """What is its family's own."""
        return family_of(self.module.config)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        device: torch.device = self.module.device
        return device

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
        family, config = self.family, self.module.config
        count, height, width, _ = chunk.pixels.shape
        grid = family.visual_grid((count, height, width), config, self.patches)
        layout = family.lay_out(chunk.times_s, grid, config, self.tokenizer)
        seen = family.see(self.module, chunk.pixels, self.patches)
        cache = compose(context, self.rotary, room=len(layout.token_ids))
        kv = self._prefill(
            layout.token_ids, layout.positions, layout.span, cache, seen.outputs
        )
        return ChunkKV(
            kv,
            layout.visual_tokens.to(self.device),
            seen.features,
            grid,
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
        groups = text_config(self.module.config).groups
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
            text.num_key_value_heads,
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
        seen: dict[str, Any] | None = None,
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
        seen: dict[str, Any] | None = None,
    ) -> Tensor:
        """Run tokens whose positions count from the cache's end; give hidden states."""
        placed = self.rotary.position_ids(positions + cache.next_position)
        device = cache.keys.device  # the model's; asking it walks all its weights
        out = self.module.model(
            input_ids=ids[None].to(device),
            position_ids=placed.to(device),
            past_key_values=as_transformers_cache(cache),
            use_cache=True,
            mm_encoder_outputs=seen,
        )
        cache.num_tokens += len(ids)
        cache.next_position += span
        hidden: Tensor = out.last_hidden_state  # (1, S, hidden)
        return hidden

    @contextmanager
    def _queries(self) -> Iterator[dict[int, Tensor]]:
        """Capture the queries before RoPE, per layer (1, T, heads, D)."""
        captured: dict[int, Tensor] = {}
        layers = self.module.get_decoder().layers
        size = text_config(self.module.config).head_dim
        wanted = set(self.heads.query_heads[:, 0].tolist())

        def capture(layer: int) -> RemovableHandle:
            attention = layers[layer].self_attn
            last: nn.Module = getattr(attention, "q_norm", attention.q_proj)
            return last.register_forward_hook(
                lambda _module, _inputs, output: captured.update(
                    {layer: output.view(1, output.shape[1], -1, size)}
                )
            )

        hooks = [capture(layer) for layer in wanted]
        try:
            yield captured
        finally:
            for hook in hooks:
                hook.remove()
