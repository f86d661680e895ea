"""The console in a real browser, on a real server with a real memory."""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tiny_model import make_chunks

from agent.http.house import House
from agent.http.server import HttpServer
from agent.http.settings import HttpSettings, Rights, Token
from agent.messages import Answer, Coverage, Evidence, Gap, Question
from agent.progress import Progress
from agent.standing.budget import Budget
from agent.standing.checker import Checker
from agent.standing.judging import Judge
from agent.standing.keeping import StandingFile
from agent.standing.questions import StandingQuestions
from agent.vlm.model import VisionLanguageModel
from ingest.clock import utc_now
from memory.kv import ChunkId
from memory.store import MemoryStore

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.timeout(90)

WAIT_MS = 15_000
SECRET = "s" * 20
WORDS = ["It ", "was ", "<b>red</b>", "."]


@pytest.fixture(scope="module")
def chromium() -> str:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    return path


@pytest.fixture
async def recent(tiny: VisionLanguageModel, store: MemoryStore, jpeg: bytes) -> ChunkId:
    """A chunk of a minute ago, so that it is on the timeline."""
    [chunk] = make_chunks((8,))
    late = replace(
        chunk,
        times_s=chunk.times_s - chunk.start_s + utc_now() - 60,
        end_s=chunk.end_s - chunk.start_s + utc_now() - 60,
    )
    id = ChunkId("door", int(late.start_s * 1e3), int(late.end_s * 1e3))
    whole = await asyncio.to_thread(tiny.prefill, late, [tiny.prefill_sink()])
    await store.remember(store.bilevel.compress_chunk(id, whole), jpeg)
    return id


@dataclass
class Talker:
    """Says a word whenever it is let, then gives the whole answer."""

    chunk: ChunkId
    said: threading.Semaphore

    async def answer(self, question: Question, progress: Progress) -> Answer:
        for count in range(1, len(WORDS) + 1):
            await asyncio.to_thread(self.said.acquire)
            progress.show("".join(WORDS[:count]))
        await asyncio.to_thread(self.said.acquire)
        start_s, end_s = self.chunk.start_ms / 1000, self.chunk.end_ms / 1000
        found = Evidence("door", self.chunk.name, start_s, end_s, 0.9, "low")
        gap = Gap("door", start_s - 60, start_s - 30, "offline")
        return Answer(
            question.id,
            question.text,
            "".join(WORDS),
            "ok",
            evidence=(found,),
            coverage=Coverage((), (gap,)),
        )


