"""Data Watchpoint and Trace unit, as far as the cycle counter goes (DDI0403E C1.8)."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.engines.unicorn.devices.device import Device, DeviceHost, reads, writes

__all__ = ["Dwt"]

_CYCCNTENA = 1
_COMPARATORS = range(0x20, 0x60)  # COMP, MASK, FUNCTION and a reserved word of each of four


class Dwt(Device):
    """``cycles`` gives the core's cycles since power-on at this very instruction."""

    is_steady = False
    state = ("_control", "_base", "_held", "_comparators")

    def __init__(self, host: DeviceHost, cycles: Callable[[], int]) -> None:
        super().__init__(host)
        self._cycles = cycles
        self.reset()

    def reset(self) -> None:
        """DWT_CTRL: four comparators announced, nothing enabled."""
        self._control = 0x4000_0000
        self._base = 0  # what the counter lags behind the core's cycles while it runs
        self._held = 0  # its value while it does not
        self._comparators: dict[int, int] = {}

    def read(self, offset: int, size: int, core: str | None) -> int:
        if offset in _COMPARATORS:
            return self._comparators.get(offset, 0)
        return super().read(offset, size, core)

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        """Comparators are storage: one that is told to match (C1.8.16, FUNCTION) is not modelled."""
        if offset not in _COMPARATORS:
            super().write(offset, size, value, core)
            return
        self._comparators[offset] = value
        if offset % 16 == 8 and value & 0xF and core is not None:
            self._host.unmodelled(offset, f"DWT_FUNCTION{(offset - 0x20) // 16} = {value:#x}")

    @reads(0x000)
    def _read_ctrl(self) -> int:
        return self._control

    @writes(0x000)
    def _write_ctrl(self, value: int) -> None:
        count = self._read_cyccnt()
        self._control = self._control & 0xF000_0000 | value & 0x0FFF_FFFF
        self._write_cyccnt(count)

    @reads(0x004)
    def _read_cyccnt(self) -> int:
        if self._control & _CYCCNTENA:
            return (self._cycles() - self._base) & 0xFFFF_FFFF
        return self._held

    @writes(0x004)
    def _write_cyccnt(self, value: int) -> None:
        self._held = value
        self._base = self._cycles() - value

    @reads(0xFB4)
    def _read_lsr(self) -> int:
        """Lock status: not implemented, so not locked."""
        return 0

    @writes(0xFB0)
    def _write_lar(self, value: int) -> None:
        """The lock access register takes its key and changes nothing."""
