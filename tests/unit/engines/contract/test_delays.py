"""A core that stands still for a time before a cycle of its clock: exactly there, exactly so long."""

from __future__ import annotations

import os

import pytest

from orchestrator.base.errors import EngineError
from orchestrator.events import ExceptionTaken

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"  # 100 instructions a microsecond each

STORES = "ldr r0, =MARKS\n movs r1, #7\n nop\n nop\n str r1, [r0]\n b ."
BUSY = "again: adds r10, #1\n b again"
TICKS = """
    ldr r0, =0xE000E010
    ldr r1, =3999
    str r1, [r0, #4]
    movs r1, #7
    str r1, [r0]
again: b again
sys_tick:
    ldr r0, =MARKS
    ldr r1, [r0]
    adds r1, #1
    str r1, [r0]
    bx lr
    .ltorg
"""


@pytest.mark.parametrize("duration_ns", [20_000, 200_000, 2_000_000])
def test_a_start_is_late_by_just_so_much(board, duration_ns):
    rig, late = board(BUSY), board(BUSY)
    late.engine.delay(MAIN, 0, duration_ns)
    rig.run_us(5_000)
    late.run_us(5_000)
    counted, then = (each.engine.registers(MAIN)["R10"] for each in (rig, late))
    assert abs((counted - then) - duration_ns * 100 // 1000 // 2) <= 1  # two instructions a round


def test_a_delay_comes_before_the_instruction_of_its_cycle_and_not_behind(board):
    first = next(cycle for cycle in range(1, 100) if delayed_store_is_late(board, cycle) is False)
    assert all(delayed_store_is_late(board, cycle) for cycle in range(first))
    assert not delayed_store_is_late(board, first + 1)


def delayed_store_is_late(board, cycle):
    rig = board(STORES)
    rig.engine.delay(MAIN, cycle, 100_000)
    rig.run_us(60)
    return rig.mark() == 0


def test_the_other_core_goes_on_meanwhile(board):
    rig = board(BUSY, BUSY)
    rig.engine.delay(MAIN, 4_000, 500_000)
    rig.run_us(500)
    assert rig.engine.registers(MAIN)["R10"] <= 2_000
    assert rig.engine.registers(REMOTE)["R10"] > 24_900


def test_exceptions_wait_and_timers_go_on(board):
    rig, late = board(TICKS), board(TICKS)
    late.engine.delay(MAIN, 2_000, 96_000)  # from 20 us to 116 us
    late.run_us(20)
    taken = late.mark()
    late.run_us(80)
    assert late.mark() == taken
    late.run_us(100)
    rig.run_us(200)
    ticks = [event.time_ns for event in late.events if isinstance(event.detail, ExceptionTaken)]
    assert not [each for each in ticks if 20_000 < each < 116_000]
    missed = [
        each for each in rig.events if isinstance(each.detail, ExceptionTaken) and 20_000 < each.time_ns < 116_000
    ]
    assert len(missed) > 5
    assert len(ticks) == rig.mark() - len(missed) + 1  # of those in the delay one is pending at its end


def test_a_core_that_sleeps_or_idles_is_delayed_too(board):
    for program in ("wfi\n b .", "b ."):
        rig = board(program)
        rig.engine.delay(MAIN, 100_000, 100_000)
        rig.run_us(3_000)
        assert rig.engine.time_ns == 3_000_000


def test_a_snapshot_in_the_middle_of_a_delay_goes_on_with_it(board):
    rig = board(BUSY)
    rig.engine.delay(MAIN, 40_000, 1_000_000)
    rig.run_us(500)
    before = rig.engine.snapshot()
    rig.run_us(1_000)
    counted = rig.engine.registers(MAIN)["R10"]
    rig.engine.restore(before)
    rig.run_us(1_000)
    assert rig.engine.registers(MAIN)["R10"] == counted
    assert counted <= 45_000


def test_a_cycle_that_has_passed_is_refused(board):
    rig = board(BUSY)
    rig.run_us(100)
    with pytest.raises(EngineError, match="a cycle that has passed: expected 10000 or later, found 9999"):
        rig.engine.delay(MAIN, 9_999, 1_000)


def test_a_copy_of_the_process_shares_no_memory_with_it(board):
    """What both cores see at several addresses as well."""
    rig = board("ldr r0, =MARKS\nagain: ldr r1, [r0]\n adds r1, #1\n str r1, [r0]\n b again")
    rig.run_us(100)
    here, there = os.pipe()
    before = rig.mark()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            rig.engine.part()
            os.write(there, b"x")
            rig.run_us(1_000)
            code = 0 if rig.mark() > before else 2
        finally:
            os._exit(code)
    os.read(here, 1)
    _pid, status = os.waitpid(pid, 0)
    os.close(here)
    os.close(there)
    assert os.waitstatus_to_exitcode(status) == 0
    assert rig.mark() == before
    rig.run_us(100)
    assert rig.mark() > before
