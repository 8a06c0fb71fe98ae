"""A board: both cores of a platform with their firmware, run in virtual time and observed.

In: a platform, two ELF files and options; without one of the files Python plays its core. Out: memory by view,
consoles, what the observer saw, and a verdict that comes from memory and events alone. All times are virtual; text for
people is made in :mod:`orchestrator.report`.
"""

from __future__ import annotations

import contextlib
import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol

from orchestrator.base.durations import DEFAULT_QUANTUM_NS, Duration, format_duration, parse_duration
from orchestrator.checks.finding import Finding
from orchestrator.checks.verdict import Verdict, judge
from orchestrator.config import DEFAULT_PLATFORM, DEFAULT_TIMEOUT_NS, DEFAULT_WALL_TIME_NS
from orchestrator.engines import create_engine
from orchestrator.engines.common.console_match import TextMatch
from orchestrator.engines.contract import (
    SEMIHOSTING,
    Capability,
    Condition,
    ConsoleText,
    Engine,
    EngineOptions,
    MemoryEquals,
    Playing,
    Snapshot,
    StopReason,
)
from orchestrator.engines.wall_time import WallTime
from orchestrator.errors import CapabilityError, EngineError, RptwinError, UsageError
from orchestrator.events import Event, Listener, Lockup, NotificationTaken, StateChanged
from orchestrator.formats.elf import Image, load_elf
from orchestrator.formats.locator import LocatorKind, TableLocator, parse_locator
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.formats.resource_entry import Profile
from orchestrator.formats.resource_table import Table
from orchestrator.formats.translation import AddressRange
from orchestrator.host import Host, PythonRemote
from orchestrator.host.around import EngineSurroundings
from orchestrator.memory import Memory
from orchestrator.observe.live import LiveRing, LiveTrace, LiveView
from orchestrator.observe.observer import ObserveOptions, Observer
from orchestrator.observe.traffic import Buffer, MessageRecord
from orchestrator.platform import load_platform, refuse_without_pair
from orchestrator.platform.model import Core, Platform
from orchestrator.rtt import Rtt

__all__ = [
    "QUIET_NS",
    "Board",
    "BoardConsole",
    "BoardSnapshot",
    "Consoles",
    "End",
    "EndReason",
    "Progress",
    "Until",
    "VectorTable",
    "choose_vector_table",
    "parse_release",
    "parse_until",
]

QUIET_NS = 50_000_000  # nothing in shared memory and no notification for this long: the bring-up is over
UNANSWERED_NS = 1_500_000_000  # the same where one side offers buffers and the other has used none: RPTUN of NuttX
# looks again after 1 s (RPTUN_RETRY_PERIOD_US)
_PIECE_NS = 10_000_000  # how often a run looks whether it is over; not of the wall clock, so that runs repeat exactly
_MOST_RESETS = 100  # by firmware: more are for ever
_ROLES = ("main", "remote")

_WORD_CONDITION = re.compile(
    r"(?P<core>[\w.]+)@(?P<address>0[xX][0-9a-fA-F]{1,8})(?:&(?P<mask>0[xX][0-9a-fA-F]{1,8}))?="
    r"(?P<value>0[xX][0-9a-fA-F]{1,8}|\d{1,10})",
    re.ASCII,
)
_QUEUE = re.compile(r"vdev\[\d+\]\.vring\[\d+\]", re.ASCII)
_CONSOLE_CONDITION = re.compile(r"(?P<console>[\w.]+)(?P<kind>[:~])(?P<text>.+)", re.ASCII | re.DOTALL)
_UNTIL_WORDS = "up | CONSOLE:TEXT | CONSOLE~REGEX | CORE@0xADDRESS[&MASK]=VALUE"


class EndReason(enum.StrEnum):
    """Why a run ended."""

    QUIET = "quiet"
    CONDITION = "condition"
    TIMEOUT = "timeout"
    WALL_TIME = "wall-time"
    DEAD = "dead"
    RESETTING = "resetting"
    INTERRUPTING = "interrupting"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    @property
    def is_dead_end(self) -> bool:
        """Whether nothing that could be waited for will come any more."""
        return self in (EndReason.DEAD, EndReason.RESETTING, EndReason.INTERRUPTING)

    @property
    def is_cut(self) -> bool:
        """Whether it ended for a reason outside the board: what it has not reached says nothing about the firmware."""
        return self in (EndReason.WALL_TIME, EndReason.INTERRUPTED, EndReason.FAILED)


