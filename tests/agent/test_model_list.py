import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_families import (
    FACTS,
    make_config,
    make_family_model,
    make_pairs,
    make_tokenizer,
    save,
)
from transformers import LlavaOnevisionConfig
from typer.testing import CliRunner

from agent.__main__ import app
from agent.errors import ModelLoadError
from agent.model_list import list_models
from agent.vlm.catalogue import KNOWN, Watching, describe_model
from agent.vlm.families import FAMILIES
from agent.vlm.loading import ModelSettings
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.kv import ChunkId

WATCHING = Watching(2.0, 8, (24, 40), 16, 2)
CPU = ModelSettings(device="cpu")


@pytest.mark.parametrize("model_type", FAMILIES)
def test_an_hour_costs_what_a_chunk_that_was_watched_takes(
    model_type: str, tmp_path: Path
) -> None:
    model = make_family_model(model_type)
    save(model, tmp_path)
    facts = describe_model(replace(CPU, name=str(tmp_path)), WATCHING)
    [chunk] = make_pairs((8,))
    whole = model.prefill(chunk, [model.prefill_sink()])
    levels = BiLevel(
        LevelSettings("novelty", 16), LevelSettings("value_norm", 2), model.heads, 4
    )
    both = levels.compress_chunk(ChunkId("door", 0, 4000), whole)
    assert facts.family == FAMILIES[model_type].title
    assert facts.chunk_tokens == whole.kv.num_tokens
    assert facts.frame_tokens == len(whole.visual_tokens) / 8
    assert facts.token_bytes * whole.kv.num_tokens == whole.kv.num_bytes
    chunks_per_hour = 900
    for gb, kv in (
        (facts.high_gb_per_hour, both.memory.high),
        (facts.low_gb_per_hour, both.low),
    ):
        assert gb == pytest.approx(kv.num_bytes * chunks_per_hour / 1e9)


@pytest.mark.parametrize(
    ("layers", "heads", "kv_heads", "hidden", "published"),
    [(24, 14, 2, 896, 4.0), (28, 28, 4, 3584, 18.8)],
    ids=["0.5B", "7B"],
)
def test_llava_onevision_costs_what_rekv_published(
    layers: int,
    heads: int,
    kv_heads: int,
    hidden: int,
    published: float,
    tmp_path: Path,
) -> None:
    tokenizer = make_tokenizer("llava_onevision")
    tiny = make_config("llava_onevision", tokenizer)
    shape = {"num_hidden_layers": layers, "num_attention_heads": heads}
    shape |= {"num_key_value_heads": kv_heads, "hidden_size": hidden}
    LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **shape},  # the tower is the class's own
        video_token_index=tiny.video_token_index,
    ).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    facts = json.dumps(FACTS["llava_onevision"])
    (tmp_path / "preprocessor_config.json").write_text(facts)
    settings = replace(CPU, name=str(tmp_path), dtype="bfloat16")
    found = describe_model(settings, Watching(0.5, 8, (252, 448), 32, 1))
    assert found.frame_tokens == 196
    gib_per_hour = found.low_gb_per_hour * 1e9 / 2**30
    assert gib_per_hour == pytest.approx(published, rel=0.02)


def test_an_archive_of_fewer_bits_costs_less_and_the_device_the_same() -> None:
    settings = replace(CPU, name="builtin")
    found = {
        numbers: describe_model(settings, replace(WATCHING, low_numbers=numbers))
        for numbers in ("model", "bfloat16", "int8", "int4")
    }
    low = [facts.low_gb_per_hour for facts in found.values()]
    assert low[0] == 2 * low[1]  # float32 on a CPU
    assert low == sorted(low, reverse=True)
    assert 2 < low[0] / low[2] < 4
    assert 4 < low[0] / low[3] < 8
    assert len({facts.high_gb_per_hour for facts in found.values()}) == 1


def test_all_that_are_known_are_listed_without_a_network() -> None:
    rows = list_models([], replace(CPU, cache_folder=Path("/nowhere")), WATCHING)
    assert [row.name for row in rows[1:]] == [n for kind in KNOWN for n in KNOWN[kind]]
    assert set(KNOWN) == set(FAMILIES)
    assert [row.facts is None for row in rows] == [False] + [True] * (len(rows) - 1)


def test_the_configured_model_is_listed_first(tmp_path: Path) -> None:
    save(make_family_model("smolvlm"), tmp_path)
    rows = list_models([], replace(CPU, name=str(tmp_path)), WATCHING)
    assert rows[0].name == str(tmp_path)
    assert rows[0].facts is not None
    assert rows[0].facts.num_kv_heads == 2


def test_one_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelLoadError, match="supported: Qwen2"):
        list_models([str(tmp_path)], CPU, WATCHING)
    result = CliRunner().invoke(app, ["models", str(tmp_path)])
    assert result.exit_code == 2


def test_the_command_reads_the_config_for_what_is_watched(tmp_path: Path) -> None:
    config = tmp_path / "longwatch.yaml"
    config.write_text(
        "cameras: {door: {address: 'simulated:seed=1', fps: 4}}\n"
        "model: {device: cpu}\nmemory: {low_factor: 4}\n"
    )
    plain = CliRunner().invoke(app, ["models", "builtin", "--json"])
    given = ["models", "builtin", "--json", "--config", str(config)]
    configured = CliRunner().invoke(app, given)
    (before,), (after,) = (json.loads(r.output) for r in (plain, configured))
    ratio = after["low_gb_per_hour"] / before["low_gb_per_hour"]
    assert ratio == pytest.approx(4 / 1 * 2 / 4)
    shown = CliRunner().invoke(app, ["models", "builtin"], terminal_width=80).output
    assert f"{before['token_bytes']:,}" in shown
