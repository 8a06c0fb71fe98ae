"""Whether what one side does to a ring can be seen by the other in that order (``--order``).

Cortex-M3 and M4 make their accesses in the order of the program (Arm KBA 103490176), and of the Cortex-M33 nothing else
is documented: there the architecture alone asks for a barrier, and the finding is a note. A Cortex-M7, M55 or M85 may
make accesses to Normal memory in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from orchestrator.base.memory import Place
from orchestrator.base.roles import the
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.rules.writers import by_whom
from orchestrator.checks.state import RingSubject, State, live_rings
from orchestrator.observe.history import Step
from orchestrator.observe.order import Disorder, DisorderKind

__all__: list[str] = []

_SOURCE = "DDI0403E A3.7.3: two accesses to Normal memory keep no order unless a DMB or DSB stands in between"
_REORDERING = ("cortex-m7", "cortex-m55", "cortex-m85")
_MOST = 4  # that are named


def _found(subject: RingSubject, kind: DisorderKind) -> Iterator[Disorder]:
    """Of a ring in Normal memory; in Device memory accesses keep their order."""
    orders, ring = subject.state.run.orders, subject.ring
    for each in orders.found.values() if orders is not None else ():
        if each.kind is kind and each.ring == ring.path:
            device = orders.device_memory.get(each.first.role, ()) if orders is not None else ()
            if not any(each.first_at in extent for extent in device):
                yield each


def _core(state: State, role: str) -> str:
    return state.platform.core(role).model if state.platform is not None else ""


def _severity(state: State, role: str) -> Severity:
    return Severity.WARNING if _core(state, role).startswith(_REORDERING) else Severity.NOTE


def _who(state: State, step: Step) -> str:
    return by_whom(state, step) if step.pc else f"{the(step.role)} at {step.time_ns / 1e6:.3f} ms"


def _needs(state: State, role: str) -> str:
    core = _core(state, role)
    if core.startswith(_REORDERING):
        return f"{core} may make them in another order"
    return f"{core} makes them in this order, and the architecture does not promise it"


def _expected(each: Disorder) -> str:
    if each.kind is DisorderKind.ENTRY_INDEX:
        return f"a barrier between what {each.second_what} publishes and {each.second_what}"
    if each.kind is DisorderKind.INDEX_NOTIFICATION:
        return f"a barrier between {each.first_what} and the store to the mailbox"
    return f"a barrier between {each.first_what} and the look at {each.second_what}"


def _advice(each: Disorder) -> str:
    if each.kind is DisorderKind.ENTRY_INDEX:
        return f"__DMB() before {each.second_what} is written"
    if each.kind is DisorderKind.INDEX_NOTIFICATION:
        return "__DSB() before the mailbox is written"
    if each.kind is DisorderKind.INDEX_FLAGS:
        return f"__DMB() before {each.second_what} is read: the other side may fall asleep on what it saw last"
    return f"__DMB() behind the look at {each.first_what}: {each.second_what} may have been read before it"


def _unordered(subject: RingSubject, kind: DisorderKind) -> Iterator[Violation]:
    state = subject.state
    for each in islice(_found(subject, kind), _MOST):
        role, path = each.first.role, f"{each.ring}.{each.first_what}"
        often = f", {each.times} times" if each.times > 1 else ""
        yield Violation(
            at=(_place(state, each, path),),
            expected=_expected(each),
            actual=f"{each.first_what} by {_who(state, each.first)}, then {each.second_what} by"
            f" {_who(state, each.second)}{often}, and no barrier in between; {_needs(state, role)}",
            advice=_advice(each),
            subject=each.ring,
            core=role,
            severity=_severity(state, role),
        )


def _place(state: State, each: Disorder, path: str) -> Place:
    role = each.first.role
    return state.views.place(role, each.first_at, path) if state.views is not None else Place(role, each.first_at, path)


@rule(
    "order.published-early",
    stage=Stage.LIVE,
    source="virtio 1.3, 2.7.13.3.1: the index is updated once what it publishes is there",
    each=live_rings,
)
def what_an_index_publishes_is_there_before(subject: RingSubject) -> Iterator[Violation]:
    """Descriptors and entries are written before the index that publishes them, in the program itself."""
    state = subject.state
    for each in islice(_found(subject, DisorderKind.PUBLISHED_EARLY), _MOST):
        role, path = each.second.role, f"{each.ring}.{each.second_what}"
        yield Violation(
            at=(_place(state, each, f"{each.ring}.{each.first_what}"),),
            expected=f"{each.second_what} written before {each.first_what}",
            actual=f"{each.first_what} published by {_who(state, each.first)}, {path} written by"
            f" {_who(state, each.second)}: the other side may have used what was there before",
            advice="write descriptors and the entry first, then __DMB(), then the index",
            subject=each.ring,
            core=role,
        )


@rule(
    "order.entry-before-index",
    stage=Stage.LIVE,
    source=f"{_SOURCE}; virtio 1.3, 2.7.13.3.1 and 2.7.8.2",
    each=live_rings,
    severity=Severity.WARNING,
)
def a_barrier_stands_before_an_index(subject: RingSubject) -> Iterator[Violation]:
    """Between what an index publishes and the index stands a barrier (with --order)."""
    yield from _unordered(subject, DisorderKind.ENTRY_INDEX)


@rule(
    "order.index-before-notification",
    stage=Stage.LIVE,
    source="DDI0403E A3.7.3: nothing orders an access to Normal memory and one to a device; Arm DAI0321A 4.15",
    each=live_rings,
    severity=Severity.WARNING,
)
def a_barrier_stands_before_a_notification(subject: RingSubject) -> Iterator[Violation]:
    """Between an index and the notification of it stands a barrier (with --order)."""
    yield from _unordered(subject, DisorderKind.INDEX_NOTIFICATION)


@rule(
    "order.index-before-flags",
    stage=Stage.LIVE,
    source=f"{_SOURCE}; virtio 1.3, 2.7.13.4.1: a barrier before the flags are read",
    each=live_rings,
    severity=Severity.WARNING,
)
def a_barrier_stands_before_the_look_at_flags(subject: RingSubject) -> Iterator[Violation]:
    """Between an index and the look at whether the other side wants a notification stands a barrier (with --order)."""
    yield from _unordered(subject, DisorderKind.INDEX_FLAGS)


@rule(
    "order.index-before-entry",
    stage=Stage.LIVE,
    source=f"{_SOURCE}; virtio 1.3, 2.7.14: a barrier after the index is read",
    each=live_rings,
    severity=Severity.WARNING,
)
def a_barrier_stands_behind_the_look_at_an_index(subject: RingSubject) -> Iterator[Violation]:
    """Between the look at the other side's index and at what it publishes stands a barrier (with --order)."""
    yield from _unordered(subject, DisorderKind.INDEX_ENTRY)
