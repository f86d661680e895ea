import json
import re
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ha_schema import DISCOVERY_TOPIC, render, validate
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tiny_model import make_model

from agent import inbox
from agent.camera_report import report_camera
from agent.home_assistant import (
    BIRTH_TOPIC,
    discovery_message,
    discovery_topic,
    short_state,
)
from agent.inbox import Command, Inbox
from agent.messages import (
    Answer,
    Coverage,
    Evidence,
    Gap,
    answer_to_dict,
    error_answer,
)
from agent.mqtt_client import Message
from agent.mqtt_settings import MqttSettings
from agent.prefill_queue import PrefillQueue
from agent.watcher import Watcher
from agent.worker import ModelThread
from ingest.settings import CameraSettings
from ingest.source import CameraSource
from ingest.status import CameraState
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.index import ChunkIndex
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore

OWN = "longwatch/front-door"
MESSAGE = discovery_message("longwatch", "front-door", "0.1.0")
COMPONENTS: dict[str, dict[str, Any]] = MESSAGE["components"]
PREFIXES = st.from_regex(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,3}", fullmatch=True)
CAMERAS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


def show(key: str, body: dict[str, Any], what: str = "value_template") -> str:
    return render(COMPONENTS[key][what], json.dumps(body), body)


@pytest.fixture(scope="module")
def status(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What is really published of a camera; it has not begun yet."""
    model, folder = make_model(), tmp_path_factory.mktemp("status")
    levels = BiLevel(
        LevelSettings("novelty", 16), LevelSettings("value_norm", 2), model.heads, 8
    )
    archive = RedisArchive("redis://127.0.0.1:1", model=model.fingerprint, prefix="x")
    store = MemoryStore(
        archive,
        Spool(Path(folder), 1 << 20),
        ResidentMemory(1 << 20, newest=1),
        ChunkIndex(1 << 20),
        levels,
        model.fingerprint,
        model.device,
    )
    queue = PrefillQueue(ModelThread(), model, model.prefill_sink(), levels, 64, {})
    settings = CameraSettings(name="front-door", address="simulated:")
    return report_camera(Watcher(CameraSource(settings), queue, store, 1), model)


@given(PREFIXES, CAMERAS, st.sampled_from([None, "http://192.168.1.5:8080"]))
def test_home_assistant_takes_the_message_of_any_camera(
    prefix: str, camera: str, url: str | None
) -> None:
    message = discovery_message(prefix, camera, "0.1.0", url)
    assert validate(message).device.configuration_url == url
    assert json.loads(json.dumps(message)) == message
    assert re.fullmatch(DISCOVERY_TOPIC, discovery_topic(prefix, camera))


@given(PREFIXES, st.sets(CAMERAS, min_size=2, max_size=4))
def test_no_two_cameras_share_a_topic_or_an_id(prefix: str, cameras: set[str]) -> None:
    assert len({discovery_topic(prefix, camera) for camera in cameras}) == len(cameras)
    ids = [
        entity["unique_id"]
        for camera in cameras
        for entity in discovery_message(prefix, camera, "1")["components"].values()
    ]
    assert len(set(ids)) == len(ids)


def test_ids_stay_as_they_are_or_homes_lose_what_they_made_of_them() -> None:
    topic = "homeassistant/device/longwatch_longwatch_front-door/config"
    assert discovery_topic("longwatch", "front-door") == topic
    assert discovery_topic("a-b/c", "x", "ha") == "ha/device/longwatch_a_b_c_x/config"
    assert MESSAGE["device"]["identifiers"] == ["longwatch_longwatch_front-door"]
    assert {key: entity["unique_id"] for key, entity in COMPONENTS.items()} == {
        key: f"longwatch_longwatch_front-door.{key}"
        for key in (
            *("state", "last_frame", "chunks", "dropped", "gap", "ask", "watching"),
            *("last_answer", "last_alert", "alert", "picture"),
        )
    }


def test_topics_are_those_of_the_protocol() -> None:
    topics: dict[str, set[str]] = {}
    for key, entity in COMPONENTS.items():
        for name, value in entity.items():
            if name.endswith("_topic"):
                topics.setdefault(value, set()).add(f"{key}.{name}")
    sensors = ("state", "last_frame", "chunks", "dropped", "gap", "watching")
    assert topics == {
        f"{OWN}/status": {f"{key}.state_topic" for key in sensors},
        f"{OWN}/ask": {"ask.command_topic"},
        f"{OWN}/watching/set": {"watching.command_topic"},
        f"{OWN}/alerts": {"alert.state_topic"},
        f"{OWN}/picture": {"picture.image_topic"},
        **{
            f"{OWN}/{key}": {f"{key}.state_topic", f"{key}.json_attributes_topic"}
            for key in ("last_answer", "last_alert")
        },
    }


def test_the_past_can_be_read_while_the_agent_is_away() -> None:
    assert MESSAGE["availability"] == [{"topic": "longwatch/status"}]
    kept = {key for key, entity in COMPONENTS.items() if "availability" in entity}
    assert kept == {"last_answer", "last_alert", "alert", "picture"}
    assert all(COMPONENTS[key]["availability"] == [] for key in kept)


def test_what_a_person_does_arrives_as_a_question_and_as_commands() -> None:
    ours = Inbox(MqttSettings("mqtt://127.0.0.1"), ["front-door"], lambda letter: None)
    watching = COMPONENTS["watching"]
    for payload in (watching["payload_off"], watching["payload_on"]):
        ours.receive(
            Message(watching["command_topic"], payload.encode(), retained=False)
        )
    ours.receive(
        Message(COMPONENTS["ask"]["command_topic"], b"Who came?", retained=False)
    )
    commands = [ours.commands.get_nowait() for _ in range(2)]
    told = ("front-door", "watching")
    assert commands == [Command(told, b"off"), Command(told, b"on")]
    question = ours.questions.get_nowait()
    assert (question.text, question.cameras) == ("Who came?", ("front-door",))


def test_home_assistants_birth_is_listened_for() -> None:
    assert BIRTH_TOPIC == inbox.BIRTH_TOPIC == "homeassistant/status"


def test_the_first_status_of_a_camera_is_read(status: dict[str, object]) -> None:
    assert show("state", status) == "starting"
    assert show("last_frame", status) == "None"  # Home Assistant's word for unknown
    assert show("chunks", status) == show("dropped", status) == "0"


@pytest.mark.parametrize("state", list(CameraState))
def test_every_state_is_shown(state: CameraState, status: dict[str, object]) -> None:
    body = {**status, "state": state.value, "last_frame": "2026-01-01T10:00:00Z"}
    assert show("state", body) in COMPONENTS["state"]["options"]
    assert show("gap", body) == ("OFF" if state is CameraState.ONLINE else "ON")
    assert show("watching", body) == ("off" if state is CameraState.PAUSED else "on")
    shown = datetime.fromisoformat(show("last_frame", body))
    assert shown == datetime(2026, 1, 1, 10, tzinfo=UTC)


def long_answer() -> Answer:
    found = [
        Evidence("front-door", f"1767261{n:06}-1767269999999", 0, 9, 1 / (n + 1), "low")
        for n in range(64)
    ]
    gaps = [Gap("front-door", n, n + 0.5, "offline") for n in range(2000)]
    text = "A person with a “red” coat & {{ braces }}.\n" * 40
    coverage = Coverage(gaps=tuple(gaps))
    return Answer("q-1", "Who?", text, "ok", evidence=tuple(found), coverage=coverage)


def test_an_answer_is_a_short_state_and_has_its_text_in_the_attributes() -> None:
    answer = long_answer()
    body = {"state": short_state(answer.answer), **answer_to_dict(answer)}
    assert show("last_answer", body) == short_state(answer.answer)
    raw = show("last_answer", body, "json_attributes_template")
    attributes = json.loads(raw)
    assert attributes["answer"] == answer.answer
    assert attributes["question"] == "Who?"
    assert attributes["evidence"] == answer_to_dict(answer)["evidence"][:8]
    assert not attributes.keys() & {"state", "coverage", "timings_ms", "tokens"}
    assert len(raw) < 16384  # what Home Assistant keeps of a state's attributes


def test_an_error_is_shown_and_an_alert_needs_no_evidence() -> None:
    failed = error_answer("q-1", "timeout", "not answered in time", "Who?")
    body = {"state": "not answered in time", **answer_to_dict(failed)}
    attributes = json.loads(show("last_answer", body, "json_attributes_template"))
    assert show("last_answer", body) == "not answered in time"
    assert (attributes["status"], attributes["error"]["code"]) == ("error", "timeout")
    alert = {"event_type": "alert", "state": "A red car.", "name": "car"}
    assert show("last_alert", alert) == "A red car."
    attributes = json.loads(show("last_alert", alert, "json_attributes_template"))
    assert attributes == {"event_type": "alert", "name": "car", "evidence": []}
    assert alert["event_type"] in COMPONENTS["alert"]["event_types"]


@given(st.text(max_size=600))
def test_a_state_is_never_too_long_and_says_when_it_was_cut(text: str) -> None:
    state = short_state(text)
    assert len(state) <= 255
    assert state == text or (state[-1] == "…" and text.startswith(state[:-1]))
    assert (state == text) == (len(text) <= 255)


def test_a_state_is_cut_at_255_characters() -> None:
    assert short_state("é" * 255) == "é" * 255
    assert short_state("é" * 256) == "é" * 254 + "…"


GONE = object()
GAP, SENSOR = "components.gap.binary_sensor", "sensor.value_template"
CLASS = "sensor.device_class"
ID = COMPONENTS["dropped"]["unique_id"]
MISTAKES = [  # what is set, to what, and where the schema finds it
    ("components.gap.colour", "red", f"{GAP}.colour"),
    ("components.gap.unique_id", GONE, f"{GAP}.unique_id"),
    ("components.gap.device_class", "trouble", f"{GAP}.device_class"),
    ("components.gap.qos", 3, f"{GAP}.qos"),
    ("components.gap.platform", GONE, "components.gap"),
    ("components.gap.platform", "alarm", "components.gap"),
    ("components.chunks.value_template", 7, f"components.chunks.{SENSOR}"),
    ("components.chunks.value_template", "{{ value", f"components.chunks.{SENSOR}"),
    ("components.chunks.unique_id", ID, ""),
    ("components.state.options", GONE, "components.state.sensor"),
    ("components.last_frame.device_class", "x", f"components.last_frame.{CLASS}"),
    ("components.alert.event_types", [], "components.alert.event.event_types"),
    ("components.ask.max", 256, "components.ask.text.max"),
    ("components.picture.image_topic", "a/+/b", "components.picture.image.image_topic"),
    ("origin.name", GONE, "origin.name"),
    ("origin", GONE, "origin"),
    ("device.identifiers", GONE, "device.identifiers"),
    ("device.configuration_url", "ftp://home", "device.configuration_url"),
    ("availability", [{}], "availability.0.topic"),
    ("retain", True, "retain"),
]


@pytest.mark.parametrize(("name", "value", "place"), MISTAKES)
def test_the_schema_refuses_a_mistake_where_it_is(
    name: str, value: object, place: str
) -> None:
    message: dict[str, Any] = deepcopy(MESSAGE)
    *path, last = name.split(".")
    part = message
    for level in path:
        part = part[level]
    if value is GONE:
        del part[last]
    else:
        part[last] = value
    with pytest.raises(ValidationError) as caught:
        validate(message)
    (mistake,) = caught.value.errors()
    assert ".".join(map(str, mistake["loc"])) == place


def test_the_guide_names_every_entity_and_topic_and_no_others() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "home-assistant.md").read_text()
    entities = set()
    for entity in COMPONENTS.values():
        name = f"{MESSAGE['device']['name']} {entity['name']}"
        slug = re.sub(r"\W+", "_", name).lower()  # as Home Assistant names entities
        entities.add(f"{entity['platform']}.{slug}")
    assert set(re.findall(r"\w+\.longwatch_front_door\w+", guide)) == entities
    topics = {
        value
        for entity in COMPONENTS.values()
        for name, value in entity.items()
        if name.endswith("_topic")
    }
    assert set(re.findall(rf"{OWN}/[\w/]+", guide)) == topics
    assert discovery_topic("longwatch", "front-door") in guide
