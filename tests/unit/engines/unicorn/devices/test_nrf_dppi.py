"""Events that trigger tasks of other peripherals (nRF5340 PS, DPPI), on a clock that the test moves."""

from __future__ import annotations

import pytest

from orchestrator.engines.unicorn.devices.nrf.chip import NrfDevice
from orchestrator.engines.unicorn.devices.nrf.dppi import Dppi
from orchestrator.engines.unicorn.devices.nrf.timers import NrfRtc, NrfTimer
from orchestrator.engines.unicorn.devices.nrf.uart import NrfUart

START, COUNT, CLEAR, CAPTURE1 = 0x000, 0x008, 0x00C, 0x044
STARTTX, STOPTX, ENDTX, TXSTOPPED = 0x008, 0x00C, 0x120, 0x158
COMPARE0, EVTENSET, INTENSET, SHORTS = 0x140, 0x344, 0x304, 0x200
CC0, CC1, MODE, BITMODE, PRESCALER = 0x540, 0x544, 0x504, 0x508, 0x510
ON = 0x8000_0000
UARTE = 8


def subscribe(task: int) -> int:
    return task + 0x080


def publish(event: int) -> int:
    return event + 0x080


class DppiBench:
    """A TIMER, a TIMER that counts, an RTC and a UARTE, all on one clock, with all channels on."""

    def __init__(self) -> None:
        self.tick = 0
        self.dues: dict[str, int] = {}
        self.enabled = 0xFFFF_FFFF
        self.warned: list[str] = []
        self.touched: list[int] = []
        self.levels: list[bool] = []
        line = self.levels.append
        self.timer = NrfTimer(self, line, DeviceClock(self, "timer"), 6)
        self.counter = NrfTimer(self, line, DeviceClock(self, "counter"), 6)
        self.rtc = NrfRtc(self, line, DeviceClock(self, "rtc"), 4)
        self.uart = NrfUart(self, line, DeviceClock(self, "uart"), lambda _data: None, self)
        self.devices: dict[str, NrfDevice] = {
            "timer": self.timer,
            "counter": self.counter,
            "rtc": self.rtc,
            "uart": self.uart,
        }
        Dppi(list(self.devices.values()), lambda: self.enabled, self.warned.append)
        put(self.timer, PRESCALER, 0)
        put(self.timer, BITMODE, 3)
        put(self.counter, MODE, 1)
        put(self.counter, START)
        put(self.uart, 0x500, UARTE)

    def run(self, until: int) -> None:
        while self.dues and min(self.dues.values()) <= until:
            name = min(self.dues, key=self.dues.__getitem__)
            self.tick = self.dues.pop(name)
            self.devices[name].wake()
        self.tick = until

    def counted(self) -> int:
        put(self.counter, CAPTURE1)
        return get(self.counter, CC1)

    def unmodelled(self, offset: int, text: str) -> None:
        self.touched.append(offset)

    def log(self, level: str, text: str) -> None:
        raise AssertionError(text)

    def read(self, address: int, size: int) -> bytes:
        return bytes(size)

    def write(self, address: int, data: bytes) -> bool:
        return True


class DeviceClock:
    """The clock of one device."""

    def __init__(self, bench: DppiBench, name: str) -> None:
        self._bench = bench
        self._name = name

    def now(self) -> int:
        return self._bench.tick

    def wake_at(self, tick: int) -> None:
        self._bench.dues[self._name] = min(tick, self._bench.dues.get(self._name, tick))


def put(device: NrfDevice, offset: int, value: int = 1) -> None:
    device.write(offset, 4, value, "core")


def get(device: NrfDevice, offset: int) -> int:
    return device.read(offset, 4, "core")


@pytest.fixture
def bench() -> DppiBench:
    return DppiBench()


def test_an_event_triggers_the_tasks_that_subscribe_to_its_channel_and_nothing_is_unmodelled(bench):
    """The end of a transmission stops the transmitter, as Zephyr's driver has it."""
    put(bench.uart, publish(ENDTX), ON | 7)
    put(bench.uart, subscribe(STOPTX), ON | 7)
    put(bench.counter, subscribe(COUNT), ON | 7)
    put(bench.uart, STARTTX)
    assert get(bench.uart, TXSTOPPED) == 1
    assert bench.counted() == 1
    assert bench.touched == []


