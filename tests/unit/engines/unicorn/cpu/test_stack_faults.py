"""Stacks that are no memory: faults of exception entry and return (DDI0403E B1.5.11)."""

from __future__ import annotations

from orchestrator.engines.common.cortex_m import CFSR_BITS
from orchestrator.events import CoreState

ENABLE_FAULTS = "poke SHCSR, 7 << 16, r10, r11"
REPORT = """
    keep_at CFSR, 0
    keep_at HFSR, 1
    keep_at BFAR, 2
    keep_at MMFAR, 3
    mrs r0, ipsr
    keep r0, 4
    ldr r0, [sp, #24]
    keep r0, 5
    ldr r0, [sp, #28]
    keep r0, 6
    b done
"""
FORCED = 1 << 30
BUS, MEM, USAGE, HARD = 5, 4, 6, 3
BARE = '    .section .vectors, "a"\nvectors: .word {sp}, {pc}, unexpected, {hard}\n .text\n'


def bits(names):
    return sum(1 << CFSR_BITS[name] for name in names)


def test_bad_stacks_are_stkerr(boot, core):
    machine = boot(
        "reset: ldr r0, =NOWHERE\n mov sp, r0\n svc 0\n"
        f"hard_fault: ldr r0, =stack_top\n mov sp, r0\n sub sp, #32\n{REPORT}",
        core=core,
    ).finish()
    cfsr, hfsr, _bfar, _mmfar, ipsr, _pc, _xpsr = machine.outs(7)
    assert (cfsr, hfsr, ipsr) == (bits(("STKERR",)), FORCED, HARD)
    assert machine.taken == ["HardFault"]


def test_with_busfault_enabled_a_bad_stack_is_a_busfault_and_the_exception_stays_pending(boot, core):
    machine = boot(
        f"""
reset:
    {ENABLE_FAULTS}
    poke SHPR2, 0x80000000
    ldr r0, =NOWHERE
    msr psp, r0
    mov r0, #2
    msr control, r0
    isb
    svc 0
    b unexpected
bus_fault:
    keep_at CFSR, 0
    keep_at SHCSR, 1
    keep lr, 2
    ldr r0, =psp_top - 32
    msr psp, r0
    ldr r1, =done
    str r1, [r0, #24]
    mov r1, #0x01000000
    str r1, [r0, #28]
    log 1
    bx lr
sv_call:
    log 2
    bx lr
""",
        core=core,
    ).finish()
    assert machine.trace == [1, 2]
    assert machine.out(0) == bits(("STKERR",))
    assert machine.out(1) & 0x8002 == 0x8002  # SVCALLPENDED, BUSFAULTACT
    assert machine.out(2) == 0xFFFFFFFD


def test_an_exception_of_higher_priority_than_its_stacking_fault_is_entered_first(boot, core):
    machine = boot(
        f"""
reset:
    {ENABLE_FAULTS}
    poke SHPR1, 0x00008000
    poke SHPR2, 0x10000000
    ldr r0, =NOWHERE
    msr psp, r0
    mov r0, #2
    msr control, r0
    isb
    svc 0
    b unexpected
sv_call:
    log 1
    ldr r0, =psp_top - 32
    msr psp, r0
    ldr r1, =done
    str r1, [r0, #24]
    mov r1, #0x01000000
    str r1, [r0, #28]
    bx lr
bus_fault:
    log 2
    bx lr
""",
        core=core,
    ).finish()
    assert machine.trace == [1, 2]


def test_a_bad_stack_on_the_way_to_hardfault_is_no_lockup(boot, core):
    """Stacking fails, HardFault is entered all the same: its handler may set a stack up."""
    machine = boot(
        "reset: ldr r0, =NOWHERE\n mov sp, r0\n udf 0\n"
        "hard_fault: ldr r0, =stack_top\n mov sp, r0\n keep_at CFSR, 0\n b done",
        core=core,
    ).finish()
    assert machine.out() == bits(("UNDEFINSTR", "STKERR"))


def test_an_initial_stack_outside_memory_faults_at_the_first_push(boot, core):
    machine = boot(
        f"{BARE.format(sp='NOWHERE', pc='reset', hard='hard_fault')}"
        "reset: nop\n\nat: push {r4}\nhard_fault: push {r4}",
        core=core,
    ).run_us(50)
    first = machine.faults[0]
    assert (first.status, first.address, first.symbol) == (("PRECISERR", "BFARVALID"), 0x2FFFFFFC, "at")
    assert machine.engine.state(core) == CoreState.LOCKED_UP


def test_a_return_to_a_stack_outside_memory_is_unstkerr_and_the_interrupt_is_over(boot, core):
    machine = boot(
        """
reset:
    poke NVIC_ISER, 1
    poke NVIC_ISPR, 1
    b unexpected
irq0:
    log 1
    ldr r0, =NOWHERE
    mov sp, r0
    bx lr
hard_fault:
    ldr r0, =stack_top
    mov sp, r0
    log 2
    keep_at CFSR, 0
    keep_at NVIC_IABR, 1
    keep_at NVIC_ISPR, 2
    keep lr, 3
    b done
""",
        core=core,
    ).finish()
    assert machine.trace == [1, 2]
    assert machine.outs(4) == [bits(("UNSTKERR",)), 0, 0, 0xFFFFFFF9]
