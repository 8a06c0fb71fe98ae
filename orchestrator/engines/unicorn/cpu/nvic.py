"""Exceptions of a Cortex-M core: what is enabled, pending and active, and which one is next.

Armv7-M Architecture Reference Manual (DDI0403E) B1.5 and B3.4. Knows no emulator: the core asks which exception to take
and says what it took. Numbers are those of IPSR: 16 is external interrupt 0.
"""

from __future__ import annotations

import ctypes

from orchestrator.engines.common.bits import bits_of
from orchestrator.engines.common.cortex_m import (
    BUS_FAULT,
    DEBUG_MONITOR,
    FIRST_INTERRUPT,
    HARD_FAULT,
    MEM_MANAGE,
    NMI,
    PEND_SV,
    RESET,
    SECURE_FAULT,
    SV_CALL,
    SYS_TICK,
    USAGE_FAULT,
)
from orchestrator.engines.unicorn.native.abi import NvicState, hooks

__all__ = ["NO_PRIORITY", "ExceptionState"]

_RESERVED = (8, 9, 10, 13)
NO_PRIORITY = 256  # of Thread mode with nothing masked: lower than any exception
_FIXED_PRIORITY = {RESET: -3, NMI: -2, HARD_FAULT: -1}
_CONFIGURABLE_FAULTS = (MEM_MANAGE, BUS_FAULT, USAGE_FAULT)


class _Bits:
    """A set of exceptions, one bit each by number, as the integer that it is."""

    def __set_name__(self, owner: type, name: str) -> None:
        place = getattr(NvicState, name)
        self._offset, self._size = place.offset, place.size

    def __get__(self, state: ExceptionState, owner: type | None = None) -> int:
        return int.from_bytes(state.bytes[self._offset : self._offset + self._size], "little")

    def __set__(self, state: ExceptionState, value: int) -> None:
        state.bytes[self._offset : self._offset + self._size] = value.to_bytes(self._size, "little")


