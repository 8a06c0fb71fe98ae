"""General-purpose timer of the STM32 (RM0399 ch. 40 to 44) as a time base: up-counting, update and compare interrupts.

Nothing is done per tick: the counter is a function of virtual time, events are put down when somebody looks, and the
board is asked to wake the timer only when one that may interrupt is due. Counting down, slave modes, capture from
pins and DMA requests are not modelled; outputs drive nothing.
"""

from __future__ import annotations

from orchestrator.engines.unicorn.devices.device import (
    Clock,
    Device,
    DeviceHost,
    Line,
    reads,
    register,
    registers,
    writes,
    written,
)

__all__ = ["Stm32Timer"]

_CEN, _UDIS, _URS, _OPM, _ARPE, _UIFREMAP = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 7, 1 << 11
_DOWN = 1 << 4 | 3 << 5  # DIR, CMS
_UIF, _UG = 1, 1
_COMPARES = 0x1E  # CC1IF to CC4IF in SR, CC1IE to CC4IE in DIER
_INTERRUPTS = 0xFF
_DMA = 0x7F00
_SLAVE = 0x0001_0007  # SMS


class Stm32Timer(Device):
    """``limit`` is the widest count, 16 or 32 bits; ``updated`` is the interrupt of update events where it is one of
    its own (TIM1, TIM8), ``compared`` that of the compare channels, else both are the same line."""

    is_steady = False
    state = (*("_cr1", "_sr", "_prescaler", "_reload", "_base", "_held", "_seen", "_repeat", "_levels"),)

    _smcr: int = register(0x08)
    _dier: int = register(0x0C, mask=0x7FFF)
    _psc: int = register(0x28, mask=0xFFFF)
    _arr: int = register(0x2C, mask="_limit")
    _rcr: int = register(0x30, mask=0xFFFF)
    _compare: list[int] = registers(0x34, 4, mask="_limit")  # CCR1 to CCR4
    # Of pins, outputs and DMA bursts: kept, and nothing else.
    _cr2: int = register(0x04)
    _ccmr: list[int] = registers(0x18, 2)  # CCMR1, CCMR2
    _ccer: int = register(0x20)
    _bdtr: int = register(0x44)
    _dcr: int = register(0x48)
    _or: int = register(0x50)  # and AF1 where it is here
    _more: list[int] = registers(0x54, 6)  # CCMR3, CCR5, CCR6, AF1, AF2, TISEL

    def __init__(self, host: DeviceHost, clock: Clock, limit: int, updated: Line, compared: Line | None = None) -> None:
        super().__init__(host)
        self._clock = clock
        self._limit = limit
        self._lines = (updated,) if compared is None else (updated, compared)
        self._levels = [False] * len(self._lines)
        self._clear()

    def _clear(self) -> None:
        self.clear_registers()
        self._cr1 = self._sr = 0
        self._arr = self._limit
        self._prescaler, self._reload = 0, self._limit  # those in force
        self._base = 0  # tick at which the counter was 0
        self._held = 0  # the count while it stands
        self._seen = 0  # tick up to which events are put down
        self._repeat = 0  # updates still to come without an event

    def reset(self) -> None:
        """RM0399 43.4: registers after reset."""
        self._clear()
        self._update_lines()

    # --- time

    @property
    def _step(self) -> int:
        return self._prescaler + 1

    @property
    def _period(self) -> int:
        """Ticks from one update to the next."""
        return self._step * (self._reload + 1)

    @property
    def _counts(self) -> bool:
        """Enabled, and not blocked by a reload value of 0 (RM0399 43.3.2)."""
        return bool(self._cr1 & _CEN and self._reload)

    def _count(self, now: int) -> int:
        if not self._counts:
            return self._held
        return (now - self._base) // self._step % (self._reload + 1)

    def _go_on(self, now: int) -> None:
        """Count on from the count that was kept."""
        self._base = now - self._held * self._step
        self._seen = now

    def _control(self, cr1: int, reload: int) -> None:
        """Start, stop, or neither."""
        now = self._clock.now()
        counted, count = self._counts, self._count(now)
        self._cr1, self._reload = cr1, reload
        if self._counts != counted:
            self._held = count
            self._go_on(now)

    def _catch_up(self, now: int) -> None:
        """Put down what has happened until now; two cores may look in either order within a quantum."""
        while self._counts and now > self._seen:
            update = self._base + self._period
            until = min(now, update - 1)
            self._note_compares(until)
            self._seen = until
            if now < update:
                break
            self._overflow(update)
            self._skip_periods(now)

    def _note_compares(self, until: int) -> None:
        for channel, value in enumerate(self._compare):
            at = self._base + value * self._step
            if value <= self._reload and self._seen < at <= until:
                self._sr |= 2 << channel

    def _overflow(self, at: int) -> None:
        self._base = self._seen = at
        for channel, value in enumerate(self._compare):
            if value == 0:
                self._sr |= 2 << channel
        if self._cr1 & _UDIS:
            return
        if self._repeat:
            self._repeat -= 1
            return
        self._load()
        self._sr |= _UIF
        if self._cr1 & _OPM:
            self._held = 0
            self._cr1 &= ~_CEN

    def _skip_periods(self, now: int) -> None:
        """Of whole periods that are alike all but the last one at once: it sets every flag that they set."""
        if self._cr1 & _OPM or not self._counts:
            return
        if not self._cr1 & _UDIS and (self._prescaler, self._reload) != (self._psc, self._arr):
            return
        skipped = (now - self._base) // self._period - 1
        if skipped <= 0:
            return
        self._base += skipped * self._period
        self._seen = self._base
        if self._cr1 & _UDIS:
            return
        if skipped > self._repeat:
            self._sr |= _UIF
            self._repeat = self._rcr - (skipped - self._repeat - 1) % (self._rcr + 1)
        else:
            self._repeat -= skipped

    def _load(self) -> None:
        self._prescaler, self._reload, self._repeat = self._psc, self._arr, self._rcr

    # --- what others see

    def _update_lines(self) -> None:
        asked = self._sr & self._dier & _INTERRUPTS
        levels = [bool(asked)] if len(self._lines) == 1 else [bool(asked & _UIF), bool(asked & _COMPARES)]
        for index, level in enumerate(levels):
            if level != self._levels[index]:
                self._levels[index] = level
                self._lines[index](level)

    def _changed(self, now: int) -> None:
        """After an access: lines, and when to look again."""
        self._update_lines()
        due = self._next_interrupt(now)
        if due is not None:
            self._clock.wake_at(due)

    def next_due(self) -> int | None:
        """The tick of its next interrupt, as things stand."""
        return self._next_interrupt(self._clock.now())

    def _next_interrupt(self, now: int) -> int | None:
        if not self._counts:
            return None
        wanted = self._dier & ~self._sr
        due = [self._base + self._period] if wanted & _UIF and not self._cr1 & _UDIS else []
        for channel, value in enumerate(self._compare):
            if wanted & 2 << channel and value <= self._reload:
                at = self._base + value * self._step
                due.append(at if at > now else at + self._period)
        return min(due, default=None)

    def wake(self) -> None:
        """Something is due, or was when it was asked for."""
        now = self._clock.now()
        self._catch_up(now)
        self._changed(now)

    def read(self, offset: int, size: int, core: str | None) -> int:
        if core is not None:
            self._catch_up(self._clock.now())
        return super().read(offset, size, core)

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        now = self._clock.now()
        self._catch_up(now)
        super().write(offset, size, value, core)
        self._changed(now)

    # --- registers

    @reads(0x00)
    def _read_cr1(self) -> int:
        return self._cr1

    @writes(0x00)
    def _write_cr1(self, value: int) -> None:
        if value & _CEN and value & _DOWN:
            self._host.unmodelled(0x00, "counting down")
        self._control(value & 0x0BFF, self._reload)

    @reads(0x10)
    def _read_sr(self) -> int:
        return self._sr

    @writes(0x10)
    def _write_sr(self, value: int) -> None:
        """Flags are cleared by writing 0."""
        self._sr &= value

    @reads(0x14)
    def _read_egr(self) -> int:
        return 0

    @writes(0x14)
    def _write_egr(self, value: int) -> None:
        """UG: the counter and its prescaler begin anew, and what waited for an update is in force."""
        self._sr |= value & _COMPARES
        if value & _UG:
            now = self._clock.now()
            self._held = 0
            self._load()
            self._go_on(now)
            if not self._cr1 & (_URS | _UDIS):
                self._sr |= _UIF

    @reads(0x24)
    def _read_cnt(self) -> int:
        count = self._count(self._clock.now())
        if self._cr1 & _UIFREMAP:
            return count & 0x7FFF_FFFF | (self._sr & _UIF) << 31
        return count

    @writes(0x24)
    def _write_cnt(self, value: int) -> None:
        self._held = value & self._limit
        self._go_on(self._clock.now())

    @written(0x08)
    def _smcr_written(self) -> None:
        if self._smcr & _SLAVE:
            self._host.unmodelled(0x08, "slave mode")

    @written(0x0C)
    def _dier_written(self) -> None:
        if self._dier & _DMA:
            self._host.unmodelled(0x0C, "DMA requests of a timer")

    @written(0x2C)
    def _arr_written(self) -> None:
        """In force at once without ARPE; a count that is past it is taken for an overflow."""
        if not self._cr1 & _ARPE:
            self._control(self._cr1, self._arr)
