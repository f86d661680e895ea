"""The bus on a real mosquitto, and a client that knows only the protocol."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.messages import Answer, Question
from agent.mqtt import MqttBus
from agent.mqtt_settings import MqttSettings

WAIT_S = 10.0


def reply_properties(topic: str, correlation: bytes) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = topic
    properties.CorrelationData = correlation
    return properties


class Asker:
    """A foreign client; keeps the messages of the topics it was told to read."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def ask(self, topic: str, payload: bytes | str, **options: Any) -> None:
        await self._client.publish(topic, payload, qos=1, **options)

    async def listen(self, topic: str) -> None:
        await self._client.subscribe(topic, qos=1)

    async def next_message(self) -> aiomqtt.Message:
        async with asyncio.timeout(WAIT_S):
            return await anext(self._client.messages)

    async def next_body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads((await self.next_message()).payload)
        return body

    async def wait_for(self, payload: bytes) -> None:
        async with asyncio.timeout(WAIT_S):
            while (await self.next_message()).payload != payload:
                pass


@contextlib.asynccontextmanager
async def asker(broker: Any, version: str = "5") -> AsyncIterator[Asker]:
    protocols = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
    async with aiomqtt.Client(
        str(broker.socket), transport="unix", protocol=protocols[version]
    ) as client:
        yield Asker(client)
        await asyncio.sleep(0)  # aiomqtt's cancelled read ends here


def settings_for(broker: Any, prefix: str, **changes: Any) -> MqttSettings:
    return MqttSettings(f"unix://{broker.socket}", prefix, **changes)


@contextlib.asynccontextmanager
async def running_bus(
    broker: Any, prefix: str, **changes: Any
) -> AsyncIterator[MqttBus]:
    """A connected bus; nothing of it may be left afterwards."""
    before = asyncio.all_tasks()
    settings = settings_for(broker, prefix, **changes)
    async with MqttBus(settings, cameras=["door", "yard"]) as bus:
        async with asyncio.timeout(WAIT_S):
            await bus.connected()
        yield bus
    assert asyncio.all_tasks() <= before


async def next_question(bus: MqttBus) -> Question:
    async with asyncio.timeout(WAIT_S):
        return await anext(bus.questions())


def reply_red(bus: MqttBus, question: Question) -> None:
    bus.answer(question, Answer(question.id, question.text, "red", "ok"))


async def answer_all(bus: MqttBus) -> None:
    async for question in bus.questions():
        reply_red(bus, question)


@contextlib.asynccontextmanager
async def answering(bus: MqttBus) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(answer_all(bus))
        yield
        task.cancel()
