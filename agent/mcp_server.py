"""An MCP server on stdio: lets a language model ask a running agent.

It talks to the agent over its HTTP API, so it can do no more than its token may, and
runs wherever the client of the language model runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx2
from mcp.server import MCPServer
