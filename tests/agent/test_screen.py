import json
from datetime import UTC, datetime

from rich.console import Console

from agent.messages import (
    Answer,
    Coverage,
    Evidence,
    Gap,
    Understood,
    answer_to_json,
)
from agent.screen import answer_panel, links, period


def shown(answer: Answer) -> list[str]:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(answer_panel(json.loads(answer_to_json(answer))))
    return [line.strip("│ ") for line in captured.get().splitlines()]


def test_an_answer_shows_its_moments_and_their_films():
    film = "data/recordings/door/1767261590000-1767261651200.mp4"
    times = 1767261600.0, 1767261608.0
    evidence = (
        Evidence("door", "1-2", *times, 0.5, "low", film),
        Evidence("yard", "1-2", *times, 0.25, "high"),
    )
    answer = Answer("a", "Who came?", "A cat.", "ok", evidence=evidence)
    lines = shown(answer)
    assert any(
        "door" in line and "re-loaded, relevance 0.500" in line for line in lines
    )
    assert any(film in line for line in lines)
    assert any("yard" in line and "coarse, relevance 0.250" in line for line in lines)
    assert not any("None" in line for line in lines)


def test_an_answer_shows_what_was_understood_and_what_was_not_watched():
    start_s = datetime(2026, 1, 1, 23, 59, tzinfo=UTC).timestamp()
    gaps = [
        Gap("door", start_s + 60 * n, start_s + 60 * n + 5, "not_started")
        for n in range(5)
    ]
    answer = Answer(
        "a",
        "Who came since yesterday?",
        "A cat.",
        "ok",
        coverage=Coverage((), tuple(gaps)),
        understood=Understood(start_s, None, "since yesterday"),
    )
    lines = shown(answer)
    assert "asked about 2026-01-01 23:59:00 to now UTC: since yesterday" in lines
    at = lines.index("and 2 more before that")
    assert lines[at - 3 : at] == [
        f"not started: door 2026-01-02 00:0{n}:00 to 00:0{n}:05 UTC" for n in (1, 2, 3)
    ]


def test_a_moment_is_seen_as_a_film_or_else_as_a_picture():
    moment = "door", "1-2", 0.0, 8.0, 0.5, "low"
    evidence = (
        Evidence(*moment, picture="http://a/p", film_url="http://a/f"),
        Evidence(*moment),
        Evidence(*moment, picture="http://b/p"),
    )
    answer = Answer("a", "Who came?", "A cat.", "ok", evidence=evidence)
    assert links(json.loads(answer_to_json(answer))) == ["http://a/f", "http://b/p"]


def test_a_time_of_today_is_told_without_its_day():
    today = datetime.now(UTC).date().isoformat()
    assert period(f"{today}T00:00:00.000Z", f"{today}T01:02:03.9Z") == (
        "00:00:00 to 01:02:03 UTC"
    )
    assert period(None, "1970-01-02T01:00:00Z") == (
        "the beginning to 1970-01-02 01:00:00 UTC"
    )
