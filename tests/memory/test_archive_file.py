"""A file of exported chunks comes back as it was, or not at all."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import msgpack
import pytest
from archived import MODEL, chunk_at, levels
from hypothesis import given
from hypothesis import strategies as st

from memory.archive_file import (
    ArchiveWriter,
    CameraGaps,
    Record,
    count_records,
    read_records,
)
from memory.errors import DamagedFileError
from memory.gaps import Gap

GAPS = CameraGaps("door", (Gap(0, 5, "offline"), Gap(7, 9, "paused")))


def write(path: Path, records: Sequence[Record | CameraGaps]) -> None:
    writer = ArchiveWriter(path)
    writer.open()
    try:
        for record in records:
            writer.write(record)
        writer.finish()
    finally:
        writer.close()


def record(
    second: int, low: bytes | None = b"low", keys: bytes | None = b"keys"
) -> Record:
    return Record(MODEL, chunk_at(second), levels(b"high" * second, low, keys))


def facts(each: Record | CameraGaps) -> object:
    is_gaps = isinstance(each, CameraGaps)
    return each if is_gaps else (each.model, each.chunk, each.blobs)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chunks"


@pytest.mark.parametrize("count", [0, 1, 5])
def test_what_was_written_comes_back(path: Path, count: int) -> None:
    records = [
        record(s, b"l" * s if s % 2 else None, b"k" * s if s % 3 else None)
        for s in range(count)
    ]
    written = [*records, GAPS]
    write(path, written)
    assert list(map(facts, read_records(path))) == list(map(facts, written))
    assert count_records(path) == count + 1
    assert [file.name for file in path.parent.iterdir()] == ["chunks"]


def test_an_unfinished_file_is_not_there(path: Path) -> None:
    path.write_bytes(b"the last one")
    writer = ArchiveWriter(path)
    writer.open()
    writer.write(record(1))
    assert path.read_bytes() == b"the last one"
    writer.close()
    assert [file.name for file in path.parent.iterdir()] == ["chunks"]
    assert path.read_bytes() == b"the last one"


def test_every_altered_byte_and_every_cut_is_found(path: Path) -> None:
    write(path, [GAPS, *(record(s) for s in range(3))])
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedFileError):
            count_records(path)
        path.write_bytes(whole[:place])
        with pytest.raises(DamagedFileError):
            count_records(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(DamagedFileError, match="behind the end"):
        count_records(path)


def test_the_damaged_record_is_named_by_its_number(path: Path) -> None:
    write(path, [record(s) for s in range(1, 6)])
    content = path.read_bytes()
    place = content.index(b"high" * 4)
    path.write_bytes(content[:place] + b"x" + content[place + 1 :])
    with pytest.raises(DamagedFileError, match="record 4: checksum") as caught:
        count_records(path)
    assert caught.value.number == 4
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "changes",
    [
        {"camera": "a}:b"},
        {"camera": ""},
        {"model": "x:timeline"},
        {"model": 5},
        {"chunk": "1-2-3"},
        {"chunk": "0000000000000-0000009999999"},
        {"blobs": {"h": "text", "l": b"low"}},
        {"blobs": {"h": None, "l": b"low"}},
        {"blobs": {"h": b"high", "l": 5}},
        {"blobs": {"h": b"high", "k": "text"}},
        {"blobs": {"h": b"high", "x": b"else"}},
        {"blobs": {"l": b"low", "k": b"keys"}},
        {"blobs": {}},
        {"blobs": None},
        {"chunk": "0000000001000-0000000002000.week"},
    ],
)
def test_a_record_that_is_no_chunk_is_refused(
    path: Path, changes: dict[str, object]
) -> None:
    chunk = {"camera": "door", "model": MODEL, "chunk": chunk_at(1).name}
    refuse(path, chunk | {"blobs": {"h": b"high"}} | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"camera": "a}:b"},
        {"camera": None},
        {"gaps": None},
        {"gaps": [5]},
        {"gaps": ["1-2"]},
        {"gaps": ["2-1.offline"]},
        {"gaps": ["1-2.:x"]},
        {"gaps": ["1-2.offline"] * 10_001},
    ],
)
def test_a_record_that_is_no_gaps_is_refused(
    path: Path, changes: dict[str, object]
) -> None:
    refuse(path, {"camera": "door", "gaps": [Gap(1, 2, "offline").name]} | changes)


def refuse(path: Path, record: dict[str, object]) -> None:
    body = msgpack.packb(record)
    length = len(body).to_bytes(4, "little")
    checksum = zlib.crc32(body, zlib.crc32(length)).to_bytes(4, "little")
    path.write_bytes(b"LONGWEX3" + length + checksum + body)
    with pytest.raises(DamagedFileError, match=r"record 1: (?!cut off)"):
        count_records(path)


def test_a_file_of_another_version_is_refused(path: Path) -> None:
    write(path, [record(1)])
    path.write_bytes(b"LONGWEX2" + path.read_bytes()[8:])
    with pytest.raises(DamagedFileError, match="record 1: not a file of exported"):
        count_records(path)


@given(st.binary(max_size=80))
def test_anything_else_is_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("file") / "f"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError):
        count_records(path)
    path.write_bytes(b"LONGWEX3" + content)
    with pytest.raises(DamagedFileError):
        count_records(path)
