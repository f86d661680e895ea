"""Reads a YAML file together with the line of every key, and fills in the environment.

`${NAME}` in a text is replaced by the environment variable of that name, `${file:PATH}`
by what is in a file, as secrets of containers are; `$${NAME}` stands for itself. What
was written in the file is kept beside it, so that a message
about a mistake can quote the file and never a secret from the environment.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from agent.errors import ConfigError, Mistake
from ingest.errors import redact

KeyPath = tuple[str, ...]

_FILE = "file:"
_VARIABLE = re.compile(r"\$(\$?)\{([^}]*)\}")


@dataclass(slots=True)
class ConfigFile:
    """What a config file says, and where.

    Attributes:
        source: Its name, for messages.
        data: Its content as plain objects, variables filled in.
        lines: The line of every key, from 1.
        written: Every scalar as it is written in the file.
        mistakes: What is wrong with the file itself.
        unset: Keys whose variables are missing.
    """

    source: str
    data: object = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    written: dict[KeyPath, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    unset: set[KeyPath] = field(default_factory=set)

    def line_of(self, path: KeyPath) -> int | None:
        """Give the line of a key, or of the nearest section around it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path)

    def note(self, path: KeyPath, text: str) -> None:
        """Note a mistake at a key."""
        key = ".".join(map(redact, path))  # an address may stand where a name should
        self.mistakes.append(Mistake(key, self.line_of(path), text))


def read_config_file(
    path: Path, environment: Mapping[str, str] = os.environ
) -> ConfigFile:
    """Read a YAML file; mistakes in it are noted, not raised, as far as possible.

    Raises:
        ConfigError: The file can't be read, or is not YAML at all.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise ConfigError(str(path), [Mistake("", None, reason)]) from exc
    except UnicodeDecodeError:
        mistake = Mistake("", None, "the file is not UTF-8 text")
        raise ConfigError(str(path), [mistake]) from None
    return _Reader(str(path), text, environment).read()


class _Reader(yaml.SafeLoader):
    """Walks the nodes of a document instead of building it in one go."""

    def __init__(self, source: str, text: str, environment: Mapping[str, str]) -> None:
        self._file = ConfigFile(source)
        self._environment = environment
        try:
            super().__init__(text)
        except yaml.YAMLError as exc:
            raise self._refuse(exc) from None

    def read(self) -> ConfigFile:
        try:
            node = self.get_single_node()
            if node is not None:
                self._file.data = self._value(node, ())
        except yaml.YAMLError as exc:
            raise self._refuse(exc) from None
        except RecursionError:
            mistake = Mistake("", None, "nested too deeply, or an anchor in itself")
            raise ConfigError(self._file.source, [mistake]) from None
        return self._file

    def _refuse(self, error: yaml.YAMLError) -> ConfigError:
        """Say where the YAML breaks; the snippet of PyYAML may hold a secret."""
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or "a character YAML does not allow"
        mistake = Mistake("", line, f"not valid YAML: {problem}")
        return ConfigError(self._file.source, [mistake])

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        self._file.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self._value(item, (*path, str(index))) for index, item in items]
        self._file.written[path] = node.value
        value: object = self.construct_object(node)
        return self._fill_in(value, path) if isinstance(value, str) else value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        names = [key.value for key, _ in node.value]
        self.flatten_mapping(node)  # `<<`: merged keys come first, own keys win
        values: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                self._file.mistakes.append(
                    Mistake(".".join(path), line, "a key must be a text")
                )
                continue
            below = (*path, key.value)
            self._file.lines[below] = key.start_mark.line + 1
            if names.count(key.value) > 1 and key.value in values:
                self._file.note(below, "this key is there twice")
            values[key.value] = self._value(value, below)
        return values

    def _fill_in(self, text: str, path: KeyPath) -> str:
        def replace(match: re.Match[str]) -> str:
            is_escaped, name = bool(match[1]), match[2]
            if is_escaped:
                return match[0][1:]
            if name.startswith(_FILE):
                return self._read(Path(name.removeprefix(_FILE)), path)
            if name not in self._environment:
                self._miss(path, f"the environment variable {name} is not set")
            return self._environment.get(name, "")

        return _VARIABLE.sub(replace, text)

    def _read(self, secret: Path, path: KeyPath) -> str:
        """Give what is in a file, without the line break at its end."""
        try:
            return secret.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or "not UTF-8 text"
            self._miss(path, f"the file {secret} can't be read: {reason}")
            return ""

    def _miss(self, path: KeyPath, reason: str) -> None:
        """Note that a key has nothing to be filled in with."""
        self._file.note(path, reason)
        self._file.unset.add(path)
