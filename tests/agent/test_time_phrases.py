import re
import time
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.time_phrases import TimePhrase, find_time_phrase

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 16, 30, tzinfo=BERLIN)  # a Wednesday

# Question | from | to, as clocks in Berlin showed; a day without a month is November's.
UNDERSTOOD = """
who came to the door in the last ten minutes?        | 25 16:20 | now
anyone during the past twenty five minutes?          | 25 16:05 | now
did it move over the last thirty seconds?            | 25 16:29:30 | now
what happened in the last hour?                      | 25 15:30 | now
what happened the last hour                          | 25 15:30 | now
was it there for the last half hour?                 | 25 16:00 | now
was it there in the past half an hour?               | 25 16:00 | now
who was here in the last couple of minutes           | 25 16:28 | now
who was here in the last few minutes?                | 25 16:25 | now
who came in the last hour and a half?                | 25 15:00 | now
who came in the last 1.5 hours?                      | 25 15:00 | now
who came in the last 1 hour and 20 minutes?          | 25 15:10 | now
who came in the last quarter of an hour?             | 25 16:15 | now
what was seen last 10 mins?                          | 25 16:20 | now
what was seen in the past 15min?                     | 25 16:15 | now
what was seen over the last 2h?                      | 25 14:30 | now
what was seen in the last 1.5 h?                     | 25 15:00 | now
what was seen in the last 90s?                       | 25 16:28:30 | now
what was seen in the previous hour?                  | 25 15:30 | now
what was seen in the previous ten minutes?           | 25 16:20 | now
who rang 2h ago?                                     | 25 14:00 | 25 15:00
who rang 30 s ago?                                   | 25 16:28:30 | 25 16:30
In The Last TEN Minutes, who came?                   | 25 16:20 | now
who rang ten minutes ago?                            | 25 16:17:30 | 25 16:22:30
who rang about ten minutes ago?                      | 25 16:15 | 25 16:25
who rang a minute ago?                               | 25 16:28 | 25 16:30
who rang an hour ago?                                | 25 15:00 | 25 16:00
who rang half an hour ago?                           | 25 15:52:30 | 25 16:07:30
who rang between 20 and 10 minutes ago?              | 25 16:10 | 25 16:20
who rang two to three hours ago?                     | 25 13:30 | 25 14:30
who rang two days ago?                               | 23 00:00 | 24 00:00
who rang two days ago at 3 pm?                       | 23 14:45 | 23 15:15
who rang a week ago?                                 | 15 04:30 | 22 04:30
what happened since this morning?                    | 25 06:00 | open
what happened since yesterday 18:00?                 | 24 18:00 | open
what happened since yesterday at 6 pm?               | 24 18:00 | open
who has come since 3 pm?                             | 25 15:00 | open
who has come since 17:00?                            | 24 17:00 | open
who has come since Monday?                           | 23 00:00 | open
who has come since 8 this morning?                   | 25 08:00 | open
who has come since 2026-11-20 14:05?                 | 20 14:05 | open
who has come since midnight?                         | 25 00:00 | open
who came after 2 pm?                                 | 25 14:00 | open
who came after last night?                           | 25 06:00 | open
what was there before yesterday?                     | open | 24 00:00
what was there before 9 am?                          | open | 25 09:00
what was there up to 14:30?                          | open | 25 14:30
what was there until Monday 5 pm?                    | open | 23 17:00
what was there yesterday until 5 pm?                 | 24 00:00 | 24 17:00
who came between 2 and 3 pm?                         | 25 14:00 | 25 15:00
who came between 11 and 1 pm?                        | 25 11:00 | 25 13:00
who came between 11 pm and 1 am?                     | 24 23:00 | 25 01:00
who came between 10 and noon?                        | 25 10:00 | 25 12:00
who came between 8 and 9 in the morning?             | 25 08:00 | 25 09:00
who came between yesterday evening and this morning? | 24 18:00 | 25 12:00
who came between Monday and yesterday?               | 23 00:00 | 25 00:00
who came from yesterday 10 pm to 2 am?               | 24 22:00 | 25 02:00
who came from 3 March to 5 March?                    | 03-03 00:00 | 03-06 00:00
who came 2-3 pm?                                     | 25 14:00 | 25 15:00
who came 14:00 \u2013 15:00?                             | 25 14:00 | 25 15:00
who came 2 to 3 pm yesterday?                        | 24 14:00 | 24 15:00
was there a red car yesterday between 2 and 3 pm?    | 24 14:00 | 24 15:00
between 2 and 3 pm, was there a red car yesterday?   | 24 14:00 | 24 15:00
who came yesterday between 10 pm and midnight?       | 24 22:00 | 25 00:00
who came this afternoon between 2 and 3?             | 25 14:00 | 25 15:00
who came between 8 and 9 this morning?               | 25 08:00 | 25 09:00
who came last night between 11 and 2?                | 24 23:00 | 25 02:00
who was there at 14:05?                              | 25 14:03 | 25 14:07
who was there around 14:05?                          | 25 13:55 | 25 14:15
who was there at 2 pm?                               | 25 13:45 | 25 14:15
who was there around noon?                           | 25 11:30 | 25 12:30
who was there at 11 pm?                              | 24 22:45 | 24 23:15
who was there at 3 pm yesterday?                     | 24 14:45 | 24 15:15
who was there this morning at 8?                     | 25 07:45 | 25 08:15
who was there this afternoon at 2:30?                | 25 14:28 | 25 14:32
who was there last night at 2?                       | 25 01:45 | 25 02:15
who was there last night at 11:15?                   | 24 23:13 | 24 23:17
who was there on Monday at 8 in the evening?         | 23 19:45 | 23 20:15
who was there 3 pm yesterday?                        | 24 14:45 | 24 15:15
who came today?                                      | 25 00:00 | now
who came yesterday?                                  | 24 00:00 | 25 00:00
who came the day before yesterday?                   | 23 00:00 | 24 00:00
who came this morning?                               | 25 06:00 | 25 12:00
who came this afternoon?                             | 25 12:00 | now
who came last night?                                 | 24 22:00 | 25 06:00
who came yesterday morning?                          | 24 06:00 | 24 12:00
who came yesterday evening?                          | 24 18:00 | 24 22:00
who came on Monday?                                  | 23 00:00 | 24 00:00
who came on Wednesday?                               | 18 00:00 | 19 00:00
who came last Tuesday?                               | 24 00:00 | 25 00:00
who came Friday night?                               | 20 22:00 | 21 06:00
who came on Monday after 5 pm?                       | 23 17:00 | 24 00:00
who came this morning after 8?                       | 25 08:00 | 25 12:00
who came this week?                                  | 23 00:00 | now
who came last week?                                  | 16 00:00 | 23 00:00
who came on 3 March?                                 | 03-03 00:00 | 03-04 00:00
who came on the 3rd of March at 2 pm?                | 03-03 13:45 | 03-03 14:15
who came on 2 May?                                   | 05-02 00:00 | 05-03 00:00
who was at the till on Friday, 20 November?          | 20 00:00 | 21 00:00
what did it look like an hour ago?                   | 25 15:00 | 25 16:00
who came on 2026-11-20?                              | 20 00:00 | 21 00:00
who came on 20.11.2026 in the morning?               | 20 06:00 | 20 12:00
where did #47 come from in the last hour?            | 25 15:30 | now
where did it come from between 2 and 3 pm?           | 25 14:00 | 25 15:00
"""

