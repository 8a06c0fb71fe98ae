"""What the parts of one core ask of each other and of the board: each question goes to the part that knows.

A part names in a protocol of its own what it asks; here all of them are answered, and nothing is decided.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from orchestrator.engines.unicorn.bus import Bus, Slot
from orchestrator.engines.unicorn.cpu.accesses import Accesses
from orchestrator.engines.unicorn.cpu.code_marks import CodeMarks
from orchestrator.engines.unicorn.cpu.debug import Debugger
from orchestrator.engines.unicorn.cpu.execution import Execution
from orchestrator.engines.unicorn.cpu.floating_point import FloatingPoint
from orchestrator.engines.unicorn.cpu.loop_skipper import LoopSkipper
from orchestrator.engines.unicorn.cpu.mpu_enforcer import MpuEnforcer
from orchestrator.engines.unicorn.cpu.processor import SPECIAL, Processor
from orchestrator.engines.unicorn.cpu.reset import ResetUnit
from orchestrator.engines.unicorn.cpu.run_loop import RunLoop
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace
from orchestrator.engines.unicorn.cpu.timeline import Timeline
from orchestrator.engines.unicorn.native import abi
from orchestrator.events import Detail

__all__ = ["BoardPort", "Ports"]

_UNALIGN_TRP, _DIV_0_TRP = 8, 16  # CCR


class BoardPort(Protocol):
    """What the parts of a core tell and ask of the board."""

    def emit(self, detail: Detail) -> None: ...

    def send_event(self) -> None:
        """SEV: every core's event register is set."""
        ...

    def reset_chip(self) -> None:
        """Every core and device begins anew."""
        ...

    def device_written(self, slot: Slot) -> None: ...

    def interrupt_taken(self, interrupt: int) -> None: ...

    def alarm(self, name: str, count: int) -> None:
        """The instruction count has come for which a device asked."""
        ...

    def acting(self) -> AbstractContextManager[None]:
        """What happens inside is done by this core."""
        ...


class Ports:
    """Implements the port of every part of a core; the parts are put in once they are made."""

    scs: SystemControlSpace
    marks: CodeMarks
    enforcer: MpuEnforcer
    floating_point: FloatingPoint
    loops: LoopSkipper
    accesses: Accesses
    execution: Execution
    timeline: Timeline
    debugger: Debugger
    resets: ResetUnit
    run_loop: RunLoop
    bus: Bus

    def __init__(self, board: BoardPort, processor: Processor, *, skip_idle_loops: bool) -> None:
        # The board's own answers, without a frame between: an exception or a device access has several.
        self.emit, self.interrupt_taken, self.device_written = board.emit, board.interrupt_taken, board.device_written
        self.send_event, self.alarm = board.send_event, board.alarm
        self.acting, self.reset_chip = board.acting, board.reset_chip
        self._p = processor
        self._skip_idle_loops = skip_idle_loops

    # --- of a debugger

    @property
    def may_skip(self) -> bool:
        return self._skip_idle_loops and not self.debugger.is_active

    def is_at_breakpoint(self) -> bool:
        return self.debugger.is_at_breakpoint()

    def serves_breakpoint(self) -> bool:
        return self.debugger.serves_breakpoint()

    # --- of time and the run

    def systick_now(self) -> int:
        return self.timeline.systick_now()

    def replan(self) -> None:
        self.timeline.replan()

    def reconsider(self) -> None:
        self.run_loop.reconsider()

    def execute(self, limit: int) -> None:
        self.execution.execute(limit)

    def back_in_loop(self, *, another_round: bool) -> None:
        self.loops.back_in_loop(another_round=another_round)

    def active_exception(self) -> int:
        return self._p.cpu.read(SPECIAL.ipsr)

    # --- of reset

    def hold(self, why: str) -> None:
        self.resets.hold(why)

    def release(self, why: str) -> None:
        self.resets.release(why)

    def reset_requested(self) -> None:
        self.execution.reset_asked = True
        self._p.end_slice()

    # --- of what is said

    def note(self, text: str) -> None:
        self.accesses.note(text)

    def unmodelled(self, offset: int, size: int, value: int | None) -> None:
        self.accesses.unmodelled_register(offset, size, value)

    # --- of what the next instruction finds

    def floating_point_changed(self) -> None:
        self.floating_point.watch()

    def traps_changed(self) -> None:
        ccr = self.scs.ccr
        traps = (abi.TRAP_DIVISION if ccr & _DIV_0_TRP else 0) | (abi.TRAP_UNALIGNED if ccr & _UNALIGN_TRP else 0)
        if traps != self._p.native.traps:
            self._p.native.traps = traps
            self.marks.forget()
        self._p.end_slice()

    def protection_changed(self) -> None:
        self.enforcer.stale = True
        self.caching_changed()
        self._p.end_slice()

    def caching_changed(self) -> None:
        """Of a modelled data cache, other pages may have to be looked at."""
        if self.scs.set_up_caches():
            self._p.access_log.stale = True
            self._p.end_slice()

    def tell_tlb(self) -> None:
        self.enforcer.fill_tlb(self._p.memory, self.bus.pages(), self._p.stub)
        self._p.cpu.forget_pages()
