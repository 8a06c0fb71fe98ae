"""A board: both cores of a platform with their firmware, run in virtual time and observed.

In: a platform, two ELF files and options; without one of the files Python plays its core. Out: memory by view,
consoles, what the observer saw, and a verdict that comes from memory and events alone. All times are virtual; text for
people is made in :mod:`orchestrator.report`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import astuple, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import Duration, parse_duration
from orchestrator.base.errors import EngineError, RptwinError, UsageError
from orchestrator.base.memory import Memory
from orchestrator.base.roles import MAIN, ROLES
from orchestrator.board.consoles import Consoles
from orchestrator.board.ends import END_TEXTS, End, EndReason, Progress
from orchestrator.board.faults import Fault, Seen, draw, inject_all, parse_faults, slowed
from orchestrator.board.images import load_images, load_others, vector_tables_of
from orchestrator.board.mistakes import refuse_mixed_up
from orchestrator.board.options import BoardOptions
from orchestrator.board.pair import pairs_of, play_cores
from orchestrator.board.rtt import Rtt
from orchestrator.board.until import Goal, Question, goal_of
from orchestrator.checks.finding import Finding
from orchestrator.checks.verdict import Verdict
from orchestrator.config import DEFAULT_PLATFORM, DEFAULT_TIMEOUT_NS
from orchestrator.engines.common.wall_time import WallTime
from orchestrator.engines.contract import (
    Coming,
    Condition,
    Engine,
    Foreseeing,
    Ordering,
    Snapshot,
    StopReason,
)
from orchestrator.engines.registry import create_engine
from orchestrator.events import Changed, Event, Listener, NotificationSent
from orchestrator.formats.elf import Image
from orchestrator.formats.resource_table import Table
from orchestrator.observe.live import LiveRing, LiveTrace, LiveView
from orchestrator.observe.observer import ObserveOptions, Observer
from orchestrator.observe.order import Barriers
from orchestrator.observe.run import Unmet
from orchestrator.observe.traffic import Buffer, MessageRecord
from orchestrator.platform import load_platform, refuse_without_pair
from orchestrator.platform.model import Platform

if TYPE_CHECKING:
    from orchestrator.host import Host, PythonRemote
    from orchestrator.vhost_user import Bridge, BridgeOptions

__all__ = ["Attendant", "Board", "BoardSnapshot", "Until"]

_SHOWING = frozenset((Changed, NotificationSent))  # events at which shared memory is looked at
_BARE = (
    "bytes without symbols: its table is found when the cores use it, or by --table 0xADDRESS; stacks, sections and"
    " lines of source are not looked at"
)
_OWN_MEMORY = ("renode", "qemu")  # engines that make the machine from text of their own
_EXCEPTION = 0x1FF  # of xPSR: the number of the exception whose handler runs (DDI0403E B1.4.2)

Until = str | Condition | Callable[["Board"], bool]
"""What ends a run: text for :func:`parse_until`, a condition of the engine, or a function asked every 10 ms."""


class Attendant(Protocol):
    """Who takes part in a run from outside: a debugger, the other end of a UART."""

    def is_attended(self) -> bool:
        """Whether anybody is there: then a run does not end because nothing happens, or because it takes long."""
        ...

    def between_pieces(self) -> None:
        """The board stands between two turns; it goes on when this returns."""
        ...


@dataclass(frozen=True, slots=True)
class BoardSnapshot:
    """A board at one moment: the engine's state and what the observer had seen."""

    engine: Snapshot
    observers: tuple[object, ...]  # of each pair
    rtt: object
    end: End | None

    @property
    def time_ns(self) -> int:
        """When it was taken."""
        return self.engine.time_ns


