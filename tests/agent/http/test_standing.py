from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.http.house import House
from agent.http.settings import Rights, Token
from agent.messages import Evidence
from agent.standing.alert import Alert
from agent.standing.budget import Budget
from agent.standing.checker import Checker
from agent.standing.definition import StandingQuestion
from agent.standing.judging import Judge
from agent.standing.keeping import Kept, StandingFile
from agent.standing.questions import StandingQuestions

MASTER = Token("m" * 20, Rights("master"))
GUEST = Token("g" * 20, Rights("guest", frozenset({"yard"}), watch=False))
FIRE = {"question": "is there a fire?"}


CHUNK = "1790000000000-1790000004000"
ALERT = Alert(
    "fire",
    "door",
    "is there a fire?",
    1_790_000_004.0,
    3.0,
    (Evidence("door", CHUNK, 1_790_000_000.0, 1_790_000_004.0, 3.0, "low"),),
)


@pytest.fixture
async def watched(house_of: Callable[..., House], tmp_path: Path) -> House:
    """A house whose standing questions have found a fire at each camera, once."""
    file = StandingFile(tmp_path / "standing.json")
    alerts = tuple(replace(ALERT, camera=name) for name in ("door", "yard"))
    await file.write(Kept(alerts=alerts))
    never: Any = None  # nothing is checked here
    checker = Checker(Judge(never, never, never, Budget(0.1)), never)
    standing = StandingQuestions(checker, file, lambda *_: None)
    await standing.load([StandingQuestion("yard", "smoke", "is there smoke?")])
    return house_of(standing=standing)


async def test_without_standing_questions_their_routes_say_so(serve: Callable):
    async with serve() as client:
        found = [
            await client.get("/api/watch"),
            await client.put("/api/watch/door/fire", json=FIRE),
            await client.delete("/api/watch/door/fire"),
            await client.get("/api/alerts"),
        ]
    assert [response.status_code for response in found] == [503] * 4
    assert {r.json()["error"]["code"] for r in found} == {"not_available"}


async def test_they_are_set_listed_and_removed(serve: Callable, watched: House):
    async with serve(watched) as client:
        statuses = [
            (await client.put("/api/watch/door/fire", json=FIRE)).status_code
            for _ in range(2)
        ]
        assert statuses == [201, 200]
        refused = await client.put("/api/watch/door/fire", json={"colour": 1})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "empty")
        listed = (await client.get("/api/watch")).json()
        assert (listed["checks"]["checked"], listed["checks"]["skipped"]) == (0, 0)
        [fire, smoke] = listed["watches"]
        assert (fire["camera"], fire["name"], fire["source"]) == ("door", "fire", "set")
        assert fire["question"] == FIRE["question"]
        assert smoke["source"] == "config"
        assert (await client.get("/api/cameras")).json()["can"]["watch"]
        [alert] = (await client.get("/api/alerts?camera=door")).json()["alerts"]
        link = f"/api/evidence/door/{CHUNK}/picture"
        assert alert["evidence"][0]["picture"] == link
        early = await client.get("/api/alerts?camera=door&from=1&to=2")
        assert early.json()["alerts"] == []
        statuses = [
            (await client.delete("/api/watch/door/fire")).status_code for _ in range(2)
        ]
        assert statuses == [204, 404]
        configured = await client.delete("/api/watch/yard/smoke")
        assert configured.status_code == 409


async def test_a_camera_has_so_many_and_no_more(serve: Callable, watched: House):
    async with serve(watched) as client:
        statuses = [
            (await client.put(f"/api/watch/door/fire-{n}", json=FIRE)).status_code
            for n in range(17)
        ]
    assert statuses == [201] * 16 + [409]


async def test_rights_are_kept_to(serve: Callable, watched: House):
    guest = {"Authorization": f"Bearer {GUEST.secret}"}
    async with serve(watched, tokens=[MASTER, GUEST], token=MASTER.secret) as client:
        for camera in ("door", "yard"):
            await client.put(f"/api/watch/{camera}/fire", json=FIRE)
        for path in ("watch", "alerts"):
            body = (await client.get(f"/api/{path}", headers=guest)).json()
            found = next(iter(body.values()))
            assert {each["camera"] for each in found} == {"yard"}
        hidden = await client.get("/api/alerts?camera=door", headers=guest)
        assert hidden.status_code == 404
        path = "/api/watch/yard/fire"
        assert (await client.put(path, json=FIRE, headers=guest)).status_code == 403
        assert (await client.delete(path, headers=guest)).status_code == 403
