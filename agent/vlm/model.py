"""A stock transformers vision-language model as memory sees it: KV in, KV out.

Nothing is patched, and no state is left on the module: positions are always given, so
that `rope_deltas` is never read, and every call owns the cache it runs over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from agent.vlm.batch import Batch
from agent.vlm.cache import as_transformers_cache
from agent.vlm.change import changed_tokens
from agent.vlm.families import family_of
from agent.vlm.family import Family, Grid
from agent.vlm.layout import ChunkLayout, TokenRun
from agent.vlm.preprocessing import PatchSettings
from agent.vlm.prompt import Prompt
from agent.vlm.queries import captured_queries
from agent.vlm.rotary import ModelRotary
from agent.vlm.squares import SquareSettings
from agent.vlm.text_shape import text_config
from ingest.frame import FrameChunk
from memory.kv import KV, ChunkKV
from memory.rehydration import MixedCache, compose
from memory.relevance import IndexHeads
from memory.rope import unrotate


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """A chunk as it is to be run, (V,) places of its grid in it."""

    layout: ChunkLayout
    grid: Grid
    places: Tensor


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
        run = TokenRun.of_text(self.tokenize(self.prompt.before))
        return self._prefill([run], [self._empty(len(run.token_ids))])[0]

    @torch.inference_mode()
    def prefill_text(self, text: str, context: Sequence[KV]) -> KV:
        """Run a chunk of text once; as `prefill`, without a picture."""
        run = TokenRun.of_text(self.tokenize(text))
        cache = compose(context, self.rotary, room=len(run.token_ids))
        return self._prefill([run], [cache])[0]

    def prefill(
        self, chunk: FrameChunk, context: Sequence[KV], least_change: float = 0.0
    ) -> ChunkKV:
        """Run a chunk of frames once.

        Args:
            chunk: The frames.
            context: What the chunk sees: the sink, then KV of chunks before it.
            least_change: Visual tokens that changed less are left out, as
                `agent.vlm.change` tells.
        """
        return self.prefill_batch([chunk], [context], [least_change])[0]

    def num_visual_tokens(self, chunk: FrameChunk) -> int:
        """Give the visual tokens of a chunk, before any are left out."""
        return prod(self._grid(chunk))

    @torch.inference_mode()
    def prefill_batch(
        self,
        chunks: Sequence[FrameChunk],
        contexts: Sequence[Sequence[KV]],
        least_changes: Sequence[float],
    ) -> list[ChunkKV]:
        """Run chunks side by side, each as if alone.

        Args:
            chunks: The frames; as many in each.
            contexts: What each chunk sees.
            least_changes: Which visual tokens of each are left out, as in `prefill`.
        """
        drafts = [
            self._draft(chunk, least)
            for chunk, least in zip(chunks, least_changes, strict=True)
        ]
        layouts = [draft.layout for draft in drafts]
        seen = self.family.see(
            self.module,
            [chunk.pixels for chunk in chunks],
            [draft.places for draft in drafts],
            self.patches,
        )
        room = max(len(layout.token_ids) for layout in layouts)
        caches = [compose(context, self.rotary, room=room) for context in contexts]
        runs = self._prefill(layouts, caches, seen.outputs)
        return [
            ChunkKV(
                kv,
                draft.layout.visual_tokens.to(self.device),
                features,
                draft.grid,
                draft.places,
                draft.layout.pinned_tokens.to(self.device),
                tuple(tokens.to(self.device) for tokens in draft.layout.summaries),
            )
            for kv, features, draft in zip(runs, seen.features, drafts, strict=True)
        ]

    @torch.inference_mode()
    def question_queries(self, question: str, sink: KV) -> Tensor:
        """Give the pre-RoPE queries of a question's tokens in the retrieval heads.

        Only the question's own words are asked about, not the template around them.

        Returns:
            (Q', T, D), in the order of `heads.query_heads`.
        """
        ids = self.tokenize(self.plain(question))
        cache = compose([sink], self.rotary, room=len(ids))
        layers = self.heads.query_heads[:, 0].tolist()
        with captured_queries(self.module, layers) as captured:
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
        batch = Batch.of([cache], room=len(ids))
        logits = self.extend_batch(batch, [ids])[0]
        cache.num_tokens, [cache.next_position] = batch.num_tokens, batch.next_positions
        return logits

    @torch.inference_mode()
    def extend_batch(self, batch: Batch, ids: Sequence[Tensor]) -> Tensor:
        """Run each reader's text over its cache; as `extend`, for several.

        Args:
            batch: Written to.
            ids: Token ids of each reader, (S,).

        Returns:
            Logits, (B, vocabulary), float32.
        """
        runs = [TokenRun.of_text(text) for text in ids]
        hidden = self._run(batch, runs)
        last = torch.tensor([len(text) - 1 for text in ids], device=hidden.device)
        ends = hidden[torch.arange(len(ids), device=hidden.device), last]  # (B, hidden)
        logits: Tensor = self.module.lm_head(ends)
        return logits.float()

    def _grid(self, chunk: FrameChunk) -> Grid:
        frames = chunk.pixels.shape[:3]
        return self.family.visual_grid(frames, self.module.config, self.patches)

    def _draft(self, chunk: FrameChunk, least_change: float) -> "_Draft":
        """Write a chunk down, without what has hardly changed in it."""
        grid = self._grid(chunk)
        layout = self.family.lay_out(
            chunk.times_s, grid, self.module.config, self.tokenizer
        )
        changed = changed_tokens(chunk.pixels, grid, least_change)  # (V,)
        places = changed.nonzero()[0]
        layout = layout.without(torch.from_numpy(~changed))
        return _Draft(layout, grid, torch.from_numpy(places).to(self.device))

    def _empty(self, room: int) -> MixedCache:
        text = text_config(self.module.config)
        shape = (text.num_hidden_layers, text.num_key_value_heads, room, text.head_dim)
        keys = torch.empty(shape, dtype=self.module.dtype, device=self.device)
        return MixedCache(keys, torch.empty_like(keys), 0, 0)

    def _prefill(
        self,
        runs: Sequence[TokenRun],
        caches: Sequence[MixedCache],
        seen: dict[str, Any] | None = None,
    ) -> list[KV]:
        """Run tokens over caches that end here; give the KV of each run, pre-RoPE."""
        batch = Batch.of(caches, room=max(len(run.token_ids) for run in runs))
        start = batch.num_tokens
        self._run(batch, runs, seen)
        found = []
        for reader, (run, cache) in enumerate(zip(runs, caches, strict=True)):
            placed = run.positions.to(self.device)  # (3, S)
            cos, sin = self.rotary.cos_sin(placed + cache.next_position)  # (S, D)
            new = slice(start, start + len(run.token_ids))
            keys, values = (
                batch.keys[:, reader, :, new],
                batch.values[:, reader, :, new],
            )
            plain = unrotate(keys, cos, sin, self.rotary.scaling)  # (L, H, S, D)
            positions = placed.expand(len(keys), -1, -1).contiguous()  # (L, 3, S)
            found.append(KV(plain, values.clone(), positions, run.span))
        return found

    def _run(
        self,
        batch: Batch,
        runs: Sequence[TokenRun],
        seen: dict[str, Any] | None = None,
    ) -> Tensor:
        """Run tokens behind their caches; give hidden states, (B, S, hidden)."""
        device = batch.keys.device  # the model's; asking it walks all its weights
        ids, positions = batch.ids_of(runs), batch.positions_of(runs)
        mask = batch.mask
        if mask is not None:  # what is run now hides itself: nothing looks ahead
            mask = torch.cat((mask, mask.new_ones(ids.shape)), dim=1)
        out = self.module.model(
            input_ids=ids.to(device),
            attention_mask=mask,
            position_ids=self.rotary.position_ids(positions).to(device),
            past_key_values=as_transformers_cache(
                batch.keys, batch.values, batch.num_tokens
            ),
            use_cache=True,
            mm_encoder_outputs=seen,
        )
        batch.advance(runs)
        hidden: Tensor = out.last_hidden_state
        return hidden