_END_TEXTS = {
    EndReason.QUIET: f"up, and shared memory quiet for {format_duration(QUIET_NS)}",
    EndReason.CONDITION: "the condition was met",
    EndReason.TIMEOUT: "timeout",
    EndReason.WALL_TIME: "wall time is up",
    EndReason.DEAD: "no core can run again",
    EndReason.RESETTING: "the firmware resets the chip again and again",
    EndReason.INTERRUPTING: "a core takes one notification again and again",
    EndReason.INTERRUPTED: "interrupted",
    EndReason.FAILED: "the engine failed",
}


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended, and when (virtual ns since power-on)."""

    reason: EndReason
    time_ns: int

    def __str__(self) -> str:
        return f"{_END_TEXTS[self.reason]} at {self.time_ns / 1e9:.6f} s"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    time_ns: int
    deadline_ns: int
    instructions: int  # of all cores since power-on


@dataclass(frozen=True, slots=True)
class VectorTable:
    """Where a core boots, and who said so."""

    core: str
    address: int
    how: str


class BoardConsole(Protocol):
    """Text that a core prints: a UART, or the buffer of a trace entry."""

    @property
    def name(self) -> str:
        """Name of the UART, or ``remote.trace``."""
        ...

    @property
    def output(self) -> bytes:
        """Everything so far."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes to the guest; :class:`UsageError` where nothing listens."""
        ...


class _TraceConsole:
    """The buffer of a trace entry, up to its first zero byte (Linux, remoteproc_debugfs)."""

    def __init__(self, name: str, board: Board, index: int) -> None:
        self.name = name
        self._board = board
        self._index = index

    @property
    def output(self) -> bytes:
        traces = self._board.live.traces
        if self._index >= len(traces):
            return b""
        extent = traces[self._index].span.seen_by("remote")
        if extent is None:
            return b""
        return self._board.memory("remote").read(extent.start, extent.size).partition(b"\0")[0]

    def write(self, data: bytes) -> None:
        raise UsageError("a trace buffer takes no input", where=self.name)


class Consoles(Mapping[str, BoardConsole]):
    """Consoles by role (``main``, ``remote``), or by UART where no role has it, and ``remote.trace``.

    Looking one up by the name of its UART always works. The trace of a second trace entry is ``remote.trace1``. What a
    core says by semihosting is ``main.semihosting``, by RTT ``main.rtt0``; listed once there is something.
    """

    def __init__(self, board: Board) -> None:
        self._board = board

    def _names(self) -> dict[str, str]:
        """Name of the console to name of the UART, in the order in which a report shows them."""
        platform = self._board.platform
        known = self._board.engine.consoles
        uarts = {role: uart for role, uart in self._given().items() if uart in known}
        hosted = {f"{role}{SEMIHOSTING}": f"{core}{SEMIHOSTING}" for role, core in platform.roles.items()}
        heard = {name: uart for name, uart in hosted.items() if uart in known and known[uart].output}
        spare = [name for name in known if name not in (*uarts.values(), *hosted.values())]
        return uarts | {name: name for name in spare} | heard

    def __getitem__(self, key: str) -> BoardConsole:
        uarts = self._board.engine.consoles
        uart = self._names().get(key, key)
        if key.endswith(SEMIHOSTING):
            uart = self._board.platform.core(key.removesuffix(SEMIHOSTING)).name + SEMIHOSTING
        if uart in uarts:
            return uarts[uart]
        inside = self._board.rtt.console(key) or self._in_memory().get(key)
        if inside is not None:
            return inside
        self._refuse_silent(key)
        raise UsageError("no such console", expected=" | ".join(dict.fromkeys((*self, *uarts))), found=key)

    def _given(self) -> dict[str, str]:
        """Role to the UART that the platform says, whether or not the engine has a model of it."""
        platform = self._board.platform
        return {role: platform.consoles[core] for role, core in platform.roles.items() if core in platform.consoles}

    def _refuse_silent(self, key: str) -> None:
        """:class:`UsageError` for a UART of which the engine has no model."""
        uart = self._given().get(key, key)
        for each in self._board.platform.peripherals:
            if each.name == uart and each.type.startswith("UART."):
                advice = "docs/writing-a-platform.md lists the types with a model; [models] in the .toml adds one"
                found = f"{uart}: {each.type}"
                raise UsageError("no model of this UART", where=f"console {key}", found=found, advice=advice)

    def __contains__(self, key: object) -> bool:
        return key in self._names() or key in self._board.engine.consoles or key in self._in_memory()

    def __iter__(self) -> Iterator[str]:
        yield from self._names()
        yield from self._in_memory()

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _in_memory(self) -> dict[str, BoardConsole]:
        names = [f"remote.trace{i or ''}" for i in range(len(self._board.live.traces))]
        traces = {name: _TraceConsole(name, self._board, i) for i, name in enumerate(names)}
        return {**self._board.rtt.consoles, **traces}


