"""What happens in the rings: indices, chains, and whether both sides look at the same places."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.errors import RingError, RptwinError
from orchestrator.base.memory import Place, place_of
from orchestrator.base.roles import Side, the
from orchestrator.base.words import counted
from orchestrator.checks.finding import Finding, Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.rules.buffers import DEVICE_ADDRESS_ADVICE, DEVICE_ADDRESS_SOURCE, are_offsets
from orchestrator.checks.state import RingSubject, has_rested, live_rings, rings_at_rest
from orchestrator.formats.virtqueue import Descriptor, DescriptorFlag, RingLayout, SplitRing
from orchestrator.observe.live import ring_layout

__all__ = ["RING_RULES", "ring_finding"]

RING_RULES = {
    "ring.avail-overrun": (
        "The driver makes no more chains available than the queue holds.",
        "virtio 1.3, 2.7.13.1: a chain takes free descriptors",
        "the driver lost count, or wrote the index of another ring",
    ),
    "ring.head-in-use": (
        "The driver makes descriptors available only when the device does not have them, in another chain or the same.",
        "virtio 1.3, 2.7.13.1: a chain takes free descriptors",
        "reclaim a descriptor from the used ring before using it again",
    ),
    "ring.used-ahead": (
        "The device uses no more chains than were made available.",
        "virtio 1.3, 2.7.8: the used ring returns buffers that the driver made available",
        "the device's index starts elsewhere: were the rings set up anew without it (rpmsg-lite 11)?",
    ),
    "ring.used-not-a-head": (
        "Each used element names the head of a chain that the device has.",
        "virtio 1.3, 2.7.8: id is the index of the start of the used descriptor chain (open-amp 249)",
        "the device returned a chain twice, or an index of its own",
    ),
    "ring.used-twice": (
        "The device returns each chain once.",
        "virtio 1.3, 2.7.8: the used ring returns buffers that the driver made available (open-amp 524)",
        "two paths return the buffer: the endpoint's callback and the loop around it?",
    ),
    "ring.desc-loop": (
        "A chain of descriptors has an end.",
        "virtio 1.3, 2.7.5.2: a driver must not create loops",
        "clear NEXT in the chain's last descriptor",
    ),
    "ring.index-out-of-range": (
        "Each index names a descriptor of its table.",
        "virtio 1.3, 2.7.5: next and ring entries are indices into the descriptor table",
        "an index counts descriptors, not bytes, and starts from 0",
    ),
    "ring.chain-too-long": (
        "A chain has no more buffers than the queue has entries.",
        "virtio 1.3, 2.7.5.3.1: a chain is not longer than the Queue Size",
        "split the request",
    ),
    "ring.indirect-next": (
        "A descriptor does not have both INDIRECT and NEXT.",
        "virtio 1.3, 2.7.5.3.1",
        "an indirect table ends its chain",
    ),
    "ring.indirect-nested": (
        "An indirect table names no other.",
        "virtio 1.3, 2.7.5.3.1",
        "put all descriptors into one indirect table",
    ),
    "ring.indirect-length": (
        "An indirect table has a whole number of descriptors.",
        "virtio 1.3, 2.7.5.3: len is a multiple of 16",
        "len counts bytes, 16 for each descriptor",
    ),
    "ring.indirect-address": (
        "An indirect table lies in memory.",
        "virtio 1.3, 2.7.5.3",
        "addr is an address of the device",
    ),
    "ring.indirect-not-negotiated": (
        "The driver uses indirect tables only where INDIRECT_DESC was negotiated.",
        "virtio 1.3, 2.7.5.3.1 and 2.8.19",
        "negotiate the feature, or chain with NEXT",
    ),
    "ring.readable-after-writable": (
        "The buffers that the device reads stand before those that it writes.",
        "virtio 1.3, 2.7.4.2 and 2.8.6",
        "sort the chain: what is sent first, room for the answer last",
    ),
    "ring.used-length": (
        "The device reports no more bytes written than the chain has room for.",
        "virtio 1.3, 2.7.8.2: len is the number of bytes written into the writable buffers",
        "report what was written, not the size of the queue or of the request",
    ),
    "ring.avail-out-of-order": (
        "Under IN_ORDER (bit 35, of queues that no resource table describes) the driver takes descriptors from 0"
        " on, round and round.",
        "virtio 1.3, 2.7.9: the driver makes descriptors available in ring order",
        "do not take descriptors from a free list when IN_ORDER is negotiated",
    ),
    "ring.used-out-of-order": (
        "Under IN_ORDER (bit 35, of queues that no resource table describes) the device uses chains in the order"
        " in which they were made available.",
        "virtio 1.3, 2.7.9: the device uses descriptors in the order in which they were made available",
        "do not accept IN_ORDER, or finish requests in order",
    ),
    "ring.wrong-writer": (
        "Only the driver moves the available index, only the device the used index.",
        "virtio 1.3, 2.7.6 and 2.7.8: each ring has one writer (modm 844)",
        "does the start-up code of this core clear shared memory that the other one already uses?",
    ),
}

# What a side of a virtqueue can meet: a rule of the rings, or one that the observer judges from all buffers seen.
_PEER_RULES = RING_RULES | {
    "buffer.unreachable-by-device": (
        "The device's core has memory for every buffer that a descriptor names.",
        DEVICE_ADDRESS_SOURCE,
        DEVICE_ADDRESS_ADVICE,
    )
}


def _ring_rule(id_: str, description: str, source: str, advice: str) -> None:
    def judge(subject: RingSubject) -> Iterator[Violation]:
        fault = subject.traffic.faults.get(id_)
        if fault is not None and subject.vdev.is_driver_ok:
            expected = fault.expected or description.rstrip(".")
            when = f"{fault.found} after {fault.by.time_ns / 1e6:.3f} ms"
            yield Violation(
                (fault.at,), expected, when, advice, subject=fault.ring, core=fault.by.role, detail=(fault.what,)
            )

    judge.__doc__ = description
    rule(id_, stage=Stage.TRAFFIC, source=source, each=live_rings)(judge)


for _id, (_description, _source, _advice) in RING_RULES.items():
    _ring_rule(_id, _description, _source, _advice)


def ring_finding(error: RingError, ring: str = "", core: str = "") -> Finding:
    """What a side of a virtqueue says of its peer, as a finding with the rule's source and advice."""
    description, source, advice = _PEER_RULES[error.rule]
    return Finding(
        rule=error.rule,
        severity=Severity.ERROR,
        stage=Stage.TRAFFIC,
        at=(place_of(error, ring),),
        expected=str(error.expected) if error.expected is not None else description.rstrip("."),
        actual=error.what if error.found is None else str(error.found),
        advice=advice,
        subject=ring,
        source=source,
        core=core,
        detail=(error.what,),
    )


