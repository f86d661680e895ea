"""Every format, from small files laid out as its publishers do."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from annotations import CRR, LVB, MME, OVO, PROACTIVE, REAL, REC, SSR

from benchmarks.public import (
    longvideobench,
    mlvu,
    ovobench,
    streamingbench,
    videomme,
    vnbench,
)
from benchmarks.public.items import Kind
from benchmarks.public.reading import DatasetError

Put = Callable[..., Path]


def mlvu_row(**fields: Any) -> dict[str, Any]:
    return {
        "video": "v.mp4",
        "question": "What colour?",
        "candidates": ["red", "blue"],
        "answer": "blue",
    } | fields


def put_mlvu(put: Put, **fields: Any) -> Path:
    for name in mlvu.TASKS.values():
        put([mlvu_row()], f"json/{name}.json")
    return put([mlvu_row(**fields)], "json/1_plotQA.json")


def test_vnbench_reads_each_try_with_its_own_order(
    put: Put, vnbench_rows: Callable[..., Any]
) -> None:
    rows = vnbench_rows(["1_ret_edit1", "2_cnt_edit2"])
    items = vnbench.load(put(rows, "VNBench-main-4try.json", "VNBench/1_ret_edit1.mp4"))
    assert [item.answer for item in items[:4]] == ["B", "A", "B", "A"]
    assert [item.group for item in items[::4]] == ["ret_edit1", "cnt_edit2"]
    assert items[0].video.is_file()
    assert "B. cow\nC. bus" in items[0].prompt
    assert len({item.id for item in items}) == 8


def test_vnbench_reads_lines_of_json_too(
    tmp_path: Path, vnbench_rows: Callable[..., Any]
) -> None:
    lines = [json.dumps(row) for row in vnbench_rows(["1_ord_insert1"])]
    (tmp_path / "VNBench-main-4try.jsonl").write_text("\n".join(lines) + "\n")
    assert len(vnbench.load(tmp_path)) == 4


def test_mlvu_reads_its_seven_tasks(put: Put) -> None:
    root = put_mlvu(put)
    put([mlvu_row()], "json/4_count.json", "video/4_count/v.mp4")
    items = mlvu.load(root)
    assert {item.group for item in items} == set(mlvu.TASKS)
    assert {item.answer for item in items} == {"B"}
    found = {item.group: item.video.is_file() for item in items}
    assert [group for group, is_there in found.items() if is_there] == ["count"]


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"answer": "green"}, ""),  # as in two needle questions
        ({"candidates": ["blue", "blue", "red"]}, "B"),  # the last of equals
        ({"question": "", "candidates": ["", ""], "answer": ""}, "B"),
    ],
)
def test_mlvu_takes_the_oddities_of_its_data(
    fields: dict[str, Any], answer: str, put: Put
) -> None:
    items = {item.group: item for item in mlvu.load(put_mlvu(put, **fields))}
    assert items["plotQA"].answer == answer
    assert items["plotQA"].question


def test_videomme_reads_flat_rows_and_questions_under_their_video(put: Put) -> None:
    nested = {k: MME[k] for k in ("video_id", "duration", "videoID")}
    nested["questions"] = [MME | {"question_id": "001-2"}]
    (item, other) = videomme.load(
        put([MME, nested], "videomme.json", "data/fFjv93ACGo8.mkv")
    )
    assert item.options == ("1.", "4.", "2.", "3.")
    assert (item.answer, item.group) == ("D", "short")
    assert (other.answer, other.group, other.id) == ("D", "short", "001-2")
    assert item.video == other.video
    assert item.video.is_file()


def test_videomme_without_pyarrow_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test-00000-of-00001.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DatasetError, match=r"needs pyarrow .*same rows as JSON"):
        videomme.load(tmp_path)


def test_videomme_reads_parquet_where_pyarrow_is(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "test-00000-of-00001.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([MME]), path)
    (item,) = videomme.load(tmp_path)
    assert (item.answer, item.options) == ("D", ("1.", "4.", "2.", "3."))
    path.write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match="can't be read as parquet"):
        videomme.load(tmp_path)


def test_longvideobench_is_grouped_by_length(put: Put) -> None:
    root = put([LVB], "lvb_val.json", "videos/abc.mp4")
    (item,) = longvideobench.load(root)
    assert (item.answer, item.group) == ("C", "8-15 s")
    assert item.video.is_file()


def test_streamingbench_asks_at_its_times(put: Put) -> None:
    root = put([REAL], "questions_real.json", "videos/sample_1_real.mp4")
    first, second = streamingbench.load_real_time(root)
    assert (first.ask_at_s, second.ask_at_s) == (65.0, 206.0)
    assert first.options[0] == "One."
    assert second.options[0] == "Cup."
    assert second.answer == "C"
    assert first.video.is_file()


def test_streamingbench_polls_for_proactive_output(put: Put) -> None:
    root = put([PROACTIVE], "src/data/questions_proactive.json")
    (item,) = streamingbench.load_proactive(root)
    assert (item.kind, item.ask_at_s, item.due_s) == (Kind.WHEN, 20.0, 29.0)
    assert item.answer == "3"
    assert 'the time to output "3"?' in item.poll
    assert "the time to" not in item.prompt


def test_ovobench_asks_every_probe_of_a_forward_task(put: Put) -> None:
    root = put([OVO, REC, SSR, CRR], "data/ovo_bench_new.json")
    backward, none, two, step, evidence = ovobench.load(root)
    assert (backward.answer, backward.ask_at_s) == ("B", 88.43)
    assert (none.answer, none.ask_at_s, none.kind) == ("0", 4.0, Kind.COUNT)
    assert (two.answer, two.ask_at_s) == ("2", 9.5)
    assert (step.answer, step.kind) == ("No", Kind.YES_NO)
    assert "peel it" in step.prompt
    assert (evidence.answer, evidence.ask_at_s) == ("Yes", 10.0)
    assert "What does she do then?" in evidence.prompt
