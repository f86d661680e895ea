"""OVO-Bench: tracing back, perceiving now, and answering once it can be told.

Fields: github JoeLeelyf/OVO-Bench, data/ovo_bench_new.json; tasks and prompts:
constant.py and utils/OVOBench.py; cutting: utils/chunk_videos.py; arXiv 2501.05510.
Source videos are read and shown up to `realtime`. The published script cuts at the next
full second: up to a second more is seen there, where the time is not a whole one.

Forward: REC asks for a count so far, SSR whether a step is being done, CRR whether what
was seen suffices to answer; each is probed at several times.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.public.items import LETTERS, Item, Kind, lettered
from benchmarks.public.reading import Row, find_annotations, locate, read_rows

NAMES = ("data/ovo_bench_new.json", "ovo_bench_new.json")
FOLDERS = ("data/src_videos", "src_videos", ".")
BACKWARD = ("EPM", "ASI", "HLD")
REAL_TIME = ("OCR", "ACR", "ATR", "STU", "FPD", "OJR")
FORWARD = ("REC", "SSR", "CRR")
YES_OR_NO = "Answer Yes or No, and nothing else."
HIGHEST_COUNT = 1_000_000

Shell = Callable[..., Item]  # an item but for its question, prompt, kind and answer


def load(root: Path) -> list[Item]:
    """Read a local copy.

    Raises:
        DatasetError: A file or a field is missing or malformed.
    """
    rows = read_rows(find_annotations(root, NAMES))
    return [item for row in rows for item in _items(root, row)]


def _items(root: Path, row: Row) -> Iterator[Item]:
    task = row.one_of("task", BACKWARD + REAL_TIME + FORWARD)
    video = locate(root, FOLDERS, row.text("video"))
    if task not in FORWARD:
        yield _choice(task, video, row)
        return
    for number, probe in enumerate(row.rows("test_info")):
        yield _probed(task, video, row, probe, number)


def _name(row: Row) -> str:
    return f"{row.number('id'):.0f}"


def _choice(task: str, video: Path, row: Row) -> Item:
    options, question = row.texts("options"), row.text("question")
    return row.build(
        lambda: Item(
            id=_name(row),
            video=video,
            group=task,
            kind=Kind.CHOICE,
            question=question,
            prompt=f"Question: {question}\nOptions:\n"
            f"{lettered(options, between='; ')};\n\n"
            "Reply with the letter of your choice alone (A, B, C, ...).",
            answer=LETTERS[row.index("gt", len(options))],
            options=options,
            ask_at_s=row.number("realtime"),
        )
    )


def _probed(task: str, video: Path, row: Row, probe: Row, number: int) -> Item:
    shell = partial(
        Item,
        id=f"{_name(row)}/{number}",
        video=video,
        group=task,
        ask_at_s=probe.number("realtime"),
    )
    fill = {"REC": _counted, "SSR": _step, "CRR": _evidence}[task]
    return probe.build(lambda: fill(shell, row, probe))


def _counted(shell: Shell, row: Row, probe: Row) -> Item:
    question = f"How many times did they {row.text('activity')}?"
    return shell(
        kind=Kind.COUNT,
        question=question,
        prompt="In this video people may do one thing again and again; they are called "
        "'they' below. Count how often it is done in all, whoever does it; a whole "
        f"movement counts once.\n{question}\nReply with one number alone.",
        answer=str(probe.index("count", HIGHEST_COUNT)),
    )


def _step(shell: Shell, _row: Row, probe: Row) -> Item:
    step = probe.text("step")
    return shell(
        kind=Kind.YES_NO,
        question=step,
        prompt="This video shows how something is done, step by step. One of its "
        f"steps is:\n{step}\nIs the person in the video doing this step now?\n"
        f"{YES_OR_NO}",
        answer=("No", "Yes")[probe.index("type", 2)],
    )


def _evidence(shell: Shell, row: Row, probe: Row) -> Item:
    question = row.text("question")
    return shell(
        kind=Kind.YES_NO,
        question=question,
        prompt=f"This question is about the end of the video:\n{question}\nDoes what "
        "was shown so far, the newest frames above all, tell enough to answer it?\n"
        f"{YES_OR_NO}",
        answer=("No", "Yes")[probe.index("type", 2)],
    )
