"""The whole agent while its archive hangs, is full, or is killed like the agent."""

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from outages import frozen, set_room
from redis.asyncio import Redis
from servers import Broker, RedisServer
from waiting import until

pytestmark = pytest.mark.timeout(150)

SECONDS = {
    "address": "simulated:seed=4&size=64&fps=8",
    "fps": 8,
    "chunk_frames": 8,
}


@pytest.fixture
async def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A server that keeps what it has acknowledged."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    return await asyncio.to_thread(start_redis, *options)


@pytest.fixture
def config(server: RedisServer, mosquitto: Broker, prefix: str) -> dict[str, Any]:
    """A camera whose chunks are shorter than the archive's time-out."""
    return {
        "cameras": {"gate": SECONDS},
        "mqtt": {"url": f"mqtt://{mosquitto.host}:{mosquitto.port}", "prefix": prefix},
        "archive": {"url": server.url, "prefix": prefix, "timeout_s": 2},
    }


async def archived(server: RedisServer) -> list[str]:
    """The chunks of the camera, in the order of the archive's timeline."""
    async with Redis.from_url(server.url) as client:
        [key] = await client.keys("*:timeline")
        return [name.decode() for name in await client.zrange(key, 0, -1)]


async def until_archived(service: Any, server: RedisServer, least: int) -> None:
    """Return once whatever was reported remembered so far is in the archive."""
    reported = await asyncio.to_thread(service.remembered, "gate")
    assert len(reported) == len(set(reported)) >= least
    assert reported == sorted(reported)

    async def is_archived() -> bool:
        return set(reported) <= set(await archived(server))

    await until(is_archived, timeout_s=20)


async def test_an_archive_that_hangs_costs_neither_chunks_nor_time(
    make_service: Callable[..., Any], config: dict[str, Any], server: RedisServer
) -> None:
    service = make_service(config)
    await service.start()
    await service.until_chunks(6, "gate", timeout_s=30)
    with frozen(server):

        async def is_noticed() -> bool:
            return (await service.states())["gate"]["archive_is_away"]

        await until(is_noticed, timeout_s=20)
        began = time.monotonic()
        answer = await service.ask("what was first?", top_k=64)
        assert time.monotonic() - began < 2
        assert answer["status"] == "partial"
        assert answer["degraded"] == ["archive_unavailable"]
        before = (await service.states())["gate"]["chunks"]
        await service.until_chunks(before + 8, "gate", timeout_s=20)
        state = (await service.states())["gate"]
        assert (state["dropped"], state["lost"], state["spool_dropped"]) == (0, 0, 0)
    await until_archived(service, server, 14)


async def test_a_full_archive_costs_neither_chunks_nor_detail(
    make_service: Callable[..., Any], config: dict[str, Any], server: RedisServer
) -> None:
    service = make_service(config)
    await service.start()
    await service.until_chunks(4, "gate", timeout_s=30)
    await set_room(server, 1)

    async def are_spooled() -> bool:
        return (await service.states())["gate"]["spooled"] >= 6

    await until(are_spooled, timeout_s=20)
    answer = await service.ask("what was first?", top_k=64)
    assert answer["status"] == "ok"
    assert {found["level"] for found in answer["evidence"]} == {"low"}
    assert not (await service.states())["gate"]["archive_is_away"]
    await set_room(server, 0)
    await until_archived(service, server, 10)


async def test_agent_and_archive_killed_in_turns_lose_nothing_that_was_reported(
    make_service: Callable[..., Any], config: dict[str, Any], server: RedisServer
) -> None:
    service = make_service(config)
    await service.start()
    await service.until_chunks(4, "gate", timeout_s=30)
    await asyncio.to_thread(server.kill)

    async def are_spooled() -> bool:
        return (await service.states())["gate"]["spooled"] >= 3

    await until(are_spooled, timeout_s=20)
    await asyncio.to_thread(service.end, signal.SIGKILL)
    await service.start()
    answer = await service.ask("what was first?")
    assert answer["degraded"] == ["archive_unavailable"]
    await service.until_chunks(2, "gate", timeout_s=30)

    await asyncio.to_thread(server.start)
    await until_archived(service, server, 9)
    await asyncio.to_thread(service.end, signal.SIGKILL)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    reported = await asyncio.to_thread(service.remembered, "gate")
    spool = service.config.parent / "data" / "spool"
    files = await asyncio.to_thread(lambda: list(spool.rglob("*.chunk")))
    waiting = {file.name.partition(".")[0] for file in files}
    assert set(reported) <= waiting | set(await archived(server))


async def test_two_agents_with_an_archive_of_ones_own_do_not_share_a_spool(
    make_service: Callable[..., Any], config: dict[str, Any]
) -> None:
    first = make_service(config)
    await first.start()
    data = str(first.config.parent / "data")
    second = make_service({**config, "data_dir": data}, "b")
    await asyncio.to_thread(second._start)
    await until(lambda: second._process.poll() is not None, timeout_s=40)
    assert second._process.returncode == 2
    assert "another agent" in await asyncio.to_thread(second.log.read_text)
