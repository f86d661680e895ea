"""The running agent: one task group over what `assembly` has opened."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from agent.archive_opening import limits_of
from agent.assembly import Agent
from agent.commands import obey
from agent.desk import MAX_AT_ONCE, Desk
from agent.gap_keeping import keep_gaps, write_gaps
from agent.http.house import House
from agent.http.server import HttpServer
from agent.messages import Question
from agent.mqtt import MqttBus
from agent.progress import Progress
from agent.reporter import Reporter
from agent.standing.configured import configured
from agent.standing.keeping import Key
from agent.upkeep import Keep, forget_old, keep_alive, rebuild

logger = logging.getLogger(__name__)

ANNOUNCED = "announced.json"  # in data_dir
HEAD_START_S = 2.0  # for memory to be loaded before the first question
WIND_UP_S = 8.0  # for what is in hand to be kept; longer than an archive's time-out


class _StopRequested(Exception):  # noqa: N818 - not an error: how a task group is ended
    """Raised in the task group when the agent is asked to stop."""


async def run(agent: Agent, stop: asyncio.Event) -> None:
    """Watch and answer until `stop` is set.

    Raises:
        HttpStartError: The HTTP server can't listen.
    """
    store, cameras = agent.store, list(agent.sources)
    watchers = list(agent.watchers.values())
    keep = Keep(agent.config.archive.retention_s, limits_of(agent.config.archive))
    reporter = _reporter_of(agent)
    gone = await agent.standing.load(configured(agent.config))
    try:
        async with _serving(agent), asyncio.TaskGroup() as tasks:
            start = tasks.create_task
            loading = start(rebuild(store, cameras), name="agent.rebuild")
            watching = [
                start(w.watch(), name=f"agent.watch[{w.camera}]") for w in watchers
            ]
            archiving = [
                start(w.archive(), name=f"agent.archive[{w.camera}]") for w in watchers
            ]
            start(store.replay_spool(), name="agent.spool")
            start(reporter.report_states(), name="agent.status")
            start(reporter.report_news(), name="agent.news")
            start(_obey(agent, reporter, gone), name="agent.commands")
            start(agent.standing.run(), name="agent.standing")
            start(keep_gaps(store, agent.gaps, agent.sources), name="agent.gaps")
            forgetting = forget_old(store, cameras, keep, agent.gaps)
            start(forgetting, name="agent.retention")
            if agent.valkey is not None:
                start(keep_alive(agent.valkey), name="agent.valkey")
            start(_wind_up(stop, watching, archiving), name="agent.stop")
            await asyncio.wait([loading], timeout=HEAD_START_S)
            for number in range(MAX_AT_ONCE):
                start(_answer(agent.bus, agent.desk), name=f"agent.answer[{number}]")
    except* _StopRequested:
        logger.info("stopping")
        await write_gaps(store, agent.gaps, agent.sources)


@asynccontextmanager
async def _serving(agent: Agent) -> AsyncIterator[None]:
    """Serve HTTP, if that is wanted."""
    settings = agent.config.http.settings()
    if settings is None:
        yield
        return
    async with HttpServer(House.of(agent), settings):
        yield


async def _wind_up(
    stop: asyncio.Event,
    watching: Sequence[asyncio.Task[None]],
    archiving: Sequence[asyncio.Task[None]],
) -> None:
    """When asked to stop: take no more frames, keep what is in hand, end the group."""
    await stop.wait()
    for task in watching:
        task.cancel()
    await asyncio.wait(archiving, timeout=WIND_UP_S)
    raise _StopRequested


def _reporter_of(agent: Agent) -> Reporter:
    config = agent.config
    return Reporter(
        agent.bus,
        config.mqtt.prefix,
        agent.watchers,
        agent.model,
        agent.news,
        config.data_dir / ANNOUNCED,
        is_announced=config.mqtt.home_assistant,
        page=config.http.links_base(),
    )


async def _obey(agent: Agent, reporter: Reporter, gone: Iterable[Key]) -> None:
    """Publish what is retained, then do what the agent is told."""
    reporter.announce()
    await reporter.take_back()
    for camera, name in gone:
        reporter.report_watch({"camera": camera, "name": name, "state": "removed"})
    for state in agent.standing.states():
        reporter.report_watch(state)
    await obey(agent.bus, agent.desk, agent.pauses, agent.standing, reporter)


async def _answer(bus: MqttBus, desk: Desk) -> None:
    async for question in bus.questions():
        progress = Progress(is_streamed=question.stream)
        async with asyncio.TaskGroup() as both:
            both.create_task(
                _publish_deltas(bus, question, progress), name="agent.deltas"
            )
            answer = await desk.ask(question, progress)
        bus.answer(question, answer)


async def _publish_deltas(bus: MqttBus, question: Question, progress: Progress) -> None:
    """Publish an answer's text as it comes, to its end."""
    async for delta in progress.deltas():
        await bus.publish_delta(question, delta)
