"""The agent as a service: `longwatch run` in a process of its own."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from waiting import until

from agent.asker import ask, states
from agent.config import load_config
from agent.errors import BrokerUnavailableError

START_S = 40.0


class Service:
    """A running agent, followed and asked over MQTT."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.config = folder / "longwatch.yaml"
        self.log = folder / "agent.log"
        # What the built-in model makes of a real clip it is rightly not sure of.
        usual = {"http": {"port": 0}, "answers": {"abstain": False}}
        body = {"data_dir": str(folder / "data"), **usual, **config}
        body["log"] = {"format": "json"}
        self.config.write_text(yaml.safe_dump(body))
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and return once it says that it is online."""
        await asyncio.to_thread(self._start)
        await until(self._is_online, timeout_s=START_S)

    def _start(self) -> None:
        self.mqtt = load_config(self.config).mqtt.settings()
        command = [sys.executable, "-m", "agent", "run", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    async def _is_online(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(await asyncio.to_thread(self.log.read_text))
        try:
            return (await self.states()).get("", {}).get("state") == "online"
        except BrokerUnavailableError:
            return False

    async def states(self, wait_s: float = 0.5) -> dict[str, dict[str, Any]]:
        """What it says of itself ("") and of its cameras now."""
        found: dict[str, dict[str, Any]] = {}
        try:
            async with asyncio.timeout(wait_s), states(self.mqtt) as arriving:
                async for camera, state in arriving:
                    found |= {camera: state}
        except TimeoutError:
            pass
        return found

    async def until_chunks(self, count: int, *cameras: str, timeout_s: float) -> None:
        """Return once each camera has so many remembered chunks."""

        async def enough() -> bool:
            found = await self.states()
            return all(found.get(c, {}).get("chunks", 0) >= count for c in cameras)

        await until(enough, timeout_s=timeout_s)

    async def ask(self, text: str, **fields: object) -> dict[str, Any]:
        """Ask it."""
        return await ask(self.mqtt, {"question": text, **fields}, deadline_s=20)

    def remembered(self, camera: str) -> list[str]:
        """The chunks that its log reported as remembered."""
        said = f"remembered {camera}/"
        lines = self.log.read_text().splitlines()
        whole = [line for line in lines if line[:1] == "{" and line[-1:] == "}"]
        messages = [json.loads(line)["message"] for line in whole]
        return [m.removeprefix(said) for m in messages if m.startswith(said)]

    def end(self, number: signal.Signals) -> int:
        """Send a signal, wait for the end, give back the exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=15)

    def clean_up(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Make services in a folder of the test's own; killed after it."""
    services: list[Service] = []

    def make(config: Mapping[str, Any], name: str = "a") -> Service:
        folder = tmp_path / name
        folder.mkdir()
        services.append(Service(folder, config))
        return services[-1]

    yield make
    for service in services:
        service.clean_up()
