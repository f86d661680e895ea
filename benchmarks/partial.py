"""Results piece by piece in a file, so that a run that was cut off can go on."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.contexts import Label
from benchmarks.errors import OtherMeasurementsError
from benchmarks.rows import StreamRun, Trial


class Records:
    """What was finished, beside the result that it will become.

    The first line tells what is measured; every other line is one finished piece, and
    by which commit. Lines are added, never changed, so that what is there survives a
    kill at any moment.
    """

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        """Open a file, or go on with the one that is there.

        Raises:
            OtherMeasurementsError: What is there was measured of something else.
        """
        self._path = path
        first, lines = json.dumps(facts), _whole_lines(path)
        if lines and json.loads(lines[0]) != json.loads(first):
            raise OtherMeasurementsError(path)
        whole = path.with_name(f"{path.name}.new")  # without a line that was cut off
        whole.write_text("".join(f"{line}\n" for line in lines or [first]))
        whole.replace(path)
        self.commits = {str(body["commit"]) for body in self.bodies()}

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Read what is there, piece by piece."""
        return map(json.loads, _whole_lines(self._path)[1:])

    def write(self, body: dict[str, Any]) -> None:
        """Keep one piece; `commit` is in it."""
        self.commits.add(body["commit"])
        with self._path.open("a") as file:
            file.write(json.dumps(body) + "\n")

    def remove(self) -> None:
        """Take the file away: the result is written."""
        self._path.unlink()


class Partial(Records):
    """Finished streams of simulated cameras."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        super().__init__(path, facts)
        self.runs = [_run_of(body["run"]) for body in self.bodies()]

    @property
    def done(self) -> set[tuple[int, int]]:
        """World and length of each stream that is there."""
        return {(run.seed, run.chunks) for run in self.runs}

    def add(self, run: StreamRun, commit: str) -> None:
        """Keep one stream."""
        self.runs.append(run)
        self.write({"commit": commit, "run": asdict(run)})


def _whole_lines(path: Path) -> list[str]:
    """Give the lines that were written to their end."""
    if not path.exists():
        return []
    *lines, _ = path.read_text().split("\n")
    return lines


def _run_of(body: dict[str, Any]) -> StreamRun:
    trials = [Trial(**(t | {"label": Label(**t["label"])})) for t in body["trials"]]
    return StreamRun(**(body | {"trials": tuple(trials)}))
