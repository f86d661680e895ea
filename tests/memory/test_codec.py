import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memory import blob as blobs
from memory.codec import (
    NUMBERS,
    Compression,
    decode_keys,
    decode_low,
    decode_node,
    encode_keys,
    encode_low,
    encode_node,
    kv_bytes,
)
from memory.errors import CorruptChunkError, ModelMismatchError
from memory.kv import KV, ChunkId, Level, Node, Section, Tier
from memory.relevance import ChunkKeys

CHUNK = ChunkId("door", 1_700_000_000_000, 1_700_000_010_000)
MINUTE = ChunkId("door", 1_700_000_000_000, 1_700_000_060_000, Tier.MINUTE)
MODEL = "ab12cd34"
INDEX = "0.0 1.0"
POOLING = Compression("pooling", 2.0)
DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2,
    torch.float8_e5m2fnuz,
]


def random_kv(
    layers: int = 2,
    heads: int = 1,
    tokens: int = 3,
    size: int = 4,
    dtype: torch.dtype = torch.bfloat16,
) -> KV:
    shape = (layers, heads, tokens, size)
    keys, values = torch.randn(2, *shape).to(dtype)
    return KV(keys, values, torch.rand(layers, 3, tokens), span=7)


def random_keys(
    heads: int = 2, keys: int = 5, size: int = 4, dtype: torch.dtype = torch.bfloat16
) -> ChunkKeys:
    return ChunkKeys(CHUNK, torch.randn(heads, keys, size).to(dtype))


def chunk_node(kv: KV) -> Node:
    return Node(CHUNK, kv, min(kv.num_tokens, 1), low_tokens=11)


