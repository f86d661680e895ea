"""What `benchmarks.outages` kills and starts again: a redis-server, and a writer."""

import queue
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.errors import ServerError

_WAIT_S = 60.0


class Redis:
    """A redis-server with an append-only file, on a Unix socket in a folder.

    Args:
        folder: Where its files are; its path must be short enough for a socket.
        fsync: Its `appendfsync`, None for no append-only file.
    """

    def __init__(self, folder: Path, fsync: str | None) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            raise ServerError("redis-server is not installed")
        self._folder = folder
        self._socket = folder / "s"
        fixed = "--port 0 --unixsocket s --save --loglevel warning"
        file = ["no"] if fsync is None else ["yes", "--appendfsync", fsync]
        self._command = [binary, *fixed.split(), "--appendonly", *file]
        self.url = f"unix://{self._socket}"
        self.start()

    def start(self) -> None:
        """Start it, and return once it has a socket; it may be loading still."""
        self._socket.unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _WAIT_S
        while not self._socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerError((self._folder / "log").read_text()[-500:])
            time.sleep(0.002)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self._process.kill()
        self._process.wait()


class Writer:
    """A process of `benchmarks.outage_writer`, and what all of them have reported.

    Attributes:
        spool: Where its spool is.
        archived: Numbers of chunks that were reported and went into the archive.
        spooled: Numbers of those that went into the spool.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.spool = folder / "spool"
        self._url, self._log = url, folder / "writer.log"
        self.archived: set[int] = set()
        self.spooled: set[int] = set()
        self.start()

    def start(self) -> None:
        """Start one that goes on behind what was reported, and let it open."""
        first = max(self.archived | self.spooled, default=-1) + 1
        module = [sys.executable, "-m", "benchmarks.outage_writer"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*module, self._url, str(self.spool), str(first)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        self.wait_for("opening")

    def wait_for(self, word: str) -> None:
        """Return once it says a word, from now on."""
        while not self._said.empty():
            self._said.get()
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(queue.Empty):
                if self._said.get(timeout=1.0) == word:
                    return
        raise ServerError(f"no {word!r} of a writer:\n{self._log.read_text()[-500:]}")

    def kill(self) -> None:
        """Send it SIGKILL, and hear what it had said to the last."""
        self._process.kill()
        self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                number, _, word = line.strip().rpartition(" ")
                if number:
                    kept = self.archived if word == "archived" else self.spooled
                    kept.add(int(number))
                self._said.put(word)
