"""Who waits for whom: the work that was published for each core and how far it got, and what each core waits for.

One graph for all rules about waiting. Its nodes are the cores; work leads from the core that published it to the one
that is to act, and a wait from the core that waits to the one that could end it. A step that work did not get past is a
lost wake-up, a cycle of waits a deadlock.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

from orchestrator.base.dataclass import dataclass
from orchestrator.base.roles import ROLES, Side, the
from orchestrator.base.words import counted
from orchestrator.checks.state import RingSubject, State, has_left, rings_at_rest
from orchestrator.events import CoreState, Poll
from orchestrator.observe.run import Channel, CoreRun, Run
from orchestrator.observe.traffic import Suppression
from orchestrator.platform.model import Platform

__all__ = ["Lock", "Reached", "Wait", "Work", "cycle_of", "lock_of", "lost_signals", "waits_of", "work_for"]


class Reached(enum.Enum):
    """The last step that work got to on its way to the core that is to act on it."""

    SUPPRESSED = enum.auto()  # published, and the core had asked not to be told
    PUBLISHED = enum.auto()  # nobody told the core
    MISSED = enum.auto()  # signalled before the core listened, and gone when it did
    TOLD = enum.auto()  # notified; the core did not take the exception
    TAKEN = enum.auto()  # the exception was taken; the core has looked at no index since
    SEEN = enum.auto()  # the core has looked, or nobody can tell whether it has


@dataclass(frozen=True, slots=True)
class Work:
    """Something that one side published and the other one has not acted on."""

    subject: RingSubject
    role: str  # of the core that is to act
    since_ns: int
    what: str
    suppression: Suppression | None
    is_due: bool  # more than room that the core may leave alone as long as it likes
    reached: Reached = Reached.SEEN

    @property
    def side(self) -> Side:
        """The one that is to act."""
        side = self.subject.vdev.sides.side_of(self.role)
        assert side is not None
        return side

    @property
    def was_told(self) -> bool:
        """The core was notified, whatever it made of that."""
        return self.reached in (Reached.TOLD, Reached.TAKEN, Reached.SEEN)

    def __str__(self) -> str:
        return f"{self.subject.ring.path}: {self.what}"


def _offered(subject: RingSubject, role: str) -> Work | None:
    """What the driver made available and the device has not touched."""
    traffic = subject.traffic
    if not traffic.outstanding:
        return None
    if not traffic.is_pool:
        oldest = min(chain.posted_ns for chain in traffic.outstanding.values())
        what = f"{counted(len(traffic.outstanding), 'message')} made available"
        return Work(subject, role, oldest, what, traffic.suppress_available, is_due=True)
    if traffic.suppress_available is not None:
        return None  # empty buffers, of which the device does not want to hear
    if traffic.refilled_ns is not None and traffic.last_used and traffic.last_used.time_ns < traffic.refilled_ns:
        what = "buffers offered to a device that had none left"
        return Work(subject, role, traffic.refilled_ns, what, None, is_due=False)
    run = subject.state.run
    device_acted = any(
        run.traffic.rings[ring.path].used for ring in subject.vdev.rings if ring.path in run.traffic.rings
    )
    if device_acted or traffic.first_posted is None:
        return None
    what = f"{counted(traffic.posted, 'empty buffer')} made available"
    return Work(subject, role, traffic.first_posted.time_ns, what, None, is_due=False)


def _returned(subject: RingSubject, role: str) -> Work | None:
    """What the device returned with something in it and the driver has not taken."""
    traffic = subject.traffic
    if not traffic.is_pool or traffic.oldest_unseen_ns is None:
        return None
    what = f"{counted(traffic.used_unseen, 'buffer')} returned"
    return Work(subject, role, traffic.oldest_unseen_ns, what, traffic.suppress_used, is_due=True)


def work_for(state: State, role: str) -> list[Work]:
    """What waits for a core at rest."""
    found = []
    for subject in rings_at_rest(state):
        side = subject.vdev.sides.side_of(role)
        if has_left(subject, side):
            continue
        work = _offered(subject, role) if side is Side.DEVICE else _returned(subject, role)
        if work is not None:
            found.append(_with_step(state, state.run, work))
    return found


def _with_step(state: State, run: Run, work: Work) -> Work:
    return Work(
        work.subject, work.role, work.since_ns, work.what, work.suppression, work.is_due, _reached(state, run, work)
    )


def _reached(state: State, run: Run, work: Work) -> Reached:
    """A publication is seen at the end of the turn in which its notification was sent: a turn earlier counts."""
    since, ledger = work.since_ns - state.turn_ns, run.ledger
    if work.suppression is not None:
        return Reached.SUPPRESSED
    sent = ledger.last_sent_to(work.role, state.notify.get(work.subject.ring.path))
    if sent is None or sent < since:
        is_missed = any(channel.target == work.role and lost >= since for channel, lost, _ in lost_signals(run))
        return Reached.MISSED if is_missed else Reached.PUBLISHED
    if ledger.last_taken_ns.get(work.role, -1) < since:
        return Reached.TOLD
    history = run.history
    if work.role not in history.tells or not work.is_due:
        return Reached.SEEN
    looked = history.looked_ns.get((work.subject.ring.path, work.side), -1)
    return Reached.TAKEN if looked < since else Reached.SEEN


def lost_signals(run: Run) -> Iterator[tuple[Channel, int, int]]:
    """Channels that were signalled before their core listened, when, and when it did."""
    return ((channel, *times) for channel, times in sorted(run.ledger.lost.items()))


@dataclass(frozen=True, slots=True)
class Lock:
    """A mailbox's lock that a core polls."""

    poll: Poll
    mailbox: str
    channel: int
    holder: str  # the core that holds it; "" where the value does not tell


