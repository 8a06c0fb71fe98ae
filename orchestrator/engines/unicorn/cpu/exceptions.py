"""Exceptions of one core, as the emulator does not have them: entry, return, faults, escalation, lockup.

Armv7-M Architecture Reference Manual (DDI0403E) B1.5: turns what Unicorn reports into what the architecture says.
"""

from __future__ import annotations

from typing import Protocol

from unicorn import unicorn_const

from orchestrator.base.errors import EngineError, RptwinError
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.backtrace import symbol_of
from orchestrator.engines.common.cortex_m import HFSR_BITS, exception_name
from orchestrator.engines.unicorn.cpu.diagnosis import Diagnosis
from orchestrator.engines.unicorn.cpu.fault_cause import FaultCause
from orchestrator.engines.unicorn.cpu.fault_record import FaultRecord
from orchestrator.engines.unicorn.cpu.floating_point import FloatingPoint
from orchestrator.engines.unicorn.cpu.frames import Frames, ReturnMismatchError, StackError, is_exc_return
from orchestrator.engines.unicorn.cpu.mpu_enforcer import MpuEnforcer
from orchestrator.engines.unicorn.cpu.processor import NEVER, SPECIAL, Processor
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace
from orchestrator.engines.unicorn.native import abi
from orchestrator.events import Detail, ExceptionReturn, ExceptionTaken, GuestError, Lockup

__all__ = ["ExceptionPort", "ExceptionUnit"]

# QEMU's exception numbers as the INTR hook gives them.
_SVC, _PREFETCH_ABORT, _BREAKPOINT, _EXCEPTION_EXIT = 2, 3, 7, 8
_USAGE_FAULTS = {
    17: ("NOCP", "uses a coprocessor that is absent or switched off"),
    4: ("UNALIGNED", "makes an unaligned access that the instruction does not allow"),  # a data abort: LDREX, STREX
    19: ("STKOF", "moves the stack pointer below its limit"),
    22: ("UNALIGNED", "makes an unaligned access that the instruction does not allow"),
}

_SLEEPONEXIT, _SEVONPEND = 2, 16  # SCR
_STKALIGN = 0x200  # CCR
_NO_FP_FRAME = 0x10  # EXC_RETURN


class ExceptionPort(Protocol):
    """What exceptions tell and ask of the rest of the core."""

    def emit(self, detail: Detail) -> None: ...

    def interrupt_taken(self, interrupt: int) -> None: ...

    def replan(self) -> None:
        """What happens next by itself may be another thing now."""
        ...

    def serves_breakpoint(self) -> bool:
        """Whether somebody outside takes the BKPT at PC, which is then no fault."""
        ...

    def back_in_loop(self, *, another_round: bool) -> None:
        """Code that was interrupted goes on: it may be a known idle loop."""
        ...


