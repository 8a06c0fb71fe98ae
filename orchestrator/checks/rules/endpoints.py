"""RPMsg's endpoints: announced, at their address, and alive."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.roles import Side, the
from orchestrator.base.words import counted
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import VdevSubject, live_vdevs
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.rpmsg import ADDRESS_FIRST_DYNAMIC
from orchestrator.observe.traffic import MessageLog

__all__: list[str] = []

_CONVERSATION = 3  # messages that were each answered before the next: the next one is answered too


def _log(subject: VdevSubject) -> MessageLog | None:
    run = subject.state.run
    return run.traffic.messages.get(subject.vdev.path) if subject.vdev.is_rpmsg else None


def _at_rest(subject: VdevSubject) -> MessageLog | None:
    return _log(subject) if subject.state.is_at_rest and subject.vdev.is_driver_ok else None


@rule(
    "endpoint.never-announced",
    stage=Stage.TRAFFIC,
    source="Linux virtio_rpmsg_bus, VIRTIO_RPMSG_F_NS: a channel exists once its name was announced"
    " (meta-openamp 2, buildroot-external-st 30)",
    each=live_vdevs,
    of_absence=True,
)
def endpoints_are_announced(subject: VdevSubject) -> Iterator[Violation]:
    """Where the name service was negotiated, an endpoint is announced, unless messages go to fixed addresses."""
    log = _at_rest(subject)
    if log is None or not subject.vdev.entry.value.head.gfeatures & Feature.NS or any(log.sent_since.values()):
        return
    run = subject.state.run
    again = any(log.sent.values())
    ready = run.milestone(f"{subject.vdev.path} DRIVER_OK")
    since = f", DRIVER_OK since {ready.time_ns / 1e6:.3f} ms" if ready and not again else ""
    since += " again" if again else ""
    yield Violation(
        at=(subject.vdev.entry.at,),
        expected="the announcement of an endpoint",
        actual=f"NS accepted{since}, and no announcement and no message from either side",
        advice="what of an earlier start was kept? An endpoint is announced after each (openamp-system-reference 56)"
        if again
        else "create the endpoint with a name, and only once the other side is ready to hear of it",
        core=subject.vdev.role_of(Side.DEVICE),
    )


def _is_heard(log: MessageLog) -> bool:
    """The driver knows what the device announced: it sends to such an address, or speaks of names itself."""
    return any(each.side is Side.DRIVER for each in log.announced) or any(
        side is Side.DEVICE and use.announced_from is not None and use.received for (side, _), use in log.uses.items()
    )


@rule(
    "endpoint.ns-not-negotiated",
    stage=Stage.TRAFFIC,
    source="Linux virtio_rpmsg_bus: without VIRTIO_RPMSG_F_NS nobody listens at the name service's address",
    each=live_vdevs,
    of_absence=True,
)
def names_go_where_the_feature_was_accepted(subject: VdevSubject) -> Iterator[Violation]:
    """Endpoints are announced only where the name service's feature was accepted, or offered to a driver that never
    accepts any and hears the names all the same.
    """
    log, head = _log(subject), subject.vdev.entry.value.head
    if log is None or not log.announced or not subject.vdev.is_driver_ok or head.gfeatures & Feature.NS:
        return
    if any(ring.is_given for ring in subject.vdev.rings):
        return  # vrings without a table: nobody says which features there are
    if head.dfeatures & Feature.NS and subject.vdev.accepts_nothing and _is_heard(log):
        return
    first = log.announced[0]
    offered = "offered and not accepted" if head.dfeatures & Feature.NS else "not offered"
    yield Violation(
        at=(subject.vdev.entry.at,),
        expected="the feature NS in gfeatures",
        actual=f"{offered}, and {the(first.sender)} sends: {first.text}, after {first.time_ns / 1e6:.3f} ms",
        advice="offer VIRTIO_RPMSG_F_NS in dfeatures and accept it, or agree on fixed addresses and announce nothing",
        subject=first.ring,
        core=first.sender,
    )


@rule(
    "endpoint.other-address",
    stage=Stage.TRAFFIC,
    source="Linux rpmsg_ns.h, struct rpmsg_ns_msg: addr is the address of the remote service (open-amp 446)",
    each=live_vdevs,
    of_absence=True,
)
def endpoints_live_where_they_were_announced(subject: VdevSubject) -> Iterator[Violation]:
    """An announced address is the one from which its endpoint announces itself, or one from which it answers."""
    log = _at_rest(subject)
    for (side, address), use in sorted(log.uses.items()) if log else ():
        source = use.announced_from
        if not use.received or use.sent or source in (None, address) or source < ADDRESS_FIRST_DYNAMIC:
            continue
        role = subject.vdev.role_of(side)
        yield Violation(
            at=(subject.vdev.entry.at,),
            expected=f"{the(role)} to answer at {address}, as it announced",
            actual=f"{counted(use.received, 'message')} to {address}, none answered:"
            f" {the(role)} announced it from {source} and never sent from {address}",
            advice=f"announce the address at which the endpoint listens: {source}?",
            subject=f"{subject.vdev.path}.endpoint[{address}]",
            core=role,
        )


@rule(
    "endpoint.silent",
    stage=Stage.TRAFFIC,
    source="RPMsg: an endpoint that is gone says so by a DESTROY of its name",
    each=live_vdevs,
    severity=Severity.WARNING,
    of_absence=True,
)
def endpoints_answer_to_the_end(subject: VdevSubject) -> Iterator[Violation]:
    """An endpoint that has answered each message before the next answers the last ones too, or is destroyed."""
    log = _at_rest(subject)
    for (side, address), use in sorted(log.uses.items()) if log else ():
        if log is None or log.endpoints.at(side, address) is None or use.most_unanswered != 1:
            continue
        answered = use.received - use.unanswered
        if answered < _CONVERSATION or not use.unanswered or use.last_sent_ns is None:
            continue
        if use.sent >= use.received:
            continue  # it asks too, and what came last may be the answer
        if use.unanswered > 1 and not use.unanswered_alike and not use.is_awaited:
            continue  # of other lengths, and sent without waiting for an answer: news
        role = subject.vdev.role_of(side)
        yield Violation(
            at=(subject.vdev.entry.at,),
            expected=f"an answer from {address}, as to the {counted(answered, 'message')} before",
            actual=f"{counted(use.unanswered, 'message')} to it since {use.last_sent_ns / 1e6:.3f} ms, none answered",
            advice="the message was taken and nothing was sent: does every path through the callback answer?",
            subject=f"{subject.vdev.path}.endpoint[{address}]",
            core=role,
            severity=Severity.ERROR if use.unanswered > 1 and use.unanswered_alike else None,
        )


@rule(
    "endpoint.shared-address",
    stage=Stage.TRAFFIC,
    source="RPMsg: an address names one endpoint of its side",
    each=live_vdevs,
)
def names_have_addresses_of_their_own(subject: VdevSubject) -> Iterator[Violation]:
    """Two names of one side have two addresses."""
    log = _log(subject)
    for (side, address), (one, other) in sorted(log.shared_names.items()) if log else ():
        yield Violation(
            at=(subject.vdev.entry.at,),
            expected=f"an address of its own for {other!r}",
            actual=f"{address}, which {one!r} has",
            advice="what is sent to one reaches the other: let the address be chosen (RPMSG_ADDR_ANY)",
            subject=f"{subject.vdev.path}.endpoint[{address}]",
            core=subject.vdev.role_of(side),
        )


@rule(
    "endpoint.address-again",
    stage=Stage.TRAFFIC,
    source="RPMsg: messages in the queue are for whoever has their address when they are taken (open-amp 514)",
    each=live_vdevs,
    severity=Severity.WARNING,
)
def addresses_are_free_before_they_are_used_again(subject: VdevSubject) -> Iterator[Violation]:
    """An address is announced again only when no message for its former endpoint waits."""
    log = _log(subject)
    for reused in log.reused if log else ():
        record = reused.announced
        yield Violation(
            at=(subject.vdev.entry.at,),
            expected=f"no message waiting for {reused.address} before it is announced again",
            actual=f"{record.text} after {record.time_ns / 1e6:.3f} ms, while"
            f" {counted(reused.waiting, 'message')} from before the destruction at {reused.destroyed_ns / 1e6:.3f} ms"
            f" {'was' if reused.waiting == 1 else 'were'} not returned",
            advice="give the new endpoint another address, or take what is in the queue first",
            subject=f"{subject.vdev.path}.endpoint[{reused.address}]",
            core=record.sender,
        )
