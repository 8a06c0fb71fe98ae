"""Copies of what devices remember are those of the standard library, sharing included."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict, deque
from dataclasses import field
from enum import Enum
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.copies import Copies, copied
from orchestrator.base.dataclass import dataclass

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=3)
KEYS = SCALARS | st.tuples(SCALARS, SCALARS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=2).map(OrderedDict)
        | st.sets(SCALARS, max_size=3)
        | st.binary(max_size=3).map(bytearray)
    ),
    max_leaves=12,
)


def containers(value: Any) -> list[Any]:
    """Everything in it that could change, in one order."""
    if isinstance(value, dict):
        return [value, *(each for part in value.values() for each in containers(part))]
    if isinstance(value, list | tuple):
        return [*([value] if isinstance(value, list) else []), *(each for part in value for each in containers(part))]
    return [value] if isinstance(value, set | bytearray) else []


def sharing(value: Any) -> list[int]:
    """Which of them are one and the same."""
    first: dict[int, int] = {}
    return [first.setdefault(id(each), number) for number, each in enumerate(containers(value))]


def kinds(value: Any) -> Any:
    """Its shape, with the exact class of everything in it."""
    if isinstance(value, dict):
        return type(value), [(kinds(key), kinds(each)) for key, each in value.items()]
    if isinstance(value, list | tuple | deque):
        return type(value), [kinds(each) for each in value]
    return type(value), repr(value) if isinstance(value, bool | int) else None


@given(st.lists(VALUES, max_size=4), st.data())
def test_copies_of_what_changes_between_them_are_the_standard_ones(values, data):
    copies = Copies()
    for _ in range(3):
        made = copies.copy(values)
        again = copy.deepcopy(values)
        assert made == again
        assert kinds(made) == kinds(again)
        assert sharing(made) == sharing(again)
        if changed := [each for each in containers(values) if isinstance(each, list)]:
            data.draw(st.sampled_from(changed)).append(data.draw(VALUES))


@given(VALUES, st.data())
def test_a_copy_is_the_standard_one(value, data):
    again = data.draw(st.sampled_from([*containers(value), None]))  # once more in the same whole
    whole = [value, again, {"again": again}]
    made, expected = copied(whole, {}), copy.deepcopy(whole)
    assert made == expected
    assert kinds(made) == kinds(whole)
    assert sharing(made) == sharing(expected) == sharing(whole)
    assert not {id(each) for each in containers(whole)} & {id(each) for each in containers(made)}


class Instance:
    def __init__(self, held: Any) -> None:
        self.held = held


def test_an_instance_shares_with_what_is_around_it():
    numbers = [1]
    holder, same = copied([Instance(numbers), numbers], {})
    assert holder.held is same
    same, holder = copied([numbers, Instance(numbers)], {})
    assert holder.held is same


@pytest.mark.parametrize("through", ["list", "dict", "tuple"])
def test_what_holds_itself_is_copied(through):
    looped: list[Any] = [1]
    looped.append({"list": looped, "dict": {"a": looped}, "tuple": (looped, 2)}[through])
    made = copied(looped, {})
    inner = made[1]
    assert made is not looped
    assert {"list": lambda: inner, "dict": lambda: inner["a"], "tuple": lambda: inner[0]}[through]() is made


def test_a_tuple_that_holds_itself_is_copied():
    inner: list[Any] = []
    outer = (inner, 1)
    inner.append(outer)
    made = copied(outer, {})
    assert made[0][0] is made
    assert made is not outer


def test_a_tuple_in_which_nothing_can_change_is_itself():
    value = (1, ("a", (b"b", None)))
    assert copied(value, {}) is value


def test_kinds_of_containers_are_kept():
    made = copied([OrderedDict(a=[1]), Counter("ab"), frozenset({1})], {})
    assert [type(each) for each in made] == [OrderedDict, Counter, frozenset]


class Side(Enum):
    ONE = [1]


@dataclass(frozen=True, slots=True)
class Frozen:
    a: int
    side: Side = Side.ONE
    held: Any = None


@dataclass(frozen=True, slots=True)
class More(Frozen):
    b: Any = ()


@dataclass(slots=True)
class Open:
    items: list[Any] = field(default_factory=list)
    late: Any = field(init=False)


@dataclass(slots=True)
class Holder:
    items: list[Any]
    seen: set[Any]
    counts: Counter[Any]
    last: deque[Any]


class Subclass(Frozen):  # has a dictionary besides its slots
    pass


def test_what_is_frozen_is_itself_as_long_as_nothing_in_it_could_change():
    frozen = More(1, Side.ONE, (Frozen(2), "a"), Frozen(3))
    assert copied(frozen, {}) is frozen
    assert copied([frozen, frozen], {})[1] is frozen


def test_what_is_frozen_around_something_that_changes_is_copied():
    numbers = [1]
    frozen = More(1, Side.ONE, Frozen(2, held=numbers), numbers)
    made = copied([frozen, numbers, frozen], {})
    assert made == [frozen, numbers, frozen]
    assert made[0] is made[2]
    assert made[0] is not frozen
    assert made[0].b is made[1]
    assert made[0].held.held is made[1]
    assert made[1] is not numbers


class Named(NamedTuple):
    a: Any
    b: Any = 1


def test_a_named_tuple_is_one_and_itself_where_nothing_could_change():
    value = Named((1, Side.ONE))
    assert copied(value, {}) is value
    value = Named([1])
    made = copied([value, value.a], {})
    assert type(made[0]) is Named
    assert made[0] == value
    assert made[0].a is made[1]
    assert made[0].a is not value.a


def test_slots_are_copied_with_all_that_is_in_them():
    holder = Holder([Frozen(1)], {Frozen(2), Side.ONE}, Counter({Frozen(3): 2}), deque([[1]], 4))
    made = copied(holder, {})
    assert made == holder
    assert made.last.maxlen == 4
    assert type(made.counts) is Counter
    for name in ("items", "seen", "counts", "last"):
        assert getattr(made, name) is not getattr(holder, name)
    made.last[0].append(2)
    assert holder.last[0] == [1]


def test_an_empty_slot_stays_empty():
    made = copied(Open([1]), {})
    assert made.items == [1]
    assert not hasattr(made, "late")


def test_what_holds_itself_through_slots_is_copied():
    looped = Open()
    looped.late = Frozen(1, held=looped)
    made = copied(looped, {})
    assert made.late.held is made
    assert made is not looped


def test_a_subclass_with_more_than_its_slots_is_left_to_the_standard_library():
    value = Subclass(1, held=[1])
    made = copied(value, {})
    assert type(made) is Subclass
    assert made == value
    assert made.held is not value.held


def test_copies_one_after_the_other_are_those_that_were_made_alone():
    copies, whole = Copies(), [Frozen(1, held=(2, 3)), deque([Frozen(4)], 3), Counter({(1, 2): 3})]
    for number in range(4):
        made = copies.copy(whole)
        assert made == whole == copied(whole, {})
        assert kinds(made) == kinds(copied(whole, {}))
        assert made[0] is whole[0]
        assert made[1] is not whole[1]
        whole[1].append(Frozen(number, held=(number,)))
        whole[2][(number, number)] += 1
        assert made != whole


def test_what_changes_inside_something_frozen_is_copied_each_time():
    copies, inner = Copies(), [1]
    whole = Frozen(1, held=(inner,))
    first = copies.copy(whole)
    inner.append(2)
    assert copies.copy(whole).held == ([1, 2],)
    assert first.held == ([1],)
