"""Whether each side tells the other of what it publishes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Place
from orchestrator.base.roles import ROLES, Side, other_role, the
from orchestrator.base.words import times
from orchestrator.checks.finding import Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.rules.rings import both_sides_use_the_same_layout
from orchestrator.checks.state import RingSubject, State, live_rings
from orchestrator.checks.waits import Reached, Work, lost_signals, work_for
from orchestrator.observe.run import Channel, Run

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class _Direction:
    state: State
    run: Run
    target: str
    waiting: list[Work]

    def stuck_at(self, reached: Reached) -> list[Work]:
        """What got no further on its way to the target."""
        return [each for each in self.waiting if each.reached is reached]


def _directions(state: State) -> Iterator[_Direction]:
    for target in ROLES:
        yield _Direction(state, state.run, target, work_for(state, target))


@rule(
    "notification.missing",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.13.4 and 2.7.7: who publishes tells the other side (linux-xlnx 51)",
    each=_directions,
    of_absence=True,
)
def publications_are_notified(direction: _Direction) -> Iterator[Violation]:
    """What one side publishes and the other has not acted on was followed by a notification to that core."""
    state, run, target = direction.state, direction.run, direction.target
    silent = direction.stuck_at(Reached.PUBLISHED)
    if not silent:
        return
    sender = other_role(target)
    first = min(silent, key=lambda each: each.since_ns)
    ignored = run.ledger.ignored_since(target, first.since_ns - state.turn_ns)
    named = ", ".join(f"{channel} {times(run.ledger.ignored[channel])}" for channel in ignored)
    views = state.views
    name = views.name(target) if views else target
    yield Violation(
        at=(*_signalled_at(state, sender, ignored), *(each.subject.ring.at for each in silent)),
        expected=f"a notification to {target} ({name})",
        actual=f"{sender} signalled {named}, which {name} has not enabled" if ignored else f"none since {first.what}",
        advice="use the channel that the receiver listens to"
        if ignored
        else "ring the mailbox after publishing the index",
        subject=first.subject.ring.path,
        core=sender,
        detail=tuple(map(str, silent)),
    )


def _signalled_at(state: State, sender: str, channels: Iterable[Channel]) -> Iterator[Place]:
    """The instructions that signalled what nobody listens to, where the engine tells."""
    image, core = state.images.get(sender), state.run.cores.get(sender)
    for channel in channels:
        pc = state.run.ledger.last_ignored_pc.get(channel)
        if pc is not None and core is not None:
            yield Place(core.name, pc, (image.symbol_at(pc) if image is not None else None) or str(channel))


@rule(
    "notification.before-listening",
    stage=Stage.TRAFFIC,
    source="the chip's reference manual: a status that is cleared, or not kept, tells nobody (zephyr 117403, 117494)",
    each=_directions,
    of_absence=True,
)
def signals_wait_for_who_listens_late(direction: _Direction) -> Iterator[Violation]:
    """A signal that comes before the receiver has enabled its channel is still there when it does."""
    state, run, target = direction.state, direction.run, direction.target
    missed = direction.stuck_at(Reached.MISSED)
    for channel, signalled, listened in lost_signals(run):
        late = [each for each in missed if channel.target == target and signalled >= each.since_ns - state.turn_ns]
        if not late:
            continue
        core = run.cores[target]
        frame = core.backtrace[0] if core.backtrace else None
        yield Violation(
            at=(Place(core.name, frame.pc if frame else 0, (frame.symbol if frame else None) or str(channel)),),
            expected=f"{core.name} to listen to {channel} before {the(other_role(target))} signals it",
            actual=f"signalled after {signalled / 1e6:.3f} ms, enabled after {listened / 1e6:.3f} ms, the status"
            " cleared by then",
            advice="enable the channel without clearing its status, or look at the rings once after enabling it",
            subject=late[0].subject.ring.path,
            core=target,
            detail=tuple(map(str, late)),
        )


@rule(
    "notification.suppressed",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.7 and 2.7.10: who asks not to be notified looks by itself, or takes that back before it"
    " sleeps (open-amp 176)",
    each=_directions,
    of_absence=True,
)
def who_wants_no_notification_looks_by_itself(direction: _Direction) -> Iterator[Violation]:
    """What is published while its receiver wants no notification, by a flag or an event index, is taken by the
    receiver all the same.
    """
    run, target, views = direction.run, direction.target, direction.state.views
    for each in direction.stuck_at(Reached.SUPPRESSED):
        ring, found = each.subject.ring, each.suppression
        if found is None or views is None:
            continue
        core = run.cores.get(target)
        doing = f": {core.name} is {core.state}" if core and core.state else ""
        since = f"{each.what} since {each.since_ns / 1e6:.3f} ms"
        if found.event is None:
            name = "NO_NOTIFY" if each.side is Side.DEVICE else "NO_INTERRUPT"
            expected = f"{name} taken back by {the(target)} before it stops looking"
            actual = f"{since} while {the(target)} has {name} set, and none taken{doing}"
            advice = "clear the flag and look at the ring once more before sleeping"
        else:
            index = "avail.idx" if each.side is Side.DEVICE else "used.idx"
            expected = f"{the(target)} to be told of what comes next, {found.path} {found.since}"
            actual = (
                f"{since}, {index} from {found.since} to {found.until}, and none taken: by {found.path} {found.event}"
                f" {the(target)} wants to be told when {index} goes past that{doing}"
            )
            advice = f"set {found.path} to the index that was looked at last, and look at the ring once more after that"
        yield Violation(
            at=(views.place(ring.role, found.address, f"{ring.path}.{found.path}"),),
            expected=expected,
            actual=actual,
            advice=advice,
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
            actual=f"{times(traffic.late[side])} none: buffers {verb} after {published / 1e6:.3f} ms were found after"
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
    of_absence=True,
)
def notifications_are_taken(direction: _Direction) -> Iterator[Violation]:
    """A core takes the exception of a notification that tells of something it has not acted on."""
    run, target = direction.run, direction.target
    waiting = direction.stuck_at(Reached.TOLD)
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
        detail=tuple(map(str, waiting)),
    )


@rule(
    "notification.in-vain",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.14 and 2.7.7: who is notified looks at the index of the other side (linux-xlnx 51)",
    each=_directions,
    of_absence=True,
)
def who_is_told_looks_at_the_ring(direction: _Direction) -> Iterator[Violation]:
    """A core that has taken a notification reads the index of the queue in which something waits for it."""
    state, run, target = direction.state, direction.run, direction.target
    for each in direction.stuck_at(Reached.TAKEN):
        ring, layout, core = each.subject.ring, each.subject.ring.layout, run.cores[target]
        if layout is None or state.views is None or any(both_sides_use_the_same_layout(each.subject)):
            continue  # it looks elsewhere
        index = "avail.idx" if each.side is Side.DEVICE else "used.idx"
        address = layout.avail_idx_at if each.side is Side.DEVICE else layout.used_idx_at
        looked = run.history.looked_ns.get((ring.path, each.side))
        last = "never" if looked is None else f"last after {looked / 1e6:.3f} ms"
        taken = run.ledger.last_taken_ns[target]
        doing = f"; {core.name} is {core.state}" + (f" at {core.where}" if core.where else "") if core.state else ""
        yield Violation(
            at=(state.views.place(ring.role, address, f"{ring.path}.{index}"),),
            expected=f"{the(target)} to look at {index} of {ring.path} once it is told of what waits there",
            actual=f"{each.what} since {each.since_ns / 1e6:.3f} ms, the last notification taken after"
            f" {taken / 1e6:.3f} ms, the index read {last}{doing}",
            advice="does the handler, or the thread that it wakes, look at every queue that the channel stands for?",
            subject=ring.path,
            core=target,
            detail=core.waits_for,
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
