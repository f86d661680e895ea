"""The memory budget against the product's own objects, and against published models."""

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_families import make_family_model, make_tokenizer, save
from torch import nn

from agent.answerer import MAX_QUESTION_TOKENS
from agent.config_sections import ModelConfig
from agent.desk import MAX_AT_ONCE
from agent.vlm.batch import Batch
from agent.vlm.catalogue import KNOWN
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from agent.vlm.quantised import NEEDED, stored_tensors
from benchmarks.budget import CONTEXTS, PAGE, cameras_on_card, write_page
from benchmarks.budget_costs import FACTORS, MEMORY, WATCHING, WAYS, Costs
from benchmarks.budget_models import all_costs, count
from ingest.frame import FrameChunk
from memory.codec import Compression, encode_low
from memory.compression.bilevel import BiLevel, CompressedChunk, LevelSettings
from memory.consolidation import consolidate
from memory.index import BLOCK_CHUNKS, ChunkIndex
from memory.kv import KV, ChunkId, Level, Node, Tier
from memory.rehydration import compose
from memory.relevance import ChunkKeys
from memory.resident import ResidentMemory
from memory.writing import write_chunk

CHUNK_MS = 8000
HEADER_ERROR = 256  # bytes that a blob's header may be off
TABLE_BYTES = {"int8": 0, "nf4": 150}  # of each quantised layer; only tiny ones feel it
NAMES = {name.split("/")[-1]: name for names in KNOWN.values() for name in names}
# As hubs count the tensors of the published weights.
PUBLISHED = {
    "Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "SmolVLM2-256M-Video-Instruct": 256_484_928,
    "InternVL3-8B-hf": 7_944_373_760,
}


def costs_of(name: str) -> Costs:
    return next(costs for costs in all_costs() if costs.name == name)


def id_at(number: int) -> ChunkId:
    return ChunkId("door", number * CHUNK_MS, (number + 1) * CHUNK_MS)


def make_kv(costs: Costs, tokens: int) -> KV:
    """Random KV of a model's shape, in the dtype that costs are of."""
    layers, heads, size = costs.shape
    random = torch.Generator().manual_seed(0)
    keys = torch.randn(layers, heads, tokens, size, generator=random).bfloat16()
    positions = torch.arange(tokens).float().expand(layers, 3, -1).contiguous()
    return KV(keys, keys.clone(), positions, tokens)


@pytest.fixture(scope="module")
def builtin() -> VisionLanguageModel:
    return load_model(ModelSettings(device="cpu", dtype="bfloat16"))


@pytest.fixture(scope="module")
def bilevel(builtin: VisionLanguageModel) -> BiLevel:
    high = LevelSettings(MEMORY.high_method, MEMORY.high_factor)
    low = LevelSettings(MEMORY.low_method, MEMORY.low_factor)
    return BiLevel(high, low, builtin.heads, MEMORY.index_keys)


@pytest.fixture(scope="module")
def chunk(builtin: VisionLanguageModel, bilevel: BiLevel) -> CompressedChunk:
    """A chunk as the product makes it of a simulated camera's frames."""
    frames = WATCHING.chunk_frames
    noise = np.random.default_rng(0).integers(0, 256, (frames, 256, 256, 3), np.uint8)
    times_s = np.arange(frames) / WATCHING.fps
    seen = FrameChunk("door", noise, times_s, frames / WATCHING.fps)
    return bilevel.compress_chunk(
        id_at(0), builtin.prefill(seen, [builtin.prefill_sink()])
    )


@pytest.mark.timeout(60)  # of all models' shapes, once
def test_the_page_is_current() -> None:
    text = PAGE.read_text()
    assert write_page(text) == text


def test_every_known_model_has_its_costs() -> None:
    assert [costs.name for costs in all_costs()] == ["builtin", *NAMES]


def test_tokens_are_those_of_a_chunk_of_the_built_in_model(
    chunk: CompressedChunk,
) -> None:
    costs, memory = costs_of("builtin"), chunk.memory
    assert (costs.tokens, costs.high, costs.low) == (84, 6, 42)
    assert (chunk.num_tokens, memory.high.num_tokens, memory.low_tokens) == (84, 6, 42)
    assert costs.stamp_tokens == memory.stamp_tokens


def test_a_resident_chunk_takes_the_bytes_of_its_tensors(
    chunk: CompressedChunk,
) -> None:
    costs, high = costs_of("builtin"), chunk.memory.high
    taken = high.num_bytes + high.positions.nbytes
    assert costs.resident_bytes(high.num_tokens) == taken
    assert costs.kv_bytes(high.num_tokens) == high.num_bytes


def test_blobs_of_a_real_chunk_have_the_bytes_told(
    chunk: CompressedChunk, bilevel: BiLevel
) -> None:
    costs = costs_of("builtin")
    blobs, _ = write_chunk(chunk, bilevel, "m" * 16)
    told = {
        Level.LOW: costs.blob_bytes(costs.low),
        Level.HIGH: costs.blob_bytes(costs.high),
        Level.KEYS: costs.blob_bytes(0) + costs.key_bytes(MEMORY.index_keys),
    }
    for level, blob in blobs.items():
        assert len(blob) == pytest.approx(told[level], abs=HEADER_ERROR)


