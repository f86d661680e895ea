"""The list that `longwatch models` shows: what can be named, and what it costs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table
from rich.text import Text

from agent.config_cameras import CameraConfig
from agent.config_sections import MemoryConfig
from agent.errors import ModelLoadError
from agent.vlm.catalogue import KNOWN, ModelFacts, Watching, describe_model
from agent.vlm.families import FAMILIES
from agent.vlm.loading import ModelSettings


@dataclass(frozen=True, slots=True)
class Row:
    """A model of the list.

    Attributes:
        name: As a config names it.
        family: As people call it.
        facts: What it costs; None if its configuration is not on this machine.
    """

    name: str
    family: str
    facts: ModelFacts | None

    def as_json(self) -> dict[str, Any]:
        """Give it as data."""
        head = {"name": self.name, "family": self.family}
        return head | (asdict(self.facts) if self.facts else {})


def watching_of(camera: CameraConfig | None, memory: MemoryConfig) -> Watching:
    """Give what is watched: a camera's settings, or those of any camera.

    Frames are taken to be of 16:9 and as large as the settings let them be.
    """
    camera = camera or CameraConfig(address="camera.mp4")
    size = (round(camera.max_side * 9 / 16), camera.max_side)
    kept = (memory.high_factor, memory.low_factor, memory.low_numbers)
    return Watching(camera.fps, camera.chunk_frames, size, *kept)


def list_models(
    names: Sequence[str], settings: ModelSettings, watching: Watching
) -> list[Row]:
    """Describe models.

    Args:
        names: Those asked for, on this machine or on the hub. If none: the configured
            one and all that are known, as far as they are on this machine.
        settings: As configured.
        watching: What is watched.

    Raises:
        ModelLoadError: One that was asked for can't be described.
    """
    if names:
        asked = (describe_model(replace(settings, name=n), watching) for n in names)
        return [Row(facts.name, facts.family, facts) for facts in asked]
    here = replace(settings, offline=True)
    known = [("built-in", "builtin")]
    known += [(FAMILIES[kind].title, name) for kind in KNOWN for name in KNOWN[kind]]
    rows = [_row(family, replace(here, name=name), watching) for family, name in known]
    if settings.name in [row.name for row in rows]:
        return rows
    facts = describe_model(settings, watching)
    return [Row(facts.name, facts.family, facts), *rows]


def _row(family: str, settings: ModelSettings, watching: Watching) -> Row:
    try:
        facts = describe_model(settings, watching)
    except ModelLoadError:
        return Row(settings.name, family, None)
    return Row(settings.name, family, facts)


def show_models(rows: Sequence[Row], watching: Watching) -> Group:
    """Show what an hour of one camera costs, then the models that can't be told of."""
    table = Table(header_style="bold", box=SIMPLE, padding=(0, 1))
    table.add_column("model", overflow="fold")
    levels = (("H", watching.high_factor), ("L", watching.low_factor))
    sizes = [f"GB/h\n{level} 1/{factor:g}" for level, factor in levels]
    for title in ("layers", "KV\nheads", "bytes/\ntoken", "tokens/\nframe", *sizes):
        table.add_column(title, justify="right", no_wrap=True)
    unread: dict[str, list[str]] = {}
    for row in rows:
        if row.facts is None:
            unread.setdefault(row.family, []).append(row.name)
        else:
            table.add_row(row.name, *_cells(row.facts))
    lines = [f"  {family}: {', '.join(names)}" for family, names in unread.items()]
    if lines:
        lines.insert(
            0,
            "\nSupported; their configurations are not on this machine, and read from"
            " the hub by `longwatch models NAME`:",
        )
    return Group(table, Text("\n".join([_caption(rows, watching), *lines])))


def _caption(rows: Sequence[Row], watching: Watching) -> str:
    height, width = watching.frame_size
    dtypes = sorted({row.facts.dtype for row in rows if row.facts})
    numbers = watching.low_numbers
    archived = "" if numbers == "model" else f", L-KV archived as {numbers}"
    return (
        f"One camera of {width}x{height}, {watching.fps:g} a second in chunks of"
        f" {watching.chunk_frames}. Keys and values in {' or '.join(dtypes)}{archived},"
        " those of time stamps included; index keys and headers come on top."
    )


def _cells(facts: ModelFacts) -> Sequence[str]:
    return [
        str(facts.num_layers),
        str(facts.num_kv_heads),
        f"{facts.token_bytes:,}",
        f"{facts.frame_tokens:g}",
        f"{facts.high_gb_per_hour:.3g}",
        f"{facts.low_gb_per_hour:.3g}",
    ]
