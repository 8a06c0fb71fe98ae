"""Timers, watchdogs and DMA on the board: their moments in virtual time, on both cores, snapshots and resets."""

from __future__ import annotations

from itertools import pairwise

import pytest

from orchestrator.events import ExceptionTaken, StateChanged

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"

# TIM2 at 200 MHz: an update each 250 us; its handler counts. NVIC line 28.
TICKER = """
    ldr r4, =0xE000E100
    ldr r0, =1 << 28
    str r0, [r4]
    ldr r4, =0x40000000
    movs r0, #199
    str r0, [r4, #0x28]
    movs r0, #249
    str r0, [r4, #0x2C]
    movs r0, #1
    str r0, [r4, #0x14]
    movs r0, #0
    str r0, [r4, #0x10]
    movs r0, #1
    str r0, [r4, #0x0C]
    str r0, [r4]
wait:
    WAIT
    b wait

interrupt:
    ldr r4, =0x40000000
    movs r0, #0
    str r0, [r4, #0x10]
    ldr r4, =MARKS
    ldr r0, [r4]
    adds r0, r0, #1
    str r0, [r4]
    dsb
    bx lr
"""


def moments(rig) -> list[int]:
    return [e.time_ns for e in rig.events if isinstance(e.detail, ExceptionTaken) and e.detail.number == 16 + 28]


@pytest.mark.parametrize("core", [MAIN, REMOTE])
@pytest.mark.parametrize("wait", ["wfi", "nop", "", "movs r1, #1\n str r1, [sp, #-4]"])
def test_a_time_base_interrupts_to_the_instruction_however_the_core_waits(board, core, wait):
    program = TICKER.replace("WAIT", wait)
    rig = board(program, "b .") if core == MAIN else board("b .", program)
    rig.run_us(10_000)
    times = moments(rig)
    assert len(times) == 39
    steps = {b - a for a, b in pairwise(times)}
    assert all(abs(step - 250_000) <= 30 for step in steps), steps  # up to an instruction or two of a loop


@pytest.mark.parametrize("quantum_ns", [5_000, 20_000, 100_000])
def test_the_quantum_does_not_move_a_time_base(board, quantum_ns):
    rig = board("b .", TICKER.replace("WAIT", "wfi"), quantum_ns=quantum_ns)
    rig.run_us(2_000)
    first = moments(rig)[0]
    assert moments(rig) == [first + 250_000 * k for k in range(len(moments(rig)))]
    assert len(moments(rig)) == 7


def test_a_timer_goes_on_from_a_snapshot(board):
    rig = board(TICKER.replace("WAIT", "wfi"), "b .")
    rig.run_us(1_100)
    saved = rig.engine.snapshot()
    rig.run_us(2_000)
    count = rig.mark()
    rig.engine.restore(saved)
    assert rig.mark() < count
    rig.run_us(2_000)
    assert rig.mark() == count


def test_two_boards_with_the_same_timer_are_the_same(board):
    first, second = (board(TICKER.replace("WAIT", "nop"), TICKER.replace("WAIT", "wfi")) for _ in range(2))
    for rig in (first, second):
        rig.run_us(3_000)
    assert first.events == second.events


DOG = """
    ldr r4, =MARKS
    ldr r0, [r4]
    adds r0, r0, #1
    str r0, [r4]
    ldr r4, =0x58004800
    ldr r0, =0xCCCC
    str r0, [r4]
    ldr r0, =0x5555
    str r0, [r4]
    movs r0, #31
    str r0, [r4, #8]
    WAIT
    b .
"""


@pytest.mark.parametrize("wait", ["nop", "wfi", "cpsid i\n wfi"])
def test_a_watchdog_that_nobody_refreshes_resets_the_chip(board, wait):
    """RLR 31 and 4 ticks of LSI to a count: 4 ms."""
    rig = board(DOG.replace("WAIT", wait), "b .")
    rig.run_us(11_000)
    assert rig.mark() == 3
    (whys,) = {e.detail.why for e in rig.events if isinstance(e.detail, StateChanged) and "iwdg" in e.detail.why}
    assert whys == "system reset by iwdg1: it was not refreshed in time"


def test_a_watchdog_that_runs_is_foreseen_with_its_time_and_who_started_it(board):
    rig = board(DOG.replace("WAIT", "wfi"), "b .")
    rig.run_us(1_000)
    (coming,) = rig.engine.coming(1_000_000)
    assert (coming.device, coming.core) == ("iwdg1", "cpu_cm7")
    assert 4_000_000 <= coming.time_ns < 4_010_000


FED = """
    ldr r0, =0xAAAA
1:  ldr r1, =50000
2:  subs r1, r1, #1
    bne 2b
    str r0, [r4]
    b 1b
"""


def test_a_watchdog_that_is_fed_and_a_timer_that_ticks_are_not_waited_for(board):
    rig = board(DOG.replace("WAIT", FED), TICKER.replace("WAIT", "wfi"))
    rig.run_us(6_000)
    assert rig.engine.coming(5_000_000) == ()
    assert {each.device for each in rig.engine.coming(100_000)} >= {"iwdg1"}  # not lately: nothing tells


SENDER = """
    ldr r4, =0x40004800
    movs r0, #0x09
    str r0, [r4]
    movs r0, #0x80
    str r0, [r4, #8]
    ldr r4, =0x40020000
    movs r0, #6
    str r0, [r4, #0x2C]
    ldr r0, =0x40004828
    str r0, [r4, #0x30]
    ldr r0, =PLACE
    str r0, [r4, #0x34]
    ldr r1, =0x6C6C6568
    str r1, [r0]
    ldr r1, =0x210A6F
    str r1, [r0, #4]
    ldr r1, =0x451
    str r1, [r4, #0x28]
    b .
"""


@pytest.mark.parametrize(
    ("place", "core", "sent"),
    [
        (0x2400_0000, MAIN, b"hello\n"),
        (0x3000_0000, MAIN, b"hello\n"),
        (0x1000_0000, REMOTE, b"hello\n"),
        (0x2000_0000, MAIN, b""),  # DTCM is behind the Cortex-M7 (RM0399 2.1)
    ],
)
def test_dma_sends_from_memory_that_it_reaches(board, place, core, sent):
    program = SENDER.replace("PLACE", hex(place))
    rig = board(program, "b .") if core == MAIN else board("b .", program)
    rig.run_us(1000)
    assert rig.engine.consoles["usart3"].output == sent
