"""Questions to an answerer, and a camera that nobody reads."""

import time
from dataclasses import replace

from agent.messages import Question, ReplyTo
from ingest.status import Gap
from memory.recall import RecallLimits

LIMITS = RecallLimits(top_k=2, newest=1, context_tokens=4096)


class NoGaps:
    """A camera that nobody reads: the answerer asks it for gaps only."""

    gaps: tuple[Gap, ...] = ()
    is_online = False


def question(text: str = "where did #47 come from ?", **fields: object) -> Question:
    asked = Question("q", text, (), None, None, 30.0, None, False, ReplyTo("t"))
    return replace(asked, **fields, asked_s=time.monotonic())
