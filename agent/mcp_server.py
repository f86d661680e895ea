"""An MCP server on stdio: lets a language model ask a running agent.

It talks to the agent over its HTTP API, so it can do no more than its token may, and
runs wherever the client of the language model runs.
"""

from typing import Any

import httpx2
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

INSTRUCTIONS = (
    "Longwatch watches cameras for as long as they run and remembers what they showed. "
    "Ask it about now or about the past. status no_coverage means that nobody looked "
    "then, not that nothing happened. Times are ISO 8601, UTC unless they say a zone."
)
_SLACK_S = 10.0  # the agent answers by the deadline, if only to say that it could not


async def serve(url: str, token: str | None) -> None:
    """Serve on stdin and stdout until they are closed.

    Args:
        url: Where the agent serves HTTP.
        token: A token of its config; None if it asks for none.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(base_url=url, headers=headers) as client:
        await build_server(AgentTools(client)).run_stdio_async()


class AgentTools:
    """What a language model can have done; their docstrings are what it reads.

    Args:
        client: Knows where the agent is, and the token.
    """

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def ask(
        self,
        question: str,
        cameras: list[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        deadline_s: float = 60.0,
    ) -> dict[str, Any]:
        """Ask what cameras saw, now or in the past.

        Args:
            question: In plain words; it may name a time, such as "yesterday at 2 pm".
            cameras: Names of cameras; all if left out.
            start: Earliest time it is about, if it is known.
            end: Latest time it is about.
            deadline_s: How long to wait for an answer, at most 3600.

        Returns:
            The answer, the chunks of video it was read from (evidence), and when the
            cameras were watched and when not (coverage).
        """
        asked = {"question": question, "deadline_s": deadline_s}
        given = {"cameras": cameras, "from": start, "to": end}
        body = asked | {key: value for key, value in given.items() if value}
        wait_s = deadline_s + _SLACK_S
        return await self._call("POST", "/api/ask", json=body, timeout=wait_s)

    async def cameras(self) -> dict[str, Any]:
        """List the cameras, and how each is: online, stalled, offline, paused, ended.

        Returns:
            The cameras, the model that watches them, and what may be done.
        """
        return await self._call("GET", "/api/cameras")

    async def timeline(
        self, camera: str, start: str | None = None, end: str | None = None
    ) -> dict[str, Any]:
        """Tell when a camera was watched, when not and why, and what is remembered.

        Args:
            camera: Its name.
            start: From when on; left out, from the first that is known.
            end: Until when; left out, until now.

        Returns:
            The times it was watched, the gaps, the chunks with the detail that is left
            of each (low is most), and alerts.
        """
        times = {"from": start, "to": end}
        query = {"camera": camera} | {k: v for k, v in times.items() if v}
        return await self._call("GET", "/api/timeline", params=query)

    async def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Ask the agent; what it refuses with is for the language model to read."""
        try:
            response = await self._client.request(method, path, **request)
            body = response.json()
        except httpx2.TimeoutException as exc:
            raise ToolError("the agent does not answer") from exc
        except (httpx2.HTTPError, ValueError) as exc:
            raise ToolError(f"no agent at {self._client.base_url}") from exc
        if not isinstance(body, dict):
            raise ToolError(f"no agent at {self._client.base_url}")
        if response.is_error:
            error = body.get("error") or {}
            raise ToolError(f"{error.get('code')}: {error.get('message')}")
        return body


def build_server(tools: AgentTools) -> MCPServer[Any]:
    """Build the server of some tools."""
    server = MCPServer("longwatch", instructions=INSTRUCTIONS, log_level="WARNING")
    for tool in (tools.ask, tools.cameras, tools.timeline):
        server.add_tool(tool)
    return server
