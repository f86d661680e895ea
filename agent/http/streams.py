"""Server-sent events: how they are written, and when a stream of them ends."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agent.http.answers import to_json
from ingest.reader_process import outlast

PING_S = 15.0  # a silent stream is taken for a dead one by what is between
HELLO = b": hello\n\n"  # so that a client knows at once that it is heard
_LAST_S = 0.5
_BODY = {"type": "http.response.body", "body": b""}
_PING = b": still here\n\n"


def event(kind: str, data: Mapping[str, Any]) -> bytes:
    """Write one event."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), to_json(data))


class EventStream(Response):
    """Sends events until they end, the client is gone, or the server stops.

    Args:
        events: What is sent, written already.
        stopping: Set when the server stops.
        wind_up_s: How long it may then go on.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes],
        stopping: asyncio.Event,
        *,
        wind_up_s: float = 0.0,
    ) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._events, self._stopping, self._wind_up_s = events, stopping, wind_up_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, and whatever ends them, end all of it."""
        sending = asyncio.create_task(self._send(send), name="agent.http.stream")
        gone = asyncio.create_task(is_gone(receive), name="agent.http.gone")
        stop = asyncio.create_task(self._stopping.wait(), name="agent.http.stop")
        try:
            await asyncio.wait({sending, gone, stop}, return_when="FIRST_COMPLETED")
            if stop.done() and not gone.done():
                await asyncio.wait({sending, gone}, timeout=self._wind_up_s)
        finally:
            is_there = not gone.done()
            for task in (sending, gone, stop):
                task.cancel()
            await outlast(sending)
        if not sending.cancelled():
            sending.result()
        elif is_there:
            with suppress(TimeoutError):  # a client that does not read
                async with asyncio.timeout(_LAST_S):
                    await send({**_BODY, "more_body": False})

    async def _send(self, send: Send) -> None:
        head = {"type": "http.response.start", "status": self.status_code}
        await send({**head, "headers": self.raw_headers})
        body = {**_BODY, "more_body": True}
        async with aclosing(self._events) as events:
            while True:
                coming = asyncio.ensure_future(anext(events, None))
                try:
                    while not (await asyncio.wait({coming}, timeout=PING_S))[0]:
                        await send({**body, "body": _PING})
                finally:
                    coming.cancel()
                    await outlast(coming)
                written = coming.result()
                if written is None:
                    break
                await send({**body, "body": written})
        await send({**_BODY, "more_body": False})


async def is_gone(receive: Receive) -> None:
    """Return when the client has hung up; what it still sends is passed over."""
    while (await receive())["type"] != "http.disconnect":
        pass
