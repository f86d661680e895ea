"""The server itself: uvicorn, in the agent's event loop, ended with it."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import uvicorn

from agent.http.errors import HttpStartError
from agent.http.house import House
from agent.http.routes import build_app
from agent.http.settings import HttpSettings, url_of

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 256  # more are told to come again
KEEP_ALIVE_S = 15
STOP_S = 3  # for what is being answered when the agent stops
_MAX_HEADER_BYTES = 32768


class HttpServer:
    """Serves a house while it is entered.

    Args:
        house: What is served.
        settings: Where, and to whom.
    """

    def __init__(self, house: House, settings: HttpSettings) -> None:
        self._house, self._settings = house, settings
        self.port = settings.port

    @property
    def url(self) -> str:
        """Where it can be reached, from this machine at least."""
        is_secure = self._settings.cert_file is not None
        return url_of(self._settings.host, self.port, is_secure=is_secure)

    async def __aenter__(self) -> Self:
        """Start to listen.

        Raises:
            HttpStartError: The port is taken or not allowed, the host not known, the
                certificate or its key no good.
        """
        context = await asyncio.to_thread(self._tls)
        listening = await self._listen()
        self.port = listening.getsockname()[1]
        app = await asyncio.to_thread(build_app, self._house, self._settings)
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            ssl_context_factory=None if context is None else lambda *_: context,
        )
        await asyncio.to_thread(config.load)  # it imports, which reads files
        # It would log a traceback for every client that hangs up on it.
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        self._server = _Server(config)
        self._serving = asyncio.create_task(
            self._server.serve([listening]), name="agent.http"
        )
        ready = asyncio.create_task(self._server.ready.wait(), name="agent.http.ready")
        await asyncio.wait({self._serving, ready}, return_when="FIRST_COMPLETED")
        ready.cancel()
        if self._serving.done():
            self._serving.result()
        logger.info("serving HTTP at %s", self.url)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._house.stopping.set()
        self._server.should_exit = True
        try:
            await asyncio.wait({self._serving}, timeout=2 * STOP_S)
        finally:
            self._serving.cancel()

    def _tls(self) -> ssl.SSLContext | None:
        settings = self._settings
        if settings.cert_file is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            # An empty password, or a key that has one would be asked for.
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
        except (OSError, ValueError) as exc:
            reason = f"{settings.cert_file}: {exc}"
            raise HttpStartError(settings.host, settings.port, reason) from exc
        return context

    async def _listen(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
            family, kind, number, _, address = found[0]
            listening = socket.socket(family, kind, number)
            try:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listening.bind(address)
            except OSError:
                listening.close()
                raise
        except OSError as exc:
            raise HttpStartError(host, port, exc.strerror or str(exc)) from exc
        return listening


class _Server(uvicorn.Server):
    """Says when it listens, and leaves signals to the agent."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
