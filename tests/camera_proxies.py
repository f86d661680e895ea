"""What stands before a server in tests: TLS, or an RTSP server that sends by UDP."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

HOST = "127.0.0.1"
_TRANSPORT = re.compile(rb"Transport: [^\r]*client_port=(\d+)-(\d+)[^\r]*")
_INTERLEAVED = re.compile(rb"Transport: [^\r]*interleaved=[^\r]*")
_LENGTH = re.compile(rb"Content-Length: (\d+)", re.IGNORECASE)


@asynccontextmanager
async def tls_before(port: int, certificate: Path, key: Path) -> AsyncIterator[int]:
    """Take TLS connections for a server; gives the port for them."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def connect(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(HOST, port)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass_on(reader, behind_writer))
            both.create_task(_pass_on(behind_reader, writer))

    async with await asyncio.start_server(connect, HOST, 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:  # one side has gone; that the other sees
        pass
    finally:
        writer.close()


class UdpRtsp:
    """Makes an RTSP server that sends by TCP only one that sends by UDP only.

    Use it as `async with UdpRtsp(port).listening() as its_port`.

    Args:
        port: The server's.
    """

    def __init__(self, port: int) -> None:
        self.num_datagrams = 0
        self._port = port
        self._sockets = _neighbours()  # of RTP and of RTCP
        self._client_ports = (0, 0)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Take connections; gives the port for them."""
        try:
            async with await asyncio.start_server(self._connect, HOST, 0) as server:
                yield server.sockets[0].getsockname()[1]
        finally:
            for each in self._sockets:
                each.close()

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(HOST, self._port)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._ask(reader, behind_writer))
            both.create_task(self._answer(behind_reader, writer))

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass requests on; one for UDP becomes one for TCP."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if ports := _TRANSPORT.search(head):
                    self._client_ports = int(ports[1]), int(ports[2])
                tcp = b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
                writer.write(_TRANSPORT.sub(tcp, head))
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass answers on as they should be for UDP, and packets as datagrams."""
        try:
            while first := await reader.read(1):
                if first == b"$":
                    channel, *length = await reader.readexactly(3)
                    self._send(
                        channel, await reader.readexactly(int.from_bytes(length))
                    )
                    continue
                head = first + await reader.readuntil(b"\r\n\r\n")
                length_told = _LENGTH.search(head)
                body = await reader.readexactly(
                    int(length_told[1]) if length_told else 0
                )
                writer.write(_INTERLEAVED.sub(self._transport(), head) + body)
        except (asyncio.IncompleteReadError, OSError):  # one side has gone
            pass
        finally:
            writer.close()

    def _send(self, channel: int, packet: bytes) -> None:
        self._sockets[channel].sendto(packet, (HOST, self._client_ports[channel]))
        self.num_datagrams += 1

    def _transport(self) -> bytes:
        client, client_rtcp = self._client_ports
        ours, ours_rtcp = (each.getsockname()[1] for each in self._sockets)
        ports = f"client_port={client}-{client_rtcp};server_port={ours}-{ours_rtcp}"
        return f"Transport: RTP/AVP/UDP;unicast;{ports}".encode()


def _neighbours() -> tuple[socket.socket, socket.socket]:
    """Bind two ports, one behind the other, as RTP and RTCP have them."""
    while True:
        first, second = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        first.bind((HOST, 0))
        try:
            second.bind((HOST, first.getsockname()[1] + 1))
        except OSError:  # taken
            first.close()
            second.close()
        else:
            return first, second
