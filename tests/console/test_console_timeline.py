from collections.abc import Callable
from typing import Any

import pytest
from console.visits import PHONE, Browser, Loop, ScriptedAnswerer, ask, evidence_of

from agent.http import timeline
from agent.http.house import House
from memory.kv import ChunkId

pytestmark = pytest.mark.timeout(90)

PRESSED = "[aria-pressed=true]"


def tell_of(house: House, chunk: ChunkId) -> None:
    house.news.tell("chunk", {"camera": chunk.camera, "chunk": chunk.name, "end": ""})


async def test_an_answer_leads_to_chunks_that_are_not_in_view(
    browser: Browser, house: House, answerer: ScriptedAnswerer, remember: Callable
):
    chunk = await remember("yard", ago_s=3 * 3600)
    answerer.evidence = (evidence_of(chunk),)

    def look(page: Any) -> None:
        assert page.inner_text("#timeline-camera") == "door"
        ask(page)
        page.click("text=Show on the timeline of yard")
        lit = page.wait_for_selector(".chunk.lit")
        assert lit.get_attribute("data-chunk") == chunk.name
        assert page.inner_text("#timeline-camera") == "yard"
        assert page.get_attribute("#now", "aria-pressed") == "false"
        page.click("#now")
        page.wait_for_selector(".chunk.lit", state="detached")
        assert page.is_disabled("#later")

    await browser.visit(house, look)


async def test_what_was_read_is_lit_where_chunks_are_too_many(
    browser: Browser,
    house: House,
    answerer: ScriptedAnswerer,
    remember: Callable,
    monkeypatch: pytest.MonkeyPatch,
):
    chunks = [await remember(ago_s=ago_s) for ago_s in (3000, 2000)]
    answerer.evidence = (evidence_of(chunks[1]),)
    monkeypatch.setattr(timeline, "MAX_CHUNKS", 1)

    def look(page: Any) -> None:
        page.wait_for_selector("#timeline .watched", state="attached")
        assert page.query_selector(".chunk") is None
        ask(page)
        page.wait_for_selector(f".chunk.lit[data-chunk='{chunks[1].name}']")
        box = page.query_selector("#timeline").bounding_box()
        at = (3600 - 3000) / 3600 * box["width"]
        page.mouse.click(box["x"] + at, box["y"] + 40)  # goes nearer
        chunk = page.wait_for_selector(f".chunk[data-chunk='{chunks[0].name}']")
        assert page.inner_text(f"[data-hours]{PRESSED}") == "10 min"
        middle = chunk.bounding_box()
        assert abs(middle["x"] - box["x"] - box["width"] / 2) < 20

    await browser.visit(house, look)


@pytest.mark.parametrize("beside", [0, 12])
async def test_a_finger_opens_the_chunk_that_it_is_nearest_to(
    browser: Browser, house: House, remember: Callable, beside: int
):
    await remember(ago_s=40_000)
    await remember(ago_s=7200)

    def look(page: Any) -> None:
        page.click("[data-hours='24']")
        page.wait_for_function("() => document.querySelectorAll('.chunk').length === 2")
        thin = page.query_selector_all(".chunk")[0].bounding_box()
        page.touchscreen.tap(thin["x"] + beside, thin["y"] + 5)
        page.wait_for_selector("#evidence[open] img")
        day = page.inner_text("#evidence-title time >> nth=0")
        stamp = page.get_attribute("#evidence-title time >> nth=0", "title")
        ago_s = page.evaluate(f"(Date.now() - Date.parse('{stamp}')) / 1000")
        assert 40_000 <= ago_s < 40_060
        assert stamp.endswith("Z")  # UTC to hover over
        hour = page.evaluate(f"new Date('{stamp}').getHours()")  # New York's
        assert f"{hour:02d}:" in day

    await browser.visit(house, look, has_touch=True, **PHONE)


async def test_what_has_the_focus_keeps_it_when_a_chunk_comes(
    browser: Browser, house: House, remember: Callable, loop: Loop
):
    await remember(ago_s=600)

    def look(page: Any) -> None:
        page.click("summary:text('As a list')")
        row = page.wait_for_selector("#timeline-list button")
        row.focus()
        told = row.inner_text()
        tell_of(house, loop.do(remember(ago_s=20)))
        page.wait_for_function(
            "() => document.querySelectorAll('#timeline-list button').length === 2"
        )
        assert page.evaluate("document.activeElement.textContent") == told
        page.keyboard.press("Enter")
        page.wait_for_selector("#evidence[open] img")
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.textContent") == told

    await browser.visit(house, look)


async def test_the_list_tells_what_the_picture_shows(
    browser: Browser, house: House, remember: Callable
):
    await remember(ago_s=600)

    def look(page: Any) -> None:
        page.click("summary:text('As a list')")
        page.wait_for_selector("#timeline-list button:text('fine')")
        told = page.inner_text("#timeline-list")
        assert "not watched, not known why" in told
        label = page.get_attribute("#timeline svg", "aria-label")
        assert "door, " in label
        assert "1 chunks fine, 0 coarse" in label
        page.click("[data-hours='168']")
        page.wait_for_function(
            "() => /Mon|Tue|Wed|Thu|Fri|Sat|Sun/.test(timeline.textContent)"
        )
        page.click("#earlier")
        page.wait_for_selector("#later:not([disabled])")
        page.click("[data-hours='1']")  # about the middle of the week before
        page.wait_for_selector("#timeline-list li:text('Nothing'), #timeline .gap")
        assert page.query_selector(".chunk") is None

    await browser.visit(house, look)


async def test_a_new_chunk_brings_a_new_picture(
    browser: Browser, house: House, remember: Callable, loop: Loop, jpeg: bytes
):
    watcher = house.watchers["door"]

    def look(page: Any) -> None:
        card = page.wait_for_selector("[data-camera=door]")
        assert "no picture yet" in card.inner_text()
        watcher.picture = jpeg
        chunk = loop.do(remember(ago_s=20))
        with page.expect_request(lambda request: chunk.name in request.url):
            tell_of(house, chunk)
        image = card.wait_for_selector("img")
        page.wait_for_function("i => i.naturalWidth === 16", arg=image)
        assert "1 chunks" in card.inner_text()

    await browser.visit(house, look)
