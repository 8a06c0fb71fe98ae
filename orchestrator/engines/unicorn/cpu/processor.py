"""A CPU of Unicorn and what the parts of its core work on together: registers, exceptions, how it stands.

Calls nothing above it: a part that has one may read and write all of it.
"""

from __future__ import annotations

import ctypes
import struct
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from unicorn import unicorn_const
from unicorn.unicorn_py3.unicorn import uclib

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.backtrace import backtrace_of
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.binding import Cpu, RegisterBatch
from orchestrator.engines.unicorn.cache.model import CacheModel
from orchestrator.engines.unicorn.cpu.access_log import AccessLog
from orchestrator.engines.unicorn.cpu.activity import ActivityLog
from orchestrator.engines.unicorn.cpu.nvic import ExceptionState
from orchestrator.engines.unicorn.cpu.order_log import OrderLog
from orchestrator.engines.unicorn.memory import CoreMemory
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.native.abi import AnswerState, CoreState, TakenState, hooks
from orchestrator.events import Backtrace
from orchestrator.formats.elf import Image

__all__ = ["GENERAL", "NEVER", "SPECIAL", "XPSR_T", "Processor", "ProcessorSnapshot", "with_it"]

NEVER = 1 << 62  # an instruction count that does not come
XPSR_T = cortex_m.XPSR_THUMB
_IT_BITS = 0x0600_FC00  # xPSR
_TOLD = struct.Struct("=Q3I4x")  # ``struct told``
_HOT = 128  # runs of a block: those cost half of what it takes to translate it anew
GENERAL = tuple(f"R{number}" for number in range(13))
_VISIBLE = (*GENERAL, "SP", "LR", "PC", "XPSR", "MSP", "PSP", "PRIMASK", "BASEPRI", "FAULTMASK", "CONTROL")


class SPECIAL:
    """Unicorn's ids of single registers."""

    xpsr, xpsr_write, msp, ipsr, faultmask, fpscr, control = binding.registers(
        "XPSR", "XPSR_NZCVQG", "MSP", "IPSR", "FAULTMASK", "FPSCR", "CONTROL"
    )


def with_it(xpsr: int, state: int) -> int:
    """xPSR with this ITSTATE (DDI0403E B1.4.2)."""
    return xpsr & ~_IT_BITS | (state & 3) << 25 | state >> 2 << 10


@dataclass(frozen=True, slots=True)
class ProcessorSnapshot:
    """A processor at one moment."""

    context: object  # Unicorn's
    executed: int
    exclusive: int
    limits: tuple[int, int]
    exceptions: ExceptionState
    pc: int
    held: bool
    locked_up: bool
    delayed_until: int
    sleeping: bool
    waits_for_event: bool
    event: bool
    activity: object


class Told(NamedTuple):
    """What native code did at an instruction count: took an exception, returned from one, kept a byte (``number``)
    for the taker whose number stands in the place of the address.
    """

    executed: int
    number: int
    return_address: int
    kind: int


Taking = Callable[[bytes, Sequence[int]], None]
"""Takes bytes that were sent, and when each was (virtual ns)."""


def _place_of(address: int) -> int:
    """Where native code looks for what it may answer."""
    return (address >> 2 ^ address >> 10) % abi.ANSWERS


def _answer(address: int, size: int, value: int, version: array[int]) -> AnswerState:
    place, _count = version.buffer_info()
    return AnswerState(place, version[0], value, address, size)