Until = str | Condition | Callable[["Board"], bool]
"""What ends a run: text for :func:`parse_until`, a condition of the engine, or a function asked every 10 ms."""


def parse_until(text: str, board: Board) -> Until:
    """``up``, ``CONSOLE:TEXT``, ``CONSOLE~REGEX`` or ``CORE@0xADDRESS[&MASK]=VALUE`` (a 32-bit word).

    :class:`UsageError` names what is accepted.
    """
    if text == "up":
        return Board.is_up
    word = _WORD_CONDITION.fullmatch(text)
    if word is not None:
        core = board.platform.core(word["core"]).name
        mask = int(word["mask"], 16) if word["mask"] else 0xFFFF_FFFF
        return MemoryEquals(core, int(word["address"], 16), 4, int(word["value"], 0), mask)
    console = _CONSOLE_CONDITION.fullmatch(text)
    if console is None:
        raise UsageError("not a condition", where="until", expected=_UNTIL_WORDS, found=repr(text))
    name, shown, regex = console["console"], console["text"], console["kind"] == "~"
    TextMatch(shown, regex=regex)  # refuses what is none
    if name.startswith("remote.trace") or board.rtt.console(name) is not None:
        return _memory_shows(name, shown, regex)
    return ConsoleText(board.consoles[name].name, shown, regex)


def _memory_shows(name: str, text: str, regex: bool) -> Callable[[Board], bool]:
    """Of a console in memory, which no engine looks at: what stands there is searched whole, for it may be a ring."""
    return lambda board: name in board.consoles and TextMatch(text, regex=regex).is_in(board.consoles[name].output)


def choose_vector_table(core: Core, image: Image, given: int | None) -> VectorTable:
    """Where a core boots: as given, the platform's boot address if a segment lies there, or the image's table."""
    if given is not None:
        return VectorTable(core.name, given, "given by --vtor")
    if any(core.boot_address in segment.load_extent for segment in image.segments):
        return VectorTable(core.name, core.boot_address, "the platform's boot address")
    return VectorTable(core.name, image.vector_table, f"the vector table of {image.name}")


@dataclass(frozen=True, slots=True)
class BoardSnapshot:
    """A board at one moment: the engine's state and what the observer had seen."""

    engine: Snapshot
    observer: object
    rtt: object
    end: End | None

    @property
    def time_ns(self) -> int:
        """When it was taken."""
        return self.engine.time_ns


