"""The bus against a real mosquitto, asked by a client that knows only the protocol."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.messages import Answer, Delta, Question
from agent.mqtt import MqttBus
from agent.mqtt_client import Dialer
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


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  counters have no event
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def answering(bus: MqttBus) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(answer_all(bus))
        yield
        task.cancel()


async def test_mqtt_5_answer_goes_to_response_topic_with_correlation(
    mosquitto: Any, prefix: str
) -> None:
    async with running_bus(mosquitto, prefix) as bus, asker(mosquitto) as client:
        await client.listen(f"{prefix}-me/answer")
        properties = reply_properties(f"{prefix}-me/answer", b"\x00id-1")
        await client.ask(f"{prefix}/door/ask", "What colour?", properties=properties)
        question = await next_question(bus)
        assert (question.text, question.cameras) == ("What colour?", ("door",))
        reply_red(bus, question)
        message = await client.next_message()
        assert message.properties.CorrelationData == b"\x00id-1"
        assert message.properties.ContentType == "application/json"
        assert json.loads(message.payload)["answer"] == "red"


async def test_mqtt_3_answer_goes_to_the_topic_in_the_json_or_to_the_id(
    mosquitto: Any, prefix: str
) -> None:
    async with (
        running_bus(mosquitto, prefix, version="3.1.1") as bus,
        answering(bus),
        asker(mosquitto, "3.1.1") as client,
    ):
        await client.listen(f"{prefix}-me/answer")
        await client.listen(f"{prefix}/answers/+")
        body = {"question": "who?", "response_topic": f"{prefix}-me/answer"}
        await client.ask(f"{prefix}/ask", json.dumps(body))
        message = await client.next_message()
        assert str(message.topic) == f"{prefix}-me/answer"
        await client.ask(f"{prefix}/ask", json.dumps({"question": "who?", "id": "q7"}))
        message = await client.next_message()
        assert str(message.topic) == f"{prefix}/answers/q7"


async def test_command_line_client_of_another_make_is_answered(
    mosquitto: Any, prefix: str
) -> None:
    command = ["mosquitto_rr", "-V", "5", "-h", mosquitto.host, "-p", mosquitto.port]
    command += ["-t", f"{prefix}/ask", "-e", f"{prefix}-rr/answer", "-m", "who?"]
    async with running_bus(mosquitto, prefix) as bus, answering(bus):
        try:
            process = await asyncio.create_subprocess_exec(
                *map(str, command), stdout=subprocess.PIPE
            )
        except FileNotFoundError:
            pytest.skip("mosquitto-clients is not installed")
        async with asyncio.timeout(WAIT_S):
            output, _ = await process.communicate()
    assert json.loads(output)["answer"] == "red"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "empty"),
        (b"\xff\xfe", "not_text"),
        (b"{not json", "not_json"),
        (b'{"question": "who?", "colour": 1}', "unknown_field"),
        (b"x" * 1_000_000, "too_long"),
        (b'{"question": "%s"}' % (b"x" * 1_000_000), "too_long"),
    ],
    ids=["empty", "bytes", "broken", "unknown", "long", "long-json"],
)
async def test_malformed_question_gets_a_named_error_and_the_bus_goes_on(
    mosquitto: Any, prefix: str, payload: bytes, code: str
) -> None:
    topic = f"{prefix}-me/answer"
    async with (
        running_bus(mosquitto, prefix) as bus,
        answering(bus),
        asker(mosquitto) as client,
    ):
        await client.listen(topic)
        properties = reply_properties(topic, b"c")
        await client.ask(f"{prefix}/ask", payload, properties=properties)
        message = await client.next_message()
        body = json.loads(message.payload)
        assert (body["status"], body["error"]["code"]) == ("error", code)
        assert message.properties.CorrelationData == b"c"
        await client.ask(f"{prefix}/ask", b"who?", properties=properties)
        assert (await client.next_body())["answer"] == "red"
        assert bus.counts["malformed"] == 1


@pytest.mark.parametrize("where", ["response_topic", "id", "nowhere"])
async def test_malformed_mqtt_3_question_is_answered_where_it_says(
    mosquitto: Any, prefix: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    places = {
        "response_topic": {"response_topic": f"{prefix}/answers/mine"},
        "id": {"id": "mine"},
        "nowhere": {"id": "not a topic/#"},
    }
    async with (
        running_bus(mosquitto, prefix) as bus,
        asker(mosquitto, "3.1.1") as client,
    ):
        await client.listen(f"{prefix}/answers/#")
        body = {"question": "hush", "top_k": "hush", **places[where]}
        await client.ask(f"{prefix}/ask", json.dumps(body))
        if where == "nowhere":
            await client.ask(f"{prefix}/ask", json.dumps({"id": "next"}))
        message = await client.next_message()
        expected = "next" if where == "nowhere" else "mine"
        assert str(message.topic) == f"{prefix}/answers/{expected}"
        assert bus.counts["malformed"] == 1 + (where == "nowhere")
    assert "malformed question" in caplog.text
    assert "hush" not in caplog.text


async def test_more_questions_than_may_wait_are_refused(
    mosquitto: Any, prefix: str
) -> None:
    async with (
        running_bus(mosquitto, prefix, max_questions=2) as bus,
        asker(mosquitto) as client,
    ):
        await client.listen(f"{prefix}/answers/+")
        for name in "abc":
            body = json.dumps({"question": "who?", "id": name})
            await client.ask(f"{prefix}/ask", body)
        refused = await client.next_body()
        assert (refused["id"], refused["error"]["code"]) == ("c", "too_many_questions")
        for _ in "ab":
            reply_red(bus, await next_question(bus))
        answers = [await client.next_body() for _ in "ab"]
        assert [answer["id"] for answer in answers] == ["a", "b"]
        await client.ask(f"{prefix}/ask", json.dumps({"question": "who?", "id": "c"}))
        reply_red(bus, await next_question(bus))
        assert (await client.next_body())["status"] == "ok"


async def test_same_id_twice_is_one_computation_and_one_answer(
    mosquitto: Any, prefix: str
) -> None:
    body = json.dumps({"question": "who?", "id": "same"})
    async with running_bus(mosquitto, prefix) as bus, asker(mosquitto) as client:
        await client.listen(f"{prefix}/answers/same")
        await client.listen(f"{prefix}-other")
        await client.ask(f"{prefix}/ask", body)
        await client.ask(f"{prefix}/ask", body)  # in work: left out
        question = await next_question(bus)
        async with asyncio.timeout(WAIT_S):
            await until(lambda: bus.counts["repeated"] == 1)
        bus.answer(question, Answer("same", "who?", "first", "ok"))
        assert (await client.next_body())["answer"] == "first"
        properties = reply_properties(f"{prefix}-other", b"again")
        await client.ask(f"{prefix}/ask", body, properties=properties)
        message = await client.next_message()
        assert (str(message.topic), message.properties.CorrelationData) == (
            f"{prefix}-other",
            b"again",
        )
        assert json.loads(message.payload)["answer"] == "first"
        assert bus.counts["repeated"] == 2


async def test_retained_question_is_not_asked_at_every_start(
    mosquitto: Any, prefix: str
) -> None:
    async with asker(mosquitto) as client:
        await client.ask(f"{prefix}/ask", "left behind", retain=True)
        for version in ("5", "3.1.1"):
            async with running_bus(mosquitto, prefix, version=version) as bus:
                await client.ask(f"{prefix}/ask", "now")
                assert (await next_question(bus)).text == "now"
        await client.ask(f"{prefix}/ask", "", retain=True)


async def test_status_is_retained_and_cameras_too(mosquitto: Any, prefix: str) -> None:
    async with asker(mosquitto) as client:
        async with running_bus(mosquitto, prefix) as bus:
            bus.publish_camera_status("door", {"state": "stalled"})
            bus.publish_camera_status("door", {"state": "online", "last_frame": 1.5})
            await client.listen(f"{prefix}/status")
            await client.wait_for(b"online")
            await client.listen(f"{prefix}/door/status")
            await client.wait_for(b'{"state": "online", "last_frame": 1.5}')
        await client.wait_for(b"offline")


async def test_last_will_tells_that_the_agent_vanished(
    mosquitto: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One that is back before the broker noticed keeps its session, and has no will.
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    async with asker(mosquitto) as client, running_bus(mosquitto, prefix) as bus:
        await client.listen(f"{prefix}/status")
        await client.wait_for(b"online")
        assert bus._link is not None
        paho = bus._link._client._client
        paho.socket().shutdown(2)  # as when the process is killed: no DISCONNECT
        await client.wait_for(b"offline")
        await client.wait_for(b"online")  # and it comes back by itself


async def test_deltas_and_open_questions_at_the_end(
    mosquitto: Any, prefix: str
) -> None:
    async with asker(mosquitto) as client:
        await client.listen(f"{prefix}/answers/#")
        async with running_bus(mosquitto, prefix) as bus:
            body = json.dumps({"question": "who?", "id": "a", "stream": True})
            await client.ask(f"{prefix}/ask", body)
            question = await next_question(bus)
            assert question.stream
            await bus.publish_delta(question, Delta(3, "Fünf"))
            message = await client.next_message()
            assert str(message.topic) == f"{prefix}/answers/a/delta"
            assert json.loads(message.payload) == {"id": "a", "seq": 3, "text": "Fünf"}
        assert (await client.next_body())["error"]["code"] == "shutting_down"


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
        async with asyncio.timeout(WAIT_S):
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
        os.kill(broker.pid, signal.SIGSTOP)
        bus.publish_camera_status("door", {"state": "online"})
        await asyncio.sleep(0)
        os.kill(broker.pid, signal.SIGCONT)
        await client.ask(f"{prefix}/ask", json.dumps({"question": "1", "id": "a"}))
        assert (await client.next_body())["answer"] == "red"


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


async def test_questions_asked_while_the_agent_is_down_are_kept(
    mosquitto: Any, prefix: str
) -> None:
    for version in ("5", "3.1.1"):
        async with running_bus(mosquitto, prefix, version=version):
            pass
        async with asker(mosquitto) as client:
            await client.ask(f"{prefix}/ask", "while you were out")
        async with running_bus(mosquitto, prefix, version=version) as bus:
            assert (await next_question(bus)).text == "while you were out"


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
