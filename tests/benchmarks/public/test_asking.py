from collections.abc import AsyncIterator, Callable, Sequence
from math import inf
from pathlib import Path

from benchmarks.public.asking import Inquiry, moments
from benchmarks.public.items import Item, Kind
from benchmarks.public.watching import Context, Viewer
from memory.kv import KV

MakeItem = Callable[..., Item]
BLIND, FULL = Context("blind"), Context("full")


class ScriptedViewer(Viewer):
    """Watches nothing; writes down what it is told, and says what a script does.

    The script is asked with the prompt and the time up to which was watched.
    """

    def __init__(self, script: Callable[[str, float], str]) -> None:
        self.script, self.told, self.now_s = script, [], 0.0

    async def open(self, video: Path) -> None:
        self.told.append(("open", video.name))

    async def watch_until(self, time_s: float = inf) -> None:
        assert time_s >= self.now_s  # a stream doesn't go back
        self.now_s = time_s
        self.told.append(("watch", time_s))

    async def contexts(
        self, question: str
    ) -> AsyncIterator[tuple[Context, Sequence[KV]]]:
        for context in (BLIND, FULL):
            self.context = context
            yield context, ()

    def say(self, prompt: str, runs: Sequence[KV], max_new_tokens: int) -> str:
        self.told.append((self.context.name, prompt))
        return self.script(prompt, self.now_s)


def when(make_item: MakeItem) -> Item:
    return make_item(
        id="when",
        kind=Kind.WHEN,
        options=(),
        answer="3",
        ask_at_s=20.0,
        due_s=24.0,
        poll="now?",
        prompt="what?",
    )


def test_questions_are_asked_in_the_order_of_their_times(make_item: MakeItem) -> None:
    assert moments(make_item()) == [inf]
    assert moments(make_item(ask_at_s=3.5)) == [3.5]


def test_a_question_of_when_is_polled_till_four_seconds_after_it_is_due(
    make_item: MakeItem,
) -> None:
    assert moments(when(make_item)) == [21, 22, 23, 24, 25, 26, 27, 28]


async def test_the_video_goes_on_between_questions_and_never_back(
    make_item: MakeItem,
) -> None:
    viewer = ScriptedViewer(lambda _prompt, _now: "B")
    items = [
        make_item(id="end", prompt="end"),
        make_item(id="late", prompt="late", ask_at_s=9.0),
        make_item(id="early", prompt="early", ask_at_s=2.0),
    ]
    inquiry = Inquiry(viewer)
    await inquiry.ask_about_video(items)
    assert viewer.told == [
        ("open", "a.mp4"),
        ("watch", 2.0),
        ("blind", "early"),
        ("full", "early"),
        ("watch", 9.0),
        ("blind", "late"),
        ("full", "late"),
        ("watch", inf),
        ("blind", "end"),
        ("full", "end"),
    ]
    assert {r.at_s for r in inquiry.replies[FULL].values()} == {2.0, 9.0, inf}


async def test_a_context_that_spoke_is_polled_no_more(make_item: MakeItem) -> None:
    def script(prompt: str, now_s: float) -> str:
        if prompt == "what?":
            return "3"
        is_time = now_s >= (22 if viewer.context is FULL else 26)
        return "Yes" if is_time else "No."

    viewer = ScriptedViewer(script)
    inquiry = Inquiry(viewer)
    await inquiry.ask_about_video([when(make_item)])
    full, blind = inquiry.replies[FULL]["when"], inquiry.replies[BLIND]["when"]
    assert (full.at_s, full.said) == (22.0, "3")
    assert (blind.at_s, blind.said) == (26.0, "3")
    assert viewer.told.count(("full", "now?")) == 2
    assert viewer.told.count(("blind", "now?")) == 6
    assert viewer.told.count(("full", "what?")) == 1


async def test_one_that_never_spoke_is_told_with_its_last_poll(
    make_item: MakeItem,
) -> None:
    inquiry = Inquiry(ScriptedViewer(lambda _prompt, _now: "no"))
    await inquiry.ask_about_video([when(make_item)])
    reply = inquiry.replies[FULL]["when"]
    assert (reply.at_s, reply.said) == (28.0, "no")
