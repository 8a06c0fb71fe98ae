"""RTC and TIMER of the nRF5340 (PS, RTC; PS, TIMER).

Nothing is done per tick: the counter is a function of virtual time, events are put down when somebody looks, and the
board is asked to wake the device only when one that interrupts or is published is due. Low frequency clock and high
frequency clock are always there, whatever CLOCK says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from orchestrator.engines.unicorn.devices.device import Clock, DeviceHost, Line, reads, writes
from orchestrator.engines.unicorn.devices.nrf.chip import NrfDevice, event_bit

__all__ = ["RTC_HZ", "TIMER_HZ", "NrfRtc", "NrfTimer"]

RTC_HZ = 32_768
TIMER_HZ = 16_000_000

_CAPTURE, _COMPARE, _CC, _ONESHOTEN = 0x040, 0x140, 0x540, 0x580
_TICK, _OVERFLOW = 0x100, 0x104
_COUNTER_BITS = 24  # of the RTC
_TRIGGERED_OVERFLOW = 0xFF_FFF0
_NEVER = 1 << 64  # a count that does not come


class _Counter(NrfDevice):
    """Counts since it was cleared, not wrapped: ``_base`` is the tick of its clock at which the count was 0."""

    is_steady = False
    state: ClassVar[tuple[str, ...]] = (
        *NrfDevice.state,
        *("_compare", "_prescaler", "_is_running", "_base", "_held", "_seen"),
    )

    def __init__(
        self,
        host: DeviceHost,
        line: Line,
        clock: Clock,
        channels: int,
        *,
        tasks: dict[int, Callable[[], None]],
        events: tuple[int, ...],
        shorts: int,
    ) -> None:
        self._clock = clock
        self._channels = channels
        self._clear_counter()
        captures = {_CAPTURE + 4 * n: self._capturing(n) for n in range(channels)}
        super().__init__(
            host,
            line,
            tasks=tasks | captures,
            events=(*events, *(_COMPARE + 4 * n for n in range(channels))),
            shorts=shorts,
        )

    def _clear_counter(self) -> None:
        self._compare = [0] * self._channels
        self._prescaler = 0
        self._is_running = False
        self._base = 0
        self._held = 0  # the count while it stands
        self._seen = 0  # count up to which events are put down
        self._unpublished: list[int] = []  # events of the counts that are just being put down

    def reset(self) -> None:
        self._clear_counter()
        super().reset()

    # --- what a kind of counter is

    @property
    def _divider(self) -> int:
        """Ticks of the clock for one count."""
        raise NotImplementedError

    @property
    def _modulus(self) -> int:
        raise NotImplementedError

    @property
    def _is_clocked(self) -> bool:
        return self._is_running

    def _happens(self, channel: int) -> None:
        """A compare channel's value is reached."""
        self._raise(_COMPARE + 4 * channel)

    def _counted(self, first: int, last: int) -> None:
        """Counts went from ``first`` (not included) to ``last``."""

    def _other_dues(self, count: int, wanted: int) -> Iterator[int]:
        """Counts at which something but a compare event interrupts or is published."""
        yield from ()

    # --- time

    def _count(self) -> int:
        return (self._clock.now() - self._base) // self._divider if self._is_clocked else self._held

    def _set_count(self, count: int) -> None:
        """From now on it counts from here."""
        self._held = self._seen = count
        self._base = self._clock.now() - count * self._divider

    def _next(self, value: int, after: int) -> int:
        """The first count after one that shows a value."""
        return after + 1 + (value - after - 1) % self._modulus

    def _catch_up(self) -> None:
        """Put down what has happened since the last look, and then publish it: a task may be one of its own."""
        self._put_down()
        happened, self._unpublished = self._unpublished, []
        for offset in happened:
            super()._happened(offset)

    def _happened(self, offset: int) -> None:
        self._unpublished.append(offset)

    def _put_down(self) -> None:
        while True:
            count, seen = self._count(), self._seen
            hits = [(self._next(value, seen), channel) for channel, value in enumerate(self._compare)]
            cleared = [(hit, channel) for hit, channel in hits if self._shorts >> channel & 1 and hit <= count]
            stopped = [(hit, channel) for hit, channel in hits if self._shorts >> 16 + channel & 1 and hit <= count]
            end = min((hit for hit, _ in (*cleared, *stopped)), default=count)
            self._seen = end
            if end > seen:
                self._counted(seen, end)
            for hit, channel in hits:
                if hit <= end:
                    self._happens(channel)
            if any(hit == end for hit, _ in stopped):
                self._is_running = False
                self._held = end
            if any(hit == end for hit, _ in cleared):
                self._restart_at(end)
            if not cleared and not stopped:
                return

    def _restart_at(self, count: int) -> None:
        """The counter was cleared on reaching a count; whole periods that nobody saw are left out."""
        self._held = self._seen = 0
        if not self._is_clocked:
            return
        self._base += count * self._divider
        unseen = self._count() // count
        if unseen > 2:
            self._base += (unseen - 1) * count * self._divider

    def _plan(self) -> None:
        """Ask to be woken for the next event that interrupts or is published, and for what moves it."""
        due = self.next_due()
        if due is not None:
            self._clock.wake_at(due)

    def next_due(self) -> int | None:
        """The tick of that event, as things stand."""
        published = self._published
        if not self._is_clocked or not self._enabled | published:
            return None
        count = self._count()
        wanted = self._enabled & ~self._events | published
        dues = list(self._other_dues(count, wanted))
        for channel, value in enumerate(self._compare):
            shorts = self._shorts >> channel & 1 or self._shorts >> 16 + channel & 1
            if shorts or wanted & event_bit(_COMPARE + 4 * channel):
                dues.append(self._next(value, count))
        first = min(dues, default=_NEVER)
        return self._base + first * self._divider if first < _NEVER else None

    def wake(self) -> None:
        """Something is due, or was when it was asked for."""
        self._catch_up()
        self._plan()

    def _before_look(self) -> None:
        self._catch_up()

    def _event_cleared(self) -> None:
        self._plan()

    def _interrupts_changed(self) -> None:
        self._plan()

    # --- tasks

    def _start(self) -> None:
        self._is_running = True
        self._set_count(self._held)
        self._plan()

    def _stop(self) -> None:
        self._catch_up()
        self._held = self._count()
        self._is_running = False

    def _clear(self) -> None:
        self._catch_up()
        self._set_count(0)
        self._plan()

    def _capturing(self, channel: int) -> Callable[[], None]:
        def capture() -> None:
            self._catch_up()
            self._compare[channel] = self._count() % self._modulus
            self._plan()

        return capture

    def _change_rate(self, change: Callable[[], None]) -> None:
        """The count goes on from where it is."""
        self._catch_up()
        count = self._count()
        change()
        self._set_count(count)
        self._plan()

    # --- registers

    def _channel(self, first: int, offset: int) -> int | None:
        channel = (offset - first) >> 2
        return channel if 0 <= channel < self._channels else None

    def read(self, offset: int, size: int, core: str | None) -> int:
        channel = self._channel(_CC, offset)
        if channel is not None:
            return self._compare[channel] >> 8 * (offset & 3) & ((1 << 8 * size) - 1)
        return super().read(offset, size, core)

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        channel = self._channel(_CC, offset)
        if channel is None:
            super().write(offset, size, value, core)
            return
        self._catch_up()
        self._set_compare(channel, value << 8 * (offset & 3))
        self._plan()

    def _set_compare(self, channel: int, value: int) -> None:
        self._compare[channel] = value % self._modulus


