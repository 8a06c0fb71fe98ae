"""The engine contract on Renode, in the child process.

Renode runs a step of several quanta at a time. What its hooks report is kept in order and told after the step, with the
quantum in which it happened; a step is one quantum while something happens, and doubles while nothing does.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.engines.common.backtrace import backtrace_of, symbol_of
from orchestrator.engines.common.bits import bits_of
from orchestrator.engines.common.conditions import Conditions
from orchestrator.engines.common.cortex_m import CFSR_BITS, EXCEPTION_NAMES, HFSR_BITS, exception_name
from orchestrator.engines.common.loading import refuse_outside
from orchestrator.engines.common.store_replay import Happening, Store, Turns, View
from orchestrator.engines.contract import (
    Capability,
    Condition,
    EngineOptions,
    Stop,
    StopReason,
)
from orchestrator.engines.renode.assemblies import as_known
from orchestrator.engines.renode.log import Abort, Access, Entry, parse_line
from orchestrator.engines.renode.session import Bus, RenodeSession
from orchestrator.errors import CapabilityError, EngineError, UsageError
from orchestrator.events import (
    SYSTEM_RESET,
    Backtrace,
    CoreState,
    Detail,
    Event,
    ExceptionTaken,
    Fault,
    Listener,
    Lockup,
    Note,
    NotificationIgnored,
    NotificationSent,
    NotificationTaken,
    StateChanged,
    UnmodelledAccess,
    Waiting,
)
from orchestrator.formats.elf import Image
from orchestrator.memory import Extent, Memory
from orchestrator.platform.export import export
from orchestrator.platform.model import Core, Mailbox, MailboxLine, Platform

__all__ = ["RenodeBoard"]

_LONGEST_STEP = 50  # quanta: 1 ms
_MOST_HOOKS = 4096  # Renode walks all of them for each new one
_LOCKUP_PC = 0xEFFF_FFFE
_ICSR, _CFSR, _HFSR, _MMFAR, _BFAR = 0xE000_ED04, 0xE000_ED28, 0xE000_ED2C, 0xE000_ED34, 0xE000_ED38
_HARD_FAULT, _USAGE_FAULT, _FIRST_INTERRUPT = 3, 6, 16
_NAMES = {"CPSR": "XPSR", "xPSR": "XPSR", "R13": "SP", "R14": "LR", "R15": "PC"}
_WANTED = (
    *(f"R{number}" for number in range(13)),
    *("SP", "LR", "PC", "XPSR", "MSP", "PSP", "PRIMASK", "BASEPRI", "FAULTMASK", "CONTROL"),
)
_ABORT_LOOK_S = 1.0
_EXIT_ABORTED = 3
_WINDOW = re.compile(r"tag_([0-9a-f]{8})", re.ASCII)
# Where Renode departs from the hardware, and which rule looks for it.
_NOT_CHECKED = (
    "stores to flash, which succeed here (core.guest-error)",
    "a division by zero that CCR.DIV_0_TRP should trap (core.fault)",
    "what a core that polls waits for",
)


class _Console:
    def __init__(self, name: str, feed: Callable[[str, bytes], None]) -> None:
        self.name = name
        self.received = bytearray()
        self._feed = feed

    @property
    def output(self) -> bytes:
        return bytes(self.received)

    def write(self, data: bytes) -> None:
        self._feed(self.name, data)


class _MailboxWatch:
    """One line of a mailbox, as last seen."""

    def __init__(self, mailbox: Mailbox, line: MailboxLine, base: int) -> None:
        self.name, self.line, self.base = mailbox.peripheral, line, base
        self.pending = self.signalled = 0


class RenodeBoard:
    """Implements :class:`orchestrator.engines.contract.Engine`; ``begin`` makes the session, a fake one in tests."""

    name = "renode"
    capabilities = frozenset({Capability.WATCH, Capability.FAULTS, Capability.MONITOR})

    def __init__(
        self,
        platform: Platform,
        options: EngineOptions,
        begin: Callable[[Platform, EngineOptions, Path], Bus] | None = None,
    ) -> None:
        if options.quantum_ns <= 0 or options.quantum_ns % 1000:
            raise UsageError("a quantum of Renode is whole microseconds", where="quantum", found=options.quantum_ns)
        self.platform = platform
        self._quantum_ns = options.quantum_ns
        self._scratch = tempfile.TemporaryDirectory(prefix="rptwin-")
        with as_known():
            self._bus = (begin or _begin)(platform, options, Path(self._scratch.name))
        self._listeners: list[Listener] = []
        self._images: dict[str, list[Image]] = {core.name: [] for core in platform.cores}
        self._vector_tables = {core.name: core.boot_address for core in platform.cores}
        self._held = {core.name: core.held for core in platform.cores}
        self._ran: set[str] = set()
        self._asleep: set[str] = set()
        self._locked_up: set[str] = set()
        self._happenings: list[Happening] = []
        self._hooked: set[tuple[int, int]] = set()
        self._host_writes = False
        self._stop_asked = False
        self._step = 1
        self.turns = Turns(platform, self._read_live)
        self._consoles = {name: _Console(name, self._bus.feed) for name in _uarts(platform)}
        self._conditions = Conditions(
            platform, self._consoles, lambda core, extent: lambda: self._read_live(core, extent)
        )
        self._mailboxes = list(_mailbox_lines(platform))
        self._touched: tuple[str, int] | None = None  # who wrote to a mailbox last, and in which quantum
        self._lines: list[str] = []
        self._log_lock = threading.Lock()
        self._advancing = False
        self._steps = 0
        self._closed = threading.Event()
        with as_known():
            self._connect()
        threading.Thread(target=self._watch_for_abort, daemon=True).start()

    def _connect(self) -> None:
        for name, console in self._consoles.items():
            self._bus.on_output(name, console.received.append)
        for core in self.platform.cores:
            self._bus.on_exception(core.name, lambda core=core: self._exception(core))  # type: ignore[misc]
            self._bus.on_sleep(core.name, lambda asleep, core=core: self._sleep(core.name, asleep))  # type: ignore[misc]
        for base in _mailbox_addresses(self.platform):
            for offset in range(0, self._window(base), 4):
                self._bus.on_store(base + offset, 4, self._mailbox_store)
        self._bus.on_reset(self._machine_reset)

    def _window(self, base: int) -> int:
        for peripheral in self.platform.peripherals:
            if any(at.address == base for at in peripheral.registrations):
                return peripheral.size or 0x400
        return 0

    # --- what hooks report, on whatever thread runs the core

    def _now_end(self) -> int:
        """End of the quantum that is running."""
        return (self._bus.time_ns // self._quantum_ns + 1) * self._quantum_ns

    def _happens(self, core: str, what: Store | Detail) -> None:
        self._happenings.append(Happening(self._now_end(), core, what))

    def _store(self, core: str, address: int, size: int, value: int) -> None:
        if core and not self._host_writes:
            self._happens(core, Store(address, size, value))

    def _mailbox_store(self, core: str, _address: int, _size: int, _value: int) -> None:
        """Called before the store; so what the one before has done is seen now."""
        self._settle_mailboxes()
        if core:
            self._touched = (core, self._now_end())

    def _settle_mailboxes(self) -> None:
        if self._touched is None:
            return
        (writer, end_ns), self._touched = self._touched, None
        for each in self._mailboxes:
            line, before = each.line, each.pending
            pending, signalled = self._shown(each)
            rising = not before
            for channel in bits_of(pending & ~before):
                sent = NotificationSent(each.name, line.core, channel, line.interrupt, rising)
                self._happenings.append(Happening(end_ns, writer, sent))
                rising = False
            if line.core != writer:
                for channel in bits_of(signalled & ~pending & ~each.signalled):
                    ignored = NotificationIgnored(each.name, line.core, channel)
                    self._happenings.append(Happening(end_ns, writer, ignored))
            each.pending, each.signalled = pending, signalled

    def _shown(self, each: _MailboxWatch) -> tuple[int, int]:
        """Pending and signalled, as the line's core sees them."""
        return each.line.look(lambda offset: self._word(each.line.core, each.base + offset))

    def _exception(self, core: Core) -> None:
        self._settle_mailboxes()
        icsr = self._word(core.name, _ICSR)
        number = icsr & 0x1FF or icsr >> 12 & 0x1FF  # VECTACTIVE, else VECTPENDING (DDI0403E B3.2.4)
        self._happens(core.name, ExceptionTaken(number, exception_name(number), self._bus.pc(core.name)))
        if _HARD_FAULT <= number <= _USAGE_FAULT:
            self._happens(core.name, self._fault(core.name, number, self.registers(core.name)))
        for each in self._mailboxes:
            if each.line.core == core.name and number == each.line.interrupt + _FIRST_INTERRUPT:
                pending = self._word(core.name, each.base + each.line.pending)
                self._happens(core.name, NotificationTaken(each.name, tuple(bits_of(pending)), each.line.interrupt))

    def _fault(self, core: str, number: int, registers: Mapping[str, int]) -> Fault:
        cfsr, hfsr = self._word(core, _CFSR), self._word(core, _HFSR)
        status = [name for name, bit in CFSR_BITS.items() if cfsr >> bit & 1]
        status += [name for name, bit in HFSR_BITS.items() if hfsr >> bit & 1]
        address = None
        if "MMARVALID" in status:
            address = self._word(core, _MMFAR)
        elif "BFARVALID" in status:
            address = self._word(core, _BFAR)
        what = ", ".join(status) or EXCEPTION_NAMES[number]
        if address is not None:
            what += f" at {address:#010x}"
        pc = registers["PC"]
        escalated = "FORCED" in status
        backtrace = self.backtrace(core)
        symbol = symbol_of(self._images[core], pc)
        return Fault(EXCEPTION_NAMES[number], tuple(status), address, pc, symbol, what, escalated, registers, backtrace)

    def _sleep(self, core: str, asleep: bool) -> None:
        if asleep == (core in self._asleep):
            return
        if asleep:
            self._asleep.add(core)
            self._happens(core, StateChanged(CoreState.SLEEPING, "WFI"))
        else:
            self._asleep.discard(core)

    def _machine_reset(self) -> None:
        """Firmware asked for a reset: what was set by hand is gone, in Renode and on the chip."""
        for core in self.platform.cores:
            self._bus.set_vector_table(core.name, self._vector_tables[core.name])
            if core.held:
                self._bus.set_halted(core.name, True)
            self._held[core.name] = core.held
        self._asleep.clear()
        self._locked_up.clear()
        self._happens(
            self.platform.cores[0].name, StateChanged(CoreState.RUNNING, f"{SYSTEM_RESET} requested by firmware")
        )

    def _word(self, core: str, address: int) -> int:
        return self._bus.word(core, address)

    # --- events

    def subscribe(self, listener: Listener) -> None:
        if not self._listeners:
            self._listeners.append(listener)
            for what in _NOT_CHECKED:
                self._say(Event(self.time_ns, "", Note(f"not checked on renode: {what}")))
        else:
            self._listeners.append(listener)

    def _say(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _tell(self) -> bool:
        """Everything that the step brought; whether that was anything."""
        self._settle_mailboxes()
        happenings, self._happenings = self._happenings, []
        told = False
        for event in self.turns.tell(happenings, self.time_ns):
            told = True
            self._say(event)
        lines = self._take_log()
        del self._lines[: len(lines)]
        for line in lines:
            entry = parse_line(line)
            if entry is not None:
                told = True
                self._say_entry(entry)
        self._look_for_lockups()
        return told

    def _say_entry(self, entry: Entry) -> None:
        now = self.time_ns
        if isinstance(entry, Abort):
            raise EngineError(f"Renode has given up {entry.core}", where=f"PC {entry.pc:#010x}", found=entry.why)
        if not isinstance(entry, Access):
            if entry.source not in ("sysbus", "machine-0", "board"):
                self._say(Event(now, "", Note(f"{entry.source}: {entry.text}")))
            return
        core = entry.core if entry.core in self._images else _core_of(self.platform, entry.peripheral)
        base = (
            entry.address if entry.address is not None else _base(self.platform, entry.peripheral) + (entry.offset or 0)
        )
        pc = entry.pc or 0
        symbol = symbol_of(self._images[core], pc) if core else None
        access = UnmodelledAccess(pc, symbol, base, entry.size, entry.value, entry.peripheral, entry.what)
        for _ in range(entry.count):
            self._say(Event(now, core, access))

    def _look_for_lockups(self) -> None:
        for name in self._images:
            if name in self._locked_up or name not in self._ran or self._held[name]:
                continue
            if self._bus.pc(name) & ~1 == _LOCKUP_PC:
                self._locked_up.add(name)
                registers = self.registers(name)
                lockup = Lockup(registers["PC"], None, "locked up", registers, self.backtrace(name))
                self._say(Event(self.time_ns, name, lockup))

    # --- the contract: firmware

    def load(self, core: str, image: Image, vector_table: int) -> None:
        self._core(core)
        refuse_outside(self.platform, core, image)
        path = Path(self._scratch.name) / f"{core}-{len(self._images[core])}.elf"
        path.write_bytes(image.data)
        self._bus.load(core, path)
        self._images[core].insert(0, image)
        self._vector_tables[core] = vector_table
        self._bus.set_vector_table(core, vector_table)
        self.turns.host_wrote()

    def start(self, core: str) -> None:
        self._core(core)
        if not self._held[core]:
            return
        self._held[core] = False
        if core in self._ran:
            self._from_reset(core)
        self._bus.set_halted(core, False)
        self._say(Event(self.time_ns, core, StateChanged(CoreState.RUNNING, "started")))

    def hold(self, core: str) -> None:
        self._core(core)
        if self._held[core]:
            return
        self._held[core] = True
        self._bus.set_halted(core, True)
        self._say(Event(self.time_ns, core, StateChanged(CoreState.HELD, "held")))

    def reset(self, core: str) -> None:
        self._from_reset(core)
        self._bus.set_halted(core, self._held[core])
        self._say(Event(self.time_ns, core, StateChanged(self.state(core), "reset")))

    def _from_reset(self, core: str) -> None:
        model = self._core(core)
        self._bus.reset(core, model.nvic)
        self._bus.set_vector_table(core, self._vector_tables[core])
        self._locked_up.discard(core)
        self._asleep.discard(core)

    # --- the contract: time

    @property
    def time_ns(self) -> int:
        return self._bus.time_ns

    def run(self, timeout_ns: int, until: Condition | None = None) -> Stop:
        """Ends at the first end of a step at which the condition is met: a quantum, unless all was quiet before."""
        met = self._conditions.met(until)
        quantum = self._quantum_ns
        end = -(-(self.time_ns + timeout_ns) // quantum)
        self._stop_asked = False
        while (now := self.time_ns // quantum) < end:
            # What Renode does with a core that its firmware lets go shows in its state only.
            before = {name: self._bus.is_halted(name) for name in self._images}
            outputs = self._output_size()
            self._advance(min(self._step, end - now) * quantum)
            self._note_releases(before)
            told = self._tell()
            quiet = not told and self._output_size() == outputs
            self._step = min(self._step * 2, _LONGEST_STEP) if quiet else 1
            if self._stop_asked:
                return Stop(StopReason.REQUESTED, self.time_ns)
            if met is not None and met():
                return Stop(StopReason.CONDITION, self.time_ns)
            if all(self._held[name] or name in self._locked_up for name in self._images):
                return Stop(StopReason.DEAD, self.time_ns)
        return Stop(StopReason.TIMEOUT, self.time_ns)

    def _advance(self, duration_ns: int) -> None:
        self._ran |= {name for name, held in self._held.items() if not held}
        self._steps += 1
        self._advancing = True
        try:
            self._bus.run(duration_ns)
        finally:
            self._advancing = False

    def _watch_for_abort(self) -> None:
        """A step in which Renode aborts a core never ends: this process does, with the line that says so."""
        before = -1
        while not self._closed.wait(_ABORT_LOOK_S):
            if self._advancing and self._steps == before:
                for line in self._take_log():
                    if isinstance(parse_line(line), Abort):
                        _leave(line)
            before = self._steps

    def _take_log(self) -> list[str]:
        """Lines that nobody has told yet; they stay until ``_tell`` takes them away."""
        with self._log_lock:
            self._lines += self._bus.log_lines()
            return list(self._lines)

    def _note_releases(self, before: Mapping[str, bool]) -> None:
        for name, was_halted in before.items():
            halted = self._bus.is_halted(name)
            if was_halted and not halted and self._held[name]:
                self._held[name] = False
                self._happens(name, StateChanged(CoreState.RUNNING, "released by firmware"))
            elif halted and not was_halted and not self._held[name]:
                self._held[name] = True
                self._happens(name, StateChanged(CoreState.HELD, "held by firmware"))

    def _output_size(self) -> int:
        return sum(len(console.received) for console in self._consoles.values())

    def stop(self) -> None:
        self._stop_asked = True

    # --- the contract: looking

    @property
    def consoles(self) -> Mapping[str, _Console]:
        return self._consoles

    def _core(self, name: str) -> Core:
        for core in self.platform.cores:
            if core.name == name:
                return core
        raise UsageError("no such core", expected=" | ".join(each.name for each in self.platform.cores), found=name)

    def state(self, core: str) -> CoreState:
        self._core(core)
        if self._held[core]:
            return CoreState.HELD
        if core in self._locked_up:
            return CoreState.LOCKED_UP
        return CoreState.SLEEPING if core in self._asleep else CoreState.RUNNING

    def memory(self, core: str) -> Memory:
        self._core(core)
        return View(self.platform, self.turns, core, self.host_writes)

    def _read_live(self, core: str, extent: Extent) -> bytes:
        return self._bus.read(core, extent.start, extent.size)

    def host_writes(self, core: str, address: int, data: bytes) -> None:
        """Store for the host: no watch is to see it."""
        with self._as_host():
            self._bus.write(core, address, data)

    def execute(self, command: str) -> str:
        """A command of the monitor; what it stores is the host's doing. One that lets time pass is not noticed."""
        with self._as_host():
            return self._bus.command(command)

    @contextlib.contextmanager
    def _as_host(self) -> Iterator[None]:
        self._host_writes = True
        try:
            yield
        finally:
            self._host_writes = False
        self.turns.host_wrote()

    def registers(self, core: str) -> Mapping[str, int]:
        """Those that Renode has not are 0."""
        self._core(core)
        found = {_NAMES.get(name, name): value for name, value in self._bus.registers(core).items()}
        return {name: found.get(name, 0) for name in _WANTED}

    def backtrace(self, core: str) -> Backtrace:
        return backtrace_of(self.registers(core), self.memory(core), self._images[core])

    def waiting(self, core: str) -> Waiting | None:
        """Nothing here can tell."""
        self._core(core)
        return None

    def instructions(self, core: str) -> int:
        self._core(core)
        return self._bus.instructions(core)

    def watch(self, name: str, core: str, extent: Extent) -> None:
        self._core(core)
        if not self.turns.watch(name, core, extent):
            raise EngineError("what is to be watched does not lie in one piece of memory", where=core, found=extent)
        wanted = set(self._hooks_of(core, extent)) - self._hooked
        # Past that, changes are seen at the end of a step, and nobody can say whose they were.
        if len(self._hooked) + len(wanted) > _MOST_HOOKS:
            return
        for address, size in sorted(wanted):
            self._bus.on_store(address, size, self._store)
        self._hooked |= wanted

    def _hooks_of(self, core: str, extent: Extent) -> Iterator[tuple[int, int]]:
        """Every address, through every alias, with every size that a store to it may have."""
        starts = {address for _, address in self.platform.aliases(core, extent.start)}
        for start in starts:
            for size in (1, 2, 4):
                first = start - start % size
                yield from ((address, size) for address in range(first, start + extent.size, size))

    def unwatch(self, name: str) -> None:
        self.turns.unwatch(name)

    def snapshot(self) -> NoReturn:
        raise CapabilityError("no snapshot", where="engine renode", advice="the unicorn engine has it")

    def restore(self, snapshot: object) -> NoReturn:
        raise CapabilityError("no snapshot", where="engine renode", advice="the unicorn engine has it")

    def close(self) -> None:
        self._closed.set()
        self._listeners.clear()
        self._scratch.cleanup()


def _begin(platform: Platform, options: EngineOptions, scratch: Path) -> Bus:
    files = export(platform, quantum_ns=options.quantum_ns)
    cores = [core.name for core in platform.cores]
    return RenodeSession(
        files, f"{platform.name}.repl", cores, scratch, quantum_ns=options.quantum_ns, seed=options.seed
    )


def _leave(line: str) -> NoReturn:
    print(f"renode: {line}", file=sys.stderr, flush=True)
    os._exit(_EXIT_ABORTED)


def _uarts(platform: Platform) -> list[str]:
    return [each.name for each in platform.peripherals if each.type.startswith("UART.")]


def _mailbox_lines(platform: Platform) -> Iterator[_MailboxWatch]:
    for mailbox in platform.mailboxes:
        peripheral: Any = next(each for each in platform.peripherals if each.name == mailbox.peripheral)
        for line in mailbox.lines:
            base = next((at.address for at in peripheral.registrations if at.seen_by(line.core)), None)
            if base is not None:
                yield _MailboxWatch(mailbox, line, base)


def _mailbox_addresses(platform: Platform) -> set[int]:
    """Every place at which a core may write to a mailbox."""
    names = {mailbox.peripheral for mailbox in platform.mailboxes}
    return {at.address for each in platform.peripherals if each.name in names for at in each.registrations}


def _base(platform: Platform, name: str) -> int:
    """Where a peripheral begins; a tagged window is one in the exported description, under its name or address."""
    for peripheral in platform.peripherals:
        if peripheral.name == name and peripheral.registrations:
            return peripheral.registrations[0].address
    window = _WINDOW.fullmatch(name)
    if window is not None:
        return int(window[1], 16)
    return next((extent.start for tag, extent, _ in platform.tags if tag == name), 0)


def _core_of(platform: Platform, nvic: str) -> str:
    """The core whose NVIC says something; "" for any other peripheral."""
    return next((core.name for core in platform.cores if core.nvic == nvic), "")
