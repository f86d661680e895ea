"""Why nobody was watching is known after whatever ended the agent."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest
from servers import Broker, RedisServer
from waiting import until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def config(
    redis_server: RedisServer, mosquitto: Broker, prefix: str, tmp_path: Any
) -> dict[str, Any]:
    """One camera that is there, and one whose file never comes."""
    gate = {"address": "simulated:seed=4&size=64&fps=8", "fps": 4, "chunk_frames": 4}
    return {
        "cameras": {"gate": gate, "cellar": {"address": str(tmp_path / "none.mp4")}},
        "mqtt": {"url": f"mqtt://{mosquitto.host}:{mosquitto.port}", "prefix": prefix},
        "archive": {"url": redis_server.url, "prefix": prefix},
    }


def kinds(answer: dict[str, Any], camera: str) -> set[str]:
    gaps = answer["coverage"]["gaps"]
    return {gap["kind"] for gap in gaps if gap["camera"] == camera}


async def test_reasons_survive_a_killed_agent(
    make_service: Callable[..., Any], config: dict[str, Any]
) -> None:
    service = make_service(config)
    await service.start()
    await service.until_chunks(3, "gate", timeout_s=30)

    async def is_told() -> bool:
        return "offline" in kinds(await service.ask("what was there?"), "cellar")

    await until(is_told, timeout_s=20)
    await asyncio.sleep(1.5)  # so that it is written, too
    await asyncio.to_thread(service.end, signal.SIGKILL)
    await asyncio.sleep(3)
    await service.start()
    await service.until_chunks(2, "gate", timeout_s=30)
    answer = await service.ask("what was there?")
    assert kinds(answer, "gate") == {"not_started"}
    assert kinds(answer, "cellar") == {"offline", "not_started"}
    [gap] = [g for g in answer["coverage"]["gaps"] if g["camera"] == "gate"]
    spans = [s for s in answer["coverage"]["watched"] if s["camera"] == "gate"]
    assert spans[0]["end"] == gap["start"]
