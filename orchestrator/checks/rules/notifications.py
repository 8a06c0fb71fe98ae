"""Whether each side tells the other of what it publishes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.base.roles import ROLES, Side, other_role
from orchestrator.checks.finding import Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import RingSubject, State, rings_at_rest
from orchestrator.memory import Place
from orchestrator.observe.run import Run

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Something that a core published and the other one has not acted on."""

    subject: RingSubject
    since_ns: int
    what: str


def _offered(subject: RingSubject) -> _Waiting | None:
    """What the driver made available and the device has not touched."""
    traffic = subject.traffic
    if traffic.suppress_available or not traffic.outstanding:
        return None
    if not traffic.is_pool:
        oldest = min(chain.posted_ns for chain in traffic.outstanding.values())
        return _Waiting(subject, oldest, f"{len(traffic.outstanding)} messages made available")
    if traffic.refilled_ns is not None and traffic.last_used and traffic.last_used.time_ns < traffic.refilled_ns:
        return _Waiting(subject, traffic.refilled_ns, "buffers offered to a device that had none left")
    run = subject.state.run
    device_acted = run is not None and any(
        run.traffic.rings[ring.path].used for ring in subject.vdev.rings if ring.path in run.traffic.rings
    )
    if device_acted or traffic.first_posted is None:
        return None
    return _Waiting(subject, traffic.first_posted.time_ns, f"{traffic.posted} empty buffers made available")


def _returned(subject: RingSubject) -> _Waiting | None:
    """What the device returned with something in it and the driver has not taken."""
    traffic = subject.traffic
    if traffic.suppress_used or not traffic.is_pool or traffic.oldest_unseen_ns is None:
        return None
    return _Waiting(subject, traffic.oldest_unseen_ns, f"{traffic.used_unseen} buffers returned")


def _waiting(state: State, target: str) -> list[_Waiting]:
    """What waits for a core: as the device of some queues, as the driver of others."""
    found = (
        _offered(subject) if subject.vdev.sides.side_of(target) is Side.DEVICE else _returned(subject)
        for subject in rings_at_rest(state)
    )
    return [each for each in found if each is not None]


def _was_told(state: State, run: Run, each: _Waiting, target: str) -> bool:
    """A notification went to the core after the publication, or in the same turn before it was seen."""
    last = run.ledger.last_sent_to(target, state.notify.get(each.subject.ring.path))
    return last is not None and last >= each.since_ns - state.turn_ns


@dataclass(frozen=True, slots=True)
class _Direction:
    state: State
    run: Run
    target: str
    waiting: list[_Waiting]


def _directions(state: State) -> Iterator[_Direction]:
    if state.run is not None:
        for target in ROLES:
            yield _Direction(state, state.run, target, _waiting(state, target))


@rule(
    "notification.missing",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.13.4 and 2.7.7: who publishes tells the other side (linux-xlnx 51)",
    each=_directions,
)
def publications_are_notified(direction: _Direction) -> Iterator[Violation]:
    """What one side publishes and the other has not acted on was followed by a notification to that core."""
    state, run, target = direction.state, direction.run, direction.target
    silent = [each for each in direction.waiting if not _was_told(state, run, each, target)]
    if not silent:
        return
    sender = other_role(target)
    first = min(silent, key=lambda each: each.since_ns)
    ignored = run.ledger.ignored_since(target, first.since_ns - state.turn_ns)
    named = ", ".join(f"{channel} ({run.ledger.ignored[channel]} times)" for channel in ignored)
    views = state.views
    name = views.name(target) if views else target
    yield Violation(
        at=tuple(each.subject.ring.at for each in silent),
        expected=f"a notification to {target} ({name})",
        actual=f"{sender} signalled {named}, which {name} has not enabled" if ignored else f"none since {first.what}",
        advice="use the channel that the receiver listens to"
        if ignored
        else "ring the mailbox after publishing the index",
        subject=first.subject.ring.path,
        core=sender,
        detail=tuple(f"{each.subject.ring.path}: {each.what}" for each in silent),
    )


@rule(
    "notification.not-taken",
    stage=Stage.TRAFFIC,
    source="DDI0403E B3.4: an interrupt is taken when it is enabled in the NVIC and not masked",
    each=_directions,
)
def notifications_are_taken(direction: _Direction) -> Iterator[Violation]:
    """A core takes the exception of a notification that tells of something it has not acted on."""
    state, run, target = direction.state, direction.run, direction.target
    told = [each for each in direction.waiting if _was_told(state, run, each, target)]
    taken = run.ledger.last_taken_ns.get(target, -1)
    waiting = [each for each in told if taken < each.since_ns - state.turn_ns]
    if not waiting:
        return
    core = run.cores[target]
    yield Violation(
        at=(Place(core.name, core.backtrace[0].pc if core.backtrace else 0, "mailbox interrupt"),),
        expected=f"{core.name} takes the mailbox interrupt",
        actual=f"{run.ledger.sent_to(target)} sent, {run.ledger.taken_by(target)} taken",
        advice="enable the mailbox interrupt in this core's NVIC, and leave interrupts unmasked",
        subject=waiting[0].subject.ring.path,
        core=target,
        detail=tuple(f"{each.subject.ring.path}: {each.what}" for each in waiting),
    )


@rule(
    "notification.not-cleared",
    stage=Stage.TRAFFIC,
    source="DDI0403E B3.4: an interrupt whose line is still high when its handler returns is taken again",
    each=_directions,
)
def notifications_are_cleared(direction: _Direction) -> Iterator[Violation]:
    """The handler of a notification clears its channel: a core that does not takes the exception for ever."""
    run, target = direction.run, direction.target
    for channel in run.ledger.never_cleared(target):
        core = run.cores[target]
        frame = core.backtrace[0] if core.backtrace else None
        yield Violation(
            at=(Place(core.name, frame.pc if frame else 0, (frame.symbol if frame else None) or "mailbox interrupt"),),
            expected=f"{channel} to be cleared by {core.name}",
            actual=f"{run.ledger.sent[channel]} sent, {run.ledger.taken[channel]} exceptions taken",
            advice=f"clear what is pending: {other_role(target)} rings another channel, or the handler clears none",
            subject=target,
            core=target,
            detail=core.waits_for,
        )
