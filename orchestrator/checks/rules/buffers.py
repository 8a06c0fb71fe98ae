"""Buffers and messages: addresses that both sides have, memory of their own, everything returned."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.memory import Extent, Place
from orchestrator.base.roles import REMOTE, Side, the
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import RingSubject, State, VdevSubject, has_left, live_rings, live_vdevs, rings_at_rest
from orchestrator.formats.resource_entry import Feature, Profile
from orchestrator.observe.traffic import Buffer
from orchestrator.observe.views import Span

__all__ = ["DEVICE_ADDRESS_ADVICE", "DEVICE_ADDRESS_SOURCE", "are_offsets"]

DEVICE_ADDRESS_SOURCE = (
    "virtio 1.3, 2.7.5: addr is the address by which the device reaches the buffer (zephyr 84168; open-amp 418)"
)
DEVICE_ADDRESS_ADVICE = "allocate buffers from shared memory, and translate their addresses for the device"


def _buffers(subject: RingSubject) -> list[Buffer]:
    run = subject.state.run
    return [each for _, each in sorted(run.traffic.buffers.items()) if each.ring == subject.ring.path]


def are_offsets(state: State, vdev: str) -> bool:
    """All of a vdev's buffers are named by offsets from one address, and the device has found them."""
    run = state.run
    if vdev not in run.traffic.origins:
        return False
    buffers = [each for each in run.traffic.buffers.values() if each.ring.startswith(f"{vdev}.")]
    return all(each.origin is not None for each in buffers) and any(each.used for each in buffers)


def _place(subject: RingSubject, buffer: Buffer) -> Place:
    """In the remote's view, whichever side it plays: RPTUN's descriptors hold its addresses, and main translates."""
    views = subject.state.views
    path = f"{subject.ring.path}.desc.addr"
    return views.place(REMOTE, buffer.address, path) if views else Place(REMOTE, buffer.address, path)


def _others(count: int) -> tuple[str, ...]:
    return (f"and {count - 1} more buffers of this ring",) if count > 1 else ()


@rule(
    "buffer.unreachable-by-device",
    stage=Stage.TRAFFIC,
    source=DEVICE_ADDRESS_SOURCE,
    each=live_rings,
)
def device_reaches_buffers(subject: RingSubject) -> Iterator[Violation]:
    """The device's core has memory for every buffer that a descriptor names."""
    agreed = are_offsets(subject.state, subject.vdev.path)
    driver, device = (subject.vdev.role_of(side) for side in Side)
    bad = [
        each
        for each in _buffers(subject)
        if each.span.seen_by(device) is None or (each.origin is not None and not agreed)
    ]
    if bad:
        first = bad[0]
        extent = Extent(first.address, first.span.size)
        views = subject.state.views
        also = views.reaches(driver, extent) if views else False
        if not also and not subject.state.tells_of_absence:
            return  # it may be an offset that the device would have found
        yield Violation(
            at=(_place(subject, first),),
            expected="memory of the device's core",
            actual=f"none for all of {extent}" + (f", which is memory of {the(driver)} alone" if also else ""),
            advice=DEVICE_ADDRESS_ADVICE,
            subject=subject.ring.path,
            core=subject.vdev.role_of(Side.DRIVER),
            detail=_others(len(bad)),
            touches=tuple(Extent(each.address, each.span.size) for each in bad[:64]),
        )


@rule(
    "buffer.offsets",
    stage=Stage.TRAFFIC,
    source=DEVICE_ADDRESS_SOURCE,
    each=live_vdevs,
    severity=Severity.NOTE,
)
def buffers_are_named_by_addresses(subject: VdevSubject) -> Iterator[Violation]:
    """Descriptors hold addresses, not offsets into a libmetal io region that both sides know."""
    run = subject.state.run
    path = subject.vdev.path
    if not are_offsets(subject.state, path):
        return
    count = sum(1 for each in run.traffic.buffers.values() if each.ring.startswith(f"{path}."))
    yield Violation(
        at=(subject.vdev.entry.at,),
        expected="addresses by which the device's core reaches the buffers",
        actual=f"{count} buffers by their offsets from {run.traffic.origins[path]:#010x}, which both cores understand",
        advice="Linux and NuttX want addresses: give the io region its physical address (metal_io_init, physmap)",
        subject=path,
        core=subject.vdev.role_of(Side.DRIVER),
    )


