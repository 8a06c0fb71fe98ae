"""The engine contract on Renode, in the child process.

Renode runs without a stop until the run is over: its hooks tell what a core does (``core_turns``), and here is what
makes a run of it, and what the host asks and does.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from orchestrator.base.console_output import ConsoleOutput, Fresh, LineStart
from orchestrator.base.errors import CapabilityError, RptwinError, UsageError
from orchestrator.base.memory import Extent, Memory
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.conditions import Conditions
from orchestrator.engines.common.cores import core_named
from orchestrator.engines.common.loading import loaded_images, refuse_outside
from orchestrator.engines.common.mailbox_monitor import MailboxMonitor
from orchestrator.engines.common.scratch import write
from orchestrator.engines.common.store_replay import Happening
from orchestrator.engines.contract import (
    Capability,
    Condition,
    EngineOptions,
    MemoryEquals,
    Player,
    Stop,
    StopReason,
)
from orchestrator.engines.renode.assemblies import as_known
from orchestrator.engines.renode.caches import CoreCaches
from orchestrator.engines.renode.compiled.exported import MODELS, exported
from orchestrator.engines.renode.complaints import Complaints, base_of
from orchestrator.engines.renode.core_turns import CoreTurns
from orchestrator.engines.renode.cores import BoardCore, Cores, HostScope
from orchestrator.engines.renode.exceptions import Exceptions
from orchestrator.engines.renode.observation import Observation
from orchestrator.engines.renode.played import Played, Players
from orchestrator.engines.renode.polls import PollWatch
from orchestrator.engines.renode.session import Bus, RenodeSession
from orchestrator.events import (
    RESET,
    SYSTEM_RESET,
    Backtrace,
    CoreState,
    DataCache,
    Event,
    Fault,
    Listener,
    Note,
    StateChanged,
    Waiting,
)
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Peripheral, Platform

__all__ = ["RenodeBoard"]

# How a session of Renode is begun: platform, its files, options, a folder, and whom to tell that it is lost.
Begin = Callable[[Platform, Mapping[str, str], EngineOptions, Path, Callable[[RptwinError], None]], Bus]

_LOOK_NS = 1_000_000  # between two looks for what no hook tells
_UNKNOWN_SIZE = 0x400  # bytes of a peripheral whose size nobody gives
# Where Renode departs from the hardware, and which rule looks for it.
_NOT_CHECKED = ("stores to flash, which succeed here (core.guest-error)",)


class _Console:
    def __init__(self, name: str, feed: Callable[[str, bytes], None], size: int, clock: Callable[[], int]) -> None:
        self.name = name
        self.received = ConsoleOutput(size, clock)
        self._feed = feed

    @property
    def output(self) -> bytes:
        return self.received.whole()

    @property
    def total(self) -> int:
        return len(self.received)

    def since(self, position: int) -> Fresh:
        return self.received.since(position)

    @property
    def line_starts(self) -> tuple[LineStart, ...]:
        return self.received.starts

    def write(self, data: bytes) -> None:
        self._feed(self.name, data)


class RenodeBoard:
    """Implements :class:`orchestrator.engines.contract.Engine`; ``begin`` makes the session, a fake one in tests.

    ``prepared`` is what :func:`~orchestrator.engines.renode.compiled.exported.exported` has made of the platform.

    Larger than a class should be, as the contract is: half of its methods hand on to the part that knows.
    """

    name = "renode"
    capabilities = frozenset(
        {Capability.WATCH, Capability.FAULTS, Capability.MONITOR, Capability.PLAY, Capability.ACCESSES}
    )

    def __init__(
        self,
        platform: Platform,
        options: EngineOptions,
        prepared: Mapping[str, str] | None = None,
        begin: Begin | None = None,
    ) -> None:
        if options.quantum_ns <= 0 or options.quantum_ns % 1000:
            raise UsageError("a quantum of Renode is whole microseconds", where="quantum", found=options.quantum_ns)
        self.platform = platform
        self._quantum_ns = options.quantum_ns
        self._scratch = tempfile.TemporaryDirectory(prefix="rptwin-")
        self._tell_lost: Callable[[RptwinError], NoReturn] | None = None
        with as_known():
            files = exported(platform, options.quantum_ns) if prepared is None else prepared
            self._bus = (begin or _begin)(platform, files, options, Path(self._scratch.name), self._lost)
        self._listeners: list[Listener] = []
        self._scope = HostScope()
        self._cores = Cores(platform, self._bus, self._scope)
        self._mailboxes = MailboxMonitor(platform, self._mailbox_word)
        self._turns = CoreTurns(
            *(self._bus, options.quantum_ns, self._cores, self._mailboxes),
            begins=self._begins,
            quantum_ends=self._quantum_ends,
            tell=self._tell_turn,
        )
        parts = self._bus, self._cores, self._turns, self._scope
        self._observation = Observation(platform, *parts, self._refuse)
        self._polls = PollWatch(platform, *parts)
        self._complaints = Complaints(self._cores, self._turns, self._scope, self._say)
        self._look_awaited = False
        self._caches: dict[str, CoreCaches] = {}
        self._players = Players(self._bus, self._cores.played, self._tell)
        self._given_up = False  # Renode has ended with a core
        self._met: Callable[[], bool] | None = None
        self._stop_asked = False
        self._stop_reason: StopReason | None = None
        self._running = False
        self._restarted: list[BoardCore] = []  # those that start from reset as soon as Renode stands still
        self._consoles = {
            name: _Console(name, self._bus.feed, options.console_size, lambda: self.time_ns)
            for name in _uarts(platform)
        }
        self._conditions = Conditions(
            platform, self._consoles, lambda core, extent: lambda: self._cores.read_live(core, extent)
        )
        with as_known():
            self._exceptions = Exceptions(self._bus, self._cores, self._mailboxes, self._turns)
            self._connect()

    def when_lost(self, tell: Callable[[RptwinError], NoReturn]) -> None:
        """Call this, on whatever thread, when Renode is about to end the process."""
        self._tell_lost = tell

    def _lost(self, error: RptwinError) -> None:
        """What its core has done until then is told first."""
        if self._tell_lost is not None:
            with contextlib.suppress(RptwinError):
                self._turns.end()
            self._tell_lost(error)

    def _connect(self) -> None:
        for name in self._consoles:
            self._bus.on_output(name, functools.partial(self._said, name))
        for core in self._cores:
            self._bus.on_sleep(core.name, functools.partial(setattr, core, "asleep"))
            if core.model.model in cortex_m.CACHES:
                caches = cortex_m.CACHES[core.model.model]
                self._caches[core.name] = CoreCaches(self._bus, core, caches, self._scope)
        for peripheral in _mailbox_peripherals(self.platform):
            stored = functools.partial(self._turns.stores_to_mailbox, peripheral.name)
            self._bus.on_store(peripheral.name, 0, peripheral.size or _UNKNOWN_SIZE, stored)
        self._bus.on_reset(self._machine_reset)
        self._bus.on_abort(self._abort)
        self._bus.on_log(self._complaints.heard)

    def _mailbox_word(self, core: str, mailbox: str, offset: int) -> int:
        return self._bus.word(core, base_of(self.platform, mailbox, core) + offset)

    # --- what hooks report

    def _said(self, console: str, byte: int) -> None:
        self._consoles[console].received.append(byte)
        if self._met is not None:
            self._turns.await_end()

    def _begins(self, name: str) -> None:
        """A core that was held gets its turn: firmware has let it go, or will, or it stays where it is for a player."""
        core = self._cores[name]
        if core.played is not None:
            self._bus.set_halted(name, True)
            self._turns.await_turn(name)
            self._start_played(core.played, "released by firmware")
        elif not self._bus.is_halted(name):
            core.held, core.ran = False, True
            self._turns.happens(name, StateChanged(CoreState.RUNNING, "released by firmware"))

    def _start_played(self, played: Played, why: str) -> None:
        if played.held:
            played.held, played.asked = False, True
            self._turns.await_end()
            self._say(Event(self.time_ns, played.core.name, StateChanged(CoreState.RUNNING, why)))

    def _tell_turn(self, happenings: Sequence[Happening]) -> None:
        self._observation.turn_told(happenings)
        self._tell(happenings)

    def _tell(self, happenings: Sequence[Happening]) -> None:
        with self._scope():
            for event in self._cores.turns.told(happenings):
                self._say(event)

    def _quantum_ends(self) -> None:
        self._turns.end_quantum()
        self._players.let_act(self._quantum_ends, self._turns.await_end)
        self._note_holds()
        for event in self._exceptions.lockups():
            self._say(event)
        if self._stop_reason is None:
            self._stop_reason = self._why_over()
            if self._stop_reason is not None:
                self._bus.end()

    def _await_look(self) -> None:
        """Lockups and what firmware does with the other core have no hook; nor has all that writes to memory."""
        if not self._look_awaited:
            self._look_awaited = True
            self._bus.at_quantum_end(self._look_again, self._bus.time_ns + _LOOK_NS)

    def _look_again(self) -> None:
        self._look_awaited = False
        self._quantum_ends()
        self._polls.look()
        self._await_look()

    def _why_over(self) -> StopReason | None:
        if self._stop_asked:
            return StopReason.REQUESTED
        if self._met is not None and self._met():
            return StopReason.CONDITION
        if not any(not core.held and not core.locked_up for core in self._cores) and not self._players.have_plans():
            return StopReason.DEAD
        return None

    def _note_holds(self) -> None:
        for core in self._cores:
            if not core.held and core not in self._restarted and self._bus.is_halted(core.name):
                core.held = True
                self._turns.await_turn(core.name)
                self._say(Event(self.time_ns, core.name, StateChanged(CoreState.HELD, "held by firmware")))

    def _machine_reset(self) -> None:
        """Firmware asked for a reset: what was set by hand is gone, in Renode and on the chip."""
        self._turns.end()
        for core in self._cores:
            self._bus.set_vector_table(core.name, core.vector_table)
            core.held = core.model.held or core.played is not None
            if core.held:
                self._bus.set_halted(core.name, True)
                self._turns.await_turn(core.name)
            if core.played is not None:
                core.played.reset()
            core.resets()
        for caches in self._caches.values():
            caches.reset()
        why = f"{SYSTEM_RESET} requested by firmware"
        self._say(Event(self.time_ns, self.platform.cores[0].name, StateChanged(CoreState.RUNNING, why)))

    def _abort(self, core: str) -> None:
        """Renode has given a core up, and goes on with no other: the run ends, and there is none after it."""
        self._turns.end()
        self._given_up = True
        self._say(Event(self.time_ns, core, self._complaints.end_of(core, self._bus.pc(core))))
        self._stop_reason = StopReason.DEAD

    def _refuse(self, core: str, fault: Fault) -> None:
        """The chip would not have served this access, which Renode has: what comes after it says nothing."""
        if not self._given_up:
            self._turns.happens(core, fault, self._turns.moment(core))
            self._given_up = True
            self._stop_reason = StopReason.DEAD
            self._bus.end()

    # --- events

    def subscribe(self, listener: Listener) -> None:
        first = not self._listeners
        self._listeners.append(listener)
        for what in _NOT_CHECKED if first else ():
            self._say(Event(self.time_ns, "", Note(f"not checked on renode: {what}")))

    def _say(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    # --- the contract: firmware

    def load(self, core: str, image: Image, vector_table: int) -> None:
        images = self._cores[core].images
        refuse_outside(self.platform, core, image)
        if self._running:  # in a player's turn, where Renode loads no ELF file (SystemBus.LoadELF)
            with self._scope():
                for segment in image.segments:
                    if segment.data:
                        self._bus.write(core, segment.load_address, segment.data)
        else:
            path = Path(self._scratch.name) / f"{core}-{len(images)}.elf"
            write(path, image.data)
            self._bus.load(core, path)
        self._cores.loaded(core, loaded_images(image, images), vector_table)
        self._bus.set_vector_table(core, vector_table)
        self._cores.turns.host_wrote()

    def start(self, core: str) -> None:
        started = self._cores[core]
        if started.played is not None:
            self._start_played(started.played, "started")
        if started.played is not None or not started.held:
            return
        started.held = False
        if started.ran and self._running:  # in a player's turn, where Renode's own reset waits for its end
            self._restarted.append(started)
            self._bus.end()
        else:
            self._let_go(started)
        self._say(Event(self.time_ns, core, StateChanged(CoreState.RUNNING, "started")))

    def _let_go(self, core: BoardCore) -> None:
        if core.ran:
            self._from_reset(core)
        core.ran = True
        self._bus.set_halted(core.name, False)

    def hold(self, core: str) -> None:
        held = self._cores[core]
        if held.played is not None:
            held.played.held = True
        if held.held:
            return
        held.held = True
        self._bus.set_halted(core, True)
        self._say(Event(self.time_ns, core, StateChanged(CoreState.HELD, "held")))

    def reset(self, core: str) -> None:
        again = self._cores[core]
        self._from_reset(again)
        if again.played is not None:
            again.played.reset()
        self._bus.set_halted(core, again.held)
        self._say(Event(self.time_ns, core, StateChanged(self.state(core), RESET)))

    def _from_reset(self, core: BoardCore) -> None:
        self._bus.reset(core.name, core.model.nvic, self._mailboxes.driven(core.name))
        self._bus.set_vector_table(core.name, core.vector_table)
        core.resets()
        if core.name in self._caches:
            self._caches[core.name].reset()

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
            self._observation.hook(until.core, Extent(until.address, until.size), f"until {until}")
        quantum = self._quantum_ns
        duration = -(-(self.time_ns + timeout_ns) // quantum) * quantum - self.time_ns
        self._stop_asked, self._stop_reason = False, None
        self._observation.guard()
        for core in self._cores:
            if core.held:
                self._turns.await_turn(core.name)
            else:
                core.ran = True
        self._turns.await_end()
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
        for event in self._cores.turns.unexplained(self.time_ns):
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

    def state(self, core: str) -> CoreState:
        return self._cores.state(core)

    def memory(self, core: str) -> Memory:
        return self._cores.memory(core)

    def host_writes(self, core: str, address: int, data: bytes) -> None:
        """Store for the host: no watch is to see it."""
        self._cores.host_writes(core, address, data)

    def execute(self, command: str) -> str:
        """A command of the monitor; what it stores is the host's doing. One that lets time pass is not noticed."""
        with self._scope():
            printed = self._bus.command(command)
        self._cores.turns.host_wrote()
        return printed

    def registers(self, core: str) -> Mapping[str, int]:
        """Those that Renode has not are 0."""
        return self._cores.registers(core)

    def backtrace(self, core: str) -> Backtrace:
        return self._cores.backtrace(core)

    def waiting(self, core: str) -> Waiting | None:
        return self._polls.waiting(self._cores[core])

    def data_cache(self, core: str) -> DataCache | None:
        core_named(self.platform, core)
        return self._caches[core].data_cache() if core in self._caches else None

    def instructions(self, core: str) -> int:
        return 0 if self._cores[core].played is not None else self._bus.cycles(core)

    def watch(self, name: str, core: str, extent: Extent) -> None:
        self._observation.watch(name, core, extent)

    def unwatch(self, name: str) -> None:
        self._observation.unwatch(name)

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        return self._observation.observe(name, core, extent, merge=merge)

    def unobserve(self, name: str) -> None:
        self._observation.unobserve(name)

    def play(self, core: str, player: Player) -> Played:
        played_core = self._cores[core]
        if self.time_ns:
            raise UsageError("a core is played from power-on", where=core)
        played = Played(
            *(played_core.model, player, self._bus, self._cores.turns, self.platform, self._mailboxes, self._scope)
        )
        played_core.played, played_core.held = played, True
        self._bus.set_halted(core, True)
        return played

    def snapshot(self) -> NoReturn:
        raise CapabilityError("no snapshot", where="engine renode", advice="the unicorn engine has it")

    def restore(self, snapshot: object) -> NoReturn:
        raise CapabilityError("no snapshot", where="engine renode", advice="the unicorn engine has it")

    def close(self) -> None:
        self._listeners.clear()
        self._scratch.cleanup()


def _begin(
    platform: Platform,
    files: Mapping[str, str],
    options: EngineOptions,
    scratch: Path,
    lost: Callable[[RptwinError], None],
) -> Bus:
    return RenodeSession(
        {name: text for name, text in files.items() if name != MODELS},
        f"{platform.name}.repl",
        [core.name for core in platform.cores],
        [core.nvic for core in platform.cores],
        scratch,
        models=files.get(MODELS, ""),
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
