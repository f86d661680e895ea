"""Questions in the order of their times, in every context, while a video goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from benchmarks.public.answers import yes_or_no
from benchmarks.public.items import Item, Kind
from benchmarks.public.scoring import Reply
from benchmarks.public.streamingbench import POLLED_AFTER_DUE_S
from benchmarks.public.watching import Context, Viewer
from memory.kv import KV

MAX_NEW_TOKENS = 16


def moments(item: Item) -> list[float]:
    """Give the times in the video at which an item is put to the model.

    One that is polled is from a second after it was asked, every second, to four after
    it is due: the protocol of StreamingBench.
    """
    if item.kind is not Kind.WHEN:
        return [inf if item.ask_at_s is None else item.ask_at_s]
    assert item.ask_at_s is not None  # an item of this kind has
    assert item.due_s is not None  # both times
    seconds = int(item.due_s - item.ask_at_s) + POLLED_AFTER_DUE_S
    return [item.ask_at_s + second for second in range(1, seconds + 1)]


@dataclass(slots=True)
class Inquiry:
    """Asks a viewer the items of a benchmark, video by video, in every context.

    Attributes:
        viewer: Watches the videos.
        replies: By context and item; the newest where an item is polled.
        tokens: KV tokens read for each of them, the sink left out.
    """

    viewer: Viewer
    replies: dict[Context, dict[str, Reply]] = field(default_factory=dict)
    tokens: dict[Context, dict[str, int]] = field(default_factory=dict)
    _spoken: set[tuple[Context, str]] = field(default_factory=set)

    async def ask_about_video(self, items: Sequence[Item]) -> None:
        """Watch the video of these items, and ask each when its time has come.

        Raises:
            CameraError: The video can't be read.
        """
        await self.viewer.open(items[0].video)
        due = [(at_s, n) for n, item in enumerate(items) for at_s in moments(item)]
        for at_s, number in sorted(due):
            item = items[number]
            await self.viewer.watch_until(at_s)
            async for context, runs in self.viewer.contexts(item.question):
                if (context, item.id) not in self._spoken:
                    said = self._answer(item, context, runs)
                    reply = Reply(item, said, at_s)
                    self.replies.setdefault(context, {})[item.id] = reply
                    tokens = sum(run.num_tokens for run in runs)
                    self.tokens.setdefault(context, {})[item.id] = tokens

    def _answer(self, item: Item, context: Context, runs: Sequence[KV]) -> str:
        if item.kind is Kind.WHEN:
            said = self.viewer.say(item.poll, runs, MAX_NEW_TOKENS)
            if not yes_or_no(said):
                return said
            self._spoken.add((context, item.id))
        return self.viewer.say(item.prompt, runs, MAX_NEW_TOKENS)
