"""What the agent is told to do over MQTT, done; `docs/protocol.md` has the topics."""

import logging
from collections.abc import Collection, Sequence

from agent.desk import Desk
from agent.errors import CommandRefusedError
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
    """Do what comes and say so; what can't be done is told, and the next is done."""
    async for command in bus.commands():
        match command:
            case Command(("birth",), b"online"):
                reporter.announce()
            case Command(("cancel",), name):
                desk.cancel(name.decode(errors="replace"))
            case Command((camera, *rest), wanted) if rest:
                error = None
                try:
                    _check_camera(camera, reporter.watchers)
                    await _obey_of_camera(camera, rest, wanted, pauses, standing)
                except (CommandRefusedError, StandingError, OSError) as exc:
                    error = _told(exc)
                    told = "/".join(command.path)
                    logger.warning("can't do %s: %s", told, error["message"])
                reporter.report_command(command.path, error)


async def _obey_of_camera(
    camera: str,
    rest: Sequence[str],
    wanted: bytes,
    pauses: Pauses,
    standing: StandingQuestions,
) -> None:
    match rest:
        case ["watching"]:
            await pauses.set_watching(camera, is_watching=_is_on(wanted))
        case ["watch", name] if wanted:
            await standing.set(parse_standing(wanted, camera, name))
        case ["watch", name]:
            await standing.remove(camera, name)
        case _:
            raise CommandRefusedError("unknown_command", "no such command")


def _check_camera(camera: str, known: Collection[str]) -> None:
    if camera not in known:
        there = ", ".join(sorted(known))
        text = f"no camera {camera[:64]!a}; there are: {there}"
        raise CommandRefusedError("unknown_camera", text)


def _is_on(payload: bytes) -> bool:
    word = payload.strip().lower()
    if word not in _SWITCH:
        raise CommandRefusedError(
            "bad_switch", "found something else, allowed: on, off"
        )
    return _SWITCH[word]


def _told(exc: CommandRefusedError | StandingError | OSError) -> dict[str, str]:
    """Say what was wrong, for programs and for people."""
    if isinstance(exc, OSError):
        text = f"it can't be kept for a restart: {exc.strerror}"
        return {"code": "not_kept", "message": text}
    return {"code": getattr(exc, "code", "refused"), "message": str(exc)}
