"""All routes together, and what stands before them."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from agent.http import (
    asking,
    cameras,
    chat,
    console_files,
    events,
    evidence,
    health,
    login,
    openapi,
    standing,
    timeline,
)
from agent.http.access import Access
from agent.http.answers import (
    say_api_error,
    say_archive_away,
    say_failure,
    say_http_error,
)
from agent.http.errors import ApiError
from agent.http.guard import Guard
from agent.http.house import House
from agent.http.settings import HttpSettings
from agent.rates import Rates
from memory.errors import ArchiveUnavailableError

ROUTES: tuple[Route, ...] = (
    *health.ROUTES,
    *login.ROUTES,
    *cameras.ROUTES,
    *timeline.ROUTES,
    *evidence.ROUTES,
    *asking.ROUTES,
    *events.ROUTES,
    *standing.ROUTES,
    *chat.ROUTES,
    *openapi.ROUTES,
)


def build_app(house: House, settings: HttpSettings) -> ASGIApp:
    """Build what the server serves; reads the file system."""
    access = Access(settings.tokens)
    app = Starlette(
        routes=[*ROUTES, *console_files.routes()],
        exception_handlers={
            ApiError: say_api_error,
            HTTPException: say_http_error,
            ArchiveUnavailableError: say_archive_away,
            Exception: say_failure,
        },
    )
    app.state.house, app.state.access = house, access
    return Guard(app, access, Rates(settings.requests_per_minute))