@dataclass
class Browser:
    """Visits the console, in a thread of its own."""

    path: str

    async def visit(
        self, url: str, look: Callable[[Any], None], **context: Any
    ) -> None:
        await asyncio.to_thread(self._visit, url, look, context)

    def _visit(
        self, url: str, look: Callable[[Any], None], context: dict[str, Any]
    ) -> None:
        with playwright.sync_playwright() as play, self._open(play) as browser:
            page = browser.new_context(**context).new_page()
            page.set_default_timeout(WAIT_MS)
            complaints: list[str] = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(line.text))
            page.goto(url)
            look(page)
            refused = [c for c in complaints if "Content Security Policy" in c]
            assert refused == []
            assert [c for c in complaints if "Error:" in c] == []

    @contextmanager
    def _open(self, play: Any) -> Iterator[Any]:
        browser = play.chromium.launch(executable_path=self.path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture
def browser(chromium: str) -> Browser:
    return Browser(chromium)


@pytest.fixture
async def talker(recent: ChunkId) -> AsyncIterator[Talker]:
    talker = Talker(recent, threading.Semaphore(0))
    yield talker
    talker.said.release(100)  # nobody waits for a word after the test


@pytest.fixture
def served(house_of: Callable[..., House], talker: Talker) -> House:
    return house_of(talker)


def ask(page: Any, text: str = "who came?") -> None:
    page.wait_for_selector(".camera")
    page.fill("#question", text)
    page.press("#question", "Enter")


def text_grows(page: Any, talker: Talker) -> None:
    for count in range(1, len(WORDS) + 1):
        assert page.query_selector(".answer[data-status]") is None
        talker.said.release()
        so_far = "".join(WORDS[:count]).rstrip()
        page.wait_for_function(
            "t => document.querySelector('.answer .text').textContent.trim() === t",
            arg=so_far,
        )
    talker.said.release()
    page.wait_for_selector(".answer[data-status=ok]")


async def test_an_answer_is_seen_as_it_comes_and_its_evidence_opens(
    browser: Browser, served: House, talker: Talker
):
    def look(page: Any) -> None:
        page.wait_for_selector(f"[data-chunk='{talker.chunk.name}']")
        assert page.query_selector(".lit.chunk") is None
        ask(page)
        text_grows(page, talker)
        assert page.query_selector(".answer b") is None  # text is never HTML
        lit = page.wait_for_selector(".chunk.lit")
        assert lit.get_attribute("data-chunk") == talker.chunk.name
        assert "not watched" in page.inner_text(".answer")
        assert "offline" in page.inner_text(".answer")
        page.click(".moment")
        image = page.wait_for_selector("#evidence[open] img")
        page.wait_for_function("i => i.naturalWidth === 16", arg=image)
        page.keyboard.press("Escape")
        page.wait_for_selector("#evidence:not([open])", state="hidden")

    async with HttpServer(served, HttpSettings(port=0)) as server:
        await browser.visit(server.url, look)


async def test_everything_can_be_done_from_the_keyboard(
    browser: Browser, served: House, talker: Talker
):
    def tab_to(page: Any, selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches('{selector}')"):
                return
        raise AssertionError(f"no way to {selector} by Tab")

    def look(page: Any) -> None:
        page.wait_for_selector(".camera")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # past everything before the question
        page.keyboard.type("who came?")
        page.keyboard.press("Enter")
        talker.said.release(len(WORDS) + 1)
        page.wait_for_selector(".answer[data-status=ok]")
        tab_to(page, ".moment")
        page.keyboard.press("Enter")
        page.wait_for_selector("#evidence[open] img")
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.matches('.moment')")

    async with HttpServer(served, HttpSettings(port=0)) as server:
        await browser.visit(server.url, look)


async def test_a_lost_connection_is_told_and_found_again(
    browser: Browser, served: House, free_port: Callable[[], int]
):
    settings, loop = HttpSettings(port=free_port()), asyncio.get_running_loop()
    servers = [HttpServer(served, settings)]

    def do(job: Awaitable[Any]) -> None:
        asyncio.run_coroutine_threadsafe(job, loop).result(timeout=20)

    async def come_back() -> None:
        served.stopping.clear()
        servers.append(HttpServer(served, settings))
        await servers[-1].__aenter__()

    def look(page: Any) -> None:
        page.wait_for_selector("#connection:text('connected')")
        do(servers[-1].__aexit__(None, None, None))
        page.wait_for_selector("#connection.lost")
        ask(page)
        page.wait_for_selector(".answer .error")
        do(come_back())
        page.wait_for_selector("#connection:not(.lost):text('connected')")

    await servers[0].__aenter__()
    try:
        await browser.visit(servers[0].url, look)
    finally:
        await servers[-1].__aexit__(None, None, None)


async def test_who_has_a_token_logs_in_and_out(browser: Browser, served: House):
    def look(page: Any) -> None:
        page.wait_for_selector("#login[open]")
        page.fill("#token", "x" * 20)
        page.keyboard.press("Enter")
        page.wait_for_selector("#login-error:not(:empty)")
        page.fill("#token", SECRET)
        page.keyboard.press("Enter")
        page.wait_for_selector(".camera")
        assert page.query_selector("#login[open]") is None
        stored = page.evaluate("JSON.stringify(localStorage) + document.cookie")
        assert SECRET not in stored
        page.reload()
        page.wait_for_selector(".camera")
        page.click("#logout")
        page.wait_for_selector("#login[open]")

    settings = HttpSettings(port=0, tokens=(Token(SECRET, Rights("me")),))
    async with HttpServer(served, settings) as server:
        await browser.visit(server.url, look)


async def test_a_camera_is_paused_and_resumed(browser: Browser, served: House):
    source = served.watchers["door"].source

    def look(page: Any) -> None:
        card = page.wait_for_selector(".camera[data-camera=door]")
        card.wait_for_selector("button:text('Pause')").click()
        card.wait_for_selector("button:text('Resume')")
        assert source.is_paused
        card.wait_for_selector("button:text('Resume')").click()
        card.wait_for_selector("button:text('Pause')")
        assert not source.is_paused

    async with source, HttpServer(served, HttpSettings(port=0)) as server:
        await browser.visit(server.url, look)


async def test_a_standing_question_is_set_told_of_and_removed(
    browser: Browser, house_of: Callable[..., House], talker: Talker, tmp_path: Path
):
    never: Any = None  # nothing is checked here
    checker = Checker(Judge(never, never, never, Budget(0.1)), never)
    file = StandingFile(tmp_path / "standing.json")
    standing = StandingQuestions(checker, file, lambda *_: None)
    await standing.load()
    house = house_of(talker, standing=standing)
    loop = asyncio.get_running_loop()

    def look(page: Any) -> None:
        page.wait_for_selector("#standing:not([hidden])")
        page.wait_for_selector("#connection:text('connected')")
        page.select_option("#watch-camera", "door")
        page.fill("#watch-name", "red car")
        page.fill("#watch-question", "Is there a red car?")
        page.press("#watch-question", "Enter")
        assert page.query_selector("#watches li") is None  # no name has a space
        page.fill("#watch-name", "red-car")
        page.press("#watch-question", "Enter")
        page.wait_for_selector("#watches li:has-text('Is there a red car?')")
        found = {"camera": "door", "chunk": talker.chunk.name, "film": None}
        alert = {"camera": "door", "name": "red-car", "state": "Yes, a red car."}
        told = {**alert, "evidence": [found]}
        loop.call_soon_threadsafe(house.news.tell, "alert", told)
        line = page.wait_for_selector(".alert-line:has-text('Yes, a red car.')")
        line.wait_for_selector("button").click()
        page.wait_for_selector("#evidence[open] img")
        page.keyboard.press("Escape")
        page.click("#watches button:text('Remove')")
        page.wait_for_selector("#watches:not(:has(li))", state="attached")

    async with HttpServer(house, HttpSettings(port=0)) as server:
        await browser.visit(server.url, look)
    assert standing.all() == ()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_on_a_phone_in_either_scheme(
    browser: Browser, served: House, talker: Talker, scheme: str
):
    def look(page: Any) -> None:
        ask(page, "who came to the gate " + "and went again " * 30 + "?")
        talker.said.release(len(WORDS) + 1)
        page.wait_for_selector(".answer[data-status=ok]")
        page.evaluate(
            "document.querySelectorAll('details').forEach(d => d.open = true)"
        )
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360
        colours = page.evaluate(
            "(({color, backgroundColor}) => [color, backgroundColor])"
            "(getComputedStyle(document.body))"
        )
        assert contrast(*map(levels_of, colours)) >= 4.5

    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme}
    async with HttpServer(served, HttpSettings(port=0)) as server:
        await browser.visit(server.url, look, **phone)


def levels_of(colour: str) -> list[float]:
    return [int(level) / 255 for level in json.loads(f"[{colour[4:-1]}]")]


def contrast(one: list[float], other: list[float]) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(levels: list[float]) -> float:
        linear = [
            x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in levels
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)
