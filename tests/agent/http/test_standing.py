from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from agent.http.house import House
from agent.http.settings import Rights, Token

MASTER = Token("m" * 20, Rights("master"))
GUEST = Token("g" * 20, Rights("guest", frozenset({"yard"}), watch=False))
FIRE = {"question": "is there a fire?"}


class ListedStanding:
    """Remembers what is set and never asks it; every name has found something once."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], dict[str, Any]] = {}

    def states(self) -> Sequence[Mapping[str, Any]]:
        return list(self.kept.values())

    def alerts(
        self, cameras: Sequence[str], start_s: float | None, end_s: float | None
    ) -> Sequence[Mapping[str, Any]]:
        return [
            {"camera": camera, "name": name, "since_s": start_s, "until_s": end_s}
            for camera, name in self.kept
            if camera in cameras
        ]

    async def set(self, camera: str, name: str, body: Mapping[str, Any]) -> None:
        if set(body) != {"question"}:
            raise ValueError("question is needed")
        self.kept[camera, name] = {"camera": camera, "name": name, **body}

    async def remove(self, camera: str, name: str) -> bool:
        return self.kept.pop((camera, name), None) is not None


@pytest.fixture
def watched(house_of: Callable[..., House]) -> House:
    return house_of(standing=ListedStanding())


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
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            400,
            "bad_field",
        )
        listed = (await client.get("/api/watch")).json()
        assert listed == {"watches": [{"camera": "door", "name": "fire", **FIRE}]}
        assert (await client.get("/api/cameras")).json()["can"]["watch"]
        alerts = (await client.get("/api/alerts?camera=door&from=1&to=2")).json()
        assert alerts["alerts"] == [
            {"camera": "door", "name": "fire", "since_s": 1.0, "until_s": 2.0}
        ]
        statuses = [
            (await client.delete("/api/watch/door/fire")).status_code for _ in range(2)
        ]
        assert statuses == [204, 404]


async def test_rights_are_kept_to(serve: Callable, watched: House):
    guest = {"Authorization": f"Bearer {GUEST.secret}"}
    async with serve(watched, tokens=[MASTER, GUEST], token=MASTER.secret) as client:
        for camera in ("door", "yard"):
            await client.put(f"/api/watch/{camera}/fire", json=FIRE)
        for path in ("watch", "alerts"):
            body = (await client.get(f"/api/{path}", headers=guest)).json()
            [found] = next(iter(body.values()))
            assert found["camera"] == "yard"
        hidden = await client.get("/api/alerts?camera=door", headers=guest)
        assert hidden.status_code == 404
        path = "/api/watch/yard/fire"
        assert (await client.put(path, json=FIRE, headers=guest)).status_code == 403
        assert (await client.delete(path, headers=guest)).status_code == 403
