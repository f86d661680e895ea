"""Options of the archive commands: ages, sizes, times as people write them."""

import re
import time
from typing import Annotated

import typer

from agent.config_servers import check_archive_url
from agent.questions import read_moment

_AGES = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZES = {"": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _parse_age(text: str) -> int:
    age_s = _parse_number(text, _AGES, "a number and one of s, m, h, d, w: 36h")
    return round((time.time() - age_s) * 1000)


def _parse_size(text: str) -> int:
    return round(_parse_number(text, _SIZES, "bytes, or kB, MB, GB, TB: 50GB"))


def _parse_number(text: str, units: dict[str, int], allowed: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", text)
    if found is None or found[2] not in units:
        raise typer.BadParameter(f"found {text!r}, allowed: {allowed}")
    return float(found[1]) * units[found[2]]


def _parse_moment(text: str) -> int:
    try:
        return round(read_moment(text) * 1000)
    except (ValueError, OverflowError) as exc:
        allowed = "ISO 8601 or Unix seconds"
        raise typer.BadParameter(f"found {text!r}, allowed: {allowed}") from exc


def _parse_url(text: str) -> str:
    try:
        return check_archive_url(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc


Url = Annotated[
    str | None,
    typer.Option(
        parser=_parse_url,
        metavar="URL",
        help="Reach the archive here, as when an agent runs the embedded one.",
    ),
]
Cameras = Annotated[
    list[str] | None,
    typer.Option("--camera", help="Only this camera; may be repeated."),
]


Since = Annotated[
    int | None,
    typer.Option(
        "--from", parser=_parse_moment, metavar="TIME", help="ISO 8601 or Unix seconds."
    ),
]
Until = Annotated[
    int | None,
    typer.Option(
        "--to", parser=_parse_moment, metavar="TIME", help="ISO 8601 or Unix seconds."
    ),
]
Before = Annotated[
    int | None,
    typer.Option(
        "--older-than", parser=_parse_age, metavar="AGE", help="Chunks as old as 36h."
    ),
]
MaxBytes = Annotated[
    int | None,
    typer.Option(
        parser=_parse_size,
        metavar="SIZE",
        help="Keep 50GB: the oldest L-KV goes first, then whole chunks.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="Only of this model's fingerprint; may be repeated."),
]
