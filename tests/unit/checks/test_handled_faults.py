"""A fault that its handler serves is counted; one that is taken for ever, or not left, is the error that it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.checks.finding import Finding, Severity
from orchestrator.checks.verdict import Verdict, judge
from orchestrator.events import CoreState, ExceptionReturn, ExceptionTaken, Fault, Frame, StateChanged
from tests.unit.checks.bench import FLASH, MAIN, REMOTE, Bench, Script, run

HARD = 3
PC = FLASH + 0x100
SVC = Fault("HardFault", ("FORCED",), None, PC, "switch", "SVC with PRIMASK set", False, {}, (Frame(PC, "switch"),))
MS = 1_000_000


def take(bench: Bench, fault: Fault = SVC) -> None:
    bench.emit(MAIN, fault)
    bench.emit(MAIN, ExceptionTaken(HARD, "HardFault", fault.pc))


def leave(bench: Bench, address: int | None) -> None:
    bench.emit(MAIN, ExceptionReturn(HARD, "HardFault", address))


def sleep(bench: Bench) -> None:
    bench.time_ns += 1000
    bench.emit(MAIN, StateChanged(CoreState.SLEEPING, "WFI"))


def of(verdict: Verdict, rule: str) -> list[Finding]:
    return [each for each in verdict.findings if each.rule == rule]


def is_note(verdict: Verdict) -> bool:
    """Whether the faults are a note; False: they are an error."""
    notes, errors = of(verdict, "core.fault-handled"), of(verdict, "core.fault")
    assert len(notes) + len(errors) == 1
    assert verdict.exit_code == len(errors)
    return bool(notes)


def test_faults_that_are_served_are_one_note_with_their_count() -> None:
    def serve(bench: Bench) -> None:
        for at in (PC, PC, PC + 0x40):
            take(bench, replace(SVC, pc=at))
            leave(bench, at + 2)

    verdict = run(after=serve)
    (note,) = of(verdict, "core.fault-handled")
    assert (note.severity, verdict.exit_code) == (Severity.NOTE, 0)
    assert "3 served, at 2 places" in note.actual
    assert [each.address for each in note.at] == [PC, PC + 0x40]
    main = verdict.to_json()["cores"]["main"]  # type: ignore[index, call-overload]
    assert (main["faults"], main["faults_handled"]) == (3, 3)


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("address", [PC, PC - 0x80, PC + 6, None])
def test_where_it_returns_elsewhere_the_core_has_to_go_on_with_its_work(address: int | None, goes_on: bool) -> None:
    def serve(bench: Bench) -> None:
        take(bench)
        leave(bench, address)
        if goes_on:
            sleep(bench)

    assert is_note(run(after=serve)) is goes_on


@pytest.mark.parametrize(("address", "is_served"), [(PC + 2, True), (PC + 4, True), (PC + 5, False)])
def test_a_return_behind_the_instruction_goes_on(address: int, is_served: bool) -> None:
    assert is_note(run(after=lambda bench: (take(bench), leave(bench, address)))) is is_served  # type: ignore[arg-type, func-returns-value]


def test_what_a_handler_does_before_it_returns_is_not_the_cores_work() -> None:
    def die(bench: Bench) -> None:
        take(bench)
        sleep(bench)

    assert not is_note(run(after=die))


@pytest.mark.parametrize(("rest_ms", "is_served"), [(5, True), (15, False)])
def test_a_fault_that_is_not_left_any_more_is_an_error_though_those_before_were(rest_ms: int, is_served: bool) -> None:
    def die(bench: Bench) -> None:
        take(bench)
        leave(bench, PC + 2)
        take(bench)

    assert is_note(run(after=die, rest_ns=rest_ms * MS)) is is_served


@pytest.mark.parametrize(("times", "is_served"), [(1000, True), (1001, False)])
def test_a_handler_that_returns_to_the_instruction_again_and_again_is_an_error(times: int, is_served: bool) -> None:
    def retry(bench: Bench) -> None:
        for _ in range(times):
            take(bench)
            leave(bench, PC)
        sleep(bench)

    verdict = run(after=retry)
    assert is_note(verdict) is is_served
    if not is_served:
        assert "its handler returns to the instruction" in of(verdict, "core.fault")[0].actual


def test_retries_count_in_a_row_only() -> None:
    def retry(bench: Bench) -> None:
        for _ in range(20):
            for _ in range(100):
                take(bench)
                leave(bench, PC)
            take(bench, replace(SVC, pc=PC + 0x40))
            leave(bench, PC + 0x42)
        sleep(bench)

    assert is_note(run(after=retry))


@pytest.mark.parametrize(
    ("goes_on", "exception", "is_served"), [(True, 0, True), (True, HARD, False), (False, 0, False)]
)
def test_an_engine_that_tells_of_no_return_shows_what_the_core_does_afterwards(
    goes_on: bool, exception: int, is_served: bool
) -> None:
    def fault(bench: Bench) -> None:
        take(bench)
        if goes_on:
            sleep(bench)

    bench = Bench(Script(after=fault))
    bench.run()
    bench.observer.finish(bench.time_ns, "timeout", exceptions={MAIN: exception})
    assert is_note(judge(bench.observer)) is is_served


def test_a_fault_within_a_fault_handler_is_left_first() -> None:
    def nest(bench: Bench) -> None:
        bench.emit(MAIN, replace(SVC, name="BusFault"))
        bench.emit(MAIN, ExceptionTaken(5, "BusFault", PC))
        take(bench, replace(SVC, pc=PC + 0x40))
        leave(bench, PC + 0x42)
        bench.emit(MAIN, ExceptionReturn(5, "BusFault", PC + 2))

    assert is_note(run(after=nest))


def test_each_core_has_its_own() -> None:
    def both(bench: Bench) -> None:
        take(bench)
        bench.emit(REMOTE, ExceptionReturn(HARD, "HardFault", PC + 2))

    assert not is_note(run(after=both))
