import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.asker import ask, command
from agent.errors import AnswerTimeoutError, BrokerUnavailableError
from agent.messages import Answer, Delta
from agent.mqtt import MqttBus
from agent.mqtt_settings import MqttSettings


async def answer_all(bus: MqttBus) -> None:
    async for question in bus.questions():
        await bus.publish_delta(question, Delta(0, "dark "))
        await bus.publish_delta(question, Delta(1, "red"))
        bus.answer(question, Answer(question.id, question.text, "dark red", "ok"))


@contextlib.asynccontextmanager
async def answering(settings: MqttSettings) -> AsyncIterator[None]:
    async with MqttBus(settings, cameras=["door"]) as bus, asyncio.TaskGroup() as group:
        task = group.create_task(answer_all(bus))
        async with asyncio.timeout(10):
            await bus.connected()
        yield
        task.cancel()


@pytest.mark.parametrize("version", ["5", "3.1.1", "auto"])
async def test_ask_returns_the_answer_and_the_deltas(
    mosquitto: Any, prefix: str, version: Any
) -> None:
    settings = MqttSettings(f"unix://{mosquitto.socket}", prefix, version=version)
    deltas: list[Delta] = []
    before = asyncio.all_tasks()
    async with answering(settings):
        body = {"question": "What colour?", "id": "q-1"}
        answer = await ask(settings, body, camera="door", on_delta=deltas.append)
    assert asyncio.all_tasks() <= before
    assert (answer["id"], answer["answer"]) == ("q-1", "dark red")
    assert deltas == [Delta(0, "dark "), Delta(1, "red")]


async def test_no_agent_is_a_time_out(mosquitto: Any, prefix: str) -> None:
    settings = MqttSettings(f"mqtt://{mosquitto.host}:{mosquitto.port}", prefix)
    with pytest.raises(AnswerTimeoutError, match=r"0\.2 s"):
        await ask(settings, "who?", deadline_s=0.2)


async def test_a_command_that_nobody_obeys_is_a_time_out(
    mosquitto: Any, prefix: str
) -> None:
    settings = MqttSettings(f"unix://{mosquitto.socket}", prefix)
    with pytest.raises(AnswerTimeoutError, match=r"0\.2 s"):
        await command(settings, "door/watching", b"on", deadline_s=0.2)


async def test_no_broker_is_a_named_error(free_port: Any, prefix: str) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    with pytest.raises(BrokerUnavailableError, match=url):
        await ask(MqttSettings(url, prefix), "who?", deadline_s=5)


async def test_broker_that_dies_while_waiting_is_a_named_error(
    start_mosquitto: Any, prefix: str
) -> None:
    broker = start_mosquitto()
    settings = MqttSettings(f"unix://{broker.socket}", prefix)
    bus = MqttBus(settings, cameras=["door"])
    async with bus, asyncio.timeout(10):
        await bus.connected()
        asking = asyncio.ensure_future(ask(settings, "who?"))
        await anext(bus.questions())
        broker.kill()
        with pytest.raises(BrokerUnavailableError):
            await asking


async def test_login_is_needed_and_never_logged(
    start_mosquitto: Any,
    short_folder: Any,
    prefix: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    passwords = short_folder() / "passwords"
    command = ["mosquitto_passwd", "-b", "-c", str(passwords), "watcher", "hush-hush"]
    await asyncio.to_thread(subprocess.run, command, check=True)
    secured = ("allow_anonymous false", f"password_file {passwords}")
    broker = start_mosquitto(*secured)
    url = f"unix://{broker.socket}"
    wrong = MqttSettings(url, prefix, username="watcher", password="wrong-one")
    with pytest.raises(BrokerUnavailableError, match=r"(?i)not authori"):
        await ask(wrong, "who?", deadline_s=5)
    right = MqttSettings(url, prefix, username="watcher", password="hush-hush")
    async with answering(right):
        assert (await ask(right, "secret words?"))["status"] == "ok"
    assert "hush" not in repr(right)
    for secret in ("hush", "wrong-one", "secret words"):
        assert secret not in caplog.text


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate of localhost; skip without openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += f" -addext subjectAltName=DNS:localhost -out {certificate} -keyout {key}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return certificate, key


async def test_tls_is_checked_against_the_ca_file(
    start_mosquitto: Any, short_folder: Any, free_port: Any, prefix: str
) -> None:
    certificate, key = await asyncio.to_thread(make_certificate, short_folder())
    port = free_port()
    start_mosquitto(
        f"listener {port} 127.0.0.1", f"certfile {certificate}", f"keyfile {key}"
    )
    url = f"mqtts://localhost:{port}"
    settings = MqttSettings(url, prefix, ca_file=str(certificate))
    async with answering(settings):
        assert (await ask(settings, "who?"))["status"] == "ok"
    with pytest.raises(BrokerUnavailableError, match=r"(?i)certificate"):
        await ask(MqttSettings(url, prefix), "who?", deadline_s=5)
