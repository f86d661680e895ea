"""What happens, told to a browser or a program for as long as it listens."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.http.house import House
from agent.http.requests import house_of, rights_of
from agent.http.settings import Rights
from agent.http.streams import HELLO, EventStream, event
from ingest.reader_process import outlast


async def events(request: Request) -> Response:
    """Tell what happens, from now on."""
    house = house_of(request)
    return EventStream(_events(house, rights_of(request)), house.stopping)


async def _events(house: House, rights: Rights) -> AsyncGenerator[bytes]:
    news = house.news.listen()
    coming = asyncio.ensure_future(anext(news))
    await asyncio.sleep(0)  # now it listens, and says so
    try:
        yield HELLO
        while True:
            item = await coming
            coming = asyncio.ensure_future(anext(news))
            if _may_be_told(house, rights, item):
                yield _tell(house, item)
    finally:
        coming.cancel()  # which ends the listening
        await outlast(coming)


def _tell(house: House, item: Mapping[str, Any]) -> bytes:
    told = {key: item[key] for key in item if key != "type"}
    if item["type"] in {"answer", "alert"}:
        told = house.linked(told)
    return event(item["type"], told)


def _may_be_told(house: House, rights: Rights, item: Mapping[str, Any]) -> bool:
    """Tell whether everything that something is about may be seen."""
    if item["type"] == "lost":
        return True
    if item["type"] in {"question", "answer"}:
        about = item["cameras"] or house.watchers
    else:
        about = [item["name"] if item["type"] == "camera" else item["camera"]]
    return all(rights.sees(camera) for camera in about)


ROUTES = (Route("/api/events", events, methods=["GET"]),)
