"""Summary tokens: a lesson reads what the product would."""

import numpy as np
import torch
from lesson import embed_chunks, make_wide_model
from tiny_model import make_chunks

from agent.vlm.builtin import SUMMARY_TOKENS
from memory.compression.bilevel import LevelSettings
from memory.rehydration import compose
from training.reading import Asked, read, watch
from training.summary import Kept
from training.template import Template

SPARSE, DENSE = LevelSettings("summary", 16), LevelSettings("summary", 2)


def test_every_chunk_is_read_by_one_of_its_sets() -> None:
    sets = (torch.tensor([7, 15]), torch.tensor([5, 6, 13, 14]))
    kept = Kept.deal(np.random.default_rng(0), sets, torch.Size((8, 5)))
    read_ = (~kept.unseen).unflatten(1, (5, 6)).sum(dim=2)
    assert set(read_.flatten().tolist()) == {2, 4}
    assert torch.equal(read_, kept.spread.widths)
    assert torch.equal(kept.spread.ends, read_.sum(dim=1))


@torch.inference_mode()
def test_questions_over_summaries_equal_the_product() -> None:
    model = make_wide_model()
    ids = model.tokenizer.convert_tokens_to_ids(list(SUMMARY_TOKENS))
    model.module.config.summary_token_ids = [ids[:1], ids[1:]]
    chunks = make_chunks((8, 8, 8))
    sink = model.prefill_sink()
    prefilled = [model.prefill(chunk, [sink]) for chunk in chunks]
    levels = (SPARSE, DENSE, SPARSE)
    runs = [level.apply(p) for level, p in zip(levels, prefilled, strict=True)]
    assert [run.num_tokens for run in runs] == [4, 32, 4]
    question = model.tokenize("was #47 seen ? yes")
    cache = compose([sink, *runs], model.rotary, room=32)
    product = model.extend(cache, question)

    text = model.module.model.language_model
    template = Template(model.module, model.tokenizer)
    dense = torch.tensor([[False, True, False]])
    kept = Kept.of_levels(template.layout.summaries, dense)
    embedded = embed_chunks(model, template, chunks, prefilled)
    pasts, _ = watch(text, template.sink_ids, embedded, template.places)
    written = [kept.past(past) for past in pasts]
    places = kept.places(template.places)
    last = torch.tensor([[[len(question) - 1]]])
    asked = Asked(question[None, None], last, torch.tensor([[1]]))
    hidden, _ = read(text, written, places, kept.spread, asked, kept.unseen)
    ours = model.module.lm_head(hidden)[0, 0, 0]
    torch.testing.assert_close(ours, product, atol=1e-3, rtol=1e-3)
