"""The tables of docs/abstention.md: what is answered, and what of that is wrong.

Run `python -m benchmarks.abstention_table` after `benchmarks.abstention` has written
its JSON.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "abstention.json"
PAGE = ROOT / "docs" / "abstention.md"
NAME = "abstention"
_HEAD = (
    *("questions", "asked", "wrong if all are answered, %", "answered, %"),
    *("wrong of the answered, %", "wrong of all asked, %"),
)


def abstention_table(result: Mapping[str, Any]) -> str:
    """Give what was found, then by type, the curve, and the signals compared."""
    return "\n".join(
        [
            _measured_by(result),
            "",
            _found(result),
            "",
            *_by_type(result["rows"]),
            "",
            "The trade-off, the surest answers of the test worlds first:",
            "",
            *_curve(result["curve"]),
            "",
            "Another share of wrong answers, each with its threshold found the same "
            "way on validation worlds, judged on test worlds:",
            "",
            *_others(result),
            "",
            "The threshold that ships, on longer streams of test worlds:",
            "",
            *_longer(result),
            "",
            "What was chosen from, on validation worlds: most of the questions that "
            "can be answered with so few wrong, and the mean of wrong over coverage:",
            "",
            *_signals(result["signals"]),
        ]
    )


def _measured_by(result: Mapping[str, Any]) -> str:
    worlds, first = result["worlds"], result["first_worlds"]
    told = " and ".join(
        f"{worlds[split]} {split} worlds from {first[split]}"
        for split in ("validation", "test")
    )
    return (
        f"`{result['command']}`, {result['model']} model ({result['fingerprint']}, "
        f"{result['dtype']}), {told}, {result['chunks']} chunks each, "
        f"k = {result['top_k']}, {result['machine']}, "
        f"torch {result['versions']['torch']}, commit {result['commit']}."
    )


def _found(result: Mapping[str, Any]) -> str:
    found, known, test = (result[k] for k in ("threshold", "validation", "test"))
    low, high = test["ci"]
    return (
        f"**Threshold {found['threshold']:.4f}** on the probability of the first "
        f"{found['leading_tokens']} tokens, found on {found['questions']:,} validation "
        f"answers for at most {_share(found['most_wrong'])} % wrong with "
        f"{_share(found['trust'])} % trust ({known['design_effect']:.1f} answers of "
        f"those given weigh as one). On {test['questions']:,} test questions "
        f"**{_share(test['coverage'])} % are answered, {_share(test['wrong'])} % of "
        f"them wrong** (95 %: {_share(low)} to {_share(high)}, over worlds); with all "
        f"answered {_share(1 - test['right_of_all'])} % would be."
    )


def _by_type(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield _line(_HEAD)
    yield _line(["---"] * len(_HEAD))
    for row in rows:
        before, given = 1 - row["right_of_all"], row["coverage"]
        cells = [before, given, row["wrong"] if given else None, given * row["wrong"]]
        counted = f"{row['questions']:,}"
        yield _line([row["type"].replace("_", " "), counted, *map(_share, cells)])


def _curve(curve: Sequence[Mapping[str, float]]) -> Iterable[str]:
    for title, name in (("answered, %", "coverage"), ("wrong, %", "wrong")):
        yield _line([title, *(_share(point[name]) for point in curve)])
        if name == "coverage":
            yield _line(["---"] * (len(curve) + 1))
    yield _line(["threshold", *(f"{point['threshold']:.4f}" for point in curve)])


def _others(result: Mapping[str, Any]) -> Iterable[str]:
    own = result["threshold"] | result["test"]
    rows = sorted([*result["other_shares"], own], key=lambda row: row["most_wrong"])
    yield _line(["at most wrong, %", "threshold", "answered, %", "wrong, %"])
    yield _line(["---"] * 4)
    for row in rows:
        threshold = row["threshold"]
        name = "none" if threshold is None else f"{threshold:.4f}"
        told = [row.get("coverage"), row.get("wrong")]
        yield _line([_share(row["most_wrong"]), name, *map(_share, told)])


def _longer(result: Mapping[str, Any]) -> Iterable[str]:
    heads = ["chunks", "worlds", "questions", "wrong if all are answered, %"]
    yield _line([*heads, "answered, %", "wrong of the answered, % (95 %)"])
    yield _line(["---"] * 6)
    test = result["test"] | {"chunks": result["chunks"], "part": "test"}
    for row in (test, *result["longer"]):
        worlds = result["worlds"][row.get("part", str(row["chunks"]))]
        low, high = map(_share, row["ci"])
        counts = [str(row["chunks"]), str(worlds), f"{row['questions']:,}"]
        told = [_share(1 - row["right_of_all"]), _share(row["coverage"])]
        yield _line([*counts, *told, f"{_share(row['wrong'])} ({low}-{high})"])


def _signals(signals: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    shares = list(signals[0]["coverage_at"])
    heads = [f"at {_share(float(share))} % wrong" for share in shares]
    yield _line(["signal", *heads, "mean wrong, %"])
    yield _line(["---"] * (len(shares) + 2))
    for row in signals:
        cells = [*row["coverage_at"].values(), row["area"]]
        yield _line([row["signal"], *map(_share, cells)])


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}".removesuffix(".0")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Fill the page from the result."""
    from benchmarks.tables import fill  # it imports this module for all tables

    table = abstention_table(json.loads(RESULT.read_text()))
    PAGE.write_text(fill(PAGE.read_text(), NAME, table))


if __name__ == "__main__":
    main()
