"""The command that lets language models ask a running agent."""

import asyncio
from typing import Annotated

import typer

from agent.command_line import MaybeConfig, fail, load_or_fail

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}

app = typer.Typer()


@app.command()
def mcp(
    config: MaybeConfig = None,
    url: Annotated[
        str | None,
        typer.Option(envvar="LONGWATCH_URL", help="Where the agent serves HTTP."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="LONGWATCH_TOKEN", help="Its token; better in the environment."
        ),
    ] = None,
) -> None:
    """Serve MCP on stdio: tools by which a language model asks a running agent."""
    if url is None and config is not None:
        http = load_or_fail(config).http
        host = _EVERYWHERE.get(http.host, http.host)
        url = http.url_at(host)
    try:
        from agent.mcp_server import serve
    except ImportError:
        fail('MCP is not installed: pip install "longwatch[mcp]"', status=2)
    asyncio.run(serve(url or "http://127.0.0.1:8080", token))
