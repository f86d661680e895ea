"""What a model meant by its answer, read strictly.

Published scorers differ, and most are lenient: VideoNIAH's takes an `A` anywhere before
the first full stop, OVO-Bench's the right letter anywhere in the text, LongVideoBench's
guesses where nothing can be read. Here a letter counts where it stands for an option,
an option's own words count, and everything else is no answer, which is wrong.
"""

import re
from collections.abc import Sequence

from benchmarks.public.items import LETTERS

_LETTER = r"(?:\(([A-Z])\)|([A-Z]))"
_ALONE = re.compile(rf"{_LETTER}[.:)]?")
_WITH_WORDS = re.compile(r"(?:\(([A-Z])\)[.:]?|([A-Z])[.:)])\s+(.+)", re.DOTALL)
_LEAD = re.compile(
    r"(?:the )?(?:(?:best|correct|right) )?(?:answer|option|choice)(?: is)?:?\s+",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[a-z]+")


def choose(text: str, options: Sequence[str]) -> str | None:
    """Give the letter of the option that a text names, None if it names none.

    Read are `B`, `(B)`, `B.`, `B)`, `B: words`, `(B) words`, `The answer is B`, and the
    words of an option alone. A letter beside the words of another option is no answer,
    nor are words that two options share.
    """
    said = text.strip()
    lead = _LEAD.match(said)
    if lead:
        said = said[lead.end() :].strip()
    letters = LETTERS[: len(options)]
    plain = [_plain(option) for option in options]
    alone = _ALONE.fullmatch(said)
    if alone:
        letter = alone[1] or alone[2]
        return letter if letter in letters else None
    beside = _WITH_WORDS.match(said)
    if beside:
        letter, words = beside[1] or beside[2], _plain(beside[3])
        if letter not in letters:
            return None
        is_other = words in plain and plain[letters.index(letter)] != words
        return None if is_other else letter
    if plain.count(_plain(said)) == 1:
        return letters[plain.index(_plain(said))]
    return None


def yes_or_no(text: str) -> bool | None:
    """Tell whether a text says yes or no, None if neither, or both."""
    said = set(_WORDS.findall(text.lower()))
    is_yes = "yes" in said or said == {"y"}
    is_no = "no" in said or said == {"n"}
    return None if is_yes == is_no else is_yes


def count(text: str) -> int | None:
    """Give the number in a text: all its digits, as OVO-Bench reads them."""
    digits = "".join(re.findall(r"[0-9]+", text))
    return int(digits) if digits else None


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).strip(" .!")