@rule(
    "buffer.unreachable-by-driver",
    stage=Stage.TRAFFIC,
    source="RPTUN, address environment: a pointer handed to the other core is translated",
    each=live_rings,
)
def driver_reaches_buffers(subject: RingSubject) -> Iterator[Violation]:
    """What a descriptor's address means to the device is memory that the driver's core reaches too."""
    driver, device = (subject.vdev.role_of(side) for side in Side)
    bad = [
        each
        for each in _buffers(subject)
        if each.span.seen_by(device) is not None and each.span.seen_by(driver) is None
    ]
    if bad:
        extent = Extent(bad[0].address, bad[0].span.size)
        yield Violation(
            at=(_place(subject, bad[0]),),
            expected="memory that both cores reach",
            actual=f"{extent}, which is memory of {the(device)} alone",
            advice="translate the address for the device, or describe how addresses map with --map PA:DA:SIZE",
            subject=subject.ring.path,
            core=subject.vdev.role_of(Side.DRIVER),
            detail=_others(len(bad)),
            touches=(extent,),
        )


@rule(
    "buffer.untranslated",
    stage=Stage.TRAFFIC,
    source="RPTUN, address environment: a pointer handed to the other core is translated",
    each=live_rings,
)
def buffer_addresses_are_the_devices(subject: RingSubject) -> Iterator[Violation]:
    """A descriptor names a buffer of the carveout as the carveout's da does, and not in main's addresses."""
    carveout = subject.vdev.carveout.span if subject.vdev.carveout else None
    da = carveout.seen_by(REMOTE) if carveout else None
    if carveout is None or da is None:
        return
    bad = [
        each
        for each in _buffers(subject)
        if each.origin is None and carveout.contains(each.span) and Extent(each.address, each.span.size) not in da
    ]
    if bad:
        extent = Extent(bad[0].address, bad[0].span.size)
        yield Violation(
            at=(_place(subject, bad[0]),),
            expected=f"inside {carveout.name} as the remote addresses it, {da}",
            actual=f"{extent}, which is main's name for it",
            advice="translate the buffer's address (pa to da) before it goes into the descriptor",
            subject=subject.ring.path,
            core=subject.vdev.role_of(Side.DRIVER),
            detail=_others(len(bad)),
            touches=(extent,),
        )


@rule(
    "buffer.outside-carveout",
    stage=Stage.TRAFFIC,
    source="RPTUN, Carveout: what the vrings leave of it is the heap that buffers are allocated from",
    each=live_rings,
    profiles={Profile.LINUX: None, Profile.OPENAMP: None, Profile.COMMON: None},
)
def buffers_lie_in_the_carveout(subject: RingSubject) -> Iterator[Violation]:
    """Buffers of a device whose vrings were cut from a carveout lie in that carveout too, unless NuttX's BUFADDR
    gives them another place.
    """
    carveout = subject.vdev.carveout.span if subject.vdev.carveout else None
    if carveout is None or not any(ring.was_dynamic for ring in subject.vdev.rings):
        return
    if subject.vdev.has_places_for_buffers:
        return
    bad = [
        each
        for each in _buffers(subject)
        if each.span.da is not None and each.span.pa is not None and not carveout.contains(each.span)
    ]
    if bad:
        yield Violation(
            at=(_place(subject, bad[0]),),
            expected=f"inside {carveout.name}, {carveout}",
            actual=str(bad[0].span),
            advice="the heap runs past the carveout, or the buffers come from somewhere else",
            subject=subject.ring.path,
            core=subject.vdev.role_of(Side.DRIVER),
            detail=_others(len(bad)),
        )


