"""What a simulated camera sees: one thing that comes into view, moves and leaves.

Positions are in units: a picture is 64 x 64 of them, a sprite 16 wide and 12 high.
"""

from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

WORLD_UNITS = 64
SPRITE_WIDTH = 16
SPRITE_HEIGHT = 12


class Kind(StrEnum):
    """What a visitor is: its silhouette."""

    CAR = "car"
    TRUCK = "truck"
    BUS = "bus"
    VAN = "van"
    BICYCLE = "bicycle"
    PERSON = "person"
    DOG = "dog"
    CART = "cart"


class Colour(StrEnum):
    """The colour of a visitor's body."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    YELLOW = "yellow"
    WHITE = "white"
    BLACK = "black"
    ORANGE = "orange"
    PURPLE = "purple"


class Side(StrEnum):
    """An edge of the picture."""

    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    BOTTOM = "bottom"


@dataclass(frozen=True, slots=True)
class Waypoint:
    """Where a visitor's upper left corner is at one moment.

    Attributes:
        time_s: UTC, seconds since the Unix epoch.
        x: Units from the left edge; negative is out of view.
        y: Units from the top edge.
    """

    time_s: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Visit:
    """One thing that passes a camera: the truth to compare an answer with.

    Attributes:
        kind: What it is.
        colour: Its colour.
        plate: Its two-digit number, 10 to 99, or None without a plate.
        enters_from: Edge over which it comes in.
        leaves_to: Edge over which it goes out.
        path: Where it is when, in straight lines from one waypoint to the next; the
            first and the last are just out of view.
    """

    kind: Kind
    colour: Colour
    plate: int | None
    enters_from: Side
    leaves_to: Side
    path: tuple[Waypoint, ...]

    def __post_init__(self) -> None:
        if self.plate is not None and not 10 <= self.plate <= 99:
            raise ValueError(f"a plate has two digits, 10 to 99, not {self.plate}")
        times = [waypoint.time_s for waypoint in self.path]
        if len(times) < 2 or any(a >= b for a, b in pairwise(times)):
            raise ValueError("a path is two waypoints or more, in order of time")

    @property
    def enter_s(self) -> float:
        """UTC from which it may be in view."""
        return self.path[0].time_s

    @property
    def leave_s(self) -> float:
        """UTC from which it is out of view again."""
        return self.path[-1].time_s

    def position(self, time_s: float) -> tuple[int, int]:
        """Give its upper left corner, (x, y) in whole units, at a moment."""
        before, after = self._leg(time_s)
        part = (time_s - before.time_s) / (after.time_s - before.time_s)
        part = min(max(part, 0.0), 1.0)
        x = before.x + part * (after.x - before.x)
        y = before.y + part * (after.y - before.y)
        return round(x), round(y)

    def faces_left(self, time_s: float) -> bool:
        """Tell whether it is moving to the left at a moment of its visit."""
        before, after = self._leg(time_s)
        return after.x < before.x

    def _leg(self, time_s: float) -> tuple[Waypoint, Waypoint]:
        index = bisect_right(self.path, time_s, key=lambda waypoint: waypoint.time_s)
        index = min(max(index, 1), len(self.path) - 1)
        return self.path[index - 1], self.path[index]
