"""What rules tell of what happens, as a table, and what a margin is worth."""

from collections.abc import Mapping
from typing import Any

_RULES = {
    "standing": "standing questions",
    "tight": "the same, at most {tight:.1%} of the model's time",
    "first": "standing questions without the confirm pass",
    "plain_alone": "an answer with yes, over the chunk alone",
    "plain_alone_cooled": "the same with a cooldown",
    "plain_before": "an answer with yes, over what the first pass reads",
    "plain_before_cooled": "the same with a cooldown",
}
_HEAD = ("alerts", "right", "false", "repeats", "precision, %", "recall, %")


def standing_table(result: Mapping[str, Any]) -> str:
    """Give what each rule told, with what it was measured by."""
    rows = {row["rule"]: row for row in result["rows"]}
    ours = rows["standing"]
    asked = ours["questions"] // len(result["seeds"])
    lines = [
        f"`{result['command']}`, {result['model']} model, {_where(result)}: "
        f"{len(result['seeds'])} {result['split']} worlds, {result['chunks']} chunks "
        f"of {result['chunk_s']:g} s and {asked} questions each; in all "
        f"{ours['events']} visits of a plate that is asked about, margin "
        f"{ours['margin']:g}, cooldown {result['cooldown_s']:g} s. Delay: from "
        "where a visit begins to the end of the chunk that gives the alert.",
        "",
        _line(["rule", *_HEAD, "delay, s: median, 90 %", "chunks checked, %", _COST]),
        _line(["---"] * (len(_HEAD) + 4)),
    ]
    for rule, told in _RULES.items():
        row = rows[rule]
        cost = f"{row['model_ms_per_chunk']:.0f} ({row['model_share']:.1%})"
        checked = f"{100 * row['checked_share']:.0f}"
        name = told.format_map(result["shares"])
        is_timed = row["model_ms_per_chunk"] > 0
        lines.append(_line([name, *_worth(row), checked, cost if is_timed else ""]))
    return "\n".join(lines)


def margins_sentence(result: Mapping[str, Any]) -> str:
    """Give what each margin is worth, where it was chosen."""
    told = [
        f"{row['margin']:g}: {row['right']} right of {row['alerts']} alerts, recall "
        f"{_percent(row['recall'])} %, median delay {row['delay_s']['median']:.1f} s"
        for row in result["rows"]
        if row["rule"] == "standing"
    ]
    return (
        f"`{result['command']} --split {result['split']}`, {_where(result)}, "
        f"{len(result['seeds'])} worlds, by margin: {'; '.join(told)}."
    )


_COST = "model, ms a chunk (share of its time)"


def _worth(row: Mapping[str, Any]) -> list[str]:
    counts = [f"{row[name]}" for name in ("alerts", "right", "false", "repeats")]
    shares = [_percent(row[name]) for name in ("precision", "recall")]
    delay = row["delay_s"]
    delays = f"{delay['median']:.1f}, {delay['p90']:.1f}" if delay else "-"
    return [*counts, *shares, delays]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _where(result: Mapping[str, Any]) -> str:
    return (
        f"{result['machine']}, torch {result['versions']['torch']}, "
        f"commit {result['commit']}"
    )


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
