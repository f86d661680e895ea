"""Standing questions over a real model, a real archive and a scene."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from servers import RedisServer
from standing_scene import OpenStand, Scene, Stand, ample

from agent.standing.budget import Budget
from agent.standing.checker import Checker
from agent.standing.definition import StandingQuestion
from agent.standing.judging import Judge
from agent.standing.keeping import StandingFile
from agent.standing.questions import StandingQuestions
from agent.worker import ModelThread
from memory.index import ChunkIndex
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore


@pytest.fixture(scope="module")
def scene() -> Scene:
    torch.set_num_threads(1)
    return Scene.of_world()


@pytest.fixture
async def store(
    scene: Scene, redis_server: RedisServer, prefix: str, tmp_path: Path
) -> AsyncIterator[MemoryStore]:
    name = scene.model.fingerprint
    async with RedisArchive(redis_server.url, model=name, prefix=prefix) as archive:
        yield MemoryStore(
            archive,
            await asyncio.to_thread(Spool, tmp_path / "spool", 1 << 24),
            ResidentMemory(budget_tokens=1 << 20, newest=1),
            ChunkIndex(1 << 24),
            scene.levels,
            name,
            scene.model.device,
        )


@pytest.fixture
async def open_stand(
    scene: Scene, store: MemoryStore, tmp_path: Path
) -> AsyncIterator[OpenStand]:
    async with ModelThread() as thread:

        async def opened(
            *configured: StandingQuestion, budget: Budget | None = None
        ) -> Stand:
            told: list[tuple[str, Mapping[str, Any]]] = []
            judge = Judge(thread, scene.model, scene.sink, budget or ample())
            file = StandingFile(tmp_path / "standing.json")
            questions = StandingQuestions(
                Checker(judge, store), file, lambda kind, e: told.append((kind, e))
            )
            await questions.load(configured)
            return Stand(questions, told)

        yield opened
