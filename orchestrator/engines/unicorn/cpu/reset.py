"""How one core begins: held and released, reset, and its first instruction from the vector table."""

from __future__ import annotations

from typing import Protocol

from orchestrator.base.errors import RptwinError
from orchestrator.engines.common import cortex_m
from orchestrator.engines.unicorn.binding import RegisterBatch
from orchestrator.engines.unicorn.cpu.code_marks import CodeMarks
from orchestrator.engines.unicorn.cpu.exceptions import ExceptionUnit
from orchestrator.engines.unicorn.cpu.execution import Execution
from orchestrator.engines.unicorn.cpu.fault_cause import FaultCause
from orchestrator.engines.unicorn.cpu.floating_point import FloatingPoint
from orchestrator.engines.unicorn.cpu.frames import is_exc_return
from orchestrator.engines.unicorn.cpu.loop_skipper import LoopSkipper
from orchestrator.engines.unicorn.cpu.mpu_enforcer import MpuEnforcer
from orchestrator.engines.unicorn.cpu.processor import GENERAL, SPECIAL, XPSR_T, Processor
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace
from orchestrator.engines.unicorn.cpu.timeline import Timeline
from orchestrator.engines.unicorn.native import abi
from orchestrator.events import CoreState, Detail, StateChanged

__all__ = ["STUB", "ResetPort", "ResetUnit"]

# Instructions that the guest does not see: CLREX, as exception entry and return have it; and for the reset of a core
# that has them MSR MSPLIM and MSR PSPLIM of R0 (DDI0553B).
STUB = b"\xbf\xf3\x2f\x8f" + b"\x80\xf3\x0a\x88\x80\xf3\x0b\x88"
_STUB_INSTRUCTIONS = 3


class ResetPort(Protocol):
    """What a reset asks of the rest of the core."""

    def emit(self, detail: Detail) -> None: ...

    def traps_changed(self) -> None:
        """CCR.UNALIGN_TRP or DIV_0_TRP are as after reset."""
        ...


class ResetUnit:
    """Holds, releases, resets and starts one core; ``is_held`` says whether it waits after a reset."""

    def __init__(
        self,
        processor: Processor,
        scs: SystemControlSpace,
        unit: ExceptionUnit,
        floating_point: FloatingPoint,
        enforcer: MpuEnforcer,
        marks: CodeMarks,
        loops: LoopSkipper,
        execution: Execution,
        timeline: Timeline,
        port: ResetPort,
        *,
        is_held: bool,
    ) -> None:
        self._p = processor
        self._scs = scs
        self._unit = unit
        self._floating_point = floating_point
        self._enforcer = enforcer
        self._marks = marks
        self._loops = loops
        self._execution = execution
        self._timeline = timeline
        self._port = port
        self._is_held = is_held
        self._cleared = RegisterBatch(
            *GENERAL, "LR", "IPSR", "CONTROL", "IPSR", "CONTROL", "PRIMASK", "BASEPRI", "FAULTMASK", "PSP", "APSR_NZCV"
        )

    def hold(self, why: str) -> None:
        """Stop at once, until released."""
        if not self._p.held:
            self._loops.leave()
            self._p.held = True
            self._p.end_slice()
            self._timeline.replan()
            self._port.emit(StateChanged(CoreState.HELD, why))

    def release(self, why: str) -> None:
        """Let a held core go: it starts from its vector table."""
        if self._p.held:
            self._reset_private()
            self._p.held = False
            self._port.emit(StateChanged(CoreState.RUNNING, why))
            self.start()

    def restart(self, why: str) -> None:
        """Start from the vector table again, with the core's private peripherals reset; one that is held stays so."""
        if not self._p.held:
            self._loops.leave()
            self._reset_private()
            self._timeline.reset()
            self._port.emit(StateChanged(CoreState.RUNNING, why))
            self.start()

    def reset(self) -> None:
        """Power-on state of the core and its private peripherals; memory and the shared devices stay."""
        self._reset_private()
        self._p.held = self._is_held
        self._timeline.reset()

    def _reset_private(self) -> None:
        self._p.exceptions.reset()
        self._scs.reset()
        self._p.wake(abi.BY_RESET)
        self._p.locked_up = self._p.event = self._p.waits_for_event = False
        self._loops.drop()
        self._execution.reset_asked = False
        self._marks.forget()
        self._p.native.watch_masks = 0
        self._enforcer.look_again()

    def start(self) -> None:
        """Load SP and PC from the vector table (DDI0403E B1.5.5, TakeReset())."""
        # By way of a handler, which may write CONTROL.
        self._cleared.write(self._p.cpu.handle, [0] * 13 + [0xFFFF_FFFF, cortex_m.HARD_FAULT] + [0] * 8)
        self._p.cpu.write(SPECIAL.fpscr, 0)
        self._floating_point.watch()
        self._port.traps_changed()
        if any(self._p.native.limits):
            self._p.run_stub(_STUB_INSTRUCTIONS)
            self._p.native.limits[:] = 0, 0
        self._p.locked_up = False
        try:
            words = self._p.memory.read(self._scs.vtor, 8)
        except RptwinError:
            self._p.pc = 0
            self._unit.lock_up(f"the vector table at {self._scs.vtor:#010x} lies in no memory")
            return
        stack, entry = int.from_bytes(words[:4], "little"), int.from_bytes(words[4:], "little")
        self._p.cpu.write(SPECIAL.msp, stack & ~3)
        self._p.pc = entry & ~1
        self._p.cpu.write(SPECIAL.xpsr_write, XPSR_T if entry & 1 else 0)
        self._p.attention = True
        self._timeline.replan()
        if not entry & 1:
            self._unit.fault(
                FaultCause(
                    cortex_m.USAGE_FAULT,
                    ("INVSTATE",),
                    f"the reset vector at {self._scs.vtor + 4:#010x} is even ({entry:#010x}): not Thumb code",
                )
            )
        elif is_exc_return(self._p.pc):
            self._unit.fetch_fault(self._p.pc)
