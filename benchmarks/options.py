"""Command lines of the benchmarks: a mistake in one ends it with a sentence."""

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent.errors import ModelLoadError
from benchmarks.errors import BenchmarkError, SameWorldError
from ingest.errors import CameraError
from memory.codec import NUMBERS
from memory.compression.bilevel import LevelSettings
from training.split import Split


class Parser(argparse.ArgumentParser):
    """Takes `--seeds -8--2` as it is typed: argparse sees an option in `-8--2`."""

    def parse_known_args(  # type: ignore[override]  # argparse overloads it
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        """Read the words that are known."""
        words = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(_joined(words), namespace)

    @contextmanager
    def tells(self) -> Iterator[None]:
        """End the command with a sentence where it asks for what is not there."""
        try:
            yield
        except (BenchmarkError, ModelLoadError, CameraError) as exc:
            self.error(str(exc))


def _joined(words: Sequence[str]) -> list[str]:
    """Write numbers that begin with a minus behind the option they belong to."""
    found: list[str] = []
    for word in words:
        is_value = re.fullmatch(r"-\d[\d,-]*", word)
        if is_value and found and re.fullmatch(r"--[^=]+", found[-1]):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def numbers(text: str) -> list[int]:
    """Read `3`, `0-39`, `1,5,9` or `-8--2`."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(-?\d+)(?:-(-?\d+))?", part)
        if match is None:
            raise argparse.ArgumentTypeError(f"{part!r} is no number and no range")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise argparse.ArgumentTypeError(f"{part!r} is a range with nothing in it")
        found += range(first, last + 1)
    return found


def at_least(least: int) -> Callable[[str], int]:
    """Give what reads a whole number that is not too small."""

    def read(text: str) -> int:
        if not re.fullmatch(r"-?\d+", text) or int(text) < least:
            reason = f"{text!r} is no whole number of {least} or more"
            raise argparse.ArgumentTypeError(reason)
        return int(text)

    return read


def level(text: str) -> LevelSettings:
    """Read `novelty:16`, or `novelty:16:int8` for other numbers in the archive."""
    method, _, rest = text.partition(":")
    factor, _, numbers = rest.partition(":")
    if numbers and numbers not in NUMBERS:
        known = ", ".join(NUMBERS)
        raise argparse.ArgumentTypeError(f"{numbers!r} is none of {known}")
    try:
        number = float(factor)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not METHOD:FACTOR")
    try:
        return LevelSettings(method, number, numbers or "model")
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def result_file(text: str) -> Path:
    """Read where a result is to be written, before anything is measured for it."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder '{path.parent}'")
    return path


def worlds_of(split: str, seeds: Sequence[int]) -> list[int]:
    """Give the world of a split that each seed names.

    Raises:
        SameWorldError: Two name the same, which would be measured only once.
    """
    by_world: dict[int, int] = {}
    for seed in seeds:
        world = world_of(split, seed)
        if world in by_world:
            raise SameWorldError(by_world[world], seed)
        by_world[world] = seed
    return list(by_world)


def world_of(split: str, seed: int) -> int:
    """Give the world of a split that a seed names: any whole number names one."""
    part = Split[split.upper()]
    return part.world(seed % len(part.value))
