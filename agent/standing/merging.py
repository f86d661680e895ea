"""Which standing questions there are after a start: those kept, those configured."""

from collections.abc import Sequence
from dataclasses import replace

from agent.standing.definition import StandingQuestion
from agent.standing.keeping import Kept


def merge(kept: Kept, configured: Sequence[StandingQuestion]) -> Kept:
    """Give what is kept with what the config file has.

    The config wins where both have a name; what it has no more is gone.

    Args:
        kept: What was kept when the agent last ran.
        configured: What the config file has now.
    """
    before = {each.key: each for each in kept.questions}
    found = {key: each for key, each in before.items() if each.source == "set"}
    found |= {each.key: replace(each, source="config") for each in configured}
    happenings = {
        key: kept.happenings[key]
        for key, each in found.items()
        if key in kept.happenings and is_same_asked(before[key], each)
    }
    return Kept(tuple(found.values()), happenings, kept.alerts)


def is_same_asked(one: StandingQuestion, other: StandingQuestion) -> bool:
    """Tell whether what one has come to stands for the other as well.

    One that was not asked for a while begins anew.
    """
    return one.question == other.question and one.enabled == other.enabled
