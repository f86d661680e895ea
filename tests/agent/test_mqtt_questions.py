"""Which questions the bus takes, and what it says of those that it does not."""

import json
from typing import Any

import pytest
from bus_asker import (
    answering,
    asker,
    next_question,
    reply_properties,
    reply_red,
    running_bus,
)


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
