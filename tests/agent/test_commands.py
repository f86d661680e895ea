"""What a client tells the agent to do is done; what can't be done stops nothing."""

import asyncio
import errno
from collections.abc import Sequence
from typing import Any

import pytest
from bus_asker import asker, running_bus
from waiting import until

from agent.commands import obey
from agent.home_assistant import BIRTH_TOPIC
from agent.standing.definition import StandingQuestion
from agent.standing.errors import UnknownStandingError

FULL = 6  # commands until the disk is full


class Told:
    """Stands for all who are told something; remembers what, and what came of it."""

    watchers = ("door",)

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.reported: list[tuple[str, str | None]] = []

    def report_command(self, path: Sequence[str], error: dict[str, str] | None) -> None:
        self.reported.append(("/".join(path), error and error["code"]))

    def announce(self) -> None:
        self.done.append(("announce",))

    def cancel(self, name: str) -> bool:
        self.done.append(("cancel", name))
        return True

    async def set_watching(self, camera: str, *, is_watching: bool) -> None:
        self.done.append((camera, is_watching))
        if len(self.done) > FULL:
            raise OSError(errno.ENOSPC, "No space left on device", "paused.json")

    async def set(self, standing: StandingQuestion) -> None:
        self.done.append((standing.camera, standing.name, standing.question))

    async def remove(self, camera: str, name: str) -> None:
        if name == "none":
            raise UnknownStandingError(camera, name)
        self.done.append((camera, name))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_what_is_told_is_done_in_its_order(
    mosquitto: Any, prefix: str, version: str, caplog: pytest.LogCaptureFixture
):
    told: Any = Told()
    wanted = [
        (BIRTH_TOPIC, "online", ("announce",)),
        (BIRTH_TOPIC, "offline", None),
        (f"{prefix}/cancel", "q-1", ("cancel", "q-1")),
        (f"{prefix}/door/watching/set", "OFF", ("door", False)),
        (f"{prefix}/door/watching/set", "perhaps", None),
        (f"{prefix}/door/watching/set", "on", ("door", True)),
        (f"{prefix}/door/watch/red/set", "Is it red?", ("door", "red", "Is it red?")),
        (f"{prefix}/door/watch/red/set", '{"colour": 1}', None),
        (f"{prefix}/door/watch/bad name/set", "Is it red?", None),
        (f"{prefix}/door/watch/none/set", "", None),
        (f"{prefix}/roof/watching/set", "on", None),
        (f"{prefix}/door/watch//set", "Is it red?", None),
        (f"{prefix}/door/watch/red/set", "", ("door", "red")),
        (f"{prefix}/door/watching/set", "off", ("door", False)),
    ]
    async with (
        running_bus(mosquitto, prefix, version=version) as bus,
        asker(mosquitto) as client,
    ):
        obeying = asyncio.create_task(obey(bus, told, told, told, told))
        for topic, payload, _ in wanted:
            await client.ask(topic, payload)
        done = [each for *_, each in wanted if each]
        await until(lambda: len(told.done) == len(done))
        obeying.cancel()
        await asyncio.wait([obeying])
    assert told.done == done
    reasons = [record.getMessage().partition(": ")[2] for record in caplog.records]
    assert reasons == [
        "found something else, allowed: on, off",
        "the field question is missing",
        "a name is 1 to 64 letters, digits or _ -",
        "camera door has no standing question 'none'",
        "no camera 'roof'; there are: door",
        "a name is 1 to 64 letters, digits or _ -",
        "it can't be kept for a restart: No space left on device",
    ]
    assert told.reported == [
        ("door/watching", None),
        ("door/watching", "bad_switch"),
        ("door/watching", None),
        ("door/watch/red", None),
        ("door/watch/red", "empty"),
        ("door/watch/bad name", "bad_name"),
        ("door/watch/none", "unknown_watch"),
        ("roof/watching", "unknown_camera"),
        ("door/watch/", "bad_name"),
        ("door/watch/red", None),
        ("door/watching", "not_kept"),
    ]
