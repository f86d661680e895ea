from collections.abc import Callable
from pathlib import Path

import pytest

from agent.http import console_files
from agent.http.settings import Rights, Token

TOKEN = Token("m" * 20, Rights("master"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A console of two files, with something beside it that is none of them."""
    folder = tmp_path / "console"
    folder.mkdir()
    (folder / "index.html").write_text("<title>Longwatch</title>")
    (folder / "console.js").write_text("start()")
    (tmp_path / "secret").write_text("hush")
    monkeypatch.setattr(console_files, "FOLDER", folder)
    return folder


async def test_the_console_is_for_everybody_and_loads_only_its_own(
    serve: Callable, folder: Path
):
    async with serve(tokens=[TOKEN]) as client:
        page = await client.get("/")
        script = await client.get("/console/console.js")
    assert page.text == "<title>Longwatch</title>"
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert script.text == "start()"
    assert script.headers["content-type"].startswith("text/javascript")
    assert (
        script.headers["cache-control"] == page.headers["cache-control"] == "no-cache"
    )


@pytest.mark.parametrize(
    "path", ["nothing", "../secret", "%2e%2e/secret", "..%2fsecret", "%2e%2e%2fsecret"]
)
async def test_nothing_beside_it_is_served(serve: Callable, folder: Path, path: str):
    async with serve(tokens=[TOKEN]) as client:
        response = await client.get(f"/console/{path}")
    assert response.status_code in {401, 404}  # without the prefix it needs a token
    assert "hush" not in response.text
