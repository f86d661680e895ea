import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from waiting import until

from agent.http import streams
from agent.http.house import House
from agent.http.settings import Rights, Token

MASTER = Token("m" * 20, Rights("master"))
GUEST = Token("g" * 20, Rights("guest", frozenset({"yard"})))


@asynccontextmanager
async def listening(
    client: httpx2.AsyncClient, token: Token | None = None
) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    """Listen; entered once the server hears, gives kind and data of each event."""
    headers = {"Authorization": f"Bearer {token.secret}"} if token else {}
    async with client.stream("GET", "/api/events", headers=headers) as response:
        lines = response.aiter_lines()
        assert (await anext(lines)).startswith(":")
        yield read(lines)


async def read(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, Any]]:
    kind = ""
    async for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))
        elif line:
            yield "comment", line


async def test_what_happens_is_told_to_who_may_see_it(serve: Callable, house: House):
    tell = house.news.tell
    async with (
        serve(tokens=[MASTER, GUEST]) as client,
        listening(client, MASTER) as all_events,
        listening(client, GUEST) as some_events,
    ):
        for camera in ("door", "yard"):
            tell("camera", {"name": camera, "state": "online"})
            tell("chunk", {"camera": camera, "chunk": "1-2"})
            tell("alert", {"camera": camera, "name": "fire", "evidence": []})
            for about in ([camera], [], ["door", "yard"]):
                tell("question", {"id": "q", "question": "?", "cameras": about})
        tell("chunk", {"camera": "yard", "chunk": "last"})
        own = [await anext(some_events) for _ in range(5)]
        everything = [await anext(all_events) for _ in range(13)]
    assert own == [
        ("camera", {"name": "yard", "state": "online"}),
        ("chunk", {"camera": "yard", "chunk": "1-2"}),
        ("alert", {"camera": "yard", "name": "fire", "evidence": []}),
        ("question", {"id": "q", "question": "?", "cameras": ["yard"]}),
        ("chunk", {"camera": "yard", "chunk": "last"}),
    ]
    assert everything[-1] == own[-1]


async def test_an_answer_is_told_with_its_links(serve: Callable):
    async with serve() as client, listening(client) as events:
        asked = {"question": "where did #47 come from ?", "cameras": ["door"]}
        answer = (await client.post("/api/ask", json=asked)).json()
        assert (await anext(events))[0] == "question"
        kind, told = await anext(events)
    assert (kind, told["cameras"]) == ("answer", ["door"])
    assert told["evidence"] == answer["evidence"]


async def test_a_silent_stream_shows_that_it_lives(
    serve: Callable, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(streams, "PING_S", 0.01)
    async with serve() as client, listening(client) as events:
        assert [await anext(events) for _ in range(2)] == [
            ("comment", ": still here")
        ] * 2


async def test_a_listener_that_hangs_up_is_forgotten(serve: Callable, house: House):
    async with serve() as client:
        async with listening(client):
            assert len(house.news._listeners) == 1
        await until(lambda: not house.news._listeners)


async def test_a_stream_ends_when_the_server_stops(serve: Callable, house: House):
    async with serve() as client, listening(client) as events:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        house.stopping.set()
        assert [event async for event in events] == []
        assert loop.time() - begun_s < 1
    assert not house.news._listeners
