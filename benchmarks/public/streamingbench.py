"""StreamingBench: questions about now while a video goes on, and speaking in time.

Fields, prompts and protocol: github THUNLP-MT/StreamingBench, src/data/questions_real.
json and questions_proactive.json, src/benchmark/StreamingBench.py and
StreamingBenchProactive.py; scoring: src/data/count.py; arXiv 2411.03628. The main table
there shows a model the 60 s before a question; its second one everything before it,
which is what a memory is for, and what is done here.

Proactive output: from a second after the question to four seconds after the answer is
due, the model is asked every second whether to speak now, and the words are in that
question. The parts that need sound, and the dialogues, are left out.
"""

from pathlib import Path

from benchmarks.public.items import LETTERS, Item, Kind, lettered, without_letters
from benchmarks.public.reading import Row, find_annotations, locate, read_rows

FOLDERS = ("videos", "src/data/videos", ".")
ABOVE = (".", "src/data")
POLLED_AFTER_DUE_S = 4


def load_real_time(root: Path) -> list[Item]:
    """Read a local copy of real-time visual understanding.

    Raises:
        DatasetError: A file or a field is missing or malformed.
    """
    return [_choice(root, *asked) for asked in _asked(root, "questions_real.json")]


def load_proactive(root: Path) -> list[Item]:
    """Read a local copy of proactive output.

    Raises:
        DatasetError: A file or a field is missing or malformed.
    """
    return [_when(root, *asked) for asked in _asked(root, "questions_proactive.json")]


def _asked(root: Path, name: str) -> list[tuple[Row, Row]]:
    path = find_annotations(root, [f"{above}/{name}" for above in ABOVE])
    rows = read_rows(path)
    return [(row, question) for row in rows for question in row.rows("questions")]


def _choice(root: Path, about: Row, row: Row) -> Item:
    options, question = without_letters(row.texts("options")), row.text("question")
    return row.build(
        lambda: Item(
            id=row.where,
            video=_video(root, about),
            group=row.text("task_type"),
            kind=Kind.CHOICE,
            question=question,
            prompt="You answer multiple-choice questions about a video. Look at it "
            "closely and reply with the letter of the best option alone.\n\n"
            f"Question: {question}\n\nOptions:\n{lettered(options)}\n\n"
            "The best option is:",
            answer=row.one_of("answer", tuple(LETTERS[: len(options)])),
            options=options,
            ask_at_s=row.clock("time_stamp"),
        )
    )


def _when(root: Path, about: Row, row: Row) -> Item:
    question, words = row.text("question"), row.text("ground_truth_output")
    told = (
        "You answer a question about a video. Make sure that what is seen fulfils its "
        "condition, then give the right words.\n\nQuestion: {}\n\nThe answer is:"
    )
    poll = f'{question} Is now the time to output "{words}"? Answer yes or no only.'
    return row.build(
        lambda: Item(
            id=row.where,
            video=_video(root, about),
            group=row.text("task_type"),
            kind=Kind.WHEN,
            question=question,
            prompt=told.format(question),
            answer=words,
            ask_at_s=row.clock("time_stamp"),
            poll=told.format(poll),
            due_s=row.clock("ground_truth_time_stamp"),
        )
    )


def _video(root: Path, about: Row) -> Path:
    """Give a video by its name alone: the published script makes the paths absolute."""
    return locate(root, FOLDERS, Path(about.text("video_path")).name)
