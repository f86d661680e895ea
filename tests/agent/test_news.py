import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from agent.news import News


@asynccontextmanager
async def listening(news: News) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
    """What a listener hears, from now on."""
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen() -> None:
        async with aclosing(news.listen()) as events:
            async for event in events:
                heard.put_nowait(event)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    yield heard
    task.cancel()
    await asyncio.wait([task])


async def test_every_listener_hears_what_happens_after_it_came():
    news = News()
    news.tell("chunk", {"camera": "door"})
    async with listening(news) as one, listening(news) as other:
        news.tell("alert", {"camera": "yard"})
        for heard in (one, other):
            assert await heard.get() == {"type": "alert", "camera": "yard"}
    assert not news._listeners


async def test_one_that_is_slow_is_told_how_much_it_lost():
    news = News()
    events = news.listen()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    for number in range(300):
        news.tell("chunk", {"number": number})
    assert await first == {"type": "lost", "events": 44}
    assert (await anext(events))["number"] == 44
    await events.aclose()
