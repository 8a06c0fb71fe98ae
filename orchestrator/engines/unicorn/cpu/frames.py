"""Exception entry and return on one CPU: the stack frames of DDI0403E B1.5.6 to B1.5.8.

Registers move in batches; memory through the core's own view, so that a frame on bad memory is a fault and a frame
over translated code is noticed. Of a lazily stacked floating-point context only the room is made. What nearly
every exception needs is done at once in native code; the rest, and all that is wrong, here.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Protocol

from unicorn.unicorn_py3.unicorn import uclib

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import TranslationError
from orchestrator.engines.common.memory_protection import READ, WRITE
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.binding import Cpu, RegisterBatch
from orchestrator.engines.unicorn.memory import CoreMemory
from orchestrator.engines.unicorn.native.abi import CoreState, FramesState, hooks

__all__ = ["EXC_RETURN", "FP_OFFSET", "FrameMemory", "Frames", "ReturnMismatchError", "StackError", "is_exc_return"]

EXC_RETURN = 0xFFFF_FFE1
_NO_FP, _THREAD, _PROCESS = 0x10, 0x8, 0x4
_BASIC, _EXTENDED = 0x20, 0x68  # bytes
FP_OFFSET = _BASIC  # of S0 in an extended frame
_STKALIGN = 0x200
_FPCA, _SPSEL, _NPRIV = 4, 2, 1
_FP_BITS = 0xC  # FPCA and, on Armv8-M, SFPA
_THUMB = 1 << 24
_NZCV = 0xF << 28
_ANY_HANDLER = 3
_FLAGS = 0xF80F_0000  # NZCVQ and GE
_XPSR_KEPT = 0xFF0F_FC00  # flags, GE, IT and T

_CALLER = ("R0", "R1", "R2", "R3", "R12", "LR", "XPSR", "SP", "CONTROL", "IPSR")
# In this order: SP goes to the caller's bank before CONTROL selects the main stack.
_STACKED = ("SP", "CONTROL")
# XPSR before IPSR: Unicorn clears the exception number with the flags. The flags alone once more, last: only then does
# Unicorn look again at what it translates for, the privilege above all.
_JUMP = ("XPSR", "IPSR", "CONTROL", "LR", "APSR_NZCV")
_STACKS = ("MSP", "PSP", "CONTROL")
_RETURNED = ("XPSR", "IPSR", "CONTROL", "SP", "R0", "R1", "R2", "R3", "R12", "LR", "APSR_NZCV")


class StackError(Exception):
    """A frame does not lie in memory, or the MPU denies it: ``address`` is where, ``exc_return`` what names it."""

    def __init__(self, address: int, exc_return: int, *, denied: bool = False, overflow: bool = False) -> None:
        super().__init__(hex(address))
        self.address = address
        self.exc_return = exc_return
        self.denied = denied
        self.overflow = overflow  # below MSPLIM or PSPLIM


class ReturnMismatchError(Exception):
    """The exception number in a frame is not one of the mode that EXC_RETURN names."""

    def __init__(self, exception: int) -> None:
        super().__init__(exception)
        self.exception = exception


def is_exc_return(address: int) -> bool:
    """A branch target that means return from exception (bit 0 already cleared)."""
    return address >= 0xFFFF_FF00


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where execution goes on after a return."""

    pc: int
    exception: int  # IPSR: 0 is Thread mode
    thumb: bool  # False: the next instruction cannot be executed


def _no_limits() -> tuple[int, int]:
    return 0, 0


class FrameMemory(Protocol):
    """What frames are stacked on: the core's own view of memory."""

    def read(self, address: int, size: int) -> bytes: ...

    def write(self, address: int, data: bytes) -> None: ...


