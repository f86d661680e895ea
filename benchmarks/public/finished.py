"""Replies video by video in a file, so that a run that was cut off can go on."""

from collections.abc import Sequence

from benchmarks.partial import Records
from benchmarks.public.asking import Inquiry
from benchmarks.public.items import Item
from benchmarks.public.scoring import Reply
from benchmarks.public.watching import Context

Videos = Sequence[Sequence[Item]]


class Finished(Records):
    """What was said about the videos that were watched to their end."""

    def left(self, videos: Videos) -> list[Sequence[Item]]:
        """Give the videos that are not there yet."""
        done = {body["video"] for body in self.bodies()}
        return [items for items in videos if _name(items) not in done]

    def add(self, inquiry: Inquiry, items: Sequence[Item], commit: str) -> None:
        """Keep what was said about one video."""
        replies = [
            {
                "context": context.name,
                "k": context.k,
                "id": item.id,
                "said": found[item.id].said,
                "at_s": found[item.id].at_s,
                "tokens": inquiry.tokens[context][item.id],
            }
            for context, found in inquiry.replies.items()
            for item in items
            if item.id in found
        ]
        self.write({"commit": commit, "video": _name(items), "replies": replies})

    def put_into(self, inquiry: Inquiry, videos: Videos) -> None:
        """Let an inquiry know what was said about these videos before."""
        items = {item.id: item for asked in videos for item in asked}
        for reply in (reply for body in self.bodies() for reply in body["replies"]):
            context, item = Context(reply["context"], reply["k"]), reply["id"]
            if item in items:
                told = Reply(items[item], reply["said"], reply["at_s"])
                inquiry.replies.setdefault(context, {})[item] = told
                inquiry.tokens.setdefault(context, {})[item] = reply["tokens"]


def _name(items: Sequence[Item]) -> str:
    return str(items[0].video)
