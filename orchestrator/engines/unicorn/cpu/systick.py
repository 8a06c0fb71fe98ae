"""SysTick, the 24-bit down counter of every core (DDI0403E B3.3).

Counts ticks of its clock since power-on; the core turns them into its own time. Expiry is at the tick on which the
counter reaches zero; the reload follows one tick later.
"""

from __future__ import annotations

import ctypes

from orchestrator.engines.unicorn.native.abi import NO_TICK, SysTickState

__all__ = ["SysTick"]

ENABLE, TICKINT, CLKSOURCE, COUNTFLAG = 1, 2, 4, 1 << 16
NOREF = 1 << 31
_MASK = 0xFF_FFFF


class _Word:
    """A number of ``struct systick``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name.removeprefix("_")

    def __get__(self, systick: SysTick, owner: type | None = None) -> int:
        return int(getattr(systick.native, self._name))

    def __set__(self, systick: SysTick, value: int) -> None:
        setattr(systick.native, self._name, value)


class _Tick:
    """A tick of it; None: there is none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name.removeprefix("_")

    def __get__(self, systick: SysTick, owner: type | None = None) -> int | None:
        tick = getattr(systick.native, self._name)
        return None if tick == NO_TICK else int(tick)

    def __set__(self, systick: SysTick, value: int | None) -> None:
        setattr(systick.native, self._name, NO_TICK if value is None else value)


class SysTick:
    """The counter, by absolute ticks: ``now`` in every call is the number of ticks since power-on.

    All of it lies in ``native``, where native code lets it expire (systick.c).
    """

    control, reload = _Word(), _Word()
    _stopped_at = _Word()  # the counter's value while it does not run
    _zero = _Tick()  # on which it next reaches zero; None: it does not run
    _wrapped = _Tick()  # on which it was zero last, and the reload had not come yet
    _flag = _Word()

    def __init__(self) -> None:
        self.native = SysTickState()
        self.reset()

    def reset(self) -> None:
        self.control = self.reload = self._stopped_at = self._flag = 0
        self._zero = self._wrapped = None

    @property
    def expiry(self) -> int | None:
        """The tick of the next interrupt; None when there will be none."""
        return self._zero if self.control & TICKINT else None

    def advance(self, now: int) -> bool:
        """Bring the counter to this tick; True when it reached zero with the interrupt enabled."""
        if self._zero is None or now < self._zero:
            return False
        self._flag = 1
        period = self.reload + 1
        if self.reload:
            self._wrapped = self._zero + (now - self._zero) // period * period
            self._zero = self._wrapped + period
        else:
            self._zero = None  # a reload of zero stops it at the next wrap
            self._stopped_at = 0
        return bool(self.control & TICKINT)

    def _value(self, now: int) -> int:
        if self._zero is None:
            return self._stopped_at
        return 0 if now == self._wrapped else self._zero - now

    def read_control(self, now: int) -> tuple[int, bool]:
        """CSR, and whether an interrupt fell due on the way; reading clears COUNTFLAG."""
        due = self.advance(now)
        value = self.control | (COUNTFLAG if self._flag else 0)
        self._flag = 0
        return value, due

    def write_control(self, value: int, now: int) -> bool:
        due = self.advance(now)
        counter = self._value(now)
        self.control = value & (ENABLE | TICKINT | CLKSOURCE)
        self._run(counter, now)
        return due

    def write_reload(self, value: int, now: int) -> bool:
        """RVR is used at the next wrap, not before."""
        due = self.advance(now)
        counter = self._value(now)
        self.reload = value & _MASK
        if counter == 0:
            self._run(counter, now)
        return due

    def read_value(self, now: int) -> tuple[int, bool]:
        due = self.advance(now)
        return self._value(now) & _MASK, due

    def write_value(self, now: int) -> bool:
        """Any write clears CVR and COUNTFLAG; the next tick reloads (B3.3.4)."""
        due = self.advance(now)
        self._flag = 0
        self._run(0, now)
        return due

    def _run(self, counter: int, now: int) -> None:
        if not self.control & ENABLE or (counter == 0 and self.reload == 0):
            self._zero = None
            self._stopped_at = counter
        else:
            self._zero = now + counter if counter else now + self.reload + 1
            self._wrapped = None if counter else now

    def delay(self, ticks: int) -> None:
        """So many ticks have passed at once, at the end of which it stands as it did before them."""
        self._zero = None if self._zero is None else self._zero + ticks
        self._wrapped = None if self._wrapped is None else self._wrapped + ticks

    def distances(self, now: int) -> tuple[int | bool | None, ...]:
        """All that it is, with ticks as distances from ``now``."""
        at = self.save()
        at.advance(now)
        zero = None if at._zero is None else at._zero - now
        return at.control, at.reload, at._stopped_at, bool(at._flag), zero, at._wrapped == now

    def save(self) -> SysTick:
        new = SysTick()
        new.restore(self)
        return new

    def restore(self, saved: SysTick) -> None:
        ctypes.pointer(self.native)[0] = saved.native
