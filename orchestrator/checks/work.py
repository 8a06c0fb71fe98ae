"""What waits for a core at rest: as the device of some queues, as the driver of others, and whether it was told."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.base.roles import Side
from orchestrator.checks.state import RingSubject, State, has_left, rings_at_rest
from orchestrator.observe.run import Run

__all__ = ["Work", "was_told", "work_for"]


@dataclass(frozen=True, slots=True)
class Work:
    """Something that one side published and the other one has not acted on."""

    subject: RingSubject
    since_ns: int
    what: str
    suppressed: bool  # the side that should act has asked not to be notified


def _offered(subject: RingSubject) -> Work | None:
    """What the driver made available and the device has not touched."""
    traffic = subject.traffic
    if not traffic.outstanding:
        return None
    if not traffic.is_pool:
        oldest = min(chain.posted_ns for chain in traffic.outstanding.values())
        what = f"{len(traffic.outstanding)} messages made available"
        return Work(subject, oldest, what, traffic.suppress_available)
    if traffic.suppress_available:
        return None  # empty buffers, of which the device does not want to hear
    if traffic.refilled_ns is not None and traffic.last_used and traffic.last_used.time_ns < traffic.refilled_ns:
        return Work(subject, traffic.refilled_ns, "buffers offered to a device that had none left", False)
    run = subject.state.run
    device_acted = run is not None and any(
        run.traffic.rings[ring.path].used for ring in subject.vdev.rings if ring.path in run.traffic.rings
    )
    if device_acted or traffic.first_posted is None:
        return None
    return Work(subject, traffic.first_posted.time_ns, f"{traffic.posted} empty buffers made available", False)


def _returned(subject: RingSubject) -> Work | None:
    """What the device returned with something in it and the driver has not taken."""
    traffic = subject.traffic
    if not traffic.is_pool or traffic.oldest_unseen_ns is None:
        return None
    what = f"{traffic.used_unseen} buffers returned"
    return Work(subject, traffic.oldest_unseen_ns, what, traffic.suppress_used)


def work_for(state: State, role: str) -> list[Work]:
    """What waits for a core."""
    found = []
    for subject in rings_at_rest(state):
        side = subject.vdev.sides.side_of(role)
        if not has_left(subject, side):
            found.append(_offered(subject) if side is Side.DEVICE else _returned(subject))
    return [each for each in found if each is not None]


def was_told(state: State, run: Run, work: Work, role: str) -> bool:
    """A notification went to the core after the publication, or in the same turn before it was seen."""
    last = run.ledger.last_sent_to(role, state.notify.get(work.subject.ring.path))
    return last is not None and last >= work.since_ns - state.turn_ns
