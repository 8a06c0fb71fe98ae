"""Which names of a script are state: all that a later access may read before it has bound them anew."""

from __future__ import annotations

import pytest

from orchestrator.engines.unicorn.devices.script_names import passing_names

PASSING = {
    "bound first": "if request.IsRead:\n    o = request.Offset\n    request.Value = o",
    "on both ways": "if request.IsRead:\n    o = 1\nelse:\n    o = 2\nrequest.Value = o",
    "of a loop": "for o in (1, 2):\n    request.Value = o",
    "with others": "o, other = 1, 2\nrequest.Value = o",
    "written only": "o = request.Value",
    "a function has one of its own": "def f():\n    o = 3\n    return o\no = f()\nrequest.Value = o",
}
STATE = {
    "read where it was not bound": "if request.IsWrite:\n    o = request.Value\nelse:\n    request.Value = o",
    "on one way only": "if request.IsRead:\n    o = 1\nrequest.Value = o",
    "in a loop that may not run": "for each in ():\n    o = each\nrequest.Value = o",
    "while": "while request.Value:\n    o = 0\nrequest.Value = o",
    "of a loop, after it": "for o in ():\n    pass\nrequest.Value = o",
    "changed in place": "o += 1",
    "read on the right": "o = o + 1",
    "read in an index": "o[0] = 1\no = [0]",
    "read by a function": "def f():\n    return o\no = 1\nrequest.Value = f()",
    "read by a comprehension": "o = 1\nrequest.Value = sum(o for _ in range(3))",
    "read by a lambda": "o = 1\nf = lambda: o",
    "asked for by its name": "o = 1\nrequest.Value = globals()['o']",
    "where an exception may come first": "try:\n    o = 1 // size\nexcept ZeroDivisionError:\n    request.Value = o",
    "bound by the way": "if (o := request.Value):\n    pass",
    "taken away": "del o",
}


@pytest.mark.parametrize("case", PASSING)
def test_what_is_bound_before_it_is_read_is_of_one_access(case):
    assert "o" in passing_names(PASSING[case], "script.py")


@pytest.mark.parametrize("case", STATE)
def test_what_may_be_read_before_is_state(case):
    assert "o" not in passing_names(STATE[case], "script.py")
