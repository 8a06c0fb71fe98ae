"""Virtual time, SysTick and the cycle counter tell the same time, to the instruction."""

from __future__ import annotations

from itertools import pairwise

import pytest

from orchestrator.events import ExceptionTaken

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
HZ = {MAIN: 400_000_000, REMOTE: 200_000_000}
INSTRUCTIONS_PER_US = 100

START = """
    ldr r0, =0xE000EDFC
    ldr r1, =0x01000000
    str r1, [r0]
    ldr r4, =0xE0001000
    movs r1, #0
    str r1, [r4, #4]
    movs r1, #1
    str r1, [r4]
    ldr r5, =0xE000E010
    ldr r1, =0xFFFFFF
    str r1, [r5, #4]
    str r1, [r5, #8]
    movs r1, #5
    str r1, [r5]
"""


def alone(core: str, program: str) -> dict[str, str]:
    return {"main": program, "remote": "b ."} if core == MAIN else {"main": "b .", "remote": program}


@pytest.mark.parametrize("core", [MAIN, REMOTE])
def test_the_cycle_counter_and_systick_advance_alike_with_each_instruction(board, core):
    program = (
        START + "ldr r6, [r4, #4]\n ldr r7, [r5, #8]\n" + "nop\n" * 37 + "ldr r8, [r4, #4]\n ldr r9, [r5, #8]\n b ."
    )
    rig = board(**alone(core, program))
    rig.run_us(40)
    registers = rig.engine.registers(core)
    ticks = HZ[core] // 1_000_000 // INSTRUCTIONS_PER_US  # in the time of one instruction
    assert registers["R8"] - registers["R6"] == 39 * ticks
    assert registers["R7"] - registers["R9"] == 39 * ticks  # counts down


@pytest.mark.parametrize("core", [MAIN, REMOTE])
def test_a_delay_by_the_cycle_counter_takes_its_virtual_time(board, core):
    """1 ms by DWT CYCCNT, polled; then an event that carries the time."""
    cycles = HZ[core] // 1000
    program = f"""{START}
    ldr r0, ={cycles}
    ldr r1, [r4, #4]
    svc 1
wait:
    ldr r2, [r4, #4]
    subs r2, r2, r1
    cmp r2, r0
    blo wait
    svc 2
    b .
sv_call: bx lr
"""
    rig = board(**alone(core, program))
    rig.run_us(3_000)
    first, second = (event.time_ns for event in rig.events if isinstance(event.detail, ExceptionTaken))
    assert 0 <= second - first - 1_000_000 <= 100  # one round of the loop and the two calls


@pytest.mark.parametrize("core", [MAIN, REMOTE])
@pytest.mark.parametrize("waiting", ["b .", "again: wfi\n b again", "again: nop\n nop\n b again"])
def test_systick_interrupts_come_at_their_period_of_virtual_time(board, core, waiting):
    period_us = 250
    reload = HZ[core] // 1_000_000 * period_us - 1
    program = f"""
    ldr r5, =0xE000E010
    ldr r1, ={reload}
    str r1, [r5, #4]
    str r1, [r5, #8]
    movs r1, #7
    str r1, [r5]
    {waiting}
sys_tick: bx lr
"""
    rig = board(**alone(core, program))
    rig.run_us(10_000)
    times = [event.time_ns for event in rig.events if isinstance(event.detail, ExceptionTaken)]
    assert len(times) == 39
    assert all(later - earlier == period_us * 1000 for earlier, later in pairwise(times))


def test_the_cycle_counter_runs_on_while_the_core_sleeps(board):
    """From one interrupt to the next, with WFI between: the counter has advanced by the period."""
    program = f"""{START}
    ldr r1, =399999
    str r1, [r5, #4]
    str r1, [r5, #8]
    movs r1, #7
    str r1, [r5]
    wfi
    ldr r6, [r4, #4]
    wfi
    ldr r7, [r4, #4]
    b .
sys_tick: bx lr
"""
    rig = board(program)
    rig.run_us(3_000)
    registers = rig.engine.registers(MAIN)
    assert registers["R7"] - registers["R6"] == 400_000


@pytest.mark.parametrize("quantum_ns", [1_000, 20_000, 333_000])
def test_the_quantum_does_not_show_in_what_one_core_sees_of_time(board, quantum_ns):
    program = START + "movw r0, #4000\ndelay: subs r0, #1\n bne delay\n ldr r6, [r4, #4]\n ldr r7, [r5, #8]\n b ."
    rig = board(program, quantum_ns=quantum_ns)
    rig.run_us(999)
    registers = rig.engine.registers(MAIN)
    # 4 ticks to an instruction: from the stores that started the counters to the loads that read them
    assert registers["R6"] == 4 * (6 + 1 + 2 * 4000 + 1)
    assert 0xFF_FFFF - registers["R7"] == 4 * (1 + 2 * 4000 + 2) - 1  # the first tick loads SYST_RVR


def test_ten_seconds_asleep_are_ten_seconds(board):
    rig = board("again: wfi\n b again", "again: wfe\n b again")
    stop = rig.engine.run(10_000_000_000)
    assert stop.time_ns == 10_000_000_000
    assert rig.engine.instructions(MAIN) == 1_000_000_000
