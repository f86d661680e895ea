"""How each benchmark counts: replies to its columns, by its own rule.

VNBench: evaluation/eval.py of github joez17/VideoNIAH: a question is right if all four
of its tries are; a mean per type, and over types. MLVU: a mean over its tasks (M-Avg).
Video-MME, LongVideoBench, StreamingBench: over all questions. Proactive output: at most
two seconds off, and the right words besides (src/data/count.py of github THUNLP-MT/
StreamingBench). OVO-Bench: a mean over tasks per mode, then over its three modes
(utils/OVOBenchScore.py of github JoeLeelyf/OVO-Bench). How an answer is read is ours:
see `answers`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.public import longvideobench, mlvu, ovobench, videomme, vnbench
from benchmarks.public.answers import choose, count, yes_or_no
from benchmarks.public.items import Item, Kind

MOST_OFF_S = 2.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said to an item.

    Attributes:
        item: What was asked.
        said: Its last words.
        at_s: Time in the video at which it said them.
    """

    item: Item
    said: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Score:
    """One cell of a table.

    Attributes:
        accuracy: 0 to 1.
        num: What was counted: questions, or the four tries of one as one.
    """

    accuracy: float
    num: int


Scorer = Callable[[Sequence[Reply]], dict[str, Score]]


def is_right(reply: Reply) -> bool:
    """Tell whether a reply says what is true, and in time where that matters."""
    item, said = reply.item, reply.said
    match item.kind:
        case Kind.CHOICE:
            return bool(item.answer) and choose(said, item.options) == item.answer
        case Kind.YES_NO:
            return yes_or_no(said) is (item.answer == "Yes")
        case Kind.COUNT:
            return count(said) == int(item.answer)
        case Kind.WHEN:
            return is_in_time(reply) and item.answer in said


def is_in_time(reply: Reply) -> bool:
    """Tell whether a reply came when it was due."""
    due_s = reply.item.due_s
    return due_s is not None and abs(reply.at_s - due_s) <= MOST_OFF_S


def score_vnbench(replies: Sequence[Reply]) -> dict[str, Score]:
    """Count a question only if all of its tries are right."""
    tries: dict[tuple[str, Path], list[bool]] = defaultdict(list)
    for reply in replies:
        tries[reply.item.group, reply.item.video].append(is_right(reply))
    wholes: dict[str, list[bool]] = defaultdict(list)
    for (group, _), rights in tries.items():
        wholes[group].append(all(rights) and len(rights) == vnbench.TRIES)
    types = _in_order({group: _mean(w) for group, w in wholes.items()}, vnbench.TYPES)
    means = {
        task: [score for name, score in types.items() if name.startswith(task)]
        for task in ("ret", "ord", "cnt")
    }
    return types | _means(means) | _means({"overall": list(types.values())})


def score_mlvu(replies: Sequence[Reply]) -> dict[str, Score]:
    """Give each task, and the mean over tasks."""
    tasks = _in_order(_by_group(replies), mlvu.TASKS)
    return tasks | _means({"M-Avg": list(tasks.values())})


def score_videomme(replies: Sequence[Reply]) -> dict[str, Score]:
    """Give each length, and all questions together."""
    return _with_all(replies, videomme.DURATIONS)


def score_longvideobench(replies: Sequence[Reply]) -> dict[str, Score]:
    """Give each length, and all questions together."""
    return _with_all(replies, longvideobench.GROUPS.values())


def score_real_time(replies: Sequence[Reply]) -> dict[str, Score]:
    """Give each task, and all questions together."""
    return _with_all(replies, sorted({reply.item.group for reply in replies}))


def score_proactive(replies: Sequence[Reply]) -> dict[str, Score]:
    """Give how many spoke in time, and how many of all said the right words as well."""
    return {
        "in time": _mean([is_in_time(reply) for reply in replies]),
        "and right": _mean([is_right(reply) for reply in replies]),
    }


def score_ovobench(replies: Sequence[Reply]) -> dict[str, Score]:
    """Give each task, the mean of each mode, and the mean of all three modes."""
    modes = {
        "backward": ovobench.BACKWARD,
        "real-time": ovobench.REAL_TIME,
        "forward": ovobench.FORWARD,
    }
    order = [task for tasks in modes.values() for task in tasks]
    tasks = _in_order(_by_group(replies), order)
    parts = {
        mode: [tasks[task] for task in names if task in tasks]
        for mode, names in modes.items()
    }
    means = _means(parts)
    total = _means({"total": list(means.values())}) if len(means) == len(modes) else {}
    return tasks | means | total


def _with_all(replies: Sequence[Reply], order: Iterable[str]) -> dict[str, Score]:
    groups = _in_order(_by_group(replies), order)
    return groups | {"overall": _mean([is_right(reply) for reply in replies])}


def _by_group(replies: Sequence[Reply]) -> dict[str, Score]:
    rights: dict[str, list[bool]] = defaultdict(list)
    for reply in replies:
        rights[reply.item.group].append(is_right(reply))
    return {group: _mean(right) for group, right in rights.items()}


def _in_order(scores: Mapping[str, Score], order: Iterable[str]) -> dict[str, Score]:
    return {name: scores[name] for name in order if name in scores}


def _mean(rights: Sequence[bool]) -> Score:
    return Score(sum(rights) / len(rights), len(rights))


def _means(parts: Mapping[str, Sequence[Score]]) -> dict[str, Score]:
    """Give the plain mean of each part that has scores, whatever their counts."""
    return {
        name: Score(
            sum(score.accuracy for score in scores) / len(scores),
            sum(score.num for score in scores),
        )
        for name, scores in parts.items()
        if scores
    }
