"""LongVideoBench, validation set, without subtitles: by how long its videos are.

Fields, prompt and layout: github longvideobench/LongVideoBench, longvideobench/
longvideobench_dataset.py (`video_path`, `question`, `candidates`, `correct_choice`,
`id`); `duration_group` (15, 60, 600, 3600) from the dataset's card on its hub and
github EvolvingLMMs-Lab/lmms-eval, tasks/longvideobench/utils.py; arXiv 2407.15754. Many
questions quote a subtitle: without subtitles they are harder than the benchmark meant.
"""

from pathlib import Path

from benchmarks.public.items import LETTERS, Item, Kind, lettered
from benchmarks.public.reading import Row, find_annotations, locate, read_rows

NAMES = ("lvb_val.json",)
GROUPS = {15: "8-15 s", 60: "15-60 s", 600: "3-10 min", 3600: "15-60 min"}


def load(root: Path) -> list[Item]:
    """Read a local copy.

    Raises:
        DatasetError: A file or a field is missing or malformed.
    """
    return [_item(root, row) for row in read_rows(find_annotations(root, NAMES))]


def _item(root: Path, row: Row) -> Item:
    options, question = row.texts("candidates"), row.text("question")
    group = round(row.number("duration_group"))
    if group not in GROUPS:
        known = ", ".join(map(str, GROUPS))
        raise row.wrong("duration_group", f"must be one of {known}, is {group}")
    return row.build(
        lambda: Item(
            id=row.text("id"),
            video=locate(root, ("videos", "."), row.text("video_path")),
            group=GROUPS[group],
            kind=Kind.CHOICE,
            question=question,
            prompt=f"Question: {question}\n{lettered(options)}\n"
            "Answer with the letter of the right option alone.",
            answer=LETTERS[row.index("correct_choice", len(options))],
            options=options,
        )
    )
