"""The running agent: a stack of resources, then one task group over them.

Reading order is the path of a frame and of a question: archive, model, memory, cameras,
broker; then who watches and who answers.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from agent.answerer import Answerer
from agent.archive_opening import archive_of, limits_of
from agent.broker import EmbeddedBroker
from agent.camera_report import report_camera
from agent.config import Config
from agent.decode_queue import DecodeQueue
from agent.gap_keeping import keep_gaps, write_gaps
from agent.messages import Question
from agent.model_settings import model_settings
from agent.mqtt import MqttBus
from agent.prefill_queue import PrefillQueue
from agent.progress import Progress
from agent.upkeep import Keep, forget_old, keep_alive, rebuild
from agent.vlm.loading import load_model
from agent.vlm.model import VisionLanguageModel
from agent.vlm.sampling import Sampling
from agent.watcher import Watcher
from agent.worker import ModelThread, Priority
from ingest.source import CameraSource
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.embedded_valkey import EmbeddedValkey
from memory.gaps import GapLog
from memory.index import ChunkIndex
from memory.kv import KV, Tier
from memory.ownership import owned
from memory.recall import RecallLimits
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore

logger = logging.getLogger(__name__)

NUM_ANSWERERS = 4  # questions worked on at once, and most that are decoded together
STATUS_INTERVAL_S = 1.0
HEAD_START_S = 2.0  # for memory to be loaded before the first question
WIND_UP_S = 8.0  # for what is in hand to be kept; longer than an archive's time-out


class _StopRequested(Exception):  # noqa: N818 - not an error: how a task group is ended
    """Raised in the task group when the agent is asked to stop."""


@dataclass(frozen=True, slots=True, eq=False)
class Agent:
    """Everything that is open while the agent runs.

    Attributes:
        config: The whole config file.
        valkey: The embedded archive's server, None with an archive of the user's own.
        thread: The thread that owns the model.
        model: The model.
        sink: KV of the tokens before the first chunk.
        store: The memory.
        sources: The cameras.
        bus: The broker.
        gaps: When the cameras were not watched.
    """

    config: Config
    valkey: EmbeddedValkey | None
    thread: ModelThread
    model: VisionLanguageModel
    sink: KV
    store: MemoryStore
    sources: Mapping[str, CameraSource]
    bus: MqttBus
    gaps: GapLog = field(default_factory=GapLog)


@asynccontextmanager
async def open_agent(config: Config) -> AsyncIterator[Agent]:
    """Open archive, model, memory, cameras and broker, in this order.

    Raises:
        ModelLoadError: The model can't be loaded.
        BrokerStartError: The embedded broker can't listen.
        ArchiveInUseError: Another agent runs in the same data directory.
        ArchiveUnavailableError: The embedded archive can't be started.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(owned(config.data_dir))
        valkey, url = None, config.archive.url
        if config.archive.is_embedded:
            valkey = EmbeddedValkey(config.data_dir / "archive")
            url = (await stack.enter_async_context(valkey)).url
        thread = await stack.enter_async_context(ModelThread())
        model, sink = await thread.run(Priority.CHUNK, partial(_load, config))
        archive = archive_of(config.archive, url, model.fingerprint)
        await stack.enter_async_context(archive)
        store = await _open_memory(config, archive, model)
        cameras = config.camera_settings()
        bus = await stack.enter_async_context(_open_bus(config))
        sources = {
            camera.name: await stack.enter_async_context(CameraSource(camera))
            for camera in cameras
        }
        yield Agent(config, valkey, thread, model, sink, store, sources, bus)


@asynccontextmanager
async def _open_bus(config: Config) -> AsyncIterator[MqttBus]:
    """Open the broker, the embedded one before it is connected to."""
    async with AsyncExitStack() as stack:
        broker_url = None
        if config.mqtt.is_embedded:
            broker = EmbeddedBroker(config.mqtt.embedded_port)
            broker_url = (await stack.enter_async_context(broker)).url
        settings = config.mqtt.settings(broker_url)
        bus = MqttBus(settings, cameras=list(config.cameras))
        yield await stack.enter_async_context(bus)


