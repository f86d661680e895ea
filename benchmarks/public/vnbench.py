"""VNBench: needles in short videos, each question asked four times.

Fields and layout: github joez17/VideoNIAH, llava_examples/model_video_niah.py (`video`,
`question`, `options`, `gt`, `type`, `try`), niah_eval.sh (the file's name) and README
(the prompt); arXiv 2406.09367. Options are reordered from try to try, in the file: they
are taken as they stand there. The right letter is not always another one: in the
published result file of llava-ov-7b it repeats for 1,022 of 1,350 questions.
"""

from collections import defaultdict
from pathlib import Path

from benchmarks.public.items import Item, Kind, last_letter_of, lettered
from benchmarks.public.reading import (
    DatasetError,
    Row,
    find_annotations,
    locate,
    read_rows,
)

NAMES = ("VNBench-main-4try.json", "VNBench-main-4try.jsonl")
FOLDERS = (".", "VNBench", "VNBench_new", "videos", "video")
TYPES = tuple(
    f"{task}_{form}"
    for task, forms in {
        "ret": ("edit1", "insert1", "insert2"),
        "ord": ("edit1", "insert1", "insert2"),
        "cnt": ("edit1", "edit2", "insert1"),
    }.items()
    for form in forms
)
TRIES = 4


def load(root: Path) -> list[Item]:
    """Read a local copy.

    Raises:
        DatasetError: A file or a field is missing or malformed, or a question has not
            its four tries.
    """
    path = find_annotations(root, NAMES)
    items = [_item(root, row) for row in read_rows(path)]
    tries: dict[tuple[Path, str], int] = defaultdict(int)
    for item in items:
        tries[item.video, item.group] += 1
    for (video, group), number in tries.items():
        if number != TRIES:
            where = f"{group} of {video.name}"
            raise DatasetError(path, where, f"has {number} tries, must have {TRIES}")
    return items


def _item(root: Path, row: Row) -> Item:
    name = Path(row.text("video"))
    options = row.texts("options")
    letter = last_letter_of(row.text("gt"), options)
    if not letter:
        raise row.wrong("gt", f"{row.text('gt')!r} is none of the options")
    question = row.text("question")
    video = locate(root, FOLDERS, name.name)
    if not video.is_file():
        video = root / name
    return row.build(
        lambda: Item(
            id=f"{name.stem}/{row.index('try', TRIES)}",
            video=video,
            group=row.one_of("type", TYPES),
            kind=Kind.CHOICE,
            question=question,
            prompt=f"{question}\n{lettered(options)}\n"
            "Answer with the letter of the right option alone.",
            answer=letter,
            options=options,
        )
    )
