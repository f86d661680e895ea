"""Where training runs, and how what it deals with gets there.

The way of a GPU has not been run: a test takes both stages' forwards through it on fake
tensors, which have a device and no numbers. What is random is drawn on the CPU, so that
a seed begins with the same weights and lessons everywhere; rounding differs from there.
"""

from dataclasses import fields, is_dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

import torch
import typer

T = TypeVar("T")
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(help="auto: cuda if there is one. Has not been run on cuda."),
]


def choose_device(name: str) -> torch.device:
    """Give the device of an option.

    Raises:
        typer.BadParameter: It is not there.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise typer.BadParameter("no cuda device is here", param_hint="--device")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def moved(value: T, device: torch.device) -> T:
    """Give a dataclass with all its tensors on a device."""
    kept: Any = value
    if isinstance(kept, torch.Tensor):
        return kept.to(device)
    if isinstance(kept, tuple):
        return tuple(moved(part, device) for part in kept)
    if is_dataclass(kept):
        parts = {f.name: moved(getattr(kept, f.name), device) for f in fields(kept)}
        return replace(kept, **parts)
    return value
