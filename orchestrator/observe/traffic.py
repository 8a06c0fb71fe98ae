"""What went through the rings: chains, buffers and messages, counted and conserved, in bounded memory.

Everything here is plain data, so that a board's snapshot can copy it: memory is handed in with each call.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import FormatError, RingError
from orchestrator.base.roles import Side, Sides
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.rpmsg import decode_message
from orchestrator.formats.virtqueue import SplitRing
from orchestrator.observe.buffers import MAX_BUFFERS, MAX_FAULTS, Buffers
from orchestrator.observe.messages import HISTORY, Actor, MessageLog, MessageRecord
from orchestrator.observe.offsets import IoRegion
from orchestrator.observe.ring_traffic import (
    Buffer,
    BufferUse,
    Chain,
    Look,
    RingFault,
    RingTraffic,
    Suppression,
    UnexpectedDirection,
)
from orchestrator.observe.views import Views

_HEADS = struct.Struct("<4H")  # flags and index of the available and of the used ring
_EVENT_IDX = int(Feature.EVENT_IDX)  # a number: this is asked at every look

__all__ = [
    "HISTORY",
    "MAX_BUFFERS",
    "Actor",
    "Buffer",
    "BufferUse",
    "Chain",
    "MessageLog",
    "MessageRecord",
    "RingFault",
    "RingTraffic",
    "Suppression",
    "Traffic",
    "UnexpectedDirection",
    "heads_of",
]


def heads_of(ring: SplitRing) -> bytes | None:
    """Flags and indices of a ring, which are the same as long as nothing is published; None: it cannot be read."""
    try:
        return ring.heads
    except RingError:
        return None


@dataclass(slots=True)
class Traffic(Buffers):
    """All rings' traffic and every buffer that went through them."""

    rings: dict[str, RingTraffic] = field(default_factory=dict)
    messages: dict[str, MessageLog] = field(default_factory=dict)  # by vdev path

    def ring(self, path: str) -> RingTraffic:
        """A ring's traffic, empty at first."""
        found = self.rings.get(path)
        if found is None:
            found = self.rings[path] = RingTraffic(path)
        return found

    def log(self, vdev: str, sides: Sides) -> MessageLog:
        """The messages of a vdev, none at first."""
        found = self.messages.get(vdev)
        if found is None:
            found = self.messages[vdev] = MessageLog(sides)
        return found

    def restart(self, path: str, *, counting: bool = True) -> None:
        """The driver set the ring up anew: forget what was under way."""
        old = self.ring(path)
        used = old.used_before + (old.used if counting else 0)
        self.rings[path] = RingTraffic(path, restarts=old.restarts + counting, used_before=used)
        for buffer in self.buffers.values():
            if buffer.ring == path:
                buffer.owner = Side.DRIVER
        vdev, _, ring = path.partition(".")
        if ring == "vring[0]" and vdev in self.messages:
            self.messages[vdev].restart()

    def settle(self, vdev: str) -> None:
        """Every ring of a vdev has been looked at after a turn."""
        log = self.messages.get(vdev)
        if log is not None and log.has_claims:
            log.settle(self._messages_in(vdev))

    def _messages_in(self, vdev: str) -> list[MessageRecord]:
        """The messages to the device of a vdev that it has not returned."""
        rings = (ring for path, ring in self.rings.items() if path.startswith(f"{vdev}."))
        chains = (chain for ring in rings for chain in ring.outstanding.values())
        return [chain.message for chain in chains if chain.message is not None]

    def adopt(self, ring: SplitRing) -> None:
        """Start from a ring whose past nobody saw: what is under way counts, what was before is only a number."""
        traffic = self.ring(ring.name)
        traffic.used_idx = traffic.avail_idx = ring.used_idx
        traffic.heads = b""
        traffic.used = traffic.posted = ring.used_idx

    def sync(
        self,
        ring: SplitRing,
        views: Views,
        by: Actor,
        sides: Sides,
        log: MessageLog | None = None,
        io: IoRegion | None = None,
        *,
        features: Feature | None = None,
        used_by: Actor | None = None,
        heads: bytes | None = None,
    ) -> tuple[int, int]:
        """Look at a ring after a turn: how many chains were made available and how many used since the last look.

        ``sides`` says which core makes buffers available; ``io`` where offsets may count from,
        ``features`` what was negotiated; None: nobody knows; ``used_by`` who has used what was, if it is not ``by``;
        ``heads`` what :func:`heads_of` has just read.

        Never raises for what stands in memory: what breaks the protocol is kept as a fault.
        """
        traffic = self.ring(ring.name)
        event_idx = features is not None and int(features) & _EVENT_IDX != 0
        try:
            heads = heads or ring.heads
            if heads == traffic.heads and not event_idx:
                return 0, 0
            traffic.heads = heads
            avail_flags, avail_idx, used_flags, used_idx = _HEADS.unpack(heads)
            suppress_available = suppress_used = None
            if event_idx:
                unseen = traffic.used_unseen + ((used_idx - traffic.used_idx) & 0xFFFF)
                suppress_available, suppress_used = Suppression.by_device(ring), Suppression.by_driver(ring, unseen)
            else:
                if used_flags & 1:
                    suppress_available = Suppression.by_flag("used.flags", ring.layout.used_flags_at)
                if avail_flags & 1:
                    suppress_used = Suppression.by_flag("avail.flags", ring.layout.avail_flags_at)
        except RingError as error:
            traffic.fault(error, by)
            return 0, 0
        look = Look(traffic, ring, views, by, sides, log, io, features)
        traffic.suppress_available, traffic.suppress_used = suppress_available, suppress_used
        num = ring.layout.num
        went_round = -traffic.avail_idx & 0xFFFF <= num and -traffic.used_idx & 0xFFFF <= num
        if avail_idx == 0 and used_idx == 0 and not went_round:
            self.restart(ring.name)
            replaced = Look(self.ring(ring.name), ring, views, by, sides, log)
            replaced.check_writer(Side.DRIVER, ring.layout.avail_idx_at, "avail.idx")
            return 0, 0
        used, user = 0, look
        if used_by is not None and used_by != by:
            # Who uses acts at any time: what was used and made available again in one turn comes in this order.
            user = look._replace(by=used_by)
            count = min((used_idx - traffic.used_idx) & 0xFFFF, len(traffic.outstanding))
            used = self._see_used(user, (traffic.used_idx + count) & 0xFFFF) if count else 0
        posted = self._see_available(look, avail_idx) if avail_idx != traffic.avail_idx else 0
        return posted, used + (self._see_used(user, used_idx) if used_idx != traffic.used_idx else 0)

    def follow_from(self, path: str, used_idx: int) -> None:
        """A ring that was under way before anybody knew of it is followed from here."""
        traffic = self.ring(path)
        traffic.avail_idx = traffic.used_idx = used_idx
        traffic.heads = b""

    def _see_available(self, look: Look, idx: int) -> int:
        traffic, ring = look.traffic, look.ring
        since, traffic.avail_idx = traffic.avail_idx, idx
        look.check_writer(Side.DRIVER, ring.layout.avail_idx_at, "avail.idx")
        count = (idx - since) & 0xFFFF
        if len(traffic.outstanding) + count > ring.layout.num:
            look.fault(
                RingError(
                    "more made available than the queue holds",
                    rule="ring.avail-overrun",
                    where=ring.place(ring.layout.avail_idx_at, "avail.idx"),
                    expected=f"at most {ring.layout.num} ahead of used.idx {traffic.used_idx}",
                    found=idx,
                )
            )
            traffic.lose_track()
            return 0
        for index in range(since, since + count):
            self._post(look, index % ring.layout.num)
        return count

    def _post(self, look: Look, slot: int) -> None:
        traffic, ring, by = look.traffic, look.ring, look.by
        traffic.posted += 1
        traffic.first_posted = traffic.first_posted or by
        traffic.last_posted = by
        traffic.oldest_unseen_ns, traffic.used_unseen = None, 0
        if traffic.ran_dry_ns is not None:
            traffic.ran_dry_ns, traffic.refilled_ns = None, by.time_ns
        try:
            head = ring.avail_ring(slot)
            if head in traffic.outstanding:
                raise RingError(
                    "made available again while the device has it",
                    rule="ring.head-in-use",
                    where=ring.place(ring.layout.avail_ring_at(slot), f"avail.ring[{slot}]"),
                    expected="a head that is not with the device",
                    found=head,
                )
            traffic.taken.give_back(head)  # of one that broke, and that the device never returned
            elements = ring.chain(head, traffic.taken)
        except RingError as error:
            look.fault(error)
            return
        look.check_chain(head, elements)
        chain = Chain.of(head, elements, by.time_ns, is_empty=look.is_empty(elements))
        traffic.outstanding[head] = chain
        if len(traffic.outstanding) >= traffic.most_outstanding:
            traffic.most_outstanding, traffic.full_ns = len(traffic.outstanding), by.time_ns
        traffic.returned.pop(head, None)
        traffic.posted_empty += chain.is_empty
        is_written = False  # by the device
        for element in elements:
            is_writable = element.descriptor.is_writable
            is_written |= is_writable
            if is_writable is not chain.is_empty and traffic.unexpected is None:
                traffic.unexpected = UnexpectedDirection(chain.is_empty, element)
            self.hand_to_device(look, chain, element)
        traffic.directed[is_written] += 1
        message = None if chain.is_empty else self._read_message(look, chain, Side.DRIVER)
        if message is not None:
            traffic.outstanding[head] = chain.carrying(message)

    def _see_used(self, look: Look, idx: int) -> int:
        traffic, ring = look.traffic, look.ring
        since, traffic.used_idx = traffic.used_idx, idx
        look.check_writer(Side.DEVICE, ring.layout.used_idx_at, "used.idx")
        count = (idx - since) & 0xFFFF
        if count > len(traffic.outstanding) and not self._are_repeated(look, since, count):
            if not traffic.faults:
                look.fault(
                    RingError(
                        "more used than was made available",
                        rule="ring.used-ahead",
                        where=ring.place(ring.layout.used_idx_at, "used.idx"),
                        expected=f"at most {len(traffic.outstanding)} after {since}",
                        found=idx,
                    )
                )
            traffic.lose_track()
            return 0
        for index in range(since, since + count):
            self._use(look, index % ring.layout.num)
        if traffic.posted and not traffic.outstanding:
            traffic.ran_dry_ns = look.by.time_ns
        return count

    def _are_repeated(self, look: Look, since: int, count: int) -> bool:
        """Whether an index is too far ahead because chains that the device has were returned twice."""
        ring = look.ring
        try:
            elements = {slot % ring.layout.num: ring.used_ring(slot) for slot in range(since, since + count)}
        except RingError:
            return False
        heads = Counter(each.id for each in elements.values())
        return (
            len(elements) == count
            and set(heads) <= set(look.traffic.outstanding)
            and max(heads.values()) == 2
            and not any(look.is_left_over(slot, element) for slot, element in elements.items())
        )

    def _use(self, look: Look, slot: int) -> None:
        traffic, ring, by = look.traffic, look.ring, look.by
        try:
            element = ring.used_ring(slot)
            traffic.taken.give_back(element.id)
            before = traffic.returned.get(element.id)
            is_head = element.id in traffic.outstanding
            if not is_head and look.is_left_over(slot, element):
                raise RingError(
                    f"used.idx moved past used.ring[{slot}], which says what it said a round ago",
                    rule="ring.used-ahead",
                    where=ring.place(ring.layout.used_idx_at, "used.idx"),
                    expected=f"no further than used.ring[{slot}] until that is written",
                    found=traffic.used_idx,
                )
            if not is_head and before is not None and "ring.used-ahead" not in traffic.faults:
                raise RingError(
                    f"head {element.id} was returned twice, the first time after {before.time_ns / 1e6:.3f} ms",
                    rule="ring.used-twice",
                    where=ring.place(ring.layout.used_ring_at(slot), f"used.ring[{slot}].id"),
                    expected="a head that the device has",
                    found=element.id,
                )
            traffic.used += 1
            traffic.first_used = traffic.first_used or by
            traffic.last_used = by
            traffic.used_unseen += 1
            if traffic.oldest_unseen_ns is None:
                traffic.oldest_unseen_ns = by.time_ns
            if not is_head:
                raise RingError(
                    f"id {element.id} is not a head",
                    rule="ring.used-not-a-head",
                    where=ring.place(ring.layout.used_ring_at(slot), f"used.ring[{slot}].id"),
                    expected="one of " + ", ".join(str(head) for head in sorted(traffic.outstanding)[:8]),
                    found=element.id,
                )
        except RingError as error:
            look.fault(error)
            return
        chain = traffic.outstanding.pop(element.id)
        traffic.returned[element.id] = by
        traffic.elements[slot] = element
        self._check_length(look, chain, slot, element.len)
        for each in chain.elements:
            buffer = self.buffers.get(each.descriptor.addr)
            if buffer is not None:
                buffer.owner = Side.DRIVER
                buffer.used += 1
                buffer.history.append(BufferUse(by.time_ns, Side.DRIVER, traffic.path, chain.head, element.len))
        if chain.is_empty:
            message = self._read_message(look, chain, Side.DEVICE)
            traffic.used_unwritten += message is not None and message.is_blank and not element.len

    @staticmethod
    def _check_length(look: Look, chain: Chain, slot: int, length: int) -> None:
        """Where nothing of a chain is the device's to write, implementations report the length that they read."""
        room = chain.room or sum(each.descriptor.len for each in chain.elements)
        if length > room:
            look.fault(
                RingError(
                    f"{length} bytes reported in a chain of {room}",
                    rule="ring.used-length",
                    where=look.ring.place(look.ring.layout.used_ring_at(slot) + 4, f"used.ring[{slot}].len"),
                    expected=f"at most {room}",
                    found=length,
                )
            )

    def _read_message(self, look: Look, chain: Chain, sender: Side) -> MessageRecord | None:
        """The message in a chain's buffers, if the rings carry RPMsg and a core can read it."""
        if look.log is None or not chain.elements:
            return None
        self.learn_origin(look, chain)
        data = self.gather(look, chain)
        if data is None:
            return None  # buffer.unreachable-by-device says so
        where = f"{look.ring.name}: buffer at {chain.elements[0].descriptor.addr:#010x}"
        try:
            message = decode_message(data, where=where)
            notice = message.name_service()
            text, change = "", None
            if notice is not None:
                text = f"{notice.kind.name.lower()} {notice.text} at {notice.addr}"
                change = look.log.endpoints.observe(sender, message)
        except FormatError as error:
            if len(look.log.malformed) < MAX_FAULTS:
                look.log.malformed.append((error, look.ring.name, look.by))
            return None
        record = look.message(message, sender, text, chain)
        if change is not None:
            look.log.note_endpoints(record.time_ns, sender, change, notice.text if notice else "")
        look.log.add(record)
        look.log.note_addresses(record)
        look.log.note_use(record)
        if change is not None:
            look.log.note_announcement(record, change, self._messages_in(look.vdev))
        return record
