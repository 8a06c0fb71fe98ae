"""Exceptions of one core, as the emulator does not have them: entry, return, faults, escalation, lockup.

Armv7-M Architecture Reference Manual (DDI0403E) B1.5. The half of a core that turns what Unicorn reports into what the
architecture says; the other half (:mod:`~orchestrator.engines.unicorn.cpu.core`) runs instructions and keeps time.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from unicorn import unicorn_const

from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.backtrace import backtrace_of, symbol_of
from orchestrator.engines.common.bits import bits_of
from orchestrator.engines.common.cortex_m import CFSR_BITS, HFSR_BITS, exception_name
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.binding import Cpu
from orchestrator.engines.unicorn.cpu.frames import FP_OFFSET, Frames, ReturnMismatchError, StackError, is_exc_return
from orchestrator.engines.unicorn.cpu.mpu import EXECUTE, READ, WRITE, ProtectionMap
from orchestrator.engines.unicorn.cpu.mpu_enforcer import Guard
from orchestrator.engines.unicorn.cpu.nvic import ExceptionState
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace
from orchestrator.engines.unicorn.memory import CoreMemory
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.native.abi import CoreState, hooks
from orchestrator.errors import EngineError, RptwinError
from orchestrator.events import Detail, ExceptionReturn, ExceptionTaken, Fault, Lockup
from orchestrator.formats.elf import Image

__all__ = ["NEVER", "SPECIAL", "XPSR_T", "ExceptionUnit", "FaultCause"]

NEVER = 1 << 62  # an instruction count that does not come
XPSR_T = 1 << 24

# QEMU's exception numbers as the INTR hook gives them.
_SVC, _PREFETCH_ABORT, _BREAKPOINT, _EXCEPTION_EXIT = 2, 3, 7, 8
_USAGE_FAULTS = {
    17: ("NOCP", "uses a coprocessor that is absent or switched off"),
    18: ("INVSTATE", "executes with the Thumb bit clear"),
    4: ("UNALIGNED", "makes an unaligned access that the instruction does not allow"),  # a data abort: LDREX, STREX
    19: ("STKOF", "moves the stack pointer below its limit"),
    22: ("UNALIGNED", "makes an unaligned access that the instruction does not allow"),
}

_SLEEPONEXIT, _SEVONPEND = 2, 16  # SCR
_NONBASETHRDENA = 1  # CCR
_STKALIGN = 0x200  # CCR
_ASPEN, _LSPEN, _LSPACT = 1 << 31, 1 << 30, 1  # FPCCR
_NO_FP_FRAME = 0x10  # EXC_RETURN
_FULL_ACCESS = 3  # CPACR, one coprocessor


class SPECIAL:
    """Unicorn's ids of single registers."""

    xpsr, xpsr_write, msp, ipsr, faultmask, fpscr, control = binding.registers(
        "XPSR", "XPSR_NZCVQG", "MSP", "IPSR", "FAULTMASK", "FPSCR", "CONTROL"
    )


@dataclass(frozen=True, slots=True)
class FaultCause:
    """A fault on its way to becoming an exception."""

    exception: int
    status: tuple[str, ...]
    what: str
    address: int | None = None


