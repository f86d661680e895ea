"""The whole agent as users run it: real broker, real archive, real video."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from servers import Broker, RedisServer
from waiting import until

from agent.asker import ask
from agent.messages import Delta
from memory.kv import ChunkId

pytestmark = pytest.mark.timeout(120)

CLIP_SECONDS = {
    "one-by-one-person-detection": 139.4,
    "car-detection": 30.1,
    "bottle-detection": 39.8,
}
SIMULATED = "simulated:seed=4&size=64&fps=2&backlog_s=80&speed=20"


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def camera(address: object, **fields: object) -> dict[str, Any]:
    return {"address": str(address), "fps": 2, **fields}


@pytest.fixture
def broker(mosquitto: Broker, prefix: str) -> dict[str, Any]:
    """The broker's part of a config."""
    return {"url": f"mqtt://{mosquitto.host}:{mosquitto.port}", "prefix": prefix}


@pytest.fixture
def archive(redis_server: RedisServer, prefix: str) -> dict[str, Any]:
    """The archive's part of a config."""
    return {"url": redis_server.url, "prefix": prefix, "timeout_s": 2}


async def test_real_clips_over_rtsp_are_watched_and_asked_about(
    clips: Path,
    serve_rtsp: Callable[[Path], Any],
    make_service: Callable[..., Any],
    broker: dict[str, Any],
    archive: dict[str, Any],
) -> None:
    server = await asyncio.to_thread(serve_rtsp, clips)
    names = {name.split("-", maxsplit=1)[0]: name for name in CLIP_SECONDS}
    cameras = {
        short: camera(server.url(f"{name}.mp4"), chunk_frames=4)
        for short, name in names.items()
    }
    began_s = time.time()
    service = make_service({"cameras": cameras, "mqtt": broker, "archive": archive})
    await service.start()
    await service.until_chunks(3, *cameras, timeout_s=60)

    for short, name in names.items():
        answer = await service.ask("What is in front of the camera?", cameras=[short])
        assert answer["status"] == "ok"
        assert answer["evidence"]
        for found in answer["evidence"]:
            assert found["camera"] == short
            assert found["level"] == "low"
            start, end = seconds(found["start"]), seconds(found["end"])
            assert began_s - 5 <= start < end <= time.time() + 1
            assert end - began_s <= CLIP_SECONDS[name] + 5
        assert answer["tokens"]["context"] > answer["tokens"]["low"] > 0
        assert answer["timings_ms"]["total"] > 0
    assert await asyncio.to_thread(service.end, signal.SIGTERM) == 0
    assert (await service.states())[""]["state"] == "offline"


async def test_nothing_reported_remembered_is_lost_by_kill_9(
    make_service: Callable[..., Any], broker: dict[str, Any]
) -> None:
    gate = {"address": "simulated:seed=4&size=64&fps=8", "fps": 8, "chunk_frames": 4}
    service = make_service({"cameras": {"gate": gate}, "mqtt": broker})
    await service.start()
    await service.until_chunks(12, "gate", timeout_s=30)
    await asyncio.to_thread(service.end, signal.SIGKILL)
    reported = await asyncio.to_thread(service.remembered, "gate")
    assert 12 <= len(reported) <= 64

    await service.start()
    last = ChunkId.parse("gate", reported[-1])
    before = {"to": last.end_ms / 1000 - 0.01}
    answer = await service.ask("What was that?", cameras=["gate"], top_k=64, **before)
    assert answer["degraded"] == []
    recalled = {e["chunk"] for e in answer["evidence"] if e["level"] == "low"}
    assert recalled == set(reported)


async def test_cameras_that_fail_are_named_and_the_others_go_on(
    make_service: Callable[..., Any],
    broker: dict[str, Any],
    archive: dict[str, Any],
    silent_port: int,
    tmp_path: Path,
) -> None:
    garbage = tmp_path / "garbage.mp4"
    await asyncio.to_thread(garbage.write_bytes, bytes(range(256)) * 99)
    limits = {"open_timeout_s": 1, "stall_timeout_s": 2}
    cameras = {
        "good": camera(SIMULATED),
        "unreadable": camera(garbage),
        "silent": camera(f"rtsp://user:secret@127.0.0.1:{silent_port}/x", **limits),
    }
    service = make_service({"cameras": cameras, "mqtt": broker, "archive": archive})
    await service.start()

    async def are_named() -> bool:
        found = await service.states()
        bad = [found.get(name, {}).get("error") for name in ("unreadable", "silent")]
        return all(bad) and found["good"]["chunks"] >= 3

    await until(are_named, timeout_s=40)
    found = await service.states()
    assert "Error" in found["unreadable"]["error"]
    assert found["silent"]["state"] in {"offline", "stalled"}
    assert "secret" not in str(found)
    assert "secret" not in await asyncio.to_thread(service.log.read_text)

    good = await service.ask("What was there?", cameras=["good"])
    assert good["status"] == "ok"
    nothing = await service.ask("What was there?", cameras=["silent"])
    assert nothing["status"] == "no_coverage"
    assert nothing["evidence"] == []


