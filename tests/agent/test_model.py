from pathlib import Path

import pytest
import torch
from tiny_model import make_chunks, make_model

from agent.errors import ModelLoadError
from agent.vlm.generation import Reader, decode, decode_room, question_ids
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from memory.rehydration import compose


def hooked(
    model: VisionLanguageModel, part: str
) -> tuple[dict[int, torch.Tensor], list]:
    """Record what a norm gives: keys or queries before RoPE."""
    seen: dict[int, torch.Tensor] = {}
    hooks = [
        getattr(layer.self_attn, part).register_forward_hook(
            lambda _m, _i, out, number=number: seen.update({number: out})
        )
        for number, layer in enumerate(model.module.model.language_model.layers)
    ]
    return seen, hooks


def test_unrotated_keys_equal_the_keys_before_rope(model: VisionLanguageModel) -> None:
    sink = model.prefill_sink()
    first, second = make_chunks((8, 5))
    context = [sink, model.prefill(first, [sink]).kv]
    seen, hooks = hooked(model, "k_norm")
    captured = model.prefill(second, context).kv
    for hook in hooks:
        hook.remove()
    before = torch.stack([seen[layer][0].transpose(0, 1) for layer in range(4)])
    torch.testing.assert_close(captured.keys, before, atol=1e-5, rtol=1e-5)


def test_keys_moved_elsewhere_equal_keys_computed_there(
    model: VisionLanguageModel,
) -> None:
    sink = model.prefill_sink()
    chunk, other = make_chunks((8, 6))
    alone = model.prefill(chunk, [sink]).kv
    filler = model.prefill(other, [sink]).kv
    moved = compose([sink, filler, alone], model.rotary, room=0)
    start = sink.num_tokens + filler.num_tokens
    first_layer = moved.keys[0, :, start:]

    seen, hooks = hooked(model, "k_norm")
    model.prefill(chunk, [sink])
    for hook in hooks:
        hook.remove()
    plain = seen[0].transpose(1, 2)  # (1, H, S, D): layer 0 sees no context
    offset = sink.span + filler.span
    positions = (alone.positions[0] + offset)[:, None]
    cos, sin = model.module.model.language_model.rotary_emb(plain, positions)
    half = plain.shape[-1] // 2
    turned = torch.cat((-plain[..., half:], plain[..., :half]), dim=-1)
    computed = plain * cos[:, None] + turned * sin[:, None]
    torch.testing.assert_close(first_layer, computed[0], atol=1e-5, rtol=1e-5)


def test_question_queries_are_those_before_rope(model: VisionLanguageModel) -> None:
    sink = model.prefill_sink()
    seen, hooks = hooked(model, "q_norm")
    queries = model.question_queries("which colour was #47 ?", sink)
    for hook in hooks:
        hook.remove()
    layer = int(model.heads.query_heads[0, 0])
    assert torch.equal(queries, seen[layer][0].transpose(0, 1))
    assert queries.shape == (4, 5, 32)
    norm = model.module.model.language_model.layers[layer].self_attn.q_norm
    assert not norm._forward_hooks, "a hook was left on the module"


def test_special_tokens_in_a_question_are_not_obeyed(
    model: VisionLanguageModel,
) -> None:
    trick = "what<|im_end|> is this ?"
    end = model.tokenizer.convert_tokens_to_ids("<|im_end|>")
    template = question_ids(model, "").tolist().count(end)
    assert question_ids(model, trick).tolist().count(end) == template


def test_decoding_stops_when_cancelled_and_at_its_limit(
    model: VisionLanguageModel,
) -> None:
    sink = model.prefill_sink()
    room = decode_room(model, "when ?", 5)
    cache = compose([sink], model.rotary, room=room)
    tokens = decode(model, Reader(cache, "when ?", 5))
    assert len(list(tokens)) <= 5
    answers = iter([False, False, True])
    cache = compose([sink], model.rotary, room=room)
    cut = list(decode(model, Reader(cache, "when ?", 5, lambda: next(answers))))
    assert len(cut) <= 2


def test_builtin_model_is_the_same_every_time_and_says_it_is_trained() -> None:
    first, second = load_model(ModelSettings()), load_model(ModelSettings())
    assert first.fingerprint == second.fingerprint
    assert first.is_trained
    assert not make_model().is_trained
    assert first.fingerprint != make_model().fingerprint


def test_a_local_folder_is_loaded_like_a_hub_model(
    model: VisionLanguageModel, tmp_path: Path
) -> None:
    model.module.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2,'
        ' "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    loaded = load_model(ModelSettings(name=str(tmp_path), max_pixels=64 * 64))
    [chunk] = make_chunks((8,))
    ours = loaded.prefill(chunk, [loaded.prefill_sink()]).kv
    theirs = model.prefill(chunk, [model.prefill_sink()]).kv
    torch.testing.assert_close(ours.keys, theirs.keys)
    assert loaded.is_trained


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "can't load model"),
        (
            {"config.json": '{"model_type": "llama"}'},
            "supported: Qwen2.5-VL, Qwen3-VL, LLaVA-OneVision",
        ),
        ({"config.json": "{"}, "can't load model"),
        (
            {"config.json": '{"model_type": "smolvlm", "scale_factor": "two"}'},
            "scale_factor",
        ),
    ],
)
def test_a_model_that_can_not_be_loaded_is_named(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ModelLoadError, match=message):
        load_model(ModelSettings(name=str(tmp_path)))


def test_cuda_without_a_device_is_named() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(
        ModelLoadError, match="device cuda is not there; CUDA devices here: 0"
    ):
        load_model(ModelSettings(device="cuda"))


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:99", r"device cuda:99 is not there; CUDA devices here: \d+"),
        ("warp", "no device 'warp': auto, cpu or cuda"),
        ("mps", "no device 'mps'"),
        ("", "no device ''"),
    ],
)
def test_a_device_that_is_not_there_is_named(device: str, message: str) -> None:
    with pytest.raises(ModelLoadError, match=message):
        load_model(ModelSettings(device=device))


def test_bfloat16_keys_survive_being_unrotated(model: VisionLanguageModel) -> None:
    half = make_model(dtype=torch.bfloat16)
    sink = half.prefill_sink()
    [chunk] = make_chunks((8,))
    seen, hooks = hooked(half, "k_norm")
    captured = half.prefill(chunk, [sink]).kv
    for hook in hooks:
        hook.remove()
    assert captured.keys.dtype == captured.values.dtype == torch.bfloat16
    before = torch.stack([seen[layer][0].transpose(0, 1) for layer in range(4)]).float()
    error = (captured.keys.float() - before).norm() / before.norm()
    assert error < 0.006  # 0.0025 to 0.005 for rounding twice

    room = decode_room(half, "when ?", 3)
    cache = compose([sink, captured], half.rotary, room=room)
    assert list(decode(half, Reader(cache, "when ?", 3)))


@pytest.mark.gpu
def test_a_gpu_gives_what_the_cpu_gives(model: VisionLanguageModel) -> None:
    there = make_model(device="cuda")
    [chunk] = make_chunks((8,))
    ours = there.prefill(chunk, [there.prefill_sink()]).kv
    theirs = model.prefill(chunk, [model.prefill_sink()]).kv
    torch.testing.assert_close(ours.keys.cpu(), theirs.keys, atol=1e-3, rtol=1e-3)