NONE = """
who is at the door?
did the car with plate 2 pm stop?
the car with plate 1234
is K7 M2 here?
where is AB-12-34?
where is AB-12-34 pm?
are there two cars?
what colour is the second car?
a red car may stop
which of the 2 may stop?
the march of people
3 people march past
where is the last car?
is someone at gate 3?
who is at 3?
who sat on the bench?
is the sun on the wall?
now
what is happening right now
what has happened since?
who came after the red car, and who before it?
was there a car between 2 and 3 metres long?
who came in ten minutes?
who comes tomorrow at 3 pm?
who comes next Monday at 3 pm?
is yesterday's parcel still there?
are there more people than yesterday?
who comes every day at 3 pm?
was it there at 3 pm UTC?
who came at 2 pm and at 5 pm?
who came yesterday and today?
who came on Mondays?
who came last month?
what happened at 5 to 3 pm?
what happened since I left this morning?
what happened a hundred and ten minutes ago?
who came on 31 February?
was the light on 24 hours?
the car stood there for ten minutes
more than an hour ago
what happened at 25:00?
who came between 2 and 3:30 yesterday?
who came tonight?
what is the second hand doing in the last second car?
is a man in the 14:05 train?
who came yesterday at 14:05 GMT?
who came on 03/04/2026?
the car's number is 20.11.2026
did the noon train come?
"""


def rows(table: str) -> list[list[str]]:
    lines = table.strip().splitlines()
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def seconds(cell: str) -> float | None:
    """Read a cell of the table; only the day, or its month too, stands before."""
    if cell in ("open", "now"):
        return None if cell == "open" else NOW.timestamp()
    day, clock = cell.split()
    date = day if "-" in day else f"11-{day}"
    written = f"2026-{date}T{clock}"
    return datetime.fromisoformat(written).replace(tzinfo=BERLIN).timestamp()


def local(phrase: TimePhrase | None, zone: tzinfo = BERLIN) -> list[str]:
    """Show a window as the zone's clocks did, with its offset from UTC."""
    assert phrase is not None
    ends = phrase.start_s, phrase.end_s
    moments = [None if s is None else datetime.fromtimestamp(s, zone) for s in ends]
    return [
        "open"
        if moment is None
        else re.sub(":00(?=[+])|^2026-", "", moment.isoformat())
        for moment in moments
    ]


def ask(text: str, now: datetime = NOW) -> TimePhrase | None:
    zone = now.tzinfo
    assert zone is not None
    return find_time_phrase(text, now.timestamp(), zone)


