"""The console's page and files."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).with_name("console")
_HEADERS = {"Cache-Control": "no-cache"}  # kept, and asked for again each time


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


async def page(_request: Request) -> Response:
    """Give the console."""
    return FileResponse(FOLDER / "index.html", headers=_HEADERS)


ROUTES = (
    Route("/", page, methods=["GET"]),
    Mount("/console", _Files(directory=FOLDER, check_dir=False)),
)
