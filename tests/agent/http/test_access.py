import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from waiting import until

from agent.http.access import WRONG_PER_MINUTE
from agent.http.house import House
from agent.http.settings import HttpSettings, Rights, Token

MASTER, GUEST, DEAF = "m" * 20, "g" * 20, "d" * 20
TOKENS = (
    Token(MASTER, Rights("master")),
    Token(GUEST, Rights("guest", frozenset({"yard"}), watch=False, pause=False)),
    Token(DEAF, Rights("deaf", ask=False)),
)
ASKED = {"question": "who came?", "cameras": ["door"]}
PRIVATE = ["/api/health", "/api/cameras", "/api/cameras/door/picture", "/nothing"]


@pytest.mark.parametrize("path", PRIVATE)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer " + "x" * 20},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {MASTER}"},
        {"Cookie": f"longwatch_token={MASTER}"},
    ],
)
async def test_without_a_token_that_is_known_nothing_is_told(
    serve: Callable, path: str, headers: dict[str, str]
):
    async with serve(tokens=TOKENS) as client:
        response = await client.get(path, headers=headers)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "unauthorized"
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_opens_what_it_is_good_for(serve: Callable):
    async with serve(tokens=TOKENS, token=MASTER) as client:
        found = (await client.get("/api/cameras")).json()
        assert [camera["name"] for camera in found["cameras"]] == ["door", "yard"]
        assert found["can"] == {"ask": True, "watch": False, "pause": True}
        assert (await client.get("/nothing")).status_code == 404
        assert (await client.post("/api/cameras")).status_code == 405
        health = (await client.get("/api/health")).json()
    assert health["cameras"] == {"starting": 2}
    assert health["model"] == "tiny"


async def test_a_camera_that_may_not_be_seen_is_as_if_it_were_not_there(
    serve: Callable, house: House, jpeg: bytes
):
    for watcher in house.watchers.values():
        watcher.picture = jpeg
    async with serve(tokens=TOKENS, token=GUEST) as client:
        found = (await client.get("/api/cameras")).json()
        assert [camera["name"] for camera in found["cameras"]] == ["yard"]
        hidden = await client.get("/api/cameras/door/picture")
        missing = await client.get("/api/cameras/moon/picture")
        assert hidden.status_code == missing.status_code == 404
        assert hidden.text.replace("door", "moon") == missing.text
        assert (await client.get("/api/cameras/yard/picture")).content == jpeg
        asked = await client.post("/api/ask", json=ASKED)
        assert (asked.status_code, asked.json()["error"]["message"]) == (
            400,
            "no camera 'door'; there are: yard",
        )


async def test_a_question_that_names_no_camera_is_about_those_that_may_be_seen(
    serve: Callable, house_of: Callable[..., House], slow: Any
):
    slow.let.set()
    house = house_of(slow)
    body = {"question": "who came?", "conversation": "c"}
    async with serve(house, tokens=TOKENS, token=GUEST) as client:
        await client.post("/api/ask", json=body)
    async with serve(house_of(slow), tokens=TOKENS, token=MASTER) as client:
        await client.post("/api/ask", json=body)
    guest, master = slow.asked
    assert (guest.cameras, master.cameras) == (("yard",), ())
    assert guest.conversation != master.conversation  # nor are its turns another's


async def test_who_may_not_ask_or_pause_is_told_so(serve: Callable):
    async with serve(tokens=TOKENS, token=DEAF) as client:
        asked = await client.post("/api/ask", json=ASKED)
        off = await client.post("/api/ask/a/cancel")
    async with serve(tokens=TOKENS, token=GUEST) as client:
        paused = await client.post(
            "/api/cameras/yard/watching", json={"watching": False}
        )
    for response in (asked, off, paused):
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "not_allowed"


async def test_one_of_few_rights_calls_off_only_what_it_has_asked(
    serve: Callable, house_of: Callable[..., House], slow: Any
):
    house = house_of(slow)
    guest, master = ({"Authorization": f"Bearer {t}"} for t in (GUEST, MASTER))
    body = {"question": "who came?"}
    async with serve(house, tokens=TOKENS) as client:
        asking = [
            asyncio.create_task(
                client.post("/api/ask", json={**body, "id": id}, headers=headers)
            )
            for id, headers in (("a", master), ("b", guest))
        ]
        await until(lambda: len(slow.asked) == 2)
        off = [await client.post(f"/api/ask/{i}/cancel", headers=guest) for i in "ab"]
        assert [o.json()["cancelled"] for o in off] == [False, True]
        off = await client.post("/api/ask/a/cancel", headers=master)
        assert off.json()["cancelled"]
        assert [(await task).status_code for task in asking] == [409, 409]


