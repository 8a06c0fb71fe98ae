"""The engine contract on QEMU.

QEMU runs a step of several quanta at a time and stops at an exact moment of virtual time. What its log and the plugin's
lines report is kept in order and told after the step; a step is one quantum while something happens, and doubles while
nothing does. Time is that of QEMU's virtual clock: cores take turns in it, so each has its share of the clock's pace.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import NoReturn

from orchestrator.base.errors import CapabilityError, EngineError, UsageError
from orchestrator.base.memory import Extent, Memory
from orchestrator.engines.common.backtrace import backtrace_of, symbol_of
from orchestrator.engines.common.child import EngineDiedError, deferred_interrupt
from orchestrator.engines.common.conditions import Conditions
from orchestrator.engines.common.cores import core_named
from orchestrator.engines.common.cortex_m import FIRST_INTERRUPT, HARD_FAULT, SECURE_FAULT, XPSR_THUMB, exception_name
from orchestrator.engines.common.faults import FaultStatus, describe_fault, interrupted_registers, read_fault_status
from orchestrator.engines.common.loading import loaded_images, refuse_outside
from orchestrator.engines.common.mailbox_monitor import MailboxMonitor
from orchestrator.engines.common.store_replay import Happening, Store, Turns, View
from orchestrator.engines.contract import (
    Capability,
    Condition,
    EngineOptions,
    Stop,
    StopReason,
)
from orchestrator.engines.qemu import log
from orchestrator.engines.qemu.control import MOST_COPIED, MOST_SPANS
from orchestrator.engines.qemu.errors import ClosedError, SilentError
from orchestrator.engines.qemu.gdb import GdbClient
from orchestrator.engines.qemu.machines import machine_of
from orchestrator.engines.qemu.mailbox_probes import MailboxProbes
from orchestrator.engines.qemu.process import QemuProcess, find_qemu
from orchestrator.engines.qemu.qmp import QmpClient
from orchestrator.events import (
    Backtrace,
    CoreState,
    DataCache,
    Detail,
    Event,
    ExceptionReturn,
    ExceptionTaken,
    Fault,
    GuestError,
    Listener,
    Lockup,
    Note,
    StateChanged,
    UnmodelledAccess,
    Waiting,
)
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["QemuEngine"]

_LONGEST_STEP = 500  # quanta: 10 ms; the cores' turns are the same whatever a step is
_PAGE = 1024
_MOST_SHIFT = 10  # QEMU's own limit
_INTERRUPTED = 2  # the signal by which QEMU's stub says that the machine was stopped
_NEVER = 1 << 62
_NOT_THERE = ("MSP", "PSP", "PRIMASK", "BASEPRI", "FAULTMASK", "CONTROL")  # not given by QEMU 7.2's stub
_UART_STATE, _UART_CTRL, _UART_FULL, _UART_ENABLED = 0x04, 0x08, 2, 2  # CMSDK UART (DDI0479D 4.3)
_MOST_LOOKS = 1000
_APPROXIMATED = (
    "a lockup ends QEMU and the other core with it",
    "exceptions are seen at the nearest turn, to 0.1 ms, without the address that they return to",
    "PSP, PRIMASK, BASEPRI, FAULTMASK and CONTROL read as 0",
    "the cores share the pace of one clock: each runs half of it",
    "what a core that polls waits for is not known",
)


class _Console:
    def __init__(self, name: str, base: int | None) -> None:
        self.name = name
        self.base = base  # None: no UART that takes input
        self.received = bytearray()
        self.waiting = bytearray()  # towards the guest

    @property
    def output(self) -> bytes:
        return bytes(self.received)

    def write(self, data: bytes) -> None:
        self.waiting += data


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
        self._machine = machine
        self._quantum_ns = options.quantum_ns
        self._seed = options.seed
        self._cores = {name: number for number, name in enumerate(machine.cores)}
        self._listeners: list[Listener] = []
        self._images: dict[str, list[Image]] = {core.name: [] for core in platform.cores}
        self._vector_tables = {core.name: core.boot_address for core in platform.cores}
        self._held = {core.name: core.held for core in platform.cores}
        self._stopped: set[str] = set()  # by the host, before it ever ran
        self._locked_up: set[str] = set()
        self._last_registers: dict[str, Mapping[str, int]] = {}
        self._breakpoints: set[int] = set()
        self._extents: dict[str, list[Extent]] = {}
        self._pages: dict[tuple[str, int], bytes] = {}
        # Pages that the plugin copies at each stop, by where the copies are: now, and from the next stop on.
        self._copies: dict[tuple[str, int], int] = {}
        self._next_copies: dict[tuple[str, int], int] = {}
        self._death: EngineError | None = None
        self._saved: dict[str, bytes] | None = None  # regions, after QEMU has aborted
        self._last_lines: list[str] = []  # of QEMU's log, when it had ended
        self._started = False
        self._time_ns = 0
        self._step = 1
        self._stop_asked = False
        self._clock_core = ""  # of the last line of the log
        self._clock_ns = 0
        self._raised = ""
        self._probes = MailboxProbes(platform, machine.cores)
        self._mailboxes = MailboxMonitor(platform, self._probes.word)
        self._missed: log.Missed | None = None  # an access at which there is nothing
        self._fatal: tuple[str, dict[str, int]] | None = None
        self._consoles = {name: _Console(name, _base(platform, name)) for name in machine.uarts}
        self.turns = Turns(platform, self._read_live)
        self._conditions = Conditions(
            platform, self._consoles, lambda core, extent: lambda: self._read_live(core, extent)
        )
        self._power_up()

    def _power_up(self) -> None:
        machine, platform, shift = self._machine, self.platform, _shift(self.platform)
        self._process = QemuProcess(find_qemu(), machine, shift)
        self._control = self._process.control
        self._control.set_turns(max(1, self._quantum_ns // len(machine.cores) >> shift), shift)
        try:
            self._gdb = GdbClient(self._process.socket("gdb"), len(machine.cores))
            self._qmp = QmpClient(self._process.socket("qmp"))
            self._control.set_probes(self._probes.wanted)
        except (ClosedError, SilentError):
            self._process.wait_for_end()
            words = " | ".join(self._process.last_words()) or "no word"
            how = self._process.how_it_ended()
            self._process.close()
            raise EngineError(f"QEMU {how}", where="engine qemu", found=words) from None
        except BaseException:
            self._process.close()
            raise
        self._control.set_dumps([region.extents(machine.cores[0])[0] for region in platform.regions])

    @property
    def pid(self) -> int:
        """Of QEMU."""
        return self._process.pid

    # --- the conversation

    @contextlib.contextmanager
    def _talking(self, doing: str) -> Iterator[None]:
        """What QEMU's silence or death means."""
        if self._death is not None:
            raise self._death.with_traceback(None)
        try:
            yield
        except ClosedError:
            raise self._dies(f"QEMU {self._end_of_process()} ({doing})") from None
        except SilentError:
            raise self._dies(f"QEMU does not answer ({doing})") from None

    def _end_of_process(self) -> str:
        self._process.wait_for_end()
        return self._process.how_it_ended()

    def _dies(self, what: str) -> EngineError:
        if self._death is None:
            words = self._process.last_words()
            where = f"engine qemu (process {self._process.pid})"
            self._death = EngineDiedError(what, where=where, time_ns=self._time_ns, log=words)
            self._drain()
            self._last_lines = self._process.log_lines()
            self._keep_dump()
            self._process.close()
        return self._death

    def _keep_dump(self) -> None:
        """Memory as the plugin saved it."""
        with contextlib.suppress(OSError):
            data = self._process.dump.read_bytes()
            self._saved = {}
            for region in self.platform.regions:
                self._saved[region.name], data = data[: region.size], data[region.size :]

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
        happenings = list(self._happenings(self._process.log_lines() if self._death is None else self._last_lines))
        fault = None if handler is None else self._fault(*handler)
        if handler is not None and fault is not None:
            happenings.append(Happening(self._clock_ns, handler[0], fault))
        told = False
        for event in self.turns.tell(_by_turn(happenings), self._time_ns):
            told = True
            self._say(event)
        return told or self._look_for_reset()

    def _look_for_reset(self) -> bool:
        """Firmware asked for a reset (SYSRESETREQ): every core and device begins anew."""
        if self._death is not None:
            return False
        self._qmp.look()
        seen = any(each.get("event") == "RESET" for each in self._qmp.events)
        self._qmp.events.clear()
        if seen:
            for core in self.platform.cores:
                self._held[core.name] = core.held or core.name in self._stopped
            what = StateChanged(CoreState.RUNNING, "system reset requested by firmware")
            self._say(Event(self._time_ns, self._machine.cores[0], what))
        return seen

    def _happenings(self, lines: list[str]) -> Iterator[Happening]:
        for line in lines:
            entry = log.parse_line(line)
            if isinstance(entry, log.Turned | log.Stored | log.Probed):
                self._clock_core = self._machine.cores[entry.core]
                self._clock_ns = min(max(self._clock_ns, entry.time_ns), self._time_ns)
            for core, what in self._details(entry):
                yield Happening(self._clock_ns, core, what)

    def _details(self, entry: log.Entry | None) -> Iterator[tuple[str, Store | Detail]]:
        core = self._raised or self._clock_core
        if isinstance(entry, log.Stored):
            yield self._clock_core, Store(entry.address, entry.size, entry.value)
        elif isinstance(entry, log.Probed):
            mailbox = self._probes.probed(entry.probe, entry.value)
            if mailbox is not None:
                yield from ((self._clock_core, what) for what in self._mailboxes.stored(mailbox, self._clock_core))
        elif isinstance(entry, log.Raised):
            self._raised = self._machine.cores[entry.core]
        elif isinstance(entry, log.Taken):
            yield from ((core, what) for what in self._taken(core, entry.number))
        elif isinstance(entry, log.Completed):
            yield core, ExceptionReturn(entry.number, exception_name(entry.number))
        elif isinstance(entry, log.Reset):
            yield from self._left_reset(entry)
        elif isinstance(entry, log.Missed):
            self._missed = entry
        elif isinstance(entry, log.Fatal):
            self._fatal = (entry.what, {})
        elif isinstance(entry, log.Registers) and self._fatal is not None:
            self._fatal[1].update(entry.values)
        elif isinstance(entry, log.Unimplemented):
            base = next((extent.start for tag, extent, _ in self.platform.tags if tag == entry.device), 0)
            what = f"{entry.device}: no model"
            yield (
                "",
                UnmodelledAccess(0, None, base + entry.offset, entry.size, entry.value, entry.device, what),
            )
        elif isinstance(entry, log.Said) and self._started:
            yield "", GuestError(0, None, 0, entry.text)

    def _taken(self, core: str, number: int) -> Iterator[Detail]:
        yield ExceptionTaken(number, exception_name(number), 0)
        yield from self._mailboxes.taken(core, number - FIRST_INTERRUPT)

    def _left_reset(self, entry: log.Reset) -> Iterator[tuple[str, Detail]]:
        """Only a core that waited leaves reset while the machine runs."""
        if not self._started:
            return
        for core, held in self._held.items():
            if held:
                self._held[core] = False
                yield core, StateChanged(CoreState.RUNNING, "released by firmware")
                return

    # --- the contract: firmware

    def load(self, core: str, image: Image, vector_table: int) -> None:
        number = self._number(core)
        refuse_outside(self.platform, core, image)
        with self._talking("load"):
            for segment in image.segments:
                self._gdb.write(number, segment.load_address, segment.data)
            self._images[core] = loaded_images(image, self._images[core])
            self._vector_tables[core] = vector_table
            for address in _fault_handlers(image, vector_table) - self._breakpoints:
                self._gdb.insert_breakpoint(address)
                self._breakpoints.add(address)
        self._host_wrote()

    def start(self, core: str) -> None:
        self._number(core)
        if not self._held[core]:
            return
        if core not in self._stopped:
            self._lacks("release of a core by anything but firmware")  # gdb's stores reach no device
        self._stopped.discard(core)
        self._held[core] = False
        self._say(Event(self.time_ns, core, StateChanged(CoreState.RUNNING, "started")))

    def hold(self, core: str) -> None:
        self._number(core)
        if self._held[core]:
            return
        if self._started:
            self._lacks("hold of a core that has run")
        self._stopped.add(core)
        self._held[core] = True
        self._say(Event(self.time_ns, core, StateChanged(CoreState.HELD, "held")))

    def reset(self, core: str) -> None:
        self._number(core)
        self._lacks("reset of one core")

    def _lacks(self, what: str) -> NoReturn:
        raise CapabilityError(f"no {what}", where="engine qemu", advice="the unicorn engine has it")

    def _power_on(self) -> None:
        """The first core takes its vector table now that it is loaded; from one elsewhere, stack and entry by hand.

        VTOR stays as it is then: gdb's stores reach no device, and start-up code sets it.
        """
        self._started = True
        self._qmp.execute("system_reset")
        self._qmp.wait_for("RESET")  # the answer comes before it
        self._qmp.events.clear()
        first = self._machine.cores[0]
        table = self._vector_tables[first]
        if table != self.platform.core(first).boot_address:
            stack, entry = (self._gdb.word(0, table + 4 * number) for number in range(2))
            self._gdb.write_registers(0, {"SP": stack & ~3, "PC": entry & ~1, "XPSR": XPSR_THUMB if entry & 1 else 0})
        self._process.log_lines()

    # --- the contract: time

    @property
    def time_ns(self) -> int:
        return self._time_ns

    def run(self, timeout_ns: int, until: Condition | None = None) -> Stop:
        """Ends at the first end of a step at which the condition is met: a quantum, unless all was quiet before."""
        met = self._conditions.met(until)
        quantum = self._quantum_ns
        end = -(-(self._time_ns + timeout_ns) // quantum)
        self._stop_asked = False
        with deferred_interrupt(self.stop):
            if not self._started and self._death is None:
                with self._talking("power on"):
                    self._power_on()
            while (now := self._time_ns // quantum) < end:
                if all(self._held[name] or name in self._locked_up for name in self._cores):
                    return Stop(StopReason.DEAD, self._time_ns)
                outputs = self._output_size()
                told = self._advance((now + min(self._step, end - now)) * quantum)
                quiet = not told and self._output_size() == outputs
                self._step = min(self._step * 2, _LONGEST_STEP) if quiet else 1
                if self._locked_up:
                    return Stop(StopReason.DEAD, self._time_ns)
                if self._stop_asked:
                    return Stop(StopReason.REQUESTED, self._time_ns)
                if met is not None and met():
                    return Stop(StopReason.CONDITION, self._time_ns)
        return Stop(StopReason.TIMEOUT, self._time_ns)

    def _advance(self, end_ns: int) -> bool:
        """Run to a moment; whether anything happened."""
        told = False
        try:
            with self._talking("run"):
                self._feed()
                while self._time_ns < end_ns:
                    told = self._run_to(end_ns) or told
        except EngineDiedError:
            if not self._saw_lockup():
                raise
            return True
        return told

    def _run_to(self, end_ns: int) -> bool:
        self._control.set_deadline(end_ns)
        executed = self._control.executed
        awake = [self._cores[name] for name in self._cores if name not in self._stopped]
        signal_number, stopped = self._gdb.run(None if len(awake) == len(self._cores) else awake)
        registers = self._gdb.registers(stopped)  # after this the plugin has said what time it is
        self._time_ns = min(max(self._control.now_ns, self._time_ns), end_ns)
        if self._control.executed != executed:
            self._pages.clear()
        self._copies = self._next_copies
        self._drain()
        if signal_number == _INTERRUPTED:
            return self._tell()
        core = self._machine.cores[stopped]
        told = self._tell((core, registers))
        self._step_over(stopped, registers["PC"])
        return told

    def _step_over(self, core: int, address: int) -> None:
        self._gdb.remove_breakpoint(address)
        self._control.set_deadline(_NEVER)
        self._gdb.step(core)
        self._gdb.insert_breakpoint(address)
        self._pages.clear()
        self._copies = self._next_copies

    def _saw_lockup(self) -> bool:
        """QEMU has ended: whether because a core locked up, which is an event and no failure of ours."""
        self._time_ns = max(self._time_ns, self._control.now_ns)
        self._tell()
        if self._fatal is None or not self._fatal[0].startswith("Lockup"):
            return False
        what, found = self._fatal
        names = {f"R{number:02}": name for number, name in enumerate((*(f"R{n}" for n in range(13)), "SP", "LR", "PC"))}
        registers = dict.fromkeys(_NOT_THERE, 0) | {names.get(name, name): value for name, value in found.items()}
        registers = {name: registers.get(name, 0) for name in (*names.values(), "XPSR", *_NOT_THERE)}
        registers["MSP"] = registers["SP"]
        core = self._raised or self._clock_core
        self._last_registers[core] = registers
        self._locked_up.add(core)
        symbol = symbol_of(self._images[core], registers["PC"])
        lockup = Lockup(registers["PC"], symbol, what, registers, self.backtrace(core))
        self._say(Event(self._time_ns, core, lockup))
        return True

    def _fault(self, core: str, handler: Mapping[str, int]) -> Fault | None:
        """At the first instruction of a handler: what led there; None for an exception that is no fault."""
        number = handler["XPSR"] & 0x1FF
        if not HARD_FAULT <= number <= SECURE_FAULT:
            return None
        index = self._cores[core]
        status = read_fault_status(lambda address: self._gdb.word(index, address))
        what = self._in_words(status) or exception_name(number)
        registers = interrupted_registers(
            {**dict.fromkeys(_NOT_THERE, 0), **handler, "MSP": handler["SP"]}, self.memory(core)
        )
        return describe_fault(
            number, status, what, registers, self.memory(core), self._images[core], escalated=status.is_escalated
        )

    def _in_words(self, status: FaultStatus) -> str:
        missed = self._missed
        if missed is not None and missed.address == status.address:
            verb = "reads" if missed.reads else "writes"
            return f"{verb} {missed.size} bytes at {missed.address:#010x}, where this chip has nothing"
        return str(status)

    def stop(self) -> None:
        self._stop_asked = True

    # --- consoles

    @property
    def consoles(self) -> Mapping[str, _Console]:
        return self._consoles

    def _output_size(self) -> int:
        return sum(len(console.received) for console in self._consoles.values())

    def _drain(self) -> None:
        """What the guest has sent; it is in the socket by the time that the machine stands still."""
        for name, console in self._consoles.items():
            connection = self._process.socket(name)
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                while data := connection.recv(1 << 16):
                    console.received += data

    def _feed(self) -> None:
        """A byte to each UART that is empty and listens; it is there before the guest runs on."""
        for name, console in self._consoles.items():
            if not console.waiting or console.base is None:
                continue
            self._step = 1
            if not self._gdb.word(0, console.base + _UART_CTRL) & _UART_ENABLED:
                continue
            if self._gdb.word(0, console.base + _UART_STATE) & _UART_FULL:
                continue
            connection = self._process.socket(name)
            connection.setblocking(True)
            connection.sendall(console.waiting[:1])
            del console.waiting[:1]
            for _ in range(_MOST_LOOKS):
                if self._gdb.word(0, console.base + _UART_STATE) & _UART_FULL:
                    break

    # --- the contract: looking

    def _number(self, core: str) -> int:
        return self._cores[core_named(self.platform, core).name]

    def state(self, core: str) -> CoreState:
        number = self._number(core)
        if core in self._locked_up:
            return CoreState.LOCKED_UP
        if self._held[core]:
            return CoreState.HELD
        if self._death is not None:
            return CoreState.RUNNING
        with self._talking("state"):
            return CoreState.SLEEPING if self._gdb.is_halted(number) else CoreState.RUNNING

    def memory(self, core: str) -> Memory:
        self._number(core)
        return View(self.platform, self.turns, core, self.host_writes)

    def _read_live(self, core: str, extent: Extent) -> bytes:
        """An extent of one region; pages hold until the guest runs again."""
        found = self.platform.region_at(core, extent.start)
        assert found is not None
        region, offset = found
        if self._saved is not None:
            return self._saved[region.name][offset : offset + extent.size].ljust(extent.size, b"\0")
        first = offset // _PAGE
        pages = range(first, (offset + extent.size - 1) // _PAGE + 1)
        data = b"".join(self._page(region.name, region.extents(self._machine.cores[0])[0], page) for page in pages)
        return data[offset - first * _PAGE :][: extent.size]

    def _page(self, region: str, extent: Extent, page: int) -> bytes:
        data = self._pages.get((region, page))
        if data is None:
            copy = self._copies.get((region, page))
            if copy is not None:
                data = self._control.copied(copy, _PAGE)
            else:
                with self._talking("read"):
                    data = self._gdb.read(0, extent.start + page * _PAGE, _PAGE)
            self._pages[region, page] = data
        return data

    def host_writes(self, core: str, address: int, data: bytes) -> None:
        """Store for the host: no watch is to see it."""
        with self._talking("write"):
            self._gdb.write(self._cores[core], address, data)
        self._host_wrote()

    def _host_wrote(self) -> None:
        self._pages.clear()
        self._copies = {}
        self.turns.host_wrote()

    def registers(self, core: str) -> Mapping[str, int]:
        """Those that QEMU's stub has not are 0."""
        number = self._number(core)
        if self._death is not None and core in self._last_registers:
            return self._last_registers[core]
        with self._talking("registers"):
            found = dict(self._gdb.registers(number))
        registers = found | dict.fromkeys(_NOT_THERE, 0)
        registers["MSP"] = found["SP"]
        return registers

    def backtrace(self, core: str) -> Backtrace:
        return backtrace_of(self.registers(core), self.memory(core), self._images[core])

    def waiting(self, core: str) -> Waiting | None:
        """Nothing here can tell."""
        self._number(core)
        return None

    def data_cache(self, core: str) -> DataCache | None:
        """Nothing here can tell."""
        self._number(core)
        return None

    def instructions(self, core: str) -> int:
        return self._control.executed[self._number(core)]

    def watch(self, name: str, core: str, extent: Extent) -> None:
        self._number(core)
        if not self.turns.watch(name, core, extent):
            raise EngineError("what is to be watched does not lie in one piece of memory", where=core, found=extent)
        starts = {address for _, address in self.platform.aliases(core, extent.start)}
        self._extents[name] = [Extent(start, extent.size) for start in starts]
        self._watch_stores()

    def unwatch(self, name: str) -> None:
        self.turns.unwatch(name)
        self._extents.pop(name, None)
        self._watch_stores()

    def _watch_stores(self) -> None:
        if self._death is None:
            self._control.set_spans([each for extents in self._extents.values() for each in extents])
            self._copy_watched()

    def _copy_watched(self) -> None:
        """Have the plugin copy what is watched, for it is read at each stop, and every request of gdb's takes time."""
        self._copies, self._next_copies = {}, {}
        first = self._machine.cores[0]
        pages: dict[tuple[str, int], int] = {}  # to the address as the first core sees it
        for extents in self._extents.values():
            found = self.platform.region_at(first, extents[0].start)
            if found is not None:
                region, offset = found
                start = region.extents(first)[0].start
                for page in range(offset // _PAGE, (offset + extents[0].size - 1) // _PAGE + 1):
                    pages[region.name, page] = start + page * _PAGE
        copies: list[Extent] = []
        for place, address in sorted(pages.items(), key=lambda item: item[1]):
            if len(self._next_copies) == MOST_COPIED // _PAGE:
                break
            if copies and copies[-1].end == address:
                copies[-1] = Extent.between(copies[-1].start, address + _PAGE)
            elif len(copies) < MOST_SPANS:
                copies.append(Extent(address, _PAGE))
            else:
                break
            self._next_copies[place] = len(self._next_copies) * _PAGE
        self._control.set_copies(copies)

    def snapshot(self) -> NoReturn:
        self._lacks("snapshot")

    def restore(self, snapshot: object) -> NoReturn:
        self._lacks("snapshot")

    def close(self) -> None:
        if self._death is None:
            self._death = EngineError("the engine was closed", where="engine qemu")
        self._process.close()
        self._listeners.clear()


def _shift(platform: Platform) -> int:
    """Each core has its share of a clock whose instructions take ``1 << shift`` ns: the nearest to its MIPS."""
    pace_ns = 1000 / sum(core.mips for core in platform.cores)
    return min(range(_MOST_SHIFT + 1), key=lambda shift: abs((1 << shift) / pace_ns - 1))


def _base(platform: Platform, uart: str) -> int | None:
    for peripheral in platform.peripherals:
        if peripheral.name == uart and peripheral.registrations:
            return peripheral.registrations[0].address
    return None


def _fault_handlers(image: Image, vector_table: int) -> set[int]:
    """Where HardFault to SecureFault begin, by the image's own table."""
    found = set()
    for number in range(HARD_FAULT, SECURE_FAULT + 1):
        data = _bytes_at(image, vector_table + 4 * number)
        address = int.from_bytes(data, "little")
        if address & 1:
            found.add(address & ~1)
    return found


def _bytes_at(image: Image, address: int) -> bytes:
    for segment in image.segments:
        offset = address - segment.load_address
        if 0 <= offset <= len(segment.data) - 4:
            return segment.data[offset : offset + 4]
    return b""


def _by_turn(happenings: list[Happening]) -> list[Happening]:
    """What one core did without the other in between is one turn, which ends with the last of it."""
    ends: list[int] = [0] * len(happenings)
    end, core = 0, None
    for index in range(len(happenings) - 1, -1, -1):
        each = happenings[index]
        if each.core != core:
            end, core = each.end_ns, each.core
        ends[index] = end
    return [Happening(end, each.core, each.what) for end, each in zip(ends, happenings, strict=True)]
