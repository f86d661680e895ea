"""Read English words about time as tokens, each with a letter for its kind.

Every pattern is bounded, so that a text takes time in proportion to its length.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_PLAIN: Final = str.maketrans("\t\n\r\u00a0\u2009\u202f\u2018\u2019\u2013", "      ''-")


def _any_of(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(words)})"


_ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
HOUR_WORDS = [*_ONES, "ten", "eleven", "twelve"]
_TEEN = "(?:thir|four|fif|six|seven|eigh|nine)teen"
_TENS = "(?:twen|thir|for|fif|six|seven|eigh|nine)ty"
_NUMBER = (
    f"(?:[0-9]{{1,4}}(?:[.][0-9])?|{_TEEN}|{_TENS}(?:(?: |-){_any_of(_ONES)})?"
    f"|{_any_of(HOUR_WORDS)}|an?)"
)
COUNTS: Final = {"(?:a )?couple(?: of)?": "2", "(?:a )?few|several": "5"}
"""Counts that dateparser does not know, as it does."""
_COUNT = f"(?:{_any_of(COUNTS)}|{_NUMBER})"
_SHORT = "(?:hours?|hrs?|minutes?|mins?|seconds?|secs?)"
HALVES: Final = {  # durations that dateparser does not know, as it does
    "(?:(?:an?|one) )?hour and a half": "90 minutes",
    "half an? hour|half hour": "30 minutes",
    "(?:a )?quarter of an hour": "15 minutes",
}
_TIGHT = "[0-9]{1,4}(?:[.][0-9])? ?(?:h|hrs?|hours?|mins?|minutes?|s|secs?|seconds?)"
_SPAN = (
    f"(?:{_any_of(HALVES)}|{_COUNT} {_SHORT}(?:(?: and)? {_NUMBER} {_SHORT})?|{_TIGHT})"
)
_LAST = "(?:last|past|previous)"
_ANY_SPAN = f"(?:{_SPAN}|{_COUNT} (?:days?|weeks?))"
_WEEKDAY = "(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_NTH = "(?:the )?(?:3[01]|[12][0-9]|0?[1-9])(?:st|nd|rd|th)?"
_DATE = (
    "20[0-9]{2}-[01][0-9]-[0-3][0-9]|[0-3]?[0-9][.][01]?[0-9][.]20[0-9]{2}"
    f"|(?:{_WEEKDAY},? )?(?:{_NTH}(?: of)? {_MONTH}|{_MONTH} {_NTH}(?! ?[ap][.]?m))"
    "(?:,? 20[0-9]{2})?"
)
_24_HOURS = "(?:(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?|24:00)"
_12_HOURS = (
    f"(?:(?:1[0-2]|0?[1-9]|{_any_of(HOUR_WORDS)})(?::[0-5][0-9](?::[0-5][0-9])?)?"
    " ?(?:[ap]m|[ap][.]m[.]?)|noon|midday|midnight)"
)
_PART = "(?:morning|afternoon|evening)"
_END = "(?![\\w]|[-.:/'@+]\\w|,[0-9])"
_NEXT_CLOCK = f"(?= ?(?:{_12_HOURS}|{_24_HOURS}){_END})"
_KINDS: Final = {  # the first that fits counts
    "!": f"tomorrow|next (?:week|{_WEEKDAY})|(?:this|last|next) (?:month|year)|daily"
    f"|(?:every|each) (?:day|hour|week|night|{_PART}|{_WEEKDAY})|(?:on )?{_WEEKDAY}s"
    f"|(?:(?:more|less|longer) than|at least|over|under) {_ANY_SPAN} ago"
    f"|(?:hundred|thousand)(?: and)? {_NUMBER} {_SHORT}"
    f"|(?:today|yesterday|tonight|week|{_WEEKDAY}|{_PART}|night)'s"
    f"|(?:{_12_HOURS}|{_24_HOURS}) ?(?:utc|gmt|z|[cemp][ds]t|[bi]st|[cew]e?e?s?t)",
    "L": f"(?:(?:in|within|during|over|for|of) )?(?:the {_LAST}|last) {_ANY_SPAN}"
    f"(?! of)|(?:(?:in|during|over|for) )?the {_LAST} (?:hour|week)(?! of)"
    f"|(?:in|within|during|over) the {_LAST} (?:minute|day)(?! of)",
    "B": f"{_NUMBER} ?(?:and|to|or|-) ?{_NUMBER} {_SHORT} ago",
    "D": f"(?:the )?day before yesterday|yesterday|today|last {_WEEKDAY}"
    f"|{_COUNT} days? ago",
    "G": f"(?:{_SPAN}|{_COUNT} weeks?) ago",
    "W": "(?:this|last) week(?! of)",
    "P": f"this {_PART}|tonight|last (?:night|evening)",
    "Q": f"(?:(?:in|on|during) the )?{_PART}(?: of)?|(?:(?:at|in the) )?night",
    "d": f"{_DATE}|{_WEEKDAY}",
    "M": _12_HOURS,
    "C": _24_HOURS,
    "H": f"(?:2[0-4]|1[0-9]|0?[0-9]|{_any_of(HOUR_WORDS)})(?: o'clock)?",
    "@": "at",
    "~": "around|about|approximately|roughly|near",
    "o": "on|during",
    "s": "since",
    "x": "(?:the|a|this|that) till",
    "u": "until|till|up to",
    "b": "before",
    "a": "after",
    "w": "between",
    "f": "from",
    "t": "to",
    "&": "and",
    "n": "than|except|besides|unlike|not|with",
}
_TOKEN: Final = re.compile(
    "|".join(
        f"(?P<k{number}>(?:{words})(?:{_END}|(?= ?-{_NEXT_CLOCK})))"
        for number, words in enumerate(_KINDS.values())
    ).replace(" ", "(?:[ ]{1,3})")
    + f"|(?P<hyphen>-{_NEXT_CLOCK})"
    + r"|(?P<other>[#$€£]?\w+(?:[-.,:/'@+]\w+)*|[.?!;()\"])"
)


_DOUBTFUL_MAY: Final = re.compile(r"\b(?:[0-9]{1,2} may|may [0-9]{1,2})$")


@dataclass(frozen=True, slots=True)
class Token:
    """Words of one kind, in lower case, and where they stand in the text.

    Kinds: D d days (`d` if "on" must stand before), W a week, P "this morning", Q
    "morning", M C H clocks ("2 pm", "14:05", "2"), G "an hour ago", B "20 to 10 minutes
    ago", L "the last hour", ! what no window is made of, x any other word; small
    letters and signs are prepositions.
    """

    kind: str
    words: str
    start: int
    end: int


def read_tokens(text: str) -> Iterator[Token]:
    """Split a text into tokens; only commas and the like are left out."""
    plain = "".join(c.lower() if c.isascii() else c for c in text.translate(_PLAIN))
    kinds = [*_KINDS, "-", "x"]
    for found in _TOKEN.finditer(plain):
        kind, words = kinds[(found.lastindex or 0) - 1], found[0]
        named_may = "May" in text[found.start() : found.end()]
        if kind == "d" and _DOUBTFUL_MAY.search(words) and not named_may:
            kind = "!"  # "the 2 may stop"
        yield Token(kind, words, *found.span())
