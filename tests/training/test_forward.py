"""The batched forwards of training against the stock classes and the product's path."""

import numpy as np
import torch
from lesson import embed_chunks, make_wide_model
from tiny_model import make_chunks

from agent.vlm.preprocessing import patchify
from memory.rehydration import compose
from training.reading import Asked, read, watch
from training.spread import Spread
from training.template import Template
from training.vision import see


@torch.inference_mode()
def test_batched_vision_equals_the_stock_tower() -> None:
    model = make_wide_model()
    frames = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
    patches, grid = patchify(frames, model.patches)
    tower = model.module.model.visual
    stock = tower(patches, torch.tensor([grid])).pooler_output
    ours = see(tower, patches.view(3, 64, -1))
    torch.testing.assert_close(ours.flatten(0, 1), stock, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_batched_questions_equal_the_product_over_composed_memory() -> None:
    model = make_wide_model()
    chunks = make_chunks((8, 8, 8))
    sink = model.prefill_sink()
    prefilled = [model.prefill(chunk, [sink]) for chunk in chunks]
    cache = compose([sink, *(p.kv for p in prefilled)], model.rotary, room=32)
    ids = model.tokenize("was #47 seen ? yes")
    product = model.extend(cache, ids)

    text = model.module.model.language_model
    template = Template(model.module, model.tokenizer)
    embedded = embed_chunks(model, template, chunks, prefilled)
    pasts, _ = watch(text, template.sink_ids, embedded, template.places)
    last = torch.tensor([[[len(ids) - 1]]])
    at = torch.tensor([[1]])
    asked = Asked(ids[None, None], last, at)
    spread = Spread.close(torch.full((1, 3), template.places.span))
    hidden, _ = read(text, pasts, template.places, spread, asked)
    ours = model.module.lm_head(hidden)[0, 0, 0]
    torch.testing.assert_close(ours, product, atol=1e-3, rtol=1e-3)