class Board:
    """Both cores of a platform with firmware loaded, at power-on; use it as a context manager.

    ``main`` and ``remote`` are ELF files; the core of one that is left out is played in Python (:attr:`host`,
    :attr:`python_remote`, which wants the table's address in ``table``). ``vtor`` maps cores (role or name) to vector
    tables; ``maps`` are ``"PA:DA:SIZE"``; ``table`` is a locator (:func:`~orchestrator.formats.locator.parse_locator`);
    ``notify`` maps paths of vrings to mailbox channels, or, where Python rings a core, a mailbox's name to the channel
    that the core listens to. ``engine`` is a name, or an engine for this platform that is at power-on. ``wall_time`` is
    the time of this computer after which a run ends in any case, wherever virtual time is then.

    Raises :class:`~orchestrator.errors.RptwinError`: UsageError for options, ElfError for files, PlatformError for
    the platform, EngineError when a segment lies where the core has no memory.
    """

    def __init__(
        self,
        platform: str | Platform = DEFAULT_PLATFORM,
        *,
        main: str | Path | None = None,
        remote: str | Path | None = None,
        engine: str | Engine = "unicorn",
        profile: str = "auto",
        table: str | None = None,
        vtor: Mapping[str, int] | None = None,
        maps: Iterable[str] = (),
        nuttx_config: str | None = None,
        notify: Mapping[str, int] | None = None,
        quantum_ns: int = DEFAULT_QUANTUM_NS,
        seed: int = 0,
        wall_time: Duration = DEFAULT_WALL_TIME_NS / 1e9,
    ) -> None:
        self.platform = load_platform(platform) if isinstance(platform, str) else platform
        refuse_without_pair(self.platform)
        self.images = _load_images(main, remote)
        options = ObserveOptions(
            profile=_profile(profile),
            locator=None if table is None else parse_locator(table),
            maps=tuple(AddressRange.parse(each) for each in maps),
            notify=_notify(self.platform, notify or {}),
            release=parse_release(nuttx_config),
            quantum_ns=quantum_ns,
        )
        self.vector_tables = self._vector_tables(vtor or {})
        self.quantum_ns = quantum_ns
        self.seed = seed
        self.end: End | None = None
        self._stopping = False
        self._wall_time_ns = parse_duration(wall_time, "wall_time")
        self.engine: Engine = (
            create_engine(engine, self.platform, EngineOptions(quantum_ns=quantum_ns, seed=seed))
            if isinstance(engine, str)
            else engine
        )
        try:
            self._power_on(options)
        except BaseException:
            self.engine.close()
            raise

    def _vector_tables(self, given: Mapping[str, int]) -> dict[str, VectorTable]:
        by_core = {self.platform.core(name).name: address for name, address in given.items()}
        cores = {role: self.platform.core(role) for role in self.images}
        unknown = [name for name in by_core if name not in {core.name for core in cores.values()}]
        if unknown:
            raise UsageError("no firmware for this core", where="vtor", found=", ".join(unknown))
        return {role: choose_vector_table(c, self.images[role], by_core.get(c.name)) for role, c in cores.items()}

    def _power_on(self, options: ObserveOptions) -> None:
        for role, image in self.images.items():
            self.engine.load(self.platform.core(role).name, image, self.vector_tables[role].address)
        memories = {core.name: self.engine.memory(core.name) for core in self.platform.cores}
        self.observer = Observer(self.platform, self.images, memories, options, watcher=self.engine)
        self.engine.subscribe(self._observe)
        cores = {role: self.platform.core(role).name for role in self.images}
        self.rtt = Rtt(cores, self.images, self.engine, self.observer.on_event)
        self._host: Host | None = None
        self._python_remote: PythonRemote | None = None
        for role in _ROLES:
            if role not in self.images:
                self._play(role, options)

    def _observe(self, event: Event) -> None:
        self.observer.on_event(event)
        if isinstance(event.detail, StateChanged | NotificationTaken) and self._runs_in_circles() is not None:
            self.engine.stop()

    def _runs_in_circles(self) -> EndReason | None:
        run = self.observer.run
        if any(core.resets > _MOST_RESETS for core in run.cores.values()):
            return EndReason.RESETTING
        return EndReason.INTERRUPTING if any(run.ledger.never_cleared(role) for role in run.cores) else None

    def _dead_end(self) -> str | None:
        reason = self._runs_in_circles()
        return None if reason is None else _END_TEXTS[reason]

    def _play(self, role: str, options: ObserveOptions) -> None:
        """Put Python in the place of a core without firmware."""
        engine, observer = self.engine, self.observer
        if not isinstance(engine, Playing) or Capability.PLAY not in engine.capabilities:
            raise CapabilityError(
                f"no firmware for {role}, and no core played in Python",
                where=f"engine {engine.name}",
                advice="the unicorn engine has it; or give firmware for both cores",
            )
        core, peer = (self.platform.core(each).name for each in (role, "remote" if role == "main" else "main"))
        (other,) = self.images
        around = EngineSurroundings(
            engine,
            peer,
            self.images[other],
            self.vector_tables[other].address,
            lambda: self.observer,
            self._dead_end,
            lambda: WallTime(self._wall_time_ns, self.engine.stop),
        )
        if role == "main":
            self._host = Host(
                self.platform,
                observer.views,
                around,
                options.notify,
                promise=observer.promise,
                profile=observer.profile,
                images=self.images,
                release=options.release,
            )
            self._host.attach(engine.play(core, self._host))
            engine.hold(peer)
            engine.subscribe(self._tell_host)
        else:
            table = _table_of_a_python_remote(options.locator)
            self._python_remote = PythonRemote(self.platform, observer.views, around, options.notify, table=table)
            self._python_remote.attach(engine.play(core, self._python_remote))

    def _tell_host(self, event: Event) -> None:
        if self._host is not None and isinstance(event.detail, Lockup):
            self._host.crashed()

    @property
    def host(self) -> Host:
        """Python as the main core; :class:`UsageError` on a board with firmware for it."""
        if self._host is None:
            raise UsageError("main runs firmware of its own", where="host", advice="leave out the main image")
        return self._host

    @property
    def python_remote(self) -> PythonRemote:
        """Python as the remote core; :class:`UsageError` on a board with firmware for it."""
        if self._python_remote is None:
            raise UsageError(
                "the remote runs firmware of its own", where="Python remote", advice="leave out the remote image"
            )
        return self._python_remote

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back everything that the engine holds."""
        self.engine.close()

    # running

    def run(
        self,
        until: Until | None = None,
        timeout: Duration = DEFAULT_TIMEOUT_NS / 1e9,
        progress: Callable[[Progress], None] | None = None,
        attended: Callable[[], bool] | None = None,
    ) -> End:
        """Run until a condition is met, or for at most ``timeout`` of virtual time from now; say which.

        Without a condition the run ends when RPTUN is up and nothing was written to shared memory or notified for
        ``QUIET_NS`` (``UNANSWERED_NS`` while buffers were offered and none was used), unless it is ``attended`` then.
        It also ends when no core can run again, at :meth:`stop`, and when wall time is up (not when it is attended).
        KeyboardInterrupt and errors of the engine pass through; what was gathered until then stays.
        """
        goal = _goal(self, until, attended)
        deadline = self.engine.time_ns + parse_duration(timeout, "timeout")
        reason = EndReason.FAILED
        wall = WallTime(self._wall_time_ns if attended is None else None, self.engine.stop)
        try:
            with wall:
                reason = self._run_pieces(goal, deadline, progress, wall)
        except KeyboardInterrupt:
            reason = EndReason.INTERRUPTED
            raise
        except EngineError:  # perhaps because it did not stop
            reason = self._cut(wall) or reason
            raise
        finally:
            self._stopping = False
            self._finish(reason)
        return End(reason, self.engine.time_ns)

    def run_for(self, duration: Duration) -> End:
        """Run for this much virtual time, whatever happens meanwhile; the reason is TIMEOUT, or DEAD."""
        return self.run(until=_never, timeout=duration)

    def stop(self) -> None:
        """End the current run, or the next one, as INTERRUPTED; from a signal handler or another thread too."""
        self._stopping = True
        self.engine.stop()

    @property
    def is_stopping(self) -> bool:
        """Whether :meth:`stop` was called for the run that is under way."""
        return self._stopping

    def _cut(self, wall: WallTime) -> EndReason | None:
        if self._stopping:
            return EndReason.INTERRUPTED
        return EndReason.WALL_TIME if wall.is_up else None

    def _run_pieces(
        self, goal: _Goal, deadline: int, progress: Callable[[Progress], None] | None, wall: WallTime
    ) -> EndReason:
        while True:
            cut = self._cut(wall)
            if cut is not None:
                return cut
            met = goal.met()
            if met is not None:
                return met
            now = self.engine.time_ns
            if now >= deadline:
                return EndReason.TIMEOUT
            self.rtt.search()
            stop = self.engine.run(min(deadline - now, goal.piece_ns()), goal.condition)
            if progress is not None:
                cores = self.platform.cores
                progress(Progress(stop.time_ns, deadline, sum(self.engine.instructions(core.name) for core in cores)))
            if stop.reason is StopReason.CONDITION:
                return EndReason.CONDITION
            if stop.reason is StopReason.DEAD:
                return EndReason.DEAD
            if stop.reason is StopReason.REQUESTED:
                return self._runs_in_circles() or self._cut(wall) or EndReason.INTERRUPTED

    def _finish(self, reason: EndReason) -> None:
        names = [core.name for core in self.platform.cores]
        self.end = End(reason, self.engine.time_ns)
        states, backtraces, waiting = {}, {}, {}
        with contextlib.suppress(RptwinError):  # an engine that failed may not know; what was seen is kept
            states = {name: self.engine.state(name) for name in names}
            backtraces = {name: self.engine.backtrace(name) for name in names}
            waiting = {name: self.engine.waiting(name) for name in names}
        self.observer.finish(self.end.time_ns, reason.value, states, backtraces, waiting)

    @property
    def time_ns(self) -> int:
        """Virtual time since power-on."""
        return self.engine.time_ns

    @property
    def time_s(self) -> float:
        """The same in seconds."""
        return self.engine.time_ns / 1e9

    def is_up(self) -> bool:
        """Every vdev is at DRIVER_OK and every vring resolved in both views."""
        return self.observer.is_up()

    def subscribe(self, listener: Listener) -> None:
        """Call this for every event from now on, in order."""
        self.engine.subscribe(listener)

    def snapshot(self) -> BoardSnapshot:
        """Cores, memory, devices, and what was observed so far; UsageError with a core that Python plays."""
        if len(self.images) < len(_ROLES):
            raise UsageError("no snapshot of a board on which Python plays a core", advice="restart the remote instead")
        return BoardSnapshot(self.engine.snapshot(), self.observer.snapshot(), self.rtt.snapshot(), self.end)

    def restore(self, snapshot: BoardSnapshot) -> None:
        """Go back to a snapshot of this board; what follows equals never having gone on."""
        self.engine.restore(snapshot.engine)
        self.observer.restore(snapshot.observer)
        self.rtt.restore(snapshot.rtt)
        self.end = snapshot.end

    # looking

    def memory(self, core: str) -> Memory:
        """Memory as one core sees it, by role or name."""
        return self.engine.memory(self.platform.core(core).name)

    @property
    def consoles(self) -> Consoles:
        """Consoles by role, by UART name, and ``remote.trace``."""
        return Consoles(self)

    @property
    def live(self) -> LiveView:
        """The table and all that it leads to, as last seen."""
        return self.observer.live

    @property
    def table(self) -> Table | None:
        """The resource table in memory; None while there is none."""
        return self.live.table

    @property
    def vrings(self) -> tuple[LiveRing, ...]:
        """Every vring of every vdev, resolved in both views as far as it can be."""
        return self.live.rings

    @property
    def traces(self) -> tuple[LiveTrace, ...]:
        """Trace entries and their buffers."""
        return self.live.traces

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """Every buffer that a descriptor ever named, by address, with its owner and history."""
        return tuple(buffer for _, buffer in sorted(self.observer.run.traffic.buffers.items()))

    @property
    def messages(self) -> tuple[MessageRecord, ...]:
        """RPMsg messages in order: the first and the last ones of each vdev where there were many."""
        kept: dict[int, MessageRecord] = {}
        for log in self.observer.run.traffic.messages.values():
            kept |= {id(record): record for record in (*log.first, *log.last)}
        return tuple(sorted(kept.values(), key=lambda record: record.time_ns))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong so far; causes first, each with what follows from it."""
        return self.verdict().findings

    def verdict(self) -> Verdict:
        """The verdict on everything up to now, from memory and events only."""
        return judge(self.observer, {role: table.address for role, table in self.vector_tables.items()})