class Processor:
    """One CPU; ``stub`` is the address of a CLREX that the guest cannot see, once :meth:`connect` was called."""

    memory: CoreMemory
    stub: int

    def __init__(self, name: str, model: str, mips: int, interrupts: int, priority_mask: int) -> None:
        self.name = name
        self.mips = mips
        self.images: list[Image] = []
        self.cpu = Cpu(model)
        self.native = CoreState()
        self.native.has_limits = model == "cortex-m33"
        self.native_pointer = binding.address_of(self.native)
        self.access_log = AccessLog(self.native, name, mips)
        self.order_log = OrderLog(self.native, name, mips)
        self.caches: tuple[CacheModel, ...] = ()  # of the board, where they are modelled
        self.taken_state = TakenState()
        self._told = memoryview(self.taken_state.told).cast("B")
        self.activity = ActivityLog(mips, self.taken_state)
        self.exceptions = ExceptionState(interrupts, priority_mask, secure_fault=model == "cortex-m33")
        self.native.taken = binding.address_of(self.taken_state)
        self.native.nvic = binding.address_of(self.exceptions.native)
        self._answers = (AnswerState * abi.ANSWERS)()
        self.native.answers = ctypes.addressof(self._answers)
        self._senders = (AnswerState * abi.ANSWERS)()
        self.native.senders = ctypes.addressof(self._senders)
        self.takers: list[Taking] = []  # of bytes, by the number that native code has of them
        self.native.disturbed = True
        self.native.mips = mips
        self.held = False
        self.locked_up = False
        self.delayed_until = 0  # instruction count; it stands still until then, and takes no exception
        self.stale_code = False  # code has changed since it was translated
        self.round_end = NEVER  # where the one round ends that an idle loop is executed for after an exception
        self.before_sleep_changes: Callable[[], None] = lambda: None  # others may see whether this core sleeps
        self.after_sleep_changed: Callable[[], None] = lambda: None
        self.tell_untold: Callable[[], None] = lambda: None  # native code may have taken exceptions
        self._masks = (ctypes.c_uint32 * 5)()  # PRIMASK, BASEPRI, FAULTMASK, IPSR, CONTROL
        self._masks_pointer = ctypes.addressof(self._masks)
        self._visible = RegisterBatch(*_VISIBLE)
        self.run: Callable[[int, int], int] = hooks.core_run
        self._install_hooks()

    def _install_hooks(self) -> None:
        native = self.native
        native.exception = native.access = native.watched = -1
        native.passed = native.next_count = NEVER
        native.loop_pc = abi.NO_ADDRESS
        native.hot = _HOT
        native.page = 0xFFFF_FFFF
        native.mask_ids[:] = binding.registers("PRIMASK", "BASEPRI", "FAULTMASK")
        native.register_ids[:] = binding.registers(*GENERAL, "SP", "LR", "PC")
        (native.cpsr_id,) = binding.registers("CPSR")
        native.flags_id, native.xpsr_id, native.xpsr_write_id = binding.registers("APSR_NZCV", "XPSR", "XPSR_NZCVQG")
        native.emu_stop = binding.function_pointer(uclib.uc_emu_stop)
        native.reg_read = binding.function_pointer(uclib.uc_reg_read)
        native.reg_write = binding.function_pointer(uclib.uc_reg_write)
        native.reg_write_batch = binding.function_pointer(uclib.uc_reg_write_batch)
        native.reg_read_batch = binding.function_pointer(uclib.uc_reg_read_batch)
        native.guard.control_id, native.guard.ipsr_id = binding.registers("CONTROL", "IPSR")
        native.guard.mem_read = binding.function_pointer(uclib.uc_mem_read)
        kinds = {
            unicorn_const.UC_HOOK_CODE: hooks.core_on_code,
            unicorn_const.UC_HOOK_BLOCK: hooks.core_on_block,
            unicorn_const.UC_HOOK_INTR: hooks.core_on_exception,
        }
        installed = {
            kind: self.cpu.hook(kind, binding.function_pointer(function), native) for kind, function in kinds.items()
        }
        code, block = (installed[kind] for kind in (unicorn_const.UC_HOOK_CODE, unicorn_const.UC_HOOK_BLOCK))
        self.counts_blocks = bool(hooks.core_count_blocks(self.native_pointer, code.value, block.value))
        native.emu_start = binding.function_pointer(uclib.uc_emu_start)
        native.uc = self.cpu.handle

    def connect(self, memory: CoreMemory, stub: int) -> None:
        """Memory as this core addresses it, once it is mapped."""
        self.memory, self.stub = memory, stub
        # Not for memory: Unicorn makes each store slow where there is a hook.
        kinds = unicorn_const.UC_HOOK_MEM_UNMAPPED
        kinds |= unicorn_const.UC_HOOK_MEM_READ_PROT | unicorn_const.UC_HOOK_MEM_FETCH_PROT
        for gap in self.cpu.gaps():
            self.cpu.hook(kinds, binding.function_pointer(hooks.core_on_invalid), self.native, gap)

    @property
    def now(self) -> int:
        """The instruction count since power-on, sleep and skipped loops counted as executed."""
        return int(self.native.executed)

    @property
    def time_ns(self) -> int:
        """Virtual time of the next instruction."""
        return int(self.native.executed) * 1000 // self.mips

    # What native code takes exceptions by, and changes when it does.

    @property
    def attention(self) -> bool:
        """An exception may have to be taken before the next instruction."""
        return bool(self.native.attention)

    @attention.setter
    def attention(self, value: bool) -> None:
        self.native.attention = value

    @property
    def disturbed(self) -> bool:
        """In this turn: a device was written, an exception came, it fell asleep."""
        return bool(self.native.disturbed)

    @disturbed.setter
    def disturbed(self, value: bool) -> None:
        self.native.disturbed = value

    @property
    def event(self) -> bool:
        """The event register."""
        return bool(self.native.event)

    @event.setter
    def event(self, value: bool) -> None:
        self.native.event = value

    @property
    def waits_for_event(self) -> bool:
        """Asleep by WFE rather than WFI."""
        return bool(self.native.waits_for_event)

    @waits_for_event.setter
    def waits_for_event(self, value: bool) -> None:
        self.native.waits_for_event = value

    @property
    def sleeping(self) -> bool:
        """In WFI, WFE, or asleep since the last exception returned."""
        return bool(self.native.sleeping)

    @sleeping.setter
    def sleeping(self, value: bool) -> None:
        if value != self.sleeping:
            self.before_sleep_changes()
            self.native.sleeping = value
            self.after_sleep_changed()

    @property
    def taken(self) -> Counter[int]:
        """Exceptions since power-on, by number, in the order in which each came first."""
        taken = self.taken_state
        return Counter({number: taken.count[number] for number in taken.first[: taken.kinds]})

    def count_taken(self, number: int) -> None:
        """One was entered."""
        taken = self.taken_state
        if not taken.count[number]:
            taken.first[taken.kinds] = number
            taken.kinds += 1
        taken.count[number] += 1

    def keep_untold(self) -> None:
        """Exceptions that native code takes are to be told, from now on."""
        self.taken_state.tells = 1

    def untold(self) -> list[Told]:
        """What was not told yet, in order."""
        count, self.taken_state.told_count = self.taken_state.told_count, 0
        return [Told(*each) for each in _TOLD.iter_unpack(self._told[: count * _TOLD.size])]

    def keep_answer(self, address: int, size: int, value: int, version: array[int]) -> None:
        """Have native code answer such a read of a device, for as long as its version is the same."""
        self._answers[_place_of(address)] = _answer(address, size, value, version)

    def keep_sender(self, address: int, size: int, take: Taking, version: array[int]) -> None:
        """Have native code keep bytes that are written so, until they are told: as long as the version is the same."""
        if take not in self.takers:
            self.takers.append(take)
        self._senders[_place_of(address)] = _answer(address, size, self.takers.index(take), version)

    def tell_by(self, tell: Callable[[], None]) -> None:
        """Call this where native code needs everything told that is not told yet."""
        self._tell_now = binding.tell_callback(tell)
        self.taken_state.tell_now = binding.function_pointer(self._tell_now)

    def announce(self, interrupts: Iterable[int], taken: Callable[[int], None]) -> None:
        """Say of each of these when native code has taken it, in the very moment."""
        self._announce = binding.interrupt_callback(taken)
        self.taken_state.announce = binding.function_pointer(self._announce)
        for number in (cortex_m.FIRST_INTERRUPT + interrupt for interrupt in interrupts):
            self.taken_state.announced[number // 32] |= 1 << number % 32

    def fall_asleep(self, how: int) -> None:
        """Until :meth:`wake`; how and why as in :class:`~orchestrator.engines.unicorn.cpu.activity.ActivityLog`."""
        self.sleeping = True
        self.activity.fell_asleep(self.now, self.pc, how)

    def wake(self, why: int) -> None:
        """Go on, if it sleeps."""
        if self.sleeping:
            self.sleeping = False
            self.activity.woke(self.now, why)

    def set_event(self) -> None:
        """Set the event register, or end the WFE that waits for it."""
        self.event = True
        if self.sleeping and self.waits_for_event:
            self.event = False
            self.wake(abi.BY_EVENT)

    @property
    def pc(self) -> int:
        """Address of the next instruction."""
        return int(self.native.pc)

    @pc.setter
    def pc(self, address: int) -> None:
        self.native.pc = address

    @property
    def is_unprivileged_mode(self) -> bool:
        """Thread mode with CONTROL.nPRIV set."""
        return bool(self.cpu.read(SPECIAL.control) & 1) and not self.cpu.read(SPECIAL.ipsr)

    @property
    def is_unprivileged(self) -> bool:
        """Whether the data access of the instruction that runs is: LDRT and STRT are whatever the mode."""
        return bool(hooks.core_is_unprivileged(self.native_pointer))

    def read_masks(self) -> list[int]:
        """PRIMASK, BASEPRI, FAULTMASK and IPSR; to unprivileged code the first three read as zero."""
        if hooks.core_read_masks(self.native_pointer, self._masks_pointer):
            return self._masks[:4]
        self.cpu.write(SPECIAL.ipsr, cortex_m.HARD_FAULT)
        hooks.core_read_masks(self.native_pointer, self._masks_pointer)
        self.cpu.write(SPECIAL.ipsr, 0)
        return [*self._masks[:3], 0]

    def has_negative_priority(self) -> bool:
        """NMI, HardFault, or FAULTMASK set."""
        if self.exceptions.active & (1 << cortex_m.NMI | 1 << cortex_m.HARD_FAULT):
            return True
        return bool(self.read_masks()[2])

    def set_it(self, state: int) -> None:
        """ITSTATE for the next instruction."""
        number = self.cpu.read(SPECIAL.ipsr)
        self.cpu.write(SPECIAL.xpsr_write, with_it(self.cpu.read(SPECIAL.xpsr), state))
        if number:
            self.cpu.write(SPECIAL.ipsr, number)

    def run_stub(self, instructions: int) -> None:
        """Execute what the guest cannot see: it takes no time, and nothing else happens."""
        native = self.native
        executed, limit, watch = native.executed, native.limit, native.watch_masks
        native.page = self.stub >> abi.PAGE_BITS
        native.bits = None
        native.watch_masks = 0
        pc, self.pc = self.pc, self.stub
        self.run(self.native_pointer, executed + instructions)
        self.pc = pc
        native.executed, native.limit, native.watch_masks = executed, limit, watch
        native.page = 0xFFFF_FFFF

    def save(self) -> ProcessorSnapshot:
        """Everything but memory."""
        native = self.native
        return ProcessorSnapshot(
            context=self.cpu.uc.context_save(),
            executed=native.executed,
            exclusive=native.exclusive,
            limits=tuple(native.limits),
            exceptions=self.exceptions.save(),
            pc=self.pc,
            held=self.held,
            locked_up=self.locked_up,
            delayed_until=self.delayed_until,
            sleeping=self.sleeping,
            waits_for_event=self.waits_for_event,
            event=self.event,
            activity=self.activity.save(),
        )

    def restore(self, saved: ProcessorSnapshot) -> None:
        """Go back to :meth:`save`; memory says whether what was translated is void."""
        native = self.native
        self.cpu.uc.context_restore(saved.context)
        native.executed, native.exclusive = saved.executed, saved.exclusive
        native.limits[:] = saved.limits
        self.exceptions.restore(saved.exceptions)
        self.pc = saved.pc
        self.held, self.locked_up, self.sleeping = saved.held, saved.locked_up, saved.sleeping
        self.waits_for_event, self.event = saved.waits_for_event, saved.event
        self.delayed_until = saved.delayed_until
        self.activity.restore(saved.activity)
        native.watch_masks = 0
        self.attention = True
        self.stale_code = self.stale_code or bool(self.caches)

    def pause_records(self, *, paused: bool) -> None:
        """Whether what runs has been recorded before."""
        self.access_log.pause(paused=paused)
        for each in self.caches:
            each.pause(paused=paused)

    def count_blocks(self, *, allowed: bool) -> None:
        """Whether code that runs often is counted by blocks from the next instruction on."""
        hooks.core_set_fast(self.native_pointer, allowed and self.counts_blocks)

    def close(self) -> None:
        """Free what is native."""
        self.access_log.close()
        self.order_log.close()
        hooks.core_free_blocks(self.native_pointer)
        self.cpu.close()

    def end_slice(self) -> None:
        """Come back behind the instruction that is executed."""
        self.native.limit = self.native.executed

    def forget_translations(self) -> None:
        """Translate again before the next instruction."""
        self.stale_code = True
        self.end_slice()

    def registers(self) -> dict[str, int]:
        """As the contract names them."""
        values = dict(zip(_VISIBLE, self._visible.read(self.cpu.handle), strict=True))
        values["PC"] = self.pc
        return values

    def backtrace(self) -> Backtrace:
        """Who called whom."""
        return backtrace_of(self.registers(), self.memory, self.images)
