"""The default engine: the cores of a platform on Unicorn, in turns of virtual time.

In each quantum every core runs its share, in the order of the platform description. What one core does to another
reaches it at the moment it was done, or at the start of its turn where that moment has passed for it; and before
anything that the first one stores afterwards. When nobody can do anything, time jumps to the next thing that happens.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.engines.common.conditions import Conditions
from orchestrator.engines.common.cores import core_named
from orchestrator.engines.common.loading import loaded_images, refuse_outside
from orchestrator.engines.common.mailbox_monitor import MailboxMonitor
from orchestrator.engines.contract import (
    Capability,
    Condition,
    DebugStop,
    EngineOptions,
    Player,
    Stop,
    StopReason,
    Watchpoint,
)
from orchestrator.engines.unicorn.bus import Device, Slot, Waking
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.cpu.debug import CoreDebug
from orchestrator.engines.unicorn.cpu.exceptions import NEVER
from orchestrator.engines.unicorn.devices.registry import connect_devices, create_device, create_tag
from orchestrator.engines.unicorn.devices.uart import UartConsole
from orchestrator.engines.unicorn.hosted import Played
from orchestrator.engines.unicorn.memory import BoardMemory, CoreMemory
from orchestrator.errors import EngineError, TranslationError, UsageError
from orchestrator.events import (
    SYSTEM_RESET,
    Backtrace,
    Changed,
    CoreState,
    Detail,
    Event,
    Listener,
    Note,
    StateChanged,
    Waiting,
)
from orchestrator.formats.elf import Image
from orchestrator.memory import Extent
from orchestrator.platform.model import Platform

__all__ = ["UnicornEngine"]

_MOST_TRACED = 8  # resets whose backtrace is taken
_MOST_SKEW_NS = 1_000_000  # start skew of a core when a seed is given


@dataclass(slots=True)
class _Watch:
    name: str
    span: memoryview
    seen: bytes


@dataclass(frozen=True, slots=True)
class _BoardSnapshot:
    owner: object
    time_ns: int
    quantum: int
    memory: dict[str, bytes]
    cores: tuple[Mapping[str, object], ...]
    devices: dict[str, object]
    mailboxes: tuple[tuple[int, int], ...]
    played: tuple[tuple[bool, bool, int | None], ...]
    lines: dict[tuple[str, int], bool]
    alarms: dict[str, int]
    consoles: dict[str, bytes]


class HostMemory:
    """A core's view for the host: what the host stores is no core's doing."""

    def __init__(self, memory: CoreMemory, written: UnicornEngine) -> None:
        self.view = memory.view
        self._memory = memory
        self._engine = written

    def read(self, address: int, size: int) -> bytes:
        return self._memory.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        self._engine.settle()
        with self._engine.unwatched():
            self._memory.write(address, data)


class UnicornEngine:
    """One board; implements :class:`orchestrator.engines.contract.Engine`."""

    name = "unicorn"
    capabilities = frozenset(Capability) - {Capability.MONITOR}

    def __init__(self, platform: Platform, options: EngineOptions, *, skip_idle_loops: bool = True) -> None:
        self.platform = platform
        self._options = options
        self._quantum_ns = options.quantum_ns
        if self._quantum_ns <= 0:
            raise UsageError("a quantum is some virtual time", expected="more than 0 ns", found=self._quantum_ns)
        self._listeners: list[Listener] = []
        self._watches: dict[str, _Watch] = {}
        self._quantum = 0  # number of whole quanta since power-on
        self._stop_asked = False
        self._current: Core | None = None
        self._lines: dict[tuple[str, int], bool] = {}
        self._memory = BoardMemory(platform)
        nvics = {peripheral.name: peripheral for peripheral in platform.peripherals}
        self._cores: list[Core] = []
        for model in platform.cores:
            nvic = nvics[model.nvic].attributes if model.nvic in nvics else {}
            regions = model.attributes.get("numberOfMPURegions")
            self._cores.append(
                Core(
                    model,
                    self,
                    interrupts=model.interrupts,
                    priority_mask=_integer(nvic.get("priorityMask"), 0xFF),
                    systick_hz=_integer(nvic.get("systickFrequency"), model.mips * 1_000_000),
                    mpu_regions=regions if isinstance(regions, int) else None,
                    skip_idle_loops=skip_idle_loops,
                )
            )
        self._by_name = {core.name: core for core in self._cores}
        self._by_nvic = {core.model.nvic: core for core in self._cores}
        self._consoles: dict[str, UartConsole] = {}
        self._devices: dict[str, Device] = {}
        self._pollers: dict[str, list[Callable[[], None]]] = {}
        self._sleep_watchers: list[str] = []
        self._alarms: dict[str, int] = {}  # of devices: when the next one comes
        self._reset_reason = ""  # of a reset that a device has asked for
        self._create_devices()
        self._consoles |= {core.said.name: core.said for core in self._cores}
        for core in self._cores:
            core.attach(self._memory, list(self._slots_of(core)))
        # As the line's core sees it: a mailbox may show each core registers of its own.
        self._mailboxes = MailboxMonitor(platform, lambda core, name, offset: self._devices[name].read(offset, 4, core))
        self._conditions = Conditions(platform, self._consoles, self._bytes_at)
        self._played: dict[str, Played] = {}
        self._started = False
        self._resets = 0  # by firmware
        for device in self._devices.values():
            device.reset()

    # --- devices

    def _create_devices(self) -> None:
        nvics = {core.model.nvic for core in self._cores}
        for peripheral in self.platform.peripherals:
            if peripheral.name in nvics:
                continue  # part of its core
            device, console = create_device(self, peripheral)
            self._devices[peripheral.name] = device
            if console is not None:
                self._consoles[peripheral.name] = console
            if getattr(device, "looks_at_sleep", False):
                self._sleep_watchers.append(peripheral.name)
        for name, extent, value in self.platform.tags:
            self._devices[f"tag {name} {extent}"] = create_tag(self, name, value)
        for connections in self.platform.connections:
            connect_devices(self, connections, self._devices)

    def _slots_of(self, core: Core) -> Iterator[Slot]:
        for peripheral in self.platform.peripherals:
            if peripheral.name not in self._devices:
                continue
            for at in peripheral.registrations:
                if at.seen_by(core.name):
                    size = at.size or peripheral.size or _WINDOW
                    yield self._slot(peripheral.name, peripheral.name, Extent(at.address, size))
        for name, extent, _value in self.platform.tags:
            yield self._slot(f"tag {name} {extent}", name, extent)

    def _slot(self, key: str, name: str, extent: Extent) -> Slot:
        return Slot(name, extent, self._devices[key], self._pollers.setdefault(key, []))

    @contextlib.contextmanager
    def turn_of(self, core: Core) -> Iterator[None]:
        """What happens inside is done by this core."""
        before, self._current = self._current, core
        try:
            yield
        finally:
            self._current = before

    def _is_trial(self) -> bool:
        return self._current is not None and self._current.is_probing()

    def set_interrupt(self, nvic: str, line: int, level: bool) -> None:
        """A device drives an input of a core's NVIC."""
        if self._is_trial():
            return
        if self._lines.get((nvic, line), False) == level:
            return
        self._lines[(nvic, line)] = level
        core = self._by_nvic[nvic]
        self._reach(core, "line", line, level)

    def _reach(self, core: Core, what: str, number: int = 0, level: bool = False) -> None:
        """Something reaches a core: at once if it is running or nobody is, else at the sender's moment."""
        played = self._played.get(core.name)
        if played is not None:
            if what == "release" and played.held:
                played.held, played.asked = False, True
                self._say(core.name, self.time_ns, StateChanged(CoreState.RUNNING, "released"))
            return  # a player looks at its mailbox itself
        slot = core.slot
        if self._current is not None and self._current is not core:
            moment = core.slot_at(self._current.time_ns)
            if moment > slot:
                slot = moment
                self._current.pause()  # it is there before anything that the sender does next: _advance
        if self._current is core and what == "line":
            core.set_line(number, level)
        else:
            core.post(slot, what, number, level)

    def is_held(self, core: str) -> bool:
        played = self._played.get(core)
        return self._by_name[core].held if played is None else played.held

    def is_in_deep_sleep(self, nvic: str) -> bool:
        return self._by_nvic[nvic].in_deep_sleep

    def set_event(self, name: str) -> None:
        """A device sets a core's event register."""
        if not self._is_trial():
            self._reach(self._by_name[name], "event")

    def before_sleep_changes(self, core: Core) -> None:
        """Loops that poll a device which looks at sleep are left while they still see what it was."""
        for name in self._sleep_watchers:
            for leave in tuple(self._pollers.get(name, ())):
                leave()

    def hold_core(self, name: str, held: bool, why: str) -> None:
        if self._is_trial():
            return
        core = self._by_name[name]
        if name in self._played:
            if held:
                self._played[name].held = True
            else:
                self._reach(core, "release")
        elif held:
            core.hold(why)
        elif core.held:
            self._reach(core, "release")

    def vector_table(self, core: str) -> int:
        return self._by_name[core].scs.vtor_reset

    def set_vector_table(self, core: str, address: int) -> None:
        """Where a core boots from its next reset or release on."""
        if not self._is_trial():
            self._by_name[core].scs.vtor_reset = address

    def cycles(self, core: str, frequency_hz: int) -> int:
        """Ticks of a clock since power-on, at the very instruction that this core executes."""
        each = self._by_name[core]
        return each.slot * frequency_hz // (each.mips * 1_000_000)

    def view(self, core: str) -> CoreMemory:
        """Memory as a core addresses it; what a device stores there is the doing of the core whose turn it is."""
        return self._by_name[core].memory

    def device_at(self, address: int) -> tuple[Device, int] | None:
        """The device that any core finds at an address, and the offset into it."""
        for peripheral in self.platform.peripherals:
            for at in peripheral.registrations:
                if address in Extent(at.address, at.size or peripheral.size or _WINDOW):
                    device = self._devices.get(peripheral.name)
                    return None if device is None else (device, address - at.address)
        return None

    def ticks(self, frequency_hz: int) -> int:
        """Ticks of a clock since power-on, at the instruction that is executed, or now if none is."""
        if self._current is not None:
            return self.cycles(self._current.name, frequency_hz)
        return self.time_ns * frequency_hz // 1_000_000_000

    def wake_device(self, name: str, tick: int, frequency_hz: int) -> None:
        """Wake a device at a tick of its clock, or at an earlier one for which it has asked."""
        if self._is_trial():
            return
        core = self._current or self._cores[0]
        slot = -(-tick * core.mips * 1_000_000 // frequency_hz)
        time_ns = slot * 1000 // core.mips
        asked = self._alarms.get(name)
        if asked is None or time_ns < asked:
            self._alarms[name] = time_ns
            core.post_alarm(slot, list(self._devices).index(name))

    def alarm(self, core: Core, number: int, slot: int) -> None:
        name = list(self._devices)[number]
        if self._alarms.get(name) == slot * 1000 // core.mips:
            del self._alarms[name]
        device = self._devices[name]
        assert isinstance(device, Waking)
        device.wake()

    def reset_chip(self, peripheral: str, why: str) -> None:
        """A device resets the chip after the instruction that is executed."""
        core = self._current or self._cores[0]
        self._reset_reason = f"{SYSTEM_RESET} by {peripheral}: {why}"
        core.reset_requested()

    def device_log(self, peripheral: str, level: str, text: str) -> None:
        """A line of a peripheral script; from a warning on it is worth reading in a report."""
        if self._is_trial():
            return
        if level in ("warning", "error"):
            core = self._current
            self._say(core.name if core else "", core.time_ns if core else self.time_ns, Note(f"{peripheral}: {text}"))

    def unmodelled(self, peripheral: str, text: str) -> None:
        """A device was touched where it has no model; the access under way says the rest."""
        if self._current is not None:
            self._current.report_unmodelled(peripheral, text)

    # --- the cores' host

    def emit(self, core: Core, detail: Detail) -> None:
        if self._listeners:
            self._say(core.name, core.time_ns, detail)

    def _say(self, core: str, time_ns: int, detail: Detail) -> None:
        event = Event(time_ns, core, detail)
        for listener in self._listeners:
            listener(event)

    def send_event(self, core: Core) -> None:
        for each in self._cores:
            if each is core:
                each.set_event()
            else:
                self._reach(each, "event")

    def system_reset(self, core: Core) -> None:
        """SYSRESETREQ resets the chip: every core and device; memory keeps its bytes."""
        why = self._reset_reason or f"{SYSTEM_RESET} requested by firmware"
        self._resets += 1
        trace = core.backtrace() if self._resets <= _MOST_TRACED else ()
        self.emit(core, StateChanged(CoreState.RUNNING, why, trace))
        self._reset_reason = ""
        self._reset_all()

    def _reset_all(self) -> None:
        self._lines.clear()
        for core in self._cores:
            core.release_lines()
        for device in self._devices.values():
            device.reset()
        for core in self._cores:
            core.reset()
        for played in self._played.values():
            played.reset()
        for core in self._cores:
            if not core.held:
                core.start()

    def device_written(self, core: Core, slot: Slot) -> None:
        if slot.name in self._mailboxes.mailboxes:
            for detail in self._mailboxes.stored(slot.name, core.name):
                self._say(core.name, core.time_ns, detail)

    def interrupt_taken(self, core: Core, interrupt: int) -> None:
        for taken in self._mailboxes.taken(core.name, interrupt):
            self.emit(core, taken)

    # --- the contract: firmware

    def load(self, core: str, image: Image, vector_table: int) -> None:
        target = self._core(core)
        refuse_outside(self.platform, core, image)
        memory = self.memory(core)
        for segment in image.segments:
            if segment.data:
                memory.write(segment.load_address, segment.data)
        target.images[:] = loaded_images(image, target.images)
        target.scs.vtor_reset = target.scs.vtor = vector_table

    def start(self, core: str) -> None:
        each = self._core(core)
        if self._current is None and core not in self._played:
            each.release("started")
        else:  # by a player, in its turn
            self._reach(each, "release")

    def hold(self, core: str) -> None:
        self._core(core).hold("held")
        if core in self._played:
            self._played[core].held = True

    def reset(self, core: str) -> None:
        each = self._core(core)
        each.reset()
        if core in self._played:
            self._played[core].reset()
        self._say(core, self.time_ns, StateChanged(each.state, "reset"))
        if not each.held:
            each.start()

    def play(self, core: str, player: Player) -> Played:
        if self._started:
            raise UsageError("a core is played from power-on", where=core)
        each = self._core(core)
        played = self._played[core] = Played(each, player, self.device_written, self._by_name)
        return played

    def _is_interrupted(self, core: str) -> bool:
        """Whether a mailbox drives an interrupt of this core."""
        nvic = self._by_name[core].model.nvic
        return any(self._lines.get((nvic, interrupt), False) for interrupt in self._mailboxes.interrupts(core))

    def _let_play(self, played: Played, time_ns: int) -> bool:
        """A played core's turn, if it is due; whether it was."""
        core = played.core
        interrupted = self._is_interrupted(core.name)
        if not played.is_due(time_ns, interrupted=interrupted):
            return False
        if interrupted:
            for interrupt in self._mailboxes.interrupts(core.name):
                if self._lines.get((core.model.nvic, interrupt), False):
                    self.interrupt_taken(core, interrupt)
        played.turn(time_ns)
        return True

    # --- the contract: time

    @property
    def time_ns(self) -> int:
        return self._quantum * self._quantum_ns

    def run(self, timeout_ns: int, until: Condition | None = None) -> Stop:
        """Ends at the first quantum boundary at or after the timeout, so that pieces of a run equal the whole."""
        if not self._started:
            self._power_on()
        is_met = self._conditions.met(until)
        end = -(-(self.time_ns + timeout_ns) // self._quantum_ns)
        self._stop_asked = False
        while self._quantum < end:
            self._turn()
            if self._stop_asked:
                return Stop(StopReason.REQUESTED, self.time_ns)
            if is_met is not None and is_met():
                return Stop(StopReason.CONDITION, self.time_ns)
            if any(core.ran and not core.idle for core in self._cores):
                continue
            if self._is_dead():
                return Stop(StopReason.DEAD, self.time_ns)
            if all(core.idle for core in self._cores):
                self._jump(end)
        return Stop(StopReason.TIMEOUT, self.time_ns)

    def _is_dead(self) -> bool:
        """Every core is held or locked up, and nothing will change that."""
        return (
            all(core.held or core.locked_up for core in self._cores)
            and not any(core.next_slot < NEVER for core in self._cores)
            and len(self._played) < len(self._cores)
            and not any(each.has_plans() for each in self._played.values())
        )

    def _power_on(self) -> None:
        self._started = True
        skew = random.Random(self._options.seed)
        for core in self._cores:
            if core.held:
                continue
            if not self._options.seed:
                core.start()
                continue
            core.held = True
            core.post(core.slot_at(skew.randrange(_MOST_SKEW_NS)), "release")

    def _turn(self) -> None:
        """One quantum: each core its share, in order."""
        self._quantum += 1
        boundary = self.time_ns
        for core in self._cores:
            core.ran = core.disturbed = False
        try:
            for index, core in enumerate(self._cores):
                self._advance(index, boundary * core.mips // 1000)
        finally:
            self._current = None

    def _advance(self, index: int, end: int) -> None:
        """One core to a slot of this quantum.

        When it reaches one behind it, it pauses until that one has come as far: who sees what a core stores after it
        rang has been rung.
        """
        core = self._cores[index]
        native = core.native
        while native.executed < end:
            self._current = core
            core.run_to(end)
            played = self._played.get(core.name) if self._played else None
            acted = core.ran if played is None else self._let_play(played, self.time_ns)
            if acted and self._watches:
                self._compare_watches(core)
            if native.executed < end:
                for behind, other in enumerate(self._cores[index + 1 :], index + 1):
                    if other.name not in self._played:
                        self._advance(behind, min(other.slot_at(core.time_ns), self.time_ns * other.mips // 1000))

    def _jump(self, end: int) -> None:
        """Nobody can do anything: go on in the quantum in which something happens."""
        quantum = end
        for core in self._cores:
            if core.next_slot < NEVER:
                quantum = min(quantum, core.next_slot * 1000 // core.mips // self._quantum_ns)
        for played in self._played.values():
            if played.is_due(0, interrupted=self._is_interrupted(played.core.name)):
                return
            if played.at_ns is not None and not played.held:
                quantum = min(quantum, max(self._quantum, -(-played.at_ns // self._quantum_ns) - 1))
        if quantum > self._quantum:
            self._quantum = quantum
            for core in self._cores:
                core.run_to(quantum * self._quantum_ns * core.mips // 1000)

    def stop(self) -> None:
        self._stop_asked = True

    def _bytes_at(self, core: str, extent: Extent) -> Callable[[], memoryview]:
        span = self._by_name[core].memory.span(extent.start, extent.size)
        assert span is not None
        return lambda: span

    # --- the contract: looking

    @property
    def consoles(self) -> Mapping[str, UartConsole]:
        return self._consoles

    def _core(self, name: str) -> Core:
        return self._by_name[core_named(self.platform, name).name]

    def state(self, core: str) -> CoreState:
        if core in self._played:
            return CoreState.HELD if self._played[core].held else CoreState.SLEEPING
        return self._core(core).state

    def memory(self, core: str) -> HostMemory:
        return HostMemory(self._core(core).memory, self)

    def registers(self, core: str) -> Mapping[str, int]:
        return self._core(core).registers()

    def backtrace(self, core: str) -> Backtrace:
        return () if core in self._played else self._core(core).backtrace()

    def waiting(self, core: str) -> Waiting | None:
        return self._core(core).waiting()

    def instructions(self, core: str) -> int:
        return 0 if core in self._played else self._core(core).slot

    def settle(self) -> None:
        """Leave idle loops as if they had been executed, before the host changes something."""
        for core in self._cores:
            core.leave_loop()

    def watch(self, name: str, core: str, extent: Extent) -> None:
        span = self._core(core).memory.span(extent.start, extent.size)
        if span is None:
            raise EngineError("what is to be watched does not lie in one piece of memory", where=core, found=extent)
        self._watches[name] = _Watch(name, span, bytes(span))

    def unwatch(self, name: str) -> None:
        self._watches.pop(name, None)

    @contextlib.contextmanager
    def unwatched(self) -> Iterator[None]:
        """What changes in here is the host's doing; what a core changed before, in its turn, is still to be seen."""
        before = [(watch, bytes(watch.span)) for watch in self._watches.values()]
        yield
        for watch, old in before:
            new = bytes(watch.span)
            if new == old:
                continue
            if old == watch.seen:
                watch.seen = new
            else:
                both = zip(watch.seen, old, new, strict=True)
                watch.seen = bytes(seen if a == b else b for seen, a, b in both)

    def _compare_watches(self, core: Core) -> None:
        # Not the views themselves: comparing those takes as long as fifty copies.
        changed = [watch for watch in self._watches.values() if bytes(watch.span) != watch.seen]
        for watch in changed:
            watch.seen = bytes(watch.span)
        for watch in changed:
            self.emit(core, Changed(watch.name))

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    # --- the contract: a debugger

    def debug(self, core: str, on_stop: Callable[[DebugStop], None] | None) -> None:
        self._core(core).attach_debugger(on_stop)

    def _debug_of(self, core: str) -> CoreDebug:
        debug = self._core(core).debug
        if debug is None:
            raise UsageError("no debugger is attached", where=core)
        return debug

    def set_breakpoints(self, core: str, addresses: frozenset[int]) -> None:
        self._debug_of(core).set_breakpoints(addresses)

    def set_watchpoints(self, core: str, watchpoints: tuple[Watchpoint, ...]) -> None:
        self._debug_of(core).set_watchpoints(watchpoints)

    def step(self, core: str, *, wanted: bool) -> None:
        if not self._started:
            self._power_on()
        debug = self._debug_of(core)
        debug.step() if wanted else debug.cancel_step()

    def debug_registers(self, core: str) -> Mapping[str, int]:
        return self._powered(core).debug_registers()

    def write_register(self, core: str, name: str, value: int) -> None:
        if name not in self.debug_registers(core):
            raise UsageError("no such register", where=core, found=name)
        self._core(core).write_register(name, value)

    def peek(self, core: str, address: int, size: int) -> bytes:
        each = self._powered(core)
        each.settle()
        data = bytearray()
        with self._by_host():
            while len(data) < size:
                at, left = address + len(data), size - len(data)
                mapping = each.memory.mapping_at(at)
                if mapping is not None:
                    data += each.memory.read(at, min(left, mapping.extent.end - at))
                    continue
                slot, width = self._register_at(each, at, left)
                value = slot.device.read(at - slot.extent.start, width, None)
                data += value.to_bytes(width, "little")
        return bytes(data)

    def poke(self, core: str, address: int, data: bytes) -> None:
        each = self._powered(core)
        self.settle()
        done = 0
        while done < len(data):
            at, left = address + done, len(data) - done
            mapping = each.memory.mapping_at(at)
            if mapping is not None:
                width = min(left, mapping.extent.end - at)
                with self.unwatched():
                    each.memory.write(at, data[done : done + width])
            else:
                slot, width = self._register_at(each, at, left)
                slot.touched()
                with self._by_host():
                    value = int.from_bytes(data[done : done + width], "little")
                    slot.device.write(at - slot.extent.start, width, value, core)
                    self.device_written(each, slot)
            done += width

    def _register_at(self, core: Core, address: int, left: int) -> tuple[Slot, int]:
        """The device at an address, and how many bytes one access of it has."""
        slot = core.bus.slot_at(address)
        if slot is None:
            raise TranslationError("nothing answers", where=f"{core.name} at {address:#010x}")
        return slot, next(width for width in (4, 2, 1) if address % width == 0 and width <= left)

    def _powered(self, core: str) -> Core:
        """A core that has begun at its vector table, if it is to."""
        if not self._started:
            self._power_on()
        return self._core(core)

    @contextlib.contextmanager
    def _by_host(self) -> Iterator[None]:
        """What happens inside is no core's doing."""
        before, self._current = self._current, None
        try:
            yield
        finally:
            self._current = before

    # --- the contract: snapshots

    def snapshot(self) -> _BoardSnapshot:
        self._refuse_in_a_turn("a snapshot")
        if not self._started:
            self._power_on()
        self.settle()
        return _BoardSnapshot(
            self,
            self.time_ns,
            self._quantum,
            self._memory.save(),
            tuple(core.save() for core in self._cores),
            {name: device.snapshot() for name, device in self._devices.items()},
            self._mailboxes.save(),
            tuple((each.held, each.asked, each.at_ns) for each in self._played.values()),
            dict(self._lines),
            dict(self._alarms),
            {name: console.save() for name, console in self._consoles.items()},
        )

    def restore(self, snapshot: object) -> None:
        if not isinstance(snapshot, _BoardSnapshot) or snapshot.owner is not self:
            raise UsageError("a snapshot can be restored only on the board it was taken from")
        self._refuse_in_a_turn("a restore")
        self._started = True
        self._quantum = snapshot.quantum
        self._memory.restore(snapshot.memory)
        for core, saved in zip(self._cores, snapshot.cores, strict=True):
            core.load(saved)
        for name, device in self._devices.items():
            device.restore(snapshot.devices[name])
        self._mailboxes.restore(snapshot.mailboxes)
        for played, (held, asked, at_ns) in zip(self._played.values(), snapshot.played, strict=True):
            played.held, played.asked, played.at_ns = held, asked, at_ns
        self._lines = dict(snapshot.lines)
        self._alarms = dict(snapshot.alarms)
        for name, console in self._consoles.items():
            console.load(snapshot.consoles[name])
        for watch in self._watches.values():
            watch.seen = bytes(watch.span)

    def _refuse_in_a_turn(self, what: str) -> None:
        if self._current is not None:
            raise UsageError(f"{what} in the middle of a core's turn", where=self._current.name, advice="stop the run")

    def close(self) -> None:
        self._listeners.clear()
        self._watches.clear()
        for core in self._cores:
            core.close()
        self._cores.clear()
        self._memory.close()


_WINDOW = 0x400  # bytes of a peripheral whose size nobody gives


def _integer(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
