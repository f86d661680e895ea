"""Standing questions: set, removed, listed; and what they have found."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.http.answers import json_response
from agent.http.errors import ApiError, not_allowed
from agent.http.house import House
from agent.http.requests import camera_of, house_of, object_of, rights_of, time_of
from agent.standing.definition import parse_standing
from agent.standing.errors import (
    InvalidStandingError,
    TooManyStandingError,
    UnknownStandingError,
)
from agent.standing.questions import StandingQuestions

MAX_ALERTS = 200


async def list_watches(request: Request) -> Response:
    """Give the standing questions of cameras that may be seen."""
    cameras = house_of(request).cameras(rights_of(request))
    states = _standing_of(request).states()
    told = [dict(state) for state in states if state["camera"] in cameras]
    checks = _standing_of(request).report()
    return json_response({"watches": told, "checks": checks})


async def set_watch(request: Request) -> Response:
    """Set a standing question, in the place of one of the same name."""
    camera, name = camera_of(request), request.path_params["name"]
    standing = _standing_of(request, is_changed=True)
    is_new = _find(standing, camera, name) is None
    try:
        await standing.set(parse_standing(await object_of(request), camera, name))
    except InvalidStandingError as exc:
        raise ApiError(400, exc.code, str(exc)) from exc
    except TooManyStandingError as exc:
        raise ApiError(409, exc.code, str(exc)) from exc
    return json_response(_find(standing, camera, name), 201 if is_new else 200)


async def remove_watch(request: Request) -> Response:
    """Remove a standing question."""
    camera, name = camera_of(request), request.path_params["name"]
    try:
        await _standing_of(request, is_changed=True).remove(camera, name)
    except UnknownStandingError as exc:
        raise ApiError(404, exc.code, str(exc)) from exc
    except InvalidStandingError as exc:
        raise ApiError(409, exc.code, str(exc)) from exc
    return Response(status_code=204)


async def list_alerts(request: Request) -> Response:
    """Give what standing questions have found, newest first."""
    house, name = house_of(request), request.query_params.get("camera")
    cameras = [camera_of(request, name)] if name else house.cameras(rights_of(request))
    times = time_of(request, "from"), time_of(request, "to")
    _standing_of(request)
    return json_response({"alerts": alerts_of(house, cameras, *times)[:MAX_ALERTS]})


def alerts_of(
    house: House, cameras: Sequence[str], start_s: float | None, end_s: float | None
) -> list[dict[str, Any]]:
    """Give what standing questions have found, newest first; none without any."""
    standing = house.standing
    found = standing.alerts(cameras, start_s, end_s) if standing else ()
    return [house.linked(alert) for alert in found]


def _standing_of(request: Request, *, is_changed: bool = False) -> StandingQuestions:
    """Give the standing questions.

    Raises:
        ApiError: There can be none, or they may not be changed.
    """
    if is_changed and not rights_of(request).watch:
        raise not_allowed("set or remove standing questions")
    standing = house_of(request).standing
    if standing is None:
        raise ApiError(503, "not_available", "there are no standing questions here")
    return standing


def _find(standing: StandingQuestions, camera: str, name: str) -> dict[str, Any] | None:
    states = (
        s for s in standing.states() if (s["camera"], s["name"]) == (camera, name)
    )
    return next((dict(state) for state in states), None)


ROUTES = (
    Route("/api/watch", list_watches, methods=["GET"]),
    Route("/api/watch/{camera}/{name}", set_watch, methods=["PUT"]),
    Route("/api/watch/{camera}/{name}", remove_watch, methods=["DELETE"]),
    Route("/api/alerts", list_alerts, methods=["GET"]),
)
