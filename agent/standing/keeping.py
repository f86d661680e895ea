"""What of standing questions outlives a restart: one JSON file, whole or not there."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agent.pauses import write_whole
from agent.standing.alert import Alert, alert_of, alert_to_dict
from agent.standing.definition import (
    Source,
    StandingQuestion,
    parse_standing,
    standing_to_dict,
)
from agent.standing.errors import CorruptStandingError
from agent.standing.happening import Happening, Phase

logger = logging.getLogger(__name__)

VERSION = 1
_BROKEN = ".broken"

Key = tuple[str, str]
"""Camera and name of a standing question."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything that is kept.

    Attributes:
        questions: The standing questions.
        happenings: What each of them has come to; one that is not here is new.
        alerts: The newest alerts, oldest first.
    """

    questions: tuple[StandingQuestion, ...] = ()
    happenings: Mapping[Key, Happening] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()


class StandingFile:
    """The file. One task at a time writes it.

    Args:
        path: Where it is; its folder is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = asyncio.Lock()

    async def read(self) -> Kept:
        """Give what was kept; of a file that is broken nothing, and it is set aside."""
        return await asyncio.to_thread(self._read)

    async def write(self, kept: Kept) -> None:
        """Keep this; if the disk refuses, the agent goes on without."""
        text = json.dumps(_to_dict(kept), ensure_ascii=False, indent=1)
        async with self._writing:
            try:
                await asyncio.to_thread(write_whole, self._path, text)
            except OSError as exc:
                name = type(exc).__name__
                logger.warning("standing questions are not kept: %s", name)

    def _read(self) -> Kept:
        try:
            return _parse(self._path)
        except FileNotFoundError:
            return Kept()
        except (CorruptStandingError, OSError) as exc:
            logger.warning("standing questions begin anew: %s", exc)
            self._set_aside()
            return Kept()

    def _set_aside(self) -> None:
        broken = self._path.with_name(self._path.name + _BROKEN)
        try:
            self._path.replace(broken)
        except OSError as exc:
            logger.warning("%s stays: %s", self._path.name, type(exc).__name__)


def _parse(path: Path) -> Kept:
    """Read the file.

    Raises:
        FileNotFoundError: There is none.
        CorruptStandingError: It does not make sense.
        OSError: The disk refuses.
    """
    try:
        return _of_dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        # What is in it is not told: questions stand in no log.
        raise CorruptStandingError(path.name, type(exc).__name__) from exc


def _to_dict(kept: Kept) -> dict[str, Any]:
    return {
        "version": VERSION,
        "questions": [
            {
                "camera": each.camera,
                "name": each.name,
                "source": each.source,
                "body": standing_to_dict(each),
                "happening": _happening(kept.happenings.get(each.key, Happening())),
            }
            for each in kept.questions
        ],
        "alerts": [alert_to_dict(alert) for alert in kept.alerts],
    }


def _of_dict(body: Mapping[str, Any]) -> Kept:
    if body["version"] != VERSION:
        raise ValueError(f"of version {body['version']!r}, not {VERSION}")
    rows: Sequence[Mapping[str, Any]] = body["questions"]
    questions = tuple(_question(row) for row in rows)
    happenings = {
        question.key: _happening_of(row["happening"])
        for question, row in zip(questions, rows, strict=True)
    }
    alerts = tuple(alert_of(each) for each in body["alerts"])
    return Kept(questions, happenings, alerts)


def _question(row: Mapping[str, Any]) -> StandingQuestion:
    source: Source = "config" if row["source"] == "config" else "set"
    camera, name = str(row["camera"]), str(row["name"])
    return parse_standing(row["body"], camera, name, source)


def _happening(happening: Happening) -> dict[str, Any]:
    return asdict(happening)


def _happening_of(body: Mapping[str, Any]) -> Happening:
    last_s, alerted_s = body["last_s"], body["alerted_s"]
    return Happening(
        Phase(body["phase"]),
        int(body["noes"]),
        None if last_s is None else float(last_s),
        None if alerted_s is None else float(alerted_s),
    )
