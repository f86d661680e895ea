import asyncio

from agent.messages import Delta
from agent.progress import Progress


async def read(progress: Progress) -> list[Delta]:
    async with asyncio.timeout(10):
        return [delta async for delta in progress.deltas()]


async def test_texts_that_nobody_has_read_yet_come_as_one_delta() -> None:
    progress = Progress(is_streamed=True)
    for text in ("dark", "dark red", "dark red coat"):
        await asyncio.to_thread(progress.show, text)
    progress.end()
    assert await read(progress) == [Delta(0, "dark red coat")]


async def test_a_text_that_is_not_a_continuation_begins_anew() -> None:
    progress = Progress(is_streamed=True)
    arriving = progress.deltas()
    seen = []
    async with asyncio.timeout(10):
        for text in ("dark", "dark red", "red"):
            progress.show(text)
            seen.append(await anext(arriving))
        progress.end()
        seen += [delta async for delta in arriving]
    assert seen == [Delta(0, "dark"), Delta(1, " red"), Delta(0, "red")]


async def test_an_answer_without_a_text_has_no_deltas() -> None:
    progress = Progress()
    assert not progress.is_over()
    progress.end()
    assert progress.is_over()
    assert await read(progress) == []
