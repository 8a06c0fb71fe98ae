"""The first difference between two recordings, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from orchestrator.base.roles import ROLES
from orchestrator.base.words import counted
from orchestrator.recording.model import Recording

__all__ = ["first_difference"]


def first_difference(a: Recording, b: Recording, names: tuple[str, str] = ("A", "B")) -> str | None:
    """The first difference in words; None when there is none. Consoles are compared as they were masked."""
    return next(_differences(a, b, names), None)


def _differences(a: Recording, b: Recording, names: tuple[str, str]) -> Iterator[str]:
    for each, name in zip((a, b), names, strict=True):
        if not each.at_rest:
            yield f"{name} was not recorded at rest: {_words(each.rest)}"
        missed = each.recorded.get("messages_missed")
        if missed:
            yield f"{name} lacks {counted(missed, 'message')}, which went by too fast to be read"
    yield from _unequal("platform", a.platform, b.platform, names)
    for role in ROLES:
        yield from _unequal(f"{role}'s image", a.images.get(role, {}), b.images.get(role, {}), names)
    left, right = a.compared, b.compared
    yield from _unequal("masks of consoles (--mask)", sorted(set(a.masks)), sorted(set(b.masks)), names)
    yield from _consoles(left.consoles, right.consoles, names)
    yield from _sequences(left.messages, right.messages, "message", names)
    yield from _queue_differences(left.queues, right.queues, names)
    yield from _tables(left.table, right.table, names)
    yield from _lists("finding", left.findings, right.findings, names)
    yield from _lists("lost notification", left.lost_notifications, right.lost_notifications, names)


def _unequal(what: str, a: object, b: object, names: tuple[str, str]) -> Iterator[str]:
    if a != b:
        yield f"{what}: {names[0]} has {_words(a)}, {names[1]} has {_words(b)}"


def _words(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(each)}" for key, each in value.items()) or "nothing"
    return value if isinstance(value, str) else json.dumps(value)


def _both(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return sorted({*a, *b})


def _consoles(a: Mapping[str, Any], b: Mapping[str, Any], names: tuple[str, str]) -> Iterator[str]:
    for uart in _both(a, b):
        texts = [str(each.get(uart, "")) for each in (a, b)]
        left, right = (text.split("\n") for text in texts)
        for number, (mine, other) in enumerate(zip_longest(left, right), start=1):
            if mine != other:
                yield f"{uart}, line {number}: {names[0]} has {mine!r}, {names[1]} has {other!r}"
                break


def _sequences(a: Mapping[str, Any], b: Mapping[str, Any], what: str, names: tuple[str, str]) -> Iterator[str]:
    for key in _both(a, b):
        for index, (mine, other) in enumerate(zip_longest(a.get(key, ()), b.get(key, ())), start=1):
            if mine != other:
                yield from _unequal(f"{key}, {what} {index}", mine, other, names)
                break


def _queue_differences(a: Mapping[str, Any], b: Mapping[str, Any], names: tuple[str, str]) -> Iterator[str]:
    for ring in _both(a, b):
        left, right = a.get(ring, {}), b.get(ring, {})
        for index in ("avail.idx", "used.idx"):
            yield from _unequal(f"{ring} {index}", left.get(index), right.get(index), names)
        mine, other = left.get("buffers", {}), right.get("buffers", {})
        for address in _both(mine, other):
            yield from _unequal(f"{ring}, buffer at {address}", mine.get(address), other.get(address), names)


def _tables(a: Mapping[str, Any], b: Mapping[str, Any], names: tuple[str, str]) -> Iterator[str]:
    for role in _both(a, b):
        left, right = (bytes.fromhex(str(each.get(role, ""))) for each in (a, b))
        if len(left) != len(right):
            yield from _unequal(f"table as {role} sees it, bytes", len(left), len(right), names)
        for offset, (mine, other) in enumerate(zip(left, right, strict=False)):
            if mine != other:
                yield from _unequal(f"table as {role} sees it, byte {offset:#x}", f"{mine:02x}", f"{other:02x}", names)
                break


def _lists(what: str, a: Sequence[str], b: Sequence[str], names: tuple[str, str]) -> Iterator[str]:
    for name, own, other in ((names[0], a, b), (names[1], b, a)):
        rest = list(other)
        for each in own:
            if each in rest:
                rest.remove(each)
            else:
                yield f"{what}: only {name} has {each}"
                break
