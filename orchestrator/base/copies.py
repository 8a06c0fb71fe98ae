"""Deep copies for snapshots: what :func:`copy.deepcopy` makes, in a fifth of the time where most of it is numbers.

Containers that hold nothing but numbers and texts, or tuples of such, are looked at and copied as a whole; what is
frozen is itself as long as nothing in it could change, as a tuple is.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection
from copy import deepcopy
from enum import Enum
from itertools import chain
from operator import attrgetter
from typing import Any

from orchestrator.base.dataclass import slots_of

__all__ = ["PLAIN", "Copies", "copied", "is_flat", "values_of"]

PLAIN = frozenset((int, bool, str, bytes, float, type(None)))
"""What never changes and holds nothing."""

_Kinds = frozenset[Any] | set[Any]
Memo = dict[int, Any]
_How = Callable[[Any, Memo], Any]
_MOST_KNOWN = 10_000  # objects that are kept from going
_NOTHING = object()
_TUPLES = frozenset((tuple,))


def is_flat(values: Collection[Any], atoms: _Kinds = PLAIN, tuples: _Kinds = _TUPLES) -> bool:
    """Whether nothing in it could change, or lead on: numbers and texts (``atoms``), and ``tuples`` of them."""
    if not values or atoms.issuperset(kinds := set(map(type, values))):
        return True
    kinds -= atoms
    if not tuples.issuperset(kinds):
        return False
    within = chain.from_iterable([each for each in values if type(each) in kinds])
    return atoms.issuperset(set(map(type, within)))


def copied(value: Any, memo: Memo) -> Any:
    """A deep copy; ``memo`` is :func:`copy.deepcopy`'s, so that what was shared is still shared."""
    kind = type(value)
    if kind in _atoms:
        return value
    known = memo.get(id(value), _NOTHING)
    if known is not _NOTHING:
        return known
    how = _how.get(kind) or _learn(kind)
    return how(value, memo)


class Copies:
    """Deep copies of one thing as time goes on: what was found never to change is not looked into again."""

    def __init__(self) -> None:
        self._unchanging: Memo = {}  # by id

    def copy(self, value: Any) -> Any:
        """As :func:`copied` makes it."""
        memo = dict(self._unchanging)
        made = copied(value, memo)
        known = {at: each for at, each in memo.items() if id(each) == at}
        self._unchanging = known if len(known) < _MOST_KNOWN else {}
        return made


def _learn(kind: type) -> _How:
    """How objects of a class that comes for the first time are copied."""
    slots = slots_of(kind)
    if issubclass(kind, Enum):
        _atoms.add(kind)
        return lambda value, _memo: value
    how: _How = deepcopy
    if slots is not None:
        how = _slotted(kind, *slots)
    elif issubclass(kind, tuple) and hasattr(kind, "_fields") and not kind.__dictoffset__:
        how = _tuple
        _tuples.add(kind)
    _how[kind] = how
    return how


def _flat(values: Collection[Any]) -> bool:
    return is_flat(values, _atoms, _tuples)


def _each(values: Collection[Any], memo: Memo) -> list[Any]:
    return [memo[at] if (at := id(each)) in memo else copied(each, memo) for each in values]


def _all(values: Collection[Any], memo: Memo) -> Collection[Any]:
    return values if _flat(values) else _each(values, memo)


def _dict(value: dict[Any, Any], memo: Memo) -> Any:
    if _flat(value.values()) and _flat(value):
        memo[id(value)] = made = value.copy()
        return made
    memo[id(value)] = made = {}
    made.update(zip(_all(value, memo), _all(value.values(), memo), strict=True))
    return made


def _counter(value: Counter[Any], memo: Memo) -> Any:
    if vars(value):
        return deepcopy(value, memo)
    made: Counter[Any] = Counter.__new__(Counter)
    memo[id(value)] = made
    dict.update(made, zip(_all(value, memo), _all(value.values(), memo), strict=True))
    return made


def _list(value: list[Any], memo: Memo) -> Any:
    if _flat(value):
        memo[id(value)] = made = value.copy()
        return made
    memo[id(value)] = made = []
    made += _each(value, memo)
    return made


def _deque(value: deque[Any], memo: Memo) -> Any:
    if _flat(value):
        memo[id(value)] = made = value.copy()
        return made
    memo[id(value)] = made = deque(maxlen=value.maxlen)
    made += _each(value, memo)
    return made


def _set(value: set[Any], memo: Memo) -> Any:
    if _flat(value):
        memo[id(value)] = made = value.copy()
        return made
    memo[id(value)] = made = set()
    made.update(_each(value, memo))
    return made


def _tuple(value: tuple[Any, ...], memo: Memo) -> Any:
    """Itself where nothing in it could change."""
    if _flat(value):
        return value
    items = _each(value, memo)
    if id(value) not in memo:  # else it holds itself, and has been copied on the way
        is_same = all(one is other for one, other in zip(items, value, strict=True))
        memo[id(value)] = value if is_same else tuple.__new__(type(value), items)  # named or not
    return memo[id(value)]


def values_of(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """What gives these attributes of an object."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _slotted(kind: type, names: tuple[str, ...], frozen: bool) -> _How:
    """Objects that are nothing but the values of these slots."""
    get = values_of(names)
    setters = [getattr(kind, name).__set__ for name in names]

    def slotted(value: Any, memo: Memo) -> Any:
        try:
            values = get(value)
        except AttributeError:  # a slot that is empty
            return deepcopy(value, memo)
        if frozen and _flat(values):
            memo[id(value)] = value
            return value
        made: Any = object.__new__(kind)
        memo[id(value)] = made
        copies = [each if type(each) in _atoms else copied(each, memo) for each in values]
        if frozen and all(one is other for one, other in zip(copies, values, strict=True)):
            memo[id(value)] = value
            return value
        for set_, each in zip(setters, copies, strict=True):
            set_(made, each)
        return made

    return slotted


_atoms: set[Any] = set(PLAIN)  # and enumerations that have come by
_tuples: set[Any] = set(_TUPLES)  # and named ones
_how: dict[type, _How] = {
    dict: _dict,
    Counter: _counter,
    list: _list,
    deque: _deque,
    set: _set,
    tuple: _tuple,
}
