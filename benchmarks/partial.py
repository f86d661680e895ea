"""Results stream by stream in a file, so that a run that was cut off can go on."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.contexts import Label
from benchmarks.errors import OtherMeasurementsError
from benchmarks.rows import StreamRun, Trial


class Partial:
    """The streams that were finished, beside the result they will become.

    The first line tells what is measured; every other line is one stream. Lines are
    added, never changed, so that what is there survives a kill at any moment.
    """

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        """Open a file, or go on with the one that is there.

        Raises:
            OtherMeasurementsError: What is there was measured of something else.
        """
        self._path, self.runs = path, list[StreamRun]()
        self.commits: set[str] = set()
        lines = _whole_lines(path)
        if lines and json.loads(lines[0]) != facts:
            raise OtherMeasurementsError(path)
        for line in lines[1:]:
            body = json.loads(line)
            self.commits.add(body["commit"])
            self.runs.append(_run_of(body["run"]))
        whole = path.with_name(f"{path.name}.new")  # without a line that was cut off
        whole.write_text("".join(f"{line}\n" for line in lines or [json.dumps(facts)]))
        whole.replace(path)

    @property
    def done(self) -> set[tuple[int, int]]:
        """World and length of each stream that is there."""
        return {(run.seed, run.chunks) for run in self.runs}

    def add(self, run: StreamRun, commit: str) -> None:
        """Keep one stream."""
        self.runs.append(run)
        self.commits.add(commit)
        with self._path.open("a") as file:
            file.write(json.dumps({"commit": commit, "run": asdict(run)}) + "\n")

    def remove(self) -> None:
        """Take the file away: the result is written."""
        self._path.unlink()


def _whole_lines(path: Path) -> list[str]:
    """Give the lines that were written to their end."""
    if not path.exists():
        return []
    *lines, _ = path.read_text().split("\n")
    return lines


def _run_of(body: dict[str, Any]) -> StreamRun:
    trials = [Trial(**(t | {"label": Label(**t["label"])})) for t in body["trials"]]
    return StreamRun(**(body | {"trials": tuple(trials)}))
