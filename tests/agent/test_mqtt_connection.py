"""A broker that dies, freezes or stays silent, and a bus that ends meanwhile."""

import asyncio
import json
import os
import signal
from typing import Any

import pytest
from bus_asker import (
    WAIT_S,
    answering,
    asker,
    next_question,
    reply_red,
    running_bus,
    settings_for,
)
from waiting import until

from agent.mqtt import MqttBus
from agent.mqtt_client import Dialer
from agent.mqtt_settings import MqttSettings


async def test_broker_that_restarts_gets_everything_again(
    start_mosquitto: Any, prefix: str
) -> None:
    broker = start_mosquitto()
    async with running_bus(broker, prefix) as bus:
        bus.publish_camera_status("door", {"state": "online"})
        async with asker(broker) as client:
            await client.ask(f"{prefix}/ask", json.dumps({"question": "1", "id": "a"}))
            question = await next_question(bus)
        broker.kill()
        await until(lambda: not bus.is_connected)
        reply_red(bus, question)  # waits in the outbox
        broker.start()
        async with asker(broker) as client, answering(bus):
            await client.listen(f"{prefix}/answers/+")
            await client.listen(f"{prefix}/status")
            await client.listen(f"{prefix}/door/status")
            async with asyncio.timeout(WAIT_S):
                await bus.connected()
            seen = {bytes((await client.next_message()).payload) for _ in range(3)}
            assert {b"online", b'{"state": "online"}'} < seen
            assert any(b'"answer": "red"' in payload for payload in seen)
            await client.ask(f"{prefix}/ask", json.dumps({"question": "2", "id": "b"}))
            assert (await client.next_body())["id"] == "b"


async def test_broker_that_freezes_and_thaws_is_no_loss(
    start_mosquitto: Any, prefix: str
) -> None:
    broker = start_mosquitto()
    async with (
        running_bus(broker, prefix) as bus,
        answering(bus),
        asker(broker) as client,
    ):
        await client.listen(f"{prefix}/answers/a")
        await client.listen(f"{prefix}/door/status")
        os.kill(broker.pid, signal.SIGSTOP)
        bus.publish_camera_status("door", {"state": "online"})
        body = json.dumps({"question": "1", "id": "a"})
        asking = asyncio.ensure_future(client.ask(f"{prefix}/ask", body))
        done, _ = await asyncio.wait([asking], timeout=0.2)
        assert not done
        os.kill(broker.pid, signal.SIGCONT)
        await asking
        bodies = [await client.next_body() for _ in range(2)]
        assert {"state": "online"} in bodies
        assert "red" in [body.get("answer") for body in bodies]
        assert bus.counts["reconnects"] == 0


async def test_agent_starts_before_its_broker(
    start_mosquitto: Any, prefix: str
) -> None:
    broker = start_mosquitto()
    broker.kill()
    bus = MqttBus(settings_for(broker, prefix), cameras=["door"])
    async with bus, asyncio.timeout(WAIT_S):
        bus.publish_camera_status("door", {"state": "online"})
        await until(lambda: bus.counts["reconnects"] > 0)
        broker.start()
        await bus.connected()


async def test_bus_ends_at_once_while_the_broker_stays_silent(
    free_port: Any, prefix: str
) -> None:
    called = asyncio.Event()

    async def stay_silent(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        called.set()
        await reader.read()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(stay_silent, "127.0.0.1", port):
        before = asyncio.all_tasks()
        settings = MqttSettings(f"mqtt://127.0.0.1:{port}", prefix)
        async with asyncio.timeout(1), MqttBus(settings, cameras=[]) as bus:
            await called.wait()
            assert not bus.is_connected
        await until(lambda: asyncio.all_tasks() <= before)


async def test_error_of_the_body_passes_through_unwrapped(
    mosquitto: Any, prefix: str
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with running_bus(mosquitto, prefix):
            raise ZeroDivisionError


async def test_cancelled_bus_leaves_nothing_behind(mosquitto: Any, prefix: str) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with (
            asyncio.timeout(0.1),
            MqttBus(settings_for(mosquitto, prefix), cameras=[]) as bus,
        ):
            await anext(bus.questions())
    assert asyncio.all_tasks() <= before


async def test_bus_ends_when_told_so_while_it_says_hello(
    mosquitto: Any, prefix: str
) -> None:
    """A cancellation that comes together with the broker's reply must not get lost."""
    async with asker(mosquitto) as client:
        await client.listen(f"{prefix}/status")
        for _ in range(40):
            bus = MqttBus(settings_for(mosquitto, prefix), cameras=[])
            async with asyncio.timeout(5), bus:
                await client.wait_for(b"online")


async def test_cancellation_together_with_the_reply_is_not_lost(
    mosquitto: Any, prefix: str
) -> None:
    dialer = Dialer(settings_for(mosquitto, prefix), f"{prefix}-client")
    async with dialer.connect() as link:
        publishing = asyncio.ensure_future(link.publish(f"{prefix}/any", b""))
        paho = link._client._client
        confirm = paho.on_publish

        def confirm_and_cancel(*reply: Any) -> None:
            confirm(*reply)
            publishing.cancel()

        paho.on_publish = confirm_and_cancel
        with pytest.raises(asyncio.CancelledError):
            await publishing
