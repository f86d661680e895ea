import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agent.http.errors import HttpStartError
from agent.http.house import House
from agent.http.server import HttpServer
from agent.http.settings import HttpSettings, Rights, Token
from ingest.settings import CameraSettings
from ingest.source import CameraSource


async def test_cameras_are_told_as_over_mqtt_with_a_link_to_a_picture(serve: Callable):
    async with serve() as client:
        found = (await client.get("/api/cameras")).json()
    door = found["cameras"][0]
    assert (door["name"], door["state"], door["chunks"]) == ("door", "starting", 0)
    assert door["picture"] == "/api/cameras/door/picture"
    assert found["model"] == "tiny"


async def test_a_picture_is_there_once_a_chunk_is(
    serve: Callable, house: House, jpeg: bytes
):
    async with serve() as client:
        none = await client.get("/api/cameras/door/picture")
        assert (none.status_code, none.json()["error"]["code"]) == (404, "no_picture")
        house.watchers["door"].picture = jpeg
        response = await client.get("/api/cameras/door/picture")
    assert response.content == jpeg
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["cache-control"] == "no-store"


async def test_a_camera_is_paused_and_resumed(serve: Callable, house: House):
    settings = CameraSettings(name="door", address="simulated:seed=1")
    async with CameraSource(settings, is_paused=True) as source, serve() as client:
        house.pauses._sources["door"] = source
        house.watchers["door"].source = source
        for wanted in (True, False):
            response = await client.post(
                "/api/cameras/door/watching", json={"watching": wanted}
            )
            assert response.json() == {"watching": wanted}
            assert source.is_paused is not wanted
        found = (await client.get("/api/cameras")).json()
        assert found["cameras"][0]["state"] == "paused"


@pytest.mark.parametrize("body", [{}, {"watching": 1}, {"watching": True, "a": 1}, []])
async def test_a_malformed_wish_changes_nothing(
    serve: Callable, house: House, body: Any
):
    async with serve() as client:
        response = await client.post("/api/cameras/door/watching", json=body)
    assert response.status_code == 400
    assert not house.watchers["door"].source.is_paused


async def test_a_port_that_is_taken_is_a_named_error(house: House):
    async with HttpServer(house, HttpSettings(port=0)) as server:
        with pytest.raises(HttpStartError, match=f"port {server.port}: Address"):
            await HttpServer(house, HttpSettings(port=server.port)).__aenter__()
    foreign = HttpSettings("203.0.113.1", 0, (Token("t" * 20, Rights()),))
    with pytest.raises(HttpStartError, match="assign"):
        await HttpServer(house, foreign).__aenter__()


async def test_nothing_is_left_running(house: House):
    before = asyncio.all_tasks()
    async with HttpServer(house, HttpSettings(port=0)):
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() <= before
