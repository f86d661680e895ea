"""Whatever is wrong with a blob is a named error, never a wrong answer."""

import dataclasses
from typing import Any

import msgpack
import pytest
from blob_kinds import (
    CHUNK,
    KINDS,
    MINUTE,
    MODEL,
    POOLING,
    Kind,
    every_kind,
    minute_node,
    random_kv,
)

from memory import blob as blobs
from memory.codec import (
    NUMBERS,
    decode_low,
    decode_node,
    encode_low,
    encode_node,
)
from memory.errors import CorruptChunkError, ModelMismatchError
from memory.kv import Tier


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


OF_KV = ("compression", "dtype")
OF_A_NODE = ("span", "stamp_tokens", "low_tokens", "sections", *OF_KV)
OF_EACH_KIND = [OF_A_NODE, OF_A_NODE, ("index", *OF_KV), ("span", *OF_KV), ()]
OF_ALL = ("chunk", "level", "model", "tensors")


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