def minute_node(kv: KV, bounds: tuple[int, ...] = (1, 2)) -> Node:
    """A node of KV cut at bounds: first its stamp, then a section for each bound."""
    ends = [*sorted(min(bound, kv.num_tokens) for bound in bounds), kv.num_tokens]
    sections = [
        Section(
            ChunkId("door", MINUTE.start_ms + n, MINUTE.start_ms + n + 1),
            end - start,
            n,
        )
        for n, (start, end) in enumerate(itertools.pairwise(ends))
    ]
    return Node(MINUTE, kv, ends[0], tuple(sections))


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of blob: how it is written of some KV, and read."""

    level: Level
    id: ChunkId
    write: Callable[[KV, Compression, str], bytes]
    read: Callable[[bytes, ChunkId, str], object]


def write_keys(kv: KV, made: Compression, model: str) -> bytes:
    keys = random_keys(dtype=kv.keys.dtype)
    return encode_keys(keys, made, model, INDEX)


KINDS = [
    Kind(
        Level.HIGH,
        CHUNK,
        lambda kv, made, model: encode_node(chunk_node(kv), made, model),
        decode_node,
    ),
    Kind(
        Level.HIGH,
        MINUTE,
        lambda kv, made, model: encode_node(minute_node(kv), made, model),
        decode_node,
    ),
    Kind(
        Level.KEYS,
        CHUNK,
        write_keys,
        lambda blob, chunk, model: decode_keys(blob, chunk, model, INDEX),
    ),
    Kind(
        Level.LOW,
        CHUNK,
        lambda kv, made, model: encode_low(CHUNK, kv, made, model),
        decode_low,
    ),
]
every_kind = pytest.mark.parametrize(
    "kind", KINDS, ids=["chunk", "node", "keys", "low"]
)


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    a_bits, b_bits = (t.contiguous().view(torch.uint8) for t in (a, b))
    return a.dtype == b.dtype and torch.equal(a_bits, b_bits)


def same_kv(a: KV, b: KV) -> bool:
    pairs = [(a.keys, b.keys), (a.values, b.values), (a.positions, b.positions)]
    return a.span == b.span and all(itertools.starmap(same_bits, pairs))


def same_node(a: Node, b: Node) -> bool:
    facts = [(n.id, n.stamp_tokens, n.sections, n.low_tokens) for n in (a, b)]
    return facts[0] == facts[1] and same_kv(a.high, b.high)


SIZES = st.integers(1, 5)
KVS = st.builds(
    random_kv, SIZES, SIZES, st.integers(0, 9), SIZES, st.sampled_from(DTYPES)
)


@given(KVS)
def test_low_comes_back_bit_for_bit(kv: KV):
    blob = encode_low(CHUNK, kv, POOLING, MODEL)
    assert same_kv(decode_low(blob, CHUNK, MODEL), kv)


@given(KVS)
def test_the_node_of_a_chunk_comes_back_bit_for_bit(kv: KV):
    node = chunk_node(kv)
    found = decode_node(encode_node(node, POOLING, MODEL), CHUNK, MODEL)
    assert same_node(found, node)
    assert (found.id, found.low_tokens) == (CHUNK, 11)


@given(KVS, st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_a_node_of_many_chunks_comes_back_bit_for_bit(kv: KV, bounds: list[int]):
    node = minute_node(kv, tuple(bounds))
    found = decode_node(encode_node(node, POOLING, MODEL), MINUTE, MODEL)
    assert same_node(found, node)
    assert len(found.sections) == len(bounds)


def test_the_sections_of_nodes_may_be_nodes():
    kv = random_kv()
    hour = dataclasses.replace(MINUTE, end_ms=MINUTE.end_ms + 1, tier=Tier.HOUR)
    node = Node(hour, kv, 1, (Section(MINUTE, 2, 30),))
    found = decode_node(encode_node(node, POOLING, MODEL), hour, MODEL)
    assert same_node(found, node)


@given(SIZES, st.integers(0, 9), SIZES, st.sampled_from(DTYPES))
def test_index_keys_come_back_bit_for_bit(
    heads: int, num_keys: int, size: int, dtype: torch.dtype
):
    keys = random_keys(heads, num_keys, size, dtype)
    blob = encode_keys(keys, POOLING, MODEL, INDEX)
    found = decode_keys(blob, CHUNK, MODEL, INDEX)
    assert found.id == CHUNK
    assert found.index_keys.shape == keys.index_keys.shape
    assert same_bits(found.index_keys, keys.index_keys)


@given(
    KVS.filter(lambda kv: kv.num_tokens > 0),
    st.sampled_from(["float32", "bfloat16", "int8", "int4"]),
)
def test_fewer_bits_come_back_in_the_dtype_and_nearly_as_they_were(
    kv: KV, numbers: str
):
    if numbers == "int4":  # of an even head size
        kv = KV(*(x.repeat(1, 1, 1, 2) for x in (kv.keys, kv.values)), kv.positions, 7)
    made = dataclasses.replace(POOLING, numbers=numbers)
    low = decode_low(encode_low(CHUNK, kv, made, MODEL), CHUNK, MODEL)
    for node in (chunk_node(kv), minute_node(kv)):
        found = decode_node(encode_node(node, made, MODEL), node.id, MODEL)
        assert same_node(found, dataclasses.replace(node, high=low))
    were = random_keys(dtype=kv.keys.dtype)
    blob = encode_keys(were, made, MODEL, INDEX)
    keys = decode_keys(blob, CHUNK, MODEL, INDEX)
    assert same_bits(low.positions.contiguous(), kv.positions)
    apart = {"float32": 1e-6, "bfloat16": 2**-8, "int8": 0.02, "int4": 0.25}[numbers]
    pairs = [(low.keys, kv.keys), (low.values, kv.values)]
    for read, was in [*pairs, (keys.index_keys, were.index_keys)]:
        assert read.dtype == was.dtype
        itself = torch.finfo(was.dtype).eps * was.float().abs()  # what the dtype rounds
        bound = apart * was.float().abs().amax() + 2 * itself
        assert ((read.float() - was.float()).abs() <= bound).all()


def test_fewer_bits_are_fewer_bytes():
    kv = random_kv(layers=4, heads=4, tokens=64, size=64, dtype=torch.float32)
    sizes = [
        len(encode_low(CHUNK, kv, Compression("pooling", 2, numbers), MODEL))
        for numbers in ("float32", "bfloat16", "int8", "int4")
    ]
    assert sizes[0] / sizes[1] == pytest.approx(2, rel=0.05)
    assert sizes[1] / sizes[2] == pytest.approx(2 / 1.1, rel=0.05)
    assert sizes[1] / sizes[3] == pytest.approx(2 / 0.6, rel=0.05)


@pytest.mark.parametrize("numbers", NUMBERS)
def test_the_bytes_of_kv_can_be_told_beforehand(numbers: str):
    kv = random_kv(layers=3, heads=2, tokens=75, size=8)
    made = Compression("pooling", 2, numbers)
    blob = encode_low(CHUNK, kv, made, MODEL)
    length = int.from_bytes(blob[8:12], "little")
    entries = msgpack.unpackb(blob[16 : 16 + length])["tensors"]
    found = sum(e["length"] for e in entries if e["name"] != "positions")
    assert kv_bytes((3, 2, 75, 8), numbers, itemsize=2) == found


def test_positions_that_are_the_same_in_all_layers_are_written_once():
    kv = random_kv(layers=8, tokens=32)
    same = KV(kv.keys, kv.values, kv.positions[:1].expand(8, -1, -1), kv.span)
    blobs_of = [encode_low(CHUNK, each, POOLING, MODEL) for each in (kv, same)]
    assert len(blobs_of[0]) - len(blobs_of[1]) == pytest.approx(7 * 3 * 32 * 4, abs=99)
    found = decode_low(blobs_of[1], CHUNK, MODEL)
    assert torch.equal(found.positions, same.positions)


def test_what_is_not_finite_is_not_quantised():
    kv = random_kv()
    kv.values[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        encode_low(CHUNK, kv, Compression("pooling", 2, "int8"), MODEL)


def test_unknown_numbers_are_named():
    with pytest.raises(ValueError, match=r"int3.*int8"):
        Compression("pooling", 2, "int3")


@pytest.mark.parametrize(
    "fault",
    [
        {"compression": {"method": "pooling", "factor": 2.0}},
        {"dtype": "int"},
        {"dtype": None},
    ],
)
def test_a_writer_with_faulty_numbers_makes_a_corrupt_chunk(
    fault: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    pack = msgpack.packb
    monkeypatch.setattr(blobs.msgpack, "packb", lambda header: pack(header | fault))
    blob = encode_low(CHUNK, random_kv(), Compression("pooling", 2, "int4"), MODEL)
    with pytest.raises(CorruptChunkError):
        decode_low(blob, CHUNK, MODEL)


def test_a_view_with_strides_comes_back():
    kv = random_kv(tokens=6)
    half = KV(kv.keys[:, :, ::2], kv.values[:, :, ::2], kv.positions[:, :, ::2], span=7)
    blob = encode_low(CHUNK, half, POOLING, MODEL)
    assert same_kv(decode_low(blob, CHUNK, MODEL), half)


@pytest.mark.gpu
def test_tensors_on_a_device_come_back_on_the_cpu():
    kv = random_kv()
    there = KV(kv.keys.cuda(), kv.values.cuda(), kv.positions.cuda(), kv.span)
    blob = encode_low(CHUNK, there, POOLING, MODEL)
    assert same_kv(decode_low(blob, CHUNK, MODEL), kv)


def test_tensors_are_read_where_they_lie():
    blob = bytearray(encode_low(CHUNK, random_kv(), POOLING, MODEL))
    kv = decode_low(blob, CHUNK, MODEL)
    blob[-kv.positions.nbytes - 64 :] = bytes(kv.positions.nbytes + 64)
    assert not kv.positions.any()


def test_every_tensor_is_aligned():
    kv = random_kv(tokens=5)
    blob = bytearray(encode_node(chunk_node(kv), POOLING, MODEL))
    high = decode_node(blob, CHUNK, MODEL).high
    blob_of_keys = bytearray(write_keys(kv, POOLING, MODEL))
    keys = decode_keys(blob_of_keys, CHUNK, MODEL, INDEX)
    places = [(tensor, blob) for tensor in (high.keys, high.values, high.positions)]
    for tensor, source in [*places, (keys.index_keys, blob_of_keys)]:
        start = torch.frombuffer(source, dtype=torch.uint8).data_ptr()
        assert (tensor.data_ptr() - start) % blobs.ALIGNMENT == 0


@every_kind
@pytest.mark.parametrize("numbers", NUMBERS)
def test_every_flipped_byte_is_caught(kind: Kind, numbers: str):
    made = dataclasses.replace(POOLING, numbers=numbers)
    blob = bytearray(kind.write(random_kv(), made, MODEL))
    for place in range(len(blob)):
        for mask in (0x01, 0x80, 0xFF):
            blob[place] ^= mask
            with pytest.raises(CorruptChunkError):
                kind.read(bytes(blob), kind.id, MODEL)
            blob[place] ^= mask
    kind.read(bytes(blob), kind.id, MODEL)


@every_kind
@pytest.mark.parametrize("numbers", NUMBERS)
def test_every_truncation_is_caught(kind: Kind, numbers: str):
    made = dataclasses.replace(POOLING, numbers=numbers)
    blob = kind.write(random_kv(), made, MODEL)
    for length in range(len(blob)):
        with pytest.raises(CorruptChunkError):
            kind.read(blob[:length], kind.id, MODEL)


@every_kind
def test_an_appended_byte_is_caught(kind: Kind):
    blob = kind.write(random_kv(), POOLING, MODEL)
    with pytest.raises(CorruptChunkError):
        kind.read(blob + b"\0", kind.id, MODEL)


@every_kind
def test_another_model_is_named(kind: Kind):
    blob = kind.write(random_kv(), POOLING, "other")
    with pytest.raises(ModelMismatchError) as caught:
        kind.read(blob, kind.id, MODEL)
    assert (caught.value.expected, caught.value.found) == (MODEL, "other")


@pytest.mark.parametrize(
    ("written", "read"),
    [(a, b) for a in KINDS for b in KINDS if a.level is not b.level and a.id == b.id],
    ids=lambda kind: kind.level.name,
)
def test_another_level_is_named(written: Kind, read: Kind):
    blob = written.write(random_kv(), POOLING, MODEL)
    named = f"level is {written.level}, expected {read.level}"
    with pytest.raises(CorruptChunkError, match=named):
        read.read(blob, read.id, MODEL)


@every_kind
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"camera": "yard"}, "camera is door, expected yard"),
        ({"start_ms": 0}, "chunk is 1700000000000-"),
        ({"tier": Tier.HOUR}, r"chunk is 17[0-9.a-z-]+, expected 17[0-9-]+\.hour"),
    ],
)
def test_another_chunk_is_named(kind: Kind, change: dict[str, Any], named: str):
    blob = kind.write(random_kv(), POOLING, MODEL)
    with pytest.raises(CorruptChunkError, match=named):
        kind.read(blob, dataclasses.replace(kind.id, **change), MODEL)


def test_a_node_is_no_chunk_of_the_same_time():
    blob = encode_node(minute_node(random_kv()), POOLING, MODEL)
    chunk = dataclasses.replace(MINUTE, tier=Tier.CHUNK)
    with pytest.raises(CorruptChunkError, match=r"chunk is .*\.minute, expected"):
        decode_node(blob, chunk, MODEL)


@every_kind
def test_another_format_version_is_named(kind: Kind, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blobs, "FORMAT", 9)
    blob = kind.write(random_kv(), POOLING, MODEL)
    monkeypatch.undo()
    with pytest.raises(CorruptChunkError, match="format version 9, expected 3"):
        kind.read(blob, kind.id, MODEL)


@every_kind
def test_something_else_is_named(kind: Kind):
    with pytest.raises(CorruptChunkError, match="not a blob of Longwatch"):
        kind.read(b"GIF89a" * 40, kind.id, MODEL)


@pytest.mark.parametrize(
    "fault",
    [
        {"span": None},
        {"span": 0},
        {"tensors": None},
        {"tensors": []},
        {"tensors": [{"name": "keys"}]},
        {"level": 3},
        {"format": "1"},
    ],
)
def test_a_faulty_writer_makes_a_corrupt_chunk(
    fault: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    pack = msgpack.packb
    monkeypatch.setattr(blobs.msgpack, "packb", lambda header: pack(header | fault))
    blob = encode_low(CHUNK, random_kv(), POOLING, MODEL)
    with pytest.raises(CorruptChunkError):
        decode_low(blob, CHUNK, MODEL)


@pytest.mark.parametrize(
    "fault",
    [
        {"span": None},
        {"stamp_tokens": None},
        {"stamp_tokens": 2},
        {"sections": None},
        {"sections": []},
        {"sections": ["17-18"]},
        {"sections": [["17-18"]]},
        {"sections": [["17-18", 2]]},
        {"sections": [["17-18", 1, 5]]},
        {"sections": [["17-18", 2, 5, 5]]},
        {"sections": [["17-18", "2", 5]]},
        {"sections": [["18-17", 2, 5]]},
        {"sections": [["17-18.week", 2, 5]]},
        {"sections": [[17, 2, 5]]},
        {"tensors": []},
    ],
)
def test_a_faulty_writer_makes_a_corrupt_node(
    fault: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    pack = msgpack.packb
    monkeypatch.setattr(blobs.msgpack, "packb", lambda header: pack(header | fault))
    blob = encode_node(minute_node(random_kv()), POOLING, MODEL)
    with pytest.raises(CorruptChunkError):
        decode_node(blob, MINUTE, MODEL)


OF_A_NODE = ("span", "stamp_tokens", "low_tokens", "sections")
OF_EACH_KIND = [OF_A_NODE, OF_A_NODE, ("index",), ("span",)]
OF_ALL = ("chunk", "level", "model", "compression", "dtype", "tensors")


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [
        (kind, name)
        for kind, own in zip(KINDS, OF_EACH_KIND, strict=True)
        for name in (*own, *OF_ALL)
    ],
)
def test_a_header_that_lacks_something_makes_a_corrupt_chunk(
    kind: Kind, lacking: str, monkeypatch: pytest.MonkeyPatch
):
    pack = msgpack.packb
    monkeypatch.setattr(
        blobs.msgpack,
        "packb",
        lambda header: pack({k: v for k, v in header.items() if k != lacking}),
    )
    blob = kind.write(random_kv(), POOLING, MODEL)
    with pytest.raises(CorruptChunkError, match=lacking):
        kind.read(blob, kind.id, MODEL)


@pytest.mark.parametrize(
    "fault",
    [
        {"shape": [2, 1, 3, 5]},
        {"shape": [-2, -1, 3, 4]},
        {"dtype": "object"},
        {"offset": 10_000},
        {"offset": -1},
        {"offset": "0"},
        {"name": "codes"},
    ],
)
def test_a_faulty_tensor_makes_a_corrupt_chunk(
    fault: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    def pack(header: dict[str, list[dict[str, object]]]) -> bytes:
        keys, *others = header["tensors"]
        packed: bytes = packb(header | {"tensors": [keys | fault, *others]})
        return packed

    packb = msgpack.packb
    monkeypatch.setattr(blobs.msgpack, "packb", pack)
    blob = encode_low(CHUNK, random_kv(), POOLING, MODEL)
    with pytest.raises(CorruptChunkError):
        decode_low(blob, CHUNK, MODEL)


def test_a_dtype_outside_the_format_is_refused():
    kv = random_kv(dtype=torch.complex64)
    with pytest.raises(ValueError, match="complex64"):
        encode_low(CHUNK, kv, POOLING, MODEL)


def test_the_header_starts_with_the_format_version():
    blob = encode_low(CHUNK, random_kv(), POOLING, MODEL)
    length = int.from_bytes(blob[8:12], "little")
    header = msgpack.unpackb(blob[16 : 16 + length])
    assert next(iter(header.items())) == ("format", 3)
    assert header["compression"] == {
        "method": "pooling",
        "factor": 2.0,
        "numbers": "model",
    }
    assert header["dtype"] == "bfloat16"


@pytest.mark.parametrize("others", ["0.0", "0.0 1.1", "2.0 1.0 1.1"])
def test_index_keys_of_other_heads_are_left_out(others: str):
    blob = encode_keys(random_keys(), POOLING, MODEL, INDEX)
    assert decode_keys(blob, CHUNK, MODEL, INDEX).index_keys.shape == (2, 5, 4)
    found = decode_keys(blob, CHUNK, MODEL, others)
    assert found.id == CHUNK
    assert found.index_keys.shape == (len(others.split()), 0, 4)
    assert found.index_keys.dtype == torch.bfloat16
