"""Everything that an agent is made of, opened in order and closed in reverse.

Reading order is the path of a frame and of a question: archive, model, memory, cameras,
broker; then who watches and who answers.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agent.answerer import Answerer
from agent.archive_opening import archive_of
from agent.broker import EmbeddedBroker
from agent.calibration.sureness import abstention_of
from agent.config import Config
from agent.decode_queue import DecodeQueue
from agent.desk import Desk
from agent.links import Links
from agent.model_settings import model_settings
from agent.mqtt import MqttBus
from agent.news import News
from agent.pauses import Pauses, read_paused
from agent.prefill_queue import PrefillQueue
from agent.standing.budget import Budget
from agent.standing.checker import Checker
from agent.standing.judging import Judge
from agent.standing.keeping import StandingFile
from agent.standing.questions import StandingQuestions
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

PAUSED, STANDING = "paused.json", "standing.json"  # in data_dir


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
        watchers: The watch of each camera.
        desk: Where questions go.
        pauses: Which cameras are not to be watched.
        news: What happens.
        standing: The standing questions.
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
    watchers: Mapping[str, Watcher]
    desk: Desk
    pauses: Pauses
    news: News
    standing: StandingQuestions
    gaps: GapLog


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
        abstention = None
        if config.answers.abstain:
            abstention = await asyncio.to_thread(abstention_of, model)
        archive = archive_of(config.archive, url, model.fingerprint)
        await stack.enter_async_context(archive)
        store = await _open_memory(config, archive, model)
        bus = await stack.enter_async_context(_open_bus(config))
        paused = await asyncio.to_thread(read_paused, config.data_dir / PAUSED)
        sources = {
            camera.name: await stack.enter_async_context(
                CameraSource(camera, is_paused=camera.name in paused)
            )
            for camera in config.camera_settings()
        }
        news, gaps, links = News(), GapLog(), _links_of(config)
        decoding = _decoding_of(config, thread, model, sink)
        limits = _limits_of(config)
        films = _recordings_of(sources)
        answerer = Answerer(
            decoding, store, limits, sources, gaps, films, links, abstention
        )
        budget = Budget(config.standing.share)
        checker = Checker(Judge(thread, model, sink, budget), store, films)
        standing = StandingQuestions(
            checker,
            StandingFile(config.data_dir / STANDING),
            partial(_tell, news, links),
        )
        prefilling = PrefillQueue(
            thread,
            model,
            sink,
            store.bilevel,
            config.model.prefill_tokens,
            {name: camera.least_change for name, camera in config.cameras.items()},
        )
        yield Agent(
            config,
            valkey,
            thread,
            model,
            sink,
            store,
            sources,
            bus,
            _watchers_of(config, prefilling, store, sources, (news, standing)),
            Desk(answerer, config.time_zones(), config.mqtt.max_questions, news),
            Pauses(config.data_dir / PAUSED, sources),
            news,
            standing,
            gaps,
        )


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


def _decoding_of(
    config: Config, thread: ModelThread, model: VisionLanguageModel, sink: KV
) -> DecodeQueue:
    sampling = Sampling(**config.answers.model_dump(exclude={"abstain"}))
    return DecodeQueue(thread, model, sink, config.model.max_new_tokens, sampling)


def _limits_of(config: Config) -> RecallLimits:
    memory = config.memory
    return RecallLimits(memory.top_k, memory.newest_chunks, memory.context_tokens)


def _links_of(config: Config) -> Links:
    return Links(config.http.links_base(), config.memory.picture_side > 0)


def _recordings_of(sources: Mapping[str, CameraSource]) -> dict[str, Path]:
    """Give the folders of films of the cameras that are recorded."""
    return {
        name: Path(source.settings.recording.folder)
        for name, source in sources.items()
        if source.settings.recording
    }


def _tell(news: News, links: Links, kind: str, event: Mapping[str, Any]) -> None:
    """Tell of standing questions; alerts have links to what they rest on."""
    found = event.get("evidence")
    linked = {"evidence": [links.linked(each) for each in found]} if found else {}
    news.tell(kind, {**event, **linked})


def _watchers_of(
    config: Config,
    prefilling: PrefillQueue,
    store: MemoryStore,
    sources: Mapping[str, CameraSource],
    told: tuple[News, StandingQuestions],
) -> dict[str, Watcher]:
    news, standing = told
    return {
        name: Watcher(
            source,
            prefilling,
            store,
            config.model.context_chunks,
            config.memory.picture_side,
            news,
            remembered=standing.note_chunk,
        )
        for name, source in sources.items()
    }
