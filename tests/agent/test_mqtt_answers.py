"""Where an answer goes, asked by a client that knows only the protocol."""

import asyncio
import json
import subprocess
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
)
from waiting import until

from agent.messages import Answer, Delta


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