@pytest.mark.parametrize(
    ("publishes", "subscribes", "enabled"),
    [(7, ON | 7, ~0), (ON | 7, 7, ~0), (ON | 7, ON | 6, ~0), (ON | 7, ON | 7, ~(1 << 7)), (ON | 40, ON | 40, ~0)],
    ids=["not published", "not subscribed", "another channel", "a channel that is off", "no such channel"],
)
def test_nothing_is_triggered_by(bench, publishes, subscribes, enabled):
    bench.enabled = enabled & 0xFFFF_FFFF
    put(bench.uart, publish(ENDTX), publishes)
    put(bench.uart, subscribe(STOPTX), subscribes)
    put(bench.uart, STARTTX)
    assert get(bench.uart, TXSTOPPED) == 0


def test_an_event_is_published_at_its_time_with_no_interrupt_and_each_time(bench):
    """Its register stays set: nobody clears it."""
    put(bench.timer, CC0, 100)
    put(bench.timer, SHORTS, 1)  # COMPARE0_CLEAR
    put(bench.timer, publish(COMPARE0), ON | 3)
    put(bench.counter, subscribe(COUNT), ON | 3)
    put(bench.timer, START)
    bench.run(1_050)
    assert bench.counted() == 10
    assert bench.levels == []


def test_a_task_of_the_same_peripheral_may_be_triggered(bench):
    """A period made by DPPI instead of a short."""
    put(bench.timer, CC0, 100)
    put(bench.timer, publish(COMPARE0), ON | 3)
    put(bench.timer, subscribe(CLEAR), ON | 3)
    put(bench.counter, subscribe(COUNT), ON | 3)
    put(bench.timer, START)
    bench.run(450)
    assert bench.counted() == 4
    put(bench.timer, CAPTURE1)
    assert get(bench.timer, CC1) == 50


@pytest.mark.parametrize(("routed", "captured"), [(0, 0), (1 << 16, 100)])
def test_an_event_of_the_rtc_is_published_when_it_is_routed(bench, routed, captured):
    """PS, RTC, Event control: EVTEN."""
    put(bench.rtc, CC0, 100)
    put(bench.rtc, EVTENSET, routed)
    put(bench.rtc, publish(COMPARE0), ON | 3)
    put(bench.timer, subscribe(CAPTURE1), ON | 3)
    put(bench.rtc, START)
    put(bench.timer, START)
    bench.run(500)
    assert get(bench.timer, CC1) == captured


def test_an_event_that_software_sets_is_not_published(bench):
    put(bench.timer, publish(COMPARE0), ON | 3)
    put(bench.counter, subscribe(COUNT), ON | 3)
    put(bench.timer, COMPARE0)
    assert get(bench.timer, COMPARE0) == 1
    assert bench.counted() == 0


def test_connections_that_go_round_end_with_a_warning_and_the_next_event_counts_again(bench):
    put(bench.uart, publish(TXSTOPPED), ON | 5)
    put(bench.uart, subscribe(STOPTX), ON | 5)
    put(bench.uart, STOPTX)
    assert bench.warned == ["events and tasks that trigger each other without end, at channel 5"]
    put(bench.uart, publish(TXSTOPPED), 0)
    put(bench.uart, publish(ENDTX), ON | 6)
    put(bench.counter, subscribe(COUNT), ON | 6)
    put(bench.uart, STARTTX)
    assert bench.counted() == 1


def test_a_snapshot_keeps_connections(bench):
    put(bench.uart, publish(ENDTX), ON | 7)
    put(bench.uart, subscribe(STOPTX), ON | 7)
    before = bench.uart.snapshot()
    bench.uart.reset()
    bench.uart.restore(before)
    put(bench.uart, STARTTX)
    assert get(bench.uart, TXSTOPPED) == 1
