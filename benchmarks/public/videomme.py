"""Video-MME without subtitles: short, medium and long videos, four options.

Fields: the columns of the dataset lmms-lab/Video-MME (its dataset card), which are also
those of github BradyFU/Video-MME, evaluation/output_test_template.json, where questions
are nested under their video; prompt: its README; videos by `videoID` in `data/`, as
github EvolvingLMMs-Lab/lmms-eval, tasks/videomme/utils.py looks for them;
arXiv 2405.21075. Rows are read from parquet if pyarrow is there, else from JSON.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.public.items import LETTERS, Item, Kind, lettered, without_letters
from benchmarks.public.reading import Row, find_annotations, locate, read_rows

NAMES = (
    "videomme.json",
    "videomme.jsonl",
    "videomme/test-00000-of-00001.parquet",
    "test-00000-of-00001.parquet",
)
FOLDERS = ("data", "videos", "video", ".")
ENDINGS = (".mp4", ".MP4", ".mkv")
DURATIONS = ("short", "medium", "long")


def load(root: Path) -> list[Item]:
    """Read a local copy.

    Raises:
        DatasetError: A file or a field is missing or malformed.
    """
    rows = read_rows(find_annotations(root, NAMES))
    return [_item(root, video, row) for video, row in _questions(rows)]


def _questions(rows: list[Row]) -> Iterator[tuple[Row, Row]]:
    """Give each question with the row of its video, which may be its own."""
    for row in rows:
        if row.has("questions"):
            for question in row.rows("questions"):
                yield row, question
        else:
            yield row, row


def _item(root: Path, about: Row, row: Row) -> Item:
    options, question = without_letters(row.texts("options")), row.text("question")
    instruction = (
        "Choose the best answer to this multiple-choice question about the video. "
        f"Reply with its letter alone ({', '.join(LETTERS[: len(options)])})."
    )
    return row.build(
        lambda: Item(
            id=row.text("question_id"),
            video=_video(root, about),
            group=about.one_of("duration", DURATIONS),
            kind=Kind.CHOICE,
            question=question,
            prompt=f"{instruction}\n{question}\n{lettered(options)}\n"
            "The best answer is:",
            answer=row.one_of("answer", tuple(LETTERS[: len(options)])),
            options=options,
        )
    )


def _video(root: Path, about: Row) -> Path:
    """Give a video's file by its name on YouTube, or by its number in the benchmark."""
    name = about.text("videoID" if about.has("videoID") else "video_id")
    found = [locate(root, FOLDERS, name + ending) for ending in ENDINGS]
    return next((video for video in found if video.is_file()), found[0])
