"""Wait for a condition, never for a time."""

import asyncio
import inspect
from collections.abc import Callable


async def until(condition: Callable[[], object], *, timeout_s: float = 10.0) -> None:
    """Return once the condition, awaited if it can be, holds; fail if not in time."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = condition()
            if inspect.isawaitable(held):
                held = await held
            if held:
                return
            await asyncio.sleep(0.01)
