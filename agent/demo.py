"""The demo: an agent as a service, and a client that asks it over MQTT.

Everything shown here comes over MQTT, as to any client; the agent is a process of
its own, stopped and started again in the middle.
"""

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live
from rich.text import Text

from agent.asker import ask, states
from agent.config import load_config
from agent.demo_agent import DemoError, free_port, running_agent
from agent.demo_questions import DemoQuestion, questions_about
from agent.mqtt_settings import MqttSettings
from agent.screen import answer_panel, camera_table
from ingest.simulation.split import TAKEN
from ingest.simulation.world import World

BACKLOG_S = 240  # how long the simulated cameras have been there before the demo
SPEED = 20  # how much faster than life the backlog is watched
CAUGHT_UP_S = 10.0  # a camera whose newest chunk is this new has watched its backlog
MIN_CHUNKS = 3
NUM_QUESTIONS = 4  # three, and one more after the restart
TOP_K = 4  # chosen on validation worlds
MAX_NEW_TOKENS = 16
OWN_QUESTIONS = (
    "What is happening now?",
    "What did the camera see first?",
    "Was there a person?",
    "What was seen before the restart?",
)


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the demo shows.

    Attributes:
        video: A file or address to watch instead of the simulated cameras.
        model: Name of the model.
        seed: Which simulated world.
        watch_s: Most seconds to watch before asking.
        json_file: Where to write what was printed, None for nowhere.
    """

    video: str | None
    model: str
    seed: int
    watch_s: float
    json_file: Path | None


@dataclass(slots=True)
class Record:
    """What was printed, as data."""

    cameras: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> str:
        """Write it in the form that the README tells."""
        names = ("chunks", "tokens_in", "tokens_h", "tokens_l", "dropped")
        cameras = [
            {"name": name, **{key: state[key] for key in names}}
            for name, state in sorted(self.cameras.items())
        ]
        return json.dumps({"cameras": cameras, "answers": self.answers}, indent=2)


async def run_demo(settings: DemoSettings, out: Console) -> None:
    """Run the demo from beginning to end.

    Raises:
        DemoError: The agent does not start, or sees nothing.
        AgentError: A question could not be asked.
    """
    with tempfile.TemporaryDirectory(prefix="longwatch-demo-") as folder:
        config = _write_config(Path(folder), settings)
        mqtt = load_config(config).mqtt.settings()
        record = Record()

        out.rule("watching")
        async with running_agent(config, mqtt):
            await _watch(mqtt, record, settings, out)
            questions = _questions(settings, record.cameras)
            out.rule("asking, over MQTT")
            for question in questions[:-1]:
                await _put(question, mqtt, record, out, after_restart=False)
            stopped_s = time.time()
        out.rule("the agent was stopped and is started again")
        async with running_agent(config, mqtt):
            await _put(
                questions[-1],
                mqtt,
                record,
                out,
                after_restart=True,
                until_s=stopped_s,
            )
    if settings.json_file is not None:
        await asyncio.to_thread(settings.json_file.write_text, record.as_json() + "\n")


def _write_config(folder: Path, settings: DemoSettings) -> Path:
    if settings.video is None:
        cameras = {
            name: {
                "address": f"simulated:seed={world.seed}&size=256&fps=2"
                f"&backlog_s={BACKLOG_S}&speed={SPEED}",
                "fps": 2,
                "realtime": False,
            }
            for name, world in worlds_of(settings.seed).items()
        }
    else:
        local = Path(settings.video)
        address = str(local.absolute()) if local.exists() else settings.video
        cameras = {"video": {"address": address, "fps": 2, "realtime": False}}
    body = {
        "data_dir": str(folder / "data"),
        "cameras": cameras,
        "model": {
            "name": settings.model,
            "max_new_tokens": MAX_NEW_TOKENS,
            "context_chunks": 0,  # as the built-in model was trained
        },
        "memory": {"top_k": TOP_K},
        "mqtt": {"url": "embedded", "embedded_port": free_port()},
        "http": {"enabled": False},
        "log": {"level": "info", "format": "json"},
    }
    path = folder / "longwatch.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def worlds_of(seed: int) -> dict[str, World]:
    """Give the worlds that the demo's cameras show, whatever the seed none of a model.

    Seeds whose worlds are taken show those of another seed.
    """
    first = 2 * seed
    if first in TAKEN:
        first %= TAKEN.start
    return {"garden": World(first), "street": World(first + 1)}


def _questions(
    settings: DemoSettings, states: dict[str, dict[str, Any]]
) -> list[DemoQuestion]:
    """Give three questions and one more for after the restart."""
    if settings.video is not None:
        return [DemoQuestion(text, "video") for text in OWN_QUESTIONS]
    watched = {name: state for name, state in states.items() if state["chunks"]}
    shown = worlds_of(settings.seed)
    worlds = {name: shown[name] for name in watched}
    windows = {name: _watched(state) for name, state in watched.items()}
    questions = questions_about(worlds, windows, NUM_QUESTIONS, settings.seed)
    if len(questions) < NUM_QUESTIONS:
        raise DemoError("too little was watched to ask about; give --watch-s more")
    return questions


async def _watch(
    mqtt: MqttSettings, record: Record, settings: DemoSettings, out: Console
) -> None:
    """Show the cameras' states until the backlog is watched or time is up."""
    async with states(mqtt) as arriving:
        with Live(console=out, refresh_per_second=4) as live:
            try:
                async with asyncio.timeout(settings.watch_s):
                    async for camera, state in arriving:
                        if not camera:
                            continue
                        record.cameras[camera] = state
                        live.update(camera_table(record.cameras))
                        if _has_seen_enough(record, settings):
                            break
            except TimeoutError:
                pass
    watched = list(record.cameras.values())
    if not any(state["chunks"] for state in watched):
        errors = {str(state["error"]) for state in watched if state["error"]}
        raise DemoError(f"nothing was seen: {', '.join(errors) or 'no frames'}")
    if not watched[0]["model_is_trained"]:
        out.print(
            f"The model ({watched[0]['model']}) has random weights until it is "
            "trained: the path is real, its words mean nothing.",
            style="bold yellow",
        )


