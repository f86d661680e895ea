"""Standing questions as the agent sees them: set one, note a chunk, hear of an alert.

Of all that happens here only `check_next` asks the model, one chunk at a time. What has
come of a chunk is kept before it is told: a kill in between loses an alert rather than
giving it twice.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.messages import to_iso
from agent.standing.alert import Alert, alert_to_dict
from agent.standing.backlog import Backlog, NewChunk, chunks_before
from agent.standing.checker import Checked, Checker
from agent.standing.definition import StandingQuestion, standing_to_dict
from agent.standing.errors import (
    InvalidStandingError,
    TooManyStandingError,
    UnknownStandingError,
)
from agent.standing.happening import Happening
from agent.standing.keeping import Kept, Key, StandingFile
from agent.standing.merging import is_same_asked, merge
from memory.compression.bilevel import CompressedChunk

logger = logging.getLogger(__name__)

CONTEXT_CHUNKS = 2  # chosen with the margin, docs/standing.md
MAX_OF_CAMERA = 16
MAX_ALERTS = 100  # kept, of all cameras; policy: drop the oldest

Tell = Callable[[str, Mapping[str, Any]], None]
"""Told `alert` and an alert, or `watch` and a state, ready for JSON."""


@dataclass(slots=True)
class StandingCounts:
    """What has come of the chunks since the start.

    Attributes:
        checked: Chunks that were checked.
        skipped: Chunks that were not, because the budget was spent.
        failed: Chunks whose check failed.
        alerts: Alerts given.
    """

    checked: int = 0
    skipped: int = 0
    failed: int = 0
    alerts: int = 0


@dataclass(slots=True, eq=False)
class StandingQuestions:
    """All standing questions of all cameras. Belongs to the event loop.

    Attributes:
        checker: Checks a chunk.
        file: Keeps what outlives a restart.
        tell: Told of alerts and of states that have changed.
        context_chunks: Chunks before a new one that it is seen behind.
        backlog: The chunks that wait.
        counts: What has come of them.
    """

    checker: Checker
    file: StandingFile
    tell: Tell
    context_chunks: int = CONTEXT_CHUNKS
    backlog: Backlog = field(default_factory=Backlog)
    counts: StandingCounts = field(default_factory=StandingCounts)
    _questions: dict[Key, StandingQuestion] = field(default_factory=dict, init=False)
    _happenings: dict[Key, Happening] = field(default_factory=dict, init=False)
    _newest: dict[Key, dict[str, Any]] = field(default_factory=dict, init=False)
    _alerts: deque[Alert] = field(
        default_factory=lambda: deque(maxlen=MAX_ALERTS), init=False
    )

    async def load(self, configured: Sequence[StandingQuestion] = ()) -> set[Key]:
        """Read what was kept, and take what the config file has; call it once.

        Returns:
            Camera and name of those that are there no more.
        """
        before = await self.file.read()
        kept = merge(before, configured)
        self._questions = {each.key: each for each in kept.questions}
        self._happenings = dict(kept.happenings)
        self._alerts.extend(kept.alerts)
        await self._save()
        return {each.key for each in before.questions} - set(self._questions)

    async def set(self, standing: StandingQuestion) -> None:
        """Set a standing question, in the place of one of the same name.

        Raises:
            InvalidStandingError: One of this name is in the config file.
            TooManyStandingError: The camera has as many as it may have.
        """
        before = self._questions.get(standing.key)
        self._refuse_configured(before)
        of_camera = [each for each in self._questions if each[0] == standing.camera]
        if before is None and len(of_camera) >= MAX_OF_CAMERA:
            raise TooManyStandingError(standing.camera, MAX_OF_CAMERA)
        self._questions[standing.key] = standing
        if before is None or not is_same_asked(before, standing):
            self._happenings.pop(standing.key, None)
            self._newest.pop(standing.key, None)
        await self._save()
        self.tell("watch", self._state(standing))

    async def remove(self, camera: str, name: str) -> None:
        """Remove a standing question.

        Raises:
            InvalidStandingError: It is in the config file.
            UnknownStandingError: There is none of this name.
        """
        before = self._questions.get((camera, name))
        if before is None:
            raise UnknownStandingError(camera, name)
        self._refuse_configured(before)
        for found in (self._questions, self._happenings, self._newest):
            found.pop(before.key, None)
        await self._save()
        self.tell("watch", {"camera": camera, "name": name, "state": "removed"})

    def all(self) -> tuple[StandingQuestion, ...]:
        """Give the standing questions, by camera and name."""
        return tuple(self._questions[key] for key in sorted(self._questions))

    def states(self) -> list[dict[str, Any]]:
        """Tell how each of them stands, ready for JSON."""
        return [self._state(standing) for standing in self.all()]

    def alerts(
        self,
        cameras: Sequence[str],
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> list[dict[str, Any]]:
        """Give the alerts of a time that are kept, newest first, ready for JSON."""
        return [
            alert_to_dict(alert)
            for alert in reversed(self._alerts)
            if alert.camera in cameras
            and (start_s is None or alert.time_s >= start_s)
            and (end_s is None or alert.time_s < end_s)
        ]

    def report(self) -> dict[str, float]:
        """Give what was done and what it has cost, by name."""
        judge, counts = self.checker.judge, self.counts
        return {
            "checked": counts.checked,
            "skipped": counts.skipped,
            "dropped": self.backlog.dropped,
            "failed": counts.failed,
            "verdicts": judge.verdicts,
            "confirms": self.checker.confirms,
            "alerts": counts.alerts,
            "model_s": judge.budget.spent_s,
        }

    def note_chunk(self, chunk: CompressedChunk) -> None:
        """Have a chunk checked that was just remembered; never waits."""
        node, id = chunk.memory.node, chunk.memory.id
        if self._asked_of(id.camera):
            nodes = self.checker.store.resident.nodes([id.camera])
            before = chunks_before(nodes, id, self.context_chunks)
            self.backlog.put(NewChunk(node, chunk.low, before))

    async def run(self) -> None:
        """Check chunks as they come, for ever."""
        while True:
            await self.check_next()

    async def check_next(self) -> None:
        """Wait for a chunk and check it; one that can't be must not end the others."""
        chunk = await self.backlog.next()
        if self.checker.judge.budget.is_spent:
            self.counts.skipped += 1
            return
        try:
            await self._check(chunk)
        except Exception as exc:  # noqa: BLE001 - the next chunk may do
            self.counts.failed += 1
            camera = chunk.id.camera
            logger.warning("camera %s: a chunk is not checked: %r", camera, exc)

    async def _check(self, chunk: NewChunk) -> None:
        asked = self._asked_of(chunk.id.camera)
        if not asked:
            return
        pairs = [(each, self._happenings.get(each.key, Happening())) for each in asked]
        checked = await self.checker.check(chunk, pairs)
        self.counts.checked += 1
        news = [each for each in checked if self._take(each, chunk)]
        if news:
            await self._save()
        for each in news:
            self._tell(each)

    def _take(self, checked: Checked, chunk: NewChunk) -> bool:
        """Take what came of a chunk; tell whether it is worth keeping at once."""
        key = checked.standing.key
        if self._questions.get(key) is not checked.standing:
            return False  # set anew, or removed, meanwhile
        before = self._happenings.get(key, Happening())
        self._happenings[key] = checked.happening
        self._newest[key] = {
            "last_checked": to_iso(chunk.end_s),
            "log_odds": round(checked.verdict.log_odds, 3),
            "mass": round(checked.verdict.mass, 3),
        }
        if checked.alert is not None:
            self._alerts.append(checked.alert)
        return checked.happening.phase is not before.phase or checked.alert is not None

    def _tell(self, checked: Checked) -> None:
        alert = checked.alert
        if alert is not None:
            self.counts.alerts += 1
            margin = round(alert.margin, 3)
            extra = {"margin": margin, "chunks": [e.chunk for e in alert.evidence]}
            logger.info("alert %s/%s", alert.camera, alert.name, extra=extra)
            self.tell("alert", alert_to_dict(alert))
        if self._questions.get(checked.standing.key) is checked.standing:
            self.tell("watch", self._state(checked.standing))

    def _asked_of(self, camera: str) -> list[StandingQuestion]:
        return [each for each in self.all() if each.camera == camera and each.enabled]

    def _state(self, standing: StandingQuestion) -> dict[str, Any]:
        happening = self._happenings.get(standing.key, Happening())
        alerted_s, nothing = happening.alerted_s, ("last_checked", "log_odds", "mass")
        return {
            "camera": standing.camera,
            "name": standing.name,
            **standing_to_dict(standing),
            "source": standing.source,
            "state": happening.phase.value if standing.enabled else "off",
            "last_alert": None if alerted_s is None else to_iso(alerted_s),
            **self._newest.get(standing.key, dict.fromkeys(nothing)),
        }

    def _refuse_configured(self, standing: StandingQuestion | None) -> None:
        if standing is not None and standing.source == "config":
            reason = f"{standing.name} of {standing.camera} is in the config file"
            raise InvalidStandingError("configured", reason)

    async def _save(self) -> None:
        questions, happenings = self.all(), dict(self._happenings)
        await self.file.write(Kept(questions, happenings, tuple(self._alerts)))
