"""Collects a :class:`Trace` of a board: made before the board runs, asked when it has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from itertools import islice, pairwise

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError
from orchestrator.board import Board, BoardPair, merged_lines
from orchestrator.engines.contract import Active, Capability
from orchestrator.events import (
    Accessed,
    CoreState,
    Event,
    ExceptionReturn,
    ExceptionTaken,
    Fault,
    GuestError,
    Lockup,
    NotificationIgnored,
    NotificationSent,
    NotificationTaken,
    StateChanged,
)
from orchestrator.formats.elf import Image
from orchestrator.trace.kept import MOST, Kept
from orchestrator.trace.model import (
    CodePlace,
    CoreSpan,
    ExceptionSpan,
    FaultMark,
    Notification,
    PairTrace,
    Trace,
    TraceCore,
)
from orchestrator.trace.pair import PairCollector

__all__ = ["TraceCollector"]

_DEEPEST = 512  # exceptions in each other: more are never left, or the engine does not tell
_MOST_PLACES = 20_000  # of a core
_MOST_LINES = 2_000  # of these: each takes some tenths of a millisecond to find
_WAKING = (ExceptionTaken, Accessed, NotificationSent, NotificationIgnored, StateChanged)


@dataclass(slots=True)
class _Exception:
    """One that may still go on."""

    core: str
    taken: ExceptionTaken
    began_ns: int
    ended_ns: int | None = None

    def span(self) -> ExceptionSpan:
        taken = self.taken
        return ExceptionSpan(
            self.core, taken.number, taken.name, self.began_ns, self.ended_ns, taken.return_address & ~1
        )


@dataclass(slots=True)
class _Sent:
    """A notification that may still be taken."""

    core: str
    detail: NotificationSent | NotificationIgnored
    sent_ns: int
    taken_ns: int | None = None

    def notification(self) -> Notification:
        detail = self.detail
        ignored = isinstance(detail, NotificationIgnored)
        pc = detail.pc if isinstance(detail, NotificationIgnored) else None
        sender = "" if self.core == detail.target else self.core
        return Notification(
            self.sent_ns, detail.mailbox, detail.channel, sender, detail.target, ignored, self.taken_ns, pc
        )


@dataclass(slots=True)
class _Sleeping:
    """A core fell asleep."""

    since_ns: int
    how: str
    woken_ns: int | None


@dataclass(slots=True)
class _Core:
    """What one core did, as far as it is told."""

    changes: Kept[tuple[int, CoreState, str]]
    sleeps: Kept[_Sleeping]
    exceptions: list[_Exception] = field(default_factory=list)  # it is in

    def spans(self, core: str, ended_ns: int) -> Iterator[CoreSpan]:
        """Its states, those in which it ran cut by those in which it slept."""
        changes = [*self.changes.items, (ended_ns, CoreState.HELD, "")]
        sleeps = iter([*self.sleeps.items, _Sleeping(ended_ns, "", ended_ns)])
        sleep = next(sleeps)
        for (began, state, why), (end, *_) in pairwise(changes):
            at, reason = began, why
            while state is CoreState.RUNNING and sleep.since_ns < end:
                since, woken = max(sleep.since_ns, at), min(end if sleep.woken_ns is None else sleep.woken_ns, end)
                if woken > since:
                    yield from _span(core, CoreState.RUNNING, at, since, reason)
                    yield from _span(core, CoreState.SLEEPING, since, woken, sleep.how)
                    at, reason = woken, "woken"
                if sleep.woken_ns is None or sleep.woken_ns > end:
                    break
                sleep = next(sleeps)
            yield from _span(core, state, at, end, reason)


def _span(core: str, state: CoreState, began_ns: int, ended_ns: int, why: str) -> Iterator[CoreSpan]:
    if ended_ns > began_ns:
        yield CoreSpan(core, state, began_ns, ended_ns, why)


class TraceCollector:
    """Hears every event of a board behind its observers; ``most`` of each kind of thing are kept, the first ones.

    Of a board that goes back to a snapshot, what is told begins there. Where a core fell asleep is asked of the engine.
    """

    def __init__(self, board: Board, most: int = MOST) -> None:
        self._board = board
        self._most = most
        engine = board.engine
        self._sleeper = engine if isinstance(engine, Active) and Capability.ACTIVITY in engine.capabilities else None
        self._firmware = {board.platform.core(name).name for name in board.vector_tables}
        self._begin()
        board.subscribe(self._listen)

    def _begin(self) -> None:
        board, engine, most = self._board, self._board.engine, self._most
        self._restored = board.restored
        self._began_ns = engine.time_ns
        self._cores = {core.name: _Core(Kept(most), Kept(most)) for core in board.platform.cores}
        for name, core in self._cores.items():
            core.changes.add(self._began_ns, (self._began_ns, engine.state(name), "power-on"))
        self._exceptions: Kept[_Exception] = Kept(most)
        self._faults: Kept[FaultMark] = Kept(most)
        self._notifications: Kept[_Sent] = Kept(most)
        self._signalled: dict[tuple[str, str, int | None], list[_Sent]] = {}  # not taken: target, mailbox, channel
        self._returns_are_told = False
        self._pairs = [PairCollector(pair, most, self._began_ns) for pair in board.pairs.values()]

    def _begin_where_restored(self) -> None:
        if self._restored != self._board.restored:
            self._begin()

    def _listen(self, event: Event) -> None:
        self._begin_where_restored()
        detail, core = event.detail, self._cores.get(event.core)
        for pair in self._pairs:
            pair.on_event(event)
        if core is not None and isinstance(detail, _WAKING):
            self._see_sleep(event.core, core)
        if isinstance(detail, (NotificationSent, NotificationIgnored)):  # no union, which would be made at each event
            self._signal(event, detail)
        elif core is None:
            return
        elif isinstance(detail, NotificationTaken):
            self._take(event, detail)
        elif isinstance(detail, ExceptionTaken):
            self._enter(event, core, detail)
        elif isinstance(detail, ExceptionReturn):
            self._leave(event.time_ns, core, detail)
        elif isinstance(detail, StateChanged):
            self._change(event.time_ns, core, detail.state, detail.why)
        elif isinstance(detail, Lockup):
            self._change(event.time_ns, core, CoreState.LOCKED_UP, detail.what)
            self._faults.add(event.time_ns, FaultMark(event.time_ns, event.core, "lockup", detail.what, detail.pc))
        elif isinstance(detail, Fault):
            self._faults.add(event.time_ns, FaultMark(event.time_ns, event.core, detail.name, detail.what, detail.pc))
        elif isinstance(detail, GuestError):
            name = "guest error"
            self._faults.add(event.time_ns, FaultMark(event.time_ns, event.core, name, detail.what, detail.pc))

    # cores

    def _see_sleep(self, name: str, core: _Core) -> None:
        if self._sleeper is None or name not in self._firmware:
            return
        sleep = self._sleeper.last_sleep(name)
        if sleep is None:
            return
        last = core.sleeps.items[-1] if core.sleeps.items else None
        if last is not None and last.since_ns == sleep.since_ns:
            last.woken_ns = sleep.woken_ns
        elif last is None or last.since_ns < sleep.since_ns:
            core.sleeps.add(sleep.since_ns, _Sleeping(sleep.since_ns, sleep.how, sleep.woken_ns))

    def _change(self, time_ns: int, core: _Core, state: CoreState, why: str) -> None:
        core.changes.add(time_ns, (time_ns, state, why))
        for each in core.exceptions:  # a reset forgets them
            each.ended_ns = time_ns
        core.exceptions.clear()

    def _enter(self, event: Event, core: _Core, detail: ExceptionTaken) -> None:
        taken = _Exception(event.core, detail, event.time_ns)
        self._exceptions.add(event.time_ns, taken)
        core.exceptions.append(taken)
        if len(core.exceptions) > _DEEPEST:
            del core.exceptions[0]

    def _leave(self, time_ns: int, core: _Core, detail: ExceptionReturn) -> None:
        self._returns_are_told = True
        for index in range(len(core.exceptions) - 1, -1, -1):
            if core.exceptions[index].taken.number == detail.number:
                core.exceptions.pop(index).ended_ns = time_ns
                return

    # notifications

    def _signal(self, event: Event, detail: NotificationSent | NotificationIgnored) -> None:
        sent = _Sent(event.core, detail, event.time_ns)
        self._notifications.add(event.time_ns, sent)
        if isinstance(detail, NotificationSent):
            waiting = self._signalled.setdefault((detail.target, detail.mailbox, detail.channel), [])
            if len(waiting) < _DEEPEST:
                waiting.append(sent)

    def _take(self, event: Event, detail: NotificationTaken) -> None:
        for channel in (*detail.channels, None):
            for sent in self._signalled.pop((event.core, detail.mailbox, channel), ()):
                sent.taken_ns = event.time_ns

    # the whole

    def trace(self) -> Trace:
        """What was seen until now."""
        self._begin_where_restored()
        board = self._board
        with contextlib.suppress(RptwinError):  # of an engine that failed: what was seen is kept
            for name, core in self._cores.items():
                self._see_sleep(name, core)
        ended_ns = board.engine.time_ns
        pairs = tuple(each.trace() for each in self._pairs)
        exceptions = tuple(each.span() for each in self._exceptions.items)
        notifications = tuple(each.notification() for each in self._notifications.items)
        kept = {
            "exceptions": self._exceptions,
            "faults": self._faults,
            "notifications": self._notifications,
            **{f"states of {name}": core.changes for name, core in self._cores.items()},
            **{f"sleeps of {name}": core.sleeps for name, core in self._cores.items()},
            **{name: each for pair in self._pairs for name, each in pair.kept.items()},
        }
        wanted = _addresses(exceptions, self._faults.items, notifications, pairs)
        return Trace(
            platform=board.platform.name,
            engine=board.engine.name,
            began_ns=self._began_ns,
            ended_ns=ended_ns,
            cores=tuple(TraceCore(core.name, _label(board, core.name)) for core in board.platform.cores),
            states=tuple(span for name, core in self._cores.items() for span in core.spans(name, ended_ns)),
            exceptions=exceptions,
            faults=tuple(self._faults.items),
            notifications=notifications,
            lines=merged_lines(board.consoles),
            pairs=pairs,
            places=_places(wanted, _images(board.pairs.values())),
            absent=tuple(self._absent()),
            left_out={name: left for name, each in kept.items() if (left := each.left_out) is not None},
        )

    def _absent(self) -> Iterator[str]:
        """What the engine does not tell."""
        engine = self._board.engine
        if self._sleeper is None:
            yield f"engine {engine.name} does not tell when a core sleeps"
        if Capability.ACCESSES not in engine.capabilities:
            yield f"engine {engine.name} does not tell accesses: times in rings and the table are those of turns"
        if self._exceptions.items and not self._returns_are_told:
            yield f"engine {engine.name} does not tell when exceptions return"


def _label(board: Board, core: str) -> str:
    return next((role for role, name in board.platform.roles.items() if name == core), core)


def _images(pairs: Iterable[BoardPair]) -> dict[str, Image]:
    return {pair.platform.core(role).name: image for pair in pairs for role, image in pair.images.items()}


def _addresses(
    exceptions: Iterable[ExceptionSpan],
    faults: Iterable[FaultMark],
    notifications: Iterable[Notification],
    pairs: Iterable[PairTrace],
) -> dict[str, dict[int, None]]:
    """Every address of code that a trace names, by core; those first of which the line says most."""
    found: dict[str, dict[int, None]] = {}
    named = [
        *((each.core, each.pc) for each in faults if each.pc),
        *((each.sender, each.pc) for each in notifications),
        *((each.core, each.pc) for pair in pairs for each in pair.ring_changes),
        *((each.core, each.pc) for pair in pairs for each in pair.table_changes),
        *((each.core, each.return_address) for each in exceptions if each.return_address),
    ]
    for core, pc in named:
        if pc is not None:
            found.setdefault(core, {})[pc] = None
    return found


def _places(wanted: Mapping[str, Iterable[int]], images: Mapping[str, Image]) -> dict[str, dict[int, CodePlace]]:
    return {
        core: {
            pc: CodePlace(image.symbol_at(pc), image.source_lines(pc) if number < _MOST_LINES else ())
            for number, pc in enumerate(islice(wanted[core], _MOST_PLACES))
        }
        for core, image in images.items()
        if core in wanted
    }
