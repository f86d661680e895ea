"""What routes read of a request: who asks, about which camera, when, and a body."""

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

from agent.http.errors import ApiError
from agent.http.house import House
from agent.http.settings import Rights
from agent.questions import read_moment

MAX_BODY_BYTES = 65536
BODY_TIMEOUT_S = 10.0
_MAX_TIME_S = 253402300799.0  # the end of year 9999


def house_of(request: Request) -> House:
    """Give what is served."""
    house = request.app.state.house
    assert isinstance(house, House)
    return house


def rights_of(request: Request) -> Rights:
    """Give what the asker may do."""
    rights = request.state.rights
    assert isinstance(rights, Rights)
    return rights


def camera_of(request: Request, name: str | None = None) -> str:
    """Give the camera in the path, or of a name, if it may be seen.

    Raises:
        ApiError: There is no such camera.
    """
    camera = request.path_params["camera"] if name is None else name
    return house_of(request).watcher(camera, rights_of(request)).camera


def time_of(request: Request, name: str) -> float | None:
    """Give a time of the query, UTC seconds; None if it is left out.

    Raises:
        ApiError: It is none.
    """
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        time_s = read_moment(text.replace(" ", "+"))  # a plus that was not escaped
    except (ValueError, OverflowError):
        time_s = -1.0
    if not 0 <= time_s <= _MAX_TIME_S:
        message = f"{name} is ISO 8601 or Unix seconds, from 1970 to 9999"
        raise ApiError(400, "bad_window", message)
    return time_s


async def body_of(request: Request) -> bytes:
    """Read a body, which is small and comes soon.

    Raises:
        ApiError: It is too large, or does not come.
    """
    body = bytearray()
    _check_size(int(request.headers.get("content-length", "0")))
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                body += part
                _check_size(len(body))
    except TimeoutError:
        raise ApiError(408, "too_slow", "the body did not come") from None
    except ClientDisconnect:
        raise ApiError(400, "bad_request", "the client has gone") from None
    return bytes(body)


def _check_size(num_bytes: int) -> None:
    if num_bytes > MAX_BODY_BYTES:
        message = f"a body has at most {MAX_BODY_BYTES} bytes"
        raise ApiError(413, "too_large", message)


async def object_of(request: Request) -> dict[str, Any]:
    """Read a body that is a JSON object.

    Raises:
        ApiError: It is something else.
    """
    body = await body_of(request)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ApiError(400, "not_json", "the body has to be a JSON object")
    return found