def _device_layouts(ring: RingSubject) -> Iterator[RingLayout]:
    """Where a device that disagrees with the table about align, or uses rpmsg-lite's formula, puts its used ring."""
    layout = ring.ring.layout
    if layout is None:
        return
    num, seen = layout.num, {layout.used}
    for align in (1 << shift for shift in range(2, 13)):
        for make in (RingLayout.legacy, RingLayout.rpmsg_lite):
            candidate = make(layout.desc, num, align)
            if candidate.used not in seen:
                seen.add(candidate.used)
                yield candidate


def _looks_used(queue: SplitRing, posted: int) -> bool:
    """Whether there is a used ring in which this many chains at most were returned."""
    idx = queue.used_idx
    if not 0 < idx <= min(posted, queue.layout.num) or queue.used_flags > 1:
        return False
    elements = [queue.used_ring(slot) for slot in range(idx)]
    return all(each.id < queue.layout.num for each in elements) and len({each.id for each in elements}) == idx


def _elsewhere(subject: RingSubject) -> RingLayout | None:
    """The layout by which the device seems to have returned buffers where the table has no used ring."""
    views, ring, traffic = subject.state.views, subject.ring, subject.traffic
    if views is None or traffic.used or not traffic.posted:
        return None
    for layout in _device_layouts(subject):
        try:
            if _looks_used(SplitRing(views.memories[ring.role], layout), traffic.posted):
                return layout
        except RptwinError:
            continue
    return None


