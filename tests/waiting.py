"""Wait for a condition, never for a time."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(
    condition: Callable[[], Awaitable[bool]], *, timeout_s: float = 10.0
) -> None:
    """Return once the condition holds; fail when it doesn't in time."""
    async with asyncio.timeout(timeout_s):
        for _ in iter(int, 1):
            if await condition():
                return
            await asyncio.sleep(0.02)
