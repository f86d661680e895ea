"""The cameras: how they are, what they show, whether they are watched."""

import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.http.answers import json_response
from agent.http.errors import ApiError, not_allowed
from agent.http.requests import camera_of, house_of, object_of, rights_of

logger = logging.getLogger(__name__)


async def list_cameras(request: Request) -> Response:
    """Give all cameras that may be seen, and what may be done."""
    house, rights = house_of(request), rights_of(request)
    can = {
        "ask": rights.ask,
        "watch": rights.watch and house.standing is not None,
        "pause": rights.pause,
    }
    cameras = [house.report(name) for name in house.cameras(rights)]
    return json_response({"cameras": cameras, "model": house.model.name, "can": can})


async def picture(request: Request) -> Response:
    """Give the newest picture of a camera."""
    watcher = house_of(request).watcher(camera_of(request), rights_of(request))
    if watcher.picture is None:
        raise ApiError(404, "no_picture", "there is no picture yet")
    return Response(watcher.picture, media_type="image/jpeg")


async def set_watching(request: Request) -> Response:
    """Pause a camera, or resume it."""
    camera = camera_of(request)
    if not rights_of(request).pause:
        raise not_allowed("pause cameras")
    body = await object_of(request)
    wanted = body.get("watching")
    if set(body) != {"watching"} or not isinstance(wanted, bool):
        raise ApiError(400, "bad_field", 'the body is {"watching": true} or false')
    try:
        await house_of(request).pauses.set_watching(camera, is_watching=wanted)
    except OSError as exc:
        logger.warning("a pause is not kept over a restart: %s", type(exc).__name__)
    return json_response({"watching": wanted})


ROUTES = (
    Route("/api/cameras", list_cameras, methods=["GET"]),
    Route("/api/cameras/{camera}/picture", picture, methods=["GET"]),
    Route("/api/cameras/{camera}/watching", set_watching, methods=["POST"]),
)