class NrfRtc(_Counter):
    """Real-time counter of 24 bits; its clock is LFCLK (PS, RTC)."""

    state: ClassVar[tuple[str, ...]] = (*_Counter.state, "_routed")
    has_inten = False

    def __init__(self, host: DeviceHost, line: Line, clock: Clock, channels: int) -> None:
        self._routed = 0  # EVTEN
        tasks = {0x000: self._start, 0x004: self._stop, 0x008: self._clear, 0x00C: self._trigger_overflow}
        shorts = (1 << channels) - 1
        super().__init__(host, line, clock, channels, tasks=tasks, events=(_TICK, _OVERFLOW), shorts=shorts)

    def reset(self) -> None:
        self._routed = 0
        super().reset()

    @property
    def _divider(self) -> int:
        return self._prescaler + 1

    @property
    def _modulus(self) -> int:
        return 1 << _COUNTER_BITS

    def _raise_if_on(self, offset: int) -> None:
        """Events that neither EVTEN nor INTENSET asks for are not generated (PS, RTC, Event control)."""
        if (self._enabled | self._routed) & event_bit(offset):
            self._raise(offset)

    def _happens(self, channel: int) -> None:
        self._raise_if_on(_COMPARE + 4 * channel)

    def _counted(self, first: int, last: int) -> None:
        self._raise_if_on(_TICK)
        if self._next(0, first) <= last:
            self._raise_if_on(_OVERFLOW)

    def _other_dues(self, count: int, wanted: int) -> Iterator[int]:
        wanted &= self._enabled | self._routed
        if wanted & event_bit(_TICK):
            yield count + 1
        if wanted & event_bit(_OVERFLOW):
            yield self._next(0, count)

    def _trigger_overflow(self) -> None:
        self._catch_up()
        self._set_count(_TRIGGERED_OVERFLOW)
        self._plan()

    @reads(0x340)
    @reads(0x344)
    @reads(0x348)
    def _read_evten(self) -> int:
        return self._routed

    @writes(0x340)
    def _write_evten(self, value: int) -> None:
        self._catch_up()
        self._routed = value & self._event_mask
        self._plan()

    @writes(0x344)
    def _write_evtenset(self, value: int) -> None:
        self._write_evten(self._routed | value)

    @writes(0x348)
    def _write_evtenclr(self, value: int) -> None:
        self._write_evten(self._routed & ~value)

    @reads(0x504)
    def _read_counter(self) -> int:
        self._catch_up()
        return self._count() % self._modulus

    @reads(0x508)
    def _read_prescaler(self) -> int:
        return self._prescaler

    @writes(0x508)
    def _write_prescaler(self, value: int) -> None:
        """Only while the counter stands (PS, RTC, Prescaler)."""
        if not self._is_running:
            self._change_rate(lambda: setattr(self, "_prescaler", value & 0xFFF))


