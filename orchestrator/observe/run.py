"""What a run has shown so far: milestones, cores, notifications, traffic. Plain data, bounded, ready for a snapshot."""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.events import (
    Backtrace,
    CoreState,
    DataCache,
    Fault,
    GuestError,
    Lockup,
    StateChanged,
    UnmodelledAccess,
    Waiting,
)
from orchestrator.observe.coherence import Incoherences
from orchestrator.observe.faults import FaultPlace, Faults
from orchestrator.observe.history import History
from orchestrator.observe.order import Orders
from orchestrator.observe.stacks import StackGuard
from orchestrator.observe.traffic import HISTORY, Actor, Traffic
from orchestrator.platform.model import RegisterNames

__all__ = ["Channel", "CoreRun", "Cut", "Injected", "Ledger", "Milestone", "Run", "Tally", "Unmet"]

_FOR_EVER = 5_000  # exceptions of one channel, and
_EACH = 100  # for each notification on it: firmware that takes so many does nothing else any more
_MAX_KEPT = 64  # distinct accesses, errors and notes; the rest is only counted


class Cut(enum.Enum):
    """Who cut a run short, if it did not come to an end of its own."""

    BY_NOBODY = enum.auto()
    BY_CALLER = enum.auto()  # who ran it, or its wall time
    BY_ENGINE = enum.auto()  # it failed: what it can still read of memory is no evidence either


