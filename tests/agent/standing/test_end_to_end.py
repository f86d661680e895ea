"""A simulated camera, watched: frames in, one alert out, and none after a restart."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers import RedisServer
from standing_scene import THERE, TRUCK, TRUCK_S, Scene, ample, seconds
from waiting import until

from agent.news import News
from agent.prefill_queue import PrefillQueue
from agent.standing.checker import Checker
from agent.standing.judging import Judge
from agent.standing.keeping import StandingFile
from agent.standing.questions import StandingQuestions
from agent.worker import ModelThread
from ingest.frame import FrameChunk
from memory.index import ChunkIndex
from memory.kv import KV
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore


@dataclass(slots=True, eq=False)
class Running:
    """An agent's parts, from the frames of a camera to its alerts."""

    prefilling: PrefillQueue
    store: MemoryStore
    questions: StandingQuestions
    alerts: list[dict[str, Any]] = field(default_factory=list)

    async def watch(self, films: list[FrameChunk]) -> None:
        """See chunks as a watcher does, each when the one before it is checked."""
        context: deque[KV] = deque(maxlen=0)
        for number, film in enumerate(films, start=1):
            seen = await self.prefilling.submit(film, context)
            await self.store.remember(seen.compressed)
            self.questions.note_chunk(seen.compressed)
            await until(lambda n=number: self.questions.counts.checked == n)


@asynccontextmanager
async def running(
    scene: Scene, server: RedisServer, prefix: str, folder: Path
) -> AsyncIterator[Running]:
    """Start over what an archive and a folder have, listen to the news, and stop."""
    model, news = scene.model, News()
    archive = RedisArchive(server.url, model=model.fingerprint, prefix=prefix)
    async with archive, ModelThread() as thread, asyncio.TaskGroup() as tasks:
        store = MemoryStore(
            archive,
            await asyncio.to_thread(Spool, folder / "spool", 1 << 24),
            ResidentMemory(1 << 20, 1),
            ChunkIndex(1 << 24),
            scene.levels,
            model.fingerprint,
            model.device,
        )
        await store.rebuild(["camera"])
        judge = Judge(thread, model, scene.sink, ample())
        file = StandingFile(folder / "standing.json")
        questions = StandingQuestions(Checker(judge, store), file, news.tell)
        await questions.load()
        queue = PrefillQueue(thread, model, scene.sink, scene.levels, 4096, {})
        agent = Running(queue, store, questions)
        jobs = [tasks.create_task(_listen(news, agent.alerts.append))]
        await asyncio.sleep(0)  # it listens from here on
        jobs.append(tasks.create_task(questions.run()))
        yield agent
        for job in jobs:
            job.cancel()


async def _listen(news: News, take: Callable[[dict[str, Any]], None]) -> None:
    async for event in news.listen():
        if event["type"] == "alert":
            take(event)


async def test_an_event_alerts_once_and_not_again_after_a_restart(
    scene: Scene, redis_server: RedisServer, prefix: str, tmp_path: Path
) -> None:
    truck = TRUCK.__class__("camera", "truck", TRUCK.question)
    async with running(scene, redis_server, prefix, tmp_path) as agent:
        await agent.questions.set(truck)
        await agent.watch(scene.films[: THERE + 1])
        await until(lambda: agent.alerts)
        [alert] = agent.alerts
        [(start, end), *_] = seconds(alert["evidence"])
        assert start < TRUCK_S[1]
        assert end > TRUCK_S[0]
        assert (alert["camera"], alert["name"]) == ("camera", "truck")
        assert alert["state"] == "Was #88 seen? Yes."

    async with running(scene, redis_server, prefix, tmp_path) as again:
        assert again.questions.all() == (truck,)
        await again.watch(scene.films[THERE + 1 :])
        assert again.alerts == []
        [state] = again.questions.states()
        assert state["state"] == "quiet"
        assert state["last_alert"] == alert["time"]
