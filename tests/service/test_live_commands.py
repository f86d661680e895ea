"""A running agent, followed and told what to do from a terminal."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from servers import Broker, RedisServer
from waiting import until

pytestmark = pytest.mark.timeout(150)


@pytest.fixture
def config(redis_server: RedisServer, mosquitto: Broker, prefix: str) -> dict[str, Any]:
    gate = {"address": "simulated:seed=4&size=64&fps=8", "fps": 4, "chunk_frames": 4}
    return {
        "cameras": {"gate": gate},
        "mqtt": {"url": f"mqtt://{mosquitto.host}:{mosquitto.port}", "prefix": prefix},
        "archive": {"url": redis_server.url, "prefix": prefix},
    }


def chunks_of(told: list[dict[str, Any]]) -> set[str]:
    bodies = [each["body"] for each in told if each["topic"] == "gate/status"]
    return {body["last_chunk"] for body in bodies} - {""}


async def longwatch(service: Any, *arguments: str) -> str:
    """Run a command against the agent to its end; give what it printed."""
    done = await run(service, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def run(service: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", *arguments]
    return await asyncio.to_thread(
        subprocess.run,
        [*command, "--config", str(service.config)],
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_camera_is_paused_and_resumed_and_coverage_says_so(
    make_service: Callable[..., Any], config: dict[str, Any]
) -> None:
    service = make_service(config)
    await service.start()
    await service.until_chunks(3, "gate", timeout_s=30)

    async def is_paused() -> bool:
        states = await service.states()
        assert states["gate"]["when_behind"] == "drop_oldest"
        return bool(states["gate"]["state"] == "paused")

    assert await longwatch(service, "pause", "gate") == "gate is paused\n"
    await until(is_paused, timeout_s=10)
    refused = await run(service, "pause", "roof")
    assert refused.returncode == 2
    assert refused.stderr == "longwatch: no camera 'roof'; there are: gate\n"
    await asyncio.sleep(2)
    await asyncio.to_thread(service.end, signal.SIGTERM)
    await service.start()
    await until(is_paused, timeout_s=10)
    await asyncio.sleep(2)
    await longwatch(service, "resume", "gate")
    await service.until_chunks(2, "gate", timeout_s=30)
    answer = await service.ask("what was there?")
    gaps = [gap["kind"] for gap in answer["coverage"]["gaps"]]
    assert gaps == ["paused", "not_started", "paused"]


async def test_tail_tells_of_chunks_and_answers(
    make_service: Callable[..., Any], config: dict[str, Any]
) -> None:
    service = make_service(config)
    await service.start()
    command = [sys.executable, "-m", "agent", "tail", "--json"]
    tail = await asyncio.create_subprocess_exec(
        *command, "--config", str(service.config), stdout=subprocess.PIPE
    )
    assert tail.stdout is not None
    try:
        told: list[dict[str, Any]] = []
        asked = False
        async with asyncio.timeout(40):
            while not told or told[-1]["topic"] != "gate/last_answer":
                told.append(json.loads(await tail.stdout.readline()))
                if len(chunks_of(told)) >= 2 and not asked:
                    asked = True
                    said = await service.ask("what was there in the last hour?")
    finally:
        tail.kill()
        await tail.wait()
    assert told[-1]["body"]["answer"] == said["answer"]
    assert said["understood"]["words"] == "in the last hour"


async def test_standing_questions_are_set_listed_and_removed_and_outlive_a_restart(
    make_service: Callable[..., Any], config: dict[str, Any]
) -> None:
    config["cameras"]["gate"]["watch"] = {"fire": {"question": "Is there a fire?"}}
    service = make_service(config)
    await service.start()

    async def listed() -> dict[str, Any]:
        found = json.loads(await longwatch(service, "watch", "list", "--json"))
        return {each["name"]: each for each in found}

    async def is_listed(*names: str) -> bool:
        return set(await listed()) == set(names)

    await until(partial(is_listed, "fire"), timeout_s=20)
    await longwatch(service, "watch", "add", "gate", "plate", "Was #47 seen?")
    await until(partial(is_listed, "fire", "plate"), timeout_s=20)
    await asyncio.to_thread(service.end, signal.SIGTERM)
    await service.start()
    found = await listed()
    refused = await run(service, "watch", "remove", "gate", "fire")
    assert refused.returncode == 2
    assert "config" in refused.stderr
    assert found["plate"]["question"] == "Was #47 seen?"
    assert (found["plate"]["source"], found["fire"]["source"]) == ("set", "config")
    await longwatch(service, "watch", "remove", "gate", "plate")
    await until(partial(is_listed, "fire"), timeout_s=20)