@pytest.mark.parametrize("numbers", ["model", "int8", "int4"])
@pytest.mark.parametrize("name", ["builtin", "Qwen3-VL-2B-Instruct", "InternVL3-1B-hf"])
def test_low_blobs_have_the_bytes_told_whatever_the_numbers(
    name: str, numbers: str
) -> None:
    costs = costs_of(name)
    kv, made = make_kv(costs, costs.low), Compression("novelty", 2, numbers)
    blob = encode_low(id_at(0), kv, made, "m" * 16)
    told = costs.blob_bytes(costs.low, numbers)
    assert len(blob) == pytest.approx(told, abs=HEADER_ERROR)


@pytest.mark.parametrize(
    ("chunks", "blocks_fine"), [(20, 1), (8192, 0), (20_000, 3), (20_000, 2)]
)
def test_the_index_takes_exactly_the_bytes_told(chunks: int, blocks_fine: int) -> None:
    costs = costs_of("builtin")
    marks = -(-chunks // BLOCK_CHUNKS) * costs.mark_bytes(BLOCK_CHUNKS)
    budget = marks + blocks_fine * costs.key_bytes(MEMORY.index_keys) * BLOCK_CHUNKS
    keys = torch.randn(costs.index_heads, MEMORY.index_keys, costs.shape[2])
    index = ChunkIndex(budget)
    index.add([ChunkKeys(id_at(number), keys) for number in range(chunks)])
    window = index.window(["door"])
    fine = sum(window.keys(place) is not None for place in range(chunks))
    assert costs.index_bytes(chunks, budget) == (index.num_bytes, fine)


def test_a_question_takes_the_bytes_of_its_composed_caches(
    builtin: VisionLanguageModel,
) -> None:
    costs, context = costs_of("builtin"), 512
    said = MAX_QUESTION_TOKENS + ModelConfig().max_new_tokens
    run = make_kv(costs, context)
    caches = [compose([run], builtin.rotary, room=said) for _ in range(MAX_AT_ONCE)]
    batch = Batch.of(caches, room=said)
    composed = sum(cache.keys.nbytes + cache.values.nbytes for cache in caches)
    assert costs.cache_bytes(context) * MAX_AT_ONCE == composed
    beside = batch.keys.nbytes + batch.values.nbytes
    assert costs.answering_bytes(context) == composed + beside


def watch(costs: Costs, budget: int, hours: int) -> list[tuple[Node, float]]:
    """Watch one camera; give each node made, and its age in its own lengths."""
    resident, made = ResidentMemory(budget, 0), []
    random = torch.Generator().manual_seed(0)
    for number in range(hours * 3_600_000 // CHUNK_MS):
        while not resident.has_room(costs.high):
            group = resident.next_group()
            node = consolidate(group, FACTORS)
            age_ms = id_at(number - 1).start_ms - group[-1].id.start_ms
            made.append((node, age_ms / node.id.tier.duration_ms))
            assert resident.replace(group, node)
        keys = torch.randn(1, 1, costs.high, 2, generator=random)
        kv = KV(keys, keys, torch.zeros(1, 3, costs.high), costs.high)
        resident.insert(Node(id_at(number), kv, costs.stamp_tokens, low_tokens=1))
    assert resident.num_evicted == 0
    return made


def test_chunks_minutes_and_hours_are_kept_as_long_as_told() -> None:
    costs, budget, hours = costs_of("builtin"), 4000, 40
    made = watch(costs, budget, hours)
    least = costs.least_kept(budget, total_s=hours * 3600)
    assert 1 < least <= min(age for _, age in made) < least + 0.5
    for tier in (Tier.MINUTE, Tier.HOUR):
        sizes = [node.high.num_tokens for node, _ in made if node.id.tier is tier]
        mean = sum(sizes) / len(sizes)
        assert mean == pytest.approx(costs.node_tokens()[tier], rel=0.06)


def test_a_camera_that_gets_what_it_wants_keeps_whole_minutes_and_hours() -> None:
    for costs in all_costs():
        wanted = costs.tokens_needed(0)
        assert costs.least_kept(wanted) == pytest.approx(0, abs=1e-6)
        assert costs.least_kept(0.99 * wanted) < 0


@pytest.mark.parametrize(("name", "number"), PUBLISHED.items())
def test_weights_are_as_many_as_were_published(name: str, number: int) -> None:
    assert costs_of(name).num_weights == number


@pytest.mark.parametrize("way", NEEDED)
def test_quantised_weights_take_the_bytes_told(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for packages in NEEDED[way]:
        pytest.importorskip(packages)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    save(make_family_model("qwen3_vl"), tmp_path / "model")
    settings = ModelSettings(str(tmp_path / "model"), device="cpu", dtype="bfloat16")
    full = load_model(settings)
    prepared = (full.patches, make_tokenizer("qwen3_vl"), (24, 40))
    costs = count("tiny", full.module, prepared, 1)
    few = load_model(
        ModelSettings(settings.name, device="cpu", dtype="bfloat16", weights=way)
    )
    taken = sum(tensor.nbytes for _, tensor in stored_tensors(few.module))
    parts = full.module.get_decoder().modules()
    num_tables = sum(isinstance(part, nn.Linear) for part in parts)
    more = taken - costs.weight_bytes(way)
    assert 0 <= more <= TABLE_BYTES[way] * num_tables


def test_fewer_bytes_of_weights_or_context_never_hold_fewer_cameras() -> None:
    for costs, most in product(all_costs(), CONTEXTS):
        held = [cameras_on_card(costs, way, most) for way in WAYS]
        assert held == sorted(held)
    for costs, way in product(all_costs(), WAYS):
        held = [cameras_on_card(costs, way, most) for most in CONTEXTS]
        assert all(more <= less for more, less in pairwise(held))
