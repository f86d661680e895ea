"""What a chunk showed: its picture, and the film of it."""

import asyncio
import re

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from agent.http.answers import json_response
from agent.http.errors import ApiError
from agent.http.house import House
from agent.http.requests import camera_of, house_of
from agent.messages import to_iso
from ingest.films import Film, film_at
from memory.errors import (
    ArchiveUnavailableError,
    ChunkNotFoundError,
    CorruptChunkError,
)
from memory.kv import ChunkId

_CHUNK = re.compile(r"\d{13}-\d{13}", re.ASCII)
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_FOR_A_WHILE = {"Cache-Control": "private, max-age=3600"}


async def show(request: Request) -> Response:
    """Tell what there is of a chunk."""
    house, chunk = house_of(request), _chunk_of(request)
    path = f"/api/evidence/{chunk.camera}/{chunk.name}"
    film = await _film(house, chunk)
    try:
        jpeg = await _picture(house, chunk)
    except ArchiveUnavailableError:
        jpeg = None
    if not jpeg and not film and not await _is_known(house, chunk):
        raise ApiError(404, "unknown_chunk", "there is no such chunk")
    body = {
        "camera": chunk.camera,
        "chunk": chunk.name,
        "start": to_iso(chunk.start_ms / 1000),
        "end": to_iso(chunk.end_ms / 1000),
        "picture": f"{path}/picture" if jpeg else None,
        "film": f"{path}/film" if film else None,
        "film_offset_s": (chunk.start_ms - film.start_ms) / 1000 if film else None,
    }
    return json_response(body)


async def picture(request: Request) -> Response:
    """Give the picture of a chunk."""
    jpeg = await _picture(house_of(request), _chunk_of(request))
    if jpeg is None:
        raise ApiError(404, "no_picture", "there is no picture of it")
    return Response(jpeg, headers=_FOR_EVER, media_type="image/jpeg")


async def film(request: Request) -> Response:
    """Give the film that shows a chunk, or the part of it that is asked for."""
    found = await _film(house_of(request), _chunk_of(request))
    if found is None:
        raise ApiError(404, "no_film", "there is no film of it")
    return FileResponse(found.path, headers=_FOR_A_WHILE, media_type="video/mp4")


def _chunk_of(request: Request) -> ChunkId:
    camera, name = camera_of(request), request.path_params["chunk"]
    try:
        if _CHUNK.fullmatch(name):
            return ChunkId.parse(camera, name)
    except ValueError:
        pass
    raise ApiError(404, "unknown_chunk", "there is no such chunk")


async def _picture(house: House, chunk: ChunkId) -> bytes | None:
    try:
        return await house.store.reader.picture(chunk)
    except (ChunkNotFoundError, CorruptChunkError):
        return None


async def _film(house: House, chunk: ChunkId) -> Film | None:
    folder = house.recordings.get(chunk.camera)
    if folder is None:
        return None
    return await asyncio.to_thread(film_at, folder, chunk.start_ms)


async def _is_known(house: House, chunk: ChunkId) -> bool:
    if chunk in await house.spooled():
        return True
    with house.store.outage.noticed():
        return await house.store.archive.keeps(chunk)


ROUTES = (
    Route("/api/evidence/{camera}/{chunk}", show, methods=["GET"]),
    Route("/api/evidence/{camera}/{chunk}/picture", picture, methods=["GET"]),
    Route("/api/evidence/{camera}/{chunk}/film", film, methods=["GET"]),
)
