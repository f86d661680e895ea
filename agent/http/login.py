"""Logging in: a browser keeps a cookie, for what it loads by itself."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.http.access import COOKIE, Access, cookie_of
from agent.http.answers import json_response
from agent.http.errors import ApiError
from agent.http.requests import object_of

_KEEP_S = 30 * 86_400


async def log_in(request: Request) -> Response:
    """Take a token, and have the browser keep a cookie for it."""
    access = request.app.state.access
    assert isinstance(access, Access)
    body = await object_of(request)
    secret = body.get("token")
    if set(body) != {"token"} or not isinstance(secret, str):
        raise ApiError(400, "bad_field", 'the body is {"token": "..."}')
    rights = access.log_in(secret, request)
    response = json_response({"name": rights.name})
    if not access.is_open:
        response.set_cookie(
            COOKIE,
            cookie_of(secret),
            max_age=_KEEP_S,
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
    return response


async def log_out(_request: Request) -> Response:
    """Have the browser forget its cookie."""
    response = json_response({})
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


ROUTES = (
    Route("/api/login", log_in, methods=["POST"]),
    Route("/api/logout", log_out, methods=["POST"]),
)
