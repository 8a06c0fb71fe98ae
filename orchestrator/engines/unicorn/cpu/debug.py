"""What a debugger has asked of one core, and when the core has to stand still for it.

A core stands still between two instructions, inside its turn, and the whole board with it: the one who is called then
decides how long. Nothing is undone or moved by that, so a run that was looked at is the same as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from unicorn import unicorn_const

from orchestrator.base.memory import Extent
from orchestrator.engines.common.cortex_m import HARD_FAULT
from orchestrator.engines.contract import SEMIHOSTING, DebugReason, DebugStop, Watchpoint
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.binding import RegisterBatch
from orchestrator.engines.unicorn.cpu import semihosting
from orchestrator.engines.unicorn.cpu.code_marks import CodeMarks
from orchestrator.engines.unicorn.cpu.loop_skipper import LoopSkipper
from orchestrator.engines.unicorn.cpu.processor import SPECIAL, Processor
from orchestrator.engines.unicorn.devices.uart import UartConsole
from orchestrator.engines.unicorn.memory import CoreMemory
from orchestrator.engines.unicorn.native.abi import WatchState, hooks

__all__ = ["CoreDebug", "Debugger", "DebuggerPort"]

_PRIVILEGED = ("PRIMASK", "BASEPRI", "FAULTMASK", "CONTROL")
_EXTRA = (*(f"D{number}" for number in range(16)), "FPSCR")
_WIDEST = 8  # bytes of one access


class CoreDebug:
    """Breakpoints, watchpoints and steps of one core."""

    def __init__(
        self, core: Processor, marks: CodeMarks, loops: LoopSkipper, on_stop: Callable[[DebugStop], None]
    ) -> None:
        self._core = core
        self._marks = marks
        self._loops = loops
        self._on_stop = on_stop
        self._hooks: list[object] = []
        self._step_from: tuple[int, int] | None = None
        self._reported = (-1, -1)  # instruction count and PC of the last stop: resuming executes what it stopped before
        self._trapped = False
        core.native.watched = -1

    @property
    def is_active(self) -> bool:
        """Whether each instruction counts, so that none may be skipped."""
        return bool(self._marks.breakpoints or self._hooks) or self.is_stepping

    @property
    def is_stepping(self) -> bool:
        return self._step_from is not None

    # --- what is asked

    def set_breakpoints(self, addresses: frozenset[int]) -> None:
        if addresses != self._marks.breakpoints:
            self._marks.breakpoints = addresses
            self._marks.forget()
        self._look_closely()

    def set_watchpoints(self, watchpoints: tuple[Watchpoint, ...]) -> None:
        core = self._core
        for hook in self._hooks:
            core.cpu.unhook(hook)
        self._hooks.clear()
        for watchpoint in watchpoints:
            kinds = 0
            if watchpoint.reads:
                kinds |= unicorn_const.UC_HOOK_MEM_READ
            if watchpoint.writes:
                kinds |= unicorn_const.UC_HOOK_MEM_WRITE
            for extent in self._aliases(watchpoint.extent):
                state = WatchState(binding.address_of(core.native), extent.start, extent.end - 1)
                function = binding.function_pointer(hooks.core_on_watched)
                for alias in binding.ALIASES:
                    around = (alias + max(0, extent.start - _WIDEST + 1), alias + extent.end - 1)
                    self._hooks.append(core.cpu.hook(kinds, function, state, around))
        core.count_blocks(allowed=not self._hooks)
        core.forget_translations()  # a block that was translated without hooks of memory calls none
        self._look_closely()

    def _aliases(self, extent: Extent) -> list[Extent]:
        """Every address at which this core reaches the same bytes."""
        mapping = self._core.memory.mapping_at(extent.start)
        if mapping is None:
            return [extent]
        offset = extent.start - mapping.extent.start
        same = (each for each in self._core.memory.mappings() if each.store is mapping.store)
        return [Extent(each.extent.start + offset, extent.size) for each in same if offset < each.extent.size]

    def step(self) -> None:
        """Stand still again after one instruction, or at the entry of a handler; a core that sleeps wakes first."""
        self._step_from = (self._core.now, self._core.pc)
        self._look_closely()

    def cancel_step(self) -> None:
        self._step_from = None

    def trap(self) -> None:
        """The core met a BKPT instruction."""
        self._trapped = True

    def _look_closely(self) -> None:
        if self.is_active:
            self._loops.leave_for_good()

    def close(self) -> None:
        """Take back everything."""
        self.set_watchpoints(())
        self.set_breakpoints(frozenset())
        self.cancel_step()

    # --- when it is due

    def is_at_breakpoint(self) -> bool:
        """Whether the next instruction has a breakpoint that has not been reported."""
        here = (self._core.now, self._core.pc)
        return self._core.pc in self._marks.breakpoints and here != self._reported

    def before_instruction(self) -> bool:
        """Stand still if something is due; True: the core may be another one now."""
        return self._report(at_breakpoint=self.is_at_breakpoint())

    def at_turn_end(self) -> None:
        """What the last instruction of a turn set off is reported before another core has its turn."""
        core = self._core
        if not (core.sleeping or core.held or core.locked_up):
            self._report(at_breakpoint=False)

    def _report(self, *, at_breakpoint: bool) -> bool:
        core, native = self._core, self._core.native
        access: tuple[int, int, bool] | None = None
        if native.watched >= 0:
            writes = native.watched == unicorn_const.UC_MEM_WRITE
            access = (native.watched_pc, native.watched_address, writes)
            native.watched = -1
            reason = DebugReason.WATCHPOINT
        elif self._trapped or at_breakpoint:
            reason = DebugReason.BREAKPOINT
        elif self._step_from not in (None, (core.now, core.pc)):
            reason = DebugReason.STEP
        else:
            return False
        trapped, self._trapped = self._trapped, False
        self._step_from = None
        here = (core.now, core.pc)
        self._on_stop(DebugStop(core.name, reason, core.time_ns, access))
        self._reported = (core.now, core.pc)
        if trapped and here == self._reported:
            core.pc += 2  # past the BKPT, or it would be met for ever
        return True


class DebuggerPort(Protocol):
    """What a debugger and semihosting do to the rest of the core."""

    def note(self, text: str) -> None: ...

    def hold(self, why: str) -> None: ...

    def reconsider(self) -> None:
        """What may interrupt has changed."""
        ...


class Debugger:
    """What stands outside of one core: a debugger if there is one, and semihosting; ``said`` is its console."""

    def __init__(self, processor: Processor, marks: CodeMarks, loops: LoopSkipper, port: DebuggerPort) -> None:
        self._p = processor
        self._marks = marks
        self._loops = loops
        self._port = port
        self.core_debug: CoreDebug | None = None
        self._call_registers = RegisterBatch("R0", "R1")
        self.said = UartConsole(f"{processor.name}{SEMIHOSTING}", lambda: None)
        self.semihosting = semihosting.Semihosting(self, self.said)

    # --- semihosting's port

    @property
    def memory(self) -> CoreMemory:
        return self._p.memory

    def note(self, text: str) -> None:
        self._port.note(text)

    def hold(self, why: str) -> None:
        self._port.hold(why)

    # --- what the core asks

    @property
    def is_active(self) -> bool:
        """Whether each instruction counts."""
        return self.core_debug is not None and self.core_debug.is_active

    def is_at_breakpoint(self) -> bool:
        """Whether a debugger is to see the instruction at PC first."""
        return self.core_debug is not None and self.core_debug.is_at_breakpoint()

    def serves_breakpoint(self) -> bool:
        """Whether the BKPT at PC is for somebody here, and then no fault."""
        if self._p.memory.read(self._p.pc, 1)[0] == semihosting.IMMEDIATE:
            operation, argument = self._call_registers.read(self._p.cpu.handle)
            result = self.semihosting.call(operation, argument)
            self._call_registers.write(self._p.cpu.handle, (result, argument))
            self._p.pc += 2
            return True
        if self.core_debug is None:
            return False
        self.core_debug.trap()
        return True

    # --- what a debugger asks

    def attach(self, on_stop: Callable[[DebugStop], None] | None) -> None:
        """Stand still as asked from now on; None: no more."""
        if self.core_debug is not None:
            self.core_debug.close()
        self.core_debug = None if on_stop is None else CoreDebug(self._p, self._marks, self._loops, on_stop)

    def registers(self) -> dict[str, int]:
        """As ``Debuggable.debug_registers`` names them."""
        self._loops.settle()
        return self._p.registers() | dict(zip(_EXTRA, RegisterBatch(*_EXTRA).read(self._p.cpu.handle), strict=True))

    def write_register(self, name: str, value: int) -> None:
        """Change a register; of xPSR, what MSR can change."""
        self._loops.leave()
        cpu = self._p.cpu
        if name == "PC":
            self._p.pc = value & ~1
        elif name == "XPSR":
            cpu.write(SPECIAL.xpsr_write, value)
        else:
            (register,) = binding.registers(name)
            cpu.write(register, value)
            if name in _PRIVILEGED and not cpu.read(SPECIAL.ipsr):
                cpu.write(SPECIAL.ipsr, HARD_FAULT)  # for Unicorn, unprivileged code would be writing
                cpu.write(register, value)
                cpu.write(SPECIAL.ipsr, 0)
        self._port.reconsider()
