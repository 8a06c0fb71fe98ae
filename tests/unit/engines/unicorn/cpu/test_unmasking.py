"""What an instruction unmasks is taken right behind it (DDI0403E B1.5.6)."""

from __future__ import annotations

import pytest

UNMASKS = {
    "cpsie i": ("cpsid i", "cpsie i"),
    "msr primask": ("mov r6, #1\n msr primask, r6", "mov r6, #0\n msr primask, r6"),
    "cpsie f": ("cpsid f", "cpsie f"),
    "msr faultmask": ("mov r6, #1\n msr faultmask, r6", "mov r6, #0\n msr faultmask, r6"),
    "msr basepri": ("mov r6, #0x10\n msr basepri, r6", "mov r6, #0\n msr basepri, r6"),
    "msr basepri to a lower priority": ("mov r6, #0x10\n msr basepri, r6", "mov r6, #0xF0\n msr basepri, r6"),
}


@pytest.mark.parametrize("kind", UNMASKS)
def test_an_exception_is_taken_right_behind_the_instruction_that_unmasks_it(boot, core, kind):
    mask, unmask = UNMASKS[kind]
    machine = boot(
        f"""
reset:
    poke SHPR3, 0x80 << 16
    mov r4, #0
    {mask}
    poke ICSR, PENDSVSET
    mov r4, #1
    {unmask}
    add r4, #2
    b done
pend_sv:
    keep r4, 0
    bx lr
""",
        core=core,
    ).finish()
    assert machine.out() == 1
    assert machine.taken == ["PendSV"]


def test_a_masked_interrupt_that_comes_from_outside_waits_for_the_unmasking(boot, core):
    machine = boot(
        """
reset:
    poke NVIC_ISER, 1
    cpsid i
    poke PULLER, 1
    mov r4, #100
1:  subs r4, #1
    bne 1b
    log 1
    cpsie i
    log 3
    b done
irq0:
    poke PULLER, 0
    log 2
    bx lr
""",
        core=core,
    ).finish()
    assert machine.trace == [1, 2, 3]


def test_basepri_of_unimplemented_bits_only_masks_nothing(boot, core):
    """Four bits of priority: BASEPRI 0x0F is 0, which masks nothing (B1.4.3)."""
    machine = boot(
        "reset: mov r0, #0x0F\n msr basepri, r0\n poke ICSR, PENDSVSET\n b done\npend_sv: log 1\n bx lr", core=core
    )
    assert machine.finish().trace == [1]
