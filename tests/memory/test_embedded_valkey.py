import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from archived import levels
from waiting import until

from memory import embedded_valkey
from memory.embedded_valkey import EmbeddedValkey
from memory.errors import ArchiveInUseError, ArchiveUnavailableError
from memory.kv import ChunkId, Level
from memory.redis_archive import RedisArchive

CHUNK = ChunkId("door", 1000, 2000)

# What an agent does that is killed: it enters, stores a chunk, says so, and waits.
AGENT = """
import asyncio, sys
from pathlib import Path
from memory import embedded_valkey
from memory.kv import ChunkId, Level
from memory.redis_archive import RedisArchive

async def main():
    if "orphan" in sys.argv:
        embedded_valkey._die_with = lambda parent: None
    async with embedded_valkey.EmbeddedValkey(Path(sys.argv[1])) as valkey:
        async with RedisArchive(valkey.url, model="ab12") as archive:
            blobs = {Level.HIGH: b"high", Level.LOW: b"low"}
            await archive.put(ChunkId("door", 1000, 2000), blobs)
        print(valkey.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def directory(short_folder: Callable[[], Path]) -> Path:
    return short_folder()


async def store(valkey: EmbeddedValkey) -> None:
    async with RedisArchive(valkey.url, model="ab12") as archive:
        await archive.put(CHUNK, levels(b"high", b"low"))


async def load(valkey: EmbeddedValkey) -> bytes:
    async with RedisArchive(valkey.url, model="ab12") as archive:
        return await archive.get(CHUNK, Level.LOW)


def kill_an_agent(directory: Path, *options: str) -> int:
    """Kill an agent that has stored the chunk; give back its server's process id."""
    command = [sys.executable, "-c", AGENT, str(directory), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        server = int(agent.stdout.readline())
        agent.kill()
    return server


def append_only_file(directory: Path) -> Path:
    [file] = directory.glob("appendonlydir/*.incr.aof")
    return file


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_what_was_stored_is_there_after_a_restart(directory: Path):
    valkey = EmbeddedValkey(directory)
    async with valkey:
        await store(valkey)
        url = valkey.url
    async with valkey:
        assert valkey.url == url
        assert await load(valkey) == b"low"


async def test_the_server_is_gone_after_leaving(directory: Path):
    async with EmbeddedValkey(directory) as valkey:
        assert valkey.running
    assert not valkey.running
    assert not is_alive(valkey.pid)


async def test_a_killed_server_is_noticed_and_has_lost_nothing(directory: Path):
    valkey = EmbeddedValkey(directory)
    async with valkey:
        await store(valkey)
        os.kill(valkey.pid, signal.SIGKILL)
        async with asyncio.timeout(5):
            assert await valkey.died() == -signal.SIGKILL
        assert not valkey.running
    async with valkey:
        assert await load(valkey) == b"low"


async def test_nobody_else_can_reach_the_server(directory: Path):
    async with EmbeddedValkey(directory):
        assert (directory / "valkey.sock").stat().st_mode & 0o777 == 0o700


async def test_a_directory_has_one_owner(directory: Path):
    async with EmbeddedValkey(directory) as valkey:
        with pytest.raises(ArchiveInUseError) as caught:
            await EmbeddedValkey(directory).__aenter__()
        assert caught.value.directory == directory
        await store(valkey)
    async with EmbeddedValkey(directory) as valkey:
        assert await load(valkey) == b"low"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
async def test_the_server_goes_when_its_agent_is_killed(directory: Path):
    server = await asyncio.to_thread(kill_an_agent, directory)
    await until(lambda: not is_alive(server))
    async with EmbeddedValkey(directory) as valkey:
        assert await load(valkey) == b"low"


@pytest.mark.parametrize("stopped", [False, True])
async def test_a_server_left_over_is_gone_before_the_next_one_starts(
    directory: Path, stopped: bool, monkeypatch: pytest.MonkeyPatch
):
    server = await asyncio.to_thread(kill_an_agent, directory, "orphan")
    assert is_alive(server)
    if stopped:  # it does not hear SHUTDOWN
        monkeypatch.setattr(embedded_valkey, "_STOP_S", 0.2)
        os.kill(server, signal.SIGSTOP)
    async with EmbeddedValkey(directory) as valkey:
        assert not is_alive(server)
        assert valkey.pid != server
        assert await load(valkey) == b"low"


async def test_a_directory_too_deep_for_a_socket_works(directory: Path):
    deep = directory / ("deep " * 10) / ("deeper%" * 10)
    valkey = EmbeddedValkey(deep)
    async with valkey:
        await store(valkey)
        url = valkey.url
        socket = Path(url.removeprefix("unix://"))
        assert len(str(socket)) < 100
        assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert not socket.parent.exists()
    async with valkey:
        assert valkey.url == url
        assert await load(valkey) == b"low"


async def test_odd_characters_in_the_directory_work(directory: Path):
    async with EmbeddedValkey(directory / "a b'%3f?#") as valkey:
        await store(valkey)
        assert await load(valkey) == b"low"


async def test_a_broken_file_is_said_to_be_the_reason(directory: Path):
    async with EmbeddedValkey(directory) as valkey:
        await store(valkey)
    append_only_file(directory).write_bytes(b"garbage\r\n")
    with pytest.raises(ArchiveUnavailableError, match=r"exited with 1.*valkey\.log"):
        await EmbeddedValkey(directory).__aenter__()


async def test_a_write_cut_off_by_a_kill_does_not_keep_it_from_starting(
    directory: Path,
):
    async with EmbeddedValkey(directory) as valkey:
        await store(valkey)
    with append_only_file(directory).open("ab") as end:
        end.write(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$500\r\nonly the beginning")
    async with EmbeddedValkey(directory) as valkey:
        assert await load(valkey) == b"low"


async def test_a_start_that_takes_too_long_is_given_up(directory: Path):
    with pytest.raises(ArchiveUnavailableError, match="too long"):
        await EmbeddedValkey(directory, start_timeout_s=0.001).__aenter__()
    async with EmbeddedValkey(directory) as valkey:
        await store(valkey)


async def test_a_cancelled_start_leaves_no_server(directory: Path):
    for turn in range(12):
        entering = asyncio.create_task(EmbeddedValkey(directory).__aenter__())
        await asyncio.wait([entering], timeout=0.005 * turn)
        if entering.done():
            await (await entering).__aexit__(None, None, None)
            continue
        entering.cancel()
        await asyncio.wait([entering])
    async with EmbeddedValkey(directory) as valkey:
        await store(valkey)
        assert await load(valkey) == b"low"
