from __future__ import annotations

import pytest

from conformance.compare import Result, judge
from conformance.images import CORE_TYPES
from conformance.transcript import COLD, Program, parse

M4 = CORE_TYPES["m4"]
MANUAL = ["== b 0x00000001", "== by DDI0403E B1", "one", "== seen", "one", "== end", "after the end"]


def result(reference: list[Program], seen: list[Program]) -> dict[str, Result]:
    return {case.name: case.result for case in judge(M4, reference, seen)}


def test_lines_belong_to_the_program_whose_mark_came_last() -> None:
    first, second = parse(["noise", "== a 0x00000000", "x 1", "y", *MANUAL])
    assert (first.name, first.number, first.lines, first.source) == ("a", 0, ["x 1", "y"], None)
    assert (second.expected, second.lines, second.source) == (["one"], ["one"], "DDI0403E B1")


@pytest.mark.parametrize(
    ("reference", "seen", "expected"),
    [
        (["x"], ["x"], Result.EQUAL),
        (["x"], ["y"], Result.DIFFERENT),
        (["x"], ["x", "x"], Result.DIFFERENT),
        ([], [], Result.DIFFERENT),
        (["-- hangs"], ["-- hangs"], Result.DIFFERENT),
    ],
)
def test_a_case_is_equal_when_both_print_the_same_lines_and_at_least_one(
    reference: list[str], seen: list[str], expected: Result
) -> None:
    assert result([Program("a", 0, reference)], [Program("a", 0, seen)]) == {"a": expected}


def test_a_program_that_only_one_side_ran_is_different() -> None:
    assert result([Program("a", 0, ["x"])], [Program("b", 1, ["x"])]) == {"a": Result.DIFFERENT, "b": Result.DIFFERENT}


def test_what_qemu_cannot_show_is_judged_by_the_lines_in_the_image() -> None:
    assert result([], parse(MANUAL)) == {"b": Result.MANUAL}
    assert result([], parse([*MANUAL[:4], "two"])) == {"b": Result.DIFFERENT}


def test_a_program_that_must_be_the_first_to_run_is_named_and_has_no_lines() -> None:
    programs = parse(["== a 0x00000000", "one", "== b 0x00000001", COLD, "two"])
    assert [(each.name, each.number, each.lines) for each in programs] == [("a", 0, ["one"]), ("b", 1, [])]
