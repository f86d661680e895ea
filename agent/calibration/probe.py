"""A question that was made up for calibration, with the truth about where to look."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Probe:
    """A made-up question to a stream.

    Attributes:
        text: What is asked.
        holders: Numbers of the chunks that hold the answer, at least one.
    """

    text: str
    holders: tuple[int, ...]