async def test_a_browser_logs_in_by_a_cookie_that_is_not_the_token(serve: Callable):
    async with serve(tokens=TOKENS) as client:
        wrong = await client.post("/api/login", json={"token": "x" * 20})
        assert wrong.status_code == 401
        right = await client.post("/api/login", json={"token": GUEST})
        assert right.json() == {"name": "guest"}
        cookie = right.headers["set-cookie"]
        assert GUEST not in cookie
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
        found = (await client.get("/api/cameras")).json()
        assert [camera["name"] for camera in found["cameras"]] == ["yard"]
        await client.post("/api/logout", json={})
        assert (await client.get("/api/cameras")).status_code == 401


@pytest.mark.parametrize("body", [{}, {"token": 1}, {"token": "a", "b": 1}, []])
async def test_a_malformed_login_is_refused(serve: Callable, body: Any):
    async with serve(tokens=TOKENS) as client:
        response = await client.post("/api/login", json=body)
    assert response.status_code == 400


async def test_a_name_made_to_point_here_is_refused_without_tokens(serve: Callable):
    async with serve() as client:
        port = client.base_url.port
        for path in ("/", "/healthz", "/api/cameras"):
            evil = await client.get(path, headers={"Host": f"evil.example:{port}"})
            assert (evil.status_code, evil.json()["error"]["code"]) == (
                403,
                "wrong_host",
            )
        for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
            response = await client.get("/healthz", headers={"Host": host})
            assert response.json() == {"status": "ok"}


async def test_another_site_can_have_nothing_done(serve: Callable):
    body = b'{"question": "q"}'
    async with serve() as client:
        form = await client.post(
            "/api/ask", content=body, headers={"Content-Type": "text/plain"}
        )
        assert (form.status_code, form.json()["error"]["code"]) == (400, "not_json")
        headers = {
            "Content-Type": "application/json",
            "Origin": "https://evil.example",
        }
        other = await client.post("/api/ask", content=body, headers=headers)
        assert (other.status_code, other.json()["error"]["code"]) == (
            403,
            "wrong_origin",
        )
        headers["Origin"] = str(client.base_url).rstrip("/")
        own = await client.post("/api/ask", content=body, headers=headers)
        assert own.status_code == 200


async def test_each_token_may_ask_only_so_often(serve: Callable):
    async with serve(tokens=TOKENS, token=MASTER, per_minute=3) as client:
        statuses = [(await client.get("/api/cameras")).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        guest = {"Authorization": f"Bearer {GUEST}"}
        assert (await client.get("/api/cameras", headers=guest)).status_code == 200
        refused = await client.get("/api/cameras")
    assert refused.headers["retry-after"] == "20"
    assert refused.json()["error"]["code"] == "too_often"


async def test_guessing_tokens_is_slow_and_locks_nobody_out(serve: Callable):
    async with serve(tokens=TOKENS, token="x" * 20) as client:
        statuses = [
            (await client.get("/api/cameras")).status_code
            for _ in range(WRONG_PER_MINUTE + 1)
        ]
        assert statuses == [401] * WRONG_PER_MINUTE + [429]
        right = {"Authorization": f"Bearer {MASTER}"}
        assert (await client.get("/api/cameras", headers=right)).status_code == 200


async def test_no_token_is_logged_or_shown(
    serve: Callable, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    async with serve(tokens=TOKENS, token=MASTER) as client:
        await client.get("/api/cameras")
        await client.get("/api/cameras", headers={"Authorization": f"Bearer {GUEST}x"})
    own = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert own
    assert not [r for r in own if MASTER in r.getMessage() or GUEST in r.getMessage()]
    assert MASTER not in repr(HttpSettings(tokens=TOKENS))


async def test_every_response_is_guarded(serve: Callable):
    async with serve(tokens=TOKENS) as client:
        for path in ("/healthz", "/api/cameras", "/nothing"):
            headers = (await client.get(path)).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "server" not in headers


def test_a_server_for_others_needs_a_token():
    with pytest.raises(ValueError, match=r"0\.0\.0\.0 needs a token"):
        HttpSettings(host="0.0.0.0")
    assert HttpSettings(host="0.0.0.0", tokens=TOKENS).host == "0.0.0.0"
