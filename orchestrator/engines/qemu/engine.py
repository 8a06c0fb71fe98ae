"""The engine contract on QEMU.

QEMU runs a step of several quanta at a time and stops at an exact moment of virtual time. What its log and the plugin's
lines report is kept in order and told after the step; a step is one quantum while something happens, and doubles while
nothing does. Time is that of QEMU's virtual clock: cores take turns in it, so each has its share of the clock's pace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from orchestrator.base.errors import CapabilityError, EngineError, UsageError
from orchestrator.base.interrupts import deferred_interrupt
from orchestrator.base.memory import Extent, Memory
from orchestrator.engines.common.backtrace import backtrace_of, symbol_of
from orchestrator.engines.common.child import EngineDiedError
from orchestrator.engines.common.conditions import Conditions
from orchestrator.engines.common.cortex_m import XPSR_THUMB
from orchestrator.engines.common.loading import loaded_images, refuse_outside
from orchestrator.engines.common.store_replay import Happening, Turns, View
from orchestrator.engines.contract import Capability, Condition, EngineOptions, Stop, StopReason
from orchestrator.engines.qemu.consoles import Console, Consoles
from orchestrator.engines.qemu.cores import Cores
from orchestrator.engines.qemu.faults import fault_at_handler, fault_handlers, lockup_registers, with_missing
from orchestrator.engines.qemu.link import Link
from orchestrator.engines.qemu.live_memory import LiveMemory
from orchestrator.engines.qemu.log_reader import LogReader, by_turn
from orchestrator.engines.qemu.machines import machine_of
from orchestrator.engines.qemu.process import find_qemu
from orchestrator.events import (
    Backtrace,
    CoreState,
    DataCache,
    Event,
    Fault,
    Listener,
    Lockup,
    Note,
    StateChanged,
    Waiting,
)
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["QemuEngine"]

_LONGEST_STEP = 500  # quanta: 10 ms; the cores' turns are the same whatever a step is
_MOST_SHIFT = 10  # QEMU's own limit
_INTERRUPTED = 2  # the signal by which QEMU's stub says that the machine was stopped
_APPROXIMATED = (
    "a lockup ends QEMU and the other core with it",
    "exceptions are seen at the nearest turn, to 0.1 ms, without the address that they return to",
    "PSP, PRIMASK, BASEPRI, FAULTMASK and CONTROL read as 0",
    "the cores share the pace of one clock: each runs half of it",
    "what a core that polls waits for is not known",
)


class QemuEngine:
    """Implements :class:`orchestrator.engines.contract.Engine`; EngineError where there is no QEMU or no such board."""

    name = "qemu"
    capabilities = frozenset({Capability.WATCH, Capability.FAULTS})

    @staticmethod
    def check(platform: Platform) -> None:
        """EngineError for a platform or a computer on which this engine does not run."""
        machine_of(platform)
        find_qemu()

    def __init__(self, platform: Platform, options: EngineOptions) -> None:
        machine = machine_of(platform)
        if options.quantum_ns <= 0:
            raise UsageError("a quantum is some virtual time", expected="more than 0 ns", found=options.quantum_ns)
        self.platform = platform
        self._quantum_ns = options.quantum_ns
        self._seed = options.seed
        self._listeners: list[Listener] = []
        self._breakpoints: set[int] = set()
        self._step = 1
        self._stop_asked = False
        self._cores = Cores(platform, machine.cores)
        self._reader = LogReader(platform, self._cores)
        shift = _shift(platform)
        self._link = Link(machine, shift, turn=max(1, self._quantum_ns // len(machine.cores) >> shift))
        self._link.control.set_probes(self._reader.probes.wanted)
        self._memory = LiveMemory(platform, self._cores.first, self._link)
        self._consoles = Consoles(platform, machine.uarts, self._link, options.console_size)
        self.turns = Turns(platform, self._memory.read)
        self._conditions = Conditions(
            platform, self.consoles, lambda core, extent: lambda: self._memory.read(core, extent)
        )

    @property
    def pid(self) -> int:
        """Of QEMU."""
        return self._link.process.pid

    # --- events

    def subscribe(self, listener: Listener) -> None:
        first = not self._listeners
        self._listeners.append(listener)
        if first:
            for what in _APPROXIMATED:
                self._say(Event(self.time_ns, "", Note(f"approximated on qemu: {what}")))
            if self._seed:
                self._say(Event(self.time_ns, "", Note("approximated on qemu: the seed moves nothing")))

    def _say(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _tell(self, handler: tuple[str, Mapping[str, int]] | None = None) -> bool:
        """Everything that the step brought; whether that was anything."""
        happenings = list(self._reader.happenings(self._link.log_lines(), self.time_ns))
        fault = None if handler is None else self._fault(*handler)
        if handler is not None and fault is not None:
            happenings.append(Happening(self._reader.clock_ns, handler[0], fault))
        told = False
        for event in self.turns.tell(by_turn(happenings), self.time_ns):
            told = True
            self._say(event)
        return told or self._look_for_reset()

    def _look_for_reset(self) -> bool:
        """Firmware asked for a reset (SYSRESETREQ): every core and device begins anew."""
        if self._link.is_dead or not self._link.was_reset():
            return False
        self._cores.reset()
        what = StateChanged(CoreState.RUNNING, "system reset requested by firmware")
        self._say(Event(self.time_ns, self._cores.first, what))
        return True

    def _fault(self, core: str, handler: Mapping[str, int]) -> Fault | None:
        gdb, number = self._link.gdb, self._cores.number(core)
        return fault_at_handler(
            handler,
            lambda address: gdb.word(number, address),
            self.memory(core),
            self._cores.images[core],
            self._reader.missed,
        )

    def _saw_lockup(self) -> bool:
        """QEMU has ended: whether because a core locked up, which is an event and no failure of ours."""
        self._link.time_ns = max(self.time_ns, self._link.control.now_ns)
        self._tell()
        fatal = self._reader.fatal
        if fatal is None or not fatal[0].startswith("Lockup"):
            return False
        what, dumped = fatal
        core, registers = self._reader.core, lockup_registers(dumped)
        self._cores.last_registers[core] = registers
        self._cores.locked_up.add(core)
        symbol = symbol_of(self._cores.images[core], registers["PC"])
        self._say(Event(self.time_ns, core, Lockup(registers["PC"], symbol, what, registers, self.backtrace(core))))
        return True

    # --- the contract: firmware

    def load(self, core: str, image: Image, vector_table: int) -> None:
        number = self._cores.number(core)
        refuse_outside(self.platform, core, image)
        gdb = self._link.gdb
        with self._link.talking("load"):
            for segment in image.segments:
                gdb.write(number, segment.load_address, segment.data)
            self._cores.images[core] = loaded_images(image, self._cores.images[core])
            self._cores.vector_tables[core] = vector_table
            for address in fault_handlers(image, vector_table) - self._breakpoints:
                gdb.insert_breakpoint(address)
                self._breakpoints.add(address)
        self._host_wrote()

    def start(self, core: str) -> None:
        self._cores.number(core)
        if not self._cores.held[core]:
            return
        if core not in self._cores.stopped:
            self._lacks("release of a core by anything but firmware")  # gdb's stores reach no device
        self._cores.stopped.discard(core)
        self._cores.held[core] = False
        self._say(Event(self.time_ns, core, StateChanged(CoreState.RUNNING, "started")))

    def hold(self, core: str) -> None:
        self._cores.number(core)
        if self._cores.held[core]:
            return
        if self._reader.is_started:
            self._lacks("hold of a core that has run")
        self._cores.stopped.add(core)
        self._cores.held[core] = True
        self._say(Event(self.time_ns, core, StateChanged(CoreState.HELD, "held")))

    def reset(self, core: str) -> None:
        self._cores.number(core)
        self._lacks("reset of one core")

    def _lacks(self, what: str) -> NoReturn:
        raise CapabilityError(f"no {what}", where="engine qemu", advice="the unicorn engine has it")

    def _power_on(self) -> None:
        """The first core takes its vector table now that it is loaded; from one elsewhere, stack and entry by hand.

        VTOR stays as it is then: gdb's stores reach no device, and start-up code sets it.
        """
        self._reader.is_started = True
        gdb, first = self._link.gdb, self._cores.first
        self._link.reset()
        table = self._cores.vector_tables[first]
        if table != self.platform.core(first).boot_address:
            stack, entry = (gdb.word(0, table + 4 * number) for number in range(2))
            gdb.write_registers(0, {"SP": stack & ~3, "PC": entry & ~1, "XPSR": XPSR_THUMB if entry & 1 else 0})
        self._link.log_lines()

    # --- the contract: time

    @property
    def time_ns(self) -> int:
        return self._link.time_ns

    def run(self, timeout_ns: int, until: Condition | None = None) -> Stop:
        """Ends at the first end of a step at which the condition is met: a quantum, unless all was quiet before."""
        met = self._conditions.met(until)
        quantum = self._quantum_ns
        end = -(-(self.time_ns + timeout_ns) // quantum)
        self._stop_asked = False
        with deferred_interrupt(self.stop):
            if not self._reader.is_started and not self._link.is_dead:
                with self._link.talking("power on"):
                    self._power_on()
            while (now := self.time_ns // quantum) < end:
                if not self._cores.is_any_alive:
                    return Stop(StopReason.DEAD, self.time_ns)
                outputs = self._consoles.size
                told = self._advance((now + min(self._step, end - now)) * quantum)
                quiet = not told and self._consoles.size == outputs
                self._step = min(self._step * 2, _LONGEST_STEP) if quiet else 1
                if self._cores.locked_up:
                    return Stop(StopReason.DEAD, self.time_ns)
                if self._stop_asked:
                    return Stop(StopReason.REQUESTED, self.time_ns)
                if met is not None and met():
                    return Stop(StopReason.CONDITION, self.time_ns)
        return Stop(StopReason.TIMEOUT, self.time_ns)

    def _advance(self, end_ns: int) -> bool:
        """Run to a moment; whether anything happened."""
        told = False
        try:
            with self._link.talking("run"):
                if self._consoles.are_fed:
                    self._step = 1
                    self._consoles.feed()
                while self.time_ns < end_ns:
                    told = self._run_to(end_ns) or told
        except EngineDiedError:
            if not self._saw_lockup():
                raise
            return True
        return told

    def _run_to(self, end_ns: int) -> bool:
        link, control = self._link, self._link.control
        control.set_deadline(end_ns)
        executed = control.executed
        signal_number, stopped = link.gdb.run(self._cores.awake)
        registers = link.gdb.registers(stopped)  # after this the plugin has said what time it is
        link.time_ns = min(max(control.now_ns, link.time_ns), end_ns)
        self._memory.stopped(ran=control.executed != executed)
        self._consoles.drain()
        if signal_number == _INTERRUPTED:
            return self._tell()
        told = self._tell((self._cores.names[stopped], registers))
        link.step_over(stopped, registers["PC"])
        self._memory.stopped(ran=True)
        return told

    def stop(self) -> None:
        self._stop_asked = True

    # --- the contract: looking

    @property
    def consoles(self) -> Mapping[str, Console]:
        return self._consoles.by_name

    def state(self, core: str) -> CoreState:
        number = self._cores.number(core)
        if core in self._cores.locked_up:
            return CoreState.LOCKED_UP
        if self._cores.held[core]:
            return CoreState.HELD
        if self._link.is_dead:
            return CoreState.RUNNING
        with self._link.talking("state"):
            return CoreState.SLEEPING if self._link.gdb.is_halted(number) else CoreState.RUNNING

    def memory(self, core: str) -> Memory:
        self._cores.number(core)
        return View(self.platform, self.turns, core, self.host_writes)

    def host_writes(self, core: str, address: int, data: bytes) -> None:
        """Store for the host: no watch is to see it."""
        with self._link.talking("write"):
            self._link.gdb.write(self._cores.number(core), address, data)
        self._host_wrote()

    def _host_wrote(self) -> None:
        self._memory.host_wrote()
        self.turns.host_wrote()

    def registers(self, core: str) -> Mapping[str, int]:
        """Those that QEMU's stub has not are 0."""
        number = self._cores.number(core)
        if self._link.is_dead and core in self._cores.last_registers:
            return self._cores.last_registers[core]
        with self._link.talking("registers"):
            return with_missing(self._link.gdb.registers(number))

    def backtrace(self, core: str) -> Backtrace:
        return backtrace_of(self.registers(core), self.memory(core), self._cores.images[core])

    def waiting(self, core: str) -> Waiting | None:
        """Nothing here can tell."""
        self._cores.number(core)
        return None

    def data_cache(self, core: str) -> DataCache | None:
        """Nothing here can tell."""
        self._cores.number(core)
        return None

    def instructions(self, core: str) -> int:
        return self._link.control.executed[self._cores.number(core)]

    def watch(self, name: str, core: str, extent: Extent) -> None:
        self._cores.number(core)
        if not self.turns.watch(name, core, extent):
            raise EngineError("what is to be watched does not lie in one piece of memory", where=core, found=extent)
        self._memory.watch(name, core, extent)

    def unwatch(self, name: str) -> None:
        self.turns.unwatch(name)
        self._memory.unwatch(name)

    def snapshot(self) -> NoReturn:
        self._lacks("snapshot")

    def restore(self, snapshot: object) -> NoReturn:
        self._lacks("snapshot")

    def close(self) -> None:
        self._link.close()
        self._listeners.clear()


def _shift(platform: Platform) -> int:
    """Each core has its share of a clock whose instructions take ``1 << shift`` ns: the nearest to its MIPS."""
    pace_ns = 1000 / sum(core.mips for core in platform.cores)
    return min(range(_MOST_SHIFT + 1), key=lambda shift: abs((1 << shift) / pace_ns - 1))