@dataclass(frozen=True, slots=True)
class Milestone:
    """A step of the bring-up, the first time that it was seen."""

    time_ns: int
    core: str  # role of the core that took it, "" when nobody knows
    name: str
    detail: str = ""

    def to_json(self) -> dict[str, object]:
        """Plain values in a stable order."""
        return {"time_ns": self.time_ns, "core": self.core or None, "name": self.name, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was injected, when it happened; ``core`` is a role, or the name of a core without one."""

    time_ns: int
    core: str
    fault: str  # as it was asked for
    what: str

    def __str__(self) -> str:
        return f"{self.time_ns / 1e6:.3f} ms: {self.what} ({self.fault})"

    def to_json(self) -> dict[str, object]:
        """Plain values in a stable order."""
        return {"time_ns": self.time_ns, "core": self.core, "fault": self.fault, "what": self.what}


@dataclass(slots=True)
class Tally:
    """Distinct things with how often each happened; past ``_MAX_KEPT`` kinds only the total goes on."""

    counts: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def add(self, text: str) -> None:
        """Count one more."""
        self.total += 1
        if text in self.counts or len(self.counts) < _MAX_KEPT:
            self.counts[text] += 1

    def to_json(self) -> list[dict[str, object]]:
        """Plain values in a stable order."""
        return [{"what": what, "count": count} for what, count in sorted(self.counts.items())]


class Channel(NamedTuple):
    """A way to interrupt a core: bit of a mailbox, None where it has only one."""

    target: str  # role
    mailbox: str
    number: int | None

    def __str__(self) -> str:
        return self.mailbox if self.number is None else f"{self.mailbox} channel {self.number}"


@dataclass(slots=True)
class Ledger:
    """Notifications per core and channel, and which ring each channel seems to serve."""

    sent: Counter[Channel] = field(default_factory=Counter)
    taken: Counter[Channel] = field(default_factory=Counter)
    ignored: Counter[Channel] = field(default_factory=Counter)
    last_sent_ns: dict[Channel, int] = field(default_factory=dict)
    last_taken_ns: dict[str, int] = field(default_factory=dict)  # by target
    last_ignored_ns: dict[Channel, int] = field(default_factory=dict)
    last_ignored_pc: dict[Channel, int] = field(default_factory=dict)  # of the instruction that signalled it
    recent: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=256))  # sent when, and to whom
    listened_ns: dict[Channel, int] = field(default_factory=dict)  # when its target enabled it first
    lost: dict[Channel, tuple[int, int]] = field(default_factory=dict)  # signalled when, enabled without a trace when
    votes: dict[tuple[str, str], Counter[int | None]] = field(default_factory=dict)  # by ring and target

    def told_between(self, target: str, begin_ns: int, end_ns: int) -> bool | None:
        """Whether a notification went to a core in this time; None: that is too long ago to know."""
        for time_ns, to in reversed(self.recent):
            if time_ns < begin_ns:
                break
            if to == target and time_ns <= end_ns:
                return True
        return None if self.recent and self.recent[0][0] > end_ns else False

    def listens(self, channel: Channel, time_ns: int, *, waiting: bool) -> None:
        """A core has enabled a channel; ``waiting``: what was signalled before interrupts it now."""
        self.listened_ns.setdefault(channel, time_ns)
        before = self.last_ignored_ns.get(channel)
        if before is not None and not waiting:
            self.lost.setdefault(channel, (before, time_ns))

    def sent_to(self, target: str) -> int:
        """How many reached a core, over all channels."""
        return sum(count for channel, count in self.sent.items() if channel.target == target)

    def taken_by(self, target: str) -> int:
        """How many exceptions a core took for them."""
        return sum(count for channel, count in self.taken.items() if channel.target == target)

    def is_never_cleared(self, targets: Iterable[str]) -> bool:
        """Whether any of these cores has such a channel."""
        if max(self.taken.values(), default=0) < _FOR_EVER:
            return False  # as nearly always, and this is asked at every exception
        return any(map(self.never_cleared, targets))

    def never_cleared(self, target: str) -> tuple[Channel, ...]:
        """Channels whose exception a core takes for ever: its handler leaves them pending."""
        return tuple(
            channel
            for channel, count in self.taken.items()
            if channel.target == target
            and count >= _FOR_EVER
            and count >= _EACH * (self.sent_to(target) if channel.number is None else self.sent[channel])
        )

    def last_sent_to(self, target: str, number: int | None = None) -> int | None:
        """When the last one went to a core, on one channel or on any."""
        times = [
            time
            for channel, time in self.last_sent_ns.items()
            if channel.target == target and (number is None or channel.number == number)
        ]
        return max(times, default=None)

    def ignored_since(self, target: str, since_ns: int) -> tuple[Channel, ...]:
        """Channels that were signalled to a core since then and that it has not enabled."""
        return tuple(sorted(c for c, time in self.last_ignored_ns.items() if c.target == target and time >= since_ns))

    def serves(self, ring: str, target: str) -> int | None:
        """The channel that tells a core of a ring, if every observation agrees; None: known per core only."""
        votes = self.votes.get((ring, target), Counter())
        return next(iter(votes)) if len(votes) == 1 else None

    def to_json(self, given: Mapping[str, int]) -> dict[str, object]:
        """Plain values in a stable order."""
        channels = sorted({*self.sent, *self.taken, *self.ignored}, key=str)
        queues = [
            {
                "ring": ring,
                "target": target,
                "channel": given.get(ring, self.serves(ring, target)),
                "how": "given" if ring in given else ("learned" if len(votes) == 1 else "per core only"),
            }
            for (ring, target), votes in sorted(self.votes.items())
        ]
        return {
            "channels": [
                {
                    "target": each.target,
                    "mailbox": each.mailbox,
                    "channel": each.number,
                    "sent": self.sent[each],
                    "taken": self.taken[each],
                    "ignored": self.ignored[each],
                }
                for each in channels
            ],
            "queues": queues,
        }


@dataclass(slots=True)
class CoreRun:
    """What one core did."""

    role: str
    name: str
    state: CoreState | None = None
    why: str = ""
    released_ns: int | None = None
    slept: bool = False
    exceptions: int = 0
    has_notified: bool = False
    has_written: bool = False  # to memory that both cores reach
    faults: list[tuple[int, Fault]] = field(default_factory=list)  # the first few, with their time
    fault_count: int = 0
    served: Faults = field(default_factory=Faults)  # what became of them
    lockup: tuple[int, Lockup] | None = None
    resets: int = 0  # of the whole chip, that it asked for
    last_reset: tuple[int, StateChanged] | None = None
    reset_ns: int | None = None  # when it was last reset alone, by nobody's firmware
    errors: list[tuple[int, GuestError]] = field(default_factory=list)
    error_count: int = 0
    backtrace: Backtrace = ()
    waiting: Waiting | None = None
    data_cache: DataCache | None = None
    exception: int = 0  # number of the exception whose handler it is in at the end; 0: none
    taken_ns: dict[int, int] = field(default_factory=dict)  # by exception number: when it was taken last
    interrupted_ns: dict[int, int] = field(default_factory=dict)  # by address: when an exception first came in there
    slept_ns: int | None = None  # when it last fell asleep
    acted_ns: int | None = (
        None  # when it last did something that can be seen: woke, stored, notified, took an exception
    )

    def see_exception(self, time_ns: int, number: int, return_address: int) -> None:
        """An exception came in."""
        self.served.enter(number)
        self.exceptions += 1
        self.taken_ns[number] = self.acted_ns = time_ns
        if len(self.interrupted_ns) < _MAX_KEPT:
            self.interrupted_ns.setdefault(return_address & ~1, time_ns)

    def act(self, time_ns: int) -> None:
        """It does something that can be seen: it stores to shared memory, notifies, or falls asleep."""
        self.acted_ns = time_ns
        if self.served.waiting:
            self.served.act()

    def handled_faults(self, time_ns: int) -> tuple[FaultPlace, ...]:
        """Where it took faults that its handlers served."""
        if self.served.runs_away:
            return ()
        return tuple(each for each in self.served.places.values() if self.served.is_handled(each, time_ns))

    def fatal_faults(self, time_ns: int) -> tuple[FaultPlace, ...]:
        """Where it took faults that were not served, as far as is known by now."""
        if self.served.runs_away:
            return tuple(self.served.places.values())
        return tuple(each for each in self.served.places.values() if not self.served.is_handled(each, time_ns))

    @property
    def is_silent(self) -> bool:
        """It ran, and nothing that it did can be seen from outside."""
        return (
            self.state is CoreState.RUNNING
            and not self.slept
            and not self.exceptions
            and not self.has_notified
            and not self.has_written
            and not self.faults
        )

    @property
    def waits_for(self) -> tuple[str, ...]:
        """What it polls to no end, a line each: ``reads hsem at 0x58026484 and sees 0x80000100 each time``."""
        polls = self.waiting.polls if self.waiting is not None else ()
        return tuple(
            f"reads {poll.peripheral or 'memory'} at {poll.address:#010x} and sees {poll.value:#x} each time"
            for poll in polls[:4]
        )

    @property
    def where(self) -> str:
        """Where it is at the end: ``main_loop+0x12 <- main``."""
        return " <- ".join(frame.symbol or f"{frame.pc:#010x}" for frame in self.backtrace[:4])


@dataclass(frozen=True, slots=True)
class Unmet:
    """What a run was to wait for and did not see."""

    what: str  # as it was asked for
    since_ns: int


@dataclass(slots=True)
class Run:
    """Everything that was seen of a run."""

    cores: dict[str, CoreRun]  # by role
    time_ns: int = 0
    ended: str | None = None  # why; None: it goes on
    cut: Cut = Cut.BY_NOBODY
    unmet: Unmet | None = None  # of the last run, where several went on from each other
    stopped: dict[str, Actor] = field(default_factory=dict)  # by vdev path: who took DRIVER_OK back for a reset
    milestones: list[Milestone] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
    ledger: Ledger = field(default_factory=Ledger)
    history: History = field(default_factory=History)
    unmodelled: Tally = field(default_factory=Tally)
    notes: Tally = field(default_factory=Tally)
    injected: list[Injected] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)  # vdevs whose device is another process, which acts at any time
    stacks: dict[str, StackGuard] = field(default_factory=dict)  # by role, where accesses are told
    coherence: Incoherences = field(default_factory=Incoherences)  # where data caches are modelled
    orders: Orders | None = None  # where barriers are told
    dynamic: dict[str, bool] = field(default_factory=dict)  # rings whose address the host was to choose
    driver_ok_ns: dict[str, int] = field(default_factory=dict)  # by vdev path: when it last came to DRIVER_OK
    up_ns: int | None = None
    last_activity_ns: int = 0
    _reached: set[tuple[str, str]] = field(default_factory=set)  # core and name of the milestones

    def reach(self, time_ns: int, core: str, name: str, detail: str = "") -> None:
        """Note a milestone the first time."""
        if (core, name) not in self._reached and len(self.milestones) < 4 * _MAX_KEPT:
            self._reached.add((core, name))
            self.milestones.append(Milestone(time_ns, core, name, detail))

    def milestone(self, name: str) -> Milestone | None:
        """The first with this name."""
        return next((each for each in self.milestones if each.name == name), None)

    def see_unmodelled(self, core: str, access: UnmodelledAccess, registers: RegisterNames | None = None) -> None:
        """Count an access to a register that the model lacks."""
        verb = "reads" if access.value is None else "writes"
        at = access.symbol or f"{access.pc:#010x}"
        address = f"{access.address:#010x}"
        named = address if registers is None else registers.named(address)
        self.unmodelled.add(f"{core} at {at} {verb} {access.peripheral} {named}: {access.what}")

    def see_fault(self, core: CoreRun, time_ns: int, fault: Fault) -> None:
        """Keep the first faults of a core."""
        core.fault_count += 1
        core.served.see(time_ns, fault)
        if len(core.faults) < 4:
            core.faults.append((time_ns, fault))

    def see_error(self, core: CoreRun, time_ns: int, error: GuestError) -> None:
        """Keep the first things that a correct firmware does not do."""
        core.error_count += 1
        known = any((old.pc, old.what) == (error.pc, error.what) for _, old in core.errors)
        if not known and len(core.errors) < HISTORY:
            core.errors.append((time_ns, error))
