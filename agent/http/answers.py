"""How JSON and errors are sent."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from agent.http.errors import ApiError
from memory.errors import ArchiveUnavailableError

_CODES = {404: "not_found", 405: "bad_method", 413: "too_large"}


def json_response(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Send JSON; no number in it that JSON does not have."""
    return Response(to_json(body), status, headers, "application/json")


def to_json(body: object) -> bytes:
    """Write JSON in one line."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def error_response(error: ApiError) -> Response:
    """Send an error."""
    body = {"error": {"code": error.code, "message": error.message}}
    return json_response(body, error.status, error.headers)


async def say_api_error(_request: Request, error: Exception) -> Response:
    """Send an error that a route has raised."""
    assert isinstance(error, ApiError)
    return error_response(error)


async def say_http_error(_request: Request, error: Exception) -> Response:
    """Send what the router says: no such path, no such method, too large a body."""
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "bad_request")
    message = error.detail or code
    headers: Any = error.headers
    return error_response(ApiError(error.status_code, code, message, headers))


async def say_archive_away(_request: Request, error: Exception) -> Response:
    """Send that what was asked for can't be read now."""
    assert isinstance(error, ArchiveUnavailableError)
    return error_response(ApiError(503, error.code, "the archive is away, ask later"))


async def say_failure(_request: Request, error: Exception) -> Response:
    """Send that we have failed; the log says why."""
    name = type(error).__name__
    return error_response(ApiError(500, "failed", f"the agent failed on it: {name}"))
