"""The demo's agent: `longwatch run` as a process, started and stopped as a service."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.asker import states
from agent.errors import AgentError, BrokerUnavailableError
from agent.mqtt_settings import MqttSettings

STOP_TIMEOUT_S = 15.0
RETRY_S = 0.2
LAST_LINES = 5


class DemoError(AgentError):
    """Raised when the demo can't go on; the message says why."""


@asynccontextmanager
async def running_agent(config: Path, mqtt: MqttSettings) -> AsyncIterator[None]:
    """Run an agent; entered once it says that it is online, however long it loads.

    Raises:
        DemoError: It has ended by itself; with the last lines of its log.
    """
    log_path = config.with_name("agent.log")
    with log_path.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "agent", "run", "--config", str(config)),
            stdout=log,
            stderr=log,
        )
    try:
        while not await _is_online(mqtt):
            if process.returncode is not None:
                text = await asyncio.to_thread(log_path.read_text)
                raise DemoError("\n".join(text.splitlines()[-LAST_LINES:]))
            await asyncio.sleep(RETRY_S)
        yield
    finally:
        await _end(process)


async def _is_online(mqtt: MqttSettings) -> bool:
    try:
        async with asyncio.timeout(RETRY_S * 10), states(mqtt) as arriving:
            async for camera, state in arriving:
                if not camera:
                    return bool(state["state"] == "online")
    except (BrokerUnavailableError, TimeoutError):
        pass
    return False


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def free_port() -> int:
    """Give a port of the loopback device that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
