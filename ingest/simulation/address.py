"""The address of a simulated camera: `simulated:?seed=7&size=256&fps=4`."""

import math
from dataclasses import dataclass, fields
from urllib.parse import parse_qsl

from ingest.errors import AddressError

SCHEME = "simulated:"


@dataclass(frozen=True, slots=True)
class SimulatedAddress:
    """What a simulated camera shows, and how fast.

    Attributes:
        seed: Which world, any whole number.
        pace: How busy that is, above 0, up to 1; slow ones repeat no plate for hours.
        size: Width and height of its picture in pixels, 16 to 4096.
        fps: Frames per second it takes, up to 120.
        backlog_s: How many seconds in the past it begins.
        speed: How many times faster than real time it plays until it has caught up with
            the present, 1 or more.
        duration_s: Seconds of stream after which it ends, or None: it never ends.
    """

    seed: int = 0
    pace: float = 1.0
    size: int = 256
    fps: float = 4.0
    backlog_s: float = 0.0
    speed: float = 1.0
    duration_s: float | None = None

    def __post_init__(self) -> None:
        self._check("pace", "above 0, up to 1", fits=0 < self.pace <= 1)
        self._check("size", "16 to 4096 pixels", fits=16 <= self.size <= 4096)
        self._check("fps", "above 0, up to 120", fits=0 < self.fps <= 120)
        self._check(
            "backlog_s", "0 or more seconds", fits=0 <= self.backlog_s < math.inf
        )
        self._check("speed", "1 or more", fits=1 <= self.speed < math.inf)
        duration_s = 1.0 if self.duration_s is None else self.duration_s
        self._check("duration_s", "above 0 seconds", fits=0 < duration_s < math.inf)

    def _check(self, name: str, wanted: str, *, fits: bool) -> None:
        if not fits:
            raise AddressError(
                SCHEME, f"option {name} must be {wanted}, not {getattr(self, name)}"
            )


def is_simulated(address: str) -> bool:
    """Tell whether an address is that of a simulated camera."""
    return address.startswith(SCHEME)


def parse_simulated(address: str) -> SimulatedAddress:
    """Read `simulated:?seed=7&fps=4`; the `?` may be left out.

    Raises:
        AddressError: An option is unknown, given twice, not a number or out of range.
    """
    query = address.removeprefix(SCHEME).removeprefix("?")
    known = [field.name for field in fields(SimulatedAddress)]
    options: dict[str, int | float] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise AddressError(
                address, f"option {name!r} is unknown; there are {', '.join(known)}"
            )
        if name in options:
            raise AddressError(address, f"option {name} is given twice")
        options[name] = _parse_number(address, name, text)
    return SimulatedAddress(**options)  # type: ignore[arg-type]  # numbers, by name


def _parse_number(address: str, name: str, text: str) -> int | float:
    whole = name in ("seed", "size")
    try:
        return int(text) if whole else float(text)
    except ValueError as exc:
        wanted = "a whole number" if whole else "a number"
        raise AddressError(
            address, f"option {name} must be {wanted}, not {text!r}"
        ) from exc
