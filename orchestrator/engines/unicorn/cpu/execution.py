"""One slice of a core's execution: to an instruction count at most, and whatever ended it dealt with."""

from __future__ import annotations

from typing import Protocol

from unicorn import unicorn_const

from orchestrator.base.errors import EngineError
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.binding import RegisterBatch
from orchestrator.engines.unicorn.cpu.accesses import DENIED_REGISTERS, Accesses
from orchestrator.engines.unicorn.cpu.code_marks import CodeMarks
from orchestrator.engines.unicorn.cpu.exceptions import ExceptionUnit
from orchestrator.engines.unicorn.cpu.instructions import Instructions
from orchestrator.engines.unicorn.cpu.loop_skipper import LoopSkipper
from orchestrator.engines.unicorn.cpu.mpu_enforcer import MpuEnforcer
from orchestrator.engines.unicorn.cpu.processor import Processor, with_it
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.native.abi import hooks

__all__ = ["Execution", "ExecutionPort"]


class ExecutionPort(Protocol):
    """What execution asks of the core."""

    def reset_chip(self) -> None:
        """Firmware, or a device, has asked for a reset of everything."""
        ...

    def tell_tlb(self) -> None:
        """What is observed has changed."""
        ...


class Execution:
    """Runs native code and turns the reason why it came back into what the architecture says."""

    def __init__(
        self,
        processor: Processor,
        unit: ExceptionUnit,
        enforcer: MpuEnforcer,
        loops: LoopSkipper,
        accesses: Accesses,
        instructions: Instructions,
        marks: CodeMarks,
        port: ExecutionPort,
    ) -> None:
        self._p = processor
        self._unit = unit
        self._enforcer = enforcer
        self._loops = loops
        self._accesses = accesses
        self._instructions = instructions
        self._marks = marks
        self._port = port
        self.reset_asked = False
        self._at_denial = RegisterBatch(*DENIED_REGISTERS)
        self._at_denial.keep_in(processor.native)

    def advance(self, end: int) -> None:
        """The same, with exceptions that native code takes on the way."""
        self._prepare()
        reason = hooks.core_advance(self._p.native_pointer, end)
        self._p.tell_untold()
        self.after(reason)

    def execute(self, limit: int) -> None:
        """Run to an instruction count at most; whatever ended it is dealt with."""
        self._prepare()
        reason = self._p.run(self._p.native_pointer, limit)
        self._p.tell_untold()
        self.after(reason)

    def _prepare(self) -> None:
        if self._p.stale_code:
            self._flush()
        if self._p.access_log.stale:
            self._p.access_log.stale = False
            self._port.tell_tlb()
        if self._enforcer.in_use or self._enforcer.stale:
            self._enforcer.before_execution(self._accesses.bus.pages)

    def after(self, reason: int) -> None:
        """Deal with what has ended a slice."""
        if self._p.native.undo:
            self._undo()
        if reason == abi.EXIT_OTHER or self._accesses.is_due or self.reset_asked:
            self._after_stop()
        elif reason == abi.EXIT_NEW_PAGE:
            self._instructions.reach_page()
        elif reason == abi.EXIT_SPECIAL:
            self._instructions.special()
        elif reason == abi.EXIT_UNMASKED:
            self._p.attention = True
        elif reason == abi.EXIT_DENIED:
            self._p.disturbed = True
            self._unit.fetch_fault(self._p.pc)
        elif reason == abi.EXIT_TRAP:
            self._instructions.trap()

    @property
    def has_work(self) -> bool:
        """Whether something is to be done before the next instruction, whatever the execution priority is."""
        return (
            self._p.stale_code
            or self._p.access_log.stale
            or self._accesses.is_due
            or self.reset_asked
            or self._enforcer.stale
        )

    @property
    def is_prepared(self) -> bool:
        """Whether native code may run as things are."""
        return not (self.has_work or self._enforcer.has_work)

    def fail_if_asked(self) -> None:
        """Where an exception was taken in native code: what was told of it has failed."""
        if self._accesses.failure is not None:
            self._after_stop()

    def reset_if_asked(self) -> None:
        """Between two slices, where a device has asked."""
        if self.reset_asked:
            self.reset_asked = False
            self._port.reset_chip()

    def _after_stop(self) -> None:
        """Everything but the end of a slice."""
        native = self._p.native
        error = native.error
        self._p.disturbed = True
        self._accesses.is_due = False
        exception, access = native.exception, native.access
        native.exception = native.access = -1
        accesses = self._accesses
        if accesses.failure is not None:
            failure, accesses.failure = accesses.failure, None
            raise failure
        if accesses.bus_error_seen is not None:
            accesses.raise_bus_error()
            return
        fetches = access in (unicorn_const.UC_MEM_FETCH_UNMAPPED, unicorn_const.UC_MEM_FETCH_PROT)
        if native.denied and not fetches:
            self._take_back()
        if self.reset_asked:
            self.reset_asked = False
            self._port.reset_chip()
            return
        if exception >= 0:
            self._unit.guest_exception(exception)
        elif access >= 0:
            self._unit.invalid_access(access, native.access_address, native.access_size)
        elif error == unicorn_const.UC_ERR_INSN_INVALID:
            self._unit.undefined()
        elif error:
            raise EngineError(
                "the emulator stopped",
                where=f"{self._p.name} at {self._p.pc:#010x}",
                found=binding.describe(error),
            )
        elif not native.stopping:
            self._p.fall_asleep(abi.BY_WFI)  # inside an IT block, where the hook cannot stop
            self._p.attention = True

    def _undo(self) -> None:
        """Inside an IT block Unicorn does not stop before an instruction: the one that asked for it has run."""
        xpsr, *others = self._at_denial.kept()
        self._at_denial.write(self._p.cpu.handle, [with_it(xpsr, self._p.native.it), *others])

    def _take_back(self) -> None:
        """After a store that was denied Unicorn goes on with the instruction, and with an IT block: undo that."""
        xpsr, *others = self._at_denial.kept()
        self._at_denial.write(self._p.cpu.handle, [with_it(xpsr, self._p.native.it), *others])
        self._p.native.executed = self._p.native.denied_executed
        self._p.pc = self._p.native.denied_address

    def _flush(self) -> None:
        self._p.stale_code = False
        self._loops.flush()
        self._p.cpu.flush()
        self._marks.forget()
