"""Deep copies for snapshots: what :func:`copy.deepcopy` makes, in a fifth of the time where most of it is numbers.

Containers that hold nothing but numbers and texts, or tuples of such, are looked at and copied as a whole; what is
frozen is itself as long as nothing in it could change, as a tuple is.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Set
from copy import deepcopy
from enum import Enum
from operator import attrgetter
from typing import Any

from orchestrator.base.dataclass import slots_of

__all__ = ["PLAIN", "copied", "is_flat"]

PLAIN = frozenset((int, bool, str, bytes, float, type(None)))
"""What never changes and holds nothing."""

Memo = dict[int, Any]
_How = Callable[[Any, Memo], Any]
_NOTHING = object()
_TUPLES = {tuple}


def is_flat(values: Collection[Any], atoms: Set[Any] = PLAIN) -> bool:
    """Whether nothing in it could change, or lead on: numbers and texts (``atoms``), and tuples of them."""
    kinds = set(map(type, values)).difference(atoms)
    if not kinds:
        return True
    return kinds == _TUPLES and not any(
        set(map(type, each)).difference(atoms) for each in values if type(each) is tuple
    )


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
    _how[kind] = how
    return how


def _dict(value: dict[Any, Any], memo: Memo) -> Any:
    made: dict[Any, Any] = {}
    memo[id(value)] = made
    if is_flat(value.values(), _atoms) and is_flat(value, _atoms):
        made.update(value)
    else:
        for key, each in value.items():
            made[copied(key, memo)] = copied(each, memo)
    return made


def _counter(value: Counter[Any], memo: Memo) -> Any:
    if vars(value):
        return deepcopy(value, memo)
    made: Counter[Any] = Counter()
    memo[id(value)] = made
    dict.update(made, {copied(key, memo): copied(each, memo) for key, each in value.items()})
    return made


def _list(value: list[Any], memo: Memo) -> Any:
    made: list[Any] = []
    memo[id(value)] = made
    made += value if is_flat(value, _atoms) else [copied(each, memo) for each in value]
    return made


def _deque(value: deque[Any], memo: Memo) -> Any:
    made: deque[Any] = deque(maxlen=value.maxlen)
    memo[id(value)] = made
    made.extend(value if is_flat(value, _atoms) else [copied(each, memo) for each in value])
    return made


def _set(value: set[Any], memo: Memo) -> Any:
    made: set[Any] = set()
    memo[id(value)] = made
    made.update(value if is_flat(value, _atoms) else [copied(each, memo) for each in value])
    return made


def _tuple(value: tuple[Any, ...], memo: Memo) -> Any:
    """Itself where nothing in it could change."""
    if is_flat(value, _atoms):
        return value
    items = [copied(each, memo) for each in value]
    if id(value) not in memo:  # else it holds itself, and has been copied on the way
        is_same = all(one is other for one, other in zip(items, value, strict=True))
        memo[id(value)] = value if is_same else tuple.__new__(type(value), items)  # named or not
    return memo[id(value)]


def _values_of(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _slotted(kind: type, names: tuple[str, ...], frozen: bool) -> _How:
    """Objects that are nothing but the values of these slots."""
    get = _values_of(names)
    setters = [getattr(kind, name).__set__ for name in names]

    def slotted(value: Any, memo: Memo) -> Any:
        try:
            values = get(value)
        except AttributeError:  # a slot that is empty
            return deepcopy(value, memo)
        if frozen and is_flat(values, _atoms):
            return value
        made: Any = object.__new__(kind)
        memo[id(value)] = made
        copies = [copied(each, memo) for each in values]
        if frozen and all(one is other for one, other in zip(copies, values, strict=True)):
            memo[id(value)] = value
            return value
        for set_, each in zip(setters, copies, strict=True):
            set_(made, each)
        return made

    return slotted


_atoms: set[Any] = set(PLAIN)  # and enumerations that have come by
_how: dict[type, _How] = {
    dict: _dict,
    Counter: _counter,
    list: _list,
    deque: _deque,
    set: _set,
    tuple: _tuple,
}
