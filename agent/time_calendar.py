"""Turn words about time into UTC seconds, in one zone, as seen from one moment.

dateparser reads days and durations; clocks are read here, because one may take its am
or pm from another ("2 to 3 pm") or from the part of the day ("this morning at 8").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from dateparser.date import DateDataParser

from agent.time_words import COUNTS, HALVES, HOUR_WORDS, Token

Window = tuple[float | None, float | None]
"""Where a window begins and ends, in UTC seconds; None is open."""

CLOCKS: Final = "MCH"
"""The kinds of tokens that are a time of day."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_PARTS_OF_DAY: Final = {  # hours of the day that it is said of
    "morning": (6, 12),
    "afternoon": (12, 18),
    "evening": (18, 22),
    "tonight": (18, 30),
    "night": (22, 30),
}
_WHOLE_DAY: Final = (0, 24)
_FIRST_MORNING_HOUR: Final = 6  # before it, the night is that of the day before
_MINUTE_SLACK_S: Final = (120.0, 600.0)  # either side: "at 14:05", "around 14:05"
_HOUR_SLACK_S: Final = (900.0, 1800.0)  # "at 2 pm", "around 2 pm"
_AGO_PRECISION: Final = 4  # "an hour ago" is an hour, give or take a quarter of it
_SHORT_UNITS: Final = {"hr?s?": "hours", "mins?": "minutes", "s(?:ecs?)?": "seconds"}
_UNITS_S: Final = {"s": 60.0, "m": 60.0, "h": 3600.0, "w": 7 * 86400.0}
_CLOCK: Final = re.compile(
    r"(?P<hour>[0-9]+|[a-z]+)(?::(?P<minute>[0-9]+))?(?::(?P<second>[0-9]+))?"
    r"(?: o'clock)?(?P<meridian> *[ap][.]?m[.]?)?"
)


@dataclass(frozen=True, slots=True)
class _Point:
    """A period, or a moment (with slack) and the period that it is said to lie in."""

    start_s: float
    end_s: float
    slack_s: float = 0.0
    within: tuple[float, float] | None = None
    is_moment: bool = False


