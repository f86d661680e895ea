"""Every family: streamed and re-hydrated against one call of the stock class.

Frames and prompt are what the library's own processing makes of them; see
`tests/family_oracles.py`.
"""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from family_oracles import clock, library_pixels, stock_inputs
from tiny_families import make_family_model, make_pairs
from tiny_model import START_S
from torch.utils.hooks import RemovableHandle

from agent.vlm.families import FAMILIES, family_of
from agent.vlm.generation import Reader, decode, decode_room, question_ids
from agent.vlm.model import VisionLanguageModel
from agent.vlm.preprocessing import PatchSettings, patchify
from agent.vlm.prompt import SYSTEM
from agent.vlm.squares import square
from ingest.frame import FrameChunk
from memory.codec import Compression, decode_low, encode_low
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.kv import KV, ChunkId
from memory.rehydration import compose

QUESTION = "Who came?"
NEW_TOKENS = 8


@pytest.fixture(scope="module", params=list(FAMILIES))
def model(request: pytest.FixtureRequest) -> VisionLanguageModel:
    return make_family_model(request.param)


def lengths_of(model: VisionLanguageModel) -> tuple[int, ...]:
    """One stock call of LLaVA-OneVision takes videos of one length only."""
    return (4, 4, 4) if model.name == "llava_onevision" else (6, 2, 5)


def stream(model: VisionLanguageModel, chunks: Sequence[FrameChunk]) -> list[KV]:
    """Prefill, chunk after chunk, each seeing all before it, and go through a blob."""
    whole = LevelSettings("novelty", 1)
    levels = BiLevel(whole, whole, model.heads, index_keys=4)
    runs = [model.prefill_sink()]
    for number, chunk in enumerate(chunks):
        id = ChunkId("door", number * 4000, number * 4000 + 4000)
        both = levels.compress_chunk(id, model.prefill(chunk, runs))
        made = Compression("novelty", 1)
        blob = encode_low(id, both.low, made, model.fingerprint)
        runs.append(decode_low(blob, id, model.fingerprint))
    return runs


def test_streamed_and_rehydrated_equals_one_stock_call(
    model: VisionLanguageModel,
) -> None:
    chunks = make_pairs(lengths_of(model))
    inputs = stock_inputs(model.name, model.tokenizer, chunks, SYSTEM, [QUESTION])
    with torch.inference_mode():
        stock = model.module(**inputs).logits[0, -1].float()
        tokens = model.module.generate(
            **inputs, max_new_tokens=NEW_TOKENS, do_sample=False
        )
    if hasattr(model.module.model, "rope_deltas"):
        model.module.model.rope_deltas = None
    runs = stream(model, chunks)
    room = decode_room(model, QUESTION, NEW_TOKENS)
    cache = compose(runs, model.rotary, room=room)
    logits = model.extend(cache, question_ids(model, QUESTION))
    torch.testing.assert_close(logits, stock, atol=1e-4, rtol=0)

    fewer = compose(runs[:-1], model.rotary, room=room)
    other = model.extend(fewer, question_ids(model, QUESTION))
    assert (other - stock).abs().max() > 1e-2, "the oracle must see a missing chunk"

    cache = compose(runs, model.rotary, room=room)
    ours = list(decode(model, Reader(cache, QUESTION, NEW_TOKENS)))
    theirs = tokens[0, inputs["input_ids"].shape[1] :].tolist()
    assert ours == [token for token in theirs if token not in model.prompt.stop_ids]
    assert ours


def test_a_follow_up_equals_one_stock_call_of_the_whole_conversation(
    model: VisionLanguageModel,
) -> None:
    chunks = make_pairs(lengths_of(model))
    talk = [QUESTION, "A man.", "When?"]
    inputs = stock_inputs(model.name, model.tokenizer, chunks, SYSTEM, talk)
    with torch.inference_mode():
        stock = model.module(**inputs).logits[0, -1].float()
    if hasattr(model.module.model, "rope_deltas"):
        model.module.model.rope_deltas = None
    earlier = [(QUESTION, "A man.")]
    room = decode_room(model, "When?", NEW_TOKENS, earlier)
    cache = compose(stream(model, chunks), model.rotary, room=room)
    logits = model.extend(cache, question_ids(model, "When?", earlier))
    torch.testing.assert_close(logits, stock, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(24, 40), (90, 31), (32, 32), (28, 28), (480, 640)])
