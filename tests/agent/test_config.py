from dataclasses import MISSING, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config import Config, load_config
from agent.config_cameras import CameraConfig
from agent.errors import ConfigError
from ingest.films import Recording
from ingest.settings import CameraSettings

CONFIGS = Path(__file__).parents[2] / "configs"
CAMERA = 'cameras:\n  door:\n    address: "simulated:seed=1"\n'
SECRETS = {"CAMERA_USER": "u", "CAMERA_PASSWORD": "p@ss", "MQTT_PASSWORD": "q"}


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def load_text(text: str, **environment: str) -> Config:
        path = tmp_path / "longwatch.yaml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, environment)

    return load_text


def keys_of(model: Any) -> dict[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields}


def test_default_yaml_holds_every_setting_with_its_default() -> None:
    path = CONFIGS / "default.yaml"
    written = yaml.safe_load(path.read_text())
    config = load_config(path, {})
    plain = load_config_of_one_camera()
    assert set(written) == set(Config.model_fields)
    for name in ("model", "memory", "answers", "archive", "mqtt", "log"):
        section = getattr(config, name)
        assert section == getattr(plain, name)
        assert set(written[name]) == set(type(section).model_fields)
    assert config.data_dir == plain.data_dir
    (camera,) = written["cameras"].values()
    defaults = {
        field.name: field.default if field.default is not MISSING else {}
        for field in fields(CameraSettings)
        if field.name not in ("name", "address", "recording")
    }
    usual = {key: camera[key] for key in camera if key != "address"}
    ours = {"least_change": 0.0, "record": None, "time_zone": None, "watch": {}}
    assert usual == defaults | ours
    assert set(camera) == set(CameraConfig.model_fields)


def load_config_of_one_camera() -> Config:
    return Config.model_validate({"cameras": {"door": {"address": "simulated:seed=1"}}})


def test_default_yaml_comments_every_setting() -> None:
    text = (CONFIGS / "default.yaml").read_text()
    settings = [line for line in text.splitlines() if ": " in line.partition("#")[0]]
    assert len(settings) > 30
    assert [line for line in settings if "# " not in line] == []


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIGS.glob("*.yaml")))
def test_every_config_of_the_repository_loads(name: str) -> None:
    assert load_config(CONFIGS / name, SECRETS).camera_settings()


def test_cameras_become_settings_of_ingest(load: Any) -> None:
    text = CAMERA + "    fps: 2\n    options: {timeout: 5000000, rtsp_transport: tcp}\n"
    (camera,) = load(text).camera_settings()
    options = {"timeout": "5000000", "rtsp_transport": "tcp"}
    assert camera == CameraSettings(
        name="door", address="simulated:seed=1", fps=2.0, options=options
    )


def test_films_lie_in_the_data_directory(load: Any) -> None:
    text = "data_dir: here\n" + CAMERA + "    record: {retention_hours: 2}\n"
    (camera,) = load(text).camera_settings()
    assert camera.recording == Recording(
        "here/recordings/door", 60.0, 10_000_000_000, 7200.0
    )


def test_a_model_may_be_given_by_its_name_alone(load: Any) -> None:
    name = "Qwen/Qwen2.5-VL-3B-Instruct"
    short = load(CAMERA + f"model: {name}\n").model
    assert short == load(CAMERA + f"model:\n  name: {name}\n").model
    assert short.name == name


def test_environment_is_filled_in(load: Any) -> None:
    text = CAMERA + (
        "  yard:\n    address: rtsp://${USER_1}:${PASS}@h/$${x}\n"
        "mqtt:\n  embedded_port: ${PORT}\n  password: ${PASS}\n"
    )
    config = load(text, USER_1="u", PASS="12${PORT}", PORT="1999")
    assert config.cameras["yard"].address == "rtsp://u:12${PORT}@h/${x}"
    assert config.mqtt.embedded_port == 1999
    assert config.mqtt.settings().password == "12${PORT}"
    assert "12$" not in repr(config)


def test_embedded_broker_is_reached_by_the_version_it_speaks(load: Any) -> None:
    mqtt = load(CAMERA).mqtt
    assert mqtt.is_embedded
    settings = mqtt.settings()
    assert (settings.url, settings.version) == ("mqtt://127.0.0.1:1883", "3.1.1")
    assert mqtt.settings("mqtt://127.0.0.1:7").url == "mqtt://127.0.0.1:7"
    named = load(CAMERA + "mqtt: {url: 'mqtt://h:1884', version: 5}").mqtt.settings()
    assert (named.url, named.version) == ("mqtt://h:1884", "5")