@rule(
    "buffer.overlap",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.5: each buffer is memory of its own while the device has it",
    each=live_rings,
)
def buffers_lie_apart(subject: RingSubject) -> Iterator[Violation]:
    """Two buffers that the device has at the same time share no byte."""
    run = subject.state.run
    for first, second in run.traffic.overlaps:
        if second.ring == subject.ring.path:
            yield Violation(
                at=(_place(subject, second),),
                expected=f"apart from the buffer at {first.address:#010x}, {first.span.size} bytes, of {first.ring}",
                actual=f"{second.address:#010x}, {second.span.size} bytes",
                advice="the allocator gave the same memory out twice, or with too small a size",
                subject=subject.ring.path,
                core=subject.vdev.role_of(Side.DRIVER),
            )
            return


@rule(
    "buffer.overlaps-ring",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.5: a buffer is memory of its own",
    each=live_rings,
)
def buffers_lie_apart_from_rings(subject: RingSubject) -> Iterator[Violation]:
    """No buffer shares bytes with a vring or with the table."""
    live = subject.state.live
    if live is None:
        return
    blocks: list[tuple[str, Span | None]] = [("table", live.span), *((ring.path, ring.span) for ring in live.rings)]
    for buffer in _buffers(subject):
        for name, span in blocks:
            if span is not None and span.overlaps(buffer.span):
                yield Violation(
                    at=(_place(subject, buffer),),
                    expected=f"apart from {name}, {span}",
                    actual=str(buffer.span),
                    advice="the heap begins after the end of the last vring",
                    subject=subject.ring.path,
                    core=subject.vdev.role_of(Side.DRIVER),
                )
                return


@rule(
    "buffer.not-returned",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.8: the device returns each buffer through the used ring (nuttx 13887)",
    each=rings_at_rest,
    of_absence=True,
)
def buffers_come_back(subject: RingSubject) -> Iterator[Violation]:
    """At rest the device has returned every message that it was given and told of before it destroyed its endpoints."""
    traffic, run = subject.traffic, subject.state.run
    log = run.traffic.messages.get(subject.vdev.path)
    left = log.left_ns.get(Side.DEVICE) if log else None
    held = [
        each
        for _, each in sorted(traffic.outstanding.items())
        if not each.is_empty and (left is None or each.posted_ns <= left)
    ]
    device = subject.vdev.role_of(Side.DEVICE)
    taken = run.ledger.last_taken_ns.get(device)
    if not held or taken is None or taken < held[0].posted_ns - subject.state.turn_ns:
        return
    yield Violation(
        at=(subject.ring.at,),
        expected="every message returned",
        actual=f"{len(held)} of {traffic.posted} with the device, the oldest since {held[0].posted_ns / 1e6:.3f} ms",
        advice=f"{the(device)} took a notification and kept the buffers: "
        "does every path through its receiver return them?",
        subject=subject.ring.path,
        core=device,
        detail=tuple(f"head {each.head}" for each in held[:8]),
    )


@rule(
    "buffer.not-offered-again",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.13: a driver that has looked at a buffer makes it available again, or the ring runs dry"
    " (zephyr PR 68764)",
    each=rings_at_rest,
    severity=Severity.WARNING,
    of_absence=True,
)
def buffers_are_offered_again(subject: RingSubject) -> Iterator[Violation]:
    """At rest the driver has made the buffers available again that it received, apart from one that it may hold, unless
    it has destroyed its endpoints: its farewell does not say that it has looked.
    """
    traffic = subject.traffic
    acted_ns = _last_offer_ns(subject)
    if not subject.vdev.is_rpmsg or not traffic.is_pool or acted_ns is None or traffic.full_ns is None:
        return
    if has_left(subject, Side.DRIVER):
        return
    left = len(traffic.outstanding)
    unseen = sum(1 for by in traffic.returned.values() if by.time_ns >= acted_ns)
    kept = traffic.most_outstanding - left - unseen
    if kept < 2:
        return
    driver = subject.vdev.role_of(Side.DRIVER)
    yield Violation(
        at=(subject.ring.at,),
        expected="each buffer that came back offered again",
        actual=f"{kept} of {traffic.most_outstanding} buffers came back to {the(driver)} and were not: the device last"
        f" had all of them after {traffic.full_ns / 1e6:.3f} ms, and has {left} left"
        + ("" if left else ": the ring has run dry"),
        advice="does every path through the receiver give the buffer back? Those that are held on purpose must return",
        subject=subject.ring.path,
        core=driver,
        severity=None if left else Severity.ERROR,
    )


