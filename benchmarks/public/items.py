"""What a public benchmark comes down to: questions about videos, with the truth."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LETTERS = string.ascii_uppercase


class Kind(StrEnum):
    """How an answer is read."""

    CHOICE = "choice"  # a letter, or the words of an option
    YES_NO = "yes_no"
    COUNT = "count"  # a number
    WHEN = "when"  # polled again and again: is it time? then the words


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question about one video.

    Attributes:
        id: Unique within its benchmark.
        video: The video's file; it may be missing.
        group: The column it is counted in.
        kind: How an answer is read.
        question: The question alone; relevance goes by it.
        prompt: What the model is asked, options and instruction included.
        answer: The truth: a letter, `Yes` or `No`, a number, or words; empty if the
            benchmark holds no right option, so that every answer is wrong.
        options: The options of a choice, without their letters.
        ask_at_s: Time in the video at which it is asked: only what was before may be
            seen. None to ask when the video is over.
        poll: What is asked every second, for `WHEN`.
        due_s: Time in the video at which the answer is due, for `WHEN`.
    """

    id: str
    video: Path
    group: str
    kind: Kind
    question: str
    prompt: str
    answer: str
    options: tuple[str, ...] = ()
    ask_at_s: float | None = None
    poll: str = ""
    due_s: float | None = None

    def __post_init__(self) -> None:
        if self.kind is Kind.CHOICE:
            if not 2 <= len(self.options) <= len(LETTERS):
                raise ValueError(f"a choice has options, not {len(self.options)}")
            if self.answer and self.answer not in tuple(LETTERS[: len(self.options)]):
                raise ValueError(
                    f"{self.answer!r} is none of {len(self.options)} options"
                )
        if self.kind is Kind.WHEN:
            if self.ask_at_s is None or self.due_s is None:
                raise ValueError("a question of when needs both of its times")
            if self.due_s < self.ask_at_s:
                raise ValueError("it is due before it is asked")
        if self.ask_at_s is not None and self.ask_at_s < 0:
            raise ValueError(f"asked before the video begins: {self.ask_at_s}")


def lettered(options: Sequence[str], form: str = "{}. {}", between: str = "\n") -> str:
    """Write options with their letters."""
    pairs = zip(LETTERS, options, strict=False)
    return between.join(form.format(letter, option) for letter, option in pairs)


def without_letters(options: Sequence[str]) -> tuple[str, ...]:
    """Take `A. ` and so on from options, if all of them carry their letter."""
    marks = [f"{letter}." for letter, _ in zip(LETTERS, options, strict=False)]
    if all(o.startswith(mark) for o, mark in zip(options, marks, strict=True)):
        return tuple(option[2:].strip() for option in options)
    return tuple(options)


def last_letter_of(answer: str, options: Sequence[str]) -> str:
    """Give the letter of an option by its words; the last of equals, or none."""
    found = [
        letter
        for letter, option in zip(LETTERS, options, strict=False)
        if option == answer
    ]
    return found[-1] if found else ""