@pytest.mark.parametrize(("text", "start", "end"), rows(UNDERSTOOD))
def test_a_time_in_a_question_becomes_a_window(text: str, start: str, end: str):
    found = ask(text)
    assert found is not None
    wanted = TimePhrase(seconds(start), seconds(end), found.words)
    assert local(found) == local(wanted)


@pytest.mark.parametrize("text", NONE.strip().splitlines())
def test_what_merely_looks_like_a_time_is_none(text: str):
    assert ask(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Who came in the last ten minutes?", "in the last ten minutes"),
        ("What happened since This Morning?", "since This Morning"),
        ("Yesterday, between 2 and 3 pm, who?", "Yesterday, between 2 and 3 pm"),
        ("Did a car come at 3 pm on Monday?", "at 3 pm on Monday"),
        ("Who came today, say at 3 pm?", "today ... at 3 pm"),
        ("Were between 2 and 3 cars here today?", "today"),
    ],
)
def test_the_words_are_those_of_the_question(text: str, words: str):
    found = ask(text)
    assert found is not None
    assert found.words == words
    assert all(part in text for part in words.split(" ... "))


# Asked at | question | from | to
IN_BERLIN = """
03-29T12:00 | since 1 am            | 03-29T01:00+01:00 | open
03-29T12:00 | last 10 hours         | 03-29T01:00+01:00 | 03-29T12:00+02:00
03-29T12:00 | last 2 days           | 03-27T12:00+01:00 | 03-29T12:00+02:00
03-30T12:00 | yesterday             | 03-29T00:00+01:00 | 03-30T00:00+02:00
03-29T12:00 | from 2:15 to 2:45 am  | 03-29T01:15+01:00 | 03-29T03:45+02:00
10-26T12:00 | yesterday             | 10-25T00:00+02:00 | 10-26T00:00+01:00
10-25T12:00 | between 2 and 2:30 am | 10-25T02:00+02:00 | 10-25T02:30+01:00
10-25T12:00 | last 12 hours         | 10-25T01:00+02:00 | 10-25T12:00+01:00
"""
IN_UTC = """
11-25T08:00 | at 11 pm               | 11-24T22:45+00:00 | 11-24T23:15+00:00
11-25T02:00 | tonight                | 11-24T18:00+00:00 | 11-25T02:00+00:00
11-25T23:00 | tonight                | 11-25T18:00+00:00 | 11-25T23:00+00:00
11-25T03:00 | last night             | 11-24T22:00+00:00 | 11-25T03:00+00:00
11-25T08:00 | this morning           | 11-25T06:00+00:00 | 11-25T08:00+00:00
11-25T01:00 | between 11 pm and 2 am | 11-24T23:00+00:00 | 11-25T01:00+00:00
11-25T01:00 | on Friday at 2 pm      | 11-20T13:45+00:00 | 11-20T14:15+00:00
"""


@pytest.mark.parametrize(("asked", "text", "start", "end"), rows(IN_BERLIN))
def test_windows_are_right_when_clocks_change(
    asked: str, text: str, start: str, end: str
):
    now = datetime.fromisoformat(f"2026-{asked}").replace(tzinfo=BERLIN)
    assert local(ask(f"who came {text}?", now)) == [start, end]


@pytest.mark.parametrize(("asked", "text", "start", "end"), rows(IN_UTC))
def test_nothing_lies_in_the_future(asked: str, text: str, start: str, end: str):
    now = datetime.fromisoformat(f"2026-{asked}").replace(tzinfo=UTC)
    assert local(ask(f"who came {text}?", now), UTC) == [start, end]


WORDS = """a at in the last ten two minutes ago since between and to 2 3 pm 14:05 on
Monday yesterday this morning night 3 March 2026-11-20 31 . , - \u2013 \u2019s \u212a
\u017fince today \u0130 before after until from week around"""


@given(st.text() | st.lists(st.sampled_from(WORDS.split())).map(" ".join))
def test_any_text_is_none_or_a_window_that_has_begun(text: str):
    found = ask(text)
    if found is not None:
        now_s = NOW.timestamp()
        start_s = -1e12 if found.start_s is None else found.start_s
        end_s = now_s if found.end_s is None else found.end_s
        assert start_s < end_s <= now_s
        assert found.words
        assert all(part in text for part in found.words.split(" ... "))


PIECES = "a|1|1:|2-|the last |a b|twenty |in the |at at |.|between 2 and |yesterday "
PIECES += (
    "|2 to |on 3 |3 pm |p.m.|one-|'s|at |2026-11-|1 hour and 1 hour |a a |from 2 - "
)


@pytest.mark.parametrize("piece", [" ", *PIECES.split("|")])
def test_long_texts_take_bounded_time(piece: str):
    text = (piece * 10_000)[:10_000]
    began_s = time.perf_counter()
    ask(text)
    ask(text + " yesterday between")
    assert time.perf_counter() - began_s < 2.0
