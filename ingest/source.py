"""A camera as an asynchronous iterator of chunks that survives whatever happens to it.

A child process reads the camera; the age of its newest frame is watched from here, and
a reader that is silent for too long is killed and replaced.
"""

import asyncio
import logging
import os
import random
from types import TracebackType
from typing import Self

from ingest.buffer import ChunkBuffer
from ingest.errors import CameraError, CameraOpenError, CameraStalledError
from ingest.frame import FrameChunk
from ingest.reader_process import ReaderProcess, outlast
from ingest.settings import CameraSettings, HandOff, ReaderRequest, Resume
from ingest.status import (
    CameraRecord,
    CameraState,
    CameraStatus,
    Gap,
    GapReason,
    describe,
)
from ingest.wire import End, Failure, Heartbeat, Message

_log = logging.getLogger(__name__)

_BACK_OFF_S = 0.5
_MAX_BACK_OFF_S = 30.0
_START_S = 5.0  # for a process to start on a busy machine, beyond the camera's own time


class CameraSource:
    """The chunks of one camera, in order of time, for one consumer.

    Enter it, then iterate. The iteration ends when a file, or a simulated camera with a
    duration, has ended; for anything else, and whenever something breaks, it goes on
    trying, and `status` and `gaps` tell. While it is paused nothing is read at all.

    Args:
        settings: How to read it.
        is_paused: Whether to begin only when resumed.
    """

    def __init__(self, settings: CameraSettings, *, is_paused: bool = False) -> None:
        self.settings = settings
        self._wanted = asyncio.Event()
        if not is_paused:
            self._wanted.set()
        self._buffer = ChunkBuffer(settings.buffer_chunks, settings.hand_off)
        self._record = CameraRecord(settings.rates.floor)
        self._began_s: float | None = None
        self._failures = 0

    @property
    def status(self) -> CameraStatus:
        """How the camera is doing now."""
        return self._record.status

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The times not watched, oldest first; the newest thousand."""
        return self._record.gaps

    @property
    def is_online(self) -> bool:
        """Whether it is being watched now."""
        return self._record.status.state is CameraState.ONLINE

    @property
    def began_s(self) -> float | None:
        """UTC at which the first chunk began, None before it."""
        return self._began_s

    async def __aenter__(self) -> Self:
        self._buffer = ChunkBuffer(self.settings.buffer_chunks, self.settings.hand_off)
        self._record = CameraRecord(self.settings.rates.floor)
        self._began_s, self._failures = None, 0
        if self.is_paused:
            self._note_pause()
        self._watching: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(
            self._watch(), name=f"ingest.source[{self.settings.name}]"
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._task.cancel()
        await outlast(self._task)  # short: the reader is killed, not asked
        if exc_type is None and not self._task.cancelled():
            self._task.result()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FrameChunk:
        chunk = await self._buffer.get()
        if chunk is None:
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()
            raise StopAsyncIteration
        return chunk

    @property
    def is_paused(self) -> bool:
        """Whether it is not to be watched now."""
        return not self._wanted.is_set()

    def pause(self) -> None:
        """Stop watching until `resume`: the reader is killed, the time is a gap."""
        if self.is_paused or self.status.state is CameraState.ENDED:
            return
        self._wanted.clear()
        self._note_pause()
        if self._watching:
            self._watching.cancel()

    def resume(self) -> None:
        """Watch again: from now on, or what can wait from where it was."""
        if not self.is_paused:
            return
        self._record.note_resumption()
        self._failures = 0
        self._wanted.set()

    async def _watch(self) -> None:
        try:
            while self.status.state is not CameraState.ENDED:
                await self._wanted.wait()
                await self._watch_until_paused()
        finally:
            await self._buffer.close()

    async def _watch_until_paused(self) -> None:
        watching = asyncio.create_task(self._keep_reading(), name="ingest.read")
        self._watching = watching
        try:
            await asyncio.wait([watching])
        finally:
            self._watching = None
            watching.cancel()
            await outlast(watching)
        if not watching.cancelled():
            watching.result()

    async def _keep_reading(self) -> None:
        """Read, again after whatever breaks, until the stream ends as it should."""
        while not await self._read_until_it_breaks():
            limit_s = min(_MAX_BACK_OFF_S, _BACK_OFF_S * 2**self._failures)
            self._failures = min(self._failures + 1, 16)
            await asyncio.sleep(random.uniform(0, limit_s))
            self._record.note_reconnect()
        self._record.note_end()

    async def _read_until_it_breaks(self) -> bool:
        """Run one reader; tell whether the stream has ended as it should."""
        try:
            return await self._read()
        except CameraStalledError as exc:
            self._note_outage(describe(exc), GapReason.STALLED)
        except CameraError as exc:
            self._note_outage(describe(exc), GapReason.OFFLINE)
        return False

    async def _read(self) -> bool:
        settings = self.settings
        limit_s = settings.open_timeout_s + _START_S
        error: CameraError = CameraOpenError(
            settings.address, f"no frame within {limit_s:g} s"
        )
        async with ReaderProcess(self._request()) as reader:
            await reader.ask()
            while True:
                try:
                    async with asyncio.timeout(limit_s):
                        message = await reader.read()
                except TimeoutError:
                    raise error from None
                limit_s = settings.stall_timeout_s
                error = CameraStalledError(settings.address, limit_s)
                if await self._is_last(message):
                    return isinstance(message, End)

    def _request(self) -> ReaderRequest:
        resume = None
        if self._began_s is not None:
            resume = Resume(self._began_s, self._record.seen_until_s)
        return ReaderRequest(self.settings, os.getpid(), resume)

    async def _is_last(self, message: Message) -> bool:
        match message:
            case Heartbeat(last_frame_s):
                self._record.note_frame(last_frame_s)
            case FrameChunk():
                await self._take(message)
            case Failure(error, text):
                self._note_outage(f"{error}: {text}", GapReason.OFFLINE)
        return isinstance(message, Failure | End)

    async def _take(self, chunk: FrameChunk) -> None:
        self._failures = 0
        if self._began_s is None:
            self._began_s = chunk.start_s
        else:
            news = chunk.since(self._record.seen_until_s)
            if news is None:
                _log.warning("camera %s sent a chunk of the past", self.settings.name)
                return
            chunk = news
        self._record.note_chunk(chunk)
        dropped = await self._buffer.put(chunk)
        if dropped is not None:
            self._record.note_drop(dropped)

    def _note_pause(self) -> None:
        """What can wait goes on where it was; of anything else the time is lost."""
        is_lost = self.settings.hand_off is HandOff.DROP_OLDEST
        self._record.note_pause(is_gap=is_lost)

    def _note_outage(self, error: str, reason: GapReason) -> None:
        _log.warning("camera %s is %s: %s", self.settings.name, reason, error)
        self._record.note_outage(error, reason)
