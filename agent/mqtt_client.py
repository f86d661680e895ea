"""One connection to an MQTT broker: the only user of aiomqtt and paho.

What this file adds to aiomqtt: MQTT 5 with a fall-back to 3.1.1, errors of ours, and a
connection that leaves no task, socket or reader behind, whatever ended it.
"""

import asyncio
import contextlib
import functools
import logging
import math
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.errors import BrokerUnavailableError
from agent.mqtt_properties import connect_properties
from agent.mqtt_settings import MqttSettings
from agent.mqtt_sockets import make_tls_context, open_unix_socket

_KEEPALIVE_S = 15  # a frozen broker is noticed after about twice this
_PROBE_TIMEOUT_S = 3.0  # a broker that doesn't know MQTT 5 may just stay silent
_TIMEOUT_S = 10.0
_SESSION_S = 3600  # how long the broker keeps questions for an agent that is down
_MAX_PACKET_BYTES = 4 << 20  # MQTT 5: the broker keeps larger packets from us
_PROTOCOLS = {
    "5": aiomqtt.ProtocolVersion.V5,
    "3.1.1": aiomqtt.ProtocolVersion.V311,
}
# aiomqtt may warn with a topic or a count; what matters of it reaches our own log.
_SILENT = logging.getLogger("agent.mqtt_client.aiomqtt")
_SILENT.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Message:
    """What was published, or is to be, as a last will."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None = None
    correlation: bytes | None = None
    expiry_s: float | None = None


class Link:
    """A live connection. Every method raises BrokerUnavailableError when it is gone."""

    def __init__(self, client: aiomqtt.Client, version: str, where: str) -> None:
        self.version = version
        self._client, self._where = client, where

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> None:
        """Publish, and with QoS 1 wait until the broker has it."""
        chosen = properties if self.version == "5" else None
        async with self._bounded():
            await self._client.publish(topic, payload, qos, retain, chosen)

    async def subscribe(
        self, topics: Iterable[str], *, with_retained: bool = False
    ) -> None:
        """Subscribe to the topics with QoS 1.

        Args:
            topics: Topic filters.
            with_retained: Ask for what is retained there (3.1.1 always sends it).
        """
        handling = 0 if with_retained else 2
        for topic in topics:
            async with self._bounded():
                if self.version == "5":
                    options = SubscribeOptions(qos=1, retainHandling=handling)
                    await self._client.subscribe(topic, options=options)
                else:
                    await self._client.subscribe(topic, qos=1)

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what arrives, until the connection is gone."""
        try:
            async for message in self._client.messages:
                yield _to_message(message)
        except aiomqtt.MqttError as exc:
            raise BrokerUnavailableError(self._where, str(exc)) from exc

    @contextlib.asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                yield
        except (aiomqtt.MqttError, TimeoutError) as exc:
            raise BrokerUnavailableError(self._where, str(exc) or "silent") from exc


class _Client(aiomqtt.Client):
    """aiomqtt's client, which tells when its thread is done with the socket."""

    dialled: asyncio.Event
    tls: MqttSettings | None = None

    def _client_connect(self) -> None:
        try:
            if self.tls is not None and self._client._ssl_context is None:
                self._client.tls_set_context(make_tls_context(self.tls))
            super()._client_connect()
        finally:
            self._loop.call_soon_threadsafe(self.dialled.set)