async def test_questions_that_can_not_be_read_get_a_named_error(
    make_service: Callable[..., Any], broker: dict[str, Any], archive: dict[str, Any]
) -> None:
    service = make_service(
        {"cameras": {"gate": camera(SIMULATED)}, "mqtt": broker, "archive": archive}
    )
    await service.start()
    await service.until_chunks(1, "gate", timeout_s=30)
    bad = {
        "empty": await service.ask("   "),
        "too_long": await service.ask("x" * (1 << 20)),
        "unknown_camera": await service.ask("who?", cameras=["nowhere"]),
        "unknown_field": await service.ask("who?", colour="red"),
    }
    for code, answer in bad.items():
        assert answer["status"] == "error"
        assert answer["error"]["code"] == code
    assert (await service.ask("and now?"))["status"] == "ok"


async def test_an_archive_that_goes_away_costs_detail_not_the_answer(
    make_service: Callable[..., Any],
    broker: dict[str, Any],
    start_redis: Callable[..., RedisServer],
    prefix: str,
) -> None:
    server = await asyncio.to_thread(start_redis)
    archive = {"url": server.url, "prefix": prefix, "timeout_s": 1}
    service = make_service(
        {"cameras": {"gate": camera(SIMULATED)}, "mqtt": broker, "archive": archive}
    )
    await service.start()
    await service.until_chunks(20, "gate", timeout_s=40)
    whole = await service.ask("what was first?", top_k=3)
    assert whole["degraded"] == []
    await asyncio.to_thread(server.kill)
    less = await service.ask("what was first?", top_k=3)
    assert less["status"] == "partial"
    assert less["degraded"] == ["archive_unavailable"]
    assert "high" in {found["level"] for found in less["evidence"]}
    before = (await service.states())["gate"]["chunks"]
    await service.until_chunks(before + 1, "gate", timeout_s=20)
    assert (await service.states())["gate"]["spooled"] >= 1


async def test_an_answer_is_streamed_over_the_embedded_broker(
    make_service: Callable[..., Any],
    archive: dict[str, Any],
    free_port: Callable[[], int],
) -> None:
    service = make_service(
        {
            "cameras": {"gate": camera(SIMULATED)},
            "mqtt": {"url": "embedded", "embedded_port": free_port()},
            "archive": archive,
        }
    )
    await service.start()
    await service.until_chunks(3, "gate", timeout_s=30)
    deltas: list[Delta] = []
    body = {"question": "What was there?", "id": "q-1"}
    answer = await ask(service.mqtt, body, deadline_s=20, on_delta=deltas.append)
    assert answer["status"] == "ok"
    assert answer["answer"] != ""
    assert "".join(delta.text for delta in deltas) == answer["answer"]
    assert [delta.seq for delta in deltas] == list(range(len(deltas)))

    command = [sys.executable, "-m", "agent", "ask", "What was there?", "--stream"]
    options = ["--json", "--config", str(service.config)]
    done = await asyncio.to_thread(
        subprocess.run, [*command, *options], capture_output=True, text=True
    )
    assert done.stderr.strip() == json.loads(done.stdout)["answer"] != ""


async def test_two_agents_do_not_share_a_data_directory(
    make_service: Callable[..., Any], broker: dict[str, Any]
) -> None:
    config = {"cameras": {"gate": camera(SIMULATED)}, "mqtt": broker}
    first = make_service(config)
    await first.start()
    second = make_service(
        {**config, "data_dir": str(first.config.parent / "data")}, "b"
    )
    await asyncio.to_thread(second._start)

    async def has_ended() -> bool:
        return second._process.poll() is not None

    await until(has_ended, timeout_s=20)
    assert second._process.returncode == 2
    assert "another agent" in (await asyncio.to_thread(second.log.read_text)).lower()