def lock_of(state: State, core: CoreRun) -> Lock | None:
    """The lock that a core polls to the end."""
    platform = state.platform
    if platform is None or core.waiting is None:
        return None
    bases = {
        each.name: [at.address for at in each.registrations if at.seen_by(core.name)] for each in platform.peripherals
    }
    for poll in core.waiting.polls:
        for drive in platform.drives:
            steps = [step for step in drive.ring if not step.writes]
            if drive.core != core.name or drive.mailbox != poll.peripheral or not steps:
                continue
            for base in bases.get(drive.mailbox, ()):
                channel, rest = divmod(poll.address - base - steps[0].offset, steps[0].stride or 4)
                if not rest and 0 <= channel < drive.channels:
                    return Lock(poll, drive.mailbox, channel, _holder(platform, drive.mailbox, poll.value))
    return None


def _holder(platform: Platform, mailbox: str, value: int) -> str:
    """The core whose number stands in the value of a lock: the one that it stores to free it."""
    for drive in platform.drives:
        freed = next((step.value for step in drive.ring if step.writes and step.value), None)
        if drive.mailbox == mailbox and freed is not None and value & 0xFFFF == freed:
            return drive.core
    return ""


@dataclass(frozen=True, slots=True)
class Wait:
    """A core that cannot go on until another one does something."""

    role: str
    by: str  # role of the core that could end it
    what: str
    since_ns: int
    vdev: str = ""  # path; "" where it is about no queue


def waits_of(state: State) -> list[Wait]:
    """What the cores wait for at rest: locks that the other one holds, and buffers of queues that ran out."""
    run = state.run
    if not state.is_at_rest:
        return []
    names = {core.name: role for role, core in run.cores.items()}
    found = []
    for role, core in run.cores.items():
        lock = lock_of(state, core) if core.state is CoreState.RUNNING else None
        if lock is not None and names.get(lock.holder, role) != role:
            what = f"{lock.mailbox} {lock.channel}, which {lock.holder} holds"
            found.append(Wait(role, names[lock.holder], what, core.acted_ns or 0))
    for subject in rings_at_rest(state):
        found += _for_buffers(subject)
    return found


def _for_buffers(subject: RingSubject) -> Iterator[Wait]:
    """Where a sender has nothing left to send in: all of a queue's buffers are with the other side, and it has looked
    whether one came back since.
    """
    traffic, vdev, path = subject.traffic, subject.vdev, subject.ring.path
    driver, device = vdev.role_of(Side.DRIVER), vdev.role_of(Side.DEVICE)
    run = subject.state.run
    if not vdev.is_rpmsg:
        return
    if traffic.is_pool:
        since, got = traffic.ran_dry_ns, traffic.used_unseen
        if since is not None and got and not traffic.outstanding and _looks(subject, run, Side.DEVICE, since):
            what = f"an empty buffer on {path}: {the(driver)} has got all {got} and offers none again"
            yield Wait(device, driver, what, since, vdev.path)
        return
    known = sum(1 for each in run.traffic.buffers.values() if each.ring == path)
    last = traffic.last_posted
    is_full = known == len(traffic.outstanding) > 1
    if last is not None and is_full and _looks(subject, run, Side.DRIVER, last.time_ns):
        what = f"a buffer on {path}: {the(device)} has all {known} and returns none"
        yield Wait(driver, device, what, last.time_ns, vdev.path)


def _looks(subject: RingSubject, run: Run, side: Side, since_ns: int) -> bool:
    """A side has looked at the index of the other one since then, or polls it to the end."""
    ring, role = subject.ring, subject.vdev.role_of(side)
    if run.history.looked_ns.get((ring.path, side), -1) > since_ns:
        return True
    layout, extent = ring.layout, ring.span.seen_by(role) if ring.span is not None else None
    waiting = run.cores[role].waiting if role in run.cores else None
    if layout is None or extent is None or waiting is None:
        return False
    index = layout.avail_idx_at if side is Side.DEVICE else layout.used_idx_at
    address = extent.start + index - layout.extent.start
    return any(poll.address <= address < poll.address + poll.size for poll in waiting.polls)


def cycle_of(waits: list[Wait]) -> tuple[Wait, ...]:
    """A wait of each core for the other, by the same vdev where both are by one; empty where there is no circle."""
    for first in waits:
        for second in waits:
            is_near = first.vdev == second.vdev or not (first.vdev and second.vdev)
            if is_near and (first.role, first.by, second.role, second.by) == (*ROLES, *reversed(ROLES)):
                return first, second
    return ()
