import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from waiting import until

from agent import desk as desk_module
from agent.desk import MAX_AT_ONCE, Desk
from agent.messages import Answer, Question, ReplyTo, Status
from agent.news import News
from agent.progress import Progress

BERLIN = ZoneInfo("Europe/Berlin")
NOW_S = datetime(2026, 7, 1, 12, 0, tzinfo=BERLIN).timestamp()


def question(text: str = "who came?", **fields: Any) -> Question:
    asked = Question("q", text, ("door",), None, None, 30.0, None, False, ReplyTo("t"))
    return replace(asked, **fields, asked_s=time.monotonic())


@dataclass
class Slow:
    """Answers when it is let; remembers what it was asked."""

    let: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Question] = field(default_factory=list)
    status: Status = "ok"
    cancelled: int = 0

    async def answer(self, question: Question, progress: Progress) -> Answer:
        self.asked.append(question)
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        said = f"said {len(self.asked)}"
        return Answer(question.id, question.text, said, self.status)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def desk(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(desk_module, "utc_now", lambda: NOW_S)
    return Desk(slow, {"door": BERLIN, "yard": UTC}, 2, News())


@pytest.fixture
def ask(desk: Desk) -> Callable[..., asyncio.Task[Answer]]:
    def start(text: str = "who came?", **fields: Any) -> asyncio.Task[Answer]:
        asking = desk.ask(question(text, **fields), Progress())
        return asyncio.create_task(asking)

    return start


async def test_as_many_are_in_work_as_may_be_and_more_than_may_wait_are_refused(
    slow: Slow, ask: Callable
):
    asked = [ask(id=str(number)) for number in range(MAX_AT_ONCE + 3)]
    await until(lambda: asked[-1].done())
    assert (await asked[-1]).error.code == "too_many_questions"
    assert len(slow.asked) == MAX_AT_ONCE
    slow.let.set()
    answers = [await task for task in asked[:-1]]
    assert {answer.status for answer in answers} == {"ok"}


async def test_one_that_is_called_off_ends_at_once_and_the_others_go_on(
    slow: Slow, desk: Desk, ask: Callable
):
    mine, other = ask(id="mine"), ask(id="other")
    await until(lambda: len(slow.asked) == 2)
    assert desk.cancel("mine")
    answer = await mine
    assert (answer.status, answer.error.code) == ("error", "cancelled")
    assert slow.cancelled == 1
    slow.let.set()
    assert (await other).status == "ok"
    assert not desk.cancel("other")


async def test_one_that_is_called_off_before_its_turn_is_never_worked_on(
    slow: Slow, desk: Desk, ask: Callable
):
    first = [ask(id=str(number)) for number in range(MAX_AT_ONCE)]
    late = question(id="late")
    desk.cancel("late")
    waiting = asyncio.create_task(desk.ask(late, Progress()))
    slow.let.set()
    assert (await waiting).error.code == "cancelled"
    assert [(await task).status for task in first] == ["ok"] * MAX_AT_ONCE
    assert "late" not in [asked.id for asked in slow.asked]
    assert (await ask(id="late")).status == "ok"  # asked anew, after that


async def test_an_asker_that_leaves_takes_its_question_along(slow: Slow, ask: Callable):
    task = ask()
    await until(lambda: slow.asked)
    task.cancel()
    await until(lambda: slow.cancelled == 1)


@pytest.mark.parametrize(
    ("text", "start", "end", "left"),
    [
        ("who came in the last ten minutes?", "11:50", "12:00", "who came?"),
        ("between 9 and 10 am, did a car stop?", "9:00", "10:00", "did a car stop?"),
        ("who came?", None, None, "who came?"),
    ],
)
async def test_words_about_time_are_the_window_in_the_zone_of_the_camera(
    slow: Slow,
    ask: Callable,
    text: str,
    start: str | None,
    end: str | None,
    left: str,
):
    slow.let.set()
    await ask(text)
    [asked] = slow.asked
    assert (clock(asked.start_s), clock(asked.end_s)) == (start, end)
    assert asked.timeless == left
    assert (asked.understood is None) == (start is None)


def clock(time_s: float | None) -> str | None:
    if time_s is None:
        return None
    return datetime.fromtimestamp(time_s, BERLIN).strftime("%-H:%M")


async def test_explicit_times_win(slow: Slow, ask: Callable):
    slow.let.set()
    await ask("who came in the last ten minutes?", start_s=1.0, end_s=2.0)
    [asked] = slow.asked
    assert (asked.start_s, asked.end_s, asked.understood.words) == (1.0, 2.0, None)
    assert asked.timeless == asked.text


async def test_a_conversation_is_seen_by_what_comes_after(slow: Slow, ask: Callable):
    slow.let.set()
    await ask("who came?", conversation="c")
    await ask("why?", conversation="c")
    await ask("who?", conversation="another")
    await ask("who?")
    earlier = [asked.earlier for asked in slow.asked]
    assert earlier == [(), (("who came?", "said 1"),), (), ()]


async def test_what_was_not_answered_is_no_part_of_a_conversation(
    slow: Slow, ask: Callable
):
    slow.let.set()
    slow.status = "unsure"
    await ask("who came?", conversation="c")
    await ask("why?", conversation="c")
    assert slow.asked[-1].earlier == ()


async def test_who_says_what_was_said_before_is_believed(slow: Slow, ask: Callable):
    slow.let.set()
    await ask("who came?", conversation="c")
    await ask("why?", conversation="c", earlier=(("who left?", "a man"),))
    assert slow.asked[-1].earlier == (("who left?", "a man"),)


async def test_what_is_asked_and_answered_is_told(
    slow: Slow, desk: Desk, ask: Callable
):
    slow.let.set()
    events = desk._news.listen()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await ask()
    assert (await first)["type"] == "question"
    told = await anext(events)
    assert (told["type"], told["answer"], told["cameras"]) == (
        "answer",
        "said 1",
        ["door"],
    )
    await events.aclose()
