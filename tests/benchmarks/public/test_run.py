"""The one command, from files on disk to a table and its JSON, for every format."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from annotations import LVB, MME, OVO, PROACTIVE, REAL, REC, SSR

from benchmarks import accuracy
from benchmarks.public import mlvu
from benchmarks.public.run import main, make_parser
from benchmarks.public.watching import Viewer
from memory.kv import KV

Put = Callable[..., Path]
CONTEXTS = [("blind", 0), ("full", 0), ("l_only", 0), ("h_only", 0), ("bilevel", 1)]


def run(root: Path, dataset: str, *options: str) -> dict[str, Any]:
    """Run the command with what the built-in model needs; give its JSON."""
    out = root / "result.json"
    words = ["--dataset", dataset, "--root", str(root), "--model", "builtin"]
    words += ["--json", str(out), "--fps", "2", "--context-chunks", "0", "--k", "1"]
    main([*words, *options])
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def accuracies(result: dict[str, Any], context: str) -> dict[str, float]:
    rows = [row for row in result["rows"] if row["context"] == context]
    return {row["column"]: row["accuracy"] for row in rows}


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], str]], None]:
    """Put a script in place of decoding: all else is the product's path."""

    def put_in(script: Callable[[str], str]) -> None:
        def scripted(
            _self: Viewer, prompt: str, _runs: Sequence[KV], _most: int
        ) -> str:
            return script(prompt)

        monkeypatch.setattr(Viewer, "say", scripted)

    return put_in


