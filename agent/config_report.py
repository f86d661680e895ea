"""Turns what pydantic finds in a config into sentences for the person who wrote it.

Every sentence tells what was found and what is allowed. What is allowed is read from
the JSON schema of the models, so that it can't differ from what is checked.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from agent.config_file import ConfigFile, KeyPath
from agent.errors import ConfigError
from ingest.errors import redact

_Schema = Mapping[str, Any]

_HIDDEN = frozenset({"password", "username", "options"})
_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
    "object": "a section",
    "null": "null",
}


def report(
    file: ConfigFile, errors: Iterable[ErrorDetails], model: type[BaseModel]
) -> ConfigError:
    """Build the error that names every mistake of a file, in the order of its lines."""
    schema = model.model_json_schema()
    for error in errors:
        path = tuple(str(step) for step in error["loc"] if step != "[key]")
        if path not in file.unset:
            file.note(path, _explain(error, path, file, schema))
    ordered = sorted(file.mistakes, key=lambda mistake: mistake.line or 0)
    return ConfigError(file.source, ordered)


def _explain(
    error: ErrorDetails, path: KeyPath, file: ConfigFile, schema: _Schema
) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        allowed = list(_find(schema, path[:-1]).get("properties", {}))
        near = difflib.get_close_matches(path[-1], allowed, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"unknown key{hint}; allowed: {', '.join(allowed)}"
    if kind == "value_error":
        return redact(str(error["ctx"]["error"]))
    if error["loc"] and error["loc"][-1] == "[key]":
        (pattern,) = _find(schema, path[:-1]).get("patternProperties", {"": {}})
        return f"found the name {redact(path[-1])!r}, allowed: a text like {pattern}"
    allowed_here = _describe(_find(schema, path), schema)
    if kind == "missing":
        return f"missing; allowed: {allowed_here}"
    return f"found {_found(path, error, file)}, allowed: {allowed_here}"


def _found(path: KeyPath, error: ErrorDetails, file: ConfigFile) -> str:
    """Quote the file, never the environment, and no secret."""
    if _HIDDEN.intersection(path):
        return "something else (not shown)"
    value = error["input"]
    if isinstance(value, dict):
        return "an empty section" if not value else "a section"
    if isinstance(value, list):
        return "a list"
    if value is None or path not in file.written:
        return "nothing"
    written = redact(file.written[path])
    return repr(written) if isinstance(value, str) else written


def _find(schema: _Schema, path: KeyPath) -> _Schema:
    """Walk down the schema to a key; empty where it knows none."""
    found: _Schema = schema
    for step in path:
        found = _resolve(found, schema)
        if "items" in found:
            found = found["items"]
            continue
        any_key = list(found.get("patternProperties", {}).values())
        any_key += [found.get("additionalProperties")]
        below = found.get("properties", {}).get(step) or any_key[0]
        found = below if isinstance(below, Mapping) else {}
    return _resolve(found, schema)


def _resolve(found: _Schema, schema: _Schema) -> _Schema:
    while "$ref" in found:
        found = schema["$defs"][found["$ref"].rpartition("/")[2]]
    return found


def _describe(found: _Schema, schema: _Schema) -> str:
    """Say in words what a schema allows."""
    if "anyOf" in found:
        kinds = [_resolve(choice, schema) for choice in found["anyOf"]]
        return " or ".join(_describe(kind, schema) for kind in kinds)
    if "enum" in found:
        return f"one of {', '.join(str(choice) for choice in found['enum'])}"
    if "pattern" in found:
        return f"a text like {found['pattern']}"
    words = _KINDS.get(found.get("type", ""), "a value") + _range(found)
    if found.get("properties"):
        words += f" with {', '.join(found['properties'])}"
    if found.get("minProperties"):
        words += " with at least one entry"
    return words


def _range(found: _Schema) -> str:
    low, high = found.get("minimum"), found.get("maximum")
    above = found.get("exclusiveMinimum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f", {low} or more"
    words = f" above {above}" if above is not None else ""
    return words + (f", at most {high}" if high is not None else "")