def _load_images(main: str | Path | None, remote: str | Path | None) -> dict[str, Image]:
    if main is None and remote is None:
        raise UsageError("no firmware", expected="an ELF file for main, for the remote, or for both", found="neither")
    return {role: load_elf(path) for role, path in (("main", main), ("remote", remote)) if path is not None}


def _table_of_a_python_remote(locator: TableLocator | None) -> int:
    if locator is None or locator.kind is not LocatorKind.ADDRESS or locator.image == "main":
        raise UsageError(
            "no place for the resource table of a Python remote",
            where="table",
            expected="remote:0xADDRESS, where main looks for it as the remote addresses it",
            found=locator or "nothing",
        )
    return locator.address


def _notify(platform: Platform, given: Mapping[str, int]) -> dict[str, int]:
    mailboxes = [each.peripheral for each in platform.mailboxes]
    for name in given:
        if name not in mailboxes and _QUEUE.fullmatch(name) is None:
            expected = " | ".join(["vdev[0].vring[1]", *mailboxes])
            raise UsageError("neither a queue nor a mailbox", where="notify", expected=expected, found=name)
    return dict(given)


def _profile(name: str) -> Profile | None:
    if name == "auto":
        return None
    try:
        return Profile(name)
    except ValueError:
        accepted = " | ".join(("auto", *Profile))
        raise UsageError("no such profile", expected=accepted, found=name) from None


