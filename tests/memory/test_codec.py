import dataclasses
import itertools

import msgpack
import pytest
import torch
from blob_kinds import (
    CHUNK,
    DTYPES,
    INDEX,
    MINUTE,
    MODEL,
    POOLING,
    chunk_node,
    minute_node,
    random_keys,
    random_kv,
    write_keys,
)
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
from memory.errors import CorruptChunkError
from memory.kv import KV, Node, Section, Tier


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
