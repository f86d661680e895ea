import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from tiny_model import START_S
from waiting import until

from agent.http.house import House

ASKED = {"question": "where did #47 come from ?", "cameras": ["door"]}


async def events_of(response: httpx2.Response) -> AsyncIterator[tuple[str, Any]]:
    """Read server-sent events by hand: kind and data of each."""
    kind = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


async def test_a_question_is_answered_with_links_to_what_it_was_read_from(
    serve: Callable,
):
    async with serve() as client:
        response = await client.post("/api/ask", json={**ASKED, "id": "q-1"})
    answer = response.json()
    assert (response.status_code, answer["id"], answer["status"]) == (200, "q-1", "ok")
    best = answer["evidence"][0]
    path = f"/api/evidence/door/{best['chunk']}"
    assert (best["picture"], best["film_url"]) == (f"{path}/picture", None)
    assert answer["coverage"]["watched"][0]["camera"] == "door"


async def test_a_streamed_answer_is_its_deltas_and_comes_last(serve: Callable):
    async with serve() as client:
        whole = (await client.post("/api/ask", json=ASKED)).json()
        async with client.stream(
            "POST", "/api/ask", json={**ASKED, "stream": True}
        ) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            events = [each async for each in events_of(response)]
    *deltas, (last, answer) = events
    assert last == "answer"
    assert {kind for kind, _ in deltas} == {"delta"}
    assert [data["seq"] for _, data in deltas] == list(range(len(deltas)))
    assert "".join(data["text"] for _, data in deltas) == answer["answer"]
    assert answer["answer"] == whole["answer"]


async def test_what_is_understood_comes_first_and_a_time_not_watched_is_told(
    serve: Callable,
):
    body = {"question": "what happened in the last ten minutes?"}
    accept = {"Accept": "text/event-stream"}
    async with (
        serve() as client,
        client.stream("POST", "/api/ask", json=body, headers=accept) as response,
    ):
        (first, understood), (last, answer) = [e async for e in events_of(response)]
    assert (first, last) == ("understood", "answer")
    assert understood["words"] == "in the last ten minutes"
    assert answer["status"] == "no_coverage"
    assert answer["understood"]["words"] == understood["words"]


async def test_no_coverage_is_an_answer_and_no_error(serve: Callable):
    times = {"from": START_S + 900, "to": START_S + 960}
    async with serve() as client:
        response = await client.post("/api/ask", json={**ASKED, **times})
    assert response.status_code == 200
    assert response.json()["status"] == "no_coverage"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "not_json"),
        (b"who came?", 400, "not_json"),
        (b"[]", 400, "not_json"),
        (b'{"question": "\xff"}', 400, "not_text"),
        (b'{"question": " "}', 400, "empty"),
        (b'{"question": "q", "colour": 1}', 400, "unknown_field"),
        (b'{"question": "q", "top_k": 0}', 400, "bad_field"),
        (b'{"question": "q", "from": 9, "to": 1}', 400, "bad_window"),
        (b'{"question": "q", "cameras": ["moon"]}', 400, "unknown_camera"),
        (b'{"question": "q", "response_topic": "a/b"}', 400, "unknown_field"),
        (b'{"question": "%b"}' % (b"a" * 20_000), 413, "too_long"),
        (b'{"question": "%b"}' % (b"a" * 70_000), 413, "too_large"),
    ],
)
async def test_a_malformed_question_is_refused_by_name(
    serve: Callable, body: bytes, status: int, code: str
):
    headers = {"Content-Type": "application/json"}
    async with serve() as client:
        response = await client.post("/api/ask", content=body, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_a_body_of_unknown_length_is_bounded_too(serve: Callable):
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"a" * 20_000

    async with serve() as client:
        response = await client.post(
            "/api/ask", content=parts(), headers={"Content-Type": "application/json"}
        )
    assert (response.status_code, response.json()["error"]["code"]) == (
        413,
        "too_large",
    )


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_client_that_hangs_up_calls_its_question_off(
    serve: Callable, house_of: Callable[..., House], slow: Any, is_streamed: bool
):
    async with serve(house_of(slow)) as client:
        body = {**ASKED, "stream": is_streamed}
        asking = asyncio.create_task(client.post("/api/ask", json=body))
        await until(lambda: slow.asked)
        asking.cancel()
        await until(lambda: slow.cancelled == 1)


async def test_a_question_is_called_off_by_its_id(
    serve: Callable, house_of: Callable[..., House], slow: Any
):
    json_kind = {"Content-Type": "application/json"}
    async with serve(house_of(slow)) as client:
        asking = asyncio.create_task(client.post("/api/ask", json={**ASKED, "id": "a"}))
        await until(lambda: slow.asked)
        off = await client.post("/api/ask/a/cancel", headers=json_kind)
        assert off.json() == {"cancelled": True}
        response = await asking
        assert (response.status_code, response.json()["error"]["code"]) == (
            409,
            "cancelled",
        )
        off = await client.post("/api/ask/a/cancel", headers=json_kind)
        assert off.json() == {"cancelled": False}


async def test_a_server_that_stops_refuses_what_it_has_not_answered(
    serve: Callable, house_of: Callable[..., House], slow: Any
):
    house = house_of(slow)
    async with serve(house) as client:
        plain = asyncio.create_task(client.post("/api/ask", json=ASKED))
        await until(lambda: slow.asked)
        body = {**ASKED, "stream": True}
        async with client.stream("POST", "/api/ask", json=body) as response:
            events = events_of(response)
            assert await anext(events) == ("delta", {"seq": 0, "text": "It was"})
            house.stopping.set()
            kind, answer = await anext(events)
        assert (kind, answer["error"]["code"]) == ("answer", "shutting_down")
        assert (await plain).status_code == 503
    assert slow.cancelled == 2