def _has_seen_enough(record: Record, settings: DemoSettings) -> bool:
    expected = 1 if settings.video else len(worlds_of(settings.seed))
    cameras = record.cameras.values()
    return len(cameras) == expected and all(_is_caught_up(s) for s in cameras)


def _watched(state: dict[str, Any]) -> tuple[float, float]:
    """Give the UTC from and up to which a camera's chunks are remembered."""
    start, _, end = str(state["last_chunk"]).partition("-")
    length_s = (int(end) - int(start)) / 1000
    return int(end) / 1000 - state["chunks"] * length_s, int(end) / 1000


def _is_caught_up(state: dict[str, Any]) -> bool:
    if state["state"] == "ended":
        return bool(state["chunks"])
    if state["chunks"] < MIN_CHUNKS:
        return False
    _, seen_until_s = _watched(state)
    return time.time() - seen_until_s < CAUGHT_UP_S


async def _put(
    question: DemoQuestion,
    mqtt: MqttSettings,
    record: Record,
    out: Console,
    *,
    after_restart: bool,
    until_s: float | None = None,
) -> None:
    """Ask one question, show the answer beside the truth, and keep both."""
    body: dict[str, object] = {"question": question.text, "cameras": [question.camera]}
    if until_s is not None:
        body["to"] = until_s
    answer = await ask(mqtt, body)
    is_sure = answer["status"] != "unsure"
    correct = question.is_right(answer["answer"]) if is_sure else None
    out.print(answer_panel(answer, _truth(question, correct=correct)))
    kept = ("question", "answer", "status", "evidence", "timings_ms")
    record.answers.append(
        {
            **{key: answer[key] for key in kept},
            "expected": question.expected,
            "correct": correct,
            "after_restart": after_restart,
        }
    )


def _truth(question: DemoQuestion, *, correct: bool | None) -> Text | None:
    if question.expected is None or question.happened_s is None:
        return None
    when = datetime.fromtimestamp(question.happened_s, UTC)
    text = f"  truth: {question.expected}, {question.camera} {when:%H:%M:%S} UTC"
    return Text(text, style={True: "green", False: "red", None: "yellow"}[correct])