def parse_release(text: str | None) -> NuttxRelease | None:
    """The layout of a NuttX release such as ``12.13``, which is that of the newest one not after it."""
    if text is None:
        return None
    try:
        wanted = tuple(int(part) for part in text.split("."))
    except ValueError:
        wanted = ()
    if not wanted:
        raise UsageError("not a NuttX release", where="nuttx-config", expected="as 12.13", found=repr(text))
    older = [each for each in NuttxRelease if tuple(int(part) for part in each.split(".")) <= wanted]
    return older[-1] if older else NuttxRelease.V9_0


def _never(board: Board) -> bool:
    return False


class _Goal(Protocol):
    """What a run waits for."""

    condition: Condition | None

    def met(self) -> EndReason | None:
        """Why the run is over, if it is."""
        ...

    def piece_ns(self) -> int:
        """How long to run before asking again."""
        ...


class _Quiet:
    """Up, and nothing more goes on."""

    condition: Condition | None = None

    def __init__(self, board: Board, attended: Callable[[], bool] | None) -> None:
        self._board = board
        self._attended = attended

    def _missing_ns(self) -> int:
        """How much longer it has to stay quiet."""
        patience = QUIET_NS if self._board.observer.is_answered() else UNANSWERED_NS
        return self._board.observer.last_activity_ns + patience - self._board.time_ns

    def met(self) -> EndReason | None:
        if self._attended is not None and self._attended():
            return None
        return EndReason.QUIET if self._board.is_up() and self._missing_ns() <= 0 else None

    def piece_ns(self) -> int:
        missing = self._missing_ns() if self._board.is_up() else 0
        return missing if missing > 0 and self._attended is None else _PIECE_NS


class _Asked:
    """A function of the board says so."""

    condition: Condition | None = None

    def __init__(self, board: Board, question: Callable[[Board], bool]) -> None:
        self._board = board
        self._question = question

    def met(self) -> EndReason | None:
        return EndReason.CONDITION if self._question(self._board) else None

    def piece_ns(self) -> int:
        return _PIECE_NS


class _Conditional:
    """The engine says so, of what happens in the whole run and not in a piece of it."""

    def __init__(self, board: Board, condition: Condition) -> None:
        if isinstance(condition, ConsoleText) and condition.since is None:
            console = board.engine.consoles.get(condition.uart)  # the engine refuses one that it has not
            condition = replace(condition, since=None if console is None else len(console.output))
        self.condition: Condition | None = condition

    def met(self) -> EndReason | None:
        return None

    def piece_ns(self) -> int:
        return _PIECE_NS


def _goal(board: Board, until: Until | None, attended: Callable[[], bool] | None) -> _Goal:
    if isinstance(until, str):
        until = parse_until(until, board)
    if until is None:
        return _Quiet(board, attended)
    if isinstance(until, ConsoleText | MemoryEquals):
        return _Conditional(board, until)
    assert callable(until)
    return _Asked(board, until)
