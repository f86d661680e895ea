"""What every request passes through before any route sees it."""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.http.access import Access, address_of, too_often
from agent.http.answers import error_response
from agent.http.errors import ApiError
from agent.http.settings import Rights
from agent.rates import Rates

_PUBLIC = frozenset(
    {
        "/",
        "/healthz",
        "/favicon.ico",
        "/api/login",
        "/api/logout",
        "/api/openapi.json",
    }
)
_STATIC = "/console/"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
        "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Lets a request in, with its rights, or answers it with why not.

    Args:
        app: What is behind it.
        access: Who may do what.
        rates: How often each may ask.
    """

    def __init__(self, app: ASGIApp, access: Access, rates: Rates) -> None:
        self._app, self._access, self._rates = app, access, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit a request and pass it on, or answer it."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _complete(message)
            await send(message)

        try:
            rights = self._admit(Request(scope))
        except ApiError as exc:
            await error_response(exc)(scope, receive, send_guarded)
            return
        scope.setdefault("state", {})["rights"] = rights
        await self._app(scope, receive, send_guarded)

    def _admit(self, request: Request) -> Rights | None:
        """Give what a request may do, None where that does not matter."""
        self._access.check_origin(request)
        path = request.url.path
        if path in _PUBLIC or path.startswith(_STATIC):
            return None
        rights = self._access.rights_of(request)
        if not self._rates.allows(rights.name or address_of(request)):
            raise too_often(self._rates.per_minute, "requests")
        return rights


def _complete(message: MutableMapping[str, Any]) -> None:
    """Put headers on a response; what is not said to be kept is not."""
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-store")
