"""Find the time that an English question is about: "in the last ten minutes".

Each word is a letter for its kind (`D` a day, `M` a clock, `s` "since"), so that the
grammar of windows is a few short patterns over letters. In doubt there is no time.
`docs/time-phrases.md` tells what is understood.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from agent.messages import PARTS_APART
from agent.time_calendar import CLOCKS, Calendar, Window
from agent.time_words import Token, read_tokens

_ON_DAY, _IN_PART = "(?:o?[Dd])", "(?:o?P|o?[Dd]Q|Qo?[Dd])"
_AT = "[@~]{1,2}"
_CLEAR = "(?:[MC]Q?|HQ)"  # a time of day that needs no other word
_DATED = (
    f"(?:{_IN_PART}{_AT}[MCH]Q?|{_IN_PART}[MC]|H{_IN_PART}"
    f"|{_CLEAR}(?:{_IN_PART}|{_ON_DAY})|{_ON_DAY}(?:{_AT})?{_CLEAR})"
)
_POINT = f"[@~]{{0,2}}(?:{_DATED}|{_CLEAR}|{_IN_PART}|{_ON_DAY}|o?W|G)"
_PAIR = "(?:w[MCH]&[MCH]|f[MCH][tu-][MCH]|[MC][t-][MC]|H[t-]M)"
_TO_CLEAR = "(?:[MC]{0}(?:[MC]Q?|HQ)|H{0}(?:MQ?|CQ|HQ)|M{0}H)"
_CLEAR_PAIR = f"(?:w{_TO_CLEAR.format('&')}|f{_TO_CLEAR.format('[tu-]')})"
_ALONE = "(?![&tu-][MCHDdPGW])"  # not the first of two
_FORMS: Final = {
    "clocks": f"{_IN_PART}{_PAIR}|{_PAIR}{_IN_PART}|{_CLEAR_PAIR}"
    "|[MC][t-][MC]Q?|H[t-]MQ?",
    "range": f"w{_POINT}&{_POINT}|f{_POINT}[tu]{_POINT}",
    "since": f"s{_POINT}|{_IN_PART}s[MCH]",
    "until": f"u{_POINT}|{_IN_PART}u[MCH]",
    "before": f"b{_POINT}|{_IN_PART}b[MCH]",
    "after": f"a{_POINT}|{_IN_PART}a[MCH]",
    "at": f"(?:{_AT}(?:{_DATED}|{_CLEAR})|{_IN_PART}{_AT}[MCH]Q?|{_IN_PART}[MC]"
    f"|[MC]Q?(?:{_IN_PART}|{_ON_DAY})|{_ON_DAY}(?:{_AT})?{_CLEAR}|~?G|o?W){_ALONE}",
    "last": "L",
    "agos": "[wf]?B",
    "setting": f"{_IN_PART}|o?D|od|d(?=[wfsuba])",
}
_FORM: Final = re.compile("|".join(f"(?P<{k}>{form})" for k, form in _FORMS.items()))
_SPOILT: Final = re.compile("(?:[nbautfs@]|H&)$")  # by what stands before: "than", "at"
_SPOILT_WHERE: Final = re.compile("(?:[nbaus@]|H&)$")  # "from", "to" are of a place
_WHERE: Final = re.compile(r"\bwhere\b", re.IGNORECASE)
_DOUBTS: Final = re.compile("[!DdPWGLBMCs]")  # in what no form took up


@dataclass(frozen=True, slots=True)
class TimePhrase:
    """A window of time in UTC seconds, None being open, and the words that name it.

    `words` stand so in the question; parts that stand apart are joined by " ... ".
    """

    start_s: float | None
    end_s: float | None
    words: str


def find_time_phrase(text: str, now_s: float, zone: tzinfo) -> TimePhrase | None:
    """Find the window of time that an English question names.

    Args:
        text: The question.
        now_s: When it is asked, in UTC seconds; no window goes beyond it.
        zone: Where its clocks and days are.

    Returns:
        The window; None if there is none, or any doubt what is meant.
    """
    tokens = list(read_tokens(text))
    letters = "".join(token.kind for token in tokens)
    forms = list(_FORM.finditer(letters))
    spoilt = _SPOILT_WHERE if _WHERE.search(text) else _SPOILT
    if not _is_clear(letters, forms, spoilt):
        return None
    forms.sort(key=lambda form: form.lastgroup == "setting")
    said, *settings = [tokens[form.start() : form.end()] for form in forms]
    setting = [token for part in settings for token in part]
    window = _window(str(forms[0].lastgroup), said, setting, Calendar(now_s, zone))
    if window is None:
        return None
    start_s, end_s = window
    if end_s is not None:
        end_s = min(end_s, now_s)
    if start_s is not None and start_s >= (now_s if end_s is None else end_s):
        return None
    return TimePhrase(start_s, end_s, _words(text, tokens, forms))


def _is_clear(
    letters: str, forms: Sequence[re.Match[str]], spoilt: re.Pattern[str]
) -> bool:
    """Tell whether the forms are one window, and no other time is spoken of."""
    if not 1 <= len(forms) <= 2:
        return False
    rest = letters
    for form in forms:
        if spoilt.search(letters, 0, form.start()):
            return False
        rest = rest[: form.start()] + "x" * len(form[0]) + rest[form.end() :]
    if len(forms) == 2:
        names = [form.lastgroup for form in forms]
        clock = forms[names[0] == "setting"]
        if names.count("setting") != 1 or re.search("[DdPWGLB]", clock[0]):
            return False
    return not _DOUBTS.search(rest)


def _words(text: str, tokens: Sequence[Token], forms: Iterable[re.Match[str]]) -> str:
    spans = sorted(form.span() for form in forms)
    if len(spans) == 2 and spans[0][1] == spans[1][0]:
        spans = [(spans[0][0], spans[1][1])]
    return PARTS_APART.join(
        text[tokens[first].start : tokens[end - 1].end] for first, end in spans
    )


def _window(
    form: str, said: list[Token], setting: list[Token], calendar: Calendar
) -> Window | None:
    """Give the window of a form, on the day that is said apart from it."""
    if form == "last":
        return calendar.last(said[0].words)
    if form == "agos":
        return calendar.between_ago(said[-1].words)
    if form in ("since", "until", "before", "after"):
        in_its_day = form != "until" or bool(setting)
        return calendar.beside(form, [*said, *setting], in_its_day=in_its_day)
    if form not in ("clocks", "range"):
        return calendar.around([*said, *setting])
    joint = next(i for i, token in enumerate(said) if token.kind in "&tu-")
    first, second = said[:joint], said[joint + 1 :]
    clocks = [token for token in said if token.kind in CLOCKS]
    on_one_day = len(clocks) == 2 and not any(token.kind in "DdPWG" for token in second)
    if form == "clocks" or on_one_day:
        return calendar.from_clock_to_clock(clocks, [*said, *setting])
    return calendar.between(first, second)
