"""One Cortex-M core on Unicorn: runs instructions, keeps time, sleeps, skips what it does for ever.

Time is counted in instructions, or the time of one each while the core sleeps; ``mips`` to a virtual microsecond. The
native hook stops the core before any given count, and before the instruction after one that changed
what may interrupt it, so nothing ever has to be undone or run twice.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from unicorn import unicorn_const
from unicorn.unicorn_py3.unicorn import uclib

from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.backtrace import backtrace_of, symbol_of
from orchestrator.engines.contract import SEMIHOSTING, DebugStop
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.binding import RegisterBatch
from orchestrator.engines.unicorn.bus import Access, Bus, Slot, is_private
from orchestrator.engines.unicorn.cpu import semihosting
from orchestrator.engines.unicorn.cpu.code_marks import CodeMarks, Hint, hint_at, is_floating_point
from orchestrator.engines.unicorn.cpu.debug import CoreDebug
from orchestrator.engines.unicorn.cpu.exceptions import NEVER, SPECIAL, XPSR_T, ExceptionUnit, FaultCause
from orchestrator.engines.unicorn.cpu.frames import is_exc_return
from orchestrator.engines.unicorn.cpu.idle_loops import IdleLoop, Prober
from orchestrator.engines.unicorn.cpu.mpu import EXECUTE, ProtectionMap
from orchestrator.engines.unicorn.cpu.mpu_enforcer import Guard
from orchestrator.engines.unicorn.cpu.nvic import ExceptionState
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace, features_of
from orchestrator.engines.unicorn.cpu.signals import Alarm, EventSent, LineChanged, Released, Signal
from orchestrator.engines.unicorn.devices.uart import UartConsole
from orchestrator.engines.unicorn.memory import BoardMemory
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.native.abi import hooks
from orchestrator.errors import EngineError, RptwinError
from orchestrator.events import (
    Backtrace,
    Detail,
    GuestError,
    Note,
    Poll,
    StateChanged,
    UnmodelledAccess,
    Waiting,
)
from orchestrator.events import CoreState as RunState
from orchestrator.memory import Extent
from orchestrator.platform.model import Core as CoreModel

__all__ = ["Core", "CoreHost"]

SCS_BASE = 0xE000_E000
STIR = 0xE000_EF00
# A private page with what follows lies in one of these: executable by the memory map, and memory on no chip known here.
_STUB_PAGES = range(0x9FFF_FC00, 0x6000_0000, -0x400)
_CLREX = b"\xbf\xf3\x2f\x8f"
# MSR MSPLIM and MSR PSPLIM of R0, for the reset of a core that has them (DDI0553B).
_CLEAR_LIMITS = b"\x80\xf3\x0a\x88\x80\xf3\x0b\x88"
_STUB_INSTRUCTIONS = 3

_SLEEPDEEP, _SEVONPEND = 4, 16  # SCR
_UNALIGN_TRP, _DIV_0_TRP = 8, 16  # CCR
_IT_BITS = 0x0600_FC00  # xPSR
_USERSETMPEND = 2  # CCR
_MOST_PATIENCE = 256  # turns

_GENERAL = tuple(f"R{number}" for number in range(13))
_VISIBLE = (*_GENERAL, "SP", "LR", "PC", "XPSR", "MSP", "PSP", "PRIMASK", "BASEPRI", "FAULTMASK", "CONTROL")


class _Due(NamedTuple):
    """A signal on its way; in the order of counts, and of those that are equal, as they were sent."""

    at: int  # instruction count
    order: int
    signal: Signal


@dataclass(frozen=True, slots=True)
class CoreSnapshot:
    """A core at one moment, but for memory."""

    context: object  # Unicorn's
    executed: int
    exclusive: int
    limits: tuple[int, int]
    exceptions: ExceptionState
    scs: Mapping[str, object]
    inbox: tuple[_Due, ...]
    order: int
    pc: int
    held: bool
    locked_up: bool
    sleeping: bool
    waits_for_event: bool
    event: bool
    sevonpend_seen: int
    noted: frozenset[str]
    unmodelled: frozenset[tuple[int, int, bool]]
    unmodelled_addresses: frozenset[tuple[int, bool]]


class CoreHost(Protocol):
    """What a core needs of the board around it."""

    def emit(self, core: Core, detail: Detail) -> None: ...

    def send_event(self, core: Core) -> None:
        """SEV: every core's event register is set."""
        ...

    def system_reset(self, core: Core) -> None: ...

    def device_written(self, core: Core, slot: Slot) -> None: ...

    def interrupt_taken(self, core: Core, interrupt: int) -> None: ...

    def alarm(self, core: Core, name: str, count: int) -> None:
        """The instruction count has come for which a device asked."""
        ...

    def before_sleep_changes(self, core: Core) -> None:
        """A core is about to fall asleep or to wake up."""
        ...

    def turn_of(self, core: Core) -> AbstractContextManager[None]:
        """What happens inside is done by this core."""
        ...


