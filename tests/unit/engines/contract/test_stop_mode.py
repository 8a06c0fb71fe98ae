"""CStop of one core, seen and ended by the other: SCR.SLEEPDEEP, RCC_CR.D2CKRDY, HSEM (RM0399 ch. 7, 9, 21)."""

from __future__ import annotations

import pytest

from orchestrator.events import CoreState, GuestError

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"

SLEEPER = """
    ldr r4, =0x58026400
    movs r0, #1
    str r0, [r4, #0x110]
    sev
    wfe
    ldr r5, =0xE000ED10
    movs r0, #4
    str r0, [r5]
    wfe
    movs r0, #0
    str r0, [r5]
    ldr r6, =MARKS
    movs r0, #7
    str r0, [r6, #4]
    b .
"""

# Until the D2 domain stops, and then until it runs again after the semaphore was freed.
WAKER = """
    ldr r4, =0x58024400
    ldr r6, =MARKS
stopped:
    ldr r0, [r4]
    tst r0, #0x8000
    bne stopped
    movs r0, #1
    str r0, [r6]
    ldr r5, =PAUSE
pause:
    subs r5, r5, #1
    bne pause
    ldr r5, =0x58026400
    ldr r0, [r5, #0x80]
    mov r0, #0x300
    str r0, [r5]
running:
    ldr r0, [r4]
    tst r0, #0x8000
    beq running
    movs r0, #2
    str r0, [r6]
    b .
"""


@pytest.mark.parametrize("skip_idle_loops", [True, False])
@pytest.mark.parametrize("delay", [1, 50_000])
def test_a_core_waits_for_the_other_to_stop_and_wakes_it_by_a_semaphore(board, delay, skip_idle_loops):
    late = f"ldr r0, ={delay}\n0: subs r0, r0, #1\n bne 0b\n"
    rig = board(WAKER.replace("PAUSE", "5000"), late + SLEEPER, skip_idle_loops=skip_idle_loops)
    rig.run_us(3000)
    assert (rig.mark(0), rig.mark(1)) == (2, 7)


def test_the_loop_that_polls_the_domain_is_skipped_and_left_when_it_stops(board):
    rig = board(WAKER.replace("PAUSE", "5000"), "ldr r0, =200000\n0: subs r0, r0, #1\n bne 0b\n" + SLEEPER)
    rig.run_us(1000)
    assert rig.stands_idle(MAIN)
    rig.run_us(5000)
    assert (rig.mark(0), rig.mark(1)) == (2, 7)


def test_a_core_in_cstop_sleeps_on_while_nobody_frees_what_it_enabled(board):
    rig = board("b .", SLEEPER)
    rig.run_us(1000)
    assert rig.engine.state(REMOTE) is CoreState.SLEEPING


def test_plain_sleep_does_not_stop_the_domain(board):
    rig = board(WAKER.replace("PAUSE", "10"), SLEEPER.replace("movs r0, #4", "movs r0, #0"))
    rig.run_us(1000)
    assert rig.mark(0) == 0


STOPPED = "    ldr r4, =0x58024400\n0:  ldr r0, [r4]\n    tst r0, #0x8000\n    bne 0b\n"
SRAM3 = "    ldr r0, =0x30040000\n    str r0, [r0]\n"
SRAM3_CLOCK = "    ldr r0, =0x580244DC\n    ldr r1, =0x80000000\n    str r1, [r0]\n"


def refused(rig):
    return [(each.core, each.detail.address, each.detail.what) for each in rig.events
            if isinstance(each.detail, GuestError)]  # fmt: skip


def test_memory_of_a_stopped_domain_does_not_answer_the_other_core(board):
    """RM0399, PWR and RCC: the D2 domain is in DStop while its core is in CStop and the other has allocated nothing."""
    rig = board(STOPPED + SRAM3 + "b .", SLEEPER)
    rig.run_us(1000)
    what = "writes 4 bytes at 0x30040000, which the chip does not serve while RCC.CR.D2CKRDY is 0x0"
    assert refused(rig) == [(MAIN, 0x3004_0000, what)]


LATER = "ldr r5, =50000\n1: subs r5, r5, #1\n bne 1b\n"


@pytest.mark.parametrize(
    ("main", "remote"),
    [
        pytest.param(SRAM3_CLOCK + LATER + SRAM3 + "b .", SLEEPER, id="allocated"),
        pytest.param(LATER + SRAM3 + "b .", SLEEPER.replace("movs r0, #4", "movs r0, #0"), id="plain-sleep"),
        pytest.param(WAKER.replace("PAUSE", "10").removesuffix("    b .\n") + SRAM3 + "b .", SLEEPER, id="woken-again"),
    ],
)  # fmt: skip
def test_memory_of_a_domain_that_runs_answers(board, main, remote):
    rig = board(main, remote)
    rig.run_us(3000)
    assert refused(rig) == []
    assert rig.word(0x3004_0000, MAIN) == 0x3004_0000
