"""How the agent is."""

from collections import Counter

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.http.answers import json_response
from agent.http.house import VERSION
from agent.http.requests import house_of, rights_of


async def is_alive(_request: Request) -> Response:
    """Say that the event loop goes round; for whoever starts agents again."""
    return json_response({"status": "ok"})


async def health(request: Request) -> Response:
    """Tell how the agent is in some detail."""
    house = house_of(request)
    cameras = house.cameras(rights_of(request))
    states = Counter(house.watchers[c].source.status.state.value for c in cameras)
    body = {
        "status": "ok",
        "version": VERSION,
        "model": house.model.name,
        "model_is_trained": house.model.is_trained,
        "archive_is_away": house.store.outage.is_on,
        "broker_is_connected": house.is_connected(),
        "loaded": round(house.store.loading.share, 2),
        "cameras": dict(states),
    }
    return json_response(body)


ROUTES = (
    Route("/healthz", is_alive, methods=["GET"]),
    Route("/api/health", health, methods=["GET"]),
)
