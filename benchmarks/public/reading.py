"""Annotation files as rows whose fields are read by name, and videos by their place.

A mistake in a file is told with the file, the row and the field.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.errors import BenchmarkError

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
T = TypeVar("T")


class DatasetError(BenchmarkError, ValueError):
    """A benchmark's files are not as they should be.

    Attributes:
        path: The file.
        where: Row and field, empty for the file as a whole.
        reason: What is wrong with it.
    """

    def __init__(self, path: Path, where: str, reason: str) -> None:
        self.path, self.where, self.reason = path, where, reason
        place = f"{path}: {where}" if where else str(path)
        super().__init__(f"{place}: {reason}")


class Row:
    """One record of an annotation file.

    A field that is missing, or not what it is read as, raises a `DatasetError`.

    Attributes:
        path: The file.
        where: Which record it is.
    """

    def __init__(self, path: Path, where: str, fields: object) -> None:
        self.path, self.where = path, where
        if not isinstance(fields, dict):
            raise DatasetError(path, where, "is not an object")
        self._fields: dict[str, Any] = fields

    def wrong(self, name: str, reason: str) -> DatasetError:
        """Build the error that tells of a field of this row."""
        return DatasetError(self.path, f"{self.where}, field {name!r}", reason)

    def has(self, name: str) -> bool:
        """Tell whether there is such a field."""
        return self._fields.get(name) is not None

    def text(self, name: str) -> str:
        """Read a text that is not empty."""
        value = self.words(name)
        if not value:
            raise self.wrong(name, "is empty")
        return value

    def words(self, name: str) -> str:
        """Read a text that may be empty."""
        value = self._take(name)
        if not isinstance(value, str):
            raise self.wrong(name, f"must be a text, is {value!r}")
        return value.strip()

    def number(self, name: str) -> float:
        """Read a number."""
        value = self._take(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, f"must be a number, is {value!r}")
        return float(value)

    def index(self, name: str, count: int) -> int:
        """Read a whole number from 0 to below a count."""
        value = self._take(name)
        if type(value) is not int or not 0 <= value < count:
            raise self.wrong(name, f"must be 0 to {count - 1}, is {value!r}")
        return int(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a list of at least two texts; numbers in it become texts."""
        value = self._take(name)
        if not isinstance(value, list) or len(value) < 2:
            raise self.wrong(name, f"must be a list of options, is {value!r}")
        return tuple(str(option).strip() for option in value)

    def clock(self, name: str) -> float:
        """Read `HH:MM:SS` or `MM:SS` as seconds."""
        match = _CLOCK.fullmatch(self.text(name))
        if match is None:
            raise self.wrong(name, f"must be HH:MM:SS, is {self.text(name)!r}")
        return int(match[1] or 0) * 3600 + int(match[2]) * 60 + float(match[3])

    def one_of(self, name: str, known: Sequence[str]) -> str:
        """Read a text that is one of a few."""
        value = self.text(name)
        if value not in known:
            raise self.wrong(name, f"must be one of {', '.join(known)}, is {value!r}")
        return value

    def rows(self, name: str) -> Iterator["Row"]:
        """Read a list of records."""
        value = self._take(name)
        if not isinstance(value, list):
            raise self.wrong(name, "must be a list")
        for number, fields in enumerate(value):
            yield Row(self.path, f"{self.where}, {name}[{number}]", fields)

    def build(self, make: Callable[[], T]) -> T:
        """Build something of this row; what it refuses is told of the row."""
        try:
            return make()
        except DatasetError:
            raise
        except ValueError as exc:
            raise DatasetError(self.path, self.where, str(exc)) from exc

    def _take(self, name: str) -> Any:
        if name not in self._fields:
            raise self.wrong(name, "is missing")
        return self._fields[name]


def read_rows(path: Path) -> list[Row]:
    """Read a JSON list, a `.jsonl` file, or, with pyarrow installed, a `.parquet` one.

    Raises:
        DatasetError: It can't be read, or is none of these.
    """
    is_parquet = path.suffix == ".parquet"
    records = _read_parquet(path) if is_parquet else _read_json(path)
    if not isinstance(records, list) or not records:
        raise DatasetError(path, "", "must be a list of records, and not empty")
    return [Row(path, f"row {number}", fields) for number, fields in enumerate(records)]


def _read_json(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except (OSError, ValueError) as exc:
        raise DatasetError(path, "", f"can't be read as JSON: {exc}") from exc


def _read_parquet(path: Path) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")  # optional, and large
    except ImportError as exc:
        reason = "needs pyarrow (pip install pyarrow), or the same rows as JSON"
        raise DatasetError(path, "", reason) from exc
    try:
        return parquet.read_table(path).to_pylist()
    except (OSError, ValueError) as exc:
        raise DatasetError(path, "", f"can't be read as parquet: {exc}") from exc


def find_annotations(root: Path, names: Sequence[str]) -> Path:
    """Give the first of these files that is there.

    Raises:
        DatasetError: None is.
    """
    for name in names:
        if (root / name).is_file():
            return root / name
    raise DatasetError(root, "", f"has none of {', '.join(names)}")


def locate(root: Path, folders: Sequence[str], name: str) -> Path:
    """Give where a video is: in the first folder that has it, else in the first."""
    places = [root / folder / name for folder in folders]
    return next((place for place in places if place.is_file()), places[0])
