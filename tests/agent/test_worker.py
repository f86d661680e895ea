import asyncio
import threading
from functools import partial

import pytest

from agent.worker import ModelThread, Priority


async def test_questions_go_before_chunks_that_came_earlier() -> None:
    done: list[str] = []
    gate = threading.Event()
    async with asyncio.timeout(5), ModelThread() as model:
        first = asyncio.create_task(model.run(Priority.CHUNK, gate.wait))
        await asyncio.sleep(0)
        chunks = [
            asyncio.create_task(
                model.run(Priority.CHUNK, partial(done.append, f"c{n}"))
            )
            for n in range(3)
        ]
        question = asyncio.create_task(
            model.run(Priority.QUESTION, partial(done.append, "q"))
        )
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, question, *chunks)
    assert done == ["q", "c0", "c1", "c2"]


async def test_errors_reach_the_caller_and_the_thread_goes_on() -> None:
    async with ModelThread() as model:
        with pytest.raises(ZeroDivisionError):
            await model.run(Priority.CHUNK, lambda: 1 / 0)
        assert await model.run(Priority.CHUNK, lambda: 7) == 7


async def test_a_cancelled_job_is_skipped() -> None:
    done: list[str] = []
    gate = threading.Event()
    async with asyncio.timeout(5), ModelThread() as model:
        first = asyncio.create_task(model.run(Priority.CHUNK, gate.wait))
        second = asyncio.create_task(
            model.run(Priority.CHUNK, partial(done.append, "never"))
        )
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        gate.set()
        await first
        await model.run(Priority.CHUNK, partial(done.append, "last"))
    assert done == ["last"]


async def test_jobs_run_on_one_thread_that_is_not_the_loops() -> None:
    async with ModelThread() as model:
        names = {
            await model.run(Priority.CHUNK, lambda: threading.current_thread().name)
            for _ in range(3)
        }
    assert names == {"model"}
    assert not any(thread.name == "model" for thread in threading.enumerate())