def test_prepared_frames_equal_those_of_the_librarys_processor(
    model: VisionLanguageModel, size: tuple[int, int]
) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, *size, 3), np.uint8)
    theirs = library_pixels(model.name, frames)
    if isinstance(model.patches, PatchSettings):
        ours = torch.cat([patchify(f[None], model.patches)[0] for f in frames])
    else:
        ours = square(frames, model.patches)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_keys_and_queries_are_those_before_rope(model: VisionLanguageModel) -> None:
    [chunk] = make_pairs((4,))
    sink = model.prefill_sink()
    attention = model.module.get_decoder().layers[1].self_attn
    seen: dict[str, torch.Tensor] = {}

    def record(name: str) -> RemovableHandle:
        last = getattr(attention, f"{name}_norm", getattr(attention, f"{name}_proj"))
        return last.register_forward_hook(
            lambda _m, _i, out: seen.update({name: out.view(out.shape[1], -1, 16)})
        )

    hook = record("k")
    keys = model.prefill(chunk, [sink]).kv.keys[1]
    hook.remove()
    torch.testing.assert_close(keys, seen["k"].transpose(0, 1), atol=1e-5, rtol=1e-5)

    hook = record("q")
    indexed = model.with_heads([(1, 3), (1, 0)])
    queries = indexed.question_queries(QUESTION, sink)
    hook.remove()
    heads = indexed.heads.query_heads[:, 1]
    assert torch.equal(queries, seen["q"].transpose(0, 1)[heads])


def test_visual_and_pinned_tokens_are_what_they_are_called(
    model: VisionLanguageModel,
) -> None:
    [chunk] = make_pairs((5,))
    whole = model.prefill(chunk, [model.prefill_sink()])
    family, config = model.family, model.module.config
    layout = family.lay_out(chunk.times_s, whole.grid, config, model.tokenizer)
    (visual,) = set(layout.token_ids[whole.visual_tokens].tolist())
    assert visual in (getattr(config, "video_token_id", -1), config.image_token_id)
    stamp = model.tokenizer.decode(layout.token_ids[whole.pinned_tokens])
    assert clock(chunk.times_s[0]) in stamp


def test_features_are_what_the_language_model_reads_in_their_place(
    model: VisionLanguageModel,
) -> None:
    read: list[torch.Tensor] = []
    hook = model.module.get_decoder().register_forward_pre_hook(
        lambda _module, _args, named: read.append(named["inputs_embeds"][0]),
        with_kwargs=True,
    )
    [chunk] = make_pairs((5,))
    whole = model.prefill(chunk, [model.prefill_sink()])
    hook.remove()
    assert torch.equal(read[-1][whole.visual_tokens], whole.features)


def test_deepstack_reaches_the_language_model() -> None:
    model = make_family_model("qwen3_vl")
    [chunk] = make_pairs((4,))
    sink = model.prefill_sink()
    whole = model.prefill(chunk, [sink]).kv
    for merger in model.module.model.visual.deepstack_merger_list:
        for weight in merger.parameters():
            torch.nn.init.zeros_(weight)
    without = model.prefill(chunk, [sink]).kv
    assert torch.equal(whole.keys[0], without.keys[0])  # features come in behind it
    assert (whole.keys[1:] - without.keys[1:]).abs().amax(dim=(1, 2, 3)).min() > 0.1


def test_a_newline_closes_each_video_of_llava_onevision() -> None:
    model = make_family_model("llava_onevision")
    chunk, _ = make_pairs((4, 4))
    before = model.prefill(chunk, [model.prefill_sink()])
    assert before.visual_tokens[-1] == before.kv.num_tokens - 2
    torch.nn.init.ones_(model.module.model.image_newline)
    after = model.prefill(chunk, [model.prefill_sink()])
    assert torch.equal(before.kv.keys[0, :, :-1], after.kv.keys[0, :, :-1])
    assert not torch.equal(before.kv.keys[0, :, -1], after.kv.keys[0, :, -1])


@pytest.mark.parametrize("seconds", [0.2, 1.0, 3.0])
def test_time_in_qwen2_5_vl_goes_as_the_library_counts_it(seconds: float) -> None:
    model = make_family_model("qwen2_5_vl")
    config, tokenizer = model.module.config, model.tokenizer
    config.vision_config.tokens_per_second = 3
    times_s = START_S + np.arange(8) * seconds / 2
    layout = model.family.lay_out(times_s, (4, 2, 3), config, tokenizer)
    ids = layout.token_ids[None]
    stock, _ = model.module.model.get_rope_index(
        ids,
        2 * (ids == config.video_token_id).int(),
        video_grid_thw=torch.tensor([[4, 4, 6]]),
        second_per_grid_ts=[seconds],
    )
    assert torch.equal(layout.positions, stock[:, 0].float())
    assert layout.span == stock[0, 0, -1] + 1


def test_an_unsupported_family_is_told_what_is_supported() -> None:
    with pytest.raises(ValueError, match=r"llama is not .*, InternVL3"):
        family_of(SimpleNamespace(model_type="llama"))
    with pytest.raises(ValueError, match="-hf"):
        family_of(SimpleNamespace(model_type="internvl_chat"))