class ExceptionUnit:
    """Takes exceptions on one CPU: entry, return, and faults, which may become other exceptions on the way (B1.5)."""

    frames: Frames

    def __init__(
        self,
        processor: Processor,
        scs: SystemControlSpace,
        floating_point: FloatingPoint,
        enforcer: MpuEnforcer,
        port: ExceptionPort,
    ) -> None:
        self._p = processor
        self._scs = scs
        self._floating_point = floating_point
        self._enforcer = enforcer
        self._port = port
        self._diagnosis = Diagnosis(processor, scs, enforcer)
        self.record = FaultRecord(processor, scs, port)

    def connect(self, *, secure_fp: bool) -> None:
        """The processor has its memory."""
        limits = self._p.native.limits
        self.frames = Frames(self._p.cpu, self._p.native, self._p.memory, secure_fp=secure_fp)
        self.frames.limits = lambda: (limits[0], limits[1])
        self._floating_point.frames = self._enforcer.frames = self.frames

    # --- entry and return

    def take(self, number: int, return_address: int) -> None:
        """Exception entry (B1.5.6)."""
        self._p.disturbed = True
        self._p.round_end = NEVER
        scs = self._scs
        if self.frames.enter_at_once(number, scs.vtor + 4 * number, return_address, bool(scs.ccr & _STKALIGN)):
            self._entered(number, return_address)
            return
        try:
            exc_return = self._push(return_address)
        except StackError as error:
            self._p.exceptions.pend(number)
            self._stack_fault("STKERR", error, f"stacking for {exception_name(number)}")
            return
        self._enter(number, exc_return, return_address)

    def _push(self, return_address: int) -> int:
        """PushStack(): the floating-point context later, if at all, where FPCCR.LSPEN says so (B1.5.7)."""
        scs = self._scs
        lazy = self._floating_point.stacks_lazily
        exc_return = self.frames.push(return_address, bool(scs.ccr & _STKALIGN), lazy=lazy)
        if lazy and not exc_return & _NO_FP_FRAME:
            self._floating_point.owe_stacking(self.frames.frame_pointer(exc_return))
        return exc_return

    def _enter(self, number: int, exc_return: int, return_address: int) -> None:
        """From a stacked context into a handler: vector fetch, IPSR, LR."""
        vector = self._scs.vtor + 4 * number
        try:
            handler = int.from_bytes(self._p.memory.read(vector, 4), "little")
        except RptwinError:
            self._vector_fault(number, exc_return, return_address)
            return
        self.frames.enter(number, exc_return, bool(handler & 1))
        self._floating_point.watch()
        self._p.pc = handler & ~1
        self._entered(number, return_address)
        if not handler & 1:
            self.fault(
                FaultCause(
                    cortex_m.USAGE_FAULT,
                    ("INVSTATE",),
                    f"the vector of {exception_name(number)} at {vector:#010x} is even ({handler:#010x})",
                )
            )
        elif is_exc_return(self._p.pc):
            self.fetch_fault(
                self._p.pc
            )  # EXC_RETURN means a return in a branch, not in a vector: there it is an address

    def _entered(self, number: int, return_address: int) -> None:
        """Registers and PC are the handler's."""
        self._p.count_taken(number)
        self._p.exceptions.enter(number)
        self._p.activity.entered(number, return_address, self._p.now)
        self._clear_exclusive()
        self._p.event = True
        self._p.attention = self._p.exceptions.candidates != 0 or bool(self._scs.scr & _SEVONPEND)
        self._port.emit(ExceptionTaken(number, exception_name(number), return_address))
        if number >= cortex_m.FIRST_INTERRUPT:
            self._port.interrupt_taken(number - cortex_m.FIRST_INTERRUPT)

    def _vector_fault(self, number: int, exc_return: int, return_address: int) -> None:
        """A vector that is not in memory: HardFault on the same frame, the exception still pending (B1.5.11)."""
        what = f"the vector of {exception_name(number)} at {self._scs.vtor + 4 * number:#010x} lies in no memory"
        if number in (cortex_m.NMI, cortex_m.HARD_FAULT):
            self._p.exceptions.enter(number)
            self._p.activity.entered(number, return_address, self._p.now)
            self.frames.enter(number, exc_return, True)
            self.lock_up(what)
            return
        self._p.exceptions.pend(number)
        self._scs.hfsr |= 1 << HFSR_BITS["VECTTBL"]
        self.record.report(FaultCause(cortex_m.HARD_FAULT, ("VECTTBL",), what), escalated=False)
        self._enter(cortex_m.HARD_FAULT, exc_return, return_address)

    def _return(self, exc_return: int, masks: list[int]) -> None:
        """Exception return (B1.5.8)."""
        exceptions = self._p.exceptions
        primask, basepri, faultmask, number = masks
        invalid = self._diagnosis.invalid_return(exc_return, number)
        exceptions.leave(number)
        if faultmask and number != cortex_m.NMI:
            faultmask = 0
            self._p.cpu.write(SPECIAL.faultmask, 0)
        resumes = self.frames.stacked_pc(exc_return) if number <= cortex_m.USAGE_FAULT and invalid is None else None
        self._port.emit(ExceptionReturn(number, exception_name(number), resumes))
        self._clear_exclusive()
        self._p.event = True
        if invalid is not None:
            self._invalid_return(invalid, exc_return)
            return
        if exceptions.candidates:
            chained = exceptions.takeable(exceptions.execution_priority(primask, basepri, faultmask))
            if chained is not None:
                self._enter(chained, exc_return, self.frames.stacked_pc(exc_return))
                return
        if self.frames.leave_at_once(exc_return):
            self._resumed()
            return
        try:
            resumed = self.frames.pop(exc_return, untouched=self._floating_point.is_stacking_due)
        except StackError as error:
            self._stack_fault("UNSTKERR", error, f"unstacking for {exception_name(number)}")
            return
        except ReturnMismatchError as error:
            mode = "Thread" if exc_return & 8 else "Handler"
            what = f"returns to {mode} mode with exception number {error.exception} in the stacked xPSR"
            self._invalid_return(what, exc_return)
            return
        if not exc_return & _NO_FP_FRAME:
            self._floating_point.unstacked()
        self._floating_point.watch()
        self._p.pc = resumed.pc
        self._p.attention = exceptions.candidates != 0
        if not resumed.thumb:
            what = "returns to code with the Thumb bit of the stacked xPSR clear"
            self.fault(FaultCause(cortex_m.USAGE_FAULT, ("INVSTATE",), what))
        elif is_exc_return(self._p.pc):
            self.fetch_fault(self._p.pc)
        else:
            self._resumed()

    def _resumed(self) -> None:
        """Registers and PC are those of a context that can go on."""
        self._p.attention = self._p.exceptions.candidates != 0
        if self._scs.scr & _SLEEPONEXIT and not self._p.exceptions.active:
            self._p.fall_asleep(abi.ON_EXIT)
            self._p.waits_for_event = False
            self._p.attention = True
        else:
            self._port.back_in_loop(another_round=True)

    def _invalid_return(self, what: str, exc_return: int) -> None:
        """UsageFault on the frame that was to be returned to."""
        self._p.pc = self._p.native.address
        cause = FaultCause(cortex_m.USAGE_FAULT, ("INVPC",), what)
        self._chained_fault(cause, exc_return, self.frames.stacked_pc(exc_return))

    def _clear_exclusive(self) -> None:
        """Entry and return clear the local monitor (B2.3.1); Unicorn shows no register for it, so CLREX runs."""
        if self._p.native.exclusive:
            self._p.native.exclusive = 0
            self._p.run_stub(1)

    def guest_exception(self, number: int) -> None:
        """What the INTR hook saw."""
        pc = self._p.native.pc
        if is_exc_return(pc) and number in (_PREFETCH_ABORT, _EXCEPTION_EXIT):
            masks = self._p.read_masks()
            if masks[3]:
                self._return(pc | 1, masks)
            else:
                self.fault(
                    FaultCause(cortex_m.MEM_MANAGE, ("IACCVIOL",), f"branches to {pc | 1:#010x} outside any exception")
                )
        elif number == _PREFETCH_ABORT:
            self.fetch_fault(pc)
        elif number == _SVC:
            self._synchronous(cortex_m.SV_CALL, pc, "SVC at a priority that SVCall cannot preempt")
        elif number == _BREAKPOINT:
            if self._port.serves_breakpoint():
                return
            self._scs.hfsr |= 1 << HFSR_BITS["DEBUGEVT"]
            self._scs.dfsr |= 2
            self._hard_fault(FaultCause(cortex_m.HARD_FAULT, ("DEBUGEVT",), "BKPT with no debugger attached"))
        elif number in _USAGE_FAULTS:
            name, what = _USAGE_FAULTS[number]
            self.fault(FaultCause(cortex_m.USAGE_FAULT, (name,), what))
        else:
            raise EngineError(
                "the emulator raised an exception that is not known here",
                where=f"{self._p.name} at {pc:#010x}",
                found=number,
            )

    def _synchronous(self, number: int, return_address: int, escalation: str) -> None:
        primask, basepri, faultmask, _ipsr = self._p.read_masks()
        if self._p.exceptions.can_take(number, self._p.exceptions.execution_priority(primask, basepri, faultmask)):
            self.take(number, return_address)
        else:
            self._scs.hfsr |= 1 << HFSR_BITS["FORCED"]
            self._p.pc = return_address - 2
            # The cause decides where it returns to, whatever it became: an SVC, behind it (B1.5.6, ReturnAddress()).
            self._hard_fault(FaultCause(cortex_m.HARD_FAULT, ("FORCED",), escalation), return_address)

    # --- faults

    def fault(self, cause: FaultCause) -> None:
        """Set the status and take the fault, or escalate it (B1.5.14)."""
        primask, basepri, faultmask, _ipsr = self._p.read_masks()
        priority = self._p.exceptions.execution_priority(primask, basepri, faultmask)
        self.record.record(cause)
        if self._p.exceptions.can_take(cause.exception, priority):
            self.record.report(cause, escalated=False)
            self.take(cause.exception, self._p.pc)
            return
        self._scs.hfsr |= 1 << HFSR_BITS["FORCED"]
        self._hard_fault(cause, escalated=True)

    def _hard_fault(self, cause: FaultCause, return_address: int | None = None, *, escalated: bool = False) -> None:
        _primask, _basepri, faultmask, _ipsr = self._p.read_masks()
        # A fault at HardFault's priority or above cannot be taken (B1.5.15).
        if self._p.exceptions.execution_priority(0, 0, faultmask) < 0:
            self.lock_up(cause.what)
            return
        self.record.report(cause, escalated=escalated)
        self.take(cortex_m.HARD_FAULT, self._p.pc if return_address is None else return_address)

    def _stack_fault(self, status: str, error: StackError, during: str) -> None:
        """A stack that is not memory, or not granted; the context is lost."""
        cause = self._diagnosis.stack(status, error, during)
        self._chained_fault(cause, error.exc_return, self._p.pc)

    def _chained_fault(self, cause: FaultCause, exc_return: int, return_address: int) -> None:
        """A fault of exception entry or return itself: nothing is stacked for it, and if the exception that was to be
        entered has the higher priority, that one is first (B1.5.11).
        """
        self.record.record(cause)
        exceptions = self._p.exceptions
        primask, basepri, faultmask, _ipsr = self._p.read_masks()
        priority = exceptions.execution_priority(primask, basepri, faultmask)
        escalated = not exceptions.can_take(cause.exception, priority)
        if escalated and priority < 0:
            self.lock_up(cause.what)
            return
        if escalated:
            self._scs.hfsr |= 1 << HFSR_BITS["FORCED"]
        exceptions.pend(cortex_m.HARD_FAULT if escalated else cause.exception)
        self.record.report(cause, escalated=escalated)
        taken = exceptions.highest_pending()
        assert taken is not None
        self._enter(taken, exc_return, return_address)

    def lock_up(self, what: str) -> None:
        """The core can go on with nothing (B1.5.15)."""
        self._p.locked_up = True
        self._p.attention = False
        self._port.replan()
        symbol = symbol_of(self._p.images, self._p.pc)
        self._port.emit(Lockup(self._p.pc, symbol, what, self._p.registers(), self._p.backtrace()))

    def undefined(self) -> None:
        """Unicorn does not know the instruction at PC."""
        self.fault(self._diagnosis.undefined())

    def invalid_access(self, kind: int, address: int, size: int) -> None:
        """What the hook for invalid accesses saw."""
        if kind in (unicorn_const.UC_MEM_FETCH_UNMAPPED, unicorn_const.UC_MEM_FETCH_PROT):
            self.fetch_fault(address)
            return
        reads = kind in (unicorn_const.UC_MEM_READ_UNMAPPED, unicorn_const.UC_MEM_READ_PROT)
        if not self._enforcer.in_use or kind not in (unicorn_const.UC_MEM_READ_PROT, unicorn_const.UC_MEM_WRITE_PROT):
            self.data_fault("reads" if reads else "writes", address, size)
            return
        refusal = self._diagnosis.refused(address, size, reads=reads)
        if isinstance(refusal, FaultCause):
            self.fault(refusal)
            return
        symbol = symbol_of(self._p.images, self._p.pc)
        self._port.emit(GuestError(self._p.pc, symbol, address, refusal.what))
        self._enforcer.let_pass(refusal.shut)

    def data_fault(self, verb: str, address: int, size: int) -> None:
        """Nothing answers a load or store."""
        self.fault(self._diagnosis.nothing_there(verb, address, size))

    def fetch_fault(self, address: int) -> None:
        """The instruction at an address cannot be fetched."""
        self.fault(self._diagnosis.not_fetched(address))
