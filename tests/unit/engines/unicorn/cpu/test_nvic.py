"""Which exception is next (DDI0403E B1.5.4, B3.4), with no emulator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.common.bits import bits_of
from orchestrator.engines.common.cortex_m import exception_name
from orchestrator.engines.unicorn.cpu import nvic
from orchestrator.engines.unicorn.cpu.nvic import NO_PRIORITY, ExceptionState

IRQ = 16
CALM = (0, 0, 0)  # PRIMASK, BASEPRI, FAULTMASK


@pytest.fixture
def state() -> ExceptionState:
    """Forty inputs, four bits of priority, all inputs enabled."""
    state = ExceptionState(40, 0xF0)
    for index in (0, 1):
        state.enable_word(index, 0xFFFFFFFF, on=True)
    return state


def taken(state: ExceptionState, *masks: int) -> int | None:
    return state.takeable(state.execution_priority(*(masks or CALM)))


def test_nothing_is_taken_when_nothing_pends(state):
    assert taken(state) is None
    assert state.highest_pending() is None


def test_inputs_that_are_not_there_cannot_be_enabled_or_pended(state):
    state.enable_word(1, 0xFFFFFFFF, on=True)
    state.pend_word(1, 0xFFFFFFFF, on=True)
    assert state.word(state.enabled, 1) == 0xFF
    assert state.word(state.pending, 1) == 0xFF


def test_a_disabled_interrupt_is_not_taken(state):
    state.enable_word(0, 1, on=False)
    state.pend(IRQ)
    assert taken(state) is None
    state.enable_word(0, 1, on=True)
    assert taken(state) == IRQ


def test_configurable_faults_are_disabled_after_reset_and_hardfault_is_not():
    state = ExceptionState(8, 0xF0)
    names = [exception_name(number) for number in bits_of(state.enabled)]
    assert names == ["NMI", "HardFault", "SVCall", "DebugMonitor", "PendSV", "SysTick"]


def test_the_highest_priority_is_first_and_among_equals_the_lowest_number(state):
    for interrupt, priority in ((3, 0x40), (5, 0x20), (9, 0x20)):
        state.set_priority(IRQ + interrupt, priority)
        state.pend(IRQ + interrupt)
    order = []
    while (number := taken(state)) is not None:
        order.append(number - IRQ)
        state.enter(number)
        state.leave(number)
    assert order == [5, 9, 3]


def test_priorities_keep_their_implemented_bits_only(state):
    state.set_priority(IRQ, 0xFF)
    state.set_priority(nvic.HARD_FAULT, 0x50)
    assert (state.priority[IRQ], state.priority[nvic.HARD_FAULT]) == (0xF0, -1)


def test_an_interrupt_that_is_not_there_has_no_priority(state):
    before = list(state.priority)
    for number in (IRQ + 40, IRQ + 41):
        state.set_priority(number, 0x40)
    assert state.priority == before
    state.set_priority(IRQ + 39, 0x40)
    assert state.priority[IRQ + 39] == 0x40


@pytest.mark.parametrize("interrupt", [0, 3])
def test_what_a_line_holds_up_cannot_be_unpended(state, interrupt):
    state.set_line(interrupt, True)
    state.unpend(IRQ + interrupt)
    assert taken(state) == IRQ + interrupt
    state.set_line(interrupt, False)
    state.unpend(IRQ + interrupt)
    assert taken(state) is None


@pytest.mark.parametrize(("prigroup", "preempts"), [(0, True), (3, True), (4, True), (5, False), (7, False)])
def test_priority_grouping_decides_preemption(state, prigroup, preempts):
    state.set_priority_grouping(prigroup)
    state.set_priority(IRQ, 0x20)
    state.set_priority(IRQ + 1, 0x00)
    state.enter(IRQ)
    state.pend(IRQ + 1)
    assert (taken(state) == IRQ + 1) is preempts


def test_the_priorities_of_reset_nmi_and_hardfault_are_fixed(state):
    """DDI0403E B1.5.4."""
    numbers = (nvic.RESET, nvic.NMI, nvic.HARD_FAULT)
    for number in numbers:
        state.set_priority(number, 0x40)
    assert [state.priority[number] for number in numbers] == [-3, -2, -1]


def test_reset_nmi_and_hardfault_are_above_every_group(state):
    state.set_priority_grouping(7)
    state.enter(IRQ)
    state.pend(nvic.HARD_FAULT)
    assert taken(state) == nvic.HARD_FAULT
    state.enter(nvic.HARD_FAULT)
    state.pend(nvic.NMI)
    assert taken(state) == nvic.NMI


@pytest.mark.parametrize(
    ("masks", "priority"),
    [
        (CALM, NO_PRIORITY),
        ((1, 0, 0), 0),
        ((0, 0x40, 0), 0x40),
        ((0, 0x4F, 0), 0x40),
        ((0, 0x0F, 0), NO_PRIORITY),
        ((0, 0, 1), -1),
        ((1, 0x40, 1), -1),
    ],
)
def test_execution_priority_of_thread_mode_is_that_of_the_masks(state, masks, priority):
    assert state.execution_priority(*masks) == priority


def test_execution_priority_is_the_highest_of_all_active_exceptions(state):
    state.set_priority(IRQ, 0x20)
    state.set_priority(IRQ + 1, 0x80)
    state.enter(IRQ)
    state.enter(IRQ + 1)
    assert state.execution_priority(0, 0, 0) == 0x20
    state.leave(IRQ)
    assert state.execution_priority(0, 0, 0) == 0x80


def test_basepri_is_compared_by_group(state):
    state.set_priority_grouping(5)
    state.set_priority(IRQ, 0x40)
    state.pend(IRQ)
    assert taken(state, 0, 0x70, 0) is None
    assert taken(state, 0, 0x80, 0) == IRQ


def test_a_level_pends_again_as_long_as_it_is_high(state):
    state.set_line(3, True)
    state.enter(IRQ + 3)
    assert taken(state) is None
    state.leave(IRQ + 3)
    assert taken(state) == IRQ + 3
    state.set_line(3, False)
    state.enter(IRQ + 3)
    state.leave(IRQ + 3)
    assert taken(state) is None


def test_a_pulse_stays_pending_until_it_is_taken(state):
    state.set_line(3, True)
    state.set_line(3, False)
    assert taken(state) == IRQ + 3


def test_a_pulse_during_the_handler_pends_once_more(state):
    state.set_line(3, True)
    state.set_line(3, False)
    state.enter(IRQ + 3)
    state.set_line(3, True)
    state.set_line(3, False)
    state.leave(IRQ + 3)
    assert taken(state) == IRQ + 3


def test_the_same_level_told_twice_is_no_edge(state):
    state.set_line(3, True)
    state.enter(IRQ + 3)
    state.set_line(3, True)
    assert not state.pending


def test_unpending_does_not_hold_against_a_line_that_is_high(state):
    """ICPR has no effect while the interrupt is asserted (B3.4.6)."""
    state.set_line(3, True)
    state.pend_word(0, 1 << 3, on=False)
    assert taken(state) == IRQ + 3
    state.set_line(3, False)
    state.pend_word(0, 1 << 3, on=False)
    assert taken(state) is None


def test_unpending_an_active_interrupt_waits_for_its_return(state):
    state.set_line(3, True)
    state.enter(IRQ + 3)
    state.pend(IRQ + 3)
    state.pend_word(0, 1 << 3, on=False)
    assert not state.pending
    state.leave(IRQ + 3)
    assert taken(state) == IRQ + 3


def test_reset_forgets_everything_but_the_lines(state):
    state.set_line(3, True)
    state.enter(IRQ + 3)
    state.set_priority(IRQ + 3, 0x80)
    state.set_priority_grouping(5)
    state.reset()
    assert (state.active, state.priority[IRQ + 3], state.group_shift) == (0, 0, 1)
    assert state.pending == 1 << IRQ + 3
    assert taken(state) is None  # not enabled


@pytest.mark.parametrize(
    ("masks", "wakes"),
    [(CALM, True), ((1, 0, 0), True), ((0, 0x40, 0), False), ((0, 0, 1), False), ((1, 0x90, 0), True)],
)
def test_wfi_wakes_as_if_primask_were_clear(state, masks, wakes):
    state.set_priority(IRQ, 0x80)
    state.pend(IRQ)
    assert (state.wakes(masks[1], masks[2]) is not None) is wakes


def test_a_fault_can_be_taken_when_it_is_enabled_and_preempts(state):
    assert not state.can_take(nvic.BUS_FAULT, NO_PRIORITY)
    state.set_fault_enables(1 << 17)
    assert state.can_take(nvic.BUS_FAULT, NO_PRIORITY)
    assert not state.can_take(nvic.USAGE_FAULT, NO_PRIORITY)
    assert not state.can_take(nvic.BUS_FAULT, 0)
    state.set_fault_enables(0)
    assert not state.can_take(nvic.BUS_FAULT, NO_PRIORITY)


def test_a_copy_goes_its_own_way(state):
    saved = state.save()
    state.pend(IRQ)
    state.set_priority(IRQ, 0x40)
    state.restore(saved)
    state.set_priority(IRQ + 1, 0x40)
    assert (state.pending, state.priority[IRQ], saved.priority[IRQ + 1]) == (0, 0, 0)


@pytest.mark.parametrize(("number", "name"), [(3, "HardFault"), (11, "SVCall"), (16, "IRQ 0"), (9, "exception 9")])
def test_exceptions_are_called_what_the_architecture_calls_them(number, name):
    assert exception_name(number) == name


NUMBERS = st.sets(st.integers(16, 55))


@given(
    pending=NUMBERS,
    enabled=NUMBERS,
    active=st.sets(st.integers(16, 55), max_size=3),
    priorities=st.lists(st.integers(0, 255), min_size=40, max_size=40),
    prigroup=st.integers(0, 7),
    primask=st.integers(0, 1),
    basepri=st.integers(0, 255),
    faultmask=st.integers(0, 1),
)
def test_the_choice_is_that_of_the_manual_spelt_out(
    pending, enabled, active, priorities, prigroup, primask, basepri, faultmask
):
    state = ExceptionState(40, 0xF0)
    state.set_priority_grouping(prigroup)
    for number, priority in enumerate(priorities, 16):
        state.set_priority(number, priority)
    for number in pending:
        state.pend(number)
    for number in active:
        state.set_active(number, True)
    for number in enabled:
        state.enable_word((number - 16) // 32, 1 << (number - 16) % 32, on=True)

    def group(priority: int) -> int:
        return priority // 2 ** (prigroup + 1)

    limits = [256 if prigroup == 7 else group(256)]
    limits += [group(priorities[number - 16] & 0xF0) for number in active]
    limits += [group(basepri & 0xF0)] if basepri & 0xF0 else []
    limits += [0] if primask else []
    limits += [-1] if faultmask else []
    candidates = sorted((priorities[number - 16] & 0xF0, number) for number in pending & enabled)
    expected = candidates[0][1] if candidates and group(candidates[0][0]) < min(limits) else None
    assert taken(state, primask, basepri, faultmask) == expected
