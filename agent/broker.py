"""A broker inside the agent, for a first try without installing one.

amqtt speaks MQTT 3.1.1 and knows no users here, so it listens on loopback only. For
anything else, name a real broker in the config.
"""

import asyncio
import contextlib
import importlib
import logging
import socket
from types import TracebackType
from typing import TYPE_CHECKING, Self

from agent.errors import BrokerStartError

if TYPE_CHECKING:
    from amqtt.broker import Broker

_HOST = "127.0.0.1"
_PLUGIN = "amqtt.plugins.authentication.AnonymousAuthPlugin"
_STOP_TIMEOUT_S = 5.0


class EmbeddedBroker:
    """A running MQTT 3.1.1 broker on loopback.

    Args:
        port: Where to listen, 0 for any free port.
    """

    def __init__(self, port: int = 1883) -> None:
        self._port = port
        self._broker: Broker | None = None

    @property
    def url(self) -> str:
        """Where it listens, as a setting of `mqtt.url`."""
        return f"mqtt://{_HOST}:{self._port}"

    async def __aenter__(self) -> Self:
        """Start to listen.

        Raises:
            BrokerStartError: The port is taken or not allowed.
        """
        # It logs errors for every port scan, and payloads; ours say what matters.
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._port = _check_port(self._port)
        # Importing it reads files: not on the event loop.
        module = await asyncio.to_thread(importlib.import_module, "amqtt.broker")
        config = {
            "listeners": {"default": {"type": "tcp", "bind": f"{_HOST}:{self._port}"}},
            "plugins": {_PLUGIN: {"allow_anonymous": True}},
        }
        broker: Broker = module.Broker(config)
        serve_client = broker.stream_connected

        async def serve_cleanly(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, **names: str
        ) -> None:
            """Serve a client; amqtt leaves one open that hangs up while refused."""
            try:
                # Cancelled when the broker stops before a client has said CONNECT.
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await serve_client(reader, writer, **names)
            finally:
                writer.close()

        broker.stream_connected = serve_cleanly
        try:
            await broker.start()
        except module.BrokerError as exc:
            raise BrokerStartError(self._port, str(exc)) from exc
        self._broker = broker
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await broker.shutdown()


def _check_port(port: int) -> int:
    """Give back the port, or a free one for 0, if it can be listened on.

    Raises:
        BrokerStartError: It can't.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as exc:
            raise BrokerStartError(port, exc.strerror or str(exc)) from exc
        return int(probe.getsockname()[1])