def _cut_by(subject: RingSubject) -> str:
    """The align by which main, who places all rings, seems to have cut the next one, if that is not the table's."""
    rings = [each for each in subject.vdev.rings if each.span and each.span.pa is not None and each.was_dynamic]
    layout = subject.ring.layout
    if layout is None or len(rings) < 2 or subject.ring is not rings[0]:
        return ""
    distance = rings[1].entry.da - rings[0].entry.da
    fits = []
    for align in (1 << shift for shift in range(2, 13)):
        other = ring_layout(0, layout.num, align)
        if other is not None and -(-other.extent.size // 16) * 16 == distance:
            fits.append(align)
    if len(fits) == 1 and fits[0] != subject.ring.entry.align:
        return f"main cut the next ring {distance} bytes further on, as align {fits[0]} would give"
    return ""


@rule(
    "ring.layout-disagreement",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.2: both sides place the used ring by the same align (zephyr PR 106994)",
    each=rings_at_rest,
    of_absence=True,
)
def both_sides_use_the_same_layout(subject: RingSubject) -> Iterator[Violation]:
    """Buffers are returned where the table's align puts the used ring, and the driver looks for them there."""
    run, ring, traffic, views = subject.state.run, subject.ring, subject.traffic, subject.state.views
    if ring.layout is None or views is None:
        return
    used = ring.layout.used
    driver, device = (subject.vdev.role_of(side) for side in Side)
    other = _elsewhere(subject)
    if other is not None:
        yield Violation(
            at=(views.place(ring.role, other.used, f"{ring.path}.used"), ring.field("align")),
            expected=f"the used ring at {used:#010x} (align {ring.entry.align})",
            actual=f"buffers were returned at {other.used:#010x} ({other.formula})",
            advice=f"{the(device)} must place the used ring by the align of the table",
            subject=ring.path,
            core=device,
        )
        return
    taken = run.ledger.last_taken_ns.get(driver)
    since = traffic.oldest_unseen_ns
    unseen = traffic.is_pool and traffic.used_unseen == traffic.used and since is not None
    if (
        not unseen
        or since is None
        or taken is None
        or taken < since - subject.state.turn_ns
        or _driver_acted_after(subject, since)
    ):
        return
    if (ring.path, Side.DRIVER) in run.history.looked_ns and driver in run.history.tells:
        return  # it knows where the used ring is: notification.in-vain, or what else keeps it from there
    hint = _cut_by(subject)
    yield Violation(
        at=(views.place(ring.role, used, f"{ring.path}.used"), ring.field("align")),
        expected=f"{the(driver)} takes the {counted(traffic.used, 'buffer')} returned at {used:#010x}"
        f" (align {ring.entry.align})",
        actual=f"{the(driver)} was notified and did nothing with any of them",
        advice=f"{the(driver)} seems to look for the used ring elsewhere: "
        "both sides must place it by the align of the table",
        subject=ring.path,
        core=driver,
        detail=(hint,) if hint else (),
    )


def _driver_acted_after(subject: RingSubject, since_ns: int) -> bool:
    """The driver offered something on a ring of this vdev after then, so it sees what comes back."""
    rings = subject.state.run.traffic.rings
    offers = [rings[r.path].last_posted for r in subject.vdev.rings if r.path in rings]
    return any(offer is not None and offer.time_ns > since_ns for offer in offers)


@rule(
    "ring.direction",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.5: WRITE marks what the device writes; RPMsg: vring 0 towards the driver, 1 from it"
    " (open-amp 75, 148)",
    each=live_rings,
)
def descriptors_have_the_direction_of_their_queue(subject: RingSubject) -> Iterator[Violation]:
    """RPMsg's driver offers writable buffers on its first vring, which the device fills, and readable ones on its
    second.
    """
    run, ring, wrong = subject.state.run, subject.ring, subject.traffic.unexpected
    if not subject.vdev.is_rpmsg or not subject.vdev.is_driver_ok:
        return
    if wrong is None:
        yield from _device_exchanges(subject)
        return
    first, second = (run.traffic.ring(each.path) for each in subject.vdev.rings[:2])
    exchanged = bool(second.directed[True]) and not second.directed[False] and not first.directed[True]
    if exchanged and ring.path == first.path:
        return  # said of the other one
    if not exchanged and not wrong.is_empty and _marks_what_it_sends(subject):
        return
    driver, device = (the(subject.vdev.role_of(side)) for side in (Side.DRIVER, Side.DEVICE))
    way = f"{device} to {driver}" if wrong.is_empty else f"{driver} to {device}"
    at, flags = wrong.element.at, wrong.element.descriptor.flags
    count = subject.traffic.directed[not wrong.is_empty]
    often = f" in {count} of {counted(subject.traffic.posted, 'chain')}" if count else " in a chain of both directions"
    yield Violation(
        at=(Place(at.view, at.address + Descriptor.offset_of("flags"), f"{at.path}.flags"),),
        expected=f"{'2 (WRITE: the device fills it)' if wrong.is_empty else '0 (the device reads it)'}, from {way}",
        actual=f"{flags:#x}{' (WRITE)' if flags & DescriptorFlag.WRITE else ''}{often}"
        + (f", and no writable buffer on {first.path}: the two vrings are exchanged" if exchanged else ""),
        advice="vring 0 is the driver's receive queue, vring 1 its transmit queue"
        if exchanged
        else "WRITE is for the buffers that the device fills, on vring 0, and for no other",
        subject=ring.path,
        core=subject.vdev.role_of(Side.DRIVER),
    )


def _marks_what_it_sends(subject: RingSubject) -> bool:
    """Both sides are OpenAMP of before 2020, which marks what it sends as writable and looks at no flag: buffers are
    named by offsets, or no feature is accepted, and the device answers what it got so.
    """
    if are_offsets(subject.state, subject.vdev.path):
        return True
    if subject.vdev.accepts_nothing and not subject.state.tells_of_absence:
        return True  # the answer may have been on its way
    log = subject.state.run.traffic.messages.get(subject.vdev.path) if subject.vdev.accepts_nothing else None
    return log is not None and any(
        side is Side.DEVICE and use.received and use.sent for (side, _), use in log.uses.items()
    )


def _device_exchanges(subject: RingSubject) -> Iterator[Violation]:
    """All that a device returns on the driver's receive queue came back as it was: it takes the queue for its own."""
    run, traffic = subject.state.run, subject.traffic
    first, second = subject.vdev.rings[:2]
    if subject.ring.path != first.path or not traffic.used or traffic.used_unwritten != traffic.used:
        return
    if run.traffic.ring(second.path).used:
        return
    device = subject.vdev.role_of(Side.DEVICE)
    yield Violation(
        at=(first.at,),
        expected=f"buffers that {the(device)} has filled",
        actual=f"{traffic.used} of {traffic.used} came back with nothing in them, and none was used on {second.path}:"
        f" {the(device)} has the two vrings exchanged",
        advice="vring 0 is the driver's receive queue, on which the device sends, vring 1 its transmit queue",
        subject=first.path,
        core=device,
    )


_OF_NO_TRAFFIC = "follow one buffer: is the other core told of it, and does it then look at this ring?"
_OF_AN_IDLE_RING = "nothing to do, if nobody is to offer anything on it yet; it was not seen working"


@rule(
    "traffic.none",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7: what is made available comes back",
    each=live_rings,
    severity=Severity.NOTE,
    of_absence=True,
)
def something_goes_through(subject: RingSubject) -> Iterator[Violation]:
    """Each ring has seen a used buffer; where it has not, the report says so. A vdev on which nothing ever moved
    although buffers were offered is at fault, whatever the cause, unless nobody was there to begin: where Python
    drives, it sends when it is told to, and where no RPMsg goes, a device that is to fill buffers may have nothing to
    say.
    """
    state, traffic = subject.state, subject.traffic
    run = state.run
    if not subject.vdev.is_driver_ok or traffic.used:
        return
    queues = [run.traffic.ring(ring.path) for ring in subject.vdev.rings]
    offered = [each for each in queues if each.posted]
    can_begin = subject.vdev.is_rpmsg or any(not each.is_pool for each in offered)
    is_driven = subject.vdev.role_of(Side.DRIVER) in state.images
    dead = is_driven and can_begin and bool(offered) and not any(each.used for each in queues)
    dead = dead and has_rested(state, subject.vdev)
    yield Violation(
        at=(subject.ring.at,),
        expected="a used buffer",
        actual=f"{traffic.posted} made available, none used" if traffic.posted else "nothing was made available",
        advice=_OF_NO_TRAFFIC if traffic.posted else _OF_AN_IDLE_RING,
        subject=subject.ring.path,
        severity=Severity.ERROR if dead and traffic is offered[0] else None,
    )
