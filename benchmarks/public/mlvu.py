"""MLVU, dev set: seven multiple-choice tasks on long videos.

Fields and tasks: github JUNJIE99/MLVU, data/*.json and evaluation/
multiple_choice_evaluation/choice_bench.py; folders as the dataset MLVU/MVLU lays them
out; arXiv 2406.04264. The two tasks of free words (sub-scene, summary) are judged by a
GPT model there and left out here, as is the test set, whose file has other fields.

The data are taken as they are, and scored as there. Two needle questions name an answer
that is none of their options: nothing is right. Of equal options (six questions) the
last is right; one of these has neither words nor options with words.
"""

from pathlib import Path

from benchmarks.public.items import Item, Kind, last_letter_of, lettered
from benchmarks.public.reading import Row, find_annotations, locate, read_rows

TASKS = {
    "topic_reasoning": "7_topic_reasoning",
    "anomaly_reco": "6_anomaly_reco",
    "needle": "2_needle",
    "ego": "3_ego",
    "plotQA": "1_plotQA",
    "order": "5_order",
    "count": "4_count",
}
FOLDERS = ("json", "MLVU/json", "data", ".")


def load(root: Path) -> list[Item]:
    """Read a local copy.

    Raises:
        DatasetError: A file or a field is missing or malformed.
    """
    items = []
    for task, name in TASKS.items():
        path = find_annotations(root, [f"{f}/{name}.json" for f in FOLDERS])
        items += [
            _item(root, task, number, row) for number, row in enumerate(read_rows(path))
        ]
    return items


def _item(root: Path, task: str, number: int, row: Row) -> Item:
    folders = [
        f"{above}video/{folder}"
        for above in ("", "MLVU/")
        for folder in (TASKS[task], task)
    ]
    options, question = row.texts("candidates"), row.words("question")
    prompt = (
        f"Question: {question}\nOptions:\n{lettered(options, '({}) {}')}\n"
        "Give the letter of the best option alone."
    )
    return row.build(
        lambda: Item(
            id=f"{task}/{number}",
            video=locate(root, folders, row.text("video")),
            group=task,
            kind=Kind.CHOICE,
            question=question or prompt,
            prompt=prompt,
            answer=last_letter_of(row.words("answer"), options),
            options=options,
        )
    )
