"""Visits the console in a real browser, from a thread beside the server's loop."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from agent.http.house import House
from agent.http.server import HttpServer
from agent.http.settings import HttpSettings, Token
from agent.messages import Answer, Coverage, Evidence, Question
from agent.progress import Progress
from memory.kv import ChunkId

WAIT_MS = 15_000
REFUSED = "Failed to load resource"  # an answer of 400 or more, which may be meant
PHONE = {"viewport": {"width": 360, "height": 740}}
ZONE = {"locale": "en-GB", "timezone_id": "America/New_York"}

Look = Callable[[Any], None]


@dataclass
class Browser:
    """Visits the console, and fails if the page complains of anything.

    Attributes:
        path: Chromium.
    """

    path: str

    async def visit(
        self,
        house: House,
        look: Look,
        *,
        tokens: tuple[Token, ...] = (),
        path: str = "/",
        **context: Any,
    ) -> None:
        async with HttpServer(house, HttpSettings(port=0, tokens=tokens)) as server:
            await asyncio.to_thread(self._visit, f"{server.url}{path}", look, context)

    def _visit(self, url: str, look: Look, context: dict[str, Any]) -> None:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as play:
            arguments = ["--no-sandbox"]
            browser = play.chromium.launch(executable_path=self.path, args=arguments)
            try:
                page = browser.new_context(**{**ZONE, **context}).new_page()
                page.set_default_timeout(WAIT_MS)
                complaints: list[str] = []
                page.on("pageerror", lambda error: complaints.append(str(error)))
                page.on("console", lambda line: complaints.append(line.text))
                page.goto(url)
                page.wait_for_function("() => connection.textContent !== 'connecting'")
                look(page)
            finally:
                browser.close()
        left = [c for c in complaints if not c.startswith(REFUSED)]
        assert not left, left


@dataclass
class ScriptedAnswerer:
    """Gives one answer, as it was told; what it was asked is kept.

    Where `says` is set, it says that, and no more until it is called off.
    """

    text: str = "It was red."
    evidence: tuple[Evidence, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    says: str | None = None
    asked: list[Question] = field(default_factory=list)
    was_called_off: bool = False

    async def answer(self, question: Question, progress: Progress) -> Answer:
        self.asked.append(question)
        if self.says is not None:
            progress.show(self.says)
            try:
                await asyncio.wait_for(asyncio.Event().wait(), WAIT_MS / 1000)
            except asyncio.CancelledError:
                self.was_called_off = True
                raise
        return Answer(
            question.id,
            question.text,
            self.text,
            "ok",
            evidence=self.evidence,
            coverage=self.coverage,
            understood=question.understood,
        )


def evidence_of(chunk: ChunkId, level: str = "low", film: str | None = None) -> Any:
    start_s, end_s = chunk.start_ms / 1000, chunk.end_ms / 1000
    low_or_high: Any = level
    return Evidence(chunk.camera, chunk.name, start_s, end_s, 0.9, low_or_high, film)


def ask(page: Any, text: str = "who came?") -> None:
    page.wait_for_selector(".camera")
    page.fill("#question", text)
    page.press("#question", "Enter")


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.textContent.trim()"))


class Loop:
    """Lets the thread of the browser do something in the loop of the server."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def do(self, job: Awaitable[Any]) -> Any:
        async def done() -> Any:
            return await job

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(timeout=20)

    def call(self, job: Callable[[], Any]) -> Any:
        async def done() -> Any:
            return job()

        return self.do(done())