async def run(agent: Agent, stop: asyncio.Event) -> None:
    """Watch and answer until `stop` is set."""
    settings, store, cameras = agent.config.model, agent.store, list(agent.sources)
    keep = Keep(agent.config.archive.retention_s, limits_of(agent.config.archive))
    queue = PrefillQueue(
        agent.thread,
        agent.model,
        agent.sink,
        store.bilevel,
        settings.prefill_tokens,
        {name: camera.least_change for name, camera in agent.config.cameras.items()},
    )
    watchers = [
        Watcher(
            source,
            queue,
            store,
            settings.context_chunks,
            agent.config.memory.picture_side,
        )
        for source in agent.sources.values()
    ]
    try:
        async with asyncio.TaskGroup() as tasks:
            start = tasks.create_task
            loading = start(rebuild(store, cameras), name="agent.rebuild")
            watching = [
                start(w.watch(), name=f"agent.watch[{w.camera}]") for w in watchers
            ]
            archiving = [
                start(w.archive(), name=f"agent.archive[{w.camera}]") for w in watchers
            ]
            start(store.replay_spool(), name="agent.spool")
            start(_publish_states(agent, watchers), name="agent.status")
            start(keep_gaps(store, agent.gaps, agent.sources), name="agent.gaps")
            forgetting = forget_old(store, cameras, keep, agent.gaps)
            start(forgetting, name="agent.retention")
            if agent.valkey is not None:
                start(keep_alive(agent.valkey), name="agent.valkey")
            start(_wind_up(stop, watching, archiving), name="agent.stop")
            await asyncio.wait([loading], timeout=HEAD_START_S)
            answerer = _answerer_of(agent)
            for number in range(NUM_ANSWERERS):
                answering = _answer_questions(agent.bus, answerer)
                start(answering, name=f"agent.answer[{number}]")
    except* _StopRequested:
        logger.info("stopping")
        await write_gaps(store, agent.gaps, agent.sources)


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


def _load(config: Config) -> tuple[VisionLanguageModel, KV]:
    """Load the model and run its system prompt; on the model thread."""
    model = load_model(model_settings(config.model))
    if not model.is_trained:
        logger.warning(
            "model %s has random weights: its answers mean nothing", model.name
        )
    return model, model.prefill_sink()


async def _open_memory(
    config: Config, archive: RedisArchive, model: VisionLanguageModel
) -> MemoryStore:
    memory = config.memory
    spool = await asyncio.to_thread(
        Spool, config.data_dir / "spool" / model.fingerprint, memory.spool_bytes
    )
    return MemoryStore(
        archive,
        spool,
        ResidentMemory(memory.resident_tokens, memory.newest_chunks),
        ChunkIndex(memory.index_bytes),
        BiLevel(
            LevelSettings(memory.high_method, memory.high_factor, memory.high_numbers),
            LevelSettings(memory.low_method, memory.low_factor, memory.low_numbers),
            model.heads,
            memory.index_keys,
        ),
        model.fingerprint,
        model.device,
        {
            Tier.MINUTE: memory.minute_factor,
            Tier.HOUR: memory.hour_factor,
            Tier.DAY: memory.day_factor,
        },
    )


def _answerer_of(agent: Agent) -> Answerer:
    memory = agent.config.memory
    decoding = DecodeQueue(
        agent.thread,
        agent.model,
        agent.sink,
        agent.config.model.max_new_tokens,
        Sampling(**dict(agent.config.answers)),
    )
    limits = RecallLimits(memory.top_k, memory.newest_chunks, memory.context_tokens)
    recordings = {
        name: Path(source.settings.recording.folder)
        for name, source in agent.sources.items()
        if source.settings.recording
    }
    return Answerer(
        decoding, agent.store, limits, agent.sources, agent.gaps, recordings
    )


async def _answer_questions(bus: MqttBus, answerer: Answerer) -> None:
    async for question in bus.questions():
        progress = Progress(is_streamed=question.stream)
        async with asyncio.TaskGroup() as both:
            both.create_task(
                _publish_deltas(bus, question, progress), name="agent.deltas"
            )
            answer = await answerer.answer(question, progress)
        bus.answer(question, answer)


async def _publish_deltas(bus: MqttBus, question: Question, progress: Progress) -> None:
    """Publish an answer's text as it comes, to its end."""
    async for delta in progress.deltas():
        await bus.publish_delta(question, delta)


async def _publish_states(agent: Agent, watchers: Sequence[Watcher]) -> None:
    """Publish each camera's state whenever it has changed."""
    published: dict[str, dict[str, object]] = {}
    while True:
        for watcher in watchers:
            state = report_camera(watcher, agent.model)
            if published.get(watcher.camera) != state:
                agent.bus.publish_camera_status(watcher.camera, state)
                published[watcher.camera] = state
        await asyncio.sleep(STATUS_INTERVAL_S)
