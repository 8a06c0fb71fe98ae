"""The floating-point context of a core (DDI0403E B1.5.7): access to the unit, lazy stacking, the default FPSCR."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.engines.common import cortex_m
from orchestrator.engines.unicorn.cpu.fault_cause import FaultCause
from orchestrator.engines.unicorn.cpu.frames import FP_OFFSET, Frames, StackError
from orchestrator.engines.unicorn.cpu.processor import Processor
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace
from orchestrator.engines.unicorn.native import abi

__all__ = ["FloatingPoint"]

_ASPEN, _LSPEN, _LSPACT = 1 << 31, 1 << 30, 1  # FPCCR
_FULL_ACCESS = 3  # CPACR, one coprocessor


class FloatingPoint:
    """What CPACR, FPCCR and FPDSCR make of the next floating-point instruction, and of a frame."""

    frames: Frames

    def __init__(self, processor: Processor, scs: SystemControlSpace) -> None:
        self._p = processor
        self._scs = scs

    @property
    def stacks_lazily(self) -> bool:
        """FPCCR.LSPEN."""
        return bool(self._scs.fpccr & _LSPEN)

    @property
    def is_stacking_due(self) -> bool:
        """FPCCR.LSPACT: a frame has room for registers that are still the interrupted context's."""
        return bool(self._scs.fpccr & _LSPACT)

    def owe_stacking(self, frame: int) -> None:
        """The frame at this address has the room and not the registers."""
        self._scs.fpcar = frame + FP_OFFSET
        self._scs.fpccr |= _LSPACT

    def unstacked(self) -> None:
        """The frame that had the room is gone."""
        self._scs.fpccr &= ~_LSPACT

    def watch(self) -> None:
        """Whether the next floating-point instruction needs a look, by what it would find now."""
        scs = self._scs
        watch = scs.fp_access != _FULL_ACCESS or bool(scs.fpccr & _LSPACT) or not scs.fpccr & _ASPEN or scs.fpdscr != 0
        if watch != self._p.native.fp_watch:
            self._p.native.fp_watch = watch
            self._p.native.clean_page = self._p.native.marked_page = abi.NO_PAGE

    def before_instruction(self, fault: Callable[[FaultCause], None], execute: Callable[[int], None]) -> None:
        """The instruction at PC is a floating-point one that asked for a look."""
        scs = self._scs
        if not scs.fp_access or (scs.fp_access != _FULL_ACCESS and self._p.is_unprivileged_mode):
            fault(FaultCause(cortex_m.USAGE_FAULT, ("NOCP",), "uses the floating-point unit, which is off (CPACR)"))
            return
        if scs.fpccr & _LSPACT:
            try:
                self.frames.preserve(scs.fpcar)
            except StackError as error:
                what = f"the floating-point context does not go to {error.address:#010x}, where there is no memory"
                fault(FaultCause(cortex_m.BUS_FAULT, ("LSPERR",), what))
                return
            scs.fpccr &= ~_LSPACT
        if scs.fpccr & _ASPEN:
            self.frames.begin_floating_point(scs.fpdscr)
        self.watch()
        if self._p.native.fp_watch:
            self._pass(execute)

    def _pass(self, execute: Callable[[int], None]) -> None:
        """Execute this one instruction; without ASPEN it leaves no trace in CONTROL."""
        native = self._p.native
        native.passed = native.executed
        if self._scs.fpccr & _ASPEN:
            return
        before = self.frames.has_floating_point
        execute(native.executed + 1)
        if not before:
            self.frames.end_floating_point()
