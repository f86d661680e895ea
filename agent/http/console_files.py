"""The console's page and files."""

import mimetypes
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


def routes() -> tuple[Route | Mount, ...]:
    """Give the routes, none without a console; reads the file system."""
    if not FOLDER.is_dir():
        return ()
    mimetypes.init()  # here: it reads files
    files = Mount("/console", _Files(directory=FOLDER))
    return Route("/", page, methods=["GET"]), files
