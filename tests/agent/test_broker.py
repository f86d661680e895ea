import asyncio
import json

import aiomqtt
import pytest
from waiting import until

from agent.asker import ask
from agent.broker import EmbeddedBroker
from agent.errors import BrokerStartError
from agent.messages import Answer
from agent.mqtt import MqttBus
from agent.mqtt_settings import MqttSettings, Version


async def answer_all(bus: MqttBus) -> None:
    async for question in bus.questions():
        bus.answer(question, Answer(question.id, question.text, "red", "ok"))


@pytest.mark.parametrize("version", ["3.1.1", "auto"])
async def test_question_is_answered_over_the_embedded_broker(version: Version) -> None:
    before = asyncio.all_tasks()
    async with EmbeddedBroker(0) as broker:
        settings = MqttSettings(broker.url, version=version)
        async with (
            MqttBus(settings, cameras=["door"]) as bus,
            asyncio.TaskGroup() as group,
        ):
            task = group.create_task(answer_all(bus))
            async with asyncio.timeout(10):
                await bus.connected()
            known = MqttSettings(broker.url, version="3.1.1")
            answers = [await ask(known, f"What {n}?", deadline_s=10) for n in range(3)]
            assert [answer["answer"] for answer in answers] == ["red"] * 3
            bus.publish_camera_status("door", {"state": "online"})
            body = {"question": "who?", "colour": 1}
            refused = await ask(known, body, camera="door", deadline_s=10)
            assert refused["error"]["code"] == "unknown_field"
            task.cancel()
    assert asyncio.all_tasks() <= before


async def test_retained_status_reaches_who_comes_later() -> None:
    async with EmbeddedBroker(0) as broker:
        settings = MqttSettings(broker.url, version="3.1.1")
        async with MqttBus(settings, cameras=["door"]) as bus, asyncio.timeout(10):
            await bus.connected()
            port = int(broker.url.rpartition(":")[2])
            async with aiomqtt.Client("127.0.0.1", port) as client:
                await client.subscribe("longwatch/status", qos=1)
                message = await anext(client.messages)
                assert (message.payload, message.retain) == (b"online", True)
                await client.publish("longwatch/ask", json.dumps({"id": "x"}), qos=1)
            await asyncio.sleep(0)


async def test_bus_finds_an_embedded_broker_that_was_restarted() -> None:
    async with EmbeddedBroker(0) as broker:
        port = int(broker.url.rpartition(":")[2])
        settings = MqttSettings(broker.url, version="3.1.1")
        bus = MqttBus(settings, cameras=["door"])
        await bus.__aenter__()
        await bus.connected()
    try:
        async with EmbeddedBroker(port), asyncio.timeout(10):
            await until(lambda: bus.counts["reconnects"] > 0)
            await bus.connected()
    finally:
        await bus.__aexit__(None, None, None)


async def test_taken_port_is_a_named_error() -> None:
    async with EmbeddedBroker(0) as broker:
        port = int(broker.url.rpartition(":")[2])
        with pytest.raises(BrokerStartError, match=f"port {port}.*in use") as caught:
            await EmbeddedBroker(port).__aenter__()
        assert caught.value.port == port


async def test_client_that_hangs_up_early_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with EmbeddedBroker(0) as broker:
        port = int(broker.url.rpartition(":")[2])
        for greeting in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x10\x04\x00\x04"):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(greeting)
            writer.close()
            await writer.wait_closed()
        async with aiomqtt.Client("127.0.0.1", port):
            pass
        await asyncio.sleep(0)
    assert caplog.text == ""
