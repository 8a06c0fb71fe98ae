"""Instructions that a core executes here and not on Unicorn, and pages that it comes to for the first time."""

from __future__ import annotations

import struct
from typing import Protocol

from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.memory_protection import EXECUTE
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.cpu.code_marks import CodeMarks, Hint, hint_at, is_floating_point
from orchestrator.engines.unicorn.cpu.counting import InstructionCounts
from orchestrator.engines.unicorn.cpu.exceptions import ExceptionUnit
from orchestrator.engines.unicorn.cpu.fault_cause import FaultCause
from orchestrator.engines.unicorn.cpu.floating_point import FloatingPoint
from orchestrator.engines.unicorn.cpu.mpu_enforcer import MpuEnforcer
from orchestrator.engines.unicorn.cpu.processor import GENERAL, Processor
from orchestrator.engines.unicorn.memory import BoardMemory
from orchestrator.engines.unicorn.native import abi

__all__ = ["InstructionPort", "Instructions"]


class InstructionPort(Protocol):
    """What instructions do beyond their processor."""

    def is_at_breakpoint(self) -> bool:
        """Whether a debugger is to see the instruction at PC first."""
        ...

    def send_event(self) -> None:
        """SEV."""
        ...

    def execute(self, limit: int) -> None:
        """Run to an instruction count at most."""
        ...


class Instructions:
    """Called when native code has stopped before an instruction that needs a look."""

    board: BoardMemory

    def __init__(
        self,
        processor: Processor,
        unit: ExceptionUnit,
        floating_point: FloatingPoint,
        enforcer: MpuEnforcer,
        marks: CodeMarks,
        counts: InstructionCounts,
        port: InstructionPort,
    ) -> None:
        self._p = processor
        self._unit = unit
        self._floating_point = floating_point
        self._enforcer = enforcer
        self._marks = marks
        self._counts = counts
        self._port = port

    def special(self) -> None:
        """The instruction at PC is a hint, or a floating-point one while the unit is off."""
        self._p.disturbed = True
        if self._port.is_at_breakpoint():
            return
        size = 4 if self._p.memory.span(self._p.pc, 4) else 2
        code = self._p.memory.read(self._p.pc, size)
        hint, size = hint_at(code)
        if hint is None:
            words = (int.from_bytes(code[:2], "little"), int.from_bytes(code[2:], "little"))
            if not self._p.native.fp_watch or not is_floating_point(*words):
                self._p.native.passed = self._p.native.executed  # a breakpoint that was reported
                return
            self._floating_point.before_instruction(self._unit.fault, self._port.execute)
            return
        self._is_done(size)
        self._hint(hint)

    def _is_done(self, size: int) -> None:
        """The instruction at PC, which Unicorn has not executed."""
        self._counts.see(self._p.pc)
        self._p.pc += size
        self._p.native.executed += 1
        state = self._p.native.it
        if state:
            self._p.set_it((state & 0xE0 | state << 1 & 0x1F) if state & 7 else 0)

    def trap(self) -> None:
        """An instruction that Unicorn would execute although it faults, or otherwise than the architecture says."""
        self._p.disturbed = True
        trap = self._p.native.trap
        if trap == abi.TRAP_DIVISION:
            self._unit.fault(
                FaultCause(cortex_m.USAGE_FAULT, ("DIVBYZERO",), "divides by zero, which CCR.DIV_0_TRP traps")
            )
        elif trap == abi.TRAP_UNALIGNED:
            what = "makes an unaligned access that the instruction or CCR.UNALIGN_TRP does not allow"
            self._unit.fault(FaultCause(cortex_m.USAGE_FAULT, ("UNALIGNED",), what))
        elif trap == abi.TRAP_UNDEFINED:
            self._unit.undefined()
        else:
            self._write_stack_pointer()

    def _write_stack_pointer(self) -> None:
        """MSR MSP or PSP with low bits set, which are ignored (DDI0403E B5.2.3)."""
        first, second = struct.unpack("<2H", self._p.memory.read(self._p.pc, 4))
        if not self._p.is_unprivileged_mode:
            (source,) = binding.registers((*GENERAL, "SP", "LR")[first & 0xF])
            (target,) = binding.registers("PSP" if second & 1 else "MSP")
            self._p.cpu.write(target, self._p.cpu.read(source) & ~3)
        self._is_done(4)

    def _hint(self, hint: int) -> None:
        if hint == Hint.SEV:
            self._port.send_event()
        elif hint == Hint.WFE and self._p.event:
            self._p.event = False
        elif hint != Hint.YIELD:
            self._p.fall_asleep(abi.BY_WFE if hint == Hint.WFE else abi.BY_WFI)
            self._p.waits_for_event = hint == Hint.WFE
            self._p.attention = True

    def reach_page(self) -> None:
        """First execution of one page, or of two by an instruction across their border."""
        for page in sorted({self._p.pc >> abi.PAGE_BITS, self._p.pc + 3 >> abi.PAGE_BITS}):
            address = max(self._p.pc, page << abi.PAGE_BITS)
            mapping = self._p.memory.mapping_at(address)
            if mapping is None:
                if address == self._p.pc:
                    self._unit.fetch_fault(self._p.pc)
                    return
                continue
            if not self._enforcer.in_use and not self._enforcer.map.granted_at(address, 1, privileged=True) & EXECUTE:
                self._unit.fetch_fault(self._p.pc)
                return
            self.board.executes(mapping, address)
            start = (page << abi.PAGE_BITS) - mapping.extent.start
            behind = int.from_bytes(mapping.seen[start + abi.PAGE_SIZE : start + abi.PAGE_SIZE + 2], "little")
            if mapping.store.region.writable and self._p.native.guard.on:
                self._p.cpu.forget_pages()  # native code leaves the right to execute to pages that are known
            self._marks.mark(page, mapping.pointer + start, behind, live=mapping.store.region.writable)
