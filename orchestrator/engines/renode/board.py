"""The engine contract on Renode, in the child process.

Renode runs its cores one after the other, a quantum each. What its hooks report of a core is kept until another core
gets the turn or the quantum ends, and told then, with the board standing still: who hears it sees memory as the core
has left it. While nobody does anything that is watched, nothing is called.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from orchestrator.base.errors import CapabilityError, EngineError, RptwinError, TranslationError, UsageError
from orchestrator.base.memory import Extent, Memory
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.backtrace import backtrace_of, symbol_of
from orchestrator.engines.common.conditions import Conditions
from orchestrator.engines.common.cores import core_named
from orchestrator.engines.common.cortex_m import exception_name
from orchestrator.engines.common.faults import FaultStatus, describe_fault, read_fault_status
from orchestrator.engines.common.loading import loaded_images, refuse_outside
from orchestrator.engines.common.mailbox_monitor import MailboxMonitor
from orchestrator.engines.common.scratch import write
from orchestrator.engines.common.store_replay import Happening, Store, Turns, View
from orchestrator.engines.contract import (
    Capability,
    Condition,
    EngineOptions,
    MemoryEquals,
    Player,
    Stop,
    StopReason,
)
from orchestrator.engines.renode.access_log import AccessLog, Observed
from orchestrator.engines.renode.assemblies import as_known
from orchestrator.engines.renode.faults import BKPT, SVC, Cause, Raised, cause_of
from orchestrator.engines.renode.log import Abort, Access, LogLine, parse
from orchestrator.engines.renode.played import Played
from orchestrator.engines.renode.session import Bus, RenodeSession
from orchestrator.engines.renode.thumb import access_of, is_second_half
from orchestrator.events import (
    SYSTEM_RESET,
    Backtrace,
    CoreState,
    DataCache,
    Detail,
    Event,
    ExceptionTaken,
    Fault,
    Listener,
    Lockup,
    Note,
    NotificationSent,
    StateChanged,
    UnmodelledAccess,
    Waiting,
)
from orchestrator.formats.elf import Image
from orchestrator.platform.export import FRONT_SUFFIX, export, named
from orchestrator.platform.model import Core, Peripheral, Platform, Region

__all__ = ["RenodeBoard"]

_MOST_POLLS = 2_000  # loads of one value from one place by one core, with none of another in between
_LOOK_NS = 1_000_000  # between two looks for what no hook tells
_MOST_PART = 7  # bytes of a store that may lie before the first watched one
_UNKNOWN_SIZE = 0x400  # bytes of a peripheral whose size nobody gives
_LOCKUP_PC = 0xEFFF_FFFE
_BRANCH_TO_ITSELF = bytes.fromhex("fee7")
_WAITS, _WIDE_WAITS = (
    (bytes.fromhex("30bf"), bytes.fromhex("20bf")),
    (bytes.fromhex("aff30380"), bytes.fromhex("aff30280")),
)
_VECTPENDING = 12
_SVC_SIZE = 2  # bytes
_FAULTS = range(cortex_m.HARD_FAULT, cortex_m.SECURE_FAULT + 1)
_NAMES = {"CPSR": "XPSR", "xPSR": "XPSR", "R13": "SP", "R14": "LR", "R15": "PC"}
_WANTED = (
    *(f"R{number}" for number in range(13)),
    *("SP", "LR", "PC", "XPSR", "MSP", "PSP", "PRIMASK", "BASEPRI", "FAULTMASK", "CONTROL"),
)
_OUTSIDE = "Trying to execute code outside RAM or ROM"  # tlib, exec.c
_OWN_SOURCES = ("", "sysbus", "machine-0", "board")  # of lines that Renode says of itself
_CLIDR, _CTR, _CCSIDR, _CSSELR = 0xD78, 0xD7C, 0xD80, 0xD84  # from the NVIC's base (DDI0403E B4.8)
_CACHE_MAINTENANCE = range(0xF50, 0xFA0)  # from the NVIC's base: ICIALLU to BPIALL, and CACR (DDI0403E B3.2.2)
# Where Renode departs from the hardware, and which rule looks for it.
_NOT_CHECKED = (
    "stores to flash, which succeed here (core.guest-error)",
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


class _Turn:
    """What a core has done since it got the turn, in one quantum."""

    def __init__(self, core: str, end_ns: int) -> None:
        self.core, self.end_ns = core, end_ns
        self.happenings: list[Happening] = []
        self.wrote: tuple[str, int] | None = None  # to which mailbox, and when: what that did was not looked at yet
        self.late_ns = 0  # how much later than its own clock says: it was interrupted at the sender's moment


class RenodeBoard:
    """Implements :class:`orchestrator.engines.contract.Engine`; ``begin`` makes the session, a fake one in tests."""

    name = "renode"
    capabilities = frozenset(
        {Capability.WATCH, Capability.FAULTS, Capability.MONITOR, Capability.PLAY, Capability.ACCESSES}
    )

    def __init__(
        self,
        platform: Platform,
        options: EngineOptions,
        begin: Callable[[Platform, EngineOptions, Path, Callable[[RptwinError], None]], Bus] | None = None,
    ) -> None:
        if options.quantum_ns <= 0 or options.quantum_ns % 1000:
            raise UsageError("a quantum of Renode is whole microseconds", where="quantum", found=options.quantum_ns)
        self.platform = platform
        self._quantum_ns = options.quantum_ns
        self._scratch = tempfile.TemporaryDirectory(prefix="rptwin-")
        self._tell_lost: Callable[[RptwinError], NoReturn] | None = None
        with as_known():
            self._bus = (begin or _begin)(platform, options, Path(self._scratch.name), self._lost)
        self._listeners: list[Listener] = []
        self._images: dict[str, list[Image]] = {core.name: [] for core in platform.cores}
        self._vector_tables = {core.name: core.boot_address for core in platform.cores}
        self._held = {core.name: core.held for core in platform.cores}
        self._ran: set[str] = set()
        self._asleep: set[str] = set()
        self._locked_up: set[str] = set()
        self._lockups: dict[str, Backtrace] = {}  # where cores locked up
        self._raised: dict[str, Raised] = {}  # by core: the last thing that it raised itself
        self._given_up = ""  # the core with which Renode has ended
        self._hooked: dict[str, Extent] = {}  # by region: offsets whose stores are told
        self._loads: dict[str, Extent] = {}  # by region: offsets whose loads are told, or were until one was polled
        self._accesses = AccessLog()
        self._begins: dict[tuple[str, int], int] = {}  # of instructions, by core and PC
        self._polled: tuple[str, int, int] | None = None  # the last read: by whom, where, and what
        self._polls = 0  # since anything else was read
        self._unheard: set[str] = set()  # regions of which a core polls a place
        self._turn: _Turn | None = None
        self._rung_ns: dict[str, int] = {}  # in this quantum, by core
        self._awaited: set[str] = set()  # cores whose next turn is told
        self._end_awaited = False  # of the quantum
        self._look_awaited = False
        self._is_host = False  # whose doing it is what happens now
        self._known_accesses: set[tuple[str, int, int, bool]] = set()
        self._aborts: dict[str, Abort] = {}  # by core
        self._met: Callable[[], bool] | None = None
        self._stop_asked = False
        self._stop_reason: StopReason | None = None
        self.turns = Turns(platform, self._read_live)
        self._consoles = {name: _Console(name, self._bus.feed) for name in _uarts(platform)}
        self._conditions = Conditions(
            platform, self._consoles, lambda core, extent: lambda: self._read_live(core, extent)
        )
        self._mailboxes = MailboxMonitor(platform, self._mailbox_word)
        self._played: dict[str, Played] = {}
        self._player_awaited_ns: int | None = None
        self._running = False
        self._restarted: list[str] = []  # cores that start from reset as soon as Renode stands still
        with as_known():
            self._connect()

    def when_lost(self, tell: Callable[[RptwinError], NoReturn]) -> None:
        """Call this, on whatever thread, when Renode is about to end the process."""
        self._tell_lost = tell

    def _lost(self, error: RptwinError) -> None:
        """What its core has done until then is told first."""
        if self._tell_lost is not None:
            with contextlib.suppress(RptwinError):
                self._end_turn()
            self._tell_lost(error)

    def _connect(self) -> None:
        for name in self._consoles:
            self._bus.on_output(name, lambda byte, name=name: self._said(name, byte))  # type: ignore[misc]
        for core in self.platform.cores:
            raised = functools.partial(self._raises, core.name)
            self._bus.on_exception(core.name, raised, functools.partial(self._takes, core.name))
            self._bus.on_sleep(core.name, lambda asleep, core=core: self._sleep(core.name, asleep))  # type: ignore[misc]
            if core.model in cortex_m.CACHES:
                self._identify_caches(core.nvic, cortex_m.CACHES[core.model])
        for peripheral in _mailbox_peripherals(self.platform):
            size = peripheral.size or _UNKNOWN_SIZE
            self._bus.on_store(peripheral.name, 0, size, functools.partial(self._mailbox_store, peripheral.name))
        self._bus.on_reset(self._machine_reset)
        self._bus.on_abort(self._abort)
        self._bus.on_log(self._logged)

    def _identify_caches(self, nvic: str, caches: cortex_m.Caches) -> None:
        """Renode's NVIC reads 0 there, so that firmware which maintains its caches line by line does nearly nothing."""
        selected = 0

        def select(_core: str, _offset: int, _size: int, value: int) -> None:
            nonlocal selected
            selected = value & 1

        words = {_CLIDR: lambda: caches.clidr, _CTR: lambda: caches.ctr, _CCSIDR: lambda: caches.ccsidr[selected]}
        self._bus.on_store(nvic, _CSSELR, 4, select)
        self._bus.answer(nvic, _CLIDR, _CSSELR - _CLIDR, lambda offset: words[offset]() if offset in words else None)

    # --- turns: on whatever thread runs the core

    def _acts(self, core: str) -> _Turn:
        """The turn of this core; what another one did before is told first."""
        turn = self._turn
        if turn is not None and turn.core == core:
            self._settle_mailboxes()
            return turn
        self._end_turn()
        quantum = self._quantum_ns
        self._turn = turn = _Turn(core, (self._bus.time_ns // quantum + 1) * quantum)
        self._await_end()
        for other in self._images:
            if other != core and not self._held[other]:
                self._await_turn(other)
        return turn

    def _await_end(self) -> None:
        if not self._end_awaited:
            self._end_awaited = True
            self._bus.at_quantum_end(self._quantum_ends)

    def _await_turn(self, core: str) -> None:
        if core not in self._awaited:
            self._awaited.add(core)
            self._bus.at_turn(core, lambda: self._gets_turn(core))

    def _gets_turn(self, core: str) -> None:
        self._awaited.discard(core)
        if self._turn is not None and self._turn.core != core:
            self._end_turn()
        if core in self._played:
            self._release_played(self._played[core])
        elif self._held[core] and not self._bus.is_halted(core):
            self._held[core] = False
            self._ran.add(core)
            self._happens(core, StateChanged(CoreState.RUNNING, "released by firmware"))

    def _end_turn(self) -> None:
        self._settle_mailboxes()
        turn, self._turn = self._turn, None
        if turn is not None:
            self._tell_accesses(turn)
            if self._unheard and any(isinstance(each.what, Store) for each in turn.happenings):
                for name in tuple(self._unheard):
                    self._polled, self._polls = None, 0
                    self._hear_loads(next(region for region in self.platform.regions if region.name == name))
            with self._as_host():
                for event in self.turns.told(turn.happenings):
                    self._say(event)

    def _quantum_ends(self) -> None:
        self._end_awaited = False
        self._end_turn()
        self._rung_ns.clear()
        for played in self._played.values():
            self._let_play(played)
        self._look()
        if self._stop_reason is None:
            self._stop_reason = self._why_over()
            if self._stop_reason is not None:
                self._bus.end()

    def _why_over(self) -> StopReason | None:
        if self._stop_asked:
            return StopReason.REQUESTED
        if self._met is not None and self._met():
            return StopReason.CONDITION
        able = [name for name in self._images if not self._held[name] and name not in self._locked_up]
        if not able and not any(played.has_plans() for played in self._played.values()):
            return StopReason.DEAD
        return None

    def _let_play(self, played: Played) -> None:
        """At the end of a quantum; what it did is told, and its next turn awaited."""
        if played.let_act(self.time_ns):
            self._await_end()  # of the next one: it may have rung itself, or want to go on
        happenings, played.happenings = played.happenings, []
        with self._as_host():
            for event in self.turns.told(happenings):
                self._say(event)
        if played.asked:
            self._await_end()
        at_ns = None if played.held else played.at_ns
        if at_ns is not None and (self._player_awaited_ns is None or at_ns < self._player_awaited_ns):
            self._player_awaited_ns = at_ns
            self._bus.at_quantum_end(self._player_wants_its_turn, at_ns)

    def _player_wants_its_turn(self) -> None:
        self._player_awaited_ns = None
        self._quantum_ends()

    def _release_played(self, played: Played) -> None:
        """Firmware lets a core go whose place a player has: the core itself stays where it is."""
        self._bus.set_halted(played.core.name, True)
        self._await_turn(played.core.name)
        self._start_played(played, "released by firmware")

    def _start_played(self, played: Played, why: str) -> None:
        if played.held:
            played.held, played.asked = False, True
            self._await_end()
            self._say(Event(self.time_ns, played.core.name, StateChanged(CoreState.RUNNING, why)))

    def _await_look(self) -> None:
        """Lockups and what firmware does with the other core have no hook; nor has all that writes to memory."""
        if not self._look_awaited:
            self._look_awaited = True
            self._bus.at_quantum_end(self._look_again, self._bus.time_ns + _LOOK_NS)

    def _look_again(self) -> None:
        self._look_awaited = False
        self._quantum_ends()
        self._await_look()

    # --- what hooks report

    def _happens(self, core: str, what: Detail, at_ns: int | None = None) -> None:
        turn = self._acts(core)
        turn.happenings.append(Happening(turn.end_ns, core, what, at_ns))

    def _moment(self, core: str) -> int:
        """When this is for the board: a core that was rung in another one's turn goes on from there."""
        turn = self._acts(core)
        return min(self._bus.moment_ns(core) + turn.late_ns, turn.end_ns)

    def _said(self, console: str, byte: int) -> None:
        self._consoles[console].received.append(byte)
        if self._met is not None:
            self._await_end()

    def _store(self, core: str, region: str, offset: int, address: int, size: int, value: int) -> None:
        turn = self._acts(core)
        turn.happenings.append(Happening(turn.end_ns, core, Store(address, size, value)))
        if self._accesses.has(region, offset, size):
            before = int.from_bytes(self._bus.read(core, address, size), "little")
            at = self._instruction(core, self._bus.pc(core)), self._moment(core)
            self._accesses.note(region, offset, address, size, *at, value, before)

    def _load(self, region: Region, bases: Mapping[str, int], offset: int, size: int, value: int) -> None:
        """Each costs some microseconds: of a place that is polled, no more are told until somebody writes there."""
        core = self._turn.core if self._turn is not None else self._bus.acting()  # others' turns end this one
        if core not in bases or not self._accesses.has(region.name, offset, size):
            return
        self._acts(core)
        address = bases[core] + offset
        polled = core, address, value
        self._polls = self._polls + 1 if polled == self._polled else 0
        self._polled = polled
        if self._polls > _MOST_POLLS:
            self._unheard.add(region.name)
            self._bus.on_load(region.name, 0, 0, None)
        else:
            at = self._instruction(core, self._bus.pc(core)), self._moment(core)
            self._accesses.note(region.name, offset, address, size, *at, value, None)

    def _tell_accesses(self, turn: _Turn) -> None:
        accessed = self._accesses.take()
        if accessed is not None:
            turn.happenings.append(Happening(turn.end_ns, turn.core, accessed))

    def _mailbox_store(self, mailbox: str, core: str, _offset: int, _size: int, _value: int) -> None:
        """Called before the store; so what the one before has done is seen now."""
        if core:
            turn = self._acts(core)
            turn.wrote = mailbox, self._moment(core)

    def _settle_mailboxes(self) -> None:
        """What the last store to a mailbox has done."""
        turn = self._turn
        if turn is None or turn.wrote is None:
            return
        (mailbox, at_ns), turn.wrote = turn.wrote, None
        self._tell_accesses(turn)
        for what in self._mailboxes.stored(mailbox, turn.core):
            turn.happenings.append(Happening(turn.end_ns, turn.core, what, at_ns))
            if isinstance(what, NotificationSent):
                self._rung_ns[what.target] = at_ns

    def _mailbox_word(self, core: str, mailbox: str, offset: int) -> int:
        return self._bus.word(core, _base(self.platform, mailbox, core) + offset)

    def _raises(self, core: str, kind: int) -> None:
        pc = self._bus.pc(core) - (_SVC_SIZE if kind == SVC else 0)  # which is behind it then
        self._raised[core] = Raised(kind, pc, self._code(core, pc, 4) or self._code(core, pc, 2), self._moment(core))

    def _takes(self, core: str) -> None:
        turn = self._acts(core)
        number = self._word(core, cortex_m.ICSR) >> _VECTPENDING & 0x1FF  # it is active only later (DDI0403E B3.2.4)
        if not number:
            return  # the interrupt has gone away in the meantime
        rung = list(self._mailboxes.taken(core, number - cortex_m.FIRST_INTERRUPT))
        if rung:
            turn.late_ns = max(turn.late_ns, self._rung_ns.pop(core, 0) - self._bus.moment_ns(core))
        now = self._moment(core)
        self._happens(core, ExceptionTaken(number, exception_name(number), self._bus.pc(core)), now)
        raised = self._raised.get(core)
        # BKPT is a HardFault where no debugger listens; Renode takes it for one that DebugMonitor does (NVIC).
        if number in _FAULTS or (raised is not None and raised.kind == BKPT):
            for fault in self._faults(core, number):
                self._happens(core, fault, now)
        if number <= cortex_m.DEBUG_MONITOR:
            self._raised.pop(core, None)
        for each in rung:
            self._happens(core, each, now)

    def _cause(self, core: str, number: int) -> Cause:
        status = read_fault_status(lambda address: self._word(core, address))
        raised, vector = self._raised.get(core), self._vector_tables[core] + 4
        cause = cause_of(number, status, raised)
        begin = int.from_bytes(self._code(core, vector, 4), "little")
        if "INVSTATE" in cause.status.names and raised is not None and raised.pc == begin:
            what = f"the reset vector at {vector:#010x} is even ({begin:#010x}): not Thumb code"
            return dataclasses.replace(cause, what=what)
        return cause

    def _faults(self, core: str, number: int) -> Iterator[Fault]:
        """What is taken, by its own name where it is escalated to HardFault, and what comes of a stack that is none."""
        cause, registers, raised = self._cause(core, number), dict(self.registers(core)), self._raised.get(core)
        frame = (registers["SP"] - cortex_m.FRAME_BYTES) & ~7
        if raised is not None:
            registers["PC"] = raised.pc
        memory, images = self.memory(core), self._images[core]
        yield describe_fault(
            cause.exception, cause.status, cause.what, registers, memory, images, escalated=cause.escalated
        )
        if not self._code(core, frame, 4):
            what = f"stacking for {exception_name(number)} at {frame:#010x}, where there is no memory"
            status, escalated = FaultStatus(("STKERR",), None), number == cortex_m.HARD_FAULT
            yield describe_fault(cortex_m.BUS_FAULT, status, what, registers, memory, images, escalated=escalated)

    def _instruction(self, core: str, pc: int) -> int:
        """Where the instruction begins that made an access at this PC."""
        key = core, pc
        if key not in self._begins:
            self._begins[key] = pc - 2 if is_second_half(self._code(core, pc - 2, 6)) else pc
        return self._begins[key]

    def _code(self, core: str, address: int, size: int) -> bytes:
        """Instructions; b"" where there is no memory."""
        try:
            self.platform.parts(core, address, size)
        except TranslationError:
            return b""
        return self._bus.read(core, address, size)

    def _sleep(self, core: str, asleep: bool) -> None:
        if asleep:
            self._asleep.add(core)
        else:
            self._asleep.discard(core)

    def _sleeps(self, core: str) -> bool:
        """A core is told to be asleep when it is to go on for the first time after it fell asleep; and in a branch to
        itself too, which Renode takes for WFI (tlib: cpu_exec, and arch/arm/translate.c, 0xe7fe).
        """
        pc = self._bus.pc(core) & ~1
        if self._code(core, pc - 2, 2) in _WAITS or self._code(core, pc - 4, 4) in _WIDE_WAITS:
            return True
        return core in self._asleep and self._code(core, pc, 2) != _BRANCH_TO_ITSELF

    def _machine_reset(self) -> None:
        """Firmware asked for a reset: what was set by hand is gone, in Renode and on the chip."""
        self._end_turn()
        for core in self.platform.cores:
            self._bus.set_vector_table(core.name, self._vector_tables[core.name])
            if core.held:
                self._bus.set_halted(core.name, True)
                self._await_turn(core.name)
            self._held[core.name] = core.held
        for name, played in self._played.items():
            self._bus.set_halted(name, True)
            self._held[name] = True
            self._await_turn(name)
            played.reset()
        self._asleep.clear()
        self._locked_up.clear()
        self._raised.clear()
        why = f"{SYSTEM_RESET} requested by firmware"
        self._say(Event(self.time_ns, self.platform.cores[0].name, StateChanged(CoreState.RUNNING, why)))

    def _abort(self, core: str) -> None:
        """Renode has given a core up, and goes on with no other: the run ends, and there is none after it."""
        self._end_turn()
        self._given_up = core
        said = self._aborts.get(core)
        pc = self._bus.pc(core) if said is None else said.pc
        if said is None or not said.why.startswith(_OUTSIDE):
            raise EngineError(f"Renode has given up {core}", where=f"PC {pc:#010x}", found=said and said.why)
        registers, backtrace = self.registers(core), self.backtrace(core)
        what = f"executes at {pc:#010x}, where there is no memory"
        symbol = symbol_of(self._images[core], pc)
        fault = Fault("BusFault", ("IBUSERR",), None, pc, symbol, what, False, registers, backtrace)
        self._say(Event(self.time_ns, core, fault))
        self._stop_reason = StopReason.DEAD

    def _logged(self, line: LogLine) -> None:
        """Called before the core that is behind a line goes on."""
        entry = parse(line)
        if entry is None or self._is_host:
            return
        if isinstance(entry, Abort):
            self._aborts[entry.core] = entry
        elif isinstance(entry, Access):
            self._unmodelled(entry)
        elif entry.source not in _OWN_SOURCES and not (entry.source in self._images and not line.core):
            note = Note(f"{entry.source}: {entry.text}")
            if line.core:
                self._happens(line.core, note, self._moment(line.core))
            else:
                self._say(Event(self.time_ns, "", note))

    def _unmodelled(self, entry: Access) -> None:
        """Said once for each instruction and address."""
        core = entry.core if entry.core in self._images else _core_of(self.platform, entry.peripheral)
        if core == "":
            return  # the host's
        offset, model = entry.offset or 0, self._core(core)
        if entry.peripheral == model.nvic and offset in _CACHE_MAINTENANCE and model.model in cortex_m.CACHES:
            return  # there is nothing to maintain
        name = entry.peripheral.removesuffix(FRONT_SUFFIX)
        address = entry.address if entry.address is not None else _base(self.platform, name, core) + offset
        key = (core, entry.pc, address, entry.writes)
        if key in self._known_accesses:
            return
        self._known_accesses.add(key)
        symbol = symbol_of(self._images[core], entry.pc) if entry.pc else None
        value = self._stored(core, entry) if entry.writes else None
        access = UnmodelledAccess(entry.pc, symbol, address, entry.size, value, name, entry.what)
        self._happens(core, access, self._moment(core))

    def _word(self, core: str, address: int) -> int:
        return self._bus.word(core, address)

    def _stored(self, core: str, entry: Access) -> int:
        """What an instruction stores: a script's line does not say it, and a tag's says what it reads instead."""
        access = access_of(self._code(core, entry.pc, 4))
        if access is None or access.register is None:
            return entry.value or 0
        name = _WANTED[access.register]
        return self.registers(core)[name] & (1 << 8 * entry.size) - 1

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

    def _look(self) -> None:
        """At what comes without a hook."""
        self._note_holds()
        self._look_for_lockups()

    def _note_holds(self) -> None:
        for name, held in self._held.items():
            if not held and name not in self._restarted and self._bus.is_halted(name):
                self._held[name] = True
                self._await_turn(name)
                self._say(Event(self.time_ns, name, StateChanged(CoreState.HELD, "held by firmware")))

    def _look_for_lockups(self) -> None:
        for name in self._images:
            if name in self._locked_up or name not in self._ran or self._held[name]:
                continue
            if self._bus.pc(name) & ~1 == _LOCKUP_PC:
                self._locked_up.add(name)
                self._say(self._lockup(name))

    def _lockup(self, core: str) -> Event:
        """Where it was and why: PC is then an address of the architecture's (DDI0403E B1.5.15)."""
        raised, registers = self._raised.get(core), dict(self.registers(core))
        if raised is None:
            return Event(self.time_ns, core, Lockup(registers["PC"], None, "locked up", registers, ()))
        registers["PC"] = raised.pc
        what = self._cause(core, cortex_m.HARD_FAULT).what
        symbol = symbol_of(self._images[core], raised.pc)
        backtrace = backtrace_of(registers, self.memory(core), self._images[core])
        self._lockups[core] = backtrace
        return Event(raised.at_ns, core, Lockup(raised.pc, symbol, what, registers, backtrace))

    # --- the contract: firmware

    def load(self, core: str, image: Image, vector_table: int) -> None:
        self._core(core)
        refuse_outside(self.platform, core, image)
        if self._running:  # in a player's turn, where Renode loads no ELF file (SystemBus.LoadELF)
            with self._as_host():
                for segment in image.segments:
                    if segment.data:
                        self._bus.write(core, segment.load_address, segment.data)
        else:
            path = Path(self._scratch.name) / f"{core}-{len(self._images[core])}.elf"
            write(path, image.data)
            self._bus.load(core, path)
        self._begins.clear()
        self._images[core] = loaded_images(image, self._images[core])
        self._vector_tables[core] = vector_table
        self._bus.set_vector_table(core, vector_table)
        self.turns.host_wrote()

    def start(self, core: str) -> None:
        self._core(core)
        if core in self._played:
            self._start_played(self._played[core], "started")
        if core in self._played or not self._held[core]:
            return
        self._held[core] = False
        if core in self._ran and self._running:  # in a player's turn, where Renode's own reset waits for its end
            self._restarted.append(core)
            self._bus.end()
        else:
            self._let_go(core)
        self._say(Event(self.time_ns, core, StateChanged(CoreState.RUNNING, "started")))

    def _let_go(self, core: str) -> None:
        if core in self._ran:
            self._from_reset(core)
        self._ran.add(core)
        self._bus.set_halted(core, False)

    def hold(self, core: str) -> None:
        self._core(core)
        if core in self._played:
            self._played[core].held = True
        if self._held[core]:
            return
        self._held[core] = True
        self._bus.set_halted(core, True)
        self._say(Event(self.time_ns, core, StateChanged(CoreState.HELD, "held")))

    def reset(self, core: str) -> None:
        self._from_reset(core)
        if core in self._played:
            self._played[core].reset()
        self._bus.set_halted(core, self._held[core])
        self._say(Event(self.time_ns, core, StateChanged(self.state(core), "reset")))

    def _from_reset(self, core: str) -> None:
        model = self._core(core)
        self._bus.reset(core, model.nvic)
        self._bus.set_vector_table(core, self._vector_tables[core])
        self._locked_up.discard(core)
        self._asleep.discard(core)
        self._raised.pop(core, None)

    # --- the contract: time

    @property
    def time_ns(self) -> int:
        return self._bus.time_ns

    def run(self, timeout_ns: int, until: Condition | None = None) -> Stop:
        """Ends with the quantum in which the condition is met."""
        if self._given_up:
            return Stop(StopReason.DEAD, self.time_ns)
        self._met = self._conditions.met(until)
        if isinstance(until, MemoryEquals):
            self._hook(until.core, Extent(until.address, until.size))
        quantum = self._quantum_ns
        duration = -(-(self.time_ns + timeout_ns) // quantum) * quantum - self.time_ns
        self._stop_asked, self._stop_reason = False, None
        self._ran |= {name for name, held in self._held.items() if not held}
        for name, held in self._held.items():
            if held:
                self._await_turn(name)
        self._await_end()
        self._await_look()
        end = self.time_ns + duration
        self._advance(duration)
        while self._restarted:
            restarted, self._restarted = self._restarted, []
            for core in restarted:
                self._let_go(core)
            if self._stop_reason is None and self.time_ns < end:
                self._advance(end - self.time_ns)
        self._quantum_ends()
        for event in self.turns.unexplained(self.time_ns):
            self._say(event)
        return Stop(self._stop_reason or StopReason.TIMEOUT, self.time_ns)

    def _advance(self, duration_ns: int) -> None:
        self._running = True
        try:
            self._bus.run(duration_ns)
        finally:
            self._running = False

    def stop(self) -> None:
        self._stop_asked = True
        self._bus.end()

    # --- the contract: looking

    @property
    def consoles(self) -> Mapping[str, _Console]:
        return self._consoles

    def _core(self, name: str) -> Core:
        return core_named(self.platform, name)

    def state(self, core: str) -> CoreState:
        self._core(core)
        if core in self._played:
            return CoreState.HELD if self._played[core].held else CoreState.SLEEPING
        if self._held[core]:
            return CoreState.HELD
        if core in self._locked_up:
            return CoreState.LOCKED_UP
        return CoreState.SLEEPING if self._sleeps(core) else CoreState.RUNNING

    def memory(self, core: str) -> Memory:
        self._core(core)
        return View(self.platform, self.turns, core, self.host_writes)

    def _read_live(self, core: str, extent: Extent) -> bytes:
        return self._bus.read(core, extent.start, extent.size)

    def host_writes(self, core: str, address: int, data: bytes) -> None:
        """Store for the host: no watch is to see it."""
        with self._as_host():
            self._bus.write(core, address, data)
        self.turns.host_wrote(core, Extent(address, len(data)))

    def execute(self, command: str) -> str:
        """A command of the monitor; what it stores is the host's doing. One that lets time pass is not noticed."""
        with self._as_host():
            printed = self._bus.command(command)
        self.turns.host_wrote()
        return printed

    @contextlib.contextmanager
    def _as_host(self) -> Iterator[None]:
        before, self._is_host = self._is_host, True
        try:
            yield
        finally:
            self._is_host = before

    def registers(self, core: str) -> Mapping[str, int]:
        """Those that Renode has not are 0."""
        self._core(core)
        found = {_NAMES.get(name, name): value for name, value in self._bus.registers(core).items()}
        return {name: found.get(name, 0) for name in _WANTED}

    def backtrace(self, core: str) -> Backtrace:
        if core in self._played:
            return ()
        if core in self._locked_up:
            return self._lockups.get(core, ())
        return backtrace_of(self.registers(core), self.memory(core), self._images[core])

    def waiting(self, core: str) -> Waiting | None:
        """Nothing here can tell."""
        self._core(core)
        return None

    def data_cache(self, core: str) -> DataCache | None:
        """Nothing here can tell."""
        self._core(core)
        return None

    def instructions(self, core: str) -> int:
        self._core(core)
        return 0 if core in self._played else self._bus.cycles(core)

    def watch(self, name: str, core: str, extent: Extent) -> None:
        self._core(core)
        found = self.platform.region_at(core, extent.start)
        if found is None or found[1] + extent.size > found[0].size:
            raise EngineError("what is to be watched does not lie in one piece of memory", where=core, found=extent)
        told = self._hook(core, extent)
        self.turns.watch(name, core, extent, told=told)

    def _hook(self, core: str, extent: Extent) -> bool:
        """Hear of each store to these bytes, by whatever core and alias; False where that is more than Renode can."""
        aliases = [(each, Extent(at, extent.size)) for each, at in self.platform.aliases(core, extent.start)]
        if not self._bus.through_bus(aliases):
            return False
        found = self.platform.region_at(core, extent.start)
        assert found is not None
        region, offset = found
        wanted = Extent.between(max(0, offset - _MOST_PART), offset + extent.size)
        before = self._hooked.get(region.name, wanted)
        whole = Extent.between(min(before.start, wanted.start), max(before.end, wanted.end))
        if self._hooked.get(region.name) != whole:
            self._hooked[region.name] = whole
            bases = {each.name: at[0].start for each in self.platform.cores if (at := region.extents(each.name))}

            def stored(by: str, at: int, size: int, value: int) -> None:
                if by in bases and not self._is_host:
                    self._store(by, region.name, at, bases[by] + at, size, value)

            self._bus.on_store(region.name, whole.start, whole.size, stored)
        return True

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        self._core(core)
        found = self.platform.region_at(core, extent.start)
        if found is None or found[1] + extent.size > found[0].size:
            raise EngineError("what is to be observed does not lie in one piece of memory", where=core, found=extent)
        if not self._hook(core, extent):
            return frozenset()
        region, offset = found
        self._accesses.observe(name, Observed(region.name, offset, offset + extent.size, merge))
        wanted = Extent.between(max(0, offset - _MOST_PART), offset + extent.size)
        before = self._loads.get(region.name, wanted)
        whole = Extent.between(min(before.start, wanted.start), max(before.end, wanted.end))
        if self._loads.get(region.name) != whole:
            self._loads[region.name] = whole
            self._hear_loads(region)
        return frozenset(each.name for each in self.platform.cores if each.name not in self._played)

    def unobserve(self, name: str) -> None:
        self._accesses.observe(name, None)

    def _hear_loads(self, region: Region) -> None:
        self._unheard.discard(region.name)
        extent = self._loads[region.name]
        bases = {each.name: at[0].start for each in self.platform.cores if (at := region.extents(each.name))}

        def loaded(at: int, size: int, value: int) -> None:
            if not self._is_host:
                self._load(region, bases, at, size, value)

        self._bus.on_load(region.name, extent.start, extent.size, loaded)

    def unwatch(self, name: str) -> None:
        self.turns.unwatch(name)

    def play(self, core: str, player: Player) -> Played:
        model = self._core(core)
        if self.time_ns:
            raise UsageError("a core is played from power-on", where=core)
        played = Played(model, player, self._bus, self.turns, self.platform, self._mailboxes, self._as_host)
        self._played[core] = played
        self._held[core] = True
        self._bus.set_halted(core, True)
        return played

    def snapshot(self) -> NoReturn:
        raise CapabilityError("no snapshot", where="engine renode", advice="the unicorn engine has it")

    def restore(self, snapshot: object) -> NoReturn:
        raise CapabilityError("no snapshot", where="engine renode", advice="the unicorn engine has it")

    def close(self) -> None:
        self._listeners.clear()
        self._scratch.cleanup()


def _begin(platform: Platform, options: EngineOptions, scratch: Path, lost: Callable[[RptwinError], None]) -> Bus:
    files = export(platform, quantum_ns=options.quantum_ns, scripts=named)
    return RenodeSession(
        files,
        f"{platform.name}.repl",
        [core.name for core in platform.cores],
        [core.nvic for core in platform.cores],
        scratch,
        quantum_ns=options.quantum_ns,
        seed=options.seed,
        home=platform.path.resolve().parent,
        lost=lost,
    )


def _uarts(platform: Platform) -> list[str]:
    return [each.name for each in platform.peripherals if each.type.startswith("UART.")]


def _mailbox_peripherals(platform: Platform) -> Iterator[Peripheral]:
    names = {mailbox.peripheral for mailbox in platform.mailboxes}
    return (each for each in platform.peripherals if each.name in names)


def _base(platform: Platform, name: str, core: str) -> int:
    """Where a core finds a peripheral."""
    found = next((each for each in platform.peripherals if each.name == name), None)
    return next((at.address for at in found.registrations if at.seen_by(core)), 0) if found else 0


def _core_of(platform: Platform, nvic: str) -> str:
    """The core whose NVIC says something; "" for any other peripheral."""
    return next((core.name for core in platform.cores if core.nvic == nvic), "")
