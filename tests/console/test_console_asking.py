import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import pytest
from console.visits import Browser, ScriptedAnswerer, ask, evidence_of, focused

from agent.http.house import House
from agent.messages import Coverage, Gap, Span
from ingest.films import Recording, films_of
from ingest.recorder import Recorder
from tests.ingest.conftest import grey_of, make_video  # noqa: F401 - a fixture

pytestmark = pytest.mark.timeout(90)


async def test_a_question_is_called_off(
    browser: Browser, house: House, answerer: ScriptedAnswerer
):
    answerer.says = "It was"

    def look(page: Any) -> None:
        ask(page)
        page.wait_for_selector(".answer .text:text('It was')")
        assert page.is_disabled("#send")
        page.click("#cancel")
        error = page.wait_for_selector(".answer .error")
        assert error.inner_text() == "Not answered: it was called off"
        assert not page.is_disabled("#send")
        assert page.is_hidden("#cancel")

    await browser.visit(house, look)
    assert answerer.was_called_off


async def test_closing_the_page_calls_the_question_off(
    browser: Browser, house: House, answerer: ScriptedAnswerer
):
    answerer.says = "It was"

    def look(page: Any) -> None:
        ask(page)
        page.wait_for_selector(".answer .text:text('It was')")

    await browser.visit(house, look)
    assert answerer.was_called_off


async def test_a_conversation_goes_on_until_a_new_one_is_begun(
    browser: Browser, house: House, answerer: ScriptedAnswerer
):
    def look(page: Any) -> None:
        for number, text in enumerate(("who came?", "and then?", "who else?"), 1):
            if number == 3:
                page.click("#forget")
                assert page.evaluate("document.activeElement.id") == "question"
            ask(page, text)
            page.wait_for_function(
                "n => document.querySelectorAll('.answer[data-status]').length === n",
                arg=number,
            )
        heads = [h.inner_text() for h in page.query_selector_all(".answer h3")]
        assert heads == ["who else?", "and then?", "who came?"]

    await browser.visit(house, look)
    first, second, third = [question.conversation for question in answerer.asked]
    assert first == second
    assert third not in {None, first}


async def test_cameras_and_times_are_those_of_the_person(
    browser: Browser, house: House, answerer: ScriptedAnswerer
):
    def look(page: Any) -> None:
        page.wait_for_selector(".camera")
        page.click("summary:text('Cameras and times')")
        page.check("[name=camera][value=yard]")
        page.fill("#from", "2026-01-02T03:04:05")
        page.fill("#to", "2026-07-02T03:04:05")
        ask(page)
        note = page.wait_for_selector(".answer[data-status=ok] .note")
        assert note.inner_text() == "from 2 Jan 03:04:05 to 2 Jul 03:04:05"

    await browser.visit(house, look)
    [asked] = answerer.asked
    assert asked.cameras == ("yard",)
    assert asked.start_s is not None
    assert asked.end_s is not None
    winter, summer = (
        datetime.fromtimestamp(time_s, UTC) for time_s in (asked.start_s, asked.end_s)
    )
    assert winter == datetime(2026, 1, 2, 8, 4, 5, tzinfo=UTC)
    assert summer == datetime(2026, 7, 2, 7, 4, 5, tzinfo=UTC)


async def test_the_time_that_was_understood_and_what_was_watched_are_told(
    browser: Browser, house: House, answerer: ScriptedAnswerer, remember: Callable
):
    chunk = await remember(ago_s=300)
    start_s, end_s = chunk.start_ms / 1000, chunk.end_ms / 1000
    answerer.coverage = Coverage((Span("door", start_s, end_s),))

    def look(page: Any) -> None:
        ask(page, "who came in the last hour?")
        page.wait_for_selector(".answer[data-status=ok]")
        told = page.inner_text(".answer")
        assert "“in the last hour”: from " in told
        assert "all of that time was watched" in told
        kinds = ("offline", "stalled", "dropped", "paused", "not_started", "burnt")
        answerer.coverage = Coverage(
            (), tuple(Gap("door", start_s, end_s, kind) for kind in kinds)
        )
        ask(page, "who else?")
        page.wait_for_selector(".answer >> nth=1")
        page.wait_for_selector(".answer[data-status=ok]:has-text('who else?')")
        told = page.inner_text(".answer >> nth=0")
        for words in ("frozen", "the model was behind", "the agent was off", "burnt"):
            assert f": {words}" in told
        assert "and 1 gaps before that" in told

    await browser.visit(house, look)


async def test_a_film_opens_at_its_moment(
    browser: Browser,
    house_of: Callable[..., House],
    answerer: ScriptedAnswerer,
    remember: Callable,
    make_video: Callable,  # noqa: F811
    tmp_path: Path,
):
    chunk = await remember(ago_s=60)
    start_s = chunk.start_ms / 1000 - 5.5
    film = await asyncio.to_thread(film_from, make_video, tmp_path, start_s)
    answerer.evidence = (evidence_of(chunk, film=str(film)),)
    house = house_of(answerer, recordings={"door": film.parent})

    def look(page: Any) -> None:
        ask(page)
        page.click(".moment")
        video = page.wait_for_selector("#evidence[open] video")
        page.wait_for_function("v => v.readyState >= 2 && !v.seeking", arg=video)
        assert page.evaluate("v => v.currentTime", video) == pytest.approx(5.5, abs=0.1)
        shade = page.evaluate(SHADE, video)
        assert shade == pytest.approx(grey_of(5), abs=4)  # the sixth second of it
        page.keyboard.press("Escape")
        page.wait_for_selector("#evidence video", state="detached")
        assert focused(page).startswith("door")

    await browser.visit(house, look)


SHADE = """video => {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data[0];
}"""


def film_from(make_video: Callable, folder: Path, start_s: float) -> Path:  # noqa: F811
    """Record twelve seconds as the agent does."""
    with av.open(str(make_video(folder / "seen.mp4"))) as container:
        stream = container.streams.video[0]
        recorder = Recorder(stream, Recording(str(folder / "films")))
        for packet in container.demux(stream):
            if packet.pts is not None:
                recorder.write(packet, start_s + float(packet.pts * packet.time_base))
    recorder.end()
    [film] = films_of(folder / "films")
    return film.path