class Board:
    """The cores of a platform with firmware loaded, at power-on; use it as a context manager.

    What it is told are :class:`BoardOptions`, given whole or by the names of their fields:
    ``Board("stm32h745", main="main.elf", remote="remote.elf")``. The core of an image that is left out is played in
    Python (:attr:`host`, :attr:`python_remote`, which wants the table's address in ``table``).

    A platform may have further pairs of cores: those with an image among ``others`` run too, each observed and judged
    by itself (:attr:`pairs`). What is said of the board alone is of its first pair, but that it is up is of all.

    Raises :class:`~orchestrator.base.errors.RptwinError`: UsageError for options, ElfError for files, PlatformError for
    the platform, EngineError when a segment lies where the core has no memory.

    Larger than a class should be, as the door of the library: its methods hand on to pairs, images, ends and engine.
    """

    def __init__(
        self, platform: str | Platform = DEFAULT_PLATFORM, options: BoardOptions | None = None, **given: Any
    ) -> None:
        options = replace(options or BoardOptions(), **given)
        chip = load_platform(platform) if isinstance(platform, str) else platform
        schedule = options.schedule
        if schedule is not None:
            chip, options = schedule.platform(chip), replace(options, quantum_ns=schedule.quantum_ns)
        self.faults = self._drawn(chip, options)
        self.platform = slowed(options.with_memory(chip), self.faults)
        refuse_without_pair(self.platform)
        engines_platform = self.platform  # as it was described: names are for people
        if options.svd is not None:
            from orchestrator.formats.svd import load_svd  # noqa: PLC0415  # few runs have one

            self.platform = replace(self.platform, registers=load_svd(options.svd))
        self.images = load_images(options.main, options.remote)
        if not options.vtor:
            refuse_mixed_up(self.platform, self.images)
        others = load_others(self.platform, options.others)
        every = self.images | others
        looking = options.for_observer(self.platform)
        self.vector_tables = vector_tables_of(self.platform, every, options.vtor)
        self.quantum_ns = options.quantum_ns
        self.seed = options.seed
        self.end: End | None = None
        self.restored = 0  # how often it went back to a snapshot
        self._stopping = self._rehearses = False
        self._goal: Goal | None = None  # one that an event may meet
        self.quiet_for_ns = None if options.quiet_for is None else parse_duration(options.quiet_for, "quiet_for")
        self._console_size = options.console_size
        self._tells_order = options.order
        self.bridges: list[Bridge] = []
        self._attendants: list[Attendant] = []
        self._wall_time_ns = parse_duration(options.wall_time, "wall_time")
        self.engine: Engine = (
            create_engine(
                options.engine,
                engines_platform,
                options.for_engine(),
            )
            if isinstance(options.engine, str)
            else options.engine
        )
        try:
            if schedule is not None:
                schedule.refuse_on(self.engine.name, self.engine.capabilities)
            self._power_on(every, looking)
            if schedule is not None:
                schedule.begin(self.engine)
            inject_all(self.engine, self.faults, self.platform)
        except BaseException:
            self.engine.close()
            raise

    @staticmethod
    def _drawn(platform: Platform, options: BoardOptions) -> tuple[Fault, ...]:
        """The faults that are asked for; what they leave open is drawn from what a run without them does."""

        def seen() -> Seen:
            if not isinstance(options.engine, str):
                raise UsageError("an engine at power-on is for one run", where="faults", expected="exact ones")
            with Board(platform, replace(options, faults=())) as board:
                board.run()
                ledger = board.observer.run.ledger
                spans = [board.live.span, *(ring.span for ring in board.vrings)]
                extents = [span.seen_by(MAIN) for span in spans if span is not None]
                notified = Counter({role: ledger.sent_to(role) for role in ROLES})
                return Seen(notified, board.last_activity_ns, tuple(each for each in extents if each is not None))

        return draw(parse_faults(options.faults, platform), options.fault_seed, seen)

    def _power_on(self, images: Mapping[str, Image], looking: ObserveOptions) -> None:
        """Images are by role, and by name for cores without one."""
        cores = {name: self.platform.core(name).name for name in images}
        for name, image in images.items():
            self.engine.load(cores[name], image, self.vector_tables[name].address)
        self.pairs = pairs_of(self.platform, images, self.vector_tables, looking, self.engine)
        for pair in self.pairs.values():
            for image in pair.images.values():
                if image.is_bare:
                    pair.observer.run.notes.add(f"{image.name}: {_BARE}")
        self.engine.subscribe(self._observe)
        self.rtt = Rtt(cores, images, self.engine, self._observe, self._console_size)
        play_cores(
            self.engine,
            self.pairs.values(),
            self._dead_end,
            lambda: WallTime(self._wall_time_ns, self.engine.stop),
        )

    def _observe(self, event: Event) -> None:
        if self._rehearses:
            return
        for pair in self.pairs.values():
            if pair.on_event(event):
                self.engine.stop()
        goal = self._goal
        if goal is not None and type(event.detail) in _SHOWING and goal.met() is not None:
            self.engine.stop()

    def _runs_in_circles(self) -> EndReason | None:
        return next((reason for pair in self.pairs.values() if (reason := pair.runs_in_circles()) is not None), None)

    def _dead_end(self) -> str | None:
        reason = self._runs_in_circles()
        return None if reason is None else END_TEXTS[reason]

    @property
    def observer(self) -> Observer:
        """What was seen of the first pair."""
        return self.pairs[""].observer

    @property
    def host(self) -> Host:
        """Python as the main core; :class:`UsageError` on a board with firmware for it."""
        host = self.pairs[""].host
        if host is None:
            raise UsageError("main runs firmware of its own", where="host", advice="leave out the main image")
        return host

    @property
    def python_remote(self) -> PythonRemote:
        """Python as the remote core; :class:`UsageError` on a board with firmware for it."""
        remote = self.pairs[""].python_remote
        if remote is None:
            raise UsageError(
                "the remote runs firmware of its own", where="Python remote", advice="leave out the remote image"
            )
        return remote

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back everything that the engine holds."""
        for each in self.bridges:
            each.close()
        self.engine.close()

    def hand_out(self, options: BridgeOptions) -> Bridge:
        """Hand a vdev of the first pair to another process, before the board has run; it needs ``shares_memory``.

        CapabilityError on an engine without such memory, VhostUserError when nobody listens or it refuses.
        """
        from orchestrator.vhost_user import Bridge  # noqa: PLC0415  # few runs have one

        pair = self.pairs[""]
        notify = pair.observer.options.notify
        bridge = Bridge(pair.platform, pair.observer, self.engine, options, notify, self.stop)
        self.bridges.append(bridge)
        return bridge

    def attend(self, attendant: Attendant) -> None:
        """Have somebody take part in every run from now on."""
        self._attendants.append(attendant)

    # running

    def run(
        self,
        until: Until | None = None,
        timeout: Duration = DEFAULT_TIMEOUT_NS / 1e9,
        progress: Callable[[Progress], None] | None = None,
        attended: Callable[[], bool] | None = None,
        *,
        required: bool = True,
    ) -> End:
        """Run until a condition is met, or for at most ``timeout`` of virtual time from now; say which.

        Without a condition the run ends when RPTUN is up and nothing was written to shared memory or notified for as
        long as ``quiet_for`` says (by itself ``QUIET_NS``; ``UNANSWERED_NS`` while buffers were offered and none was
        used), unless it is ``attended`` then, by itself by those who :meth:`attend`.
        It also ends when no core can run again, at :meth:`stop`, and when wall time is up (not when it is attended).
        A condition that the firmware did not meet until then is a finding, ``run.until-not-met``, where it is
        ``required``; a function is the caller's own question, and for the caller to judge.
        KeyboardInterrupt and errors of the engine pass through; what was gathered until then stays.
        """
        if attended is None and self._attendants:
            attended = self._is_attended
        question: Question | str | Condition | None = until if not callable(until) else (lambda: until(self))
        goal = goal_of(self, question, attended)
        self._goal = goal if goal.is_of_events else None
        started = self.engine.time_ns
        deadline = started + parse_duration(timeout, "timeout")
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
            self._stopping, self._goal = False, None
            is_unmet = required and goal.awaited and reason is not EndReason.CONDITION and not reason.is_cut
            self._finish(reason, Unmet(goal.awaited, started) if is_unmet else None, goal.quiet_ns)
        assert self.end is not None
        return self.end

    def _is_attended(self) -> bool:
        return any(each.is_attended() for each in self._attendants)

    def run_for(self, duration: Duration) -> End:
        """Run for this much virtual time, whatever happens meanwhile; the reason is TIMEOUT, REPEATING or DEAD."""
        return self.run(until=_never, timeout=duration)

    @property
    def can_go_back(self) -> bool:
        """Whether it takes snapshots: no other process and no Python holds a part of what it is."""
        return not self.bridges and all(len(pair.images) == len(ROLES) for pair in self.pairs.values())

    def rehearse(self, duration_ns: int) -> None:
        """Run ahead and go back, with nobody looking: what follows is as it would have been and takes less time, as the
        engine knows the firmware by then. Where there is no way back, nothing is done.
        """
        if not self.can_go_back:
            return
        here, rtt = self.engine.snapshot(), self.rtt.snapshot()
        self._rehearses = True
        try:
            self.engine.run(duration_ns)
            for core in self.platform.cores:
                self.engine.backtrace(core.name)
                self.engine.waiting(core.name)
        finally:
            self._rehearses = False
            self.engine.restore(here)
            self.rtt.restore(rtt)

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
        self, goal: Goal, deadline: int, progress: Callable[[Progress], None] | None, wall: WallTime
    ) -> EndReason:
        repeats = False
        while True:
            cut = self._cut(wall)
            if cut is not None:
                return cut
            met = goal.met()
            if met is not None:
                return met
            now = self.engine.time_ns
            if now >= deadline:
                return EndReason.REPEATING if repeats else EndReason.TIMEOUT
            self.rtt.search()
            stop = self.engine.run(min(deadline - now, goal.piece_ns(repeats=repeats)), goal.condition)
            repeats = stop.repeats
            if progress is not None:
                cores = self.platform.cores
                progress(Progress(stop.time_ns, deadline, sum(self.engine.instructions(core.name) for core in cores)))
            for each in self._attendants:
                each.between_pieces()
            if stop.reason is StopReason.CONDITION:
                return EndReason.CONDITION
            if stop.reason is StopReason.DEAD:
                return EndReason.DEAD
            if stop.reason is StopReason.REQUESTED:
                return self._runs_in_circles() or self._cut(wall) or goal.met() or EndReason.INTERRUPTED

    def _finish(self, reason: EndReason, unmet: Unmet | None, quiet_ns: int) -> None:
        names = [core.name for core in self.platform.cores]
        self.end = End(reason, self.engine.time_ns)
        if reason is EndReason.QUIET:
            self.end = End(reason, self.engine.time_ns, quiet_ns, self._coming(quiet_ns))
        states, backtraces, waiting, exceptions, caches = {}, {}, {}, {}, {}
        barriers, device_memory = {}, {}
        with contextlib.suppress(RptwinError):  # an engine that failed may not know; what was seen is kept
            states = {name: self.engine.state(name) for name in names}
            backtraces = {name: self.engine.backtrace(name) for name in names}
            waiting = {name: self.engine.waiting(name) for name in names}
            exceptions = {name: self.engine.registers(name).get("XPSR", 0) & _EXCEPTION for name in names}
            caches = {name: self.engine.data_cache(name) for name in names}
            if self._tells_order and isinstance(self.engine, Ordering):
                barriers = {name: Barriers(*astuple(self.engine.ordered(name))) for name in names}
                device_memory = {name: self.engine.device_memory(name) for name in names}
        seen = (states, backtraces, waiting, exceptions, unmet, caches, barriers, device_memory)
        for pair in self.pairs.values():
            pair.observer.finish(self.end.time_ns, reason.value, *seen, cut=reason.cut)

    def _coming(self, quiet_ns: int) -> tuple[Coming, ...]:
        """What is armed and was not waited for, where the engine can tell."""
        if not isinstance(self.engine, Foreseeing):
            return ()
        roles = {core: role for role, core in self.platform.roles.items()}
        return tuple(replace(each, core=roles.get(each.core, each.core)) for each in self.engine.coming(quiet_ns))

    @property
    def time_ns(self) -> int:
        """Virtual time since power-on."""
        return self.engine.time_ns

    @property
    def time_s(self) -> float:
        """The same in seconds."""
        return self.engine.time_ns / 1e9

    def is_up(self) -> bool:
        """Every vdev of every pair is at DRIVER_OK and every vring resolved in both views."""
        return all(pair.observer.is_up() for pair in self.pairs.values())

    def is_answered(self) -> bool:
        """In every pair, of what was offered something was used; true as well when nothing was offered yet."""
        return all(pair.observer.is_answered() for pair in self.pairs.values())

    def is_asked(self) -> bool:
        """A core that Python plays was asked for something that it has not begun."""
        return any(pair.is_asked() for pair in self.pairs.values())

    @property
    def last_activity_ns(self) -> int:
        """When memory that a pair shares was last written or a notification last sent, or a fault is to be injected."""
        seen = (pair.observer.last_activity_ns for pair in self.pairs.values())
        return max((*seen, *(each.time_ns or 0 for each in self.faults)))

    def subscribe(self, listener: Listener) -> None:
        """Call this for every event from now on, in order."""
        self.engine.subscribe(listener)

    def snapshot(self) -> BoardSnapshot:
        """Cores, memory, devices, and what was observed so far; UsageError with a played core or a bridge."""
        if any(len(pair.images) < len(ROLES) for pair in self.pairs.values()):
            raise UsageError("no snapshot of a board on which Python plays a core", advice="restart the remote instead")
        if self.bridges:
            raise UsageError("no snapshot of a board of which another process works a vdev", where=self.bridges[0].path)
        return BoardSnapshot(
            self.engine.snapshot(),
            tuple(pair.observer.snapshot() for pair in self.pairs.values()),
            self.rtt.snapshot(),
            self.end,
        )

    def restore(self, snapshot: BoardSnapshot) -> None:
        """Go back to a snapshot of this board; what follows equals never having gone on."""
        self.engine.restore(snapshot.engine)
        for pair, taken in zip(self.pairs.values(), snapshot.observers, strict=True):
            pair.observer.restore(taken)
        self.rtt.restore(snapshot.rtt)
        self.end = snapshot.end
        self.restored += 1

    # looking

    def memory(self, core: str) -> Memory:
        """Memory as one core sees it, by role or name."""
        return self.engine.memory(self.platform.core(core).name)

    @property
    def consoles(self) -> Consoles:
        """Consoles by role, by UART name, and the trace buffers of each pair's remote."""
        return Consoles(self.engine, self.platform, self.rtt, self.pairs)

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
        return self.pairs[""].verdict()


def _never(board: Board) -> bool:
    return False
