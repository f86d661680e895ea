"""Loading what `save_pretrained` wrote: as a folder, and as the hub cache keeps it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_families import FACTS, make_family_model, make_pairs, save
from transformers import AutoModelForImageTextToText

from agent.config_sections import MemoryConfig
from agent.errors import ModelLoadError
from agent.model_list import watching_of
from agent.vlm import repository
from agent.vlm.catalogue import describe_model
from agent.vlm.families import FAMILIES
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def settings(name: Path | str, **others: Any) -> ModelSettings:
    return ModelSettings(str(name), device="cpu", **others)


def change(folder: Path, **facts: Any) -> None:
    """Change a saved language model's configuration."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["text_config"] |= facts
    path.write_text(json.dumps(config))


def first_keys(model: VisionLanguageModel) -> torch.Tensor:
    [chunk] = make_pairs((4,))
    return model.prefill(chunk, [model.prefill_sink()]).kv.keys


@pytest.mark.parametrize("name", ["/nope", "./nope", "../nope", "~/nope", "a/b/nope"])
def test_a_path_that_is_not_there_is_no_repository(name: str) -> None:
    message = f"can't load model {re.escape(name)}: there is no such folder"
    with pytest.raises(ModelLoadError, match=message):
        load_model(settings(name))
    with pytest.raises(ModelLoadError, match=message):
        describe_model(settings(name), watching_of(None, MemoryConfig()))


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(ModelLoadError, match="no such folder"):
        load_model(settings(folder / "config.json"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(make_family_model("internvl"), tmp_path)
    return tmp_path


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_folder_of_every_family_is_loaded_as_it_was_saved(
    model_type: str, tmp_path: Path
) -> None:
    model = make_family_model(model_type)
    save(model, tmp_path)
    loaded = load_model(settings(tmp_path))
    assert type(loaded.module) is type(model.module)
    assert loaded.patches == model.patches
    assert loaded.prompt == model.prompt
    torch.testing.assert_close(first_keys(loaded), first_keys(model))
    assert loaded.is_trained


def test_weights_go_by_way_of_the_host_where_accelerate_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "is_accelerate_available", lambda: False)
    loaded = load_model(settings(folder))
    torch.testing.assert_close(
        first_keys(loaded), first_keys(make_family_model("internvl"))
    )


def test_a_repository_of_the_hub_is_read_from_the_cache_by_its_revision(
    tmp_path: Path,
) -> None:
    home = tmp_path / "hub" / "models--acme--tiny"
    snapshot = home / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    save(make_family_model("smolvlm"), snapshot)
    (home / "refs").mkdir()
    (home / "refs" / "v2").write_text(COMMIT)
    there = {"cache_folder": tmp_path / "hub", "offline": True}
    model = load_model(settings("acme/tiny", revision="v2", **there))
    torch.testing.assert_close(
        first_keys(model), first_keys(make_family_model("smolvlm"))
    )
    with pytest.raises(ModelLoadError, match="acme/tiny"):
        load_model(settings("acme/tiny", revision="v3", **there))
    with pytest.raises(ModelLoadError, match="acme/other"):
        load_model(settings("acme/other", **there))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_attention_and_dtype_are_as_configured(
    folder: Path, attention: str, dtype: str
) -> None:
    model = load_model(settings(folder, attention=attention, dtype=dtype))
    assert model.module.config.text_config._attn_implementation == attention
    keys = first_keys(model)
    assert keys.dtype == model.module.dtype == getattr(torch, dtype)
    theirs = first_keys(make_family_model("internvl"))
    error = (keys.float() - theirs).norm() / theirs.norm()
    assert error < (1e-5 if dtype == "float32" else 0.05)


def test_an_attention_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ModelLoadError, match="FlashAttention2"):
        load_model(settings(folder, attention="flash_attention_2"))


def test_a_dynamic_rope_is_the_plain_one_within_the_trained_length(
    folder: Path,
) -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    change(folder, rope_parameters=rope)
    stock = AutoModelForImageTextToText.from_pretrained(folder)
    rotary = stock.get_decoder().rotary_emb
    assert rotary.rope_type == "dynamic"
    model = load_model(settings(folder))
    assert model.module.get_decoder().rotary_emb.rope_type == "default"
    positions = torch.arange(4096.0).expand(3, -1)  # max_position_embeddings
    ours = model.rotary.cos_sin(positions)
    theirs = rotary(torch.empty(0), positions[:1])
    torch.testing.assert_close(ours, (theirs[0][0], theirs[1][0]))
    longer = rotary(torch.empty(0), torch.arange(5000.0)[None])
    assert not torch.allclose(longer[0][0, :4096], ours[0], atol=1e-3)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {
                "rope_parameters": {
                    "rope_type": "longrope",
                    "rope_theta": 10000.0,
                    "original_max_position_embeddings": 64,
                    "short_factor": [1.0] * 8,
                    "long_factor": [2.0] * 8,
                }
            },
            "longrope",
        ),
        ({"layer_types": ["sliding_attention"] * 3}, "sliding window"),
    ],
)
def test_what_memory_can_not_keep_is_refused(
    folder: Path, facts: dict[str, Any], message: str
) -> None:
    change(folder, **facts)
    with pytest.raises(ModelLoadError, match=message):
        load_model(settings(folder))


@pytest.mark.parametrize(
    ("file", "body"),
    [
        ("video_preprocessor_config.json", FACTS["internvl"]),
        ("processor_config.json", {"image_processor": FACTS["internvl"]}),
    ],
)
def test_preprocessing_is_found_wherever_the_library_puts_it(
    folder: Path, file: str, body: dict[str, Any]
) -> None:
    before = load_model(settings(folder)).patches
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelLoadError, match="none of video_preprocessor_config"):
        load_model(settings(folder))
    (folder / file).write_text(json.dumps(body))
    assert load_model(settings(folder)).patches == before


def test_a_preprocessing_that_lacks_something_is_named(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text('{"image_std": [1, 1, 1]}')
    with pytest.raises(ModelLoadError, match="no image_mean"):
        load_model(settings(folder))


def test_a_chat_template_beside_the_tokenizer_is_found(folder: Path) -> None:
    before = load_model(settings(folder)).prompt
    lone = folder / "chat_template.jinja"
    template = lone.read_text()
    lone.unlink()
    with pytest.raises(ModelLoadError, match="template"):
        load_model(settings(folder))
    beside = json.dumps({"chat_template": template})
    (folder / "chat_template.json").write_text(beside)
    assert load_model(settings(folder)).prompt == before


@pytest.mark.parametrize(
    ("limit", "configured", "most"),
    [(1024, None, 1024), (10**7, None, 256 * 64), (1024, 4096, 4096)],
)
def test_pixels_keep_to_the_processors_limit_unless_configured(
    limit: int, configured: int | None, most: int
) -> None:
    facts = FACTS["qwen3_vl"] | {"size": {"shortest_edge": 256, "longest_edge": limit}}
    found = FAMILIES["qwen3_vl"].settings(facts, None, configured)
    assert (found.min_pixels, found.max_pixels) == (256, most)
    old = FACTS["qwen3_vl"] | {"size": None, "min_pixels": 512, "max_pixels": limit}
    found = FAMILIES["qwen3_vl"].settings(old, None, configured)
    assert (found.min_pixels, found.max_pixels) == (512, most)
