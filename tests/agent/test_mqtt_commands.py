"""What the agent is told to do, by a client that knows only the protocol."""

import asyncio
from typing import Any

from bus_asker import WAIT_S, asker, running_bus
from waiting import until

from agent.home_assistant import BIRTH_TOPIC
from agent.inbox import Command
from agent.mqtt import MqttBus


async def next_command(bus: MqttBus) -> Command:
    async with asyncio.timeout(WAIT_S):
        return await anext(bus.commands())


async def test_commands_come_in_their_order(mosquitto: Any, prefix: str) -> None:
    async with running_bus(mosquitto, prefix) as bus, asker(mosquitto) as client:
        await client.ask(f"{prefix}/door/watching/set", "off")
        await client.ask(f"{prefix}/yard/watch/red-car/set", "{}")
        await client.ask(f"{prefix}/cancel", "q-17")
        assert await next_command(bus) == Command(("door", "watching"), b"off")
        assert await next_command(bus) == Command(("yard", "watch", "red-car"), b"{}")
        assert await next_command(bus) == Command(("cancel",), b"q-17")


async def test_retained_commands_are_passed_over(mosquitto: Any, prefix: str) -> None:
    async with asker(mosquitto) as client:
        await client.ask(f"{prefix}/door/watching/set", "off", retain=True)
        for version in ("5", "3.1.1"):
            async with running_bus(mosquitto, prefix, version=version) as bus:
                await client.ask(f"{prefix}/door/watching/set", "on")
                assert await next_command(bus) == Command(("door", "watching"), b"on")
        await client.ask(f"{prefix}/door/watching/set", "", retain=True)


async def test_more_commands_than_may_wait_are_dropped_and_counted(
    mosquitto: Any, prefix: str
) -> None:
    async with running_bus(mosquitto, prefix) as bus, asker(mosquitto) as client:
        for number in range(70):
            await client.ask(f"{prefix}/cancel", str(number))
        await until(lambda: bus.counts["commands"] == 70)
        assert bus.counts["ignored"] == 6
        assert (await next_command(bus)).payload == b"0"


async def test_home_assistant_coming_up_is_heard(mosquitto: Any, prefix: str) -> None:
    async with running_bus(mosquitto, prefix) as bus, asker(mosquitto) as client:
        await client.ask(BIRTH_TOPIC, "online")
        assert await next_command(bus) == Command(("birth",), b"online")


async def test_what_is_retained_is_there_for_who_comes_later_and_after_a_reconnect(
    mosquitto: Any, prefix: str
) -> None:
    async with running_bus(mosquitto, prefix) as bus:
        bus.retain(f"{prefix}/door/picture", b"\xff\xd8")
        bus.retain(f"{prefix}/door/last_answer", b'{"state": "red"}')
        async with asker(mosquitto) as client:
            await client.listen(f"{prefix}/door/#")
            heard = [await client.next_message() for _ in range(2)]
        assert {bytes(message.payload) for message in heard} == {
            b"\xff\xd8",
            b'{"state": "red"}',
        }
        bus.retain(f"{prefix}/door/picture", b"")
        bus.retain(f"{prefix}/door/last_answer", b"")
        await bus._outbox.drained()
        async with asker(mosquitto) as client:
            await client.listen(f"{prefix}/door/#")
            bus.publish(f"{prefix}/door/alerts", b"{}")
            assert (await client.next_message()).payload == b"{}"