class Calendar:
    """The days and clocks of one zone, as seen from one moment."""

    def __init__(self, now_s: float, zone: tzinfo) -> None:
        self._now_s, self._zone = now_s, zone
        self._now = datetime.fromtimestamp(now_s, zone).replace(tzinfo=None)

    def last(self, words: str) -> Window | None:
        """Give the window of "in the last ten minutes"."""
        start_s = self._ago(re.split("(?:last|past|previous) +", words)[1])
        return None if start_s is None else (start_s, self._now_s)

    def between_ago(self, words: str) -> Window | None:
        """Give the window of "20 to 10 minutes ago"."""
        first, second = re.split(r"(?: +(?:and|to|or) +| *- *)", words, maxsplit=1)
        unit = second.split()[-2]
        ends = self._ago(f"{first} {unit}"), self._ago(second.removesuffix("ago"))
        known = [moment_s for moment_s in ends if moment_s is not None]
        return (min(known), max(known)) if len(known) == 2 else None

    def around(self, tokens: Sequence[Token]) -> Window | None:
        """Give a period, or the window around a moment."""
        point = self._point(tokens)
        if point is None:
            return None
        return point.start_s - point.slack_s, point.end_s + point.slack_s

    def beside(
        self, side: str, tokens: Sequence[Token], *, in_its_day: bool
    ) -> Window | None:
        """Give what lies "since", "until", "before" or "after" a moment or a period.

        A moment's window ends with its day, or part of it, if `in_its_day`.
        """
        point = self._point(tokens)
        if point is None:
            return None
        within = point.within if in_its_day else None
        if side == "since":
            return point.start_s, None
        if side == "after":
            start_s = point.start_s if point.is_moment else point.end_s
            return start_s, within[1] if within else None
        is_before = side == "before" and not point.is_moment
        return within[
            0
        ] if within else None, point.start_s if is_before else point.end_s

    def between(self, first: Sequence[Token], second: Sequence[Token]) -> Window | None:
        """Give the window from one moment or period to the end of another."""
        start, end = self._point(first), self._point(second)
        return None if start is None or end is None else (start.start_s, end.end_s)

    def from_clock_to_clock(
        self, clocks: Sequence[Token], tokens: Sequence[Token]
    ) -> Window | None:
        """Give the shortest window that two clocks can mean, as in "2 to 3 pm".

        Args:
            clocks: The two.
            tokens: All that was said, the day of both among them.
        """
        kinds = _by_kind(tokens)
        readings = [_times_of_day(clock.words, _part(kinds)) for clock in clocks]
        if all(clock.kind == "C" for clock in clocks):
            readings = [times[:1] for times in readings]
        spans = [((b - a) % _DAY or _DAY, a) for a in readings[0] for b in readings[1]]
        lasts, start = min(spans)
        midnight = self._midnight(kinds, start)
        if midnight is None:
            return None
        return self._seconds(midnight + start, midnight + start + lasts)

    def _point(self, tokens: Sequence[Token]) -> _Point | None:
        kinds = _by_kind(tokens)
        if "G" in kinds:
            return self._moment_ago(kinds["G"], around="~" in kinds)
        period = self._period(kinds)
        clock = next((kinds[kind] for kind in CLOCKS if kind in kinds), None)
        if clock is None:
            return None if period is None else _Point(*self._seconds(*period))
        time_of_day = _times_of_day(clock, _part(kinds))[0]
        midnight = self._midnight(kinds, time_of_day)
        if midnight is None:
            return None
        moment = midnight + time_of_day
        slack_s = (_MINUTE_SLACK_S if ":" in clock else _HOUR_SLACK_S)["~" in kinds]
        within = None
        if period is not None:
            within = self._seconds(min(period[0], moment), max(period[1], moment))
            if not period[0] < moment < period[1]:  # "this morning before 6"
                within = self._seconds(midnight, midnight + _DAY)
        return _Point(*self._seconds(moment, moment), slack_s, within, is_moment=True)

    def _moment_ago(self, words: str, *, around: bool) -> _Point | None:
        moment_s = self._ago(words.removesuffix("ago"))
        if moment_s is None:
            return None
        unit_s = _UNITS_S[_unit(_plain_count(words))[0]]
        slack_s = max(unit_s / 2, 60.0, (self._now_s - moment_s) / _AGO_PRECISION)
        slack_s *= 1 + around
        return _Point(moment_s, moment_s, slack_s, is_moment=True)

    def _ago(self, span: str) -> float | None:
        """Give the moment so long ago; days and weeks are those of the calendar."""
        words = _plain_count(f"{span.strip()} ago")
        if _unit(words)[0] in "dw":
            moment = _parse(words, self._now)
            return None if moment is None else min(self._seconds(moment, moment))
        moment = _parse(words, datetime.fromtimestamp(self._now_s, UTC))
        return None if moment is None else moment.replace(tzinfo=UTC).timestamp()

    def _midnight(
        self, kinds: Mapping[str, str], time_of_day: timedelta
    ) -> datetime | None:
        """Give the day that was said, or the last one on which that time has begun."""
        day = self._day(kinds)
        if day is not None or kinds.keys() & set("DdP"):
            return day
        today = _midnight(self._now)
        return today if today + time_of_day <= self._now else today - _DAY

    def _day(self, kinds: Mapping[str, str]) -> datetime | None:
        """Give the midnight at which the day that was said begins, if one was said."""
        today = _midnight(self._now)
        if "P" in kinds:
            last = kinds["P"].startswith("last")
            still = kinds["P"] == "tonight" and self._now.hour < _FIRST_MORNING_HOUR
            return today - _DAY if last or still else today
        words = kinds.get("D") or kinds.get("d")
        if words is None:
            return None
        words = re.sub("^last +|^[a-z]+day,? +(?=[a-z0-9])", "", words)
        day = _parse(_plain_count(words), self._now)
        return None if day is None else _midnight(day)

    def _period(self, kinds: Mapping[str, str]) -> tuple[datetime, datetime] | None:
        """Give the week, the day or the part of a day that was said."""
        if "W" in kinds:
            monday = _midnight(self._now) - _DAY * self._now.weekday()
            if kinds["W"].startswith("last"):
                monday -= 7 * _DAY
            return monday, monday + 7 * _DAY
        day = self._day(kinds)
        if day is None:
            return None
        first, end = _PARTS_OF_DAY.get(_part(kinds), _WHOLE_DAY)
        return day + first * _HOUR, day + end * _HOUR

    def _seconds(self, start: datetime, end: datetime) -> tuple[float, float]:
        """Give both in UTC; what a clock shows twice or never is taken widely."""
        starts, ends = (
            [when.replace(tzinfo=self._zone, fold=fold).timestamp() for fold in (0, 1)]
            for when in (start, end)
        )
        return min(starts), max(ends)


