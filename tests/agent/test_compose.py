"""No Docker engine runs the tests: the files are parsed, and checked together."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config import load_config

ROOT = Path(__file__).parents[2]
AGENTS = ("agent", "agent-gpu")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    plan: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return plan


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Give what is mounted where: container's path to source."""
    parts = (volume.split(":") for volume in service["volumes"])
    return {target: source for source, target, *_ in parts}


def test_compose_file_is_valid() -> None:
    command = ["docker-compose"]
    if shutil.which("docker-compose") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("docker-compose is not installed, and under CI it must be")
        pytest.skip("docker-compose is not installed")
    command += ["-f", str(ROOT / "docker-compose.yml"), "config", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_service_is_watched_and_restarted(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {*AGENTS, "redis", "mosquitto"}
    for service in services.values():
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"
    assert services["redis"]["healthcheck"]["test"][1:] == ["redis-cli", "ping"]
    for name in AGENTS:
        assert services[name]["healthcheck"]["test"][1:] == ["longwatch", "status"]
        waits = services[name]["depends_on"].values()
        assert [wait["condition"] for wait in waits] == ["service_healthy"] * 2


def test_mounted_files_exist_and_named_volumes_are_declared(
    compose: dict[str, Any],
) -> None:
    for service in compose["services"].values():
        for source in mounts(service).values():
            if source.startswith("."):
                assert (ROOT / source).is_file()
            else:
                assert source in compose["volumes"]


def test_ports_are_published_on_this_machine_only(compose: dict[str, Any]) -> None:
    ports = [p for s in compose["services"].values() for p in s.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_config_of_the_agent_names_the_services(compose: dict[str, Any]) -> None:
    (path,) = {mounts(compose["services"][n])["/config/longwatch.yaml"] for n in AGENTS}
    config = load_config(ROOT / path, {})
    assert config.archive.url.startswith("redis://redis:")
    assert config.mqtt.url.startswith("mqtt://mosquitto:")
    assert str(config.data_dir) in mounts(compose["services"]["agent"])


def test_only_the_gpu_agent_asks_for_a_gpu(compose: dict[str, Any]) -> None:
    plain, gpu = (compose["services"][name] for name in AGENTS)
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert gpu["profiles"] == ["gpu"]
    assert "deploy" not in plain
    assert "profiles" not in plain


def test_redis_keeps_what_it_acknowledged(compose: dict[str, Any]) -> None:
    service = compose["services"]["redis"]
    config = (ROOT / "configs/redis.conf").read_text().splitlines()
    assert {"appendonly yes", "appendfsync always"} <= set(config)
    assert "maxmemory-policy noeviction" in config
    assert "dir /data" in config
    assert "/data" in mounts(service)
    assert service["command"][1] in mounts(service)


def test_configs_start_real_servers(
    start_redis: Any, start_mosquitto: Any, tmp_path: Path
) -> None:
    skip = ("dir ", "#")
    lines = (ROOT / "configs/redis.conf").read_text().splitlines()
    options = [line.split() for line in lines if line and not line.startswith(skip)]
    start_redis(*(w for name, *rest in options for w in (f"--{name}", *unquote(rest))))
    skip = ("listener", "allow_anonymous", "persistence_location", "#")
    lines = (ROOT / "configs/mosquitto.conf").read_text().splitlines()
    start_mosquitto(*(line for line in lines if not line.startswith(skip)))


def unquote(words: list[str]) -> list[str]:
    return [word.strip('"') for word in words]


def test_image_runs_as_a_user_with_pinned_versions_and_no_more_than_it_needs() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert lines.index("USER longwatch") > max(
        number for number, line in enumerate(lines) if line.startswith("RUN")
    )
    installs = [line for line in lines if "pip install" in line]
    assert all("--no-cache-dir" in line for line in installs)
    assert all("constraints.txt" in line for line in installs)
    command = 'CMD ["longwatch", "run", "--config", "/config/longwatch.yaml"]'
    assert lines[-1] == command
    copied = [w for x in lines if x.startswith("COPY") for w in x.split()[1:-1]]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in copied} == {x for x in ignored if x.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
