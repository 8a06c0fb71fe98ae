"""Timers and watchdogs of the STM32 on the bench: a clock moved by hand (RM0399 ch. 40 to 44, 49)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.device_host import DeviceHost

from orchestrator.engines.unicorn.devices.stm32.iwdg import Stm32Iwdg
from orchestrator.engines.unicorn.devices.stm32.timer import Stm32Timer

CR1, SMCR, DIER, SR, EGR, CNT, PSC, ARR, RCR, CCR1, CCR2 = 0, 8, 0xC, 0x10, 0x14, 0x24, 0x28, 0x2C, 0x30, 0x34, 0x38
CEN, UDIS, URS, OPM, ARPE = 1, 2, 4, 8, 0x80
UIF, CC1IF, CC2IF = 1, 2, 4


class SteppedClock:
    """Stands until it is moved, and stops on the way wherever the device asked to be woken."""

    def __init__(self) -> None:
        self.tick = 0
        self.asked: list[int] = []

    def now(self) -> int:
        return self.tick

    def wake_at(self, tick: int) -> None:
        self.asked.append(tick)


class TimerBench:
    def __init__(self, limit: int = 0xFFFF, *, split: bool = False) -> None:
        self.host, self.clock = DeviceHost(), SteppedClock()
        self.levels: list[tuple[int, bool]] = []
        self.compared: list[bool] = []
        updated = lambda level: self.levels.append((self.clock.tick, level))  # noqa: E731
        self.timer = Stm32Timer(self.host, self.clock, limit, updated, self.compared.append if split else None)

    def get(self, offset: int) -> int:
        return self.timer.read(offset, 4, "cpu")

    def put(self, **registers: int) -> None:
        for name, value in registers.items():
            self.timer.write(globals()[name.upper()], 4, value, "cpu")

    def advance(self, ticks: int) -> None:
        end = self.clock.tick + ticks
        while due := [at for at in self.clock.asked if at <= end]:
            self.clock.asked.remove(min(due))
            self.clock.tick = max(self.clock.tick, min(due))
            self.timer.wake()
        self.clock.tick = end


def test_a_time_base_interrupts_at_each_update_and_not_before():
    bench = TimerBench()
    bench.put(psc=9, arr=99, egr=1, sr=0, dier=1, cr1=CEN)
    bench.advance(999)
    assert bench.levels == []
    bench.advance(1)
    assert bench.levels == [(1000, True)]
    bench.put(sr=0)
    bench.advance(1000)
    assert bench.levels == [(1000, True), (1000, False), (2000, True)]


def test_a_timer_that_nobody_waits_for_asks_for_nothing():
    bench = TimerBench()
    bench.put(arr=9, egr=1, sr=0, cr1=CEN)
    bench.advance(10**9)
    assert bench.clock.asked == []
    assert bench.get(SR) & UIF


def test_prescaler_and_buffered_reload_come_into_force_at_the_next_update():
    """RM0399 43.3.3, ARPE; 43.4.7: PSC is always buffered."""
    bench = TimerBench()
    bench.put(arr=99, cr1=CEN | ARPE, egr=1)
    bench.put(psc=1, arr=49)
    bench.advance(90)
    assert bench.get(CNT) == 90
    bench.advance(20)
    assert bench.get(CNT) == 5
    bench.advance(90)
    assert bench.get(CNT) == 0


def test_the_count_stands_while_the_timer_is_off_and_goes_on_from_there():
    bench = TimerBench()
    bench.put(cr1=CEN)
    bench.advance(50)
    bench.put(cr1=0)
    bench.advance(1000)
    assert bench.get(CNT) == 50
    bench.put(cr1=CEN)
    bench.advance(7)
    assert bench.get(CNT) == 57


def test_one_pulse_mode_ends_with_its_update():
    bench = TimerBench()
    bench.put(arr=9, egr=1, sr=0, dier=1, cr1=CEN | OPM)
    bench.advance(500)
    assert bench.get(CR1) == OPM
    assert bench.levels == [(10, True)]
    assert bench.get(CNT) == 0


@pytest.mark.parametrize(("control", "flag"), [(0, UIF), (URS, 0), (UDIS, 0)])
def test_a_software_update_sets_its_flag_unless_it_is_told_not_to(control, flag):
    bench = TimerBench()
    bench.put(cr1=control, cnt=5, egr=1)
    assert (bench.get(SR), bench.get(CNT)) == (flag, 0)


def test_a_flag_is_cleared_by_writing_0_and_not_by_writing_1():
    bench = TimerBench()
    bench.put(egr=0b111)
    bench.put(sr=0b101)
    assert bench.get(SR) == 0b101


def test_compare_channels_interrupt_when_the_count_is_theirs():
    bench = TimerBench()
    bench.put(arr=99, ccr1=30, ccr2=70, egr=1, sr=0, dier=CC1IF | CC2IF, cr1=CEN)
    bench.advance(50)
    assert (bench.get(SR), bench.levels) == (CC1IF, [(30, True)])
    bench.put(sr=0)
    bench.advance(50)
    assert bench.get(SR) & 0b111 == UIF | CC2IF
    assert bench.levels[-1] == (70, True)


def test_the_advanced_timers_have_an_interrupt_for_updates_and_one_for_compares():
    bench = TimerBench(split=True)
    bench.put(arr=99, ccr1=30, egr=1, sr=0, dier=UIF | CC1IF, cr1=CEN)
    bench.advance(100)
    assert (bench.levels, bench.compared) == ([(100, True)], [True])


def test_updates_are_counted_down_by_the_repetition_counter():
    bench = TimerBench()
    bench.put(arr=9, rcr=2, egr=1, sr=0, dier=1, cr1=CEN)
    bench.advance(100)
    assert bench.levels == [(30, True)]


def test_a_32_bit_timer_counts_past_16_bits_and_a_16_bit_timer_does_not():
    for limit, count in ((0xFFFFFFFF, 100_000), (0xFFFF, 100_000 - 0x10000)):
        bench = TimerBench(limit)
        bench.put(cr1=CEN)
        bench.advance(100_000)
        assert bench.get(CNT) == count


@pytest.mark.parametrize(("name", "value"), [("cr1", CEN | 0x10), ("smcr", 7), ("dier", 0x100)])
def test_what_is_not_modelled_is_said(name, value):
    bench = TimerBench()
    bench.put(**{name: value})
    assert bench.host.touched == [globals()[name.upper()]]


def test_a_core_that_is_behind_in_its_turn_changes_nothing():
    bench = TimerBench()
    bench.put(arr=99, egr=1, sr=0, cr1=CEN)
    bench.advance(150)
    assert bench.get(SR) == UIF | 0x1E
    bench.clock.tick = 90
    bench.put(sr=0)
    assert (bench.get(SR), bench.get(CNT)) == (0, 90)


def test_a_restored_timer_counts_as_it_did():
    bench = TimerBench()
    bench.put(arr=99, egr=1, sr=0, dier=1, cr1=CEN)
    bench.advance(50)
    state = bench.timer.snapshot()
    bench.put(cr1=0, cnt=3)
    bench.timer.restore(state)
    assert bench.get(CNT) == 50


class Counter:
    """The same counter one tick at a time."""

    def __init__(self, psc: int, arr: int, compare: int, rcr: int) -> None:
        self.psc, self.arr, self.compare, self.rcr = psc, arr, compare, rcr
        self.part = self.count = self.flags = 0
        self.repeat = rcr

    def tick(self) -> None:
        self.part += 1
        if self.part <= self.psc:
            return
        self.part = 0
        self.count += 1
        if self.count > self.arr:
            self.count = 0
            if self.repeat:
                self.repeat -= 1
            else:
                self.flags |= UIF
                self.repeat = self.rcr
        if self.count == self.compare:
            self.flags |= CC1IF


@given(
    st.integers(0, 3),
    st.integers(1, 12),
    st.integers(0, 14),
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=12),
)
def test_however_seldom_one_looks_it_counts_as_if_tick_by_tick(psc, arr, compare, rcr, looks):
    bench, slow = TimerBench(), Counter(psc, arr, compare, rcr)
    bench.put(psc=psc, arr=arr, ccr1=compare, ccr2=0xFFFF, rcr=rcr, egr=1, sr=0, cr1=CEN)
    for ticks, clear in looks:
        bench.advance(ticks)
        for _ in range(ticks):
            slow.tick()
        assert (bench.get(CNT), bench.get(SR) & 3) == (slow.count, slow.flags)
        if clear:
            bench.put(sr=0)
            slow.flags = 0


# the independent watchdog (RM0399 ch. 49)

KR, PR, RLR, WINR = 0x00, 0x04, 0x08, 0x10


class Dog:
    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.bites: list[tuple[int, str]] = []
        self.dog = Stm32Iwdg(DeviceHost(), self.clock, lambda why: self.bites.append((self.clock.tick, why)))

    def put(self, offset: int, value: int) -> None:
        self.dog.write(offset, 4, value, "cpu")

    def advance(self, ticks: int) -> None:
        end = self.clock.tick + ticks
        while due := [at for at in self.clock.asked if at <= end]:
            self.clock.asked.remove(min(due))
            self.clock.tick = max(self.clock.tick, min(due))
            self.dog.wake()
        self.clock.tick = end


@pytest.fixture
def dog() -> Dog:
    return Dog()


def test_a_watchdog_that_is_not_started_does_not_bite(dog):
    dog.put(KR, 0xAAAA)
    dog.advance(10**9)
    assert dog.bites == []


@pytest.mark.parametrize(("prescaler", "reload", "ticks"), [(0, 0xFFF, 4 * 4096), (6, 9, 2560), (7, 0, 256)])
def test_it_bites_when_its_time_is_up(dog, prescaler, reload, ticks):
    dog.put(KR, 0xCCCC)
    dog.put(KR, 0x5555)
    dog.put(PR, prescaler)
    dog.put(RLR, reload)
    dog.put(KR, 0xAAAA)
    dog.advance(ticks - 1)
    assert dog.bites == []
    dog.advance(1)
    assert dog.bites == [(ticks, "it was not refreshed in time")]


def test_a_refresh_begins_its_time_anew(dog):
    dog.put(KR, 0xCCCC)
    for _ in range(5):
        dog.advance(16_000)
        dog.put(KR, 0xAAAA)
    assert dog.bites == []


def test_its_registers_are_locked_until_the_key_is_written(dog):
    dog.put(PR, 3)
    dog.put(RLR, 5)
    assert (dog.dog.read(PR, 4, "cpu"), dog.dog.read(RLR, 4, "cpu")) == (0, 0xFFF)
    dog.put(KR, 0x5555)
    dog.put(PR, 3)
    dog.put(KR, 0xAAAA)
    dog.put(PR, 2)
    assert dog.dog.read(PR, 4, "cpu") == 3


def test_a_refresh_before_its_window_opens_bites(dog):
    dog.put(KR, 0xCCCC)
    dog.put(KR, 0x5555)
    dog.put(WINR, 0x800)
    dog.advance(4 * 0x7FE)
    dog.put(KR, 0xAAAA)
    assert len(dog.bites) == 1
    assert "window" in dog.bites[0][1]


def test_a_reset_stops_it(dog):
    dog.put(KR, 0xCCCC)
    dog.dog.reset()
    dog.advance(10**6)
    assert dog.bites == []
