"""Who may ask how often and for how long, and agents that share what is asked."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bus_asker import (
    WAIT_S,
    answering,
    asker,
    next_question,
    reply_properties,
    reply_red,
    running_bus,
    settings_for,
)
from servers import make_certificate

from agent.errors import BrokerUnavailableError
from agent.mqtt import MqttBus
from agent.mqtt_client import Dialer
from agent.mqtt_settings import MqttSettings


async def test_each_asker_may_ask_so_often_a_minute(
    mosquitto: Any, prefix: str
) -> None:
    async with (
        running_bus(mosquitto, prefix, questions_per_minute=2) as bus,
        answering(bus),
        asker(mosquitto) as client,
    ):
        await client.listen(f"{prefix}-me/+")
        mine = reply_properties(f"{prefix}-me/mine", b"")
        for number in range(3):
            await client.ask(f"{prefix}/ask", f"who? {number}", properties=mine)
        bodies = [await client.next_body() for _ in range(3)]
        assert [b["status"] for b in bodies].count("ok") == 2
        [refused] = [b for b in bodies if b["status"] == "error"]
        assert refused["error"]["code"] == "too_often"
        other = reply_properties(f"{prefix}-me/other", b"")
        await client.ask(f"{prefix}/ask", "who?", properties=other)
        assert (await client.next_body())["status"] == "ok"


async def test_a_message_that_expires_is_a_deadline_and_so_is_the_answers(
    mosquitto: Any, prefix: str
) -> None:
    async with running_bus(mosquitto, prefix) as bus, asker(mosquitto) as client:
        await client.listen(f"{prefix}-me/answer")
        properties = reply_properties(f"{prefix}-me/answer", b"c")
        properties.MessageExpiryInterval = 20
        await client.ask(f"{prefix}/ask", "who?", properties=properties)
        question = await next_question(bus)
        assert 15 <= question.deadline_s <= 20
        reply_red(bus, question)
        answer = await client.next_message()
        assert 10 <= answer.properties.MessageExpiryInterval <= 20


async def test_agents_of_a_group_share_the_questions(
    mosquitto: Any, prefix: str
) -> None:
    settings = [
        settings_for(mosquitto, prefix, client_id=name, share_group="farm")
        for name in (f"{prefix}-a", f"{prefix}-b")
    ]
    async with (
        MqttBus(settings[0], cameras=["door"]) as one,
        MqttBus(settings[1], cameras=["door"]) as other,
        answering(one),
        answering(other),
        asker(mosquitto) as client,
    ):
        await one.connected()
        await other.connected()
        await client.listen(f"{prefix}/answers/+")
        ids = [f"q{number}" for number in range(10)]
        for id in ids:
            await client.ask(
                f"{prefix}/ask", json.dumps({"question": "who?", "id": id})
            )
        answered = [(await client.next_body())["id"] for _ in ids]
        assert sorted(answered) == sorted(ids)
        counts = one.counts["questions"], other.counts["questions"]
    assert sum(counts) == len(ids)
    assert min(counts) > 0


async def test_a_broker_that_asks_for_a_certificate_gets_ours(
    short_folder: Callable[[], Path],
    start_mosquitto: Callable[..., Any],
    free_port: Callable[[], int],
    prefix: str,
) -> None:
    folder, port = short_folder(), free_port()
    certificate, key = folder / "cert.pem", folder / "key.pem"
    await asyncio.to_thread(make_certificate, certificate, key)
    await asyncio.to_thread(
        start_mosquitto,
        *(f"listener {port} 127.0.0.1", f"certfile {certificate}", f"keyfile {key}"),
        *(f"cafile {certificate}", "require_certificate true"),
    )
    url, ca_file = f"mqtts://127.0.0.1:{port}", str(certificate)
    ours = {"cert_file": str(certificate), "key_file": str(key)}
    async with asyncio.timeout(WAIT_S):
        settings = MqttSettings(url, prefix, ca_file=ca_file, **ours)
        async with Dialer(settings, f"{prefix}-known").connect() as link:
            assert link.version == "5"
        settings = MqttSettings(url, prefix, ca_file=ca_file)
        with pytest.raises(BrokerUnavailableError):
            async with Dialer(settings, f"{prefix}-unknown").connect() as link:
                await link.publish(f"{prefix}/x", b"{}")
