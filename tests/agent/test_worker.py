import asyncio
import threading
import time
from functools import partial

import pytest

from agent.worker import HOLD_S, ModelThread, Priority


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


async def test_no_chunk_begins_between_the_steps_of_a_question() -> None:
    done: list[str] = []
    async with asyncio.timeout(5), ModelThread() as model:
        with model.hold():
            await model.run(Priority.QUESTION, partial(done.append, "q0"))
            chunk = model.submit(Priority.CHUNK, partial(done.append, "c"))
            await asyncio.sleep(0.2)
            await model.run(Priority.QUESTION, partial(done.append, "q1"))
            assert done == ["q0", "q1"]
        released_s = time.monotonic()
        await chunk
        assert time.monotonic() - released_s < HOLD_S / 2
    assert done == ["q0", "q1", "c"]


async def test_chunks_are_held_for_a_second_at_most_whatever_is_asked() -> None:
    async with asyncio.timeout(10), ModelThread() as model:
        with model.hold():
            begun_s = time.monotonic()
            chunk = model.submit(Priority.CHUNK, time.monotonic)
            while not chunk.done():
                await model.run(Priority.QUESTION, lambda: None)
                await asyncio.sleep(0.01)
            assert HOLD_S <= await chunk - begun_s < HOLD_S + 0.5
            with model.hold():
                second = await model.run(Priority.CHUNK, time.monotonic)
            assert second - await chunk >= HOLD_S


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
