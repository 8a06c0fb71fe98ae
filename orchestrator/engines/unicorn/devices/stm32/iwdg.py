"""Independent watchdog of the STM32 (RM0399 ch. 49): resets the chip when it is not refreshed in time.

It counts from when it is started; a reset of the chip stops it. The window is kept, and a refresh outside of it resets.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.engines.unicorn.devices.device import Clock, Device, DeviceHost, reads, writes

__all__ = ["Stm32Iwdg"]

_UNLOCK, _REFRESH, _START = 0x5555, 0xAAAA, 0xCCCC
_FULL = 0xFFF


class Stm32Iwdg(Device):
    """``bite`` resets the chip and says why; the clock is LSI."""

    state = ("_prescaler", "_reload", "_window", "_unlocked", "_begun")

    def __init__(self, host: DeviceHost, clock: Clock, bite: Callable[[str], None]) -> None:
        super().__init__(host)
        self._clock = clock
        self._bite = bite
        self.reset()

    def reset(self) -> None:
        """RM0399 49.4: stopped, longest time, no window."""
        self._prescaler = 0
        self._reload = self._window = _FULL
        self._unlocked = False
        self._begun: int | None = None  # tick of the last refresh; None: not started

    @property
    def _step(self) -> int:
        """Ticks of one count: 4 to 256."""
        return 4 << min(self._prescaler, 6)

    @property
    def _due(self) -> int | None:
        return None if self._begun is None else self._begun + (self._reload + 1) * self._step

    def next_due(self) -> int | None:
        """The tick at which it resets the chip, as things stand."""
        return self._due

    def _refresh(self) -> None:
        now = self._clock.now()
        if self._begun is not None:
            count = self._reload - (now - self._begun) // self._step
            if self._window < self._reload and count > self._window:
                self._bite(f"refreshed at count {count:#x}, above its window of {self._window:#x}")
                return
        self._count_from(now)

    def _count_from(self, now: int) -> None:
        self._begun = now
        self._ask()

    def _ask(self) -> None:
        if self._due is not None:
            self._clock.wake_at(self._due)

    def wake(self) -> None:
        """Time is up, or was before the last refresh."""
        due = self._due
        if due is None:
            return
        if self._clock.now() >= due:
            self._begun = None
            self._bite("it was not refreshed in time")
        else:
            self._ask()

    @reads(0x00)
    def _read_kr(self) -> int:
        return 0

    @writes(0x00)
    def _write_kr(self, value: int) -> None:
        key = value & 0xFFFF
        self._unlocked = key == _UNLOCK
        if key == _START and self._begun is None:
            self._count_from(self._clock.now())
        elif key == _REFRESH and self._begun is not None:
            self._refresh()

    @reads(0x04)
    def _read_pr(self) -> int:
        return self._prescaler

    @writes(0x04)
    def _write_pr(self, value: int) -> None:
        if self._unlocked:
            self._prescaler = value & 7
            self._ask()

    @reads(0x08)
    def _read_rlr(self) -> int:
        return self._reload

    @writes(0x08)
    def _write_rlr(self, value: int) -> None:
        if self._unlocked:
            self._reload = value & _FULL
            self._ask()

    @reads(0x0C)
    def _read_sr(self) -> int:
        """Updates of PR, RLR and WINR are done at once."""
        return 0

    @reads(0x10)
    def _read_winr(self) -> int:
        return self._window

    @writes(0x10)
    def _write_winr(self, value: int) -> None:
        """A write reloads the counter as well (RM0399 49.3.2)."""
        if self._unlocked:
            self._window = value & _FULL
            if self._begun is not None:
                self._count_from(self._clock.now())
