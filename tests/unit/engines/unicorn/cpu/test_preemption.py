"""Which exception is next: priorities, groups and what masks them (DDI0403E B1.5.4)."""

from __future__ import annotations

FIVE = """
reset:
    poke NVIC_IPR, {priorities:#x}
    poke NVIC_ISER, 0xF
    poke AIRCR, 0x05FA0000 + ({prigroup} << 8)
    {start}
    log 9
    b done
irq0:
    push {{r4, lr}}
    log 0
    {in_irq0}
    log 10
    pop {{r4, pc}}
irq1:
    push {{r4, lr}}
    log 1
    log 11
    pop {{r4, pc}}
irq2:
    push {{r4, lr}}
    log 2
    log 12
    pop {{r4, pc}}
irq3:
    push {{r4, lr}}
    log 3
    log 13
    pop {{r4, pc}}
"""


def order(boot, core, **parts):
    return boot(FIVE.format(**{"prigroup": 0, "in_irq0": "", **parts}), core=core).finish().trace


def test_pending_interrupts_are_taken_by_priority(boot, core):
    assert order(boot, core, priorities=0x10_30_20_40, start="poke NVIC_ISPR, 0xF") == [3, 13, 1, 11, 2, 12, 0, 10, 9]


def test_among_equal_priorities_the_lowest_number_is_first(boot, core):
    assert order(boot, core, priorities=0x20_20_20_20, start="poke NVIC_ISPR, 0xE") == [1, 11, 2, 12, 3, 13, 9]


def test_a_higher_priority_preempts_a_handler(boot, core):
    trace = order(boot, core, priorities=0x10_10_10_20, start="poke NVIC_ISPR, 1", in_irq0="poke NVIC_ISPR, 2")
    assert trace == [0, 1, 11, 10, 9]


def test_an_equal_priority_waits_for_the_handler_to_return(boot, core):
    trace = order(boot, core, priorities=0x20_20_20_20, start="poke NVIC_ISPR, 1", in_irq0="poke NVIC_ISPR, 2")
    assert trace == [0, 10, 1, 11, 9]


def test_within_a_priority_group_nothing_preempts_but_the_subpriority_orders(boot, core):
    """PRIGROUP 5: bits [7:6] are the group, [5:4] the subpriority."""
    parts = {"prigroup": 5, "priorities": 0x10_20_30_30, "start": "poke NVIC_ISPR, 1"}
    assert order(boot, core, in_irq0="poke NVIC_ISPR, 0xE", **parts) == [0, 10, 3, 13, 2, 12, 1, 11, 9]
    parts |= {"prigroup": 3}
    assert order(boot, core, in_irq0="poke NVIC_ISPR, 0xE", **parts) == [0, 3, 13, 2, 12, 10, 1, 11, 9]


def test_raising_the_priority_of_a_pending_interrupt_lets_it_preempt(boot, core):
    trace = order(
        boot,
        core,
        priorities=0x20_20_20_20,
        start="poke NVIC_ISPR, 1",
        in_irq0="poke NVIC_ISPR, 2\n log 7\n poke NVIC_IPR, 0x20201020\n log 8",
    )
    assert trace == [0, 7, 1, 11, 8, 10, 9]


def test_a_disabled_interrupt_pends_and_is_taken_when_enabled(boot, core):
    trace = order(
        boot,
        core,
        priorities=0,
        start="poke NVIC_ICER, 1\n poke NVIC_ISPR, 1\n log 7\n poke NVIC_ISER, 1\n log 8",
    )
    assert trace == [7, 0, 10, 8, 9]


def test_stir_pends_an_interrupt(boot, core):
    assert order(boot, core, priorities=0, start="poke STIR, 2\n log 7") == [2, 12, 7, 9]


def test_icpr_takes_a_pending_interrupt_back(boot, core):
    start = "cpsid i\n poke NVIC_ISPR, 6\n poke NVIC_ICPR, 2\n cpsie i"
    assert order(boot, core, priorities=0, start=start) == [2, 12, 9]


def test_basepri_masks_its_own_priority_and_lower(boot, core):
    start = "mov r0, #0x20\n msr basepri, r0\n poke NVIC_ISPR, 0xF\n log 7\n mov r0, #0\n msr basepri, r0"
    trace = order(boot, core, priorities=0x10_20_30_40, start=start)
    assert trace == [3, 13, 7, 2, 12, 1, 11, 0, 10, 9]
