"""Typed values as plain JSON values and back, by their annotations: dataclasses, enums, tuples, mappings, bytes.

A dataclass carries its name, so that a union of dataclasses is told apart and a frame of the wrong kind is refused.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.base.errors import EngineError

__all__ = ["MalformedError", "from_plain", "to_plain"]

_NAME = "!"
_PRIMITIVES = (bool, int, float, str)


class MalformedError(EngineError):
    """Bytes from the other process that mean nothing here; ``where`` is the path to the value."""


def to_plain(value: object) -> Any:
    """What ``json.dumps`` takes; :class:`TypeError` for a type that has no plain form."""
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, _PRIMITIVES):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {each.name: to_plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
        return {_NAME: type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return [[to_plain(key), to_plain(each)] for key, each in value.items()]
    if isinstance(value, tuple | list | frozenset):
        return [to_plain(each) for each in value]
    raise TypeError(f"no plain form of {type(value).__name__}")


def from_plain(expected: Any, plain: Any, where: str = "frame") -> Any:
    """The value of an annotated type; :class:`MalformedError` names the first place that does not fit."""
    if isinstance(expected, typing.ForwardRef):  # a type that contains itself: values of attributes
        return _untyped(plain, where)
    origin = typing.get_origin(expected)
    if origin in (types.UnionType, typing.Union):
        return _one_of(typing.get_args(expected), plain, where)
    if origin in (tuple, frozenset):
        return _sequence(origin, typing.get_args(expected), plain, where)
    if origin is not None and issubclass(origin, Mapping):
        key, value = typing.get_args(expected)
        pairs = [_list(each, where, 2) for each in _list(plain, where)]
        return {from_plain(key, k, where): from_plain(value, v, f"{where}[{k!r}]") for k, v in pairs}
    return _scalar(expected, plain, where)


def _scalar(expected: Any, plain: Any, where: str) -> Any:
    if expected is None or expected is type(None):
        if plain is None:
            return None
    elif dataclasses.is_dataclass(expected):
        return _dataclass(expected, plain, where)
    elif issubclass(expected, enum.Enum):
        try:
            return expected(plain)
        except ValueError:
            pass
    elif issubclass(expected, Path):
        if isinstance(plain, str):
            return Path(plain)
    elif expected is bytes:
        if isinstance(plain, str):
            with contextlib.suppress(binascii.Error, ValueError):
                return base64.b64decode(plain, validate=True)
    elif expected is float and type(plain) is int:
        return float(plain)
    elif type(plain) is expected:  # not isinstance: True is no number
        return plain
    raise _wrong(expected, plain, where)


def _one_of(choices: tuple[Any, ...], plain: Any, where: str) -> Any:
    for each in choices:
        if _may_be(each, plain):
            return from_plain(each, plain, where)
    raise _wrong(" | ".join(getattr(each, "__name__", str(each)) for each in choices), plain, where)


def _may_be(expected: Any, plain: Any) -> bool:
    """Whether this branch of a union is meant: told by the outermost value alone."""
    origin = typing.get_origin(expected)
    if origin is not None:
        return isinstance(plain, list)
    if expected is type(None):
        return plain is None
    if dataclasses.is_dataclass(expected):
        return isinstance(plain, dict) and plain.get(_NAME) == getattr(expected, "__name__", None)
    if issubclass(expected, enum.Enum | Path):
        return isinstance(plain, str)
    return type(plain) is expected


def _sequence(kind: type, arguments: tuple[Any, ...], plain: Any, where: str) -> Any:
    if kind is frozenset or (len(arguments) == 2 and arguments[1] is ...):
        return kind(from_plain(arguments[0], each, f"{where}[{i}]") for i, each in enumerate(_list(plain, where)))
    parts = _list(plain, where, len(arguments))
    return tuple(from_plain(arguments[i], each, f"{where}[{i}]") for i, each in enumerate(parts))


def _dataclass(expected: Any, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict) or plain.get(_NAME) != expected.__name__:
        raise _wrong(expected, plain, where)
    hints = _hints(expected)
    if plain.keys() != {_NAME, *hints}:
        raise MalformedError("other fields", where=f"{where}.{expected.__name__}", expected=", ".join(hints))
    return expected(**{name: from_plain(hint, plain[name], f"{where}.{name}") for name, hint in hints.items()})


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {each.name: hints[each.name] for each in dataclasses.fields(cls)}


def _untyped(plain: Any, where: str) -> Any:
    if isinstance(plain, list):
        return tuple(_untyped(each, where) for each in plain)
    if plain is None or isinstance(plain, _PRIMITIVES):
        return plain
    raise _wrong("a plain value", plain, where)


def _list(plain: Any, where: str, size: int | None = None) -> list[Any]:
    if not isinstance(plain, list) or (size is not None and len(plain) != size):
        raise _wrong("a list" if size is None else f"a list of {size}", plain, where)
    return plain


def _wrong(expected: Any, plain: Any, where: str) -> MalformedError:
    name = expected if isinstance(expected, str) else getattr(expected, "__name__", str(expected))
    found = plain.get(_NAME, "an object") if isinstance(plain, dict) else repr(plain)[:80]
    return MalformedError("not what belongs here", where=where, expected=name, found=found)
