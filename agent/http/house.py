"""What the server serves: the parts of an agent that its routes need, and no others."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.camera_report import report_camera
from agent.desk import Desk
from agent.http.errors import not_allowed, unknown_camera
from agent.http.settings import Rights
from agent.messages import Answer, Question, answer_to_dict, error_answer
from agent.news import News
from agent.pauses import Pauses
from agent.progress import Progress
from agent.questions import QuestionRules
from agent.standing.questions import StandingQuestions
from agent.vlm.model import VisionLanguageModel
from agent.watcher import Watcher
from ingest.reader_process import outlast
from memory.gaps import GapLog
from memory.kv import ChunkId
from memory.store import MemoryStore

if TYPE_CHECKING:
    from agent.assembly import Agent

VERSION = version("longwatch")  # read once: it looks through the file system


@dataclass(frozen=True, slots=True, eq=False)
class House:
    """What is served.

    Attributes:
        rules: What a question has to keep to; its cameras are all there are.
        store: The memory.
        model: The model.
        watchers: The watch of each camera.
        desk: Where questions go.
        pauses: Which cameras are not to be watched.
        news: What happens.
        gaps: When the cameras were not watched.
        standing: The standing questions; None: there can be none.
        recordings: The folders of films of the cameras that are recorded.
        has_pictures: Whether a picture is kept of each chunk.
        is_connected: Tells whether the broker has us.
        stopping: Set when the server stops: whatever lasts has to end.
    """

    rules: QuestionRules
    store: MemoryStore
    model: VisionLanguageModel
    watchers: Mapping[str, Watcher]
    desk: Desk
    pauses: Pauses
    news: News
    gaps: GapLog
    standing: StandingQuestions | None = None
    recordings: Mapping[str, Path] = field(default_factory=dict)
    has_pictures: bool = True
    is_connected: Callable[[], bool] = lambda: False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: Counter[tuple[str, str]] = field(default_factory=Counter, init=False)

    @classmethod
    def of(cls, agent: "Agent") -> "House":
        """Give the house of an agent."""
        mqtt = agent.config.mqtt
        return cls(
            rules=QuestionRules(
                mqtt.prefix,
                frozenset(agent.watchers),
                mqtt.max_question_bytes,
                mqtt.default_deadline_s,
            ),
            store=agent.store,
            model=agent.model,
            watchers=agent.watchers,
            desk=agent.desk,
            pauses=agent.pauses,
            news=agent.news,
            gaps=agent.gaps,
            standing=agent.standing,
            recordings={
                name: Path(source.settings.recording.folder)
                for name, source in agent.sources.items()
                if source.settings.recording
            },
            has_pictures=agent.config.memory.picture_side > 0,
            is_connected=lambda: agent.bus.is_connected,
        )

    def cameras(self, rights: Rights) -> tuple[str, ...]:
        """Give the cameras that may be seen, in the order of the config."""
        return tuple(name for name in self.watchers if rights.sees(name))

    def watcher(self, camera: str, rights: Rights) -> Watcher:
        """Give the watch of a camera.

        Raises:
            ApiError: There is none that may be seen.
        """
        if camera not in self.watchers or not rights.sees(camera):
            raise unknown_camera(camera)
        return self.watchers[camera]

    def report(self, camera: str) -> dict[str, object]:
        """Tell how a camera is."""
        state = report_camera(self.watchers[camera], self.model)
        return {"name": camera, **state, "picture": f"/api/cameras/{camera}/picture"}

    async def spooled(self) -> list[ChunkId]:
        """Give the chunks that the archive does not have yet."""
        return list(await asyncio.to_thread(self.store.spool.pending))

    def rules_for(self, rights: Rights) -> QuestionRules:
        """Give what a question has to keep to.

        Raises:
            ApiError: Nothing may be asked.
        """
        cameras = self.cameras(rights)
        if not rights.ask or not cameras:
            raise not_allowed("ask")
        return replace(self.rules, cameras=frozenset(cameras))

    async def ask(
        self, question: Question, rights: Rights, progress: Progress
    ) -> Answer:
        """Answer a question; it is called off when this is cancelled.

        Args:
            question: As `rules_for` lets it be.
            rights: Who asks.
            progress: Where its text is shown as it comes.
        """
        asked = self._confined(question, rights)
        key = rights.name, question.id
        asking = asyncio.create_task(self.desk.ask(asked, progress), name="agent.ask")
        stop = asyncio.create_task(self.stopping.wait(), name="agent.http.stop")
        self._asked[key] += 1
        try:
            await asyncio.wait({asking, stop}, return_when="FIRST_COMPLETED")
            if not asking.done():
                text = "the agent is stopping"
                return error_answer(question.id, "shutting_down", text, question.text)
        finally:
            asking.cancel()
            stop.cancel()
            self._asked[key] -= 1
            if not self._asked[key]:
                del self._asked[key]
            await outlast(asking)
        return asking.result()

    def cancel(self, question_id: str, rights: Rights) -> bool:
        """Call off what was asked under an id; tell whether it was in work.

        Who may not see every camera calls off only what it has asked itself.
        """
        is_own = (rights.name, question_id) in self._asked
        if rights.cameras is not None and not is_own:
            return False
        return self.desk.cancel(question_id)

    def tell_answer(self, answer: Answer) -> dict[str, Any]:
        """Give an answer ready for JSON, with links to what it was read from."""
        return self.linked(answer_to_dict(answer))

    def linked(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Give an answer, or an alert, ready for JSON with links to its evidence."""
        evidence = [self._linked(found) for found in answer["evidence"]]
        return {**answer, "evidence": evidence}

    def _linked(self, found: dict[str, Any]) -> dict[str, Any]:
        path = f"/api/evidence/{found['camera']}/{found['chunk']}"
        return {
            **found,
            "picture": f"{path}/picture" if self.has_pictures else None,
            "film_url": f"{path}/film" if found["film"] else None,
        }

    def _confined(self, question: Question, rights: Rights) -> Question:
        """Give the question about what may be seen, in a conversation of its asker's.

        Who may see all cameras and names none asks about all, as everywhere else.
        """
        cameras = question.cameras
        if not cameras and rights.cameras is not None:
            cameras = self.cameras(rights)
        talk = question.conversation
        if talk is not None and rights.name:
            talk = f"http/{rights.name}/{talk}"
        return replace(question, cameras=cameras, conversation=talk)
