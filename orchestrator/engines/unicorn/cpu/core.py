"""One Cortex-M core on Unicorn: runs instructions, keeps time, sleeps, skips what it does for ever.

Time is counted in instructions, or the time of one each while the core sleeps; ``mips`` to a virtual microsecond. The
native hook stops the core before any given count, and before the instruction after one that changed what may interrupt
it, so nothing ever has to be undone or run twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Extent
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.backtrace import symbol_of
from orchestrator.engines.common.cortex_m import exception_name
from orchestrator.engines.contract import SEMIHOSTING, DebugStop
from orchestrator.engines.unicorn.binding import RegisterBatch
from orchestrator.engines.unicorn.bus import Bus, Slot
from orchestrator.engines.unicorn.cpu import semihosting
from orchestrator.engines.unicorn.cpu.access_log import AccessLog, Observed
from orchestrator.engines.unicorn.cpu.accesses import SCS_BASE, Accesses, ScsDevice
from orchestrator.engines.unicorn.cpu.code_marks import CodeMarks
from orchestrator.engines.unicorn.cpu.debug import CoreDebug, debug_registers, write_register
from orchestrator.engines.unicorn.cpu.exceptions import ExceptionUnit
from orchestrator.engines.unicorn.cpu.execution import Execution
from orchestrator.engines.unicorn.cpu.fault_cause import FaultCause
from orchestrator.engines.unicorn.cpu.floating_point import FloatingPoint
from orchestrator.engines.unicorn.cpu.frames import is_exc_return
from orchestrator.engines.unicorn.cpu.idle_loops import IdleLoop
from orchestrator.engines.unicorn.cpu.inbox import Due, Inbox
from orchestrator.engines.unicorn.cpu.instructions import Instructions
from orchestrator.engines.unicorn.cpu.loop_skipper import LoopSkipper
from orchestrator.engines.unicorn.cpu.mpu import Shut
from orchestrator.engines.unicorn.cpu.mpu_enforcer import MpuEnforcer
from orchestrator.engines.unicorn.cpu.nvic import ExceptionState
from orchestrator.engines.unicorn.cpu.processor import GENERAL, NEVER, SPECIAL, XPSR_T, Processor
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace, features_of
from orchestrator.engines.unicorn.cpu.signals import Alarm, EventSent, LineChanged, Released, Signal
from orchestrator.engines.unicorn.devices.uart import UartConsole
from orchestrator.engines.unicorn.memory import BoardMemory, CoreMemory
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.native.abi import hooks
from orchestrator.events import Activity, Backtrace, Detail, GuestError, Poll, StateChanged, Waiting
from orchestrator.events import CoreState as RunState
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Core as CoreModel

__all__ = ["Core", "CoreHost", "CoreSnapshot"]

# A private page with what follows lies in one of these: executable by the memory map, and memory on no chip known here.
_STUB_PAGES = range(0x9FFF_FC00, 0x6000_0000, -0x400)
_CLREX = b"\xbf\xf3\x2f\x8f"
# MSR MSPLIM and MSR PSPLIM of R0, for the reset of a core that has them (DDI0553B).
_CLEAR_LIMITS = b"\x80\xf3\x0a\x88\x80\xf3\x0b\x88"
_STUB_INSTRUCTIONS = 3

_SLEEPDEEP, _SEVONPEND = 4, 16  # SCR
_UNALIGN_TRP, _DIV_0_TRP = 8, 16  # CCR


@dataclass(frozen=True, slots=True)
class CoreSnapshot:
    """A core at one moment, but for memory."""

    context: object  # Unicorn's
    executed: int
    exclusive: int
    limits: tuple[int, int]
    exceptions: ExceptionState
    scs: Mapping[str, object]
    inbox: tuple[tuple[Due, ...], int]
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
    activity: object
    traced: Mapping[int, int]  # faults with a backtrace, by PC


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


class Core:
    """A core with its private peripherals: puts its parts together, and implements the port of each.

    More methods than most: many are a part's port, and do one thing.
    """

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
        self.model = model
        self.name, self.mips = model.name, model.mips
        self._host = host
        self._systick_hz = systick_hz
        self._skip_idle_loops = skip_idle_loops
        self._p = processor = Processor(model.name, model.model, model.mips, interrupts, priority_mask)
        processor.before_sleep_changes = lambda: host.before_sleep_changes(self)
        processor.held = model.held
        self.scs = SystemControlSpace(self, processor.exceptions, features_of(model.model, fpu=model.fpu), mpu_regions)
        self._marks = CodeMarks(processor.native)
        self._enforcer = MpuEnforcer(processor, self.scs.mpu, self._marks)
        self._floating_point = FloatingPoint(processor, self.scs)
        self._unit = ExceptionUnit(processor, self.scs, self._floating_point, self._enforcer, self)
        self._loops = LoopSkipper(processor, model.model, self._enforcer, self)
        self._accesses = Accesses(processor, self.scs, self._unit, self._loops, self)
        self._enforcer.slow = self._accesses.guarded_read, self._accesses.guarded_write
        self._instructions = Instructions(
            processor, self._unit, self._floating_point, self._enforcer, self._marks, self
        )
        self._clear_registers = RegisterBatch(
            *GENERAL, "LR", "IPSR", "CONTROL", "IPSR", "CONTROL", "PRIMASK", "BASEPRI", "FAULTMASK", "PSP", "APSR_NZCV"
        )
        self._execution = Execution(
            processor,
            self._unit,
            self._enforcer,
            self._loops,
            self._accesses,
            self._instructions,
            self._marks,
            self,
        )
        self._inbox = Inbox()
        self._next = NEVER
        self._sevonpend_seen = 0
        self.ran = False  # in this turn: at least one instruction
        self._paused = False
        self.debug: CoreDebug | None = None
        self._call_registers = RegisterBatch("R0", "R1")
        self.said = UartConsole(f"{self.name}{SEMIHOSTING}", lambda: None)
        self.semihosting = semihosting.Semihosting(self, self.said)
        self.bus: Bus

    # --- what others see of it

    @property
    def images(self) -> list[Image]:
        return self._p.images

    @property
    def native(self) -> abi.CoreState:
        return self._p.native

    @property
    def memory(self) -> CoreMemory:
        return self._p.memory

    @property
    def exceptions(self) -> ExceptionState:
        return self._p.exceptions

    @property
    def access_log(self) -> AccessLog:
        return self._p.access_log

    @property
    def loop(self) -> IdleLoop | None:
        """The idle loop that it is in, if it provably is in one."""
        return self._loops.loop

    @property
    def held(self) -> bool:
        return self._p.held

    @held.setter
    def held(self, held: bool) -> None:
        self._p.held = held

    @property
    def locked_up(self) -> bool:
        return self._p.locked_up

    @property
    def disturbed(self) -> bool:
        """In this turn it touched a device, took an exception or slept."""
        return self._p.disturbed

    @disturbed.setter
    def disturbed(self, disturbed: bool) -> None:
        self._p.disturbed = disturbed

    def attach(self, board: BoardMemory, slots: list[Slot]) -> None:
        """Connect memory and devices."""
        self._instructions.board = board
        memory = board.map_core(self.name, self._p.cpu, self._p.forget_translations)
        scs = Slot("scs", Extent(SCS_BASE, 0x1000), ScsDevice(self.scs))
        self.bus = self._accesses.bus = Bus(self.name, [*slots, scs], self._accesses)
        self.bus.map_into(self._p.cpu)
        self._p.cpu.on_protected_write(self._accesses.store_to_protected_page)
        taken = [*(each.extent for each in slots), *(each.extent for each in memory.mappings())]
        pages = (Extent(page, abi.PAGE_SIZE) for page in _STUB_PAGES)
        stub = next(page.start for page in pages if not any(page.overlaps(each) for each in taken))
        self._p.cpu.map_stub(stub, _CLREX + _CLEAR_LIMITS)
        self._p.connect(memory, stub)
        self._unit.connect(secure_fp=self.model.model == "cortex-m33")

    # --- the ports of its parts

    def emit(self, detail: Detail) -> None:
        self._host.emit(self, detail)

    def interrupt_taken(self, interrupt: int) -> None:
        self._host.interrupt_taken(self, interrupt)

    def device_written(self, slot: Slot) -> None:
        self._host.device_written(self, slot)

    def send_event(self) -> None:
        self._host.send_event(self)

    def acting(self) -> AbstractContextManager[None]:
        return self._host.turn_of(self)

    @property
    def may_skip(self) -> bool:
        return self._skip_idle_loops and not (self.debug is not None and self.debug.is_active)

    def back_in_loop(self, *, another_round: bool) -> None:
        self._loops.back_in_loop(another_round=another_round)

    def execute(self, limit: int) -> None:
        self._execution.execute(limit)

    def reset_chip(self) -> None:
        self._host.system_reset(self)

    def is_at_breakpoint(self) -> bool:
        return self.debug is not None and self.debug.is_at_breakpoint()

    def note(self, text: str) -> None:
        self._accesses.note(text)

    def unmodelled(self, offset: int, size: int, value: int | None) -> None:
        self._accesses.unmodelled_register(offset, size, value)

    def report_unmodelled(self, peripheral: str, text: str) -> None:
        """A device does not model the access that is under way."""
        self._accesses.report_unmodelled(peripheral, text)

    # --- time

    @property
    def now(self) -> int:
        """The instruction count since power-on, sleep and skipped loops counted as executed."""
        return self._p.now

    @property
    def time_ns(self) -> int:
        return self._p.time_ns

    def count_at(self, time_ns: int) -> int:
        """The first instruction count at or after a moment."""
        return -(-time_ns * self.mips // 1000)

    def systick_now(self) -> int:
        return int(self._p.native.executed) * self._systick_hz // (self.mips * 1_000_000)

    def _systick_count(self) -> int:
        expiry = self.scs.systick.expiry
        return NEVER if expiry is None else -(-expiry * self.mips * 1_000_000 // self._systick_hz)

    @property
    def next_count(self) -> int:
        """The instruction count of the next thing that happens to this core by itself; NEVER when nothing will."""
        return self._next

    def replan(self) -> None:
        head = self._inbox.first
        self._next = min(head, self._systick_count()) if not (self._p.held or self._p.locked_up) else head

    # --- what comes from outside

    def post(self, count: int, signal: Signal) -> None:
        """Something reaches this core at an instruction count."""
        if isinstance(signal, LineChanged):
            self._inbox.forget_line(signal.interrupt, count)
        self._inbox.add(count, signal)
        self.replan()

    def post_alarm(self, count: int, alarm: Alarm) -> None:
        """A device wants to be woken at an instruction count, which may lie in the slice that is executed."""
        self.post(count, alarm)
        native = self._p.native
        native.limit = max(native.executed, min(native.limit, count))

    def set_line(self, interrupt: int, level: bool) -> None:
        """Drive an external interrupt now. A change that another core caused, ahead of this one, is on its way no more:
        the device has taken it into account.
        """
        self._inbox.forget_line(interrupt, -1)
        self._p.exceptions.set_line(interrupt, level)
        self.reconsider()

    def release_lines(self) -> None:
        """The devices are reset: every interrupt input is low, and no change is on its way."""
        self._p.exceptions.lines = 0
        self._inbox.keep(lambda signal: not isinstance(signal, LineChanged))
        self.replan()

    def _happen(self) -> None:
        now = self.now
        while (due := self._inbox.take(now)) is not None:
            signal = due.signal
            if isinstance(signal, LineChanged):
                self._p.exceptions.set_line(signal.interrupt, signal.level)
                self._p.attention = True
            elif isinstance(signal, EventSent):
                self.set_event()
            elif isinstance(signal, Released):
                self.release("released")
            else:
                self._host.alarm(self, signal.device, due.at)
        expiry = self.scs.systick.expiry
        if expiry is not None and self.systick_now() >= expiry and self.scs.systick.advance(self.systick_now()):
            self._p.exceptions.pend(cortex_m.SYS_TICK)
            self._p.attention = True
        self.replan()

    @property
    def in_deep_sleep(self) -> bool:
        """Asleep with SCR.SLEEPDEEP (DDI0403E B3.2.7): the chip may stop its clock."""
        return self._p.sleeping and not self._p.held and bool(self.scs.scr & _SLEEPDEEP)

    def set_event(self) -> None:
        self._p.event = True
        if self._p.sleeping and self._p.waits_for_event:
            self._p.event = False
            self._p.wake("event")

    def hold(self, why: str) -> None:
        """Stop at once, until released."""
        if not self._p.held:
            self.leave_loop()
            self._p.held = True
            self._p.end_slice()
            self.replan()
            self.emit(StateChanged(RunState.HELD, why))

    def release(self, why: str) -> None:
        """Let a held core go: it starts from its vector table."""
        if self._p.held:
            self._reset_private()
            self._p.held = False
            self.emit(StateChanged(RunState.RUNNING, why))
            self.start()

    # --- reset

    def reset(self) -> None:
        """Power-on state of the core and its private peripherals; memory and the shared devices stay."""
        self._reset_private()
        self._p.held = self.model.held
        # What devices drive onto the interrupt inputs still arrives, and they are still woken.
        self._inbox.keep(lambda signal: isinstance(signal, LineChanged | Alarm))
        self.replan()

    def _reset_private(self) -> None:
        self._p.exceptions.reset()
        self.scs.reset()
        self._p.wake("reset")
        self._p.locked_up = self._p.event = self._p.waits_for_event = False
        self._loops.drop()
        self._execution.reset_asked = False
        self._marks.forget()
        self._p.native.watch_masks = 0
        self._enforcer.look_again()

    def start(self) -> None:
        """Load SP and PC from the vector table (DDI0403E B1.5.5, TakeReset())."""
        # By way of a handler, which may write CONTROL.
        self._clear_registers.write(self._p.cpu.handle, [0] * 13 + [0xFFFF_FFFF, cortex_m.HARD_FAULT] + [0] * 8)
        self._p.cpu.write(SPECIAL.fpscr, 0)
        self._floating_point.watch()
        self.traps_changed()
        if any(self._p.native.limits):
            self._p.run_stub(_STUB_INSTRUCTIONS)
            self._p.native.limits[:] = 0, 0
        self._p.locked_up = False
        try:
            words = self._p.memory.read(self.scs.vtor, 8)
        except RptwinError:
            self._p.pc = 0
            self._unit.lock_up(f"the vector table at {self.scs.vtor:#010x} lies in no memory")
            return
        stack, entry = int.from_bytes(words[:4], "little"), int.from_bytes(words[4:], "little")
        self._p.cpu.write(SPECIAL.msp, stack & ~3)
        self._p.pc = entry & ~1
        self._p.cpu.write(SPECIAL.xpsr_write, XPSR_T if entry & 1 else 0)
        self._p.attention = True
        self.replan()
        if not entry & 1:
            self._unit.fault(
                FaultCause(
                    cortex_m.USAGE_FAULT,
                    ("INVSTATE",),
                    f"the reset vector at {self.scs.vtor + 4:#010x} is even ({entry:#010x}): not Thumb code",
                )
            )
        elif is_exc_return(self._p.pc):
            self._unit.fetch_fault(self._p.pc)

    # --- the run

    @property
    def idle(self) -> bool:
        """Nothing happens here by itself before ``next_count``."""
        if self._p.attention or self._p.stale_code:
            return False
        return self._p.sleeping or self._p.held or self._p.locked_up or self._loops.holds

    def pause(self) -> None:
        """``run_to`` ends behind the instruction that is executed."""
        self._paused = True
        self._p.end_slice()

    def run_to(self, end: int) -> None:
        """Advance to an instruction count, or until paused."""
        native, loops = self._p.native, self._loops
        self._paused = False
        while (now := native.executed) < end and not self._paused:
            if loops.loop is not None:
                if now < self._next and not self._p.attention and not self._p.stale_code and loops.holds:
                    loops.skip(min(end, self._next))
                    continue
                loops.leave()
            if now >= self._next:
                self._happen()
                if self._execution.reset_asked:
                    self._execution.reset_asked = False
                    self.reset_chip()
            if self._p.held or self._p.locked_up:
                native.executed = min(end, self._next)
                continue
            if self._p.attention:
                self._consider()
                continue
            if self._p.sleeping:
                native.executed = min(end, self._next)
                continue
            limit = min(end, self._next, self._p.round_end)
            if self.debug is not None:
                if self.debug.before_instruction():
                    continue
                if self.debug.is_stepping:
                    limit = now + 1
            self.ran = True
            self._execution.execute(limit)
            if self._p.round_end < NEVER and native.executed >= self._p.round_end:
                self._p.round_end = NEVER
                loops.back_in_loop(another_round=False)
        if self.debug is not None:
            self.debug.at_turn_end()
        if self.ran:
            self._p.activity.turn_ended(native.pc, native.executed)
        if self.ran and loops.loop is None and native.executed >= end:
            loops.look()

    # --- exceptions

    def reconsider(self) -> None:
        """What may interrupt has changed: look before the next instruction."""
        self._p.attention = True
        hooks.core_stop_behind(self._p.native_pointer)
        self.replan()

    def active_exception(self) -> int:
        return self._p.cpu.read(SPECIAL.ipsr)

    def _consider(self) -> None:
        self._p.attention = False
        native = self._p.native
        exceptions = self._p.exceptions
        native.watch_masks = 0
        if self.scs.scr & _SEVONPEND and exceptions.pending & ~self._sevonpend_seen:
            self.set_event()
        self._sevonpend_seen = exceptions.pending
        if not exceptions.candidates:
            return
        primask, basepri, faultmask, _ipsr = self._p.read_masks()
        number = exceptions.takeable(exceptions.execution_priority(primask, basepri, faultmask))
        if number is not None:
            self._p.wake(exception_name(number))
            self._unit.take(number, native.pc)
            return
        # What PRIMASK alone holds back ends WFI and not WFE (B1.5.18, B1.5.19).
        if self._p.sleeping and not self._p.waits_for_event:
            pending = exceptions.wakes(basepri, faultmask)
            if pending is not None:
                self._p.wake(f"{exception_name(pending)}, masked")
        # Unprivileged code sees none of them, and changes none.
        if (primask or basepri or faultmask) and not self._p.is_unprivileged_mode:
            native.masks[:] = (primask, basepri, faultmask)
            native.watch_masks = 1

    # --- special instructions and pages

    def floating_point_changed(self) -> None:
        self._floating_point.watch()

    def traps_changed(self) -> None:
        scs = self.scs
        self._p.native.traps = (abi.TRAP_DIVISION if scs.ccr & _DIV_0_TRP else 0) | (
            abi.TRAP_UNALIGNED if scs.ccr & _UNALIGN_TRP else 0
        )
        self._marks.forget()
        self._p.end_slice()

    # --- protection

    def protection_changed(self) -> None:
        self._enforcer.stale = True
        self._p.end_slice()

    def keep_from(self, shut: tuple[Shut, ...], let_pass: Callable[[Shut], None]) -> None:
        """Memory that the chip keeps from this core from its next instruction on."""
        self._enforcer.keep_from(shut, let_pass)
        if self._enforcer.stale:
            self.leave_loop()
            self._p.end_slice()

    def report_error(self, address: int, what: str) -> None:
        """The instruction that runs does what a correct firmware does not."""
        pc = self._p.native.address
        self.emit(GuestError(pc, symbol_of(self._p.images, pc), address, what))

    # --- observed accesses

    def observe(self, observed: Iterable[Observed]) -> None:
        """Record accesses to these from the next instruction on."""
        self._p.access_log.observe(observed, self.memory)
        self._p.end_slice()

    def tell_tlb(self) -> None:
        """What is observed has changed: the TLB is filled anew."""
        self._enforcer.fill_tlb(self.memory, self.bus.pages(), self._p.stub)
        self._p.cpu.forget_pages()

    # --- the System Control Space's port

    def reset_requested(self) -> None:
        self._execution.reset_asked = True
        self._p.end_slice()

    def is_probing(self) -> bool:
        """Whether this is a trial that must have no effect: if so, it had one, and has failed."""
        return self._loops.spoil_trial()

    # --- a debugger

    def serves_breakpoint(self) -> bool:
        if self._p.memory.read(self._p.pc, 1)[0] == semihosting.IMMEDIATE:
            operation, argument = self._call_registers.read(self._p.cpu.handle)
            result = self.semihosting.call(operation, argument)
            self._call_registers.write(self._p.cpu.handle, (result, argument))
            self._p.pc += 2
            return True
        if self.debug is None:
            return False
        self.debug.trap()
        return True

    def attach_debugger(self, on_stop: Callable[[DebugStop], None] | None) -> None:
        """Stand still as asked from now on; None: no more."""
        if self.debug is not None:
            self.debug.close()
        self.debug = None if on_stop is None else CoreDebug(self._p, self._marks, self._loops, on_stop)

    def debug_registers(self) -> dict[str, int]:
        self.settle()
        return debug_registers(self._p)

    def write_register(self, name: str, value: int) -> None:
        """A debugger changes a register."""
        self.leave_loop()
        write_register(self._p, name, value)
        self.reconsider()

    # --- looking

    def waiting(self) -> Waiting | None:
        """The idle loop that the core is in, with what it reads."""
        loop = self._loops.loop
        if loop is None or not loop.holds():
            return None
        symbol = symbol_of(self._p.images, self._p.pc)
        return Waiting(self._p.pc, symbol, tuple(Poll(*read, self._name_at(read.address)) for read in loop.reads))

    def activity(self) -> Activity:
        """What it is doing, and since when."""
        return self._p.activity.activity(self._p.exceptions.active, lambda pc: symbol_of(self._p.images, pc))

    def _name_at(self, address: int) -> str:
        slot = self.bus.slot_at(address)
        return slot.name if slot is not None else ""

    @property
    def state(self) -> RunState:
        if self._p.held:
            return RunState.HELD
        if self._p.locked_up:
            return RunState.LOCKED_UP
        return RunState.SLEEPING if self._p.sleeping else RunState.RUNNING

    def registers(self) -> dict[str, int]:
        """As the contract names them."""
        self.settle()
        return self._p.registers()

    def backtrace(self) -> Backtrace:
        self.settle()
        return self._p.backtrace()

    def settle(self) -> None:
        """Execute what was skipped of an idle loop's current round."""
        self._loops.settle()

    def leave_loop(self) -> None:
        """Something that an idle loop depends on is about to change."""
        self._loops.leave()

    # --- snapshot

    def save(self) -> CoreSnapshot:
        """Everything but memory."""
        self.settle()
        return CoreSnapshot(
            context=self._p.cpu.uc.context_save(),
            executed=self._p.native.executed,
            exclusive=self._p.native.exclusive,
            limits=tuple(self._p.native.limits),
            exceptions=self._p.exceptions.save(),
            scs=self.scs.save(),
            inbox=self._inbox.save(),
            pc=self._p.pc,
            held=self._p.held,
            locked_up=self._p.locked_up,
            sleeping=self._p.sleeping,
            waits_for_event=self._p.waits_for_event,
            event=self._p.event,
            sevonpend_seen=self._sevonpend_seen,
            noted=frozenset(self._accesses.noted),
            unmodelled=frozenset(self._accesses.unmodelled_seen),
            unmodelled_addresses=frozenset(self._accesses.unmodelled_addresses),
            activity=self._p.activity.save(),
            traced=dict(self._unit.traced),
        )

    def load(self, saved: CoreSnapshot) -> None:
        """Go back to a snapshot."""
        self._p.cpu.uc.context_restore(saved.context)
        self._p.native.executed, self._p.native.exclusive = saved.executed, saved.exclusive
        self._p.native.limits[:] = saved.limits
        self._p.exceptions.restore(saved.exceptions)
        self.scs.restore(saved.scs)
        self._inbox.restore(saved.inbox)
        self._p.pc = saved.pc
        self._p.held, self._p.locked_up, self._p.sleeping = saved.held, saved.locked_up, saved.sleeping
        self._p.waits_for_event, self._p.event = saved.waits_for_event, saved.event
        self._sevonpend_seen = saved.sevonpend_seen
        self._p.activity.restore(saved.activity)
        self._accesses.noted = set(saved.noted)
        self._accesses.unmodelled_seen = set(saved.unmodelled)
        self._accesses.unmodelled_addresses = set(saved.unmodelled_addresses)
        self._unit.traced = Counter(saved.traced)
        self._p.native.watch_masks = 0
        self._enforcer.look_again()
        self._floating_point.watch()
        self.traps_changed()
        self._accesses.restored()
        self._loops.drop()
        self._p.attention = True
        self._p.stale_code = True
        self.replan()

    def close(self) -> None:
        self._loops.close()
        self._p.access_log.close()
        self._p.cpu.close()
