import dataclasses
import itertools

import msgpack
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memory import blob as blobs
from memory.codec import (
    NUMBERS,
    Compression,
    decode_high,
    decode_low,
    encode_high,
    encode_low,
    kv_bytes,
)
from memory.errors import CorruptChunkError, ModelMismatchError
from memory.kv import KV, ChunkId, ChunkMemory

CHUNK = ChunkId("door", 1_700_000_000_000, 1_700_000_010_000)
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


def random_memory(kv: KV) -> ChunkMemory:
    index_keys = torch.randn(2, 5, 4).to(kv.keys.dtype)
    return ChunkMemory(CHUNK, kv, index_keys, low_tokens=11)


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    a_bits, b_bits = (t.contiguous().view(torch.uint8) for t in (a, b))
    return a.dtype == b.dtype and torch.equal(a_bits, b_bits)


def same_kv(a: KV, b: KV) -> bool:
    pairs = [(a.keys, b.keys), (a.values, b.values), (a.positions, b.positions)]
    return a.span == b.span and all(itertools.starmap(same_bits, pairs))


SIZES = st.integers(1, 5)
KVS = st.builds(
    random_kv, SIZES, SIZES, st.integers(0, 9), SIZES, st.sampled_from(DTYPES)
)


@given(KVS)
def test_low_comes_back_bit_for_bit(kv: KV):
    blob = encode_low(CHUNK, kv, POOLING, MODEL)
    assert same_kv(decode_low(blob, CHUNK, MODEL), kv)


@given(KVS)
def test_high_comes_back_bit_for_bit(kv: KV):
    memory = random_memory(kv)
    found = decode_high(encode_high(memory, POOLING, MODEL, INDEX), CHUNK, MODEL, INDEX)
    assert same_kv(found.high, kv)
    assert same_bits(found.index_keys, memory.index_keys)
    assert (found.id, found.low_tokens) == (CHUNK, 11)


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
    memory = random_memory(kv)
    low = decode_low(encode_low(CHUNK, kv, made, MODEL), CHUNK, MODEL)
    blob = encode_high(memory, made, MODEL, INDEX)
    high = decode_high(blob, CHUNK, MODEL, INDEX)
    assert same_kv(low, high.high)
    assert same_bits(low.positions.contiguous(), kv.positions)
    apart = {"float32": 1e-6, "bfloat16": 2**-8, "int8": 0.02, "int4": 0.25}[numbers]
    pairs = [(low.keys, kv.keys), (low.values, kv.values)]
    for found, was in [*pairs, (high.index_keys, memory.index_keys)]:
        assert found.dtype == was.dtype
        itself = torch.finfo(was.dtype).eps * was.float().abs()  # what the dtype rounds
        bound = apart * was.float().abs().amax() + 2 * itself
        assert ((found.float() - was.float()).abs() <= bound).all()


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
    blob = bytearray(encode_high(random_memory(kv), POOLING, MODEL, INDEX))
    found = decode_high(blob, CHUNK, MODEL, INDEX)
    start = torch.frombuffer(blob, dtype=torch.uint8).data_ptr()
    for tensor in (found.high.keys, found.high.values, found.high.positions):
        assert (tensor.data_ptr() - start) % blobs.ALIGNMENT == 0


@pytest.mark.parametrize("numbers", NUMBERS)
def test_every_flipped_byte_is_caught(numbers: str):
    made = dataclasses.replace(POOLING, numbers=numbers)
    blob = bytearray(encode_low(CHUNK, random_kv(), made, MODEL))
    for place in range(len(blob)):
        for mask in (0x01, 0x80, 0xFF):
            blob[place] ^= mask
            with pytest.raises(CorruptChunkError):
                decode_low(bytes(blob), CHUNK, MODEL)
            blob[place] ^= mask


@pytest.mark.parametrize("numbers", NUMBERS)
def test_every_truncation_is_caught(numbers: str):
    made = dataclasses.replace(POOLING, numbers=numbers)
    blob = encode_high(random_memory(random_kv()), made, MODEL, INDEX)
    for length in range(len(blob)):
        with pytest.raises(CorruptChunkError):
            decode_high(blob[:length], CHUNK, MODEL, INDEX)


def test_an_appended_byte_is_caught():
    blob = encode_low(CHUNK, random_kv(), POOLING, MODEL)
    with pytest.raises(CorruptChunkError):
        decode_low(blob + b"\0", CHUNK, MODEL)


def test_another_model_is_named():
    blob = encode_low(CHUNK, random_kv(), POOLING, "other")
    with pytest.raises(ModelMismatchError) as caught:
        decode_low(blob, CHUNK, MODEL)
    assert (caught.value.expected, caught.value.found) == (MODEL, "other")


def test_another_level_is_named():
    high = encode_high(random_memory(random_kv()), POOLING, MODEL, INDEX)
    with pytest.raises(CorruptChunkError, match="level is h, expected l"):
        decode_low(high, CHUNK, MODEL)
    low = encode_low(CHUNK, random_kv(), POOLING, MODEL)
    with pytest.raises(CorruptChunkError, match="level is l, expected h"):
        decode_high(low, CHUNK, MODEL, INDEX)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (dataclasses.replace(CHUNK, camera="yard"), "camera is door, expected yard"),
        (dataclasses.replace(CHUNK, start_ms=0), "chunk is 1700000000000-"),
    ],
)
def test_another_chunk_is_named(other: ChunkId, named: str):
    blob = encode_low(CHUNK, random_kv(), POOLING, MODEL)
    with pytest.raises(CorruptChunkError, match=named):
        decode_low(blob, other, MODEL)


def test_another_format_version_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blobs, "FORMAT", 9)
    blob = encode_low(CHUNK, random_kv(), POOLING, MODEL)
    monkeypatch.undo()
    with pytest.raises(CorruptChunkError, match="format version 9, expected 2"):
        decode_low(blob, CHUNK, MODEL)


def test_something_else_is_named():
    with pytest.raises(CorruptChunkError, match="not a blob of Longwatch"):
        decode_low(b"GIF89a" * 40, CHUNK, MODEL)


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
    assert next(iter(header.items())) == ("format", 2)
    assert header["compression"] == {
        "method": "pooling",
        "factor": 2.0,
        "numbers": "model",
    }
    assert header["dtype"] == "bfloat16"


@pytest.mark.parametrize("others", ["0.0", "0.0 1.1", "2.0 1.0 1.1"])
def test_index_keys_of_other_heads_are_left_out(others: str):
    memory = random_memory(random_kv())
    blob = encode_high(memory, POOLING, MODEL, INDEX)
    found = decode_high(blob, CHUNK, MODEL, others)
    assert memory.is_indexed
    assert not found.is_indexed
    assert found.index_keys.shape == (len(others.split()), 0, 4)
    assert same_kv(found.high, memory.high)