class NrfTimer(_Counter):
    """Timer of 8, 16, 24 or 32 bits on the 16 MHz clock, or a counter of COUNT tasks (PS, TIMER)."""

    state: ClassVar[tuple[str, ...]] = (*_Counter.state, "_mode", "_bit_mode", "_one_shot", "_spent")

    def __init__(self, host: DeviceHost, line: Line, clock: Clock, channels: int) -> None:
        self._channels = channels
        self._clear_modes()
        tasks = {
            0x000: self._start,
            0x004: self._stop,
            0x008: self._count_up,
            0x00C: self._clear,
            0x010: self._shut_down,
        }
        shorts = ((1 << channels) - 1) * 0x1_0001
        super().__init__(host, line, clock, channels, tasks=tasks, events=(), shorts=shorts)
        self._prescaler = 4

    def _clear_modes(self) -> None:
        self._mode = self._bit_mode = 0
        self._one_shot = [0] * self._channels
        self._spent = 0  # channels whose one event has happened

    def reset(self) -> None:
        self._clear_modes()
        super().reset()
        self._prescaler = 4

    @property
    def _divider(self) -> int:
        return 1 << min(self._prescaler, 9)

    @property
    def _modulus(self) -> int:
        return 1 << (16, 8, 24, 32)[self._bit_mode]

    @property
    def _is_clocked(self) -> bool:
        return self._is_running and self._mode == 0

    def _happens(self, channel: int) -> None:
        if self._spent >> channel & 1:
            return
        self._spent |= self._one_shot[channel] << channel
        self._raise(_COMPARE + 4 * channel)

    def _set_compare(self, channel: int, value: int) -> None:
        self._compare[channel] = value & 0xFFFF_FFFF
        self._spent &= ~(1 << channel)

    def _next(self, value: int, after: int) -> int:
        """A value that the counter is too narrow for is never reached."""
        return super()._next(value, after) if value < self._modulus else _NEVER

    def _count_up(self) -> None:
        if self._is_running and self._mode:
            self._held += 1
            self._catch_up()

    def _shut_down(self) -> None:
        self._stop()
        self._set_count(0)

    def read(self, offset: int, size: int, core: str | None) -> int:
        channel = self._channel(_ONESHOTEN, offset)
        return super().read(offset, size, core) if channel is None else self._one_shot[channel]

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        channel = self._channel(_ONESHOTEN, offset)
        if channel is None:
            super().write(offset, size, value, core)
            return
        self._catch_up()
        self._one_shot[channel] = value & 1
        self._spent &= ~(1 << channel)

    @reads(0x504)
    def _read_mode(self) -> int:
        return self._mode

    @writes(0x504)
    def _write_mode(self, value: int) -> None:
        self._change_rate(lambda: setattr(self, "_mode", value & 3))

    @reads(0x508)
    def _read_bitmode(self) -> int:
        return self._bit_mode

    @writes(0x508)
    def _write_bitmode(self, value: int) -> None:
        self._change_rate(lambda: setattr(self, "_bit_mode", value & 3))

    @reads(0x510)
    def _read_prescaler(self) -> int:
        return self._prescaler

    @writes(0x510)
    def _write_prescaler(self, value: int) -> None:
        self._change_rate(lambda: setattr(self, "_prescaler", value & 0xF))
