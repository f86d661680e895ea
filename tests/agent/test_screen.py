import json

from rich.console import Console

from agent.messages import Answer, Evidence, answer_to_json
from agent.screen import answer_panel


def test_an_answer_shows_its_moments_and_their_films():
    film = "data/recordings/door/1767261590000-1767261651200.mp4"
    times = 1767261600.0, 1767261608.0
    evidence = (
        Evidence("door", "1-2", *times, 0.5, "low", film),
        Evidence("yard", "1-2", *times, 0.25, "high"),
    )
    answer = Answer("a", "Who came?", "A cat.", "ok", evidence=evidence)
    console = Console(width=100)
    with console.capture() as shown:
        console.print(answer_panel(json.loads(answer_to_json(answer))))
    lines = shown.get().splitlines()
    assert any(
        "door" in line and "re-loaded, relevance 0.500" in line for line in lines
    )
    assert any(film in line for line in lines)
    assert any("yard" in line and "coarse, relevance 0.250" in line for line in lines)
    assert not any("None" in line for line in lines)