class Frames:
    """Stacking and unstacking for one core."""

    def __init__(self, cpu: Cpu, native: CoreState, memory: CoreMemory, *, secure_fp: bool) -> None:
        self._cpu = cpu
        self._core = native
        self.memory: FrameMemory = memory
        self.limits: Callable[[], tuple[int, int]] = _no_limits  # MSPLIM and PSPLIM
        # While the MPU may be in force: (address, size, right, privileged) -> the first byte that it denies, or None.
        self.denies: Callable[[int, int, int, bool], int | None] | None = None
        self._fp_bits = _FP_BITS if secure_fp else _FPCA
        self._caller = RegisterBatch(*_CALLER)
        self._fp = RegisterBatch(*(f"D{number}" for number in range(8)), "FPSCR")
        self._stacked = RegisterBatch(*_STACKED)
        self._context = RegisterBatch("CONTROL", "FPSCR")
        # Unprivileged code cannot write CONTROL, and SPSEL is written in Thread mode alone: by way of a handler.
        self._stacked_unprivileged = RegisterBatch("SP", "IPSR", "CONTROL", "IPSR", "CONTROL", "IPSR", "CONTROL")
        self._jump = RegisterBatch(*_JUMP)
        self._return = RegisterBatch("CONTROL", *_RETURNED)
        self._stacks = RegisterBatch(*_STACKS)
        self._entered = RegisterBatch("XPSR", "CONTROL")
        self._native = FramesState(
            windows=ctypes.addressof(memory.windows),
            window_count=len(memory.windows),
            fp_bits=self._fp_bits,
            aligned=_STKALIGN,
            flags=_FLAGS,
            kept=_XPSR_KEPT,
            to_process=_PROCESS,
            caller_ids=binding.registers(*_CALLER),
            entered_ids=binding.written_registers(*_STACKED, *_JUMP),
            stacks_ids=binding.registers(*_STACKS),
            returned_ids=binding.written_registers(*_RETURNED),
            reg_read_batch=binding.function_pointer(uclib.uc_reg_read_batch),
            reg_write_batch=binding.function_pointer(uclib.uc_reg_write_batch),
        )
        self._pointers = binding.address_of(native), binding.address_of(self._native)

    def let_native_code_use(self) -> None:
        """Native code takes exceptions from now on, where nothing is out of the ordinary (exceptions.c)."""
        self._core.frames = self._pointers[1]

    def enter_at_once(self, number: int, vector: int, return_address: int, stack_align: bool) -> bool:
        """Stack, fetch the vector and jump where nothing is out of the ordinary; False: nothing has been done."""
        return self.denies is None and bool(
            hooks.frames_enter(*self._pointers, number, vector, return_address, stack_align)
        )

    def leave_at_once(self, exc_return: int) -> bool:
        """Unstack and jump where nothing is out of the ordinary; False: nothing has been done."""
        return self.denies is None and bool(hooks.frames_leave(*self._pointers, exc_return))

    def push(self, return_address: int, stack_align: bool, *, lazy: bool) -> int:
        """Stack the caller's context and give the EXC_RETURN for LR; StackError leaves SP moved, as B1.5.6 does.

        ``lazy``: the floating-point part of the frame stays as it is, for :meth:`preserve`.
        """
        handle = self._cpu.handle
        r0, r1, r2, r3, r12, link, xpsr, sp, control, ipsr = self._caller.read(handle)
        with_fp = bool(control & _FPCA)
        size = _EXTENDED if with_fp else _BASIC
        padding = (stack_align or with_fp) and sp & 4  # an FP frame is always aligned (B1.5.7)
        frame = (sp - size - (4 if padding else 0)) & 0xFFFF_FFFF
        # With CCR.STKALIGN a frame begins at a multiple of 8 bytes; without, at the stack pointer as it was.
        stacked = xpsr & ~_STKALIGN | (_STKALIGN if padding else 0)
        words = struct.pack("<8I", r0, r1, r2, r3, r12, link, return_address, stacked)
        if with_fp and not lazy:
            *doubles, fpscr = self._fp.read(handle)
            words += struct.pack("<8Q2I", *doubles, fpscr, 0)
        exc_return = EXC_RETURN | (0 if with_fp else _NO_FP)
        if ipsr == 0:
            exc_return |= _THREAD | (_PROCESS if control & _SPSEL else 0)
        limit = self.limits()[bool(exc_return & _PROCESS)]
        overflow = frame < limit
        frame = max(frame, limit)  # PushStack() of DDI0553B: nothing is stacked, and SP stands at the limit
        stacked_control = control & ~(_SPSEL | self._fp_bits)
        privileged = ipsr != 0 or not control & _NPRIV
        if privileged:
            self._stacked.write(handle, (frame, stacked_control))
        else:
            number, thread = _ANY_HANDLER, 0
            controls = control & ~_NPRIV, stacked_control & ~_NPRIV, stacked_control
            self._stacked_unprivileged.write(
                handle, (frame, number, controls[0], thread, controls[1], number, controls[2])
            )
        if overflow:
            raise StackError(frame, exc_return, overflow=True)
        self._check(frame, size, WRITE, privileged=privileged, exc_return=exc_return)
        try:
            self.memory.write(frame, words)
        except TranslationError:
            raise StackError(frame, exc_return) from None
        self._note(frame, len(words), return_address, writes=True)
        return exc_return

    def _note(self, frame: int, size: int, pc: int, *, writes: bool) -> None:
        """What the core itself stored or loaded, for who observes it."""
        if self._core.accesses:
            hooks.core_note_frame(self._pointers[0], frame, size, pc, writes)

    def _check(self, frame: int, size: int, right: int, *, privileged: bool, exc_return: int) -> None:
        if self.denies is None:
            return
        denied = self.denies(frame, size, right, privileged)
        if denied is not None:
            raise StackError(denied, exc_return, denied=True)

    def enter(self, number: int, exc_return: int, thumb: bool) -> None:
        """Handler mode for this exception, LR set, IT cleared, no floating-point context."""
        xpsr, control = self._entered.read(self._cpu.handle)
        xpsr = xpsr & _FLAGS | (_THUMB if thumb else 0)
        self._jump.write(self._cpu.handle, (xpsr, number, control & ~self._fp_bits, exc_return, xpsr & _NZCV))

    def frame_pointer(self, exc_return: int) -> int:
        msp, psp, _control = self._stacks.read(self._cpu.handle)
        return psp if exc_return & _PROCESS else msp

    def stacked_pc(self, exc_return: int) -> int:
        """Where the frame that EXC_RETURN names returns to; 0 where there is no frame."""
        try:
            return int.from_bytes(self.memory.read(self.frame_pointer(exc_return) + 24, 4), "little")
        except TranslationError:
            return 0

    def preserve(self, address: int) -> None:
        """PreserveFPState(): S0 to S15 and FPSCR go to the room that was made for them; StackError."""
        *doubles, fpscr = self._fp.read(self._cpu.handle)
        words = struct.pack("<8QI", *doubles, fpscr)
        self._check(address, len(words), WRITE, privileged=True, exc_return=0)
        try:
            self.memory.write(address, words)
        except TranslationError:
            raise StackError(address, 0) from None
        self._note(address, len(words), self._core.pc, writes=True)

    @property
    def has_floating_point(self) -> bool:
        """CONTROL.FPCA."""
        return bool(self._stacks.read(self._cpu.handle)[2] & _FPCA)

    def begin_floating_point(self, fpscr: int) -> None:
        """ExecuteFPCheck(): the first instruction of a context finds the default FPSCR."""
        control = self._stacks.read(self._cpu.handle)[2]
        if not control & _FPCA:
            self._context.write(self._cpu.handle, (control | self._fp_bits, fpscr))

    def end_floating_point(self) -> None:
        """CONTROL.FPCA as if no floating-point instruction had run."""
        control, fpscr = self._context.read(self._cpu.handle)
        self._context.write(self._cpu.handle, (control & ~self._fp_bits, fpscr))

    def pop(self, exc_return: int, *, untouched: bool = False) -> Resumed:
        """Unstack the frame that EXC_RETURN names; StackError and ReturnMismatchError leave everything as it was.

        ``untouched``: the floating-point registers were never stacked, and still hold what the frame has room for.
        """
        handle = self._cpu.handle
        msp, psp, control = self._stacks.read(handle)
        frame = psp if exc_return & _PROCESS else msp
        with_fp = not exc_return & _NO_FP
        size = _EXTENDED if with_fp else _BASIC
        privileged = not exc_return & _THREAD or not control & _NPRIV
        self._check(frame, size, READ, privileged=privileged, exc_return=exc_return)
        try:
            words = self.memory.read(frame, size)
        except TranslationError:
            raise StackError(frame, exc_return) from None
        r0, r1, r2, r3, r12, link, pc, xpsr = struct.unpack_from("<8I", words)
        thread = bool(exc_return & _THREAD)
        number = xpsr & 0x1FF
        if thread != (number == 0):
            raise ReturnMismatchError(number)
        self._note(frame, _BASIC if untouched else size, self._core.address, writes=False)
        if with_fp and not untouched:
            *doubles, fpscr, _reserved = struct.unpack_from("<8Q2I", words, _BASIC)
            self._fp.write(handle, (*doubles, fpscr))
        control &= ~(_SPSEL | self._fp_bits)
        if thread and exc_return & _PROCESS:
            control |= _SPSEL
        if with_fp:
            control |= self._fp_bits
        sp = frame + size + (4 if xpsr & _STKALIGN else 0)
        # Writing XPSR goes to Thread mode, and there only privileged code writes CONTROL.
        flags, granting = xpsr & _XPSR_KEPT, control & ~_NPRIV
        values = (granting, flags, number, control, sp, r0, r1, r2, r3, r12, link, xpsr & _NZCV)
        self._return.write(handle, values)
        return Resumed(pc & ~1, number, bool(xpsr & _THUMB))
