"""A validator for the part of JSON Schema (2020-12) that the report's schema uses; a keyword beyond that is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

__all__ = ["report_schema", "violations"]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_IGNORED = {"$schema", "$defs", "title", "description"}


def report_schema() -> dict[str, Any]:
    """The schema that comes with rptwin."""
    text = files("orchestrator").joinpath("report", "report.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def violations(
    value: Any, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None, at: str = "$"
) -> Iterator[str]:
    """What of a value is not as the schema says; nothing where all is."""
    root = schema if root is None else root
    for keyword, wanted in schema.items():
        if keyword not in _IGNORED:
            check = _CHECKS.get(keyword)
            assert check is not None, f"{keyword} is no keyword that is known here"
            yield from check(value, wanted, schema, root, at)


def _type(value: Any, wanted: Any, _schema: Any, _root: Any, at: str) -> Iterator[str]:
    names = wanted if isinstance(wanted, list) else [wanted]
    is_one = any(
        isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool)) for name in names
    )
    if not is_one:
        yield f"{at}: {value!r:.60} is no {' or '.join(names)}"


def _enum(value: Any, wanted: Any, _schema: Any, _root: Any, at: str) -> Iterator[str]:
    if value not in wanted:
        yield f"{at}: {value!r:.60} is none of {wanted}"


def _minimum(value: Any, wanted: Any, _schema: Any, _root: Any, at: str) -> Iterator[str]:
    if isinstance(value, int | float) and value < wanted:
        yield f"{at}: {value} is less than {wanted}"


def _required(value: Any, wanted: Any, _schema: Any, _root: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{at}: no {name}" for name in wanted if name not in value)


def _properties(value: Any, wanted: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    for name in wanted:
        if isinstance(value, dict) and name in value:
            yield from violations(value[name], wanted[name], root, f"{at}.{name}")


def _additional(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in value if isinstance(value, dict) else ():
        if name not in known and wanted is False:
            yield f"{at}: {name} is not in the schema"
        elif name not in known:
            yield from violations(value[name], wanted, root, f"{at}[{name!r}]")


def _items(value: Any, wanted: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    for index, each in enumerate(value if isinstance(value, list) else ()):
        yield from violations(each, wanted, root, f"{at}[{index}]")


def _any_of(value: Any, wanted: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    """Where none fits, what is wrong with the one that fits best."""
    found = [list(violations(value, each, root, at)) for each in wanted]
    if all(found):
        yield from min(found, key=len)


def _ref(value: Any, wanted: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    yield from violations(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, at)


_CHECKS: Mapping[str, Any] = {
    "type": _type,
    "enum": _enum,
    "minimum": _minimum,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "anyOf": _any_of,
    "$ref": _ref,
}
