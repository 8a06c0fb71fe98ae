"""SysTick's registers (DDI0403E B3.3): each access brings the counter to its moment first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.engines.unicorn.cpu.register_table import Registers, constant
from orchestrator.engines.unicorn.cpu.systick import SysTick

__all__ = ["SysTickRegisters"]


class SysTickRegisters:
    """``now`` gives ticks since power-on; ``due`` is told after an access, and whether an interrupt fell due by it."""

    def __init__(self, systick: SysTick, now: Callable[[], int], due: Callable[[bool], None]) -> None:
        self._systick = systick
        self._now = now
        self._due = due

    def registers(self) -> Registers:
        """SYST_CSR, RVR, CVR, and CALIB without a calibration value."""
        return {
            0x010: (self._read_control, self._write_control),
            0x014: (lambda: self._systick.reload, self._write_reload),
            0x018: (self._read_value, self._write_value),
            0x01C: constant(0),
        }

    @contextmanager
    def peeking(self) -> Iterator[None]:
        """What is read inside leaves COUNTFLAG as it is, and makes no interrupt due."""
        counting, due = self._systick.save(), self._due
        self._due = lambda _due: None
        try:
            yield
        finally:
            self._due = due
            self._systick.restore(counting)

    def _read_control(self) -> int:
        value, due = self._systick.read_control(self._now())
        if due:
            self._due(due)
        return value

    def _read_value(self) -> int:
        value, due = self._systick.read_value(self._now())
        if due:
            self._due(due)
        return value

    def _write_control(self, value: int) -> None:
        self._due(self._systick.write_control(value, self._now()))

    def _write_reload(self, value: int) -> None:
        self._due(self._systick.write_reload(value, self._now()))

    def _write_value(self, _value: int) -> None:
        self._due(self._systick.write_value(self._now()))
