"""HTTPS: with a certificate there is nothing else, without a good one no server."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import httpx2
import pytest
from servers import make_certificate

from agent.http.errors import HttpStartError
from agent.http.house import House
from agent.http.server import HttpServer
from agent.http.settings import HttpSettings, Rights, Token

SECRET = "s" * 20


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    pair = folder / "certificate.pem", folder / "key.pem"
    make_certificate(*pair)
    return pair


def settings(certificate: Path, key: Path | None) -> HttpSettings:
    return HttpSettings(
        port=0,
        tokens=(Token(SECRET, Rights("me")),),
        cert_file=str(certificate),
        key_file=None if key is None else str(key),
    )


async def test_with_a_certificate_it_speaks_https_alone(
    house: House, pair: tuple[Path, Path]
):
    trusting = await asyncio.to_thread(ssl.create_default_context, cafile=str(pair[0]))
    async with HttpServer(house, settings(*pair)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        client = httpx2.AsyncClient(base_url=server.url, verify=trusting, timeout=10)
        async with client:
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            reply = await client.post(
                "/api/login", json={"token": SECRET}, headers={"Origin": server.url}
            )
            assert "; Secure" in reply.headers["set-cookie"]
            assert (await client.get("/api/cameras")).status_code == 200
        plain = server.url.replace("https", "http")
        async with httpx2.AsyncClient(base_url=plain, timeout=10) as client:
            with pytest.raises(httpx2.HTTPError):
                await client.get("/healthz")
        async with httpx2.AsyncClient(base_url=server.url, timeout=10) as client:
            with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get("/healthz")


@pytest.fixture(params=["alone", "else", "locked"])
def bad(request: pytest.FixtureRequest, pair: tuple[Path, Path], tmp_path: Path):
    """A certificate whose key is missing, something else, or has a passphrase."""
    certificate, key = pair
    match request.param:
        case "alone":
            return certificate, None
        case "else":
            return certificate, certificate
        case _:
            locked = tmp_path / "locked.pem"
            command = ["openssl", "rsa", "-aes256", "-passout", "pass:hush"]
            command += ["-in", str(key), "-out", str(locked)]
            subprocess.run(command, check=True, capture_output=True)
            return certificate, locked


async def test_a_certificate_that_is_no_good_is_a_named_error(
    house: House, bad: tuple[Path, Path | None]
):
    before = asyncio.all_tasks()
    with pytest.raises(HttpStartError, match=r"certificate\.pem: "):
        await asyncio.wait_for(HttpServer(house, settings(*bad)).__aenter__(), 5)
    assert asyncio.all_tasks() <= before
