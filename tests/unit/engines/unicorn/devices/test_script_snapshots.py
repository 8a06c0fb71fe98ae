"""Snapshots of a script, taken and gone back to in any order, against a script that has only lived the one life."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.script_host import ScriptHost

from orchestrator.engines.unicorn.devices.script import ScriptDevice

# Each remembers in another way what has been written and how often it was read; its answer depends on all of it.
SCRIPTS = {
    "words in a table": (
        "words = {}\nreads = [0]\nTABLE = {0: (1, 2), 4: (3, 4)}",
        "reads[0] += 1\nrequest.Value = sum(words.values()) * 31 + len(words) + reads[0] * 7 + TABLE[0][1]",
        "words[request.Offset] = words.get(request.Offset, 0) * 3 + request.Value",
    ),
    "lists in lists": (
        "rows = [[0, 0], [0, 0]]\nalias = rows[1]",
        "rows[0][1] += 1\nalias[0] += 1\nrequest.Value = rows[0][0] * 1000 + rows[0][1] * 10 + rows[1][0]",
        "rows[request.Offset // 4 % 2][0] += request.Value\nrows.append([1])\nalias[1] = len(rows)",
    ),
    "plain names": (
        "total = 1",
        "total = total * 5 % 65521\nrequest.Value = total",
        "total += request.Value + request.Offset",
    ),
    "closures": (
        "def make():\n    kept = [0]\n    def add(by):\n        kept[0] = kept[0] * 3 + by\n        return kept[0]\n"
        "    return add\nadd = make()\nother = {'f': make()}",
        "request.Value = (add(1) ^ other['f'](2)) & 0xFFFF",
        "add(request.Value)",
    ),
    "defaults": (
        "def add(by, kept=[0]):\n    kept[0] = (kept[0] * 3 + by) & 0xFFFF\n    return kept[0]",
        "request.Value = add(1)",
        "add(request.Value)\nadd.__defaults__ = ([request.Offset],) if request.Value == 3 else add.__defaults__",
    ),
    "a class and instances": (
        "class Kept(object):\n    all = [0]\n    def __init__(self):\n        self.n = 0\n"
        "    def add(self, by):\n        self.n = self.n * 3 + by\n        self.all[0] += 1\n"
        "        return self.n * 7 + self.all[0]\nit = Kept()",
        "request.Value = it.add(1) & 0xFFFF",
        "it.add(request.Value)\nif request.Value == 3:\n    it = Kept()",
    ),
    "an iterator": (
        "it = iter(range(1000))",
        "request.Value = next(it)",
        "it = iter(range(request.Value, 1000))",
    ),
    "the number of the access": (
        "last = 0",
        "request.Value = last * 100 + request.Counter",
        "last = request.Counter",
    ),
    "names that come and go": (
        "seen = 1",
        "request.Value = len([each for each in globals() if each.startswith('late')]) + seen",
        "globals()['late' + str(request.Value)] = 1\nif request.Value == 3:\n    seen += 1",
    ),
    "equal values that are not the same": (
        "first = [0]\nsecond = first\non = True\ndef is_on():\n    return on is True",
        "first[0] += 1\nrequest.Value = first[0] * 100 + second[0] * 2 + is_on()",
        "second = list(first) if request.Value % 2 else first\non = 1 if on is True else True",
    ),
    "a value of a module's": (
        "from collections import deque, defaultdict\nlast = deque([], 3)\ncounts = defaultdict(int)",
        "counts[request.Offset] += 1\nrequest.Value = sum(last) + sum(counts.values()) * 100",
        "last.append(request.Value)",
    ),
}

BRANCHES = (("if", "IsInit"), ("elif", "IsRead"), ("elif", "IsWrite"))
Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "read", "look", "write", "write", "reset", "take", "take", "back", "back"]),
        st.integers(0, 7),
    ),
    max_size=25,
)


def device(kind: str) -> ScriptDevice:
    text = "".join(
        f"{keyword} request.{name}:\n" + "".join(f"    {line}\n" for line in body.splitlines())
        for keyword, name, body in zip(
            ("if", "elif", "elif"), ("IsInit", "IsRead", "IsWrite"), SCRIPTS[kind], strict=True
        )
    )
    return ScriptDevice(text, "x.py", 0x100, ScriptHost(), cores=["cpu"], nvics=[], initable=True)


def done(it: ScriptDevice, what: str, number: int) -> int | None:
    if what in ("read", "look"):
        return it.read(number * 4, 4, "cpu" if what == "read" else None)
    if what == "write":
        it.write(number * 4, 4, number, "cpu")
    elif what == "reset":
        it.reset()
    return None


def lived(kind: str, life: list[Step]) -> list[int]:
    """What a device that has only done this says to three reads then."""
    fresh = device(kind)
    fresh.read(0, 4, None)
    for what, number in life:
        done(fresh, what, number)
    return [fresh.read(0, 4, None) for _ in range(3)]


@pytest.mark.parametrize("kind", SCRIPTS)
@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_going_back_equals_never_having_gone_on(kind, steps):
    it = device(kind)
    it.read(0, 4, None)
    life: list[Step] = []
    taken: list[tuple[Any, list[Step]]] = []
    for what, number in steps:
        if what == "take":
            taken.append((it.snapshot(), list(life)))
        elif what == "back" and taken:
            state, life = taken[number % len(taken)]
            life = list(life)
            it.restore(state)
        elif what != "back":
            done(it, what, number)
            life.append((what, number))
    expected = lived(kind, life)
    last = it.snapshot()
    assert [it.read(0, 4, None) for _ in range(3)] == expected
    it.restore(last)
    assert [it.read(0, 4, None) for _ in range(3)] == expected
    for state, before in taken:  # and every state still says what it said
        it.restore(state)
        assert [it.read(0, 4, None) for _ in range(3)] == lived(kind, before)


def test_states_of_a_device_that_nobody_touched_are_one():
    it = device("words in a table")
    it.write(0, 4, 5, "cpu")
    state = it.snapshot()
    assert it.snapshot() is state
    it.restore(state)
    assert it.snapshot() is state
    it.read(0, 4, None)
    assert it.snapshot() is not state
    it.restore(state)
    assert it.snapshot() is state
