"""A mistake in a benchmark's files is told with the file, the row and the field."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from annotations import LVB, MME, OVO, PROACTIVE

from benchmarks.public import (
    longvideobench,
    ovobench,
    streamingbench,
    videomme,
    vnbench,
)
from benchmarks.public.items import Item
from benchmarks.public.reading import DatasetError
from benchmarks.public.run import by_video

Put = Callable[..., Path]
Load = Callable[[Path], list[Item]]


@pytest.mark.parametrize(
    ("load", "name", "row", "told"),
    [
        (longvideobench.load, "lvb_val.json", "question", "row 0, field 'question'"),
        (longvideobench.load, "lvb_val.json", ("correct_choice", 3), "must be 0 to 2"),
        (longvideobench.load, "lvb_val.json", ("correct_choice", True), "is True"),
        (longvideobench.load, "lvb_val.json", ("duration_group", 7), "15, 60, 600"),
        (longvideobench.load, "lvb_val.json", ("candidates", "A"), "list of options"),
        (videomme.load, "videomme.json", ("answer", "AB"), "one of A, B, C, D"),
        (videomme.load, "videomme.json", ("duration", "brief"), "short, medium"),
        (videomme.load, "videomme.json", ("question", " "), "is empty"),
        (ovobench.load, "ovo_bench_new.json", ("task", "XYZ"), "EPM, ASI"),
        (ovobench.load, "ovo_bench_new.json", ("realtime", "9"), "must be a number"),
        (ovobench.load, "ovo_bench_new.json", ("realtime", -1), "before the video"),
        (ovobench.load, "ovo_bench_new.json", ("gt", 2), "field 'gt'"),
    ],
)
def test_a_malformed_field_is_told_with_its_file(
    load: Load, name: str, row: str | tuple[str, Any], told: str, put: Put
) -> None:
    good = {"lvb_val.json": LVB, "videomme.json": MME, "ovo_bench_new.json": OVO}[name]
    if isinstance(row, str):
        bad = {key: value for key, value in good.items() if key != row}
    else:
        bad = good | {row[0]: row[1]}
    with pytest.raises(DatasetError, match=told) as caught:
        load(put([bad], name))
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("time_stamp", "soon", "must be HH:MM:SS"),
        ("ground_truth_time_stamp", "00:00:10", "due before it is asked"),
    ],
)
def test_a_malformed_question_is_told_with_its_place(
    field: str, value: str, told: str, put: Put
) -> None:
    question = PROACTIVE["questions"][0] | {field: value}
    root = put([PROACTIVE | {"questions": [question]}], "questions_proactive.json")
    with pytest.raises(DatasetError, match=rf"row 0, questions\[0\].*{told}"):
        streamingbench.load_proactive(root)


def test_vnbench_refuses_a_question_without_its_four_tries(
    put: Put, vnbench_rows: Callable[..., Any]
) -> None:
    rows = vnbench_rows(["1_ret_edit1"])[:3]
    with pytest.raises(DatasetError, match="has 3 tries, must have 4"):
        vnbench.load(put(rows, "VNBench-main-4try.json"))
    rows = vnbench_rows(["1_ret_edit1"])
    rows[2]["gt"] = "cat"
    with pytest.raises(DatasetError, match=r"row 2, field 'gt'.*none of the options"):
        vnbench.load(put(rows, "VNBench-main-4try.json"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[{]", "can't be read as JSON"),
        ("[]", "not empty"),
        ('{"a": 1}', "must be a list"),
        ("[3]", "row 0: is not an object"),
    ],
)
def test_a_file_that_is_no_list_of_rows_is_refused(
    text: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "lvb_val.json").write_text(text)
    with pytest.raises(DatasetError, match=told):
        longvideobench.load(tmp_path)


def test_a_root_without_annotations_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has none of data/ovo_bench_new\.json"):
        ovobench.load(tmp_path)


def test_a_limit_counts_videos_and_needs_only_those(
    put: Put, vnbench_rows: Callable[..., Any]
) -> None:
    rows = vnbench_rows(["1_ret_edit1", "2_ret_edit1"])
    items = vnbench.load(put(rows, "VNBench-main-4try.json", "VNBench/1_ret_edit1.mp4"))
    assert [len(asked) for asked in by_video(items, 1)] == [4]
    with pytest.raises(DatasetError, match=r"2_ret_edit1.*1 of 2 are missing"):
        by_video(items, None)
