"""What the agent says of itself over MQTT, unasked: states, last answers, pictures.

Each is retained, so that who comes later knows it too. Cameras are announced to Home
Assistant; one that is in the config no more is taken back.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agent.camera_report import report_camera
from agent.home_assistant import discovery_message, discovery_topic, short_state
from agent.mqtt import MqttBus
from agent.news import News
from agent.pauses import write_whole
from agent.vlm.model import VisionLanguageModel
from agent.watcher import Watcher

logger = logging.getLogger(__name__)

STATUS_INTERVAL_S = 1.0
_VERSION = version("longwatch")


@dataclass(frozen=True, slots=True, eq=False)
class Reporter:
    """Publishes what is new.

    Attributes:
        bus: The broker.
        prefix: First part of every topic.
        watchers: The cameras.
        model: The model.
        news: Where it hears of answers, and tells of states.
        announced: The file that has the cameras that were announced to Home Assistant.
        is_announced: Whether they are to be.
        page: The console, for people; None: there is none.
    """

    bus: MqttBus
    prefix: str
    watchers: Mapping[str, Watcher]
    model: VisionLanguageModel
    news: News
    announced: Path
    is_announced: bool = True
    page: str | None = None

    async def report_states(self) -> None:
        """Publish each camera's state whenever it has changed."""
        published: dict[str, dict[str, object]] = {}
        while True:
            for name, watcher in self.watchers.items():
                state = report_camera(watcher, self.model)
                if published.get(name) == state:
                    continue
                self.bus.publish_camera_status(name, state)
                if published.get(name, {}).get("state") != state["state"]:
                    self.news.tell("camera", {"name": name, **state})
                published[name] = state
            await asyncio.sleep(STATUS_INTERVAL_S)

    async def report_news(self) -> None:
        """Publish what happens: answers, pictures, alerts."""
        async for event in self.news.listen():
            match event["type"]:
                case "answer":
                    self._report_answer(event)
                case "chunk":
                    picture = self.watchers[event["camera"]].picture
                    if picture is not None:
                        self.bus.retain(self._topic(event, "picture"), picture)
                case "alert":
                    self._report_alert(event)
                case "watch":
                    self.report_watch(event)

    def announce(self) -> None:
        """Tell Home Assistant of every camera; again whenever it has come up."""
        for name in self.watchers if self.is_announced else ():
            message = discovery_message(self.prefix, name, _VERSION, self.page)
            self.bus.retain(discovery_topic(self.prefix, name), _json(message))

    async def take_back(self) -> None:
        """Take cameras that are gone back, and remember those that there are."""
        path, names = self.announced, set(self.watchers if self.is_announced else ())
        known = await asyncio.to_thread(_read_names, path)
        for name in known - names:
            self.bus.retain(discovery_topic(self.prefix, name), b"")
        for name in known - set(self.watchers):
            for topic in self._kept(name):
                self.bus.retain(topic, b"")
        if known != names:
            text = json.dumps(sorted(names))
            await asyncio.to_thread(write_whole, path, text)

    def _kept(self, camera: str) -> list[str]:
        kept = ("status", "picture", "last_answer", "last_alert")
        return [f"{self.prefix}/{camera}/{what}" for what in kept]

    def _report_answer(self, event: Mapping[str, Any]) -> None:
        answer = {key: event[key] for key in event if key not in {"type", "cameras"}}
        said = answer["answer"] or (answer["error"] or {}).get("message", "")
        for camera in event["cameras"] or self.watchers:
            body = {"state": short_state(said), **answer}
            self.bus.retain(f"{self.prefix}/{camera}/last_answer", _json(body))

    def report_watch(self, state: Mapping[str, Any]) -> None:
        """Publish how a standing question stands; of one that is gone, nothing."""
        topic = f"{self.prefix}/{state['camera']}/watch/{state['name']}/state"
        is_gone = state["state"] == "removed"
        told = {key: state[key] for key in state if key != "type"}
        self.bus.retain(topic, b"" if is_gone else _json(told))

    def report_command(
        self, path: Sequence[str], error: Mapping[str, str] | None
    ) -> None:
        """Publish that a command was obeyed, or why not."""
        body = {"command": "/".join(path), "error": error}
        self.bus.publish(f"{self.prefix}/commands", _json(body))

    def _report_alert(self, event: Mapping[str, Any]) -> None:
        body = _json({key: event[key] for key in event if key != "type"})
        self.bus.publish(self._topic(event, "alerts"), body)
        self.bus.retain(self._topic(event, "last_alert"), body)

    def _topic(self, event: Mapping[str, Any], what: str) -> str:
        return f"{self.prefix}/{event['camera']}/{what}"


def _read_names(path: Path) -> set[str]:
    try:
        return set(json.loads(path.read_text()))
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, TypeError) as exc:
        logger.warning("cameras announced before are not known: %s", type(exc).__name__)
        return set()


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
