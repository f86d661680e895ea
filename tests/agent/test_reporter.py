"""What the agent says unasked, as a client hears it that knows only the protocol."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bus_asker import Asker, asker, running_bus

from agent.home_assistant import discovery_topic
from agent.messages import Answer, answer_to_dict
from agent.mqtt import MqttBus
from agent.news import News
from agent.reporter import Reporter

JPEG = b"\xff\xd8\xff"


def make_reporter(bus: MqttBus, prefix: str, news: News, path: Path) -> Reporter:
    watchers: Any = {
        name: SimpleNamespace(camera=name, picture=JPEG) for name in ("door", "yard")
    }
    model: Any = SimpleNamespace(name="tiny")
    return Reporter(bus, prefix, watchers, model, news, path)


@asynccontextmanager
async def reporting(
    broker: Any, prefix: str, news: News, path: Path
) -> AsyncIterator[Reporter]:
    async with running_bus(broker, prefix) as bus:
        reporter = make_reporter(bus, prefix, news, path)
        task = asyncio.create_task(reporter.report_news())
        await asyncio.sleep(0)
        yield reporter
        task.cancel()
        await asyncio.wait([task])


async def hear(client: Asker, *topics: str) -> dict[str, bytes]:
    heard = {}
    while not heard.keys() >= set(topics):
        message = await client.next_message()
        heard[str(message.topic)] = bytes(message.payload)
    return heard


async def test_answers_pictures_and_alerts_are_published(
    mosquitto: Any, prefix: str, tmp_path: Path
):
    news = News()
    path = tmp_path / "announced.json"
    async with reporting(mosquitto, prefix, news, path), asker(mosquitto) as client:
        await client.listen(f"{prefix}/#")
        answer = answer_to_dict(Answer("q", "who?", "x" * 300, "ok"))
        news.tell("answer", {"cameras": ["door"], **answer})
        news.tell("chunk", {"camera": "yard"})
        news.tell("alert", {"camera": "door", "name": "red", "state": "a red car"})
        last, picture = f"{prefix}/door/last_answer", f"{prefix}/yard/picture"
        alerts, alert = f"{prefix}/door/alerts", f"{prefix}/door/last_alert"
        heard = await hear(client, last, picture, alerts, alert)
    said = json.loads(heard[last])
    assert (len(said["state"]), len(said["answer"])) == (255, 300)
    assert heard[picture] == JPEG
    assert json.loads(heard[alerts]) == json.loads(heard[alert])
    assert json.loads(heard[alert])["name"] == "red"
    assert f"{prefix}/yard/last_answer" not in heard


async def test_an_answer_about_all_cameras_is_the_last_of_each(
    mosquitto: Any, prefix: str, tmp_path: Path
):
    news = News()
    path = tmp_path / "announced.json"
    async with reporting(mosquitto, prefix, news, path), asker(mosquitto) as client:
        await client.listen(f"{prefix}/+/last_answer")
        answer = answer_to_dict(Answer("q", "who?", "nobody", "ok"))
        news.tell("answer", {"cameras": [], **answer})
        topics = [f"{prefix}/{name}/last_answer" for name in ("door", "yard")]
        assert set(await hear(client, *topics)) == set(topics)


async def test_a_camera_that_is_gone_is_taken_back_from_home_assistant(
    mosquitto: Any, prefix: str, tmp_path: Path
):
    path = tmp_path / "announced.json"
    await asyncio.to_thread(path.write_text, '["door", "roof"]')
    roof = discovery_topic(prefix, "roof")
    async with asker(mosquitto) as client:
        await client.ask(roof, "{}", retain=True)
        await client.ask(f"{prefix}/roof/status", "{}", retain=True)
        await client.listen("homeassistant/device/+/config")
        await hear(client, roof)
        async with reporting(mosquitto, prefix, News(), path) as reporter:
            reporter.announce()
            await reporter.take_back()
            door = discovery_topic(prefix, "door")
            heard = await hear(client, door, discovery_topic(prefix, "yard"), roof)
        assert heard[roof] == b""
        assert json.loads(heard[door])["device"]
    async with asker(mosquitto) as late:
        await late.listen("homeassistant/device/+/config")
        await late.listen(f"{prefix}/roof/#")
        await late.ask(f"{prefix}/roof/end", "")
        heard = await hear(late, f"{prefix}/roof/end")
    assert roof not in heard
    assert f"{prefix}/roof/status" not in heard
    kept = await asyncio.to_thread(path.read_text)
    assert json.loads(kept) == ["door", "yard"]


async def test_who_wants_home_assistant_no_more_takes_the_cameras_back(
    mosquitto: Any, prefix: str, tmp_path: Path
):
    path = tmp_path / "announced.json"
    topic = discovery_topic(prefix, "door")
    model: Any = SimpleNamespace()
    async with running_bus(mosquitto, prefix) as bus, asker(mosquitto) as client:
        watchers: Any = {"door": SimpleNamespace()}
        await client.listen(topic)
        for is_wanted in (True, False):
            reporter = Reporter(
                bus, prefix, watchers, model, News(), path, is_announced=is_wanted
            )
            reporter.announce()
            await reporter.take_back()
            heard = await hear(client, topic)
            assert bool(heard[topic]) == is_wanted
    assert await asyncio.to_thread(path.read_text) == "[]"
