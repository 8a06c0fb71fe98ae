"""The NVIC's registers, views of :class:`~orchestrator.engines.unicorn.cpu.nvic.ExceptionState` (DDI0403E B3.4)."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.engines.common.cortex_m import FIRST_INTERRUPT
from orchestrator.engines.unicorn.cpu.nvic import ExceptionState
from orchestrator.engines.unicorn.cpu.register_table import Read, Registers, Write, constant, ignored

__all__ = ["NvicRegisters"]


class NvicRegisters:
    """Of one core; ``changed`` is told after a store that may change which exception is next."""

    def __init__(self, exceptions: ExceptionState, changed: Callable[[], None]) -> None:
        self._exceptions = exceptions
        self._changed = changed

    def registers(self) -> Registers:
        """ICTR, ISER to IABR, IPR, SHPR and STIR."""
        interrupts = self._exceptions.interrupts
        words = (interrupts + 31) // 32
        table: Registers = {0x004: constant(words - 1), 0xF00: (None, self._write_stir)}
        for index in range(words):
            table[0x100 + 4 * index] = self._enable_register(index, on=True)
            table[0x180 + 4 * index] = self._enable_register(index, on=False)
            table[0x200 + 4 * index] = self._pend_register(index, on=True)
            table[0x280 + 4 * index] = self._pend_register(index, on=False)
            table[0x300 + 4 * index] = (self._active_word(index), ignored)
        for index in range((interrupts + 3) // 4):
            table[0x400 + 4 * index] = self._priority_register(FIRST_INTERRUPT + 4 * index)
        for index in range((interrupts + 3) // 4, words * 8):
            table[0x400 + 4 * index] = constant(0)  # of no interrupt here: RAZ/WI (B3.4.9)
        for index in range(3):
            table[0xD18 + 4 * index] = self._priority_register(4 + 4 * index)
        return table

    def _enable_register(self, index: int, *, on: bool) -> tuple[Read, Write]:
        def write(value: int) -> None:
            self._exceptions.enable_word(index, value, on=on)
            self._changed()

        return (lambda: self._exceptions.word(self._exceptions.enabled, index)), write

    def _pend_register(self, index: int, *, on: bool) -> tuple[Read, Write]:
        def write(value: int) -> None:
            self._exceptions.pend_word(index, value, on=on)
            self._changed()

        return (lambda: self._exceptions.word(self._exceptions.pending, index)), write

    def _active_word(self, index: int) -> Read:
        return lambda: self._exceptions.word(self._exceptions.active, index)

    def _priority_register(self, first: int) -> tuple[Read, Write]:
        def read() -> int:
            priorities = self._exceptions.priority[first : first + 4]
            return sum((priority & 0xFF) << 8 * index for index, priority in enumerate(priorities))

        def write(value: int) -> None:
            for index in range(4):
                self._exceptions.set_priority(first + index, value >> 8 * index & 0xFF)
            self._changed()

        return read, write

    def _write_stir(self, value: int) -> None:
        number = (value & 0x1FF) + FIRST_INTERRUPT
        if number < FIRST_INTERRUPT + self._exceptions.interrupts:
            self._exceptions.pend(number)
            self._changed()
