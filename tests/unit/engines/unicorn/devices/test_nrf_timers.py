"""RTC and TIMER of the nRF5340 on a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.unicorn.devices.nrf.timers import NrfRtc, NrfTimer

START, STOP, COUNT, CLEAR, SHUTDOWN, TRIGGER_OVERFLOW, CAPTURE = 0x000, 0x004, 0x008, 0x00C, 0x010, 0x00C, 0x040
RTC_CLEAR = 0x008
TICK, OVERFLOW, COMPARE = 0x100, 0x104, 0x140
SHORTS, INTENSET, INTENCLR, EVTENSET, EVTENCLR = 0x200, 0x304, 0x308, 0x344, 0x348
COUNTER, RTC_PRESCALER, CC = 0x504, 0x508, 0x540
MODE, BITMODE, PRESCALER, ONESHOTEN = 0x504, 0x508, 0x510, 0x580
COMPARE0 = 1 << 16


class TimerBench:
    """Clock, line and host of one device."""

    def __init__(self) -> None:
        self.tick = 0
        self.due: int | None = None
        self.levels: list[tuple[int, bool]] = []
        self.touched: list[int] = []

    def now(self) -> int:
        return self.tick

    def wake_at(self, tick: int) -> None:
        assert tick > self.tick
        self.due = tick if self.due is None else min(self.due, tick)

    def unmodelled(self, offset: int, text: str) -> None:
        self.touched.append(offset)

    def line(self, level: bool) -> None:
        self.levels.append((self.tick, level))

    def run(self, device: NrfRtc | NrfTimer, until: int) -> None:
        while self.due is not None and self.due <= until:
            self.tick, self.due = self.due, None
            device.wake()
        self.tick = until


@pytest.fixture
def bench() -> TimerBench:
    return TimerBench()


@pytest.fixture
def rtc(bench: TimerBench) -> NrfRtc:
    return NrfRtc(bench, bench.line, bench, 4)


@pytest.fixture
def timer(bench: TimerBench) -> NrfTimer:
    """One count for each tick."""
    device = NrfTimer(bench, bench.line, bench, 6)
    put(device, PRESCALER, 0)
    put(device, BITMODE, 3)
    return device


def put(device: NrfRtc | NrfTimer, offset: int, value: int = 1) -> None:
    device.write(offset, 4, value, "core")


def get(device: NrfRtc | NrfTimer, offset: int) -> int:
    return device.read(offset, 4, "core")


# PS, RTC


def test_the_counter_stands_until_start_and_after_stop(rtc, bench):
    """PS, RTC, Resolution and overflow; TASKS_START, TASKS_STOP."""
    bench.tick = 50
    assert get(rtc, COUNTER) == 0
    put(rtc, START)
    bench.tick = 150
    assert get(rtc, COUNTER) == 100
    put(rtc, STOP)
    bench.tick = 300
    assert get(rtc, COUNTER) == 100
    put(rtc, START)
    bench.tick = 310
    assert get(rtc, COUNTER) == 110


def test_the_prescaler_divides_by_one_more_and_is_written_while_the_counter_stands(rtc, bench):
    """PS, RTC, Prescaler."""
    put(rtc, RTC_PRESCALER, 0x17FFF)
    assert get(rtc, RTC_PRESCALER) == 0xFFF
    put(rtc, START)
    put(rtc, RTC_PRESCALER, 3)
    assert get(rtc, RTC_PRESCALER) == 0xFFF
    bench.tick = 3 * 4096 + 1
    assert get(rtc, COUNTER) == 3


def test_the_counter_has_24_bits_and_overflow_is_an_event(rtc, bench):
    """PS, RTC, Overflow; TASKS_TRIGOVRFLW."""
    put(rtc, INTENSET, 2)
    put(rtc, START)
    put(rtc, TRIGGER_OVERFLOW)
    assert get(rtc, COUNTER) == 0xFFFFF0
    bench.run(rtc, 20)
    assert bench.levels == [(16, True)]
    assert get(rtc, OVERFLOW) == 1
    assert get(rtc, COUNTER) == 4


def test_a_compare_interrupts_at_its_tick_and_again_a_whole_turn_later(rtc, bench):
    """PS, RTC, Compare."""
    put(rtc, CC, 1000)
    put(rtc, INTENSET, COMPARE0)
    put(rtc, START)
    bench.run(rtc, 2000)
    assert bench.levels == [(1000, True)]
    put(rtc, COMPARE, 0)
    assert bench.levels[1:] == [(2000, False)]
    bench.run(rtc, (1 << 24) + 1500)
    assert bench.levels[2:] == [((1 << 24) + 1000, True)]


def test_an_event_is_generated_only_when_evten_or_inten_asks_for_it(rtc, bench):
    """PS, RTC, Event control."""
    put(rtc, CC, 5)
    put(rtc, START)
    bench.tick = 10
    assert get(rtc, COMPARE) == get(rtc, TICK) == 0
    put(rtc, EVTENSET, COMPARE0 | 1)
    put(rtc, RTC_CLEAR)
    bench.tick = 20
    assert get(rtc, COMPARE) == get(rtc, TICK) == 1
    assert get(rtc, EVTENCLR) == COMPARE0 | 1
    put(rtc, EVTENCLR, 1)
    assert get(rtc, EVTENSET) == COMPARE0
    assert bench.levels == []


def test_the_tick_interrupts_at_each_count(rtc, bench):
    """PS, RTC, Tick event."""
    put(rtc, RTC_PRESCALER, 9)
    put(rtc, INTENSET, 1)
    put(rtc, START)
    for count in (1, 2, 3):
        bench.run(rtc, 10 * count)
        assert bench.levels[-1] == (10 * count, True)
        put(rtc, TICK, 0)


def test_a_short_clears_the_counter_at_its_compare(rtc, bench):
    """PS, RTC, SHORTS."""
    put(rtc, CC, 100)
    put(rtc, SHORTS, 1)
    put(rtc, INTENSET, COMPARE0)
    put(rtc, START)
    for turn in range(1, 5):
        bench.run(rtc, 100 * turn + 30)
        assert bench.levels[-1] == (100 * turn, True)
        assert get(rtc, COUNTER) == 30
        put(rtc, COMPARE, 0)


def test_capture_copies_the_counter(rtc, bench):
    """PS, RTC, TASKS_CAPTURE."""
    put(rtc, START)
    bench.tick = 77
    put(rtc, CAPTURE + 8)
    assert get(rtc, CC + 8) == 77


def test_reset_puts_everything_back(rtc, bench):
    for offset in (START, CC, RTC_PRESCALER, INTENSET, EVTENSET, SHORTS):
        put(rtc, offset)
    bench.tick = 500
    rtc.reset()
    assert [get(rtc, offset) for offset in (COUNTER, CC, RTC_PRESCALER, INTENSET, EVTENSET, SHORTS)] == [0] * 6


def test_inten_itself_is_no_register_of_the_rtc(rtc, bench):
    get(rtc, 0x300)
    assert bench.touched == [0x300]


# PS, TIMER


def test_the_timer_divides_16_mhz_by_a_power_of_two(timer, bench):
    """PS, TIMER, PRESCALER: 4 after reset."""
    timer.reset()
    assert get(timer, PRESCALER) == 4
    put(timer, START)
    bench.tick = 16 * 25
    put(timer, CAPTURE)
    assert get(timer, CC) == 25


@pytest.mark.parametrize(("mode", "bits"), [(0, 16), (1, 8), (2, 24), (3, 32)])
def test_the_width_wraps_the_count(timer, bench, mode, bits):
    """PS, TIMER, BITMODE."""
    put(timer, BITMODE, mode)
    put(timer, START)
    bench.tick = (1 << bits) + 3
    put(timer, CAPTURE)
    assert get(timer, CC) == 3


def test_a_short_clears_and_another_stops(timer, bench):
    """PS, TIMER, SHORTS."""
    put(timer, CC, 10)
    put(timer, CC + 4, 7)
    put(timer, SHORTS, 1)
    put(timer, INTENSET, COMPARE0)
    put(timer, START)
    bench.run(timer, 25)
    assert bench.levels == [(10, True)]
    put(timer, CAPTURE + 8)
    assert get(timer, CC + 8) == 5
    put(timer, SHORTS, 1 << 17)
    bench.run(timer, 60)
    put(timer, CAPTURE + 8)
    assert get(timer, CC + 8) == 7


def test_a_counter_counts_tasks(timer, bench):
    """PS, TIMER, Counter mode."""
    put(timer, MODE, 1)
    put(timer, CC, 2)
    put(timer, INTENSET, COMPARE0)
    put(timer, COUNT)
    put(timer, START)
    bench.tick = 1000
    put(timer, COUNT)
    assert bench.levels == []
    put(timer, COUNT)
    assert bench.levels == [(1000, True)]


def test_a_one_shot_compare_happens_once_until_it_is_set_again(timer, bench):
    """PS, TIMER, ONESHOTEN."""
    put(timer, BITMODE, 1)
    put(timer, CC, 5)
    put(timer, ONESHOTEN)
    put(timer, INTENSET, COMPARE0)
    put(timer, START)
    bench.run(timer, 100)
    put(timer, COMPARE, 0)
    bench.run(timer, 1000)
    assert bench.levels == [(5, True), (100, False)]
    put(timer, CC, 5)
    bench.run(timer, 2000)
    assert len(bench.levels) == 3


def test_shutdown_stops_and_clears(timer, bench):
    """PS, TIMER, TASKS_SHUTDOWN."""
    put(timer, START)
    bench.tick = 9
    put(timer, SHUTDOWN)
    bench.tick = 20
    put(timer, CAPTURE)
    assert get(timer, CC) == 0


def test_a_value_beyond_the_width_is_never_reached(timer, bench):
    put(timer, BITMODE, 1)
    put(timer, CC, 0x100)
    put(timer, START)
    bench.tick = 100_000
    assert get(timer, COMPARE) == 0


def test_ten_seconds_that_nobody_looked_at_are_caught_up_at_once(timer, bench):
    put(timer, CC, 1)
    put(timer, SHORTS, 1)
    put(timer, START)
    bench.tick = 160_000_000
    assert get(timer, COMPARE) == 1


@given(
    compares=st.lists(st.integers(0, 40), min_size=6, max_size=6),
    shorts=st.integers(0, 63),
    looks=st.lists(st.integers(1, 60), max_size=20),
)
def test_looking_changes_nothing_and_events_are_those_of_a_counter_that_counts(compares, shorts, looks):
    bench = TimerBench()
    device = NrfTimer(bench, bench.line, bench, 6)
    put(device, PRESCALER, 0)
    put(device, BITMODE, 1)
    for channel, value in enumerate(compares):
        put(device, CC + 4 * channel, value)
    put(device, SHORTS, shorts)
    put(device, START)
    count, events = 0, set()
    for look in looks:
        for _ in range(look):
            count = (count + 1) % 256
            hits = {channel for channel, value in enumerate(compares) if value == count}
            events |= hits
            if any(shorts >> channel & 1 for channel in hits):
                count = 0
        bench.tick += look
        assert {channel for channel in range(6) if get(device, COMPARE + 4 * channel)} == events


def test_a_snapshot_goes_back_to_the_count_and_its_compares(timer, bench):
    put(timer, CC, 50)
    put(timer, START)
    bench.tick = 20
    state = timer.snapshot()
    put(timer, STOP)
    put(timer, CC, 1)
    timer.restore(state)
    put(timer, CAPTURE + 4)
    assert (get(timer, CC), get(timer, CC + 4)) == (50, 20)
