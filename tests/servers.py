"""Real servers for tests, to be killed and started again: loopback only."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from getpass import getuser
from pathlib import Path

import pytest
from redis import Redis

HOST = "127.0.0.1"
START_S = 10.0
NEEDED_COMMANDS = [
    *("+ping", "+multi", "+exec", "+discard", "+scan", "+exists", "+unlink"),
    *("+get", "+set", "+hset", "+hmget", "+hdel", "+hscan", "+hvals", "+sadd"),
    *(
        "+smembers",
        "+sismember",
        "+zadd",
        "+zrem",
        "+zscore",
        "+zrangebyscore",
        "+mget",
    ),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def find_binary(name: str) -> str:
    """Give back the path of a server's binary; skip, or under CI fail, without it."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed, and under CI it must be")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


class Server:
    """A server that can be killed and started again in the same folder."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return once its socket takes connections."""
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self.folder, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_S
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"no server:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.005)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.socket))
            except OSError:
                return False
        return True


class RedisServer(Server):
    """redis-server without persistence, unless the options ask for it."""

    def __init__(self, folder: Path, *options: str) -> None:
        binary = find_binary("redis-server")
        fixed = ["--port", "0", "--unixsocket", "s", "--save", ""]
        super().__init__(folder, [binary, *fixed, *options])
        self.url = f"unix://{self.socket}"


class SecureRedisServer(Server):
    """redis-server by TLS on a loopback port, for one user who may do what is needed.

    The commands are those that `docs/protocol.md` lists.
    """

    def __init__(self, folder: Path) -> None:
        port = free_port()
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        make_certificate(certificate, key)
        command = [find_binary("redis-server"), "--port", "0", "--unixsocket", "s"]
        command += ["--bind", HOST, "--tls-port", str(port), "--save", ""]
        command += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        command += ["--tls-auth-clients", "no", "--user", "default", "off"]
        command += ["--user", "longwatch", "on", ">p@ss", "~test-*", *NEEDED_COMMANDS]
        super().__init__(folder, command)
        self.url = f"rediss://longwatch:p%40ss@{HOST}:{port}?ssl_ca_certs={certificate}"


def make_certificate(certificate: Path, key: Path) -> None:
    """Write a certificate for the loopback device that signs itself."""
    command = [find_binary("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=longwatch", "-keyout", str(key)]
    command += ["-addext", f"subjectAltName=IP:{HOST}", "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)


class ThreeMasters:
    """A Redis Cluster of three masters, a third of the slots each."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.ports = [free_port() for _ in folders]
        self.nodes: list[RedisServer] = []
        self._bus_ports: list[str] = []
        for folder, port in zip(folders, self.ports, strict=True):
            options = ["--port", str(port), "--bind", HOST, "--cluster-enabled", "yes"]
            bus_port = str(free_port())
            self._bus_ports.append(bus_port)
            options += ["--cluster-port", bus_port]
            self.nodes.append(RedisServer(folder, *options))
        self.url = f"redis+cluster://{HOST}:{self.ports[0]}"

    def start(self) -> None:
        """Start the nodes, share out the slots, and return once all agree on them."""
        for node in self.nodes:
            node.start()
        clients = [Redis(unix_socket_path=str(node.socket)) for node in self.nodes]
        bounds = [16384 * number // 3 for number in range(4)]
        for number, client in enumerate(clients):
            slots = bounds[number], bounds[number + 1] - 1
            client.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            meeting = HOST, self.ports[0], self._bus_ports[0]
            client.execute_command("CLUSTER MEET", *meeting)
        deadline = time.monotonic() + START_S
        while not all(_knows_all(client) for client in clients):
            assert time.monotonic() < deadline, "the nodes don't find each other"
            time.sleep(0.05)
        for client in clients:
            client.close()

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()


def _knows_all(client: Redis) -> bool:
    info = client.execute_command("CLUSTER INFO")
    assigned = len(client.execute_command("CLUSTER SLOTS"))
    return info["cluster_state"] == "ok" and assigned == 3


class Broker(Server):
    """mosquitto, open to everyone on a Unix socket and on one loopback port."""

    host = HOST

    def __init__(self, folder: Path, *settings: str) -> None:
        config = folder / "mosquitto.conf"
        super().__init__(folder, [find_binary("mosquitto"), "-c", str(config)])
        self.port = free_port()
        lines = [
            f"user {getuser()}",  # started by root it would lose its folder otherwise
            "allow_anonymous true",
            f"listener 0 {self.socket}",
            f"listener {self.port} {self.host}",
            *settings,
        ]
        config.write_text("\n".join(lines) + "\n")


class RtspServer:
    """An RTSP server over the files of a folder, to be killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self.start()

    def url(self, name: str) -> str:
        return f"rtsp://{HOST}:{self._port}/{name}?play_count=0"

    def start(self) -> None:
        binary = Path(sys.executable).with_name("rtsp-server")
        command = [binary, "-d", self._folder, "-H", HOST, "-p", str(self._port)]
        command += ["-cp", str(free_port())]  # its default port may be taken
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while not self._accepts():
            assert self._process.poll() is None, "the RTSP server did not start"
            assert time.monotonic() < deadline, "the RTSP server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def _accepts(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex((HOST, self._port)) == 0
