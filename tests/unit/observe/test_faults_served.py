"""What became of a core's faults: served, taken again, or the end; limits from both sides."""

from __future__ import annotations

import pytest

from orchestrator.events import Fault
from orchestrator.observe.faults import Faults

PC, HARD_FAULT, USAGE_FAULT = 0x0800_0100, 3, 6


def fault(pc: int = PC) -> Fault:
    return Fault("HardFault", (), None, pc, "main", "svc", True, {}, ())


def take(faults: Faults, time_ns: int, *, number: int = HARD_FAULT, pc: int = PC, back: int | None = None) -> None:
    """One fault, its handler, and the return."""
    faults.see(time_ns, fault(pc))
    faults.enter(number)
    faults.leave(number, back)


@pytest.mark.parametrize(
    ("distance", "goes_on"), [(0, False), (1, True), (2, True), (4, True), (5, False), (-2, False)]
)
def test_a_return_right_behind_the_instruction_goes_on(distance: int, goes_on: bool) -> None:
    faults = Faults()
    take(faults, 10, back=PC + distance)
    (place,) = faults.places.values()
    assert faults.is_handled(place, 20) is goes_on
    faults.act()
    assert faults.is_handled(place, 20)


@pytest.mark.parametrize(("number", "is_of_the_fault"), [(2, False), (3, True), (6, True), (7, False)])
def test_the_handler_of_a_fault_is_of_a_fault_exception(number: int, is_of_the_fault: bool) -> None:
    faults = Faults()
    faults.see(10, fault())
    faults.enter(number)
    assert faults.open == [(PC, number if is_of_the_fault else None)]


@pytest.mark.parametrize(("times", "is_for_ever"), [(1_000, False), (1_001, True)])
def test_a_thousand_retries_in_a_row_are_for_ever(times: int, is_for_ever: bool) -> None:
    """The first of them is no retry."""
    faults = Faults()
    for time in range(times):
        take(faults, time, back=PC)
    (place,) = faults.places.values()
    assert (place.is_for_ever, place.count, place.retries) == (is_for_ever, times, times - 1)
    assert (place.time_ns, place.last_ns) == (0, times - 1)


def test_another_return_in_between_begins_the_row_anew() -> None:
    faults = Faults()
    for back in (PC, PC, PC + 2, PC):
        take(faults, 0, back=back)
    assert faults.places[PC].retries == 0
    take(faults, 0, back=PC)
    assert faults.places[PC].retries == 1


@pytest.mark.parametrize(("since", "is_handled"), [(9_999_999, True), (10_000_000, False)])
def test_a_handler_of_10_ms_does_not_come_back(since: int, is_handled: bool) -> None:
    faults = Faults()
    take(faults, 0, back=PC + 2)
    faults.see(100, fault())
    faults.enter(HARD_FAULT)
    assert faults.is_handled(faults.places[PC], 100 + since) is is_handled


def test_what_a_core_does_while_a_handler_runs_is_the_handlers() -> None:
    faults = Faults()
    take(faults, 0)
    faults.see(10, fault(PC + 8))
    faults.act()
    assert not faults.places[PC].resumed
    faults.enter(USAGE_FAULT)
    faults.leave(HARD_FAULT, None)
    assert faults.open
    faults.leave(USAGE_FAULT, None)
    faults.act()
    assert all(each.resumed for each in faults.places.values())
    assert faults.waiting == set()


def test_of_many_places_the_first_64_are_kept_and_of_open_ones_8() -> None:
    faults = Faults()
    for pc in range(70):
        faults.see(0, fault(PC + 2 * pc))
    faults.see(1, fault(PC))
    assert (len(faults.places), len(faults.open)) == (64, 8)
    assert faults.places[PC].count == 2


@pytest.mark.parametrize(
    ("exception", "acted", "resumed"),
    [
        (0, 11, True),
        (0, 10, False),
        (0, None, False),
        (HARD_FAULT, 11, False),
        (USAGE_FAULT, 11, False),
        (15, 11, True),
    ],
)
def test_where_no_return_is_told_of_the_core_went_on_if_it_did_something_later(
    exception: int, acted: int | None, resumed: bool
) -> None:
    faults = Faults()
    faults.see(10, fault())
    faults.enter(HARD_FAULT)
    faults.finish(exception, acted)
    assert faults.places[PC].resumed is resumed
    told = Faults()
    take(told, 10)
    told.see(10, fault())
    told.enter(HARD_FAULT)
    told.finish(0, 11)
    assert not told.places[PC].resumed
    silent = Faults()
    silent.see(10, fault())
    silent.finish(0, 11)
    assert not silent.places[PC].resumed
