"""One Cortex-M core on Unicorn: runs instructions, keeps time, sleeps, skips what it does for ever.

Time is counted in instructions, or the time of one each while the core sleeps; ``mips`` to a virtual microsecond.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent
from orchestrator.engines.common.backtrace import symbol_of
from orchestrator.engines.common.cortex_m import exception_name
from orchestrator.engines.unicorn.binding import RegisterBatch
from orchestrator.engines.unicorn.bus import SCS, Bus, Slot
from orchestrator.engines.unicorn.cache.model import CacheModel
from orchestrator.engines.unicorn.cpu.access_log import Observed
from orchestrator.engines.unicorn.cpu.accesses import SCS_BASE, Accesses, AccessesSnapshot, ScsDevice
from orchestrator.engines.unicorn.cpu.code_marks import CodeMarks
from orchestrator.engines.unicorn.cpu.counting import InstructionCounts
from orchestrator.engines.unicorn.cpu.debug import Debugger
from orchestrator.engines.unicorn.cpu.exceptions import ExceptionUnit
from orchestrator.engines.unicorn.cpu.execution import Execution
from orchestrator.engines.unicorn.cpu.features import features_of
from orchestrator.engines.unicorn.cpu.floating_point import FloatingPoint
from orchestrator.engines.unicorn.cpu.frames import FrameMemory
from orchestrator.engines.unicorn.cpu.idle_loops import PROGRAM_STATE, IdleLoop
from orchestrator.engines.unicorn.cpu.inbox import Due
from orchestrator.engines.unicorn.cpu.instructions import Instructions
from orchestrator.engines.unicorn.cpu.loop_skipper import LoopSkipper
from orchestrator.engines.unicorn.cpu.mpu import Shut
from orchestrator.engines.unicorn.cpu.mpu_enforcer import MpuEnforcer
from orchestrator.engines.unicorn.cpu.nvic import ExceptionState
from orchestrator.engines.unicorn.cpu.ports import Ports
from orchestrator.engines.unicorn.cpu.processor import Processor, ProcessorSnapshot, Told
from orchestrator.engines.unicorn.cpu.reset import STUB, ResetUnit
from orchestrator.engines.unicorn.cpu.run_loop import RunLoop
from orchestrator.engines.unicorn.cpu.sampler import Sampler
from orchestrator.engines.unicorn.cpu.scs import ScsSnapshot, SystemControlSpace
from orchestrator.engines.unicorn.cpu.signals import Signal
from orchestrator.engines.unicorn.cpu.timeline import Timeline
from orchestrator.engines.unicorn.memory import BoardMemory, CoreMemory
from orchestrator.engines.unicorn.native import abi
from orchestrator.events import (
    Activity,
    Backtrace,
    Detail,
    ExceptionReturn,
    ExceptionTaken,
    GuestError,
    Poll,
    Sleep,
    Waiting,
)
from orchestrator.events import CoreState as RunState
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Core as CoreModel

__all__ = ["Core", "CoreHost", "CoreSnapshot"]

# A private page with what follows lies in one of these: executable by the memory map, and memory on no chip known here.
_STUB_PAGES = range(0x9FFF_FC00, 0x6000_0000, -0x400)
_SLEEPDEEP = 4  # SCR
_SENT, _RETURNED_FROM = abi.SENT, abi.RETURNED_FROM


@dataclass(frozen=True, slots=True)
class CoreSnapshot:
    """A core at one moment, but for memory."""

    processor: ProcessorSnapshot
    scs: ScsSnapshot
    due: tuple[tuple[Due, ...], int]
    accesses: AccessesSnapshot
    traced: Mapping[int, int]  # faults with a backtrace, by PC


class CoreHost(Protocol):
    """What a core needs of the board around it."""

    def emit(self, core: Core, detail: Detail) -> None: ...

    def say(self, core: str, time_ns: int, detail: Detail) -> None:
        """The same, of a moment that may have passed."""
        ...

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

    def after_sleep_changed(self, core: Core) -> None:
        """It has."""
        ...

    def turn_of(self, core: Core) -> AbstractContextManager[None]:
        """What happens inside is done by this core."""
        ...


class _OnBoard:
    """Implements :class:`orchestrator.engines.unicorn.cpu.ports.BoardPort` for one core of a board."""

    def __init__(self, core: Core, host: CoreHost) -> None:
        self.emit = partial(host.emit, core)
        self.send_event = partial(host.send_event, core)
        self.reset_chip = partial(host.system_reset, core)
        self.device_written = partial(host.device_written, core)
        self.interrupt_taken = partial(host.interrupt_taken, core)
        self.alarm = partial(host.alarm, core)
        self.acting = partial(host.turn_of, core)


class Core:
    """A core with its private peripherals: makes its parts, and is what the board sees of them.

    In the hands of the board: ``timeline`` takes what is on its way here, ``resets`` holds, releases and resets,
    ``debugger`` stands outside. ``run_to`` and ``set_line`` are the run loop's: called too often for another frame.
    """

    bus: Bus

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
        count_blocks: bool,
        native_exceptions: bool,
    ) -> None:
        self.model = model
        self.name, self.mips = model.name, model.mips
        self._p = processor = Processor(model.name, model.model, model.mips, interrupts, priority_mask)
        self.native, self._taken = processor.native, processor.taken_state
        self.access_log, self.order_log = processor.access_log, processor.order_log
        processor.before_sleep_changes = lambda: host.before_sleep_changes(self)
        processor.tell_untold = self.tell_untold
        processor.tell_by(self._tell_now)
        self._host = host
        self._native_exceptions = native_exceptions
        processor.after_sleep_changed = lambda: host.after_sleep_changed(self)
        processor.held = model.held
        processor.counts_blocks = processor.counts_blocks and count_blocks
        self._ports = ports = Ports(_OnBoard(self, host), processor, skip_idle_loops=skip_idle_loops)
        features = features_of(model.model, fpu=model.fpu)
        self.scs = scs = SystemControlSpace(ports, processor.exceptions, features, mpu_regions)
        marks = CodeMarks(processor.native)
        self._enforcer = enforcer = MpuEnforcer(processor, scs.mpu, marks)
        self._floating_point = floating_point = FloatingPoint(processor, scs)
        self.timeline = timeline = Timeline(processor, scs.systick, systick_hz, ports)
        self._unit = unit = ExceptionUnit(processor, scs, floating_point, enforcer, ports)
        self._loops = loops = LoopSkipper(processor, model.model, enforcer, ports)
        self._accesses = accesses = Accesses(processor, scs, unit, loops, ports)
        enforcer.slow = self._guarded_read, self._guarded_write
        self.counts = counts = InstructionCounts(processor)
        self._instructions = instructions = Instructions(
            processor, unit, floating_point, enforcer, marks, counts, ports
        )
        self._execution = execution = Execution(processor, unit, enforcer, loops, accesses, instructions, marks, ports)
        self.debugger = debugger = Debugger(processor, marks, loops, ports)
        self.resets = ResetUnit(
            processor,
            scs,
            unit,
            floating_point,
            enforcer,
            marks,
            loops,
            execution,
            timeline,
            ports,
            is_held=model.held,
        )
        self._all_registers = RegisterBatch(*PROGRAM_STATE)
        self._run_loop = RunLoop(processor, scs, unit, loops, execution, timeline, debugger)
        self.run_to, self.set_line = self._run_loop.run_to, self._run_loop.set_line
        self.take_seat, self.leave_seat = self._run_loop.take_seat, self._run_loop.leave_seat
        self.update_from_seat, self.go_on = self._run_loop.update_from_seat, self._run_loop.go_on
        self.known_loops = loops.known_loops
        self.before_call: Callable[[], None] = lambda: None  # native code calls a device, or stores what it cannot
        ports.scs, ports.marks, ports.enforcer, ports.floating_point = scs, marks, enforcer, floating_point
        ports.loops, ports.accesses, ports.execution, ports.timeline = loops, accesses, execution, timeline
        ports.debugger, ports.resets, ports.run_loop = debugger, self.resets, self._run_loop

    def attach(self, board: BoardMemory, slots: list[Slot]) -> None:
        """Connect memory and devices."""
        self._instructions.board = board
        memory = board.map_core(self.name, self._p.cpu, self._p.forget_translations)
        scs = Slot(SCS, Extent(SCS_BASE, 0x1000), ScsDevice(self.scs))
        self.bus = self._ports.bus = self._accesses.bus = Bus(self.name, [*slots, scs], self._accesses)
        self.bus.map_into(self._p.cpu)
        self._p.cpu.on_protected_write(self._p.native, self._protected_write)
        taken = [*(each.extent for each in slots), *(each.extent for each in memory.mappings())]
        pages = (Extent(page, abi.PAGE_SIZE) for page in _STUB_PAGES)
        stub = next(page.start for page in pages if not any(page.overlaps(each) for each in taken))
        self._p.cpu.map_stub(stub, STUB)
        self._p.connect(memory, stub)
        self._p.access_log.stale = self._p.counts_blocks  # only native code that fills the TLB takes a block back
        self._unit.connect(secure_fp=self.model.model == "cortex-m33")
        if self._native_exceptions:
            self._unit.frames.let_native_code_use()

    # What native code cannot do itself.

    def _before_call(self) -> None:
        self.before_call()
        if not self._taken.told_count:
            return
        try:
            self.tell_untold()
        except BaseException as error:  # a callback of C code must not unwind through it
            self._accesses.device_failed(error)

    def _after_call(self) -> None:
        if self._run_loop.is_paused or self._execution.has_work or self._p.held or self._p.locked_up:
            self._p.native.comes_back = 1

    def _guarded_read(self, address: int, size: int) -> int:
        self._before_call()
        value = self.bus.read(address, size)
        self._after_call()
        return value

    def _guarded_write(self, address: int, size: int, value: int) -> None:
        self._before_call()
        self.bus.write(address, size, value)
        self._after_call()

    def _protected_write(self, address: int, data: bytes) -> None:
        self._before_call()
        self._accesses.store_to_protected_page(address, data)
        self._after_call()

    def keep_untold(self) -> None:
        """Somebody listens from now on."""
        self._p.keep_untold()

    def announce(self, interrupts: Iterable[int]) -> None:
        """The board is to be told of these when they are taken."""
        self._p.announce(interrupts, self._interrupt_taken)

    def _tell_now(self) -> None:
        self._before_call()
        self._after_call()

    def _interrupt_taken(self, interrupt: int) -> None:
        self._before_call()
        try:
            self._host.interrupt_taken(self, interrupt)
        except BaseException as error:  # a callback of C code must not unwind through it
            self._accesses.device_failed(error)
        self._after_call()

    def tell_untold(self) -> None:
        """Tell what native code has taken, returned from, and kept of what was sent."""
        if not self._taken.told_count:
            return
        sent: list[Told] = []
        for told in self._p.untold():
            if sent and (told.kind != _SENT or told.return_address != sent[0].return_address):
                self._hand_over(sent)
                sent = []
            if told.kind == _SENT:
                sent.append(told)
            else:
                self._host.say(self.name, told.executed * 1000 // self.mips, _detail(told))
        if sent:
            self._hand_over(sent)

    def _hand_over(self, sent: Sequence[Told]) -> None:
        """Bytes to one taker."""
        take = self._p.takers[sent[0].return_address]
        take(bytes(each.number for each in sent), [each.executed * 1000 // self.mips for each in sent])

    # --- what others see of it

    @property
    def images(self) -> list[Image]:
        return self._p.images

    @property
    def memory(self) -> CoreMemory:
        return self._p.memory

    @property
    def exceptions(self) -> ExceptionState:
        return self._p.exceptions

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
    def stands(self) -> bool:
        """Held or locked up: it executes nothing, and takes no exception."""
        return self._p.held or self._p.locked_up

    @property
    def in_deep_sleep(self) -> bool:
        """Asleep with SCR.SLEEPDEEP (DDI0403E B3.2.7): the chip may stop its clock."""
        return self._p.sleeping and not self._p.held and self.sleeps_deeply

    @property
    def sleeps_deeply(self) -> bool:
        """When it sleeps: SCR.SLEEPDEEP."""
        return bool(self._p.exceptions.native.scr & _SLEEPDEEP)

    @property
    def state(self) -> RunState:
        if self._p.held:
            return RunState.HELD
        if self._p.locked_up:
            return RunState.LOCKED_UP
        return RunState.SLEEPING if self._p.sleeping else RunState.RUNNING

    # --- turns

    @property
    def now(self) -> int:
        """The instruction count since power-on, sleep and skipped loops counted as executed."""
        return self._p.now

    @property
    def time_ns(self) -> int:
        return self._p.time_ns

    @property
    def idle(self) -> bool:
        """Nothing happens here by itself before ``timeline.next_count``."""
        return self._run_loop.idle

    @property
    def ran(self) -> bool:
        """In this turn: at least one instruction."""
        return self._run_loop.ran

    def begin_turn(self) -> None:
        """A quantum begins."""
        self._run_loop.ran = self._p.disturbed = False

    def pause(self) -> None:
        """``run_to`` ends behind the instruction that is executed."""
        self._run_loop.pause()

    # --- what comes from outside

    def post(self, count: int, signal: Signal) -> None:
        """Something reaches this core at an instruction count."""
        self.timeline.post(count, signal)

    def set_event(self) -> None:
        """Set the event register."""
        self._p.set_event()

    def reset_requested(self) -> None:
        """The chip is reset behind the instruction that is executed."""
        self._ports.reset_requested()

    def keep_from(self, shut: tuple[Shut, ...], let_pass: Callable[[Shut], None]) -> None:
        """Memory that the chip keeps from this core from its next instruction on."""
        self._enforcer.keep_from(shut, let_pass)
        if self._enforcer.stale:
            self.leave_loop()
            self._p.end_slice()

    def observe(self, observed: Sequence[Observed]) -> None:
        """Record accesses to these, which do not overlap, from the next instruction on."""
        self._p.access_log.observe(observed, self.memory)
        self._p.end_slice()

    def model_caches(self, data: CacheModel, instructions: CacheModel) -> None:
        """What its caches hold is known from its next instruction on."""
        self.scs.model_caches(data, instructions)
        self.caching_changed()

    def caching_changed(self) -> None:
        """Registers of the data cache may be others than they were."""
        self._ports.caching_changed()

    def connect_caches(self, models: Sequence[CacheModel], frames: FrameMemory) -> None:
        """Caches of the board, of which this core may be past; exception frames go by ``frames``."""
        self._p.caches = tuple(models)
        self._p.access_log.stale = True
        self._unit.frames.memory = frames

    # --- what a device says of the instruction that runs

    def is_probing(self) -> bool:
        """Whether this is a trial that must have no effect: if so, it had one, and has failed."""
        return self._loops.spoil_trial()

    def report_unmodelled(self, peripheral: str, text: str) -> None:
        """A device does not model the access that is under way."""
        self._accesses.report_unmodelled(peripheral, text)

    def report_error(self, address: int, what: str) -> None:
        """It does what a correct firmware does not."""
        pc = self._p.native.address
        self._ports.emit(GuestError(pc, symbol_of(self._p.images, pc), address, what))

    @property
    def storing_pc(self) -> int:
        """The instruction whose access a device serves."""
        return int(self._p.native.address)

    # --- looking

    def settle(self) -> None:
        """Execute what was skipped of an idle loop's current round."""
        self._loops.settle()

    def leave_loop(self) -> None:
        """Something that an idle loop depends on is about to change."""
        self._loops.leave()

    def registers(self) -> dict[str, int]:
        """As the contract names them."""
        self.settle()
        return self._p.registers()

    def backtrace(self) -> Backtrace:
        self.settle()
        return self._p.backtrace()

    def waiting(self) -> Waiting | None:
        """The idle loop that the core is in, with what it reads."""
        loop = self._loops.loop
        if loop is None or not loop.holds():
            return None
        symbol = symbol_of(self._p.images, self._p.pc)
        return Waiting(self._p.pc, symbol, tuple(Poll(*read, self._name_at(read.address)) for read in loop.reads))

    def _name_at(self, address: int) -> str:
        slot = self.bus.slot_at(address)
        return slot.name if slot is not None else ""

    def activity(self) -> Activity:
        """What it is doing, and since when."""
        return self._p.activity.activity(self._p.exceptions.active, lambda pc: symbol_of(self._p.images, pc))

    def last_sleep(self) -> Sleep | None:
        """Or the one that it is in."""
        return self._p.activity.last_sleep(lambda pc: symbol_of(self._p.images, pc))

    # --- where it spends its time

    def sample(self, every: int, on_sample: Callable[[int, RunState, Backtrace], None]) -> Sampler:
        """Tell where it is each time that it has counted so many instructions more."""
        self.timeline.sampler = Sampler(self._p, every, on_sample, self.backtrace)
        self.timeline.replan()
        return self.timeline.sampler

    # --- snapshot

    def save(self) -> CoreSnapshot:
        """Everything but memory."""
        self.settle()
        return CoreSnapshot(
            self._p.save(),
            self.scs.save(),
            self.timeline.save(),
            self._accesses.save(),
            dict(self._unit.record.traced),
        )

    def load(self, saved: CoreSnapshot) -> None:
        """Go back to a snapshot."""
        self._p.restore(saved.processor)
        self.scs.restore(saved.scs)
        self.timeline.restore(saved.due)
        self._accesses.restore(saved.accesses)
        self._unit.record.traced = Counter(saved.traced)
        self._enforcer.look_again()
        self._floating_point.watch()
        self._ports.traps_changed()
        self._loops.drop()
        self.timeline.replan()

    # --- whether it does the same again

    @property
    def work(self) -> int:
        """How often what it executes has come back to Python since power-on."""
        return int(self._p.native.slices + self._p.native.served) + self.bus.count

    @property
    def taken(self) -> Counter[int]:
        """Exceptions since power-on, by number."""
        return self._p.taken

    def registers_now(self) -> tuple[int, list[int]]:
        """PC and all that the program has; as of the last settled moment, in an idle loop."""
        return self._p.pc, self._all_registers.read(self._p.cpu.handle)

    def recurring_state(self) -> object:
        """What, with its registers and memory, decides what it does next; times as distances from now."""
        p = self._p
        scs = self.scs.save()
        return (
            (p.held, p.locked_up, p.sleeping, p.waits_for_event, p.event, p.attention, p.round_end),
            max(0, p.delayed_until - p.now),
            (p.native.exclusive, tuple(p.native.limits), self.bus.unsteady),
            bytes(p.exceptions.bytes),
            (scs.words, scs.storage, scs.caches, scs.mpu, self.scs.vtor_reset),
            self.timeline.recurring_state(),
            p.now if p.native.exclusive else 0,  # the monitor's address does not show
        )

    def close(self) -> None:
        self._loops.close()
        self._p.close()


def _detail(told: Told) -> Detail:
    name = exception_name(told.number)
    if told.kind == _RETURNED_FROM:
        return ExceptionReturn(told.number, name)
    return ExceptionTaken(told.number, name, told.return_address)
