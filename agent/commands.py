"""What the agent is told to do over MQTT, done; `docs/protocol.md` has the topics."""

import logging

from agent.desk import Desk
from agent.inbox import Command
from agent.mqtt import MqttBus
from agent.pauses import Pauses
from agent.reporter import Reporter

logger = logging.getLogger(__name__)

_SWITCH = {b"on": True, b"off": False}


async def obey(bus: MqttBus, desk: Desk, pauses: Pauses, reporter: Reporter) -> None:
    """Do what comes; one that can't be done is logged, and the next one is done."""
    async for command in bus.commands():
        try:
            match command:
                case Command(("birth",), b"online"):
                    reporter.announce()
                case Command(("cancel",), name):
                    desk.cancel(name.decode(errors="replace"))
                case Command((camera, "watching"), wanted):
                    is_watching = _SWITCH[wanted.strip().lower()]
                    await pauses.set_watching(camera, is_watching=is_watching)
        except (OSError, KeyError) as exc:
            told = "/".join(command.path)
            logger.warning("can't do %s: %s", told, type(exc).__name__)