def _by_kind(tokens: Sequence[Token]) -> dict[str, str]:
    return {token.kind: token.words for token in tokens}


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _part(kinds: Mapping[str, str]) -> str:
    """Give the part of the day that was said, or nothing."""
    words = f"{kinds.get('P', '')} {kinds.get('Q', '')}"
    return next((part for part in _PARTS_OF_DAY if part in words), "")


def _times_of_day(words: str, part: str) -> list[timedelta]:
    """Read a clock; one without am or pm has two readings, that of 24 hours first."""
    words = {"noon": "12 pm", "midday": "12 pm", "midnight": "12 am"}.get(words, words)
    read = _CLOCK.match(words)
    assert read is not None
    digits = read["hour"]
    hour = int(digits) if digits.isdecimal() else HOUR_WORDS.index(digits) + 1
    rest = timedelta(minutes=int(read["minute"] or 0), seconds=int(read["second"] or 0))
    if read["meridian"]:
        hours = [hour % 12 + 12 * ("p" in read["meridian"])]
    elif not 1 <= hour <= 12:
        hours = [hour % 24]
    elif part == "morning":
        hours = [0, 12] if hour == 12 else [hour]
    elif part in ("evening", "night", "tonight"):
        is_pm = _FIRST_MORNING_HOUR <= hour < 12 or (part == "evening" and hour < 12)
        hours = [hour % 12 + 12 * is_pm]
    else:
        hours = [hour % 12 + 12] if part else [hour, (hour + 12) % 24]
        if digits.startswith("0") and not part:  # "02:30"
            hours = [hour]
    if part in ("evening", "night", "tonight"):
        hours = [hour + 24 if hour < _FIRST_MORNING_HOUR else hour for hour in hours]
    return [hour * _HOUR + rest for hour in hours]


def _unit(words: str) -> str:
    """Give the last unit of a duration, the one that its precision is read from."""
    units: list[str] = re.findall("second|sec|minute|min|hour|hr|day|week", words)
    return units[-1]


def _plain_count(words: str) -> str:
    """Write what dateparser does not know in words that it does."""
    for pattern, plain in (*HALVES.items(), *COUNTS.items()):
        words = re.sub(rf"\b(?:{pattern})\b", plain, words)
    for short, unit in _SHORT_UNITS.items():
        words = re.sub(rf"(?<=[0-9]) *{short}\b", f" {unit}", words)
    return re.sub(r"^(?=minute|hour|day|week)", "1 ", words)


def _parse(words: str, base: datetime) -> datetime | None:
    """Read a day or a duration with dateparser, without zone, as seen from the base."""
    settings = {
        "TIMEZONE": "UTC",  # none: the base is what the clocks of the zone show
        "RETURN_AS_TIMEZONE_AWARE": False,
        "RELATIVE_BASE": base.replace(tzinfo=None),
        "PREFER_DATES_FROM": "past",
        "DATE_ORDER": "DMY",
        "PARSERS": ["relative-time", "absolute-time"],
    }
    parser = DateDataParser(languages=["en"], settings=settings)
    return parser.get_date_data(words).date_obj


_parse(
    "yesterday", datetime(2000, 1, 1, tzinfo=UTC)
)  # loads its data now, not at a question
