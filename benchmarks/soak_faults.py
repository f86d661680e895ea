"""What goes wrong with the cameras of `benchmarks.soak`, when, and for how long."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.live_feeds import LiveFeeds
from benchmarks.processes import reader_of
from ingest.clock import utc_now

_READER_S = 10.0  # a camera that is to lose its reader gets so long to have one
_LOOK_AGAIN_S = 0.2


class Kind(StrEnum):
    """A kind of fault."""

    FREEZE = "freeze"  # connected, and silent
    KILL = "kill"  # connections closed, nobody listens
    GARBAGE = "garbage"
    RESIZE = "resize"  # another size of picture: no outage
    READER_KILLED = "reader killed"
    READER_CRASHED = "reader crashed"
    READER_STOPPED = "reader stopped"


_LASTING = {
    Kind.FREEZE: ("freeze", "thaw"),
    Kind.KILL: ("kill", "start"),
    Kind.GARBAGE: ("garbage", "sound"),
}
_SIGNALS = {
    Kind.READER_KILLED: signal.SIGKILL,
    Kind.READER_CRASHED: signal.SIGSEGV,
    Kind.READER_STOPPED: signal.SIGSTOP,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How long cameras are soaked, and how roughly.

    Attributes:
        cameras: How many; the first one is left alone.
        seconds: How long.
        seed: Of the faults and of what the cameras show.
        stall_s: The cameras' `stall_timeout_s`.
        longest_s: Of a fault.
        pause_s: From the end of a fault to the next one of that camera.
        tail_s: Without a fault at the end.
    """

    cameras: int
    seconds: float
    seed: int
    stall_s: float = 3.0
    longest_s: float = 12.0
    pause_s: tuple[float, float] = (15.0, 45.0)
    tail_s: float = 45.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        camera: With which camera.
        kind: What.
        at_s: When, since the beginning.
        lasts_s: For how long; 0 where nobody ends it.
    """

    camera: int
    kind: Kind
    at_s: float
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Suffered:
    """A fault that has come to pass.

    Attributes:
        camera: With which camera.
        kind: What it was.
        start_s: UTC of its beginning.
        end_s: UTC of its end; of a stopped reader, when it may be killed.
    """

    camera: int
    kind: Kind
    start_s: float
    end_s: float


def deal(plan: Plan) -> list[Fault]:
    """Draw the faults of a plan; one camera has one at a time."""
    dealer = random.Random(plan.seed)
    last_s = plan.seconds - plan.tail_s
    faults = []
    for camera in range(1, plan.cameras):
        now_s = dealer.uniform(*plan.pause_s)
        while now_s < last_s:
            kind = dealer.choice(list(Kind))
            lasts_s = dealer.uniform(0.5, plan.longest_s) if kind in _LASTING else 0.0
            if now_s + lasts_s < last_s:
                faults.append(Fault(camera, kind, now_s, lasts_s))
            now_s += lasts_s + dealer.uniform(*plan.pause_s)
    return sorted(faults, key=lambda fault: fault.at_s)


class Saboteur:
    """Commits faults, and keeps account of them.

    Attributes:
        suffered: Those that are over.
        missed: Those that hit nobody: there was no reader to kill.
    """

    def __init__(self, feeds: LiveFeeds, plan: Plan) -> None:
        self._feeds, self._plan = feeds, plan
        self.suffered: list[Suffered] = []
        self.missed: list[Fault] = []

    async def commit(self, faults: Sequence[Fault]) -> None:
        """Commit each in its time."""
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(fault.at_s + began_s - time.monotonic())
                group.create_task(self._commit(fault))

    async def _commit(self, fault: Fault) -> None:
        start_s = utc_now()
        if fault.kind in _LASTING:
            begin, end = _LASTING[fault.kind]
            self._feeds.tell(fault.camera, begin)
            await asyncio.sleep(fault.lasts_s)
            self._feeds.tell(fault.camera, end)
        elif fault.kind is Kind.RESIZE:
            self._feeds.tell(fault.camera, "resize")
        else:
            pid = await self._find_reader(fault.camera)
            if pid is None:
                self.missed.append(fault)
                return
            start_s = utc_now()
            os.kill(pid, _SIGNALS[fault.kind])
        end_s = utc_now()
        if fault.kind is Kind.READER_STOPPED:
            end_s = start_s + self._plan.stall_s
        self.suffered.append(Suffered(fault.camera, fault.kind, start_s, end_s))

    async def _find_reader(self, camera: int) -> int | None:
        deadline_s = time.monotonic() + _READER_S
        while time.monotonic() < deadline_s:
            pid = reader_of(self._feeds.ports[camera])
            if pid is not None:
                return pid
            await asyncio.sleep(_LOOK_AGAIN_S)
        return None
