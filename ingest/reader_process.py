"""A reader process from the outside: started, listened to, killed, reaped."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ingest.errors import CameraOpenError, ReaderCrashedError, ReaderTooLargeError
from ingest.settings import ReaderRequest
from ingest.wire import TOO_LARGE, Message, read_message

_PACKAGES = Path(__file__).resolve().parent.parent
_PIPE_BYTES = 1 << 20


async def outlast(ending: asyncio.Future[Any]) -> None:
    """Wait for something short to be over, and only then be cancelled."""
    cancelled: asyncio.CancelledError | None = None
    while not ending.done():
        try:
            await asyncio.wait([ending])
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled:
        raise cancelled


class ReaderProcess:
    """One child process that reads one camera, from entering to leaving.

    Leaving kills it, whatever it is doing, and waits until the system has let it go.
    """

    def __init__(self, request: ReaderRequest) -> None:
        self._request = request
        self._address = request.settings.address

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What it left with, negative for a signal; None until it is reaped."""
        return self._process.returncode

    async def __aenter__(self) -> Self:
        paths = [str(_PACKAGES), os.environ.get("PYTHONPATH", "")]
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a folder named `ingest` where we were started is not ours
                "-m",
                "ingest.reader",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                limit=_PIPE_BYTES,
                start_new_session=True,  # Ctrl-C is for us, not for it
            )
        except OSError as exc:
            reason = f"its reader can't be started: {exc.strerror}"
            raise CameraOpenError(self._address, reason) from exc
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        # Reading what is left lets the pipe close.
        await outlast(asyncio.ensure_future(self._process.communicate()))

    async def ask(self) -> None:
        """Tell it what to read."""
        stdin = self._process.stdin
        assert stdin is not None  # a pipe, as asked for
        with suppress(BrokenPipeError, ConnectionResetError):  # `read` tells why
            stdin.write(self._request.to_json())
            await stdin.drain()
        stdin.close()

    async def read(self) -> Message:
        """Read its next message.

        Raises:
            ReaderCrashedError: It died, or sent something else.
            ReaderTooLargeError: It took too much memory.
        """
        stdout = self._process.stdout
        assert stdout is not None  # a pipe, as asked for
        try:
            return await read_message(stdout)
        except asyncio.IncompleteReadError as exc:
            if await self._process.wait() == TOO_LARGE:
                raise ReaderTooLargeError(self._address) from exc
            raise ReaderCrashedError(self._address, self.exit_code) from exc
        except ValueError as exc:
            raise ReaderCrashedError(self._address, self.exit_code) from exc
