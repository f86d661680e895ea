import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from archived import chunk_at, levels
from hypothesis import given
from hypothesis import strategies as st

from memory.errors import ArchiveFullError, ChunkNotFoundError, CorruptChunkError
from memory.spool import Spool

ROOM = 1_000_000


def only_file(directory: Path) -> Path:
    [file] = directory.iterdir()
    return file


def test_a_chunk_survives_a_restart(tmp_path: Path):
    Spool(tmp_path / "spool", ROOM).append(chunk_at(1), levels(b"high", b"low"))
    spool = Spool(tmp_path / "spool", ROOM)
    assert spool.pending() == [chunk_at(1)]
    assert spool.read(chunk_at(1)) == levels(b"high", b"low")


def test_all_three_levels_are_kept(tmp_path: Path):
    blobs = levels(b"high", b"low", b"keys")
    Spool(tmp_path / "spool", ROOM).append(chunk_at(1), blobs)
    assert Spool(tmp_path / "spool", ROOM).read(chunk_at(1)) == blobs


def test_chunks_wait_in_time_order_whatever_their_camera(tmp_path: Path):
    spool = Spool(tmp_path, ROOM)
    chunks = [chunk_at(3, "a"), chunk_at(1, "b"), chunk_at(2, "a"), chunk_at(4, "b")]
    for chunk in chunks:
        spool.append(chunk, levels(b"high", b"low"))
    assert spool.pending() == sorted(chunks, key=lambda chunk: chunk.start_ms)


def test_a_removed_chunk_is_gone_and_removing_again_is_harmless(tmp_path: Path):
    spool = Spool(tmp_path, ROOM)
    spool.append(chunk_at(1), levels(b"high", b"low"))
    for _ in range(2):
        spool.remove(chunk_at(1))
    assert spool.pending() == []
    with pytest.raises(ChunkNotFoundError):
        spool.read(chunk_at(1))


def test_appending_again_replaces(tmp_path: Path):
    spool = Spool(tmp_path, 1_000)
    for blob in (b"a" * 400, b"b" * 400):
        spool.append(chunk_at(1), levels(blob, blob))
    assert spool.read(chunk_at(1)) == levels(b"b" * 400, b"b" * 400)
    assert spool.dropped == 0


@pytest.mark.parametrize("camera", ["front door", "a/b", "..", "a.b", "Tür", "%2F", ""])
def test_any_camera_name_comes_back(tmp_path: Path, camera: str):
    spool = Spool(tmp_path, ROOM)
    spool.append(chunk_at(1, camera), levels(b"high", b"low"))
    assert spool.pending() == [chunk_at(1, camera)]
    assert only_file(tmp_path).is_file()


BLOBS = st.binary(max_size=300)


@given(high=BLOBS, low=st.none() | BLOBS, keys=st.none() | BLOBS)
def test_blobs_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    high: bytes,
    low: bytes | None,
    keys: bytes | None,
):
    spool = Spool(tmp_path_factory.getbasetemp() / "spool", ROOM)
    spool.append(chunk_at(1), levels(high, low, keys))
    assert spool.read(chunk_at(1)) == levels(high, low, keys)


def test_a_full_spool_drops_the_oldest_counts_it_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    spool = Spool(tmp_path, 2_500)
    for second in range(5):
        spool.append(chunk_at(second), levels(b"h" * 100, b"l" * 900))
    assert spool.pending() == [chunk_at(3), chunk_at(4)]
    assert spool.dropped == 3
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2_500


def test_a_chunk_over_the_bound_is_refused_and_costs_no_other(tmp_path: Path):
    spool = Spool(tmp_path, 1_000)
    spool.append(chunk_at(1), levels(b"high", b"low"))
    with pytest.raises(ArchiveFullError):
        spool.append(chunk_at(2), levels(b"", b"l" * 1_000))
    assert spool.pending() == [chunk_at(1)]


def test_a_disk_that_refuses_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(_: int) -> None:
        raise OSError("no space left")

    spool = Spool(tmp_path, ROOM)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ArchiveFullError, match="no space left"):
        spool.append(chunk_at(1), levels(b"high", b"low"))
    assert list(tmp_path.iterdir()) == []


def test_every_torn_file_is_reported_once_and_skipped(tmp_path: Path):
    spool = Spool(tmp_path, ROOM)
    spool.append(chunk_at(1), levels(b"high", b"low"))
    whole = only_file(tmp_path).read_bytes()
    flipped = [
        whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))
    ]
    torn = [whole[:length] for length in range(len(whole))]
    for content in [*torn, *flipped, whole + b"\0"]:
        spool.append(chunk_at(1), levels(b"high", b"low"))
        only_file(tmp_path).write_bytes(content)
        with pytest.raises(CorruptChunkError, match="torn"):
            spool.read(chunk_at(1))
        assert spool.pending() == []
    assert spool.dropped == 2 * len(whole) + 1


def test_many_threads_may_append_at_once(tmp_path: Path):
    spool = Spool(tmp_path, 5_000)
    with ThreadPoolExecutor(8) as threads:
        blobs = levels(b"x" * 200, b"x" * 200)
        list(threads.map(lambda s: spool.append(chunk_at(s), blobs), range(60)))
    assert len(spool.pending()) + spool.dropped == 60
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 5_000


WRITER = """
import itertools, sys
from pathlib import Path
from memory.kv import ChunkId, Level
from memory.spool import Spool

spool = Spool(Path(sys.argv[1]), 10**9)
for second in itertools.count():
    chunk = ChunkId("door", second * 1000, second * 1000 + 1000)
    blobs = {Level.HIGH: b"h" * 50_000, Level.LOW: b"l" * 200_000}
    spool.append(chunk, blobs)
    print(second, flush=True)
"""


def test_a_kill_loses_no_chunk_that_was_appended_and_tears_none(tmp_path: Path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        last = max([last, *map(int, writer.stdout.read().split())])
    (tmp_path / "0000000099000-0000000100000.door.part").write_bytes(b"unfinished")
    spool = Spool(tmp_path, ROOM * 1000)
    pending = spool.pending()
    assert pending[: last + 1] == [chunk_at(second) for second in range(last + 1)]
    assert len(list(tmp_path.iterdir())) == len(pending)
    for chunk in pending:
        assert spool.read(chunk) == levels(b"h" * 50_000, b"l" * 200_000)
