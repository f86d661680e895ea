from collections.abc import Callable

import pytest
from tiny_model import START_S

from agent.http.house import House
from agent.messages import to_iso
from memory.consolidation import consolidate
from memory.consolidator import FACTORS
from memory.errors import ArchiveUnavailableError
from memory.gaps import Gap
from memory.kv import ChunkId, Level

STARTS_MS = [round(START_S * 1000) + 4000 * n for n in range(3)]
CHUNKS = [ChunkId("door", start, start + 4000) for start in STARTS_MS]
WINDOW = {"camera": "door", "from": START_S - 10, "to": to_iso(START_S + 20)}


async def test_a_timeline_tells_what_was_watched_and_why_the_rest_was_not(
    serve: Callable, house: House
):
    house.gaps.add("door", Gap(STARTS_MS[0] - 10_000, STARTS_MS[0], "offline"))
    async with serve() as client:
        found = (await client.get("/api/timeline", params=WINDOW)).json()
    times = {"start": to_iso(START_S), "end": to_iso(START_S + 12)}
    assert found["watched"] == [times]
    assert [gap["kind"] for gap in found["gaps"]] == ["offline", "not_watched"]
    assert found["gaps"][0]["end"] == times["start"]
    assert [chunk["chunk"] for chunk in found["chunks"]] == [c.name for c in CHUNKS]
    assert {chunk["level"] for chunk in found["chunks"]} == {"low"}
    assert (found["is_thinned"], found["is_whole"]) == (False, True)
    assert found["alerts"] == []


async def test_the_detail_of_a_chunk_is_told(serve: Callable, house: House):
    store = house.store
    for chunk in CHUNKS[1:]:
        await store.archive.delete(chunk, Level.LOW)
    children = store.resident.nodes(["door"])[:2]
    assert store.resident.replace(children, consolidate(children, FACTORS))
    async with serve() as client:
        found = (await client.get("/api/timeline", params=WINDOW)).json()
    assert [c["level"] for c in found["chunks"]] == ["low", "summary", "high"]


async def test_the_chunk_that_comes_is_no_gap(serve: Callable, house: House):
    house.watchers["door"].source._record.note_frame(START_S + 13)
    async with serve() as client:
        found = (await client.get("/api/timeline", params={"camera": "door"})).json()
    assert found["watched"][-1]["end"] == to_iso(START_S + 12)
    assert found["gaps"] == []


async def test_too_many_chunks_are_left_out(serve: Callable):
    async with serve() as client:
        found = (
            await client.get("/api/timeline", params={**WINDOW, "buckets": 2})
        ).json()
    assert (found["chunks"], found["is_thinned"]) == ([], True)
    assert len(found["watched"]) == 1


async def test_without_times_it_goes_from_the_first_that_is_known_until_now(
    serve: Callable,
):
    async with serve() as client:
        found = (await client.get("/api/timeline", params={"camera": "door"})).json()
        empty = (await client.get("/api/timeline", params={"camera": "yard"})).json()
    assert found["from"] == to_iso(START_S)
    assert len(found["chunks"]) == 3
    assert empty["watched"] == empty["chunks"] == []


async def test_an_archive_that_is_away_is_told(serve: Callable, house: House):
    house.store.outage.begin(ArchiveUnavailableError("gone"))
    async with serve() as client:
        found = (await client.get("/api/timeline", params=WINDOW)).json()
    assert (found["is_whole"], found["chunks"]) == (False, [])
    assert len(found["watched"]) == 1


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"camera": "moon"}, 404, "unknown_camera"),
        ({}, 404, "unknown_camera"),
        ({"camera": "door", "from": "yesterday"}, 400, "bad_window"),
        ({"camera": "door", "from": "9", "to": "1"}, 400, "bad_window"),
        ({"camera": "door", "from": "nan"}, 400, "bad_window"),
        ({"camera": "door", "buckets": "0"}, 400, "bad_field"),
        ({"camera": "door", "buckets": "²"}, 400, "bad_field"),
    ],
)
async def test_what_can_not_be_read_is_refused(
    serve: Callable, query: dict[str, str], status: int, code: str
):
    async with serve() as client:
        response = await client.get("/api/timeline", params=query)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
