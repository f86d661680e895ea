from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.public import scoring
from benchmarks.public.items import Item, Kind
from benchmarks.public.scoring import Reply, Score, is_right

MakeItem = Callable[..., Item]


def replies(make_item: MakeItem, told: dict[str, str], kind: str) -> list[Reply]:
    """Replies to groups: `{"a": "BBA"}` is two right and one wrong in group a."""
    names = {"video": Path(f"{kind}.mp4")}
    return [
        Reply(make_item(id=f"{group}{n}", group=group, **names), said, 0.0)
        for group, letters in told.items()
        for n, said in enumerate(letters)
    ]


def test_vnbench_counts_a_question_only_if_all_four_tries_are_right(
    make_item: MakeItem,
) -> None:
    tries = {
        ("ret_edit1", "one"): "BBBB",  # right
        ("ret_edit1", "two"): "BBBA",  # three of four are not enough
        ("ret_insert1", "one"): "BBBB",
        ("ord_edit1", "one"): "AAAA",
        ("cnt_edit2", "one"): "BBBB",
        ("cnt_edit2", "two"): "BBBB",
        ("cnt_edit2", "three"): "ABBB",
        ("cnt_edit2", "four"): "BABA",
    }
    said = [
        Reply(make_item(group=group, video=Path(name)), letter, 0.0)
        for (group, name), letters in tries.items()
        for letter in letters
    ]
    assert scoring.score_vnbench(said) == {
        "ret_edit1": Score(0.5, 2),
        "ret_insert1": Score(1.0, 1),
        "ord_edit1": Score(0.0, 1),
        "cnt_edit2": Score(0.5, 4),
        "ret": Score(0.75, 3),  # of types, not of questions
        "ord": Score(0.0, 1),
        "cnt": Score(0.5, 4),
        "overall": Score(0.5, 8),  # (0.5 + 1 + 0 + 0.5) / 4
    }


def test_a_question_with_fewer_than_four_tries_is_not_right(
    make_item: MakeItem,
) -> None:
    said = [Reply(make_item(group="ret_edit1"), "B", 0.0)] * 3
    assert scoring.score_vnbench(said)["ret_edit1"] == Score(0.0, 1)


def test_mlvu_averages_tasks_not_questions(make_item: MakeItem) -> None:
    said = replies(make_item, {"count": "B", "ego": "AAAB"}, "mlvu")
    assert scoring.score_mlvu(said) == {
        "ego": Score(0.25, 4),
        "count": Score(1.0, 1),
        "M-Avg": Score(0.625, 5),
    }


@pytest.mark.parametrize(
    ("score", "groups"),
    [
        (scoring.score_videomme, ("short", "long")),
        (scoring.score_longvideobench, ("8-15 s", "15-60 min")),
        (scoring.score_real_time, ("Counting", "Spatial Understanding")),
    ],
)
def test_the_others_average_questions(
    score: scoring.Scorer, groups: tuple[str, str], make_item: MakeItem
) -> None:
    said = replies(make_item, {groups[0]: "B", groups[1]: "AAAB"}, "other")
    assert score(said) == {
        groups[0]: Score(1.0, 1),
        groups[1]: Score(0.25, 4),
        "overall": Score(0.4, 5),
    }


@pytest.mark.parametrize(
    ("at_s", "said", "in_time", "right"),
    [
        (30.0, "20", True, True),
        (28.0, "It shows 20.", True, True),  # two seconds early still counts
        (32.0, "20", True, True),
        (27.0, "20", False, False),
        (33.0, "20", False, False),
        (30.0, "twenty", True, False),
    ],
)
def test_proactive_output_has_two_seconds_either_way(
    at_s: float, said: str, in_time: bool, right: bool, make_item: MakeItem
) -> None:
    item = make_item(kind=Kind.WHEN, options=(), answer="20", ask_at_s=5.0, due_s=30.0)
    other = Reply(item, "20", 10.0)  # much too early
    assert scoring.score_proactive([Reply(item, said, at_s), other]) == {
        "in time": Score(in_time / 2, 2),
        "and right": Score(right / 2, 2),
    }


def probe(make_item: MakeItem, task: str, answer: str, said: str) -> Reply:
    kind = Kind.COUNT if task == "REC" else Kind.YES_NO
    item = make_item(group=task, kind=kind, options=(), answer=answer)
    return Reply(item, said, 1.0)


def test_ovobench_counts_every_probe_of_its_forward_tasks(make_item: MakeItem) -> None:
    said = [
        probe(make_item, "REC", "3", "3 times"),
        probe(make_item, "REC", "3", "13"),
        probe(make_item, "REC", "0", "0"),
        probe(make_item, "REC", "1", "once"),
        probe(make_item, "SSR", "Yes", "Yes."),
        probe(make_item, "SSR", "No", "Yes"),
        probe(make_item, "CRR", "No", "No"),
        probe(make_item, "CRR", "No", "N"),
        probe(make_item, "CRR", "Yes", "Not yet"),
        probe(make_item, "CRR", "No", "Yes, or no"),
    ]
    assert scoring.score_ovobench(said) == {
        "REC": Score(0.5, 4),
        "SSR": Score(0.5, 2),
        "CRR": Score(0.5, 4),
        "forward": Score(0.5, 10),
    }


def test_ovobench_averages_tasks_then_its_three_modes(make_item: MakeItem) -> None:
    told = {"EPM": "BBBA", "HLD": "A", "OCR": "BA"}
    said = replies(make_item, told, "ovo")
    assert "total" not in scoring.score_ovobench(said)
    said.append(probe(make_item, "SSR", "Yes", "yes"))
    scores = scoring.score_ovobench(said)
    assert scores["backward"] == Score(0.375, 5)  # (0.75 + 0) / 2
    assert scores["real-time"] == Score(0.5, 2)
    assert scores["forward"] == Score(1.0, 1)
    assert scores["total"] == Score(0.625, 8)


def test_nothing_is_right_where_the_data_hold_no_right_option(
    make_item: MakeItem,
) -> None:
    nothing = make_item(answer="")
    for said in ("", "A", "B", "no idea"):
        assert not is_right(Reply(nothing, said, 0.0))
