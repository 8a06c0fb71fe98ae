"""Whether each side tells the other of what it publishes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.base.memory import Place
from orchestrator.base.roles import ROLES, Side, other_role, the
from orchestrator.checks.finding import Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import RingSubject, State, live_rings
from orchestrator.checks.work import Work, was_told, work_for
from orchestrator.observe.run import Channel, Run

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class _Direction:
    state: State
    run: Run
    target: str
    waiting: list[Work]

    @property
    def asked(self) -> list[Work]:
        """What the target wanted to be told of."""
        return [each for each in self.waiting if not each.suppressed]


def _directions(state: State) -> Iterator[_Direction]:
    if state.run is not None:
        for target in ROLES:
            yield _Direction(state, state.run, target, work_for(state, target))


@rule(
    "notification.missing",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.13.4 and 2.7.7: who publishes tells the other side (linux-xlnx 51)",
    each=_directions,
)
def publications_are_notified(direction: _Direction) -> Iterator[Violation]:
    """What one side publishes and the other has not acted on was followed by a notification to that core."""
    state, run, target = direction.state, direction.run, direction.target
    silent = [each for each in direction.asked if not was_told(state, run, each, target)]
    if not silent:
        return
    sender = other_role(target)
    first = min(silent, key=lambda each: each.since_ns)
    if any(channel.target == target and lost >= first.since_ns - state.turn_ns for channel, lost in _lost(run)):
        return  # it was told before it listened
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


def _lost(run: Run) -> Iterator[tuple[Channel, int]]:
    """Channels that were signalled before their core listened, and when."""
    return ((channel, signalled) for channel, (signalled, _) in sorted(run.ledger.lost.items()))


@rule(
    "notification.before-listening",
    stage=Stage.TRAFFIC,
    source="the chip's reference manual: a status that is cleared, or not kept, tells nobody (zephyr 117403, 117494)",
    each=_directions,
)
def signals_wait_for_who_listens_late(direction: _Direction) -> Iterator[Violation]:
    """A signal that comes before the receiver has enabled its channel is still there when it does."""
    state, run, target = direction.state, direction.run, direction.target
    for channel, signalled in _lost(run):
        late = [
            each
            for each in direction.asked
            if channel.target == target
            and signalled >= each.since_ns - state.turn_ns
            and not was_told(state, run, each, target)
        ]
        if not late:
            continue
        core, listened = run.cores[target], run.ledger.lost[channel][1]
        frame = core.backtrace[0] if core.backtrace else None
        yield Violation(
            at=(Place(core.name, frame.pc if frame else 0, (frame.symbol if frame else None) or str(channel)),),
            expected=f"{core.name} to listen to {channel} before {the(other_role(target))} signals it",
            actual=f"signalled after {signalled / 1e6:.3f} ms, enabled after {listened / 1e6:.3f} ms, the status"
            " cleared by then",
            advice="enable the channel without clearing its status, or look at the rings once after enabling it",
            subject=late[0].subject.ring.path,
            core=target,
            detail=tuple(f"{each.subject.ring.path}: {each.what}" for each in late),
        )


@rule(
    "notification.suppressed",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.7 and 2.7.10: who asks not to be notified looks by itself, or takes that back before it"
    " sleeps (open-amp 176)",
    each=_directions,
)
def who_wants_no_notification_looks_by_itself(direction: _Direction) -> Iterator[Violation]:
    """What is published while its receiver wants no notification is taken by the receiver all the same."""
    run, target, views = direction.run, direction.target, direction.state.views
    for each in direction.waiting:
        ring, layout, side = each.subject.ring, each.subject.ring.layout, each.subject.vdev.sides.side_of(target)
        if not each.suppressed or layout is None or views is None:
            continue
        device = side is Side.DEVICE
        flag, address = ("used.flags", layout.used) if device else ("avail.flags", layout.avail)
        name = "NO_NOTIFY" if device else "NO_INTERRUPT"
        core = run.cores.get(target)
        doing = f": {core.name} is {core.state}" if core and core.state else ""
        yield Violation(
            at=(views.place(ring.role, address, f"{ring.path}.{flag}"),),
            expected=f"{name} taken back by {the(target)} before it stops looking",
            actual=f"{each.what} since {each.since_ns / 1e6:.3f} ms while {the(target)} has {name} set, and none taken"
            + doing,
            advice="clear the flag and look at the ring once more before sleeping",
            subject=ring.path,
            core=target,
        )


@rule(
    "notification.left-out",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.7 and 2.7.13.4: what is published is told of, unless the other side has asked not to be",
    each=live_rings,
)
def publications_are_told_of_each_time(subject: RingSubject) -> Iterator[Violation]:
    """No side finds by itself, long after, what was published while it had asked to be notified."""
    traffic = subject.traffic
    for side, (published, found) in sorted(traffic.first_late.items()):
        finder, publisher = subject.vdev.role_of(side), subject.vdev.role_of(side.other)
        verb = "returned" if side is Side.DRIVER else "made available"
        yield Violation(
            at=(subject.ring.at,),
            expected=f"a notification to {the(finder)} of each buffer that is {verb}",
            actual=f"{traffic.late[side]} times none: buffers {verb} after {published / 1e6:.3f} ms were found after"
            f" {found / 1e6:.3f} ms, by {the(finder)}'s own time-out or polling",
            advice="ring the mailbox after every publication that the other side has not asked to be spared",
            subject=subject.ring.path,
            core=publisher,
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
    told = [each for each in direction.asked if was_told(state, run, each, target)]
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