class Core(ExceptionUnit):
    """A core with its private peripherals; implements the ports of its bus and of its System Control Space."""

    def __init__(
        self,
        model: CoreModel,
        host: CoreHost,
        *,
        interrupts: int,
        priority_mask: int,
        systick_hz: int,
        mpu_regions: int | None,
        skip_idle_loops: bool,
    ) -> None:
        super().__init__(model.name, model.model, interrupts, priority_mask)
        self.skip_idle_loops = skip_idle_loops
        self.model = model
        self.mips = model.mips
        self._host = host
        self._systick_hz = systick_hz
        self.scs = SystemControlSpace(self, self.exceptions, features_of(model.model, fpu=model.fpu), mpu_regions)
        self._marks = CodeMarks(self.native)
        self.guard = Guard(self.cpu, self.native, self.scs.mpu, self._guarded_read, self._guarded_write)
        self._visible = RegisterBatch(*_VISIBLE)
        self._extra = RegisterBatch(*(f"D{number}" for number in range(16)), "FPSCR")
        self._clear_registers = RegisterBatch(
            *_GENERAL, "LR", "IPSR", "CONTROL", "IPSR", "CONTROL", "PRIMASK", "BASEPRI", "FAULTMASK", "PSP", "APSR_NZCV"
        )
        floating = (f"D{number}" for number in range(16))
        self._restored_on_bus_error = RegisterBatch("XPSR", "IPSR", *_GENERAL, "SP", "LR", *floating)
        self._at_denial = RegisterBatch(*self._restored_on_bus_error.names)
        self._at_denial.keep_in(self.native)
        self._install_hooks()
        self.held = model.held
        self._inbox: list[_Due] = []
        self._order = 0
        self._next = NEVER
        self._forget = False
        self._failure: BaseException | None = None
        self._bus_error: tuple[Access, list[int]] | None = None
        self._depends_on_faultmask = False  # whether the MPU is in force
        self._denied_at = -1  # instruction count of the last store to memory that no store changes
        self._reset_asked = False
        self._odd = False  # one of the three above asks for more than the end of a slice
        self._noted: set[str] = set()
        self._unmodelled: set[tuple[int, int, bool]] = set()  # PC, address, whether it reads
        self._unmodelled_addresses: set[tuple[int, bool]] = set()
        self._sevonpend_seen = 0
        self.ran = False  # in this turn: at least one instruction
        self._paused = False
        self.loop: IdleLoop | None = None
        self._interrupted_loop: tuple[IdleLoop, int, list[int]] | None = None  # with PC and registers
        self._prober: Prober | None = None
        self._calm_turns = 0
        self._patience = 1  # calm turns before the next look for a loop
        self._known_loops: set[int] = set()  # pages where one was found
        self.debug: CoreDebug | None = None
        self._call_registers = RegisterBatch("R0", "R1")
        self.said = UartConsole(f"{self.name}{SEMIHOSTING}", lambda: None)
        self.semihosting = semihosting.Semihosting(self, self.said)
        self.bus: Bus

    def _install_hooks(self) -> None:
        native = self.native
        native.exception = native.access = native.watched = -1
        native.passed = NEVER
        native.page = 0xFFFF_FFFF
        native.mask_ids[:] = binding.registers("PRIMASK", "BASEPRI", "FAULTMASK")
        native.register_ids[:] = binding.registers(*_GENERAL, "SP", "LR", "PC")
        (native.cpsr_id,) = binding.registers("CPSR")
        native.flags_id, native.xpsr_id, native.xpsr_write_id = binding.registers("APSR_NZCV", "XPSR", "XPSR_NZCVQG")
        native.emu_stop = binding.function_pointer(uclib.uc_emu_stop)
        native.reg_read = binding.function_pointer(uclib.uc_reg_read)
        native.reg_write = binding.function_pointer(uclib.uc_reg_write)
        native.reg_read_batch = binding.function_pointer(uclib.uc_reg_read_batch)
        native.guard.control_id, native.guard.ipsr_id = binding.registers("CONTROL", "IPSR")
        native.guard.mem_read = binding.function_pointer(uclib.uc_mem_read)
        kinds = {
            unicorn_const.UC_HOOK_CODE: hooks.core_on_code,
            unicorn_const.UC_HOOK_INTR: hooks.core_on_exception,
            unicorn_const.UC_HOOK_MEM_UNMAPPED
            | unicorn_const.UC_HOOK_MEM_READ_PROT
            | unicorn_const.UC_HOOK_MEM_FETCH_PROT: hooks.core_on_invalid,
        }
        for kind, function in kinds.items():
            self.cpu.hook(kind, binding.function_pointer(function), native)
        native.emu_start = binding.function_pointer(uclib.uc_emu_start)
        native.uc = self.cpu.handle

    def attach(self, board: BoardMemory, slots: list[Slot]) -> None:
        """Connect memory and devices."""
        self._board = board
        memory = board.map_core(self.name, self.cpu, self._forget_translations)
        scs = Slot("scs", Extent(SCS_BASE, 0x1000), _ScsDevice(self.scs))
        self.bus = Bus(self.name, [*slots, scs], self)
        self.bus.map_into(self.cpu)
        self.cpu.on_protected_write(self._store_to_protected_page)
        taken = [*(each.extent for each in slots), *(each.extent for each in memory.mappings())]
        pages = (Extent(page, abi.PAGE_SIZE) for page in _STUB_PAGES)
        stub = next(page.start for page in pages if not any(page.overlaps(each) for each in taken))
        self.cpu.map_stub(stub, _CLREX + _CLEAR_LIMITS)
        self._connect(memory, stub, secure_fp=self.model.model == "cortex-m33")

    def _emit(self, detail: Detail) -> None:
        self._host.emit(self, detail)

    def _interrupt_taken(self, interrupt: int) -> None:
        self._host.interrupt_taken(self, interrupt)

    # --- time

    @property
    def now(self) -> int:
        """The instruction count since power-on, sleep and skipped loops counted as executed."""
        return int(self.native.executed)

    @property
    def time_ns(self) -> int:
        return self.now * 1000 // self.mips

    def count_at(self, time_ns: int) -> int:
        """The first instruction count at or after a moment."""
        return -(-time_ns * self.mips // 1000)

    def systick_now(self) -> int:
        return int(self.native.executed) * self._systick_hz // (self.mips * 1_000_000)

    def _systick_count(self) -> int:
        expiry = self.scs.systick.expiry
        return NEVER if expiry is None else -(-expiry * self.mips * 1_000_000 // self._systick_hz)

    @property
    def next_count(self) -> int:
        """The instruction count of the next thing that happens to this core by itself; NEVER when nothing will."""
        return self._next

    def _replan(self) -> None:
        head = self._inbox[0].at if self._inbox else NEVER
        self._next = min(head, self._systick_count()) if not (self.held or self.locked_up) else head

    # --- what comes from outside

    def post(self, count: int, signal: Signal) -> None:
        """Something reaches this core at an instruction count."""
        heapq.heappush(self._inbox, _Due(count, self._order, signal))
        self._order += 1
        self._replan()

    def post_alarm(self, count: int, alarm: Alarm) -> None:
        """A device wants to be woken at an instruction count, which may lie in the slice that is executed."""
        self.post(count, alarm)
        native = self.native
        native.limit = max(native.executed, min(native.limit, count))

    def set_line(self, interrupt: int, level: bool) -> None:
        """Drive an external interrupt now."""
        self.exceptions.set_line(interrupt, level)
        self.reconsider()

    def release_lines(self) -> None:
        """The devices are reset: every interrupt input is low, and no change is on its way."""
        self.exceptions.lines = 0
        self._inbox = [each for each in self._inbox if not isinstance(each.signal, LineChanged)]
        heapq.heapify(self._inbox)
        self._replan()

    def _happen(self) -> None:
        now = self.now
        while self._inbox and self._inbox[0].at <= now:
            count, _order, signal = heapq.heappop(self._inbox)
            if isinstance(signal, LineChanged):
                self.exceptions.set_line(signal.interrupt, signal.level)
                self._attention = True
            elif isinstance(signal, EventSent):
                self.set_event()
            elif isinstance(signal, Released):
                self.release("released")
            else:
                self._host.alarm(self, signal.device, count)
        expiry = self.scs.systick.expiry
        if expiry is not None and self.systick_now() >= expiry and self.scs.systick.advance(self.systick_now()):
            self.exceptions.pend(cortex_m.SYS_TICK)
            self._attention = True
        self._replan()

    def _before_sleep_changes(self) -> None:
        self._host.before_sleep_changes(self)

    @property
    def in_deep_sleep(self) -> bool:
        """Asleep with SCR.SLEEPDEEP (DDI0403E B3.2.7): the chip may stop its clock."""
        return self.sleeping and not self.held and bool(self.scs.scr & _SLEEPDEEP)

    def set_event(self) -> None:
        self._event = True
        if self.sleeping and self._waits_for_event:
            self._event = False
            self.sleeping = False

    def hold(self, why: str) -> None:
        """Stop at once, until released."""
        if not self.held:
            self.leave_loop()
            self.held = True
            self.native.limit = self.native.executed
            self._replan()
            self._emit(StateChanged(RunState.HELD, why))

    def release(self, why: str) -> None:
        """Let a held core go: it starts from its vector table."""
        if self.held:
            self._reset_private()
            self.held = False
            self._emit(StateChanged(RunState.RUNNING, why))
            self.start()

    # --- reset

    def reset(self) -> None:
        """Power-on state of the core and its private peripherals; memory and the shared devices stay."""
        self._reset_private()
        self.held = self.model.held
        # What devices drive onto the interrupt inputs still arrives, and they are still woken.
        self._inbox = [each for each in self._inbox if isinstance(each.signal, LineChanged | Alarm)]
        heapq.heapify(self._inbox)
        self._replan()

    def _reset_private(self) -> None:
        self.exceptions.reset()
        self.scs.reset()
        self.locked_up = self.sleeping = self._event = self._waits_for_event = False
        self._drop_loop()
        self._reset_asked = False
        self._marks.forget()
        self.native.watch_masks = 0
        self.guard.stale = self.guard.in_use

    def start(self) -> None:
        """Load SP and PC from the vector table (DDI0403E B1.5.5, TakeReset())."""
        # By way of a handler, which may write CONTROL.
        self._clear_registers.write(self.cpu.handle, [0] * 13 + [0xFFFF_FFFF, cortex_m.HARD_FAULT] + [0] * 8)
        self.cpu.write(SPECIAL.fpscr, 0)
        self._watch_floating_point()
        self.traps_changed()
        if any(self.native.limits):
            self._run_stub(_STUB_INSTRUCTIONS)
            self.native.limits[:] = 0, 0
        self.locked_up = False
        try:
            words = self.memory.read(self.scs.vtor, 8)
        except RptwinError:
            self.pc = 0
            self._lock_up(f"the vector table at {self.scs.vtor:#010x} lies in no memory")
            return
        stack, entry = int.from_bytes(words[:4], "little"), int.from_bytes(words[4:], "little")
        self.cpu.write(SPECIAL.msp, stack & ~3)
        self.pc = entry & ~1
        self.cpu.write(SPECIAL.xpsr_write, XPSR_T if entry & 1 else 0)
        self._attention = True
        self._replan()
        if not entry & 1:
            self._fault(
                FaultCause(
                    cortex_m.USAGE_FAULT,
                    ("INVSTATE",),
                    f"the reset vector at {self.scs.vtor + 4:#010x} is even ({entry:#010x}): not Thumb code",
                )
            )
        elif is_exc_return(self.pc):
            self._fetch_fault(self.pc)

    # --- the run

    @property
    def idle(self) -> bool:
        """Nothing happens here by itself before ``next_count``."""
        if self._attention or self._forget:
            return False
        return self.sleeping or self.held or self.locked_up or (self.loop is not None and self.loop.holds())

    def pause(self) -> None:
        """``run_to`` ends behind the instruction that is executed."""
        self._paused = True
        self.native.limit = self.native.executed

    def run_to(self, end: int) -> None:
        """Advance to an instruction count, or until paused."""
        native = self.native
        self._paused = False
        while (now := native.executed) < end and not self._paused:
            if self.loop is not None:
                if now < self._next and not self._attention and not self._forget and self.loop.holds():
                    self._skip(min(end, self._next))
                    continue
                self.leave_loop()
            if now >= self._next:
                self._happen()
                if self._reset_asked:
                    self._reset_asked = False
                    self._host.system_reset(self)
            if self.held or self.locked_up:
                native.executed = min(end, self._next)
                continue
            if self._attention:
                self._consider()
                continue
            if self.sleeping:
                native.executed = min(end, self._next)
                continue
            limit = min(end, self._next, self._round_end)
            if self.debug is not None:
                if self.debug.before_instruction():
                    continue
                if self.debug.is_stepping:
                    limit = now + 1
            self.ran = True
            self._execute(limit)
            if self._round_end < NEVER and native.executed >= self._round_end:
                self._round_end = NEVER
                self._back_in_loop(another_round=False)
        if self.debug is not None:
            self.debug.at_turn_end()
        if self.ran and self.loop is None and native.executed >= end:
            self._look_for_loop()

    # --- idle loops

    def _skip(self, count: int) -> None:
        assert self.loop is not None
        self.loop.debt = (self.loop.debt + count - self.now) % self.loop.length
        self.native.executed = count

    def settle(self) -> None:
        """Execute what was skipped of the current round, on the memory that it would have seen."""
        loop = self.loop
        if loop is None or not loop.debt:
            return
        with self._host.turn_of(self):
            self._settle(loop)

    def _settle(self, loop: IdleLoop) -> None:
        for slot in loop.slots:
            slot.pollers.remove(self.leave_loop)
        changed = [(span, bytes(span), data) for span, data in loop.watched if span != data]
        for span, _new, old in changed:
            span[:] = old
        native = self.native
        end = native.executed
        native.executed = end - loop.debt
        watch_masks, native.watch_masks = native.watch_masks, 0
        while native.executed < end:
            self._execute(end)
        native.watch_masks = watch_masks
        loop.debt = 0
        for span, new, _old in changed:
            span[:] = new
            self._forget = True  # it may have been code
        for slot in loop.slots:
            slot.pollers.append(self.leave_loop)

    def leave_loop(self) -> None:
        """Something that the loop depends on is about to change."""
        self.settle()
        loop, self.loop = self.loop, None
        if loop is None:
            return
        for slot in loop.slots:
            slot.pollers.remove(self.leave_loop)
        if self._prober is not None and not loop.slots:
            self._interrupted_loop = (loop, self.pc, self._prober.registers(self.cpu))

    @property
    def _may_skip(self) -> bool:
        return self.skip_idle_loops and not (self.debug is not None and self.debug.is_active)

    def _drop_loop(self) -> None:
        """Reset or restored: what was known of the loop is void."""
        if self.loop is not None:
            for slot in self.loop.slots:
                slot.pollers.remove(self.leave_loop)
        self.loop = self._interrupted_loop = None
        self._round_end = NEVER

    def _back_in_loop(self, *, another_round: bool) -> None:
        """After an exception: the same registers at the same place, and memory as it was, are the same loop.

        The exception's frame may lie where the loop keeps what it pushes: one more round puts that right.
        """
        if self._interrupted_loop is None or self._prober is None or self._attention or self._forget:
            return
        if self.native.watch_masks or not self._may_skip:
            return
        loop, pc, registers = self._interrupted_loop
        if pc != self.pc or registers != self._prober.registers(self.cpu):
            return
        if loop.holds():
            self.loop = loop
        elif another_round:
            self._round_end = self.now + loop.length

    def _look_for_loop(self) -> None:
        """After a turn: a calm core may stand in an idle loop; a busy one is asked less and less often."""
        if self.disturbed and self.pc >> abi.PAGE_BITS not in self._known_loops:
            self._calm_turns = 0
            return
        self._calm_turns += 1
        if self._calm_turns < self._patience and self.pc >> abi.PAGE_BITS not in self._known_loops:
            return
        self._calm_turns = 0
        if not self._may_skip or self.sleeping or self.held or self.locked_up or self._attention:
            return
        if self._prober is None:
            self._prober = Prober(self.model.model, self.name, self.memory, self.bus)
        with self._host.turn_of(self):
            granted = self._idle_access_is_granted if self.guard.in_use else None
            self.loop = self._prober.probe(self.cpu, self.pc, granted, keeps_masks=bool(self.native.watch_masks))
        if self.loop is not None:
            for slot in self.loop.slots:
                slot.pollers.append(self.leave_loop)
            self._patience = 1
            self._known_loops.add(self.pc >> abi.PAGE_BITS)
        else:
            self._patience = min(2 * self._patience, _MOST_PATIENCE)
            self._known_loops.discard(self.pc >> abi.PAGE_BITS)

    def _execute(self, limit: int) -> None:
        """Run to an instruction count at most; whatever ended it is dealt with."""
        if self._forget:
            self._flush()
        if self.guard.in_use or self.guard.stale:
            self._protect()
        why = self._run(self._native_pointer, limit)
        if self.native.undo:
            self._undo()
        if why == abi.EXIT_OTHER or self._odd:
            self._after_stop()
        elif why == abi.EXIT_NEW_PAGE:
            self._reach_page()
        elif why == abi.EXIT_SPECIAL:
            self._special()
        elif why == abi.EXIT_UNMASKED:
            self._attention = True
        elif why == abi.EXIT_DENIED:
            self.disturbed = True
            self._fetch_fault(self.pc)
        elif why == abi.EXIT_TRAP:
            self._trap()

    def _after_stop(self) -> None:
        """Everything but the end of a slice."""
        native = self.native
        error = native.error
        self.disturbed = True
        self._odd = False
        exception, access = native.exception, native.access
        native.exception = native.access = -1
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._bus_error is not None:
            self._raise_bus_error()
            return
        fetches = access in (unicorn_const.UC_MEM_FETCH_UNMAPPED, unicorn_const.UC_MEM_FETCH_PROT)
        if native.denied and not fetches:
            self._take_back()
        if self._reset_asked:
            self._reset_asked = False
            self._host.system_reset(self)
            return
        if exception >= 0:
            self._guest_exception(exception)
        elif access >= 0:
            self._invalid_access(access, native.access_address, native.access_size)
        elif error == unicorn_const.UC_ERR_INSN_INVALID:
            self._undefined()
        elif error:
            raise EngineError(
                "the emulator stopped",
                where=f"{self.name} at {self.pc:#010x}",
                found=binding.describe(error),
            )
        elif not native.stopping:
            self.sleeping = True  # WFI inside an IT block, where the hook cannot stop
            self._attention = True

    def _undo(self) -> None:
        """Inside an IT block Unicorn does not stop before an instruction: the one that asked for it has run."""
        xpsr, *others = self._at_denial.kept()
        self._at_denial.write(self.cpu.handle, [_with_it(xpsr, self.native.it), *others])

    def _take_back(self) -> None:
        """After a store that was refused Unicorn goes on with the instruction, and with an IT block: undo that."""
        xpsr, *others = self._at_denial.kept()
        self._at_denial.write(self.cpu.handle, [_with_it(xpsr, self.native.it), *others])
        self.native.executed = self.native.denied_executed
        self.pc = self.native.denied_address

    # --- exceptions

    def reconsider(self) -> None:
        """What may interrupt has changed: look before the next instruction."""
        self._attention = True
        abi.hooks.core_stop_behind(self._native_pointer)
        self._replan()

    def active_exception(self) -> int:
        return self.cpu.read(SPECIAL.ipsr)

    def _consider(self) -> None:
        self._attention = False
        native = self.native
        exceptions = self.exceptions
        native.watch_masks = 0
        if self.scs.scr & _SEVONPEND and exceptions.pending & ~self._sevonpend_seen:
            self.set_event()
        self._sevonpend_seen = exceptions.pending
        if not exceptions.candidates:
            return
        primask, basepri, faultmask, _ipsr = self._read_masks()
        number = exceptions.takeable(exceptions.execution_priority(primask, basepri, faultmask))
        if number is not None:
            self.sleeping = False
            self._take(number, native.pc)
            return
        # What PRIMASK alone holds back ends WFI and not WFE (B1.5.18, B1.5.19).
        if self.sleeping and not self._waits_for_event and exceptions.wakes(basepri, faultmask):
            self.sleeping = False
        # Unprivileged code sees none of them, and changes none.
        if (primask or basepri or faultmask) and not self._is_unprivileged_mode():
            native.masks[:] = (primask, basepri, faultmask)
            native.watch_masks = 1

    # --- special instructions and pages

    def _special(self) -> None:
        """The instruction at PC is a hint, or a floating-point one while the unit is off."""
        self.disturbed = True
        if self.debug is not None and self.debug.is_at_breakpoint():
            return
        code = bytes(self.memory.read(self.pc, 4)) if self.memory.span(self.pc, 4) else self.memory.read(self.pc, 2)
        hint, size = hint_at(code)
        if hint is None:
            words = (int.from_bytes(code[:2], "little"), int.from_bytes(code[2:], "little"))
            if not self.native.fp_watch or not is_floating_point(*words):
                self.native.passed = self.native.executed  # a breakpoint that was reported
                return
            self._floating_point()
            return
        self.pc += size
        self._advance_it()
        self.native.executed += 1
        self._hint(hint)

    def _advance_it(self) -> None:
        """The instruction at PC was done here."""
        state = self.native.it
        if state:
            self._set_it((state & 0xE0 | state << 1 & 0x1F) if state & 7 else 0)

    def _trap(self) -> None:
        """An instruction that Unicorn would execute although it faults, or otherwise than the architecture says."""
        self.disturbed = True
        trap = self.native.trap
        if trap == abi.TRAP_DIVISION:
            self._fault(FaultCause(cortex_m.USAGE_FAULT, ("DIVBYZERO",), "divides by zero, which CCR.DIV_0_TRP traps"))
        elif trap == abi.TRAP_UNALIGNED:
            what = "makes an unaligned access that the instruction or CCR.UNALIGN_TRP does not allow"
            self._fault(FaultCause(cortex_m.USAGE_FAULT, ("UNALIGNED",), what))
        else:
            self._write_stack_pointer()

    def _write_stack_pointer(self) -> None:
        """MSR MSP or PSP with low bits set, which are ignored (DDI0403E B5.2.3)."""
        first, second = struct.unpack("<2H", self.memory.read(self.pc, 4))
        if not self._is_unprivileged_mode():
            (source,) = binding.registers((*_GENERAL, "SP", "LR")[first & 0xF])
            (target,) = binding.registers("PSP" if second & 1 else "MSP")
            self.cpu.write(target, self.cpu.read(source) & ~3)
        self.pc += 4
        self._advance_it()
        self.native.executed += 1

    def _hint(self, hint: int) -> None:
        if hint == Hint.SEV:
            self._host.send_event(self)
        elif hint == Hint.WFE and self._event:
            self._event = False
        elif hint != Hint.YIELD:
            self.sleeping = True
            self._waits_for_event = hint == Hint.WFE
            self._attention = True

    def _reach_page(self) -> None:
        """First execution of one page, or of two by an instruction across their border."""
        for page in sorted({self.pc >> abi.PAGE_BITS, self.pc + 3 >> abi.PAGE_BITS}):
            address = max(self.pc, page << abi.PAGE_BITS)
            mapping = self.memory.mapping_at(address)
            if mapping is None:
                if address == self.pc:
                    self._fetch_fault(self.pc)
                    return
                continue
            if not self.guard.in_use and not self.guard.map.granted_at(address, 1, privileged=True) & EXECUTE:
                self._fetch_fault(self.pc)
                return
            self._board.executes(mapping, address)
            start = (page << abi.PAGE_BITS) - mapping.extent.start
            behind = int.from_bytes(mapping.store.view[start + abi.PAGE_SIZE : start + abi.PAGE_SIZE + 2], "little")
            self._marks.mark(page, mapping.pointer + start, behind, live=mapping.store.region.writable)

    def floating_point_changed(self) -> None:
        self._watch_floating_point()

    def traps_changed(self) -> None:
        scs = self.scs
        self.native.traps = (abi.TRAP_DIVISION if scs.ccr & _DIV_0_TRP else 0) | (
            abi.TRAP_UNALIGNED if scs.ccr & _UNALIGN_TRP else 0
        )
        self._marks.forget()
        self.native.limit = self.native.executed

    # --- protection

    def protection_changed(self) -> None:
        self.guard.stale = True
        self.native.limit = self.native.executed

    def _protect(self) -> None:
        """Before instructions run: the MPU as its registers and the execution priority say."""
        guard, mpu = self.guard, self.scs.mpu
        if not guard.in_use:
            guard.stale = False
            if not mpu.enabled:
                return
            guard.install(self.memory, self.bus.pages(), self._stub)
            self.frames.refuses = self._frame_refused
        depends = mpu.enabled and not mpu.protects(negative_priority=True)
        if depends != self._depends_on_faultmask:
            self._depends_on_faultmask = depends
            self.native.guard.watch_faultmask = depends
            self._marks.forget()
        guard.apply(negative_priority=depends and self._has_negative_priority())

    def _has_negative_priority(self) -> bool:
        if self.exceptions.active & (1 << cortex_m.NMI | 1 << cortex_m.HARD_FAULT):
            return True
        return bool(self._read_masks()[2])

    def _frame_refused(self, address: int, size: int, right: int, privileged: bool) -> int | None:
        """The first byte of a frame that may not be accessed now."""
        protection = self._map_now()
        if protection.granted_at(address, size, privileged=privileged) & right:
            return None
        return protection.first_refused(address, size, right, privileged=privileged)

    def _map_now(self) -> ProtectionMap:
        return self.scs.mpu.map(negative_priority=self._has_negative_priority())

    def _is_unprivileged(self) -> bool:
        return bool(hooks.core_is_unprivileged(self._native_pointer))

    def may_use_private_bus(self, access: Access) -> bool:
        if not self._is_unprivileged():
            return True
        return access.address == STIR and access.value is not None and self.scs.ccr & _USERSETMPEND != 0

    def _guarded_read(self, address: int, size: int) -> int:
        return self.bus.read(address, size)

    def _guarded_write(self, address: int, size: int, value: int) -> None:
        if self.memory.mapping_at(address) is None:
            self.bus.write(address, size, value)
        else:
            self._store_to_protected_page(address, value.to_bytes(8, "little")[:size])

    def _idle_access_is_granted(self, address: int, size: int, right: int) -> bool:
        return bool(self.guard.map.granted_at(address, size, privileged=not self._is_unprivileged_mode()) & right)

    def _forget_translations(self) -> None:
        self._forget = True
        self.native.limit = self.native.executed

    def _flush(self) -> None:
        self._forget = False
        if self._prober is not None:
            self._prober.flush()
        self.cpu.flush()
        self._marks.forget()

    def _store_to_protected_page(self, address: int, data: bytes) -> None:
        """A store met a page that is executed elsewhere, or memory that no store changes."""
        try:
            self._finish_store(address, data)
            hooks.core_leave_it(self._native_pointer)
        except BaseException as error:  # a callback of C code must not unwind through it
            self.device_failed(error)

    def _finish_store(self, address: int, data: bytes) -> None:
        mapping = self.memory.mapping_at(address)
        if mapping is None:  # the stub: nothing, as far as the guest can tell
            self.bus_error(Access(address, len(data), int.from_bytes(data, "little")))
            return
        if mapping.store.region.writable:
            self.memory.write(address, data[: mapping.extent.end - address])
            return
        if self._denied_at != self.native.executed:  # once for all stores of one instruction
            self._denied_at = self.native.executed
            self._host.emit(
                self,
                GuestError(
                    self.native.address,
                    symbol_of(self.images, self.native.address),
                    address,
                    f"a store to {mapping.store.region.name} at {address:#010x} changes nothing",
                ),
            )

    # --- the bus's port

    def device_access(self, *, writes: bool) -> None:
        # Polling is calm: whether it is idle as well, the prober finds out.
        self.disturbed = self.disturbed or writes

    def bus_error(self, access: Access) -> None:
        # The load will still write its register: what it held is put back before the fault is taken.
        if self._bus_error is None:
            self._bus_error = (access, self._restored_on_bus_error.read(self.cpu.handle))
            self._bus_error_pc = self.native.address
        self._odd = True
        self.native.limit = self.native.executed

    def _raise_bus_error(self) -> None:
        assert self._bus_error is not None
        (access, values), self._bus_error = self._bus_error, None
        values[0] = _with_it(values[0], abi.hooks.core_it_state(self._native_pointer, self._bus_error_pc))
        self._restored_on_bus_error.write(self.cpu.handle, values)
        self.pc = self._bus_error_pc
        verb = "reads" if access.value is None else "writes"
        if is_private(access.address) and self.bus.slot_at(access.address) is not None:
            what = f"{verb} {access.size} bytes at {access.address:#010x}, where unprivileged code has no access"
            self._fault(FaultCause(cortex_m.BUS_FAULT, ("PRECISERR", "BFARVALID"), what, access.address))
            return
        self._data_fault(verb, access.address, access.size)

    def device_failed(self, error: BaseException) -> None:
        self._failure = error
        self._odd = True
        self.native.limit = self.native.executed

    def device_written(self, slot: Slot) -> None:
        self._host.device_written(self, slot)

    # --- the System Control Space's port

    def reset_requested(self) -> None:
        self._reset_asked = self._odd = True
        self.native.limit = self.native.executed

    def note(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._emit(Note(text))

    def unmodelled(self, offset: int, size: int, value: int | None) -> None:
        self.unmodelled_access("system control space", SCS_BASE + offset, size, value, "register")

    def report_unmodelled(self, peripheral: str, text: str) -> None:
        """A device does not model the access that is under way."""
        access = self.bus.access
        if access is not None:
            self.unmodelled_access(peripheral, access.address, access.size, access.value, text)

    def unmodelled_access(self, peripheral: str, address: int, size: int, value: int | None, what: str) -> None:
        """The instruction that runs touches something the model does not have; said once for each such instruction."""
        pc = self.native.address
        reads = value is None
        if self._prober is not None and self._prober.is_running:
            if (address, reads) not in self._unmodelled_addresses:
                self._prober.spoil()
            return
        if (pc, address, reads) in self._unmodelled:
            return
        self._unmodelled.add((pc, address, reads))
        self._unmodelled_addresses.add((address, reads))
        symbol = symbol_of(self.images, pc)
        self._emit(UnmodelledAccess(pc, symbol, address, size, value, peripheral, what))

    def is_probing(self) -> bool:
        """Whether this is a trial that must have no effect: if so, it had one, and has failed."""
        if self._prober is None or not self._prober.is_running:
            return False
        self._prober.spoil()
        return True

    # --- a debugger

    def _serves_breakpoint(self) -> bool:
        if self.memory.read(self.pc, 1)[0] == semihosting.IMMEDIATE:
            operation, argument = self._call_registers.read(self.cpu.handle)
            result = self.semihosting.call(operation, argument)
            self._call_registers.write(self.cpu.handle, (result, argument))
            self.pc += 2
            return True
        if self.debug is None:
            return False
        self.debug.trap()
        return True

    def attach_debugger(self, on_stop: Callable[[DebugStop], None] | None) -> None:
        """Stand still as asked from now on; None: no more."""
        if self.debug is not None:
            self.debug.close()
        self.debug = None if on_stop is None else CoreDebug(self, self._marks, on_stop)

    def leave_loop_for_good(self) -> None:
        self.leave_loop()
        self._interrupted_loop = None
        self._round_end = NEVER

    def forget_code(self) -> None:
        self._forget_translations()

    def debug_registers(self) -> dict[str, int]:
        """As the contract names them."""
        return self.registers() | dict(zip(self._extra.names, self._extra.read(self.cpu.handle), strict=True))

    def write_register(self, name: str, value: int) -> None:
        """A debugger changes a register; of xPSR, what MSR can change."""
        self.leave_loop()
        if name == "PC":
            self.pc = value & ~1
        elif name == "XPSR":
            self.cpu.write(SPECIAL.xpsr_write, value)
        else:
            (register,) = binding.registers(name)
            self.cpu.write(register, value)
            if name in _PRIVILEGED and not self.active_exception():
                self.cpu.write(SPECIAL.ipsr, cortex_m.HARD_FAULT)  # for Unicorn, unprivileged code would be writing
                self.cpu.write(register, value)
                self.cpu.write(SPECIAL.ipsr, 0)
        self.reconsider()

    # --- looking

    def waiting(self) -> Waiting | None:
        """The idle loop that the core is in, with what it reads."""
        if self.loop is None or not self.loop.holds():
            return None
        pc = self.pc
        symbol = symbol_of(self.images, pc)
        return Waiting(pc, symbol, tuple(Poll(*read, self._name_at(read.address)) for read in self.loop.reads))

    def _name_at(self, address: int) -> str:
        slot = self.bus.slot_at(address)
        return slot.name if slot is not None else ""

    @property
    def state(self) -> RunState:
        if self.held:
            return RunState.HELD
        if self.locked_up:
            return RunState.LOCKED_UP
        return RunState.SLEEPING if self.sleeping else RunState.RUNNING

    def registers(self) -> dict[str, int]:
        """As the contract names them."""
        self.settle()
        values = dict(zip(_VISIBLE, self._visible.read(self.cpu.handle), strict=True))
        values["PC"] = self.pc
        return values

    def backtrace(self) -> Backtrace:
        return backtrace_of(self.registers(), self.memory, self.images)

    # --- snapshot

    def save(self) -> CoreSnapshot:
        """Everything but memory."""
        self.settle()
        return CoreSnapshot(
            context=self.cpu.uc.context_save(),
            executed=self.native.executed,
            exclusive=self.native.exclusive,
            limits=tuple(self.native.limits),
            exceptions=self.exceptions.save(),
            scs=self.scs.save(),
            inbox=tuple(self._inbox),
            order=self._order,
            pc=self.pc,
            held=self.held,
            locked_up=self.locked_up,
            sleeping=self.sleeping,
            waits_for_event=self._waits_for_event,
            event=self._event,
            sevonpend_seen=self._sevonpend_seen,
            noted=frozenset(self._noted),
            unmodelled=frozenset(self._unmodelled),
            unmodelled_addresses=frozenset(self._unmodelled_addresses),
        )

    def load(self, saved: CoreSnapshot) -> None:
        """Go back to a snapshot."""
        self.cpu.uc.context_restore(saved.context)
        self.native.executed, self.native.exclusive = saved.executed, saved.exclusive
        self.native.limits[:] = saved.limits
        self.exceptions.restore(saved.exceptions)
        self.scs.restore(saved.scs)
        self._inbox, self._order = list(saved.inbox), saved.order
        self.pc = saved.pc
        self.held, self.locked_up, self.sleeping = saved.held, saved.locked_up, saved.sleeping
        self._waits_for_event, self._event = saved.waits_for_event, saved.event
        self._sevonpend_seen = saved.sevonpend_seen
        self._noted = set(saved.noted)
        self._unmodelled = set(saved.unmodelled)
        self._unmodelled_addresses = set(saved.unmodelled_addresses)
        self.native.watch_masks = 0
        self.guard.stale = self.guard.in_use or self.scs.mpu.enabled
        self._watch_floating_point()
        self.traps_changed()
        self._denied_at = -1
        self._drop_loop()
        self._attention = True
        self._forget = True
        self._replan()

    def close(self) -> None:
        if self._prober is not None:
            self._prober.close()
        self.cpu.close()


_PRIVILEGED = ("PRIMASK", "BASEPRI", "FAULTMASK", "CONTROL")


def _with_it(xpsr: int, state: int) -> int:
    """xPSR with this ITSTATE (DDI0403E B1.4.2)."""
    return xpsr & ~_IT_BITS | (state & 3) << 25 | state >> 2 << 10


class _ScsDevice:
    """The System Control Space as a device on its core's bus."""

    is_steady = False  # SysTick counts

    def __init__(self, scs: SystemControlSpace) -> None:
        self._scs = scs

    def read(self, offset: int, size: int, core: str | None) -> int:
        return self._scs.peek(offset, size) if core is None else self._scs.read(offset, size)

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        self._scs.write(offset, size, value)

    def reset(self) -> None:
        """The core resets it."""

    def snapshot(self) -> object:
        return None

    def restore(self, state: object) -> None:
        """The core restores it."""
