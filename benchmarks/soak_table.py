"""The tables of cameras that fail at random: what happened, grew, and was lost."""

from collections.abc import Mapping, Sequence
from typing import Any

_MB = 10**6
_TAKEN = {
    "agent_bytes": "memory of the agent's process, MB",
    "reader_bytes": "memory of a reader, MB",
    "calm_reader_bytes": "memory of the reader of the camera left alone, MB",
    "files": "open files",
    "tasks": "tasks",
    "threads": "threads",
}


def soak_table(result: Mapping[str, Any]) -> str:
    """Give the faults, what was taken at the beginning and end, and what was lost."""
    faults = result["faults"]
    parts = [
        f"`{result['command']}`, seed {result['seed']}, {result['machine']}, PyAV "
        f"{result['versions']['av']}, commit {result['commit']}: in "
        f"{result['minutes']} minutes {result['cameras']} cameras suffered "
        f"{sum(faults.values())} faults, of which {result['outages']} were outages "
        f"that a gap must cover: as long as the stall time-out, "
        f"{result['stall_timeout_s']:g} s, or longer.",
        _counts("fault", "times", faults),
        f"{result['chunks']:,} chunks came. {result['gaps']} gaps were told, "
        f"{result['reconnects']} readers started again. {_back(result)}",
        _taken(result["rows"]),
        _counts("must be 0", "is", _readable(result["lost"])),
    ]
    return "\n\n".join(parts)


def _back(result: Mapping[str, Any]) -> str:
    if result["back_after_s_median"] is None:
        return "No camera had to come back."
    return (
        f"A camera was back {result['back_after_s_median']:g} s (median) after the end "
        f"of an outage, {result['back_after_s_worst']:g} s at worst."
    )


def _counts(what: str, many: str, counts: Mapping[str, int]) -> str:
    rows = [_line([name, f"{count:,}"]) for name, count in counts.items()]
    return "\n".join([_line([what, many]), _line(["---"] * 2), *rows])


def _taken(rows: Sequence[Mapping[str, Any]]) -> str:
    by_name = {row["name"]: row for row in rows}
    lines = [_line(["taken", "at first", "at last", "at most"]), _line(["---"] * 4)]
    for name, told in _TAKEN.items():
        unit = _MB if name.endswith("_bytes") else 1
        digits = 1 if unit == _MB else 0
        values = [by_name[name][part] / unit for part in ("first", "last", "most")]
        lines.append(_line([told, *(f"{value:,.{digits}f}" for value in values)]))
    return "\n".join(lines)


def _readable(lost: Mapping[str, int]) -> dict[str, int]:
    return {name.replace("_", " "): count for name, count in lost.items()}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
