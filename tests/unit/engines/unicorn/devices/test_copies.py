"""Copies of what devices remember are those of the standard library, sharing included."""

from __future__ import annotations

import copy
import pickle
from collections import Counter, OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.unicorn.devices.copies import copied

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


@given(VALUES, st.data())
def test_a_copy_is_the_standard_one(value, data):
    again = data.draw(st.sampled_from([*containers(value), None]))  # once more in the same whole
    whole = [value, again, {"again": again}]
    made, expected = copied(whole, {}), copy.deepcopy(whole)
    assert pickle.dumps(repr(made)) == pickle.dumps(repr(expected))
    assert made == expected
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
