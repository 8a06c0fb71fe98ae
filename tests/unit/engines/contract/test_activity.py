"""What a core is doing: exceptions that it is in, its last sleep, and where it runs."""

from __future__ import annotations

import pytest

from orchestrator.engines.contract import Capability
from orchestrator.events import Activity, ExceptionTaken

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
SYSTICK = """
    ldr r3, =0xE000E010
    ldr r4, =39999          @ 100 us at 400 MHz
    str r4, [r3, #4]
    movs r4, #0
    str r4, [r3, #8]
    movs r4, #7
    str r4, [r3]
"""
RETURN = "\n.thumb_func\nsys_tick: bx lr"
SPIN = """
    bl work
    b spin
    .type work, %function
    .thumb_func
work: movw r2, #40000
1:  subs r2, #1
    bne 1b
    bx lr
    .type spin, %function
    .thumb_func
spin: ldr r0, =0x58024400   @ a device, so that nothing proves that it never ends
    movs r6, #0
2:  adds r6, #1
    str r6, [r0, #0x60]
    bl wait
    b 2b
    .type wait, %function
    .thumb_func
wait: movs r2, #50
3:  subs r2, #1
    bne 3b
    bx lr
"""


def test_a_core_that_never_ran_does_nothing(board):
    rig = board()
    assert Capability.ACTIVITY in rig.engine.capabilities
    assert rig.engine.activity(MAIN) == Activity((), None, (), None)


def test_an_exception_is_told_with_when_and_where_it_came_in(board):
    rig = board("svc #0\n b .\n.thumb_func\nsv_call: b sv_call")
    rig.run_us(50)
    (svc,) = rig.engine.activity(MAIN).exceptions
    (taken,) = rig.details(ExceptionTaken)
    assert (svc.number, svc.name, svc.return_address) == (11, "SVCall", taken.return_address)
    assert svc.since_ns == rig.events[0].time_ns
    assert svc.symbol.startswith("start+")


def test_a_nested_exception_comes_behind_the_one_that_it_interrupts(board):
    lower = "ldr r0, =0xE000ED1C\n ldr r1, =0x80000000\n str r1, [r0]\n"  # SVCall at a lower priority
    program = f"{lower}{SYSTICK} svc #0\n b .\n.thumb_func\nsv_call: b sv_call\n.thumb_func\nsys_tick: b sys_tick"
    rig = board(program)
    rig.run_us(300)
    svc, tick = rig.engine.activity(MAIN).exceptions
    assert (svc.name, tick.name) == ("SVCall", "SysTick")
    assert tick.since_ns > svc.since_ns
    assert tick.symbol == "sv_call"


def test_an_exception_that_returned_is_over(board):
    rig = board("svc #0\n b .\n.thumb_func\nsv_call: bx lr")
    rig.run_us(50)
    assert rig.engine.activity(MAIN).exceptions == ()


@pytest.mark.parametrize(
    ("masks", "woken_by"), [("", "SysTick"), ("cpsid i\n", "SysTick, masked")], ids=["taken", "masked"]
)
def test_what_woke_a_core_from_wfi_is_told(board, masks, woken_by):
    rig = board(f"{SYSTICK}{masks} wfi\n b .{RETURN}")
    rig.run_us(60)
    sleep = rig.engine.activity(MAIN).sleep
    assert (sleep.how, sleep.woken_ns, sleep.woken_by) == ("WFI", None, "")
    rig.run_us(100)
    woken = rig.engine.activity(MAIN).sleep
    assert (woken.since_ns, woken.pc, woken.woken_by) == (sleep.since_ns, sleep.pc, woken_by)
    assert 100_000 < woken.woken_ns < 101_000
    assert rig.engine.memory(MAIN).read(woken.pc, 2) == b"\xfe\xe7"  # behind the WFI


def test_an_event_of_the_other_core_ends_wfe(board):
    rig = board("wfe\n b .", "movw r2, #5000\n 1: subs r2, #1\n bne 1b\n sev\n b .")
    rig.run_us(400)
    sleep = rig.engine.activity(MAIN).sleep
    assert (sleep.how, sleep.woken_by) == ("WFE", "event")
    assert sleep.woken_ns > sleep.since_ns
    assert rig.engine.activity(REMOTE).sleep is None
    assert [rig.engine.last_sleep(core) for core in (MAIN, REMOTE)] == [sleep, None]


def test_a_core_that_spins_is_in_its_loop_since_it_left_the_last_other_function(board):
    rig = board(SPIN)
    rig.run_us(5_000)
    activity = rig.engine.activity(MAIN)
    assert rig.engine.waiting(MAIN) is None
    assert {place.symbol for place in activity.places} <= {"spin", "wait"}
    (wait,) = (place for place in activity.places if place.symbol == "wait")
    assert wait.lowest <= wait.highest < wait.lowest + 8
    assert activity.elsewhere_ns == 800_000  # the last turn that ended in `work`, which takes 800.02 us


def test_a_restored_core_has_done_what_it_had_done(board):
    rig = board(f"{SYSTICK} wfi\n{SPIN}{RETURN}")
    rig.run_us(500)
    before, snapshot = rig.engine.activity(MAIN), rig.engine.snapshot()
    rig.run_us(3_000)
    assert rig.engine.activity(MAIN) != before
    rig.engine.restore(snapshot)
    assert rig.engine.activity(MAIN) == before
