"""What a person, or a program, sees of the archive."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from agent.archive_jobs import Verified
from agent.screen import show_size
from memory.retention import Booked, Freed

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What the archive holds of one camera and model.

    Attributes:
        camera: Name of the camera.
        model: Fingerprint of the model.
        is_other: Whether another model has written the camera's newest chunk.
        chunks: How many.
        nodes: How many nodes were made of old ones.
        first: When the first began, ISO 8601.
        last: When the last ended.
        bytes_h: Size of all H-KV, that of nodes and index keys included.
        bytes_l: Size of all L-KV.
        bytes_per_hour: Size of both by the hours watched.
        without_l: Chunks that have no L-KV.
    """

    camera: str
    model: str
    is_other: bool
    chunks: int
    nodes: int
    first: str
    last: str
    bytes_h: int
    bytes_l: int
    bytes_per_hour: int
    without_l: int


def stock_of(booked: Iterable[Booked]) -> list[Stock]:
    """Sum chunks up, by camera and model."""
    groups: dict[tuple[str, str], list[Booked]] = defaultdict(list)
    newest: dict[str, Booked] = {}
    for each in sorted(booked):
        groups[each.chunk.camera, each.model].append(each)
        newest[each.chunk.camera] = each
    return [
        _sum_up(some, is_other=newest[camera].model != model)
        for (camera, model), some in sorted(groups.items())
    ]


def _sum_up(some: Sequence[Booked], *, is_other: bool) -> Stock:
    chunks = [each for each in some if each.chunk.is_chunk]
    watched_ms = sum(each.chunk.end_ms - each.chunk.start_ms for each in chunks)
    num_bytes = sum(each.num_bytes for each in some)
    return Stock(
        camera=some[0].chunk.camera,
        model=some[0].model,
        is_other=is_other,
        chunks=len(chunks),
        nodes=len(some) - len(chunks),
        first=_iso(min(each.chunk.start_ms for each in some)),
        last=_iso(some[-1].end_ms),
        bytes_h=sum(each.high_bytes for each in some),
        bytes_l=sum(each.low_bytes for each in some),
        bytes_per_hour=round(num_bytes * _HOUR_MS / max(watched_ms, 1)),
        without_l=sum(each.low_bytes == 0 for each in chunks),
    )


def show_stock(rows: Sequence[Stock]) -> Table:
    """Show a row for each camera and model."""
    table = Table(header_style="bold", box=SIMPLE, collapse_padding=True)
    table.add_column("camera,\nmodel", overflow="fold", min_width=16)
    table.add_column("from,\nto (UTC)", no_wrap=True)
    for title in ("chunks", "H", "L", "per\nhour", "no\nL"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            "\n".join([row.camera, row.model, *(["(other)"] if row.is_other else [])]),
            "\n".join(each[:16].replace("T", " ") for each in (row.first, row.last)),
            f"{row.chunks:,}",
            *(show_size(n) for n in (row.bytes_h, row.bytes_l, row.bytes_per_hour)),
            f"{row.without_l:,}",
        )
    return table


def verified_json(found: Verified) -> dict[str, Any]:
    """Give what verifying found as data."""
    faults = [
        {
            "camera": fault.chunk.camera,
            "model": fault.model,
            "chunk": fault.chunk.name,
            "kind": fault.kind.value,
            "level": fault.level and fault.level.value,
            "text": fault.text,
        }
        for fault in found.faults
    ]
    return {"chunks": found.num_chunks, "faults": faults}


def verified_lines(found: Verified) -> list[str]:
    """Name each fault on a line, then count them."""
    lines = []
    for fault in found.faults:
        level = f" {fault.level.name}" if fault.level else ""
        chunk = f"{fault.chunk.camera}/{fault.chunk.name} of {fault.model}"
        lines.append(f"{chunk}{level}: {fault.kind.value}: {fault.text}")
    counted = f"{found.num_chunks} chunks, {len(found.faults)} faults"
    return [*lines, counted]


def show_freed(freed: Freed) -> str:
    """Tell what goes."""
    chunks = f"{freed.num_chunks} chunks whole, L-KV of {freed.num_lows} more"
    return f"{chunks}, {show_size(freed.num_bytes)}"


def stock_json(rows: Sequence[Stock]) -> list[dict[str, Any]]:
    """Give the rows as data."""
    return [asdict(row) for row in rows]


def _iso(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
