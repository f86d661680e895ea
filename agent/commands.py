"""What the agent is told to do over MQTT, done; `docs/protocol.md` has the topics."""

import logging

from agent.desk import Desk
from agent.inbox import Command
from agent.mqtt import MqttBus
from agent.pauses import Pauses
from agent.reporter import Reporter
from agent.standing.definition import parse_standing
from agent.standing.errors import StandingError
from agent.standing.questions import StandingQuestions

logger = logging.getLogger(__name__)

_SWITCH = {b"on": True, b"off": False}


async def obey(
    bus: MqttBus,
    desk: Desk,
    pauses: Pauses,
    standing: StandingQuestions,
    reporter: Reporter,
) -> None:
    """Do what comes; one that can't be done is logged, and the next one is done."""
    async for command in bus.commands():
        try:
            match command:
                case Command(("birth",), b"online"):
                    reporter.announce()
                case Command(("cancel",), name):
                    desk.cancel(name.decode(errors="replace"))
                case Command((camera, "watching"), wanted):
                    await pauses.set_watching(camera, is_watching=_is_on(wanted))
                case Command((camera, "watch", name), b""):
                    await standing.remove(camera, name)
                case Command((camera, "watch", name), wanted):
                    await standing.set(parse_standing(wanted, camera, name))
        except (StandingError, ValueError, OSError) as exc:
            told = "/".join(command.path)
            reason = exc.strerror if isinstance(exc, OSError) else exc
            logger.warning("can't do %s: %s", told, reason)


def _is_on(payload: bytes) -> bool:
    word = payload.strip().lower()
    if word not in _SWITCH:
        raise ValueError("found something else, allowed: on, off")
    return _SWITCH[word]
