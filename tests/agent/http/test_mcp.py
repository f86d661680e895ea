import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import TextContent
from tiny_model import START_S

from agent.http.settings import Rights, Token

GUEST = Token("g" * 20, Rights("guest", frozenset({"yard"})))


@asynccontextmanager
async def known(url: str, token: str, tmp_path: Path) -> AsyncIterator[Client]:
    """The SDK's client of `longwatch mcp`, which runs as a process of its own."""
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "agent", "mcp", "--url", url],
        env={"LONGWATCH_TOKEN": token},
        cwd=Path(__file__).parents[3],
    )
    with (tmp_path / "stderr").open("w") as errors:
        async with Client(stdio_client(parameters, errlog=errors)) as client:
            yield client


def text_of(result: Any) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.timeout(60)
async def test_a_language_model_asks_by_tools(serve: Callable, tmp_path: Path):
    async with (
        serve() as http,
        known(str(http.base_url), "", tmp_path) as client,
    ):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"ask", "cameras", "timeline"}
        assert set(tools["ask"].input_schema["required"]) == {"question"}
        cameras = json.loads(text_of(await client.call_tool("cameras", {})))
        assert [camera["name"] for camera in cameras["cameras"]] == ["door", "yard"]
        asked = {"question": "where did #47 come from ?", "cameras": ["door"]}
        answer = json.loads(text_of(await client.call_tool("ask", asked)))
        assert (answer["status"], len(answer["evidence"])) == ("ok", 2)
        times = {"camera": "door", "start": str(START_S), "end": str(START_S + 12)}
        found = json.loads(text_of(await client.call_tool("timeline", times)))
        assert len(found["chunks"]) == 3
        assert found["gaps"] == []


@pytest.mark.timeout(60)
async def test_it_may_do_what_its_token_may_and_is_told_why_not(
    serve: Callable, tmp_path: Path
):
    async with (
        serve(tokens=[GUEST]) as http,
        known(str(http.base_url), GUEST.secret, tmp_path) as client,
    ):
        cameras = json.loads(text_of(await client.call_tool("cameras", {})))
        assert [camera["name"] for camera in cameras["cameras"]] == ["yard"]
        refused = await client.call_tool("timeline", {"camera": "door"})
        assert refused.is_error
        assert text_of(refused).endswith("unknown_camera: no camera 'door'")


@pytest.mark.timeout(60)
async def test_an_agent_that_is_not_there_is_told(
    free_port: Callable[[], int], tmp_path: Path
):
    url = f"http://127.0.0.1:{free_port()}"
    async with known(url, "", tmp_path) as client:
        result = await client.call_tool("cameras", {})
    assert result.is_error
    assert f"no agent at {url}" in text_of(result)