def _last_offer_ns(subject: RingSubject) -> int | None:
    """When the driver last offered something on any ring of the vdev: it had looked at what came back before."""
    rings = subject.state.run.traffic.rings
    offers = [rings[ring.path].last_posted for ring in subject.vdev.rings if ring.path in rings]
    return max((offer.time_ns for offer in offers if offer is not None), default=None)


@rule(
    "message.malformed",
    stage=Stage.TRAFFIC,
    source="Linux rpmsg_internal.h, struct rpmsg_hdr; rpmsg_ns.h, struct rpmsg_ns_msg",
    each=live_vdevs,
)
def messages_make_sense(subject: VdevSubject) -> Iterator[Violation]:
    """Each message fits its buffer, and each name-service message has its size and a known meaning."""
    log = subject.state.run.traffic.messages.get(subject.vdev.path)
    if log is None or not log.malformed:
        return
    error, ring, by = log.malformed[0]
    more = (f"and {len(log.malformed) - 1} more",) if len(log.malformed) > 1 else ()
    yield Violation(
        at=(subject.vdev.entry.at,),
        expected=str(error.expected),
        actual=f"{error.found} ({error.what}) from {by.role or 'one side'}",
        advice="the header's len counts the payload only; the name service takes exactly 40 bytes",
        subject=ring,
        core=by.role,
        detail=(f"{error.rule}: {error.where}", *more),
    )


@rule(
    "message.blank",
    stage=Stage.TRAFFIC,
    source="Linux rpmsg_internal.h, struct rpmsg_hdr: a message has a source and a destination",
    each=live_vdevs,
)
def messages_are_written(subject: VdevSubject) -> Iterator[Violation]:
    """The cores do not hand each other buffers for ever in which nobody wrote a message."""
    log = subject.state.run.traffic.messages.get(subject.vdev.path)
    if log is None or not log.is_blank_for_ever:
        return
    last = log.last[-1]
    yield Violation(
        at=(subject.vdev.entry.at,),
        expected="messages with a source, a destination or a payload",
        actual=f"{log.blank_in_row} in a row from {the(last.sender)} have none: each core answers the other's"
        " notification with the next",
        advice="the buffers that go to and fro are not those that messages are written to: see who offers what on which"
        " vring",
        subject=last.ring,
        core=last.sender,
    )


@rule(
    "message.unknown-destination",
    stage=Stage.TRAFFIC,
    source="RPMsg: dynamic addresses, from 1024 on, become known by the name service or by messages from them",
    each=live_vdevs,
    severity=Severity.WARNING,
    of_absence=True,
)
def destinations_are_known(subject: VdevSubject) -> Iterator[Violation]:
    """Where there is a name service, a message to a dynamic address goes to one that was announced or ever sends."""
    log = subject.state.run.traffic.messages.get(subject.vdev.path)
    is_named = subject.vdev.entry.value.head.gfeatures & Feature.NS
    unknown = log.unknown.items() if log and is_named else ()
    for role, address, record in sorted((subject.vdev.role_of(side), at, first) for (side, at), first in unknown):
        yield Violation(
            at=(subject.vdev.entry.at,),
            expected=f"an endpoint of {role} that was announced",
            actual=f"address {address}, from {record.sender}'s {record.src}, {record.length} bytes",
            advice="the receiver drops it; was the endpoint destroyed, or never announced?",
            subject=record.ring,
            core=record.sender,
        )
