"""Copies of what devices remember: what :func:`copy.deepcopy` makes, where most of it is numbers.

Containers that hold nothing but numbers and texts, or tuples of such, are looked at and copied as a whole.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from typing import Any

__all__ = ["PLAIN", "copied", "is_flat"]

PLAIN = frozenset((int, bool, str, bytes, float, type(None)))
"""What never changes and holds nothing."""

_PLAIN_AND_TUPLES = PLAIN | {tuple}
_NOTHING = object()


def is_flat(values: Collection[Any]) -> bool:
    """Whether nothing in it could change, or lead on: numbers and texts, and tuples of them."""
    kinds = set(map(type, values))
    if kinds <= PLAIN:
        return True
    return kinds <= _PLAIN_AND_TUPLES and all(
        PLAIN.issuperset(map(type, each)) for each in values if type(each) is tuple
    )


def copied(value: Any, memo: dict[int, Any]) -> Any:
    """A deep copy; ``memo`` is :func:`copy.deepcopy`'s, so that what was shared is still shared."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is not dict and kind is not list and kind is not tuple:
        return deepcopy(value, memo)
    known = memo.get(id(value), _NOTHING)
    if known is not _NOTHING:
        return known
    if kind is tuple:
        return _tuple(value, memo)
    made: Any
    if kind is list:
        made = memo[id(value)] = []
        made += value if is_flat(value) else [copied(each, memo) for each in value]
    else:
        made = memo[id(value)] = {}
        if is_flat(value.values()) and is_flat(value):
            made.update(value)
        else:
            for key, each in value.items():
                made[copied(key, memo)] = copied(each, memo)
    return made


def _tuple(value: tuple[Any, ...], memo: dict[int, Any]) -> Any:
    """Itself where nothing in it could change."""
    if is_flat(value):
        return value
    items = [copied(each, memo) for each in value]
    if id(value) not in memo:  # else it holds itself, and has been copied on the way
        is_same = all(one is other for one, other in zip(items, value, strict=True))
        memo[id(value)] = value if is_same else tuple(items)
    return memo[id(value)]
