from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_model import START_S

from agent.http.house import House
from agent.http.settings import Rights, Token
from ingest.films import name_of
from memory.errors import ArchiveUnavailableError

FIRST = f"{int(START_S * 1e3)}-{int(START_S * 1e3) + 4000}"
FILM = bytes(range(256)) * 40


@pytest.fixture
def recorded(house_of: Callable[..., House], tmp_path: Path) -> House:
    """A house whose camera `door` was recorded, from two seconds before it began."""
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / name_of(START_S - 2, START_S + 30)).write_bytes(FILM)
    return house_of(recordings={"door": folder})


async def test_evidence_has_a_picture_and_a_place_in_a_film(
    serve: Callable, recorded: House, jpeg: bytes
):
    path = f"/api/evidence/door/{FIRST}"
    async with serve(recorded) as client:
        found = (await client.get(path)).json()
        picture = await client.get(found["picture"])
        asked = {"question": "where ?", "cameras": ["door"]}
        answer = (await client.post("/api/ask", json=asked)).json()
    assert found == {
        "camera": "door",
        "chunk": FIRST,
        "start": "2026-09-21T14:13:20.000Z",
        "end": "2026-09-21T14:13:24.000Z",
        "picture": f"{path}/picture",
        "film": f"{path}/film",
        "film_offset_s": 2.0,
    }
    assert (picture.content, picture.headers["content-type"]) == (jpeg, "image/jpeg")
    assert "immutable" in picture.headers["cache-control"]
    assert answer["evidence"][0]["film_url"].endswith("/film")


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        (None, 200, FILM),
        ("bytes=0-99", 206, FILM[:100]),
        ("bytes=10000-", 206, FILM[10000:]),
        ("bytes=-5", 206, FILM[-5:]),
        ("bytes=99999-", 416, None),
    ],
)
async def test_a_film_comes_in_the_parts_that_are_asked_for(
    serve: Callable, recorded: House, wanted: str | None, status: int, part: bytes
):
    headers = {"Range": wanted} if wanted else {}
    async with serve(recorded) as client:
        film = await client.get(f"/api/evidence/door/{FIRST}/film", headers=headers)
    assert film.status_code == status
    if part is not None:
        assert film.content == part
        assert film.headers["content-type"] == "video/mp4"
        assert film.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    "chunk",
    ["nothing", "1-2", "0000000000005-0000000000001", "0000000000001-0000000000005"],
)
async def test_a_chunk_that_is_not_there_is_not_found(serve: Callable, chunk: str):
    async with serve() as client:
        for end in ("", "/picture", "/film"):
            response = await client.get(f"/api/evidence/door/{chunk}{end}")
            assert response.status_code == 404
            assert response.json()["error"]["code"]


async def test_a_camera_that_may_not_be_seen_shows_nothing(
    serve: Callable, recorded: House
):
    guest = Token("g" * 20, Rights("guest", frozenset({"yard"})))
    async with serve(recorded, tokens=[guest], token=guest.secret) as client:
        for end in ("", "/picture", "/film"):
            response = await client.get(f"/api/evidence/door/{FIRST}{end}")
            assert response.json()["error"]["code"] == "unknown_camera"


async def test_nothing_is_waited_for_while_the_archive_is_away(
    serve: Callable, house: House
):
    house.store.outage.begin(ArchiveUnavailableError("gone"))
    async with serve() as client:
        for end in ("", "/picture"):
            response = await client.get(f"/api/evidence/door/{FIRST}{end}")
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "archive_unavailable"
