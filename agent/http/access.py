"""Who a request is from: by a token, by a cookie, or by being on this machine.

A token is compared by its SHA-256, in constant time, with every token there is. The
cookie that a browser keeps is another hash of it, so that it can't be used elsewhere.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.requests import Request

from agent.http.errors import ApiError
from agent.http.settings import LOOPBACK, Rights, Token
from agent.rates import Rates

COOKIE = "longwatch_token"
WRONG_PER_MINUTE = 30  # wrong tokens that an address may try
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PORT = re.compile(r":\d{1,5}\Z")


class Access:
    """Tells what a request may do.

    Args:
        tokens: Who may do what; none is everybody everything, asked from this machine.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.is_open = not tokens
        self._known = [(_digest(t.secret), t.rights) for t in tokens]
        self._cookies = [(_digest(cookie_of(t.secret)), t.rights) for t in tokens]
        self._wrong = Rates(WRONG_PER_MINUTE)

    def check_origin(self, request: Request) -> None:
        """Refuse what another site has a browser ask.

        Without tokens a name that was made to point here must not reach the API, so the
        host has to be a loopback name. What changes anything has to be JSON, which a
        form of another site can't send, and of no other origin.

        Raises:
            ApiError: It is refused.
        """
        host = request.headers.get("host", "")
        if self.is_open and _PORT.sub("", host).strip("[]").lower() not in LOOPBACK:
            raise ApiError(403, "wrong_host", "only asked for by a name of loopback")
        if request.method in _SAFE_METHODS or "authorization" in request.headers:
            return
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise ApiError(403, "wrong_origin", "asked from another site")
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if request.method != "DELETE" and kind.lower() != "application/json":
            message = "Content-Type has to be application/json"
            raise ApiError(400, "not_json", message)

    def rights_of(self, request: Request) -> Rights:
        """Give what a request may do.

        Raises:
            ApiError: It has no token that is known, or tries too many.
        """
        if self.is_open:
            return Rights()
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme:
            known = self._known if scheme.lower() == "bearer" else []
            return self._find(known, secret.strip(), request)
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            raise _unauthorized("a token is needed")
        return self._find(self._cookies, cookie, request)

    def log_in(self, secret: str, request: Request) -> Rights:
        """Give the rights of a token that a person has typed, raising likewise."""
        return Rights() if self.is_open else self._find(self._known, secret, request)

    def _find(
        self, known: Sequence[tuple[bytes, Rights]], secret: str, request: Request
    ) -> Rights:
        found, digest = None, _digest(secret)
        for other, rights in known:  # all of them, however soon one fits
            if hmac.compare_digest(digest, other):
                found = rights
        if found is not None:
            return found
        if not self._wrong.allows(address_of(request)):
            raise too_often(WRONG_PER_MINUTE, "wrong tokens")
        raise _unauthorized("the token is not known")


def address_of(request: Request) -> str:
    """Give the address that a request came from."""
    return request.client.host if request.client else ""


def cookie_of(secret: str) -> str:
    """Give what a browser keeps in place of a token."""
    return hashlib.sha256(b"longwatch cookie " + secret.encode()).hexdigest()


def too_often(per_minute: int, what: str) -> ApiError:
    """Build the error for a client that asks too often."""
    message = f"{per_minute} {what} a minute are allowed, ask later"
    headers = {"Retry-After": str(max(1, round(60 / per_minute)))}
    return ApiError(429, "too_often", message, headers)


def _unauthorized(message: str) -> ApiError:
    headers = {"WWW-Authenticate": 'Bearer realm="longwatch"'}
    return ApiError(401, "unauthorized", message, headers)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