class Dialer:
    """Opens connections to one broker, one at a time, and remembers what worked.

    Args:
        settings: The broker, and who we are to it.
        identifier: Our client id.
        will: Published by the broker when we vanish.
        keep_session: Whether the broker keeps messages for us while we are away.
    """

    def __init__(
        self,
        settings: MqttSettings,
        identifier: str,
        *,
        will: Message | None = None,
        keep_session: bool = False,
    ) -> None:
        self._settings, self._identifier = settings, identifier
        self._will, self._keep_session = will, keep_session
        self._version = "5" if settings.version == "auto" else settings.version
        self._proven = settings.version != "auto"

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Link]:
        """Hold one connection open.

        Raises:
            BrokerUnavailableError: The broker can't be reached or refuses us.
        """
        client = await self._open()
        try:
            yield Link(client, self._version, self._settings.url)
        finally:
            await _leave(client)

    async def _open(self) -> _Client:
        while True:
            client = self._make_client()
            try:
                await _enter(client)
            except aiomqtt.MqttError as exc:
                if not self._try_other_version(exc):
                    url = self._settings.url
                    raise BrokerUnavailableError(url, str(exc)) from exc
            else:
                self._proven = True
                return client

    def _try_other_version(self, error: aiomqtt.MqttError) -> bool:
        """Choose the version for the next try; tell whether to make it at once.

        A broker that can't be reached says nothing about its version. One that was
        reached and stays silent, or names the version, does.
        """
        silent = str(error) == "Operation timed out"  # aiomqtt's words for no CONNACK
        if not silent and "protocol version" not in str(error).lower():
            return False
        if self._settings.version != "auto":
            return False
        at_once = self._version == "5"
        self._version = "3.1.1" if self._version == "5" else "5"
        self._proven = False
        return at_once

    def _make_client(self) -> _Client:
        settings, url = self._settings, urlsplit(self._settings.url)
        is_unix, is_v5 = url.scheme == "unix", self._version == "5"
        session_s = _SESSION_S if self._keep_session else 0
        client = _Client(
            url.path if is_unix else (url.hostname or "localhost"),
            url.port or (8883 if url.scheme == "mqtts" else 1883),
            transport="unix" if is_unix else "tcp",
            identifier=self._identifier,
            username=settings.username,
            password=settings.password,
            protocol=_PROTOCOLS[self._version],
            will=self._aiomqtt_will(),
            keepalive=_KEEPALIVE_S,
            timeout=_TIMEOUT_S if self._proven else _PROBE_TIMEOUT_S,
            logger=_SILENT,
            clean_session=None if is_v5 else not self._keep_session,
            clean_start=not self._keep_session
            if is_v5
            else MQTT_CLEAN_START_FIRST_ONLY,
            properties=connect_properties(_MAX_PACKET_BYTES, session_s)
            if is_v5
            else None,
        )
        client.tls = settings if url.scheme == "mqtts" else None
        if is_unix:
            paho, dial = client._client, functools.partial(open_unix_socket, url.path)
            # Assigned to a method, as paho has no setting for it; its own leaves the
            # socket open.
            paho._create_unix_socket_connection = dial  # type: ignore[method-assign]
        return client

    def _aiomqtt_will(self) -> aiomqtt.Will | None:
        will = self._will
        if will is None:
            return None
        return aiomqtt.Will(will.topic, will.payload, qos=1, retain=will.retained)


def _to_message(message: aiomqtt.Message) -> Message:
    properties = message.properties
    return Message(
        str(message.topic),
        bytes(message.payload or b""),
        bool(message.retain),
        getattr(properties, "ResponseTopic", None),
        getattr(properties, "CorrelationData", None),
        getattr(properties, "MessageExpiryInterval", None),
    )


async def _enter(client: _Client) -> None:
    """Connect; when that fails or is cancelled, leave nothing open.

    The socket is opened in a thread, which can't be interrupted: a cancelled call waits
    for it, else the socket would come to life in an event loop that has moved on.
    """
    client.dialled = asyncio.Event()
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        await client.dialled.wait()
        entering.cancel()
        await asyncio.wait([entering])
        await _abandon(client)
        raise
    except aiomqtt.MqttError:
        await _abandon(client)
        raise
    # From here on we bound what we wait for: aiomqtt does it by asyncio.wait_for, which
    # before Python 3.12 forgets a cancellation that comes together with the result.
    client.timeout = math.inf


async def _leave(client: _Client) -> None:
    """Disconnect, so that the broker publishes no will."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await client.__aexit__(None, None, None)
    except (aiomqtt.MqttError, TimeoutError):
        pass  # it is gone already, or too busy to hear it
    finally:
        await _abandon(client)


async def _abandon(client: _Client) -> None:
    """Close what aiomqtt leaves open: its socket, its task, an error nobody read."""
    if client._connected.cancelled():
        client._connected = asyncio.Future()  # aiomqtt would raise what it holds
    if client._disconnected.done() and not client._disconnected.cancelled():
        client._disconnected.exception()
    client._client.disconnect()
    await asyncio.sleep(0)  # aiomqtt starts its task, and cancels its last read, late
    client._client._sock_close()  # a frozen broker never takes the farewell
    if client._misc_task is not None:
        client._misc_task.cancel()
        await asyncio.wait([client._misc_task])