class ExceptionState:
    """Enabled, pending and active exceptions, one bit each by exception number, and their priorities.

    All of it lies in ``native``, where native code takes the exceptions of which nothing more comes (exceptions.c).
    """

    enabled, pending, active = _Bits(), _Bits(), _Bits()
    lines = _Bits()  # inputs that are high
    noticed = _Bits()  # pending ones for which SCR.SEVONPEND has set the event

    def __init__(self, interrupts: int, priority_mask: int, *, secure_fault: bool = False) -> None:
        self._reserved = _RESERVED if secure_fault else (SECURE_FAULT, *_RESERVED)
        self.interrupts = interrupts
        self._priority_mask = priority_mask
        self._implemented = ((1 << interrupts) - 1) << FIRST_INTERRUPT
        self._count = FIRST_INTERRUPT + interrupts
        self._keep_in(NvicState(priority_mask=priority_mask, interrupts=interrupts))
        self.reset()

    def _keep_in(self, native: NvicState) -> None:
        self.native = native
        self._pointer = ctypes.addressof(native)
        self.bytes = memoryview(native).cast("B")
        self._priority = native.priority

    def reset(self) -> None:
        """Reset values of NVIC and system handlers (DDI0403E B3.2.2, B3.4.2); input lines stay as they are driven."""
        always = (NMI, HARD_FAULT, SV_CALL, DEBUG_MONITOR, PEND_SV, SYS_TICK)
        self.enabled = sum(1 << number for number in always)
        self.pending = self.lines
        self.active = 0
        self._priority[:] = [0] * len(self._priority)
        for number, priority in _FIXED_PRIORITY.items():
            self._priority[number] = priority
        self.group_shift = 1  # PRIGROUP 0: bits [7:1] are the group

    @property
    def priority(self) -> list[int]:
        """By exception number."""
        return list(self._priority[: self._count])

    @property
    def group_shift(self) -> int:
        """Of a priority: the bits of which the group is what is above them."""
        return int(self.native.group_shift)

    @group_shift.setter
    def group_shift(self, shift: int) -> None:
        self.native.group_shift = shift

    def save(self) -> ExceptionState:
        """A copy that goes its own way."""
        new = object.__new__(ExceptionState)
        new.__dict__.update(self.__dict__)
        new._keep_in(NvicState.from_buffer_copy(self.native))
        return new

    def restore(self, saved: ExceptionState) -> None:
        self.bytes[:] = saved.bytes

    # --- inputs

    def set_line(self, interrupt: int, level: bool) -> None:
        """Drive an external interrupt: level-sensitive, pends while it is high (DDI0403E B3.4.1)."""
        hooks.nvic_drive(self._pointer, interrupt, level)

    def pend(self, number: int) -> None:
        self.pending |= 1 << number

    def unpend(self, number: int) -> None:
        self.pending &= ~(1 << number)
        if number >= FIRST_INTERRUPT:
            self.pending |= self.lines & (1 << number) & ~self.active

    # --- registers: interrupts, 32 to a word

    def word(self, bits: int, index: int) -> int:
        """Word ``index`` of a set of exceptions as ISER, ISPR and IABR show it."""
        return (bits >> FIRST_INTERRUPT + 32 * index) & 0xFFFF_FFFF

    def enable_word(self, index: int, value: int, *, on: bool) -> None:
        bits = (value << FIRST_INTERRUPT + 32 * index) & self._implemented
        self.enabled = self.enabled | bits if on else self.enabled & ~bits

    def pend_word(self, index: int, value: int, *, on: bool) -> None:
        bits = (value << FIRST_INTERRUPT + 32 * index) & self._implemented
        if on:
            self.pending |= bits
        else:
            self.pending = (self.pending & ~bits) | (self.lines & bits & ~self.active)

    def set_priority(self, number: int, value: int) -> None:
        """Write a priority register's byte; unimplemented bits read as zero."""
        if number not in _FIXED_PRIORITY and number not in self._reserved and number < self._count:
            self._priority[number] = value & self._priority_mask

    def set_priority_grouping(self, prigroup: int) -> None:
        """AIRCR.PRIGROUP: the group is bits [7:PRIGROUP+1] (DDI0403E B1.5.4, table B1-5)."""
        self.group_shift = prigroup + 1

    # --- what is next

    def group_priority(self, priority: int) -> int:
        """The part of a priority that decides preemption."""
        return priority if priority < 0 else priority >> self.group_shift << self.group_shift

    def execution_priority(self, primask: int, basepri: int, faultmask: int) -> int:
        """DDI0403E B1.5.4, ExecutionPriority(): the highest of the active exceptions and the masks."""
        highest = NO_PRIORITY
        for number in bits_of(self.active):
            highest = min(highest, self.group_priority(self._priority[number]))
        basepri &= self._priority_mask  # the register has no more bits than a priority (B1.4.3)
        if basepri:
            highest = min(highest, self.group_priority(basepri))
        if primask:
            highest = min(highest, 0)
        if faultmask:
            highest = min(highest, -1)
        return highest

    @property
    def candidates(self) -> int:
        """Exceptions that are pending and enabled, whatever masks them."""
        return self.pending & self.enabled

    def highest_pending(self) -> int | None:
        """The pending and enabled exception of highest priority; the lowest number among equals (B1.5.4)."""
        candidates = self.pending & self.enabled
        if not candidates & candidates - 1:  # one, or none
            return candidates.bit_length() - 1 if candidates else None
        best: int | None = None
        for number in bits_of(candidates):
            if best is None or self._priority[number] < self._priority[best]:
                best = number
        return best

    def takeable(self, execution_priority: int) -> int | None:
        """The exception that preempts now; None when none does."""
        best = self.highest_pending()
        return best if best is not None and self._preempts(best, execution_priority) else None

    def _preempts(self, number: int, execution_priority: int) -> bool:
        """An execution priority is that of a whole group: what is below it in number is of a higher group."""
        return bool(self._priority[number] < execution_priority)

    def wakes(self, basepri: int, faultmask: int) -> int | None:
        """The exception that ends WFI: WFI ends for what would preempt if PRIMASK were clear (DDI0403E B1.5.19)."""
        return self.takeable(self.execution_priority(0, basepri, faultmask))

    # --- what happens

    def enter(self, number: int) -> None:
        bit = 1 << number
        self.pending &= ~bit
        self.active |= bit

    def leave(self, number: int) -> None:
        """The exception returned; a line that is still high pends it again (DDI0403E B3.4.1)."""
        bit = 1 << number
        self.active &= ~bit
        self.pending |= self.lines & bit

    def set_active(self, number: int, active: bool) -> None:
        """Software says so, by SHCSR (B3.2.13)."""
        bit = 1 << number
        self.active = self.active | bit if active else self.active & ~bit

    def can_take(self, number: int, execution_priority: int) -> bool:
        """A synchronous exception is taken as itself when it is enabled and preempts; else it escalates."""
        return bool(self.enabled >> number & 1) and self._preempts(number, execution_priority)

    def set_fault_enables(self, shcsr: int) -> None:
        """SHCSR bits 16 to 18 enable MemManage, BusFault and UsageFault (B3.2.13)."""
        for index, number in enumerate(_CONFIGURABLE_FAULTS):
            bit = 1 << number
            self.enabled = self.enabled | bit if shcsr >> 16 + index & 1 else self.enabled & ~bit
