from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from console.visits import Browser, Loop, ScriptedAnswerer, evidence_of

from agent.http.house import House
from agent.http.settings import Rights, Token
from agent.standing.alert import Alert, alert_to_dict
from agent.standing.budget import Budget
from agent.standing.checker import Checker
from agent.standing.definition import StandingQuestion
from agent.standing.judging import Judge
from agent.standing.keeping import Kept, StandingFile
from agent.standing.questions import StandingQuestions

pytestmark = pytest.mark.timeout(90)

GUEST = Token("g" * 20, Rights("guest", watch=False, ask=False, pause=False))
SMOKE = StandingQuestion("yard", "smoke", "is there smoke?", source="config")
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def alert(remember: Callable) -> Alert:
    """A fire at the door, ten minutes ago."""
    chunk = await remember(ago_s=600)
    end_s = chunk.end_ms / 1000
    question = f"is there a fire? {MARKUP}"
    return Alert("fire", "door", question, end_s, 3.0, (evidence_of(chunk),))


@pytest.fixture
async def standing_house(
    house_of: Callable[..., House],
    house: House,
    answerer: ScriptedAnswerer,
    alert: Alert,
    tmp_path: Path,
) -> House:
    """A house that has found the fire and is asked about smoke by its config."""
    file = StandingFile(tmp_path / "standing.json")
    fire = StandingQuestion("door", "fire", alert.question)
    await file.write(Kept((fire,), alerts=(alert,)))
    never: Any = None  # nothing is checked here
    checker = Checker(Judge(never, never, never, Budget(0.1)), never)
    standing = StandingQuestions(checker, file, house.news.tell)
    await standing.load([SMOKE])
    return replace(house, standing=standing)


async def test_without_them_their_part_is_hidden(browser: Browser, house: House):
    def look(page: Any) -> None:
        page.wait_for_selector("#connection:text('connected')")
        assert page.is_hidden("#standing")

    await browser.visit(house, look)


async def test_they_are_listed_set_and_removed_from_the_keyboard(
    browser: Browser, standing_house: House
):
    def rows(page: Any, count: int) -> list[str]:
        page.wait_for_function(
            "n => document.querySelectorAll('#watches li').length === n", arg=count
        )
        return [row.inner_text() for row in page.query_selector_all("#watches li")]

    def look(page: Any) -> None:
        page.wait_for_selector("#standing", state="visible")
        fire, smoke = rows(page, 2)
        assert "last alert" in fire
        assert MARKUP in fire  # text is never HTML
        assert "no alert yet" in smoke
        assert "from the config" in smoke
        page.focus("#watch-name")
        page.keyboard.type("gate")
        page.keyboard.press("Tab")
        page.keyboard.type("is the gate open?")
        page.keyboard.press("Enter")
        assert "is the gate open?" in rows(page, 3)[1]
        assert page.evaluate("document.activeElement.id") == "watch-name"
        page.focus("button[aria-label='Remove gate of door']")
        page.keyboard.press("Enter")
        rows(page, 2)
        assert page.evaluate("document.activeElement.id") == "watch-name"

    await browser.visit(standing_house, look)


async def test_a_refusal_is_told_and_what_was_typed_stays(
    browser: Browser, standing_house: House
):
    def look(page: Any) -> None:
        page.wait_for_selector("#standing", state="visible")
        page.select_option("#watch-camera", "yard")
        page.fill("#watch-name", "smoke")
        page.fill("#watch-question", "is there any smoke?")
        page.press("#watch-question", "Enter")
        page.wait_for_selector("#watch-error:text('config file')")
        assert page.input_value("#watch-question") == "is there any smoke?"

    await browser.visit(standing_house, look)


async def test_an_alert_is_told_as_it_comes_and_opens(
    browser: Browser, standing_house: House, alert: Alert, loop: Loop
):
    def look(page: Any) -> None:
        page.wait_for_selector("#standing", state="visible")
        assert page.get_attribute("#alerts", "aria-live") == "assertive"
        event = alert_to_dict(alert)
        loop.call(lambda: standing_house.news.tell("alert", event))
        line = page.wait_for_selector(".alert-line")
        assert MARKUP in line.inner_text()
        line.query_selector("button").click()
        page.wait_for_selector("#evidence[open] img")
        page.keyboard.press("Escape")
        page.click("#watches button:text('Show')")  # what it had found before
        page.wait_for_selector("#evidence[open] img")

    await browser.visit(standing_house, look)


async def test_alerts_are_on_the_timeline_and_open_from_its_list(
    browser: Browser, standing_house: House
):
    def look(page: Any) -> None:
        page.wait_for_selector("#timeline circle.alert", state="attached")
        page.click("summary:text('As a list')")
        page.click("#timeline-list button:text('alert fire')")
        page.wait_for_selector("#evidence[open] img")

    await browser.visit(standing_house, look)


async def test_who_may_only_look_is_offered_no_more(
    browser: Browser, standing_house: House
):
    def look(page: Any) -> None:
        page.wait_for_selector("#login[open]")
        assert page.inner_text("#connection") == "a token is needed"
        page.keyboard.press("Escape")  # the next try asks for it again
        page.wait_for_selector("#login[open]")
        page.fill("#token", GUEST.secret)
        page.keyboard.press("Enter")
        page.wait_for_selector("#standing", state="visible")
        assert page.is_hidden("#ask")
        assert page.is_visible("#may-not-ask")
        assert page.is_hidden("#watch")
        assert page.query_selector("button:text('Remove')") is None
        assert page.is_hidden(".camera button:text('Pause')")
        assert page.is_visible(".camera button:text('Timeline')")

    await browser.visit(standing_house, look, tokens=(GUEST,))
