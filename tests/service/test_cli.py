import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.vlm.builtin import FOLDER

pytestmark = pytest.mark.timeout(150)


def longwatch(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(
        "cameras:\n  gate: {address: 'simulated:seed=1'}\n"
        "mqtt: {url: 'mqtt://127.0.0.1:9'}\n"
    )
    return path


def test_a_good_config_is_said_to_be_good(config: Path) -> None:
    done = longwatch("check-config", config)
    assert done.returncode == 0
    assert "good, 1 camera" in done.stdout


def test_every_mistake_in_a_config_is_named(config: Path) -> None:
    config.write_text(config.read_text() + "memory: {high_facto: 8}\nmodle: {}\n")
    done = longwatch("check-config", config)
    assert done.returncode == 2
    assert "high_facto" in done.stderr
    assert "high_factor" in done.stderr
    assert "modle" in done.stderr
    assert "line 4" in done.stderr


@pytest.mark.parametrize("command", [("ask", "who?"), ("status",)])
def test_no_broker_is_one_line_and_status_2(
    config: Path, command: tuple[str, ...]
) -> None:
    done = longwatch(*command, "--config", config)
    assert done.returncode == 2
    assert done.stderr.startswith("longwatch: ")
    assert "Traceback" not in done.stderr


def test_calibration_writes_the_heads_and_shows_what_they_find(tmp_path: Path) -> None:
    written = tmp_path / "heads.json"
    done = longwatch("calibrate", "--streams", "2", "--chunks", "16", "--out", written)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert str(written) in done.stdout.replace("\n", "")
    body = json.loads(written.read_text())
    assert body["source"] == "camera"
    assert body["heads"]


def test_calibrating_a_model_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = longwatch("calibrate", "--model", tmp_path / "none")
    assert done.returncode == 2
    assert "can't load model" in done.stderr
    assert "there is no such folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_examines_a_model_and_says_how_it_ended(tmp_path: Path) -> None:
    done = longwatch("doctor", "--no-calibrate", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["passed"]
    verdicts = {check["name"]: check["verdict"] for check in report["checks"]}
    assert verdicts["streamed = plain"] == verdicts["frames"] == "passed"
    assert verdicts["calibration"] == "none"

    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder)
    facts = folder / "preprocessor_config.json"
    facts.write_text(facts.read_text().replace("0.5", "0.4"))
    done = longwatch("doctor", "--no-calibrate", "--model", folder)
    assert done.returncode == 1, done.stderr
    assert "differs by" in done.stdout


def test_a_model_that_is_not_there_ends_the_agent_with_its_name(config: Path) -> None:
    config.write_text(
        config.read_text()
        + f"model: {{name: {config.parent / 'none'}}}\ndata_dir: {config.parent}\n"
    )
    done = longwatch("run", "--config", config)
    assert done.returncode == 2
    assert "can't load model" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_runs_to_its_end_and_writes_what_it_printed(tmp_path: Path) -> None:
    written = tmp_path / "demo.json"
    done = longwatch("demo", "--json", written, "--seed", "7")
    assert done.returncode == 0, done.stderr
    body = json.loads(written.read_text())
    assert [camera["name"] for camera in body["cameras"]] == ["garden", "street"]
    for camera in body["cameras"]:
        assert camera["chunks"] > 20
        assert camera["tokens_in"] > camera["tokens_l"] > camera["tokens_h"] > 0
        assert camera["dropped"] == 0
    assert [answer["after_restart"] for answer in body["answers"]] == [
        False,
        False,
        False,
        True,
    ]
    for answer in body["answers"]:
        assert answer["status"] in {"ok", "unsure"}
        assert answer["expected"]
        is_judged = answer["status"] == "ok"
        assert answer["correct"] in ({True, False} if is_judged else {None})
        assert answer["evidence"]
        assert answer["timings_ms"]["total"] < 10_000