def test_empty_section_and_anchors_are_fine(load: Any) -> None:
    text = (
        "cameras:\n  a: &base\n    address: 'simulated:seed=1'\n    fps: 2\n"
        "  b:\n    <<: *base\n    fps: 3\nmodel:\n"
    )
    config = load(text)
    assert [camera.fps for camera in config.camera_settings()] == [2.0, 3.0]
    assert config.model.name == "builtin"


@pytest.mark.parametrize(
    ("addition", "line", "key", "words"),
    [
        ("    fsp: 2", 4, "cameras.door.fsp", ["did you mean fps?", "max_side"]),
        ("    fps: 500", 4, "cameras.door.fps", ["500", "up to 120"]),
        ("    floor_fps: 500", 4, "cameras.door.floor_fps", ["floor_fps", "up to 120"]),
        ("    burst_fps: 0", 4, "cameras.door.burst_fps", ["burst_fps", "above 0"]),
        ("    floor_fps: 2", 2, "cameras.door", ["floor_fps is at most fps"]),
        ("    burst_fps: 0.5", 2, "cameras.door", ["burst_fps at least fps"]),
        ("    floor_fps: 0.001", 2, "cameras.door", ["8000 s", "max_chunk_s", "3600"]),
        ("    max_chunk_s: 4000", 4, "cameras.door.max_chunk_s", ["up to 3600"]),
        ("    fps: .nan", 4, "cameras.door.fps", ["nan"]),
        ("    max_side: wide", 4, "cameras.door.max_side", ["'wide'", "whole number"]),
        ("    chunk_frames: true", 4, "cameras.door.chunk_frames", ["true", "number"]),
        ("    options: [a]", 4, "cameras.door.options", ["allowed: a section"]),
        ("  b c: {address: x}", 4, "cameras.b c", ["'b c'", "A-Za-z0-9_-"]),
        ("  roof: {}", 4, "cameras.roof.address", ["missing", "a text"]),
        ("  roof: {address: 'simulated:sed=1'}", 4, "cameras.roof.address", ["sed"]),
        ("  answers: {address: x}", 1, "cameras", ["answers"]),
        ("date_dir: x", 4, "date_dir", ["did you mean data_dir?", "data_dir, cameras"]),
        ("model: {device: gpu}", 4, "model.device", ["'gpu'", "auto, cpu, cuda"]),
        ("model: {weights: int4}", 4, "model.weights", ["'int4'", "full, int8, nf4"]),
        ("model: 7", 4, "model", ["7", "a section with name"]),
        ('model: ""', 4, "model.name", ["nothing", "a text"]),
        ("model: {offline: 1.5}", 4, "model.offline", ["1.5", "true or false"]),
        ("model: {max_pixels: 9}", 4, "model.max_pixels", ["9", "256 or more or null"]),
        ("memory: 7", 4, "memory", ["found 7", "a section with high_factor"]),
        ("memory: {high_factor: 0}", 4, "memory.high_factor", ["0", "from 2 to 1024"]),
        (
            "memory:\n  high_factor: 2",
            4,
            "memory.low_factor",
            ["found 2", "below high_factor (2)"],
        ),
        ("memory: {top_k: 1.5}", 4, "memory.top_k", ["1.5", "whole number"]),
        ("archive: {timeout_s: 0}", 4, "archive.timeout_s", ["found 0", "above 0"]),
        ("archive: {url: 'http://x'}", 4, "archive.url", ["http://", "redis://"]),
        ("archive: {prefix: 'a b'}", 4, "archive.prefix", ["'a b'", "[A-Za-z0-9_-]+"]),
        ("mqtt: {url: 'mqtt://h:99999'}", 4, "mqtt.url", ["range 0-65535"]),
        ("mqtt: {url: 'mqtt://'}", 4, "mqtt.url", ["no address", "mqtts://"]),
        ("mqtt: {url: 'mqtt://u:hush@h'}", 4, "mqtt.url", ["login", "password"]),
        ("mqtt: {version: 4}", 4, "mqtt.version", ["4", "auto, 5, 3.1.1"]),
        ("mqtt: {ca_file: /no/such}", 4, "mqtt.ca_file", ["/no/such", "exists"]),
        ("mqtt: {key_file: /no/such}", 4, "mqtt.key_file", ["/no/such", "exists"]),
        (
            "http:\n  tokens:\n  - {name: a, token: 0123456789abcdef0, asks: 1}",
            6,
            "http.tokens.0.asks",
            ["did you mean ask?", "watch, pause"],
        ),
        ("time_zone: Mars/Base", 4, "time_zone", ["Mars/Base", "Europe/Berlin"]),
        ("time_zone: ../x", 4, "time_zone", ["../x", "Europe/Berlin"]),
        ("mqtt: {password: 9}", 4, "mqtt.password", ["not shown", "a text or null"]),
        ("log: {level: loud}", 4, "log.level", ["'loud'", "debug, info"]),
        ("log:\n  level: info\n  level: info", 6, "log.level", ["twice"]),
        ("data_dir: ${NOPE}", 4, "data_dir", ["environment variable NOPE", "not set"]),
        ("data_dir: ${file:/no/such}", 4, "data_dir", ["/no/such", "No such file"]),
    ],
)
def test_mistake_names_key_line_found_and_allowed(
    load: Any, addition: str, line: int, key: str, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(CAMERA + addition + "\n")
    (mistake,) = caught.value.mistakes
    assert (mistake.line, mistake.key) == (line, key)
    assert all(word in mistake.text for word in words), mistake.text
    assert f"line {line}, {key}: " in str(caught.value)


@pytest.mark.parametrize(
    "rates",
    [
        {"fps": 4, "burst_fps": 4, "floor_fps": 4},
        {"fps": 30, "burst_fps": 60, "floor_fps": 2},
        {"fps": 0.1, "burst_fps": 0.5},
        {"floor_fps": 0.001, "max_chunk_s": 60},
        {"fps": 30, "chunk_frames": 1024},
    ],
)
def test_rates_are_judged_together(load: Any, rates: dict[str, float]) -> None:
    wanted = "".join(f"    {name}: {rate}\n" for name, rate in rates.items())
    (camera,) = load(CAMERA + wanted).camera_settings()
    assert {name: getattr(camera, name) for name in rates} == rates


def test_a_file_is_filled_in_without_its_last_line_break(
    load: Any, tmp_path: Path
) -> None:
    secret = tmp_path / "camera"
    secret.write_text("pass word\n")
    config = load(f"{CAMERA}  yard: {{address: 'rtsp://u:${{file:{secret}}}@h'}}\n")
    assert config.cameras["yard"].address == "rtsp://u:pass word@h"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["cameras", "missing"]),
        ("cameras: {}\n", ["line 1, cameras", "at least one"]),
        ("- a\n", ["found a list", "a section with data_dir"]),
        ("cameras:\n  door: [\n", ["line 3", "not valid YAML"]),
        ("a: !!python/name:os.system\n", ["line 1", "not valid YAML"]),
        ("a: &a [*a]\n", ["an anchor in itself"]),
        ("a: \x01\n", ["not valid YAML"]),
        ("? [a]\n: 1\n", ["line 1", "a key must be a text"]),
    ],
)
def test_broken_file_is_a_named_error(load: Any, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_missing_or_binary_file_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="directory"):
        load_config(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path / "binary")


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(load: Any) -> None:
    text = CAMERA + "    fps: 0\n    fsp: 1\nmemory:\n  top_k: no\nlog: {form: text}\n"
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert [mistake.line for mistake in caught.value.mistakes] == [4, 5, 7, 8]
    assert "4 mistakes" in str(caught.value)


