"""A simulated camera as a stream: moments at its frame rate, shown when due."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ingest.clock import utc_now, wait_until
from ingest.frame import Frame
from ingest.motion import Cells, cells_of_rgb
from ingest.sampler import Sampler
from ingest.settings import CameraSettings, Resume
from ingest.simulation.address import SimulatedAddress, parse_simulated
from ingest.simulation.renderer import render
from ingest.simulation.world import World

_SAME = 1e-3  # of a frame: two times this close are one


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of which a frame could be rendered.

    Attributes:
        time_s: UTC, seconds since the Unix epoch.
        world: What the camera looks at.
        size: Side of the frame in pixels.
    """

    time_s: float
    world: World
    size: int

    def frame(self) -> Frame:
        """Render it."""
        return Frame(render(self.world, self.time_s, self.size), self.time_s)

    def cells(self) -> Cells:
        """Give the mean luma of its cells."""
        return cells_of_rgb(self.frame().pixels)


def simulated_frames(
    settings: CameraSettings, resume: Resume | None, alive: Callable[[float], None]
) -> Iterator[Frame]:
    """Give the sampled frames of a simulated camera, each when it is due.

    Args:
        settings: The camera; its address is a simulated one.
        resume: Where to go on, or None to begin.
        alive: Told the time of each moment that passes, sampled or not.

    Raises:
        AddressError: The address is malformed.
    """
    address = parse_simulated(settings.address)
    world = World(address.seed, address.pace)
    size = min(address.size, settings.max_side)
    speed = address.speed if settings.realtime else None
    times = _play(address, resume, speed, alive)
    moments = (Moment(time_s, world, size) for time_s in times)
    for moment in Sampler(settings.rates).sample(moments):
        yield moment.frame()


def _play(
    address: SimulatedAddress,
    resume: Resume | None,
    speed: float | None,
    alive: Callable[[float], None],
) -> Iterator[float]:
    started_s = utc_now()
    began_s = resume.began_s if resume else started_s - address.backlog_s
    from_s = resume.from_s if resume else began_s
    number = math.ceil((from_s - began_s) * address.fps - _SAME)
    while address.duration_s is None or number < address.duration_s * address.fps:
        time_s = max(began_s + number / address.fps, from_s)
        number += 1
        played_s = (time_s - from_s) / speed if speed else 0.0
        wait_until(max(time_s, started_s + played_s), alive)
        alive(time_s)
        yield time_s
