"""What one core does to another and what it stores behind that arrive in this order; a reset ends both."""

from __future__ import annotations

import pytest

from orchestrator.events import SYSTEM_RESET, StateChanged

QUANTA_NS = [1_000, 20_000, 333_000]

# After a while: an event for the other core, then a word.
SIGNAL_AND_STORE = """
    ldr r5, =MARKS
    movw r0, #3001
wait:
    subs r0, #1
    bne wait
    sev
    movs r1, #1
    str r1, [r5]
    b .
"""
# Polls the word; by then WFE finds the event and passes.
POLL_AND_PASS = """
    ldr r5, =MARKS
    movs r2, #7
poll:
    ldr r1, [r5]
    cmp r1, #0
    beq poll
    wfe
    str r2, [r5, #4]
    b .
"""


@pytest.mark.parametrize("quantum_ns", QUANTA_NS)
@pytest.mark.parametrize("main_signals", [True, False])
def test_an_event_is_there_before_what_its_sender_stored_behind_it(board, main_signals, quantum_ns):
    programs = (SIGNAL_AND_STORE, POLL_AND_PASS) if main_signals else (POLL_AND_PASS, SIGNAL_AND_STORE)
    rig = board(*programs, quantum_ns=quantum_ns)
    rig.run_us(2_000)
    assert rig.mark(1) == 7


# Semaphore 0 of HSEM, taken and freed (RM0399 11.3), interrupts the Cortex-M7; the first start then resets the chip.
RING_AND_RESET = """
    ldr r5, =MARKS
    ldr r6, =0xE000E20C   @ ISPR of interrupts 96 to 127
    ldr r0, [r6]
    str r0, [r5, #4]
    ldr r1, [r5]
    adds r1, #1
    str r1, [r5]
    cmp r1, #1
    bne done
    ldr r4, =0x58026400
    movs r0, #1
    str r0, [r4, #0x100]  @ C1IER
    ldr r0, [r4, #0x80]   @ RLR0: taken
    mov r0, #0x300
    str r0, [r4]          @ R0: freed
    dsb
    ldr r0, [r6]
    str r0, [r5, #8]
    ldr r0, =0xE000ED0C
    ldr r1, =0x05FA0004
    str r1, [r0]
done:
    b .
"""


def test_a_line_that_was_high_is_low_after_a_system_reset(board):
    rig = board(RING_AND_RESET)
    rig.run_us(200)
    resets = [each for each in rig.details(StateChanged) if each.why.startswith(SYSTEM_RESET)]
    assert (len(resets), rig.mark(0)) == (1, 2)
    assert rig.mark(2) == 1 << 125 - 96, "pending before"
    assert rig.mark(1) == 0, "pending after"


# Once the other core listens, and a little later: semaphore 0 is taken and freed, which interrupts the Cortex-M4.
RING_WHEN_HEARD = """
    ldr r5, =MARKS
poll:
    ldr r1, [r5]
    cmp r1, #0
    beq poll
    movw r0, #1500
wait:
    subs r0, #1
    bne wait
    ldr r4, =0x58026400
    ldr r0, [r4, #0x80]   @ RLR0: taken
    mov r0, #0x300
    str r0, [r4]          @ R0: freed
    movs r1, #1
    str r1, [r5, #4]
    b .
"""
# Clears what was rung again and again, before and after it is rung; then is anything pending?
CLEAR_FOR_A_WHILE = """
    ldr r5, =MARKS
    ldr r4, =0x58026400
    movs r1, #1
    str r1, [r4, #0x110]  @ C2IER
    str r1, [r5]
    movw r0, #50000
clear:
    str r1, [r4, #0x114]  @ C2ICR
    subs r0, #1
    bne clear
    ldr r6, =0xE000E28C   @ ICPR of interrupts 96 to 127
    mov r0, #0x40000000
    str r0, [r6]
    dsb
    ldr r0, [r6]
    str r0, [r5, #8]
    ldr r0, [r4, #0x118]  @ C2ISR
    str r0, [r5, #12]
    movs r1, #1
    str r1, [r5, #16]
    b .
"""


@pytest.mark.parametrize("quantum_ns", QUANTA_NS)
def test_a_line_is_low_where_its_core_has_cleared_what_another_one_ahead_of_it_rang(board, quantum_ns):
    rig = board(RING_WHEN_HEARD, CLEAR_FOR_A_WHILE, quantum_ns=quantum_ns)
    rig.run_us(3_000)
    assert (rig.mark(1), rig.mark(4)) == (1, 1), "rung, and cleared to the end"
    assert rig.mark(3) == 0, "freed"
    assert rig.mark(2) == 0, "pending"
