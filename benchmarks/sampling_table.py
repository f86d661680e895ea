"""The table of what sampling by motion costs, saves and misses."""

from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = (
    *("clip", "way", "CPU cores a camera", "frames", "decoded", "sampled"),
    *("skipped", "chunks", "least in an event", "events with two or more"),
)


def sampling_table(result: Mapping[str, Any]) -> str:
    """Give a row for each clip and way, and how the ways are set."""
    lines = [
        f"`{result['command']}`, {result['machine']}, PyAV "
        f"{result['versions']['av']}, commit {result['commit']}. "
        f"{_told(result['clips'])}",
        "",
        *(f"- {_way(way)}" for way in result["ways"]),
        "",
        _line(_HEAD),
        _line(["---"] * len(_HEAD)),
        *(_line(_cells(row)) for row in result["rows"]),
    ]
    return "\n".join(lines)


def _told(clips: Sequence[Mapping[str, Any]]) -> str:
    each = [
        f"{clip['name']} ({clip['size'][0]} x {clip['size'][1]}, {clip['seconds']:g} s)"
        for clip in clips
    ]
    return f"Real clips (Intel, sample-videos, CC BY 4.0): {', '.join(each)}."


def _way(way: Mapping[str, Any]) -> str:
    rates = [f"{name}: {way[name]:g}" for name in ("floor_fps", "fps", "burst_fps")]
    return f"{way['name']}: `{', '.join(rates)}, decoding: {way['decoding']}`"


def _cells(row: Mapping[str, Any]) -> list[str]:
    counts = [f"{row[name]:,}" for name in ("frames", "decoded", "sampled")]
    return [
        row["clip"],
        row["way"],
        f"{row['cores']:.3f}",
        *counts,
        f"{100 * row['skipped']:.0f} %",
        f"{row['chunks']:,}",
        str(row["least_in_event"]),
        f"{row['events_with_two']} of {row['events']}",
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
