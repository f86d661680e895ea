import time
from collections.abc import Callable
from typing import Any

import pytest
from console.visits import PHONE, Browser, Loop, ScriptedAnswerer, ask, evidence_of

from agent.http.house import House
from agent.messages import Coverage, Gap

pytestmark = pytest.mark.timeout(90)

MARKUP = "<script>document.title = 'taken'</script><b>bold</b>"
LOST, FOUND = "#connection.lost", "#connection:not(.lost):text('connected')"


async def test_text_from_anywhere_is_never_html(
    browser: Browser, house: House, answerer: ScriptedAnswerer, loop: Loop
):
    answerer.text = answerer.says = MARKUP
    answerer.coverage = Coverage((), (Gap("door", 1.0, 2.0, MARKUP),))

    def look(page: Any) -> None:
        state = {"name": "door", "state": "offline", "error": MARKUP}
        page.wait_for_selector(FOUND)
        loop.call(lambda: house.news.tell("camera", state))
        page.wait_for_selector(".camera .state.offline")
        assert page.inner_text("[data-camera=door] .error") == MARKUP
        ask(page, f"who {MARKUP}?")
        text = page.wait_for_selector(".answer .text:not(:empty)")
        assert text.inner_text() == MARKUP
        page.click("#cancel")
        page.wait_for_selector(".answer .error")
        answerer.says = None
        ask(page, "and now?")
        page.wait_for_selector(".answer[data-status=ok]")
        assert page.inner_text(".answer[data-status=ok] .text") == MARKUP
        assert page.title() == "Longwatch"
        assert page.query_selector("main b, main script") is None

    await browser.visit(house, look)


async def test_a_network_that_is_gone_is_told_and_found_again(
    browser: Browser, house: House
):
    def look(page: Any) -> None:
        page.wait_for_selector(FOUND)
        page.context.set_offline(True)
        page.wait_for_selector(LOST)
        assert page.inner_text(LOST) == "connection lost, trying again"
        page.context.set_offline(False)
        page.wait_for_selector(FOUND)

    await browser.visit(house, look)


async def test_what_can_not_be_loaded_is_tried_again_ever_more_seldom(
    browser: Browser, house: House
):
    def look(page: Any) -> None:
        tries: list[float] = []

        def refuse(route: Any) -> None:
            tries.append(time.monotonic())
            if len(tries) < 3:
                route.fulfill(status=500, json={"error": {"code": "failed"}})
            else:
                route.continue_()

        page.wait_for_selector(FOUND)
        page.route("**/api/cameras", refuse)
        page.context.set_offline(True)
        page.wait_for_selector(LOST)
        page.context.set_offline(False)
        page.wait_for_selector(FOUND)
        first, second, third = tries
        assert second - first > 0.45  # at least half of 500 ms, doubled
        assert third - second > 0.95
        assert page.inner_text("[data-camera=door] strong") == "door"

    await browser.visit(house, look)


async def test_a_reload_of_the_state_leaves_the_focus_where_it_is(
    browser: Browser, house: House, loop: Loop
):
    def look(page: Any) -> None:
        page.wait_for_selector(FOUND)
        page.click("summary:text('Cameras and times')")
        page.check("[name=camera][value=yard]")
        page.focus("[aria-label='Pause yard']")
        house.watchers["yard"].counts.chunks = 7
        loop.call(lambda: house.news.tell("lost", {"events": 3}))
        page.wait_for_selector("[data-camera=yard] .facts:has-text('7 chunks')")
        label = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert label == "Pause yard"
        assert page.is_checked("[name=camera][value=yard]")

    await browser.visit(house, look)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_all_text_stands_out_on_a_phone_in_either_scheme(
    browser: Browser,
    house: House,
    answerer: ScriptedAnswerer,
    remember: Callable,
    loop: Loop,
    scheme: str,
):
    chunk = await remember(ago_s=600)
    answerer.evidence = (evidence_of(chunk),)
    answerer.coverage = Coverage((), (Gap("door", 1.0, 2.0, "offline"),))

    def look(page: Any) -> None:
        for state in ("stalled", "paused"):
            told = {"name": "yard", "state": state, "error": "CameraLostError: " * 20}
            loop.call(lambda told=told: house.news.tell("camera", told))
            page.wait_for_selector(f".camera .state.{state}")
        page.evaluate(
            "document.querySelectorAll('details').forEach(d => d.open = true)"
        )
        ask(page, "who came to the gate " + "and_went_again_" * 30 + "?")
        page.wait_for_selector(".answer[data-status=ok] .moment img")
        page.wait_for_selector(".chunk.lit")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert contrasts(page)["least"] >= 4.5
        page.click(".moment")
        page.wait_for_selector("#evidence[open] img")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert contrasts(page)["least"] >= 4.5

    await browser.visit(house, look, color_scheme=scheme, **PHONE)


def contrasts(page: Any) -> dict[str, Any]:
    """Give the least contrast (WCAG 2) of any text that is seen, and whose it is."""
    found: dict[str, Any] = page.evaluate(CONTRASTS)
    assert found["count"] > 30
    return found


CONTRASTS = """() => {
  const levels = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const luminance = (colour) => levels(colour).slice(0, 3).map((level) => level / 255)
    .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return (levels(colour)[3] ?? 1) > 0 ? colour : behind(element.parentElement);
  };
  const ratio = (element, colour) => {
    const both = [luminance(colour), luminance(behind(element))];
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  };
  let least = [Infinity, ""], count = 0;
  const note = (element, colour, text) => {
    const found = ratio(element, colour);
    if (found < least[0]) least = [found, text];
    count += 1;
  };
  for (const element of document.querySelectorAll("body *")) {
    if (!element.getClientRects().length || element.matches(":disabled")) continue;
    const text = [...element.childNodes].filter((n) => n.nodeType === 3)
      .map((n) => n.data.trim()).join("");
    const style = getComputedStyle(element);
    const colour = element.closest("svg") ? style.fill : style.color;
    if (text) note(element, colour, text);
    const hint = getComputedStyle(element, "::placeholder").color;
    if (element.placeholder) note(element, hint, element.placeholder);
  }
  return { least: least[0], text: least[1], count };
}"""