def test_no_secret_is_in_any_message(load: Any) -> None:
    text = CAMERA + (
        "  yard:\n    address: ['rtsp://u:hush-1@h']\n    options: {a: [hush-2]}\n"
        "  roof: {address: 'rtsp://u:hush-3@h', fps: '${SECRET}'}\n"
        "  lawn: rtsp://u:hush-4@h\n"
        "  rtsp://u:hush-9@h: {fsp: 1}\n"
        "mqtt: {url: 'mqtt://u:hush-5@h', password: [hush-6], username: '${NOPE}'}\n"
        "archive: {url: 'http://u:hush-7@h'}\n"
        "log: {level: '${SECRET}'}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(text, SECRET="hush-8")
    assert len(caught.value.mistakes) == 12
    assert "hush" not in str(caught.value)
    assert "${SECRET}" in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_each_camera_has_its_time_zone_or_that_of_all(load: Any) -> None:
    text = CAMERA + "    time_zone: Asia/Tokyo\n  gate: {address: 'simulated:'}\n"
    zones = load(text + "time_zone: Europe/Berlin\n").time_zones()
    assert [str(zone) for zone in zones.values()] == ["Asia/Tokyo", "Europe/Berlin"]
    machines = load(text).time_zones()["gate"]
    assert machines.utcoffset(datetime(2026, 1, 1)) is not None  # noqa: DTZ001 - a zone's question
