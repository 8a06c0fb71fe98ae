"""Clocks seen from instructions: exact to the slot, within a turn and across turns."""

from __future__ import annotations

from itertools import pairwise

import pytest

from orchestrator.events import ExceptionTaken

ON = "poke DWT_CTRL, 0x40000001"


def ticks(machine):
    return [event.time_ns for event in machine.events if isinstance(event.detail, ExceptionTaken)]


def test_cyccnt_counts_every_instruction(boot):
    machine = boot(
        f"""
reset:
    {ON}
    ldr r0, =CYCCNT
    ldr r1, [r0]
    ldr r2, [r0]
    nop
    nop
    nop
    ldr r3, [r0]
    sub r2, r1
    sub r3, r1
    keep r2, 0, r4
    keep r3, 1, r4
    b done
"""
    ).finish()
    assert machine.outs(2) == [1, 5]


def test_cyccnt_counts_at_its_own_frequency(boot):
    """200 MHz on a core of 100 instructions to the microsecond."""
    program = f"reset: {ON}\n ldr r0, =CYCCNT\n ldr r1, [r0]\n nop\n ldr r2, [r0]\n sub r2, r1\n keep r2, 0\n b done"
    assert boot(program, core="cpu_b").finish().out() == 4


def test_cyccnt_is_monotonic_across_turns_and_loses_nothing(boot):
    machine = boot(
        f"""
reset:
    {ON}
    ldr r0, =CYCCNT
    ldr r5, =5000
    mov r6, #0
    ldr r1, [r0]
1:  ldr r2, [r0]
    sub r3, r2, r1
    orr r6, r3
    mov r1, r2
    subs r5, #1
    bne 1b
    keep r6, 0
    b done
"""
    ).finish(1000)
    assert machine.out() == 6 | 1  # the first round is one instruction away, each other six


def test_cyccnt_stands_still_until_it_is_enabled_and_keeps_what_is_written(boot):
    machine = boot(
        f"reset: poke CYCCNT, 1000\n keep_at CYCCNT, 0\n {ON}\n poke DWT_CTRL, 0x40000000\n keep_at CYCCNT, 1\n b done"
    ).finish()
    assert machine.outs(2) == [1000, 1003]


@pytest.mark.parametrize("reload", [99, 1000, 12345])
def test_systick_comes_every_reload_plus_one_ticks_exactly(boot, core, reload):
    machine = boot(
        f"reset: poke SYST_CSR + 4, {reload}\n poke SYST_CSR + 8, 0\n poke SYST_CSR, 7\n1: b 1b\nsys_tick: bx lr",
        core=core,
        skip_idle_loops=True,
    ).run_us(1000)
    times = ticks(machine)
    period = (reload + 1) * {"cpu_a": 10, "cpu_b": 20}[core]
    assert len(times) == (1_000_000 - times[0]) // period + 1
    assert {second - first for first, second in pairwise(times)} <= {period}


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("quantum_ns", [1_000, 7_770, 20_000, 100_000])
def test_neither_the_quantum_nor_skipping_moves_a_tick(boot, quantum_ns, skip):
    program = "reset: poke SYST_CSR + 4, 777\n poke SYST_CSR + 8, 0\n poke SYST_CSR, 7\n1: b 1b\nsys_tick: bx lr"
    machine = boot(program, quantum_ns=quantum_ns, skip_idle_loops=skip).run_us(100)
    assert ticks(machine)[:12] == [7870 + 7780 * index for index in range(12)]


def test_the_systick_counter_is_exact_at_every_instruction(boot):
    machine = boot(
        """
reset:
    poke SYST_CSR + 4, 0xFFFF
    poke SYST_CSR + 8, 0
    poke SYST_CSR, 5
    ldr r0, =SYST_CSR
    ldr r1, [r0, #8]
    ldr r2, [r0, #8]
    nop
    nop
    ldr r3, [r0, #8]
    sub r2, r1, r2
    sub r3, r1, r3
    keep r2, 0, r4
    keep r3, 1, r4
    b done
"""
    ).finish()
    assert machine.outs(2) == [1, 4]


def test_countflag_is_set_at_zero_and_cleared_by_reading(boot):
    machine = boot(
        """
reset:
    poke SYST_CSR + 4, 50
    poke SYST_CSR + 8, 0
    poke SYST_CSR, 5
    mov r4, #100
1:  subs r4, #1
    bne 1b
    ldr r0, =SYST_CSR
    ldr r1, [r0]
    keep r1, 0
    ldr r1, [r0]
    b 1f
    .ltorg
1:  poke SYST_CSR, 4
    b done
"""
    ).finish()
    assert machine.out() == 0x10005


def test_a_systick_that_is_pended_by_a_read_of_its_control_is_not_lost(boot):
    machine = boot(
        """
reset:
    cpsid i
    poke SYST_CSR + 4, 30
    poke SYST_CSR + 8, 0
    poke SYST_CSR, 7
    ldr r0, =SYST_CSR
1:  ldr r1, [r0]
    tst r1, #0x10000
    beq 1b
    poke SYST_CSR, 0
    log 1
    cpsie i
    b done
sys_tick:
    log 2
    bx lr
"""
    ).finish()
    assert machine.trace == [1, 2]


def test_an_event_is_stamped_within_its_turn(boot):
    machine = boot("reset: .rept 1500\n nop\n .endr\n svc 0\n b done\nsv_call: bx lr").finish()
    assert ticks(machine) == [15_010]