class ExceptionUnit(ABC):
    """Takes exceptions on one CPU; ``stub`` in :meth:`_connect` is the address of a CLREX that the guest cannot see."""

    def __init__(self, name: str, model: str, interrupts: int, priority_mask: int) -> None:
        self.name = name
        self.images: list[Image] = []
        self.cpu = Cpu(model)
        self.native = CoreState()
        self.exceptions = ExceptionState(interrupts, priority_mask, secure_fault=model == "cortex-m33")
        self.locked_up = False
        self._sleeping = False
        self.disturbed = True  # in this turn: a device access, an exception, a sleep
        self._waits_for_event = False  # WFE rather than WFI
        self._event = False  # the event register
        self._attention = False  # an exception may have to be taken before the next instruction
        self._round_end = NEVER  # where a round of an interrupted idle loop, executed for good measure, ends
        self._masks = (ctypes.c_uint32 * 5)()  # PRIMASK, BASEPRI, FAULTMASK, IPSR, CONTROL
        self._masks_pointer = ctypes.addressof(self._masks)
        self._run: Callable[[int, int], int] = hooks.core_run
        self._native_pointer = binding.address_of(self.native)
        self.scs: SystemControlSpace
        self.memory: CoreMemory
        self.guard: Guard

    @property
    def sleeping(self) -> bool:
        """In WFI, WFE, or asleep since the last exception returned."""
        return self._sleeping

    @sleeping.setter
    def sleeping(self, value: bool) -> None:
        if value != self._sleeping:
            self._before_sleep_changes()
            self._sleeping = value

    @abstractmethod
    def _before_sleep_changes(self) -> None:
        """Others may see whether this core sleeps."""

    def _connect(self, memory: CoreMemory, stub: int, *, secure_fp: bool) -> None:
        self.memory = memory
        self._stub = stub
        self.frames = Frames(self.cpu, self.native, memory, secure_fp=secure_fp)
        limits = self.native.limits
        self.frames.limits = lambda: (limits[0], limits[1])

    # --- the rest of the core

    @abstractmethod
    def _emit(self, detail: Detail) -> None: ...

    @abstractmethod
    def _interrupt_taken(self, interrupt: int) -> None: ...

    @abstractmethod
    def _replan(self) -> None: ...

    @abstractmethod
    def _serves_breakpoint(self) -> bool:
        """Whether somebody outside takes the BKPT at PC, which is then no fault."""

    @abstractmethod
    def _back_in_loop(self, *, another_round: bool) -> None: ...

    @abstractmethod
    def _map_now(self) -> ProtectionMap:
        """What the MPU grants at the present execution priority."""

    @abstractmethod
    def _is_unprivileged(self) -> bool:
        """Whether the data access of the instruction that runs is."""

    @abstractmethod
    def registers(self) -> dict[str, int]:
        """As the contract names them."""

    @property
    def pc(self) -> int:
        """Address of the next instruction."""
        return int(self.native.pc)

    @pc.setter
    def pc(self, address: int) -> None:
        self.native.pc = address

    def _is_unprivileged_mode(self) -> bool:
        """Thread mode with CONTROL.nPRIV set."""
        return bool(self.cpu.read(SPECIAL.control) & 1) and not self.cpu.read(SPECIAL.ipsr)

    def _read_masks(self) -> list[int]:
        """PRIMASK, BASEPRI, FAULTMASK and IPSR; to unprivileged code the first three read as zero."""
        if hooks.core_read_masks(self._native_pointer, self._masks_pointer):
            return self._masks[:4]
        self.cpu.write(SPECIAL.ipsr, cortex_m.HARD_FAULT)
        hooks.core_read_masks(self._native_pointer, self._masks_pointer)
        self.cpu.write(SPECIAL.ipsr, 0)
        return [*self._masks[:3], 0]

    # --- entry and return

    def _take(self, number: int, return_address: int) -> None:
        """Exception entry (B1.5.6)."""
        self.disturbed = True
        self._round_end = NEVER
        scs = self.scs
        if self.frames.enter_at_once(number, scs.vtor + 4 * number, return_address, bool(scs.ccr & _STKALIGN)):
            self._entered(number, return_address)
            return
        try:
            exc_return = self._push(return_address)
        except StackError as error:
            self.exceptions.pend(number)
            self._stack_fault("STKERR", error, f"stacking for {exception_name(number)}")
            return
        self._enter(number, exc_return, return_address)

    def _push(self, return_address: int) -> int:
        """PushStack(): the floating-point context later, if at all, where FPCCR.LSPEN says so (B1.5.7)."""
        scs = self.scs
        lazy = bool(scs.fpccr & _LSPEN)
        exc_return = self.frames.push(return_address, bool(scs.ccr & _STKALIGN), lazy=lazy)
        if lazy and not exc_return & _NO_FP_FRAME:
            scs.fpcar = self.frames.frame_pointer(exc_return) + FP_OFFSET
            scs.fpccr |= _LSPACT
        return exc_return

    def _enter(self, number: int, exc_return: int, return_address: int) -> None:
        """From a stacked context into a handler: vector fetch, IPSR, LR."""
        vector = self.scs.vtor + 4 * number
        try:
            handler = int.from_bytes(self.memory.read(vector, 4), "little")
        except RptwinError:
            self._vector_fault(number, exc_return, return_address)
            return
        self.frames.enter(number, exc_return, bool(handler & 1))
        self._watch_floating_point()
        self.pc = handler & ~1
        self._entered(number, return_address)
        if not handler & 1:
            self._fault(
                FaultCause(
                    cortex_m.USAGE_FAULT,
                    ("INVSTATE",),
                    f"the vector of {exception_name(number)} at {vector:#010x} is even ({handler:#010x})",
                )
            )
        elif is_exc_return(self.pc):
            self._fetch_fault(self.pc)  # a vector is an address, not a branch

    def _entered(self, number: int, return_address: int) -> None:
        """Registers and PC are the handler's."""
        self.exceptions.enter(number)
        self._clear_exclusive()
        self._event = True
        self._attention = self.exceptions.candidates != 0 or bool(self.scs.scr & _SEVONPEND)
        self._emit(ExceptionTaken(number, exception_name(number), return_address))
        if number >= cortex_m.FIRST_INTERRUPT:
            self._interrupt_taken(number - cortex_m.FIRST_INTERRUPT)

    def _vector_fault(self, number: int, exc_return: int, return_address: int) -> None:
        """A vector that is not in memory: HardFault on the same frame, the exception still pending (B1.5.11)."""
        what = f"the vector of {exception_name(number)} at {self.scs.vtor + 4 * number:#010x} lies in no memory"
        if number in (cortex_m.NMI, cortex_m.HARD_FAULT):
            self.exceptions.enter(number)
            self.frames.enter(number, exc_return, True)
            self._lock_up(what)
            return
        self.exceptions.pend(number)
        self.scs.hfsr |= 1 << HFSR_BITS["VECTTBL"]
        self._report(FaultCause(cortex_m.HARD_FAULT, ("VECTTBL",), what), escalated=False)
        self._enter(cortex_m.HARD_FAULT, exc_return, return_address)

    def _return(self, exc_return: int, masks: list[int]) -> None:
        """Exception return (B1.5.8)."""
        exceptions = self.exceptions
        primask, basepri, faultmask, number = masks
        invalid = self._why_invalid(exc_return, number)
        exceptions.leave(number)
        if faultmask and number != cortex_m.NMI:
            faultmask = 0
            self.cpu.write(SPECIAL.faultmask, 0)
        self._emit(ExceptionReturn(number, exception_name(number)))
        self._clear_exclusive()
        self._event = True
        if invalid is not None:
            self._invalid_return(invalid, exc_return)
            return
        if exceptions.candidates:
            chained = exceptions.takeable(exceptions.execution_priority(primask, basepri, faultmask))
            if chained is not None:
                self._enter(chained, exc_return, self._stacked_pc(exc_return))
                return
        if self.frames.leave_at_once(exc_return):
            self._resumed()
            return
        try:
            resumed = self.frames.pop(exc_return, untouched=bool(self.scs.fpccr & _LSPACT))
        except StackError as error:
            self._stack_fault("UNSTKERR", error, f"unstacking for {exception_name(number)}")
            return
        except ReturnMismatchError as error:
            mode = "Thread" if exc_return & 8 else "Handler"
            what = f"returns to {mode} mode with exception number {error.exception} in the stacked xPSR"
            self._invalid_return(what, exc_return)
            return
        if not exc_return & _NO_FP_FRAME:
            self.scs.fpccr &= ~_LSPACT
        self._watch_floating_point()
        self.pc = resumed.pc
        self._attention = exceptions.candidates != 0
        if not resumed.thumb:
            what = "returns to code with the Thumb bit of the stacked xPSR clear"
            self._fault(FaultCause(cortex_m.USAGE_FAULT, ("INVSTATE",), what))
        elif is_exc_return(self.pc):
            self._fetch_fault(self.pc)
        else:
            self._resumed()

    def _resumed(self) -> None:
        """Registers and PC are those of a context that can go on."""
        self._attention = self.exceptions.candidates != 0
        if self.scs.scr & _SLEEPONEXIT and not self.exceptions.active:
            self.sleeping = True
            self._waits_for_event = False
            self._attention = True
        else:
            self._back_in_loop(another_round=True)

    def _why_invalid(self, exc_return: int, number: int) -> str | None:
        """What forbids this return (B1.5.8, integrity checks); None: nothing."""
        active = self.exceptions.active
        if not active >> number & 1:
            return f"returns from {exception_name(number)}, which is not active"
        if exc_return & 0xFFFF_FFE0 != 0xFFFF_FFE0 or exc_return & 0xF not in (1, 9, 0xD):
            return f"returns with {exc_return:#010x}, which is no EXC_RETURN value"
        others = active & ~(1 << number)
        if exc_return & 8 and others and not self.scs.ccr & _NONBASETHRDENA:
            still = ", ".join(exception_name(each) for each in bits_of(others))
            return f"returns to Thread mode while {still} is active"
        return None

    def _invalid_return(self, what: str, exc_return: int) -> None:
        """UsageFault on the frame that was to be returned to."""
        self.pc = self.native.address
        cause = FaultCause(cortex_m.USAGE_FAULT, ("INVPC",), what)
        self._chained_fault(cause, exc_return, self._stacked_pc(exc_return))

    def _stacked_pc(self, exc_return: int) -> int:
        try:
            return int.from_bytes(self.memory.read(self.frames.frame_pointer(exc_return) + 24, 4), "little")
        except RptwinError:
            return 0

    def _clear_exclusive(self) -> None:
        """Entry and return clear the local monitor (B2.3.1); Unicorn shows no register for it, so CLREX runs."""
        if self.native.exclusive:
            self.native.exclusive = 0
            self._run_stub(1)

    def _run_stub(self, instructions: int) -> None:
        """Execute what the guest cannot see: it takes no time, and nothing else happens."""
        native = self.native
        executed, limit, watch = native.executed, native.limit, native.watch_masks
        native.page = self._stub >> abi.PAGE_BITS
        native.bits = None
        native.watch_masks = 0
        pc, self.pc = self.pc, self._stub
        self._run(self._native_pointer, executed + instructions)
        self.pc = pc
        native.executed, native.limit, native.watch_masks = executed, limit, watch
        native.page = 0xFFFF_FFFF

    def _guest_exception(self, number: int) -> None:
        """What the INTR hook saw."""
        pc = self.native.pc
        if is_exc_return(pc) and number in (_PREFETCH_ABORT, _EXCEPTION_EXIT):
            masks = self._read_masks()
            if masks[3]:
                self._return(pc | 1, masks)
            else:
                self._fault(
                    FaultCause(cortex_m.MEM_MANAGE, ("IACCVIOL",), f"branches to {pc | 1:#010x} outside any exception")
                )
        elif number == _PREFETCH_ABORT:
            self._fetch_fault(pc)
        elif number == _SVC:
            self._synchronous(cortex_m.SV_CALL, pc, "SVC at a priority that SVCall cannot preempt")
        elif number == _BREAKPOINT:
            if self._serves_breakpoint():
                return
            self.scs.hfsr |= 1 << HFSR_BITS["DEBUGEVT"]
            self.scs.dfsr |= 2
            self._hard_fault(FaultCause(cortex_m.HARD_FAULT, ("DEBUGEVT",), "BKPT with no debugger attached"))
        elif number in _USAGE_FAULTS:
            name, what = _USAGE_FAULTS[number]
            self._fault(FaultCause(cortex_m.USAGE_FAULT, (name,), what))
        else:
            raise EngineError(
                "the emulator raised an exception that is not known here",
                where=f"{self.name} at {pc:#010x}",
                found=number,
            )

    # --- floating-point context (B1.5.7)

    def _watch_floating_point(self) -> None:
        """Whether the next floating-point instruction needs a look, by what it would find now."""
        scs = self.scs
        watch = scs.fp_access != _FULL_ACCESS or bool(scs.fpccr & _LSPACT) or not scs.fpccr & _ASPEN or scs.fpdscr != 0
        if watch != self.native.fp_watch:
            self.native.fp_watch = watch
            self.native.clean_page = self.native.marked_page = abi.NO_PAGE

    def _floating_point(self) -> None:
        """The instruction at PC is a floating-point one that asked for a look."""
        scs = self.scs
        if not scs.fp_access or (scs.fp_access != _FULL_ACCESS and self._is_unprivileged_mode()):
            self._fault(
                FaultCause(cortex_m.USAGE_FAULT, ("NOCP",), "uses the floating-point unit, which is off (CPACR)")
            )
            return
        if scs.fpccr & _LSPACT:
            try:
                self.frames.preserve(scs.fpcar)
            except StackError as error:
                what = f"the floating-point context does not go to {error.address:#010x}, where there is no memory"
                self._fault(FaultCause(cortex_m.BUS_FAULT, ("LSPERR",), what))
                return
            scs.fpccr &= ~_LSPACT
        if scs.fpccr & _ASPEN:
            self.frames.begin_floating_point(scs.fpdscr)
        self._watch_floating_point()
        if self.native.fp_watch:
            self._pass_floating_point()

    def _pass_floating_point(self) -> None:
        """Execute this one instruction; without ASPEN it leaves no trace in CONTROL."""
        native = self.native
        native.passed = native.executed
        if self.scs.fpccr & _ASPEN:
            return
        before = self.frames.has_floating_point
        self._execute(native.executed + 1)
        if not before:
            self.frames.end_floating_point()

    @abstractmethod
    def _execute(self, limit: int) -> None:
        """Run to an instruction count at most."""

    def _set_it(self, state: int) -> None:
        """ITSTATE for the next instruction."""
        number = self.cpu.read(SPECIAL.ipsr)
        xpsr = self.cpu.read(SPECIAL.xpsr) & ~0x0600_FC00
        self.cpu.write(SPECIAL.xpsr_write, xpsr | (state & 3) << 25 | state >> 2 << 10)
        if number:
            self.cpu.write(SPECIAL.ipsr, number)

    def _synchronous(self, number: int, return_address: int, escalation: str) -> None:
        primask, basepri, faultmask, _ipsr = self._read_masks()
        if self.exceptions.can_take(number, self.exceptions.execution_priority(primask, basepri, faultmask)):
            self._take(number, return_address)
        else:
            self.scs.hfsr |= 1 << HFSR_BITS["FORCED"]
            self.pc = return_address - 2  # a HardFault returns to the instruction itself (B1.5.6, ReturnAddress())
            self._hard_fault(FaultCause(cortex_m.HARD_FAULT, ("FORCED",), escalation))

    # --- faults

    def _fault(self, cause: FaultCause) -> None:
        """Set the status and take the fault, or escalate it (B1.5.14)."""
        primask, basepri, faultmask, _ipsr = self._read_masks()
        priority = self.exceptions.execution_priority(primask, basepri, faultmask)
        self._record(cause)
        if self.exceptions.can_take(cause.exception, priority):
            self._report(cause, escalated=False)
            self._take(cause.exception, self.pc)
            return
        self.scs.hfsr |= 1 << HFSR_BITS["FORCED"]
        self._hard_fault(cause, escalated=True)

    def _record(self, cause: FaultCause) -> None:
        for name in cause.status:
            if name in CFSR_BITS:
                self.scs.cfsr |= 1 << CFSR_BITS[name]
        if cause.address is not None:
            if "BFARVALID" in cause.status:
                self.scs.bfar = cause.address
            if "MMARVALID" in cause.status:
                self.scs.mmfar = cause.address

    def _hard_fault(self, cause: FaultCause, *, escalated: bool = False) -> None:
        _primask, _basepri, faultmask, _ipsr = self._read_masks()
        # A fault at HardFault's priority or above cannot be taken (B1.5.15).
        if self.exceptions.execution_priority(0, 0, faultmask) < 0:
            self._lock_up(cause.what)
            return
        self._report(cause, escalated=escalated)
        self._take(cortex_m.HARD_FAULT, self.pc)

    def _stack_fault(self, status: str, error: StackError, during: str) -> None:
        """A stack that is not memory, or not granted; the context is lost."""
        if error.overflow:
            what = f"{during} at {error.address:#010x} goes below the stack limit"
            cause = FaultCause(cortex_m.USAGE_FAULT, ("STKOF",), what)
        elif error.refused:
            privileged = not error.exc_return & 8 or not self.cpu.read(SPECIAL.control) & 1
            right = WRITE if status == "STKERR" else READ
            why = self._map_now().why(error.address, right, privileged=privileged)
            what = f"{during} at {error.address:#010x}, {why}"
            cause = FaultCause(cortex_m.MEM_MANAGE, (f"M{status}",), what)
        else:
            what = f"{during} at {error.address:#010x}, where there is no memory"
            cause = FaultCause(cortex_m.BUS_FAULT, (status,), what)
        self._chained_fault(cause, error.exc_return, self.pc)

    def _chained_fault(self, cause: FaultCause, exc_return: int, return_address: int) -> None:
        """A fault of exception entry or return itself: nothing is stacked for it, and if the exception that was to be
        entered has the higher priority, that one is first (B1.5.11).
        """
        self._record(cause)
        exceptions = self.exceptions
        primask, basepri, faultmask, _ipsr = self._read_masks()
        priority = exceptions.execution_priority(primask, basepri, faultmask)
        escalated = not exceptions.can_take(cause.exception, priority)
        if escalated and priority < 0:
            self._lock_up(cause.what)
            return
        if escalated:
            self.scs.hfsr |= 1 << HFSR_BITS["FORCED"]
        exceptions.pend(cortex_m.HARD_FAULT if escalated else cause.exception)
        self._report(cause, escalated=escalated)
        taken = exceptions.highest_pending()
        assert taken is not None
        self._enter(taken, exc_return, return_address)

    def _report(self, cause: FaultCause, *, escalated: bool) -> None:
        registers = self.registers()
        self._emit(
            Fault(
                exception_name(cause.exception),
                cause.status,
                cause.address,
                self.pc,
                symbol_of(self.images, self.pc),
                cause.what,
                escalated,
                registers,
                backtrace_of(registers, self.memory, self.images),
            ),
        )

    def _lock_up(self, what: str) -> None:
        self.locked_up = True
        self._attention = False
        self._replan()
        registers = self.registers()
        trace = backtrace_of(registers, self.memory, self.images)
        self._emit(Lockup(self.pc, symbol_of(self.images, self.pc), what, registers, trace))

    def _undefined(self) -> None:
        if not self.cpu.read(SPECIAL.xpsr) & XPSR_T:
            cause = FaultCause(cortex_m.USAGE_FAULT, ("INVSTATE",), "branches to an even address: not Thumb code")
        else:
            span = self.memory.span(self.pc, 2)
            code = int.from_bytes(span, "little") if span is not None else 0
            cause = FaultCause(cortex_m.USAGE_FAULT, ("UNDEFINSTR",), f"executes the undefined instruction {code:#06x}")
        self._fault(cause)

    def _invalid_access(self, kind: int, address: int, size: int) -> None:
        fetches = (unicorn_const.UC_MEM_FETCH_UNMAPPED, unicorn_const.UC_MEM_FETCH_PROT)
        if kind in fetches:
            self._fetch_fault(address)
            return
        reads = kind in (unicorn_const.UC_MEM_READ_UNMAPPED, unicorn_const.UC_MEM_READ_PROT)
        if self.guard.in_use and kind in (unicorn_const.UC_MEM_READ_PROT, unicorn_const.UC_MEM_WRITE_PROT):
            self._protection_fault(address, size, reads=reads)
        else:
            self._data_fault("reads" if reads else "writes", address, size)

    def _protection_fault(self, address: int, size: int, *, reads: bool) -> None:
        privileged = not self._is_unprivileged()
        right = READ if reads else WRITE
        at = self.guard.map.first_refused(address, size, right, privileged=privileged)
        assert at is not None
        why = self.guard.map.why(at, right, privileged=privileged)
        what = f"{'reads' if reads else 'writes'} {size} bytes at {address:#010x}, {why}"
        self._fault(FaultCause(cortex_m.MEM_MANAGE, ("DACCVIOL", "MMARVALID"), what, at))

    def _data_fault(self, verb: str, address: int, size: int) -> None:
        what = f"{verb} {size} bytes at {address:#010x}, where this chip has nothing"
        self._fault(FaultCause(cortex_m.BUS_FAULT, ("PRECISERR", "BFARVALID"), what, address))

    def _fetch_fault(self, address: int) -> None:
        privileged = not self._is_unprivileged_mode()
        protection = self.guard.map
        refused = protection.first_refused(address, 2, EXECUTE, privileged=privileged)
        if refused is None and self.memory.mapping_at(address) is not None:  # then it is the second half
            refused = protection.first_refused(address + 2, 2, EXECUTE, privileged=privileged)
        if refused is not None:
            what = f"executes at {address:#010x}, {protection.why(refused, EXECUTE, privileged=privileged)}"
            self._fault(FaultCause(cortex_m.MEM_MANAGE, ("IACCVIOL",), what))
        else:
            what = f"executes at {address:#010x}, where there is no memory"
            self._fault(FaultCause(cortex_m.BUS_FAULT, ("IBUSERR",), what))