def test_vnbench_with_the_model_itself(
    put: Put, vnbench_rows: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = vnbench_rows(["1_ret_edit1"])
    root = put(rows, "VNBench-main-4try.json", "VNBench/1_ret_edit1.mp4")
    result = run(root, "vnbench")
    made = [(row["context"], row["k"]) for row in result["rows"]]
    assert list(dict.fromkeys(made)) == CONTEXTS
    assert {row["n"] for row in result["rows"]} == {1}
    tokens = {row["context"]: row["mean_tokens"] for row in result["rows"]}
    assert 0 == tokens["blind"] < tokens["h_only"] < tokens["bilevel"]
    assert tokens["bilevel"] < tokens["l_only"] < tokens["full"]
    assert len(result["replies"]) == 4 * len(CONTEXTS)
    assert all(reply["said"] for reply in result["replies"])
    assert "vnbench, builtin" in capsys.readouterr().out


def test_vnbench_scores_four_of_four(
    put: Put, vnbench_rows: Callable[..., Any], say: Callable[..., None]
) -> None:
    rows = vnbench_rows(["1_ret_edit1", "2_ord_edit1"])
    videos = ["VNBench/1_ret_edit1.mp4", "VNBench/2_ord_edit1.mp4"]
    root = put(rows, "VNBench-main-4try.json", *videos)
    say(lambda _prompt: "cow")
    assert accuracies(run(root, "vnbench"), "full")["overall"] == 1
    say(lambda _prompt: "B")  # right in two of the four
    result = run(root, "vnbench")
    assert accuracies(result, "full")["overall"] == 0
    assert sum(reply["is_right"] for reply in result["replies"]) == 4 * len(CONTEXTS)


def test_mlvu(put: Put, say: Callable[..., None]) -> None:
    for name in mlvu.TASKS.values():
        row = {"video": "v.mp4", "question": "?", "candidates": ["a cup", "a hat"]}
        answer = "a cup" if name == "4_count" else "a hat"
        root = put(
            [row | {"answer": answer}], f"json/{name}.json", f"video/{name}/v.mp4"
        )
    say(lambda _prompt: "(B) a hat")
    found = accuracies(run(root, "mlvu"), "h_only")
    assert found.pop("M-Avg") == pytest.approx(6 / 7, abs=1e-4)
    assert found.pop("count") == 0
    assert set(found.values()) == {1}


def test_videomme(put: Put, say: Callable[..., None]) -> None:
    rows = [MME, MME | {"duration": "long", "question_id": "2", "answer": "A"}]
    root = put(rows, "videomme.json", f"data/{MME['videoID']}.mp4")
    say(lambda _prompt: "D.")
    found = accuracies(run(root, "videomme"), "bilevel")
    assert found == {"short": 1, "long": 0, "overall": 0.5}


def test_longvideobench(put: Put, say: Callable[..., None]) -> None:
    root = put([LVB], "lvb_val.json", "videos/abc.mp4")
    say(lambda _prompt: "Nobody")
    found = accuracies(run(root, "longvideobench"), "l_only")
    assert found == {"8-15 s": 1, "overall": 1}


def test_streamingbench(put: Put, say: Callable[..., None]) -> None:
    root = put([REAL], "questions_real.json", "videos/sample_1_real.mp4")
    say(lambda _prompt: "A")
    result = run(root, "streamingbench")
    found = accuracies(result, "bilevel")
    assert found == {"Counting": 1, "Object Recognition": 0, "overall": 0.5}
    assert {reply["at_s"] for reply in result["replies"]} == {65, 206}


def test_proactive_output(put: Put, say: Callable[..., None]) -> None:
    asked = {"time_stamp": "00:00:02", "ground_truth_time_stamp": "00:00:05"}
    row = PROACTIVE | {"questions": [PROACTIVE["questions"][0] | asked]}
    video = "videos/sample_17_proactive.mp4"
    root = put([row], "questions_proactive.json", video)
    say(lambda prompt: "yes" if "Is now the time" in prompt else "It shows 3.")
    result = run(root, "streamingbench-proactive")
    assert accuracies(result, "full") == {"in time": 1, "and right": 1}
    assert {reply["at_s"] for reply in result["replies"]} == {3}
    say(lambda _prompt: "no")
    result = run(root, "streamingbench-proactive")
    assert accuracies(result, "full") == {"in time": 0, "and right": 0}


def test_ovobench(put: Put, say: Callable[..., None]) -> None:
    name = OVO["video"]
    rows = [OVO | {"realtime": 6.2}, OVO | {"id": 1, "task": "OCR", "realtime": 3.0}]
    rows += [row | {"video": name} for row in (REC, SSR)]
    root = put(rows, "data/ovo_bench_new.json", f"data/src_videos/{name}")
    scripts = {"How many": "2", "peel it": "No", "Options": "A. Here"}
    say(lambda prompt: next(said for key, said in scripts.items() if key in prompt))
    assert accuracies(run(root, "ovobench"), "full") == {
        "EPM": 0,
        "OCR": 0,
        "REC": 0.5,
        "SSR": 1,
        "backward": 0,
        "real-time": 0,
        "forward": 0.75,
        "total": 0.25,
    }


def test_a_context_that_did_not_fit_is_a_dash(
    put: Put, say: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = REAL["questions"][0]
    early, late = asked | {"time_stamp": "00:00:03"}, asked
    row = REAL | {"questions": [early, late]}
    root = put([row], "questions_real.json", "videos/sample_1_real.mp4")
    say(lambda _prompt: "A")
    result = run(root, "streamingbench", "--full-tokens", "110")
    cells = {
        row["context"]: (row["n"], row["left_out"])
        for row in result["rows"]
        if row["column"] == "overall"
    }
    assert cells["full"] == (1, 1)  # ten seconds are more than 110 tokens, three less
    assert cells["bilevel"] == (2, 0)
    lines = capsys.readouterr().out.splitlines()
    assert any("full" in line and "-" in line and "100" not in line for line in lines)


def test_a_mistake_ends_the_command_with_a_sentence(
    tmp_path: Path, put: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(root: Path) -> str:
        with pytest.raises(SystemExit, match="2"):
            run(root, "longvideobench")
        return capsys.readouterr().err.splitlines()[-1]

    assert re.search(r"error: .*has none of lvb_val\.json", told(tmp_path))
    root = put([LVB], "lvb_val.json")
    assert "abc.mp4: no such video; 1 of 1" in told(root)
    put([LVB], "lvb_val.json", "videos/abc.mp4")
    (root / "videos/abc.mp4").write_bytes(b"not a video")
    assert re.search(r"error: .*abc\.mp4", told(root))


def test_a_run_that_was_cut_off_gives_what_a_whole_one_gives(
    put: Put, say: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [LVB, LVB | {"id": "other", "video_path": "other.mp4"}]
    root = put(rows, "lvb_val.json", "videos/abc.mp4", "videos/other.mp4")
    say(lambda _prompt: "C")
    whole = run(root, "longvideobench")
    (root / "result.json").unlink()
    watched: list[str] = []
    open_video = Viewer.open

    async def open_one(self: Viewer, video: Path) -> None:
        if len(watched) == 1:
            watched.append("cut off")
            raise KeyboardInterrupt
        watched.append(video.name)
        await open_video(self, video)

    monkeypatch.setattr(Viewer, "open", open_one)
    with pytest.raises(KeyboardInterrupt):
        run(root, "longvideobench")
    assert not (root / "result.json").exists()
    again = run(root, "longvideobench")
    assert watched == ["abc.mp4", "cut off", "other.mp4"]
    assert (again["rows"], again["replies"]) == (whole["rows"], whole["replies"])
    assert again["videos_done"] == 2
    assert not (root / "result.json.part").exists()


def test_a_quick_run_is_of_two_videos() -> None:
    words = "--dataset mlvu --root there --model builtin --quick"
    assert make_parser().parse_args(words.split()).limit == 2


def test_the_accuracy_benchmark_takes_a_dataset(
    put: Put, say: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = put([LVB], "lvb_val.json", "videos/abc.mp4")
    say(lambda _prompt: "C")
    out = root / "result.json"
    words = f"--dataset longvideobench --root {root} --model builtin --json {out}"
    monkeypatch.setattr(sys, "argv", ["accuracy", *words.split()])
    accuracy.main()
    assert json.loads(out.read_text())["videos_done"] == 1
