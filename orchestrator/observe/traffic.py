"""What went through the rings: chains, buffers and messages, counted and conserved, in bounded memory.

Everything here is plain data, so that a board's snapshot can copy it: memory is handed in with each call.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator.base.errors import FormatError, RingError, RptwinError
from orchestrator.base.memory import Place, place_of
from orchestrator.base.roles import MAIN, REMOTE, Side, Sides
from orchestrator.formats.rpmsg import (
    ADDRESS_FIRST_DYNAMIC,
    ADDRESS_NAME_SERVICE,
    Endpoint,
    EndpointChange,
    EndpointTracker,
    Message,
    NameServiceFlag,
    decode_message,
)
from orchestrator.formats.virtqueue import ChainElement, SplitRing, UsedElement
from orchestrator.observe.offsets import IoRegion, is_shared
from orchestrator.observe.views import Span, Views

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
    "Traffic",
    "UnexpectedDirection",
]

HISTORY = 32  # of each kind, the first and the last so many are kept
MAX_BUFFERS = 4096  # addresses that descriptors ever named; a firmware that takes each from a new place has a leak
_MAX_FAULTS = 16
_MAX_MESSAGE = 0x10000  # bytes of a buffer that are read to find a message; ``len`` of its header has 16 bits
_MAX_PEERS = 4096
_FOR_EVER = 2_000  # blank messages in a row: no queue has so many buffers, so somebody sends them again and again


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, and when: virtual nanoseconds, the role of the core ("" when nobody knows)."""

    time_ns: int
    role: str


@dataclass(frozen=True, slots=True)
class BufferUse:
    """One passage of a buffer from one side to the other."""

    time_ns: int
    owner: Side  # from then on
    ring: str
    head: int
    length: int


@dataclass(slots=True)
class Buffer:
    """Memory that a descriptor named, and its way between the sides."""

    address: int  # as the descriptor says it
    span: Span  # the largest length that was ever given with this address
    ring: str
    writable: bool  # for the device to fill
    owner: Side = Side.DRIVER
    posted: int = 0
    used: int = 0
    history: deque[BufferUse] = field(default_factory=lambda: deque(maxlen=HISTORY))
    origin: int | None = None  # the remote's address that it is an offset from; None: it is an address
    room: int = 0  # bytes that its chain offers the device to fill, in all its buffers

    def to_json(self) -> dict[str, object]:
        """Plain values in a stable order."""
        return {
            "address": self.address,
            "main": self.span.pa,
            "remote": self.span.da,
            "size": self.span.size,
            "ring": self.ring,
            "writable": self.writable,
            "owner": self.owner.value,
            "posted": self.posted,
            "used": self.used,
        }


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of descriptors that the driver made available."""

    head: int
    elements: tuple[ChainElement, ...]
    posted_ns: int
    is_empty: bool  # offered for the device to fill
    message: MessageRecord | None = None  # that the driver sends in it

    @property
    def room(self) -> int:
        """Bytes that the device may write."""
        return sum(each.descriptor.len for each in self.elements if each.descriptor.is_writable)


@dataclass(frozen=True, slots=True)
class RingFault:
    """A ring's state that breaks the protocol; the first of its kind on its ring."""

    ring: str
    rule: str
    at: Place
    expected: str
    found: str
    what: str
    by: Actor

    @classmethod
    def of(cls, error: RingError, ring: str, by: Actor) -> RingFault:
        """What an error says of a ring."""
        at = place_of(error, ring)
        return cls(ring, error.rule, at, str(error.expected or ""), str(error.found), error.what, by)


@dataclass(frozen=True, slots=True)
class UnexpectedDirection:
    """A buffer of a chain that is marked for the other direction than the queue has."""

    is_empty: bool  # of a chain that is for the device to fill
    element: ChainElement


@dataclass(slots=True)
class RingTraffic:
    """One ring's counters and what is under way in it."""

    path: str
    avail_idx: int = 0
    used_idx: int = 0
    posted: int = 0
    used: int = 0
    reclaimed: int = 0
    restarts: int = 0
    used_before: int = 0  # before the last restart
    used_unwritten: int = 0  # chains for the device to fill that came back as they were: no byte, no message
    posted_empty: int = 0
    outstanding: dict[int, Chain] = field(default_factory=dict)  # by head: with the device
    first_posted: Actor | None = None
    last_posted: Actor | None = None
    first_used: Actor | None = None
    last_used: Actor | None = None
    oldest_unseen_ns: int | None = None  # used since the driver last offered something here
    used_unseen: int = 0
    ran_dry_ns: int | None = None  # the device had nothing left; None: it has, or never had anything
    refilled_ns: int | None = None  # first offer after it had run dry
    suppress_available: bool = False  # used.flags: the device wants no notification
    suppress_used: bool = False  # avail.flags: the driver wants none
    most_outstanding: int = 0  # chains with the device at one time
    full_ns: int | None = None  # when it last had so many
    returned: dict[int, Actor] = field(default_factory=dict)  # by head: used, and not offered again since
    elements: dict[int, UsedElement] = field(default_factory=dict)  # by slot of the used ring: the last that was used
    unexpected: UnexpectedDirection | None = None  # the first
    directed: Counter[bool] = field(default_factory=Counter)  # chains, by whether the device may write to them
    late: Counter[Side] = field(default_factory=Counter)  # what a side found long after, and nobody had told it
    first_late: dict[Side, tuple[int, int]] = field(default_factory=dict)  # the first of them: published, found
    faults: dict[str, RingFault] = field(default_factory=dict)

    def see_late(self, side: Side, published_ns: int, found_ns: int) -> None:
        """Something was found late by this side."""
        self.late[side] += 1
        self.first_late.setdefault(side, (published_ns, found_ns))

    @property
    def is_pool(self) -> bool:
        """The driver offers empty buffers here, which wait until the device has something to say."""
        return self.posted_empty > 0

    def to_json(self) -> dict[str, object]:
        """Plain values in a stable order."""
        return {
            "ring": self.path,
            "posted": self.posted,
            "used": self.used,
            "reclaimed": self.reclaimed,
            "with_device": len(self.outstanding),
            "restarts": self.restarts,
            "direction": "device to driver" if self.is_pool else "driver to device",
        }


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One RPMsg message as it was published."""

    time_ns: int
    ring: str
    side: Side  # that sent it
    sender: str  # role of the core that plays this side
    src: int
    dst: int
    length: int  # of the payload
    text: str = ""  # of a name-service message: "create rptwin-echo at 1024"
    payload: bytes = field(default=b"", repr=False)

    @property
    def is_blank(self) -> bool:
        """From 0 to 0, without payload: memory that nobody has written a message to."""
        return not (self.src or self.dst or self.length)

    def to_json(self) -> dict[str, object]:
        """Plain values in a stable order."""
        return {
            "time_ns": self.time_ns,
            "ring": self.ring,
            "sender": self.sender,
            "src": self.src,
            "dst": self.dst,
            "length": self.length,
            "text": self.text,
        }


@dataclass(slots=True)
class AddressUse:
    """What went to and from one RPMsg address of a side; the name service's own messages apart."""

    received: int = 0
    sent: int = 0
    unanswered: int = 0  # received since it last sent something
    unanswered_alike: int = 0  # of these, as long as one that it had answered
    most_unanswered: int = 0  # before it sent something, ever
    longest_answer_ns: int = 0  # from a message to the next that it sent
    is_awaited: bool = True  # none of the unanswered came sooner after the one before than the longest answer
    last_received: int = 0  # bytes of payload
    last_received_ns: int = 0
    answered: set[int] = field(default_factory=set)  # bytes of payload, the first few lengths
    last_sent_ns: int | None = None
    announced_from: int | None = None  # source address of its last announcement


@dataclass(frozen=True, slots=True)
class Reused:
    """An address announced again, and how many messages for who had it before were still with the side then."""

    announced: MessageRecord
    address: int
    destroyed_ns: int
    waiting: int


@dataclass(slots=True)
class MessageLog:
    """Messages of one vdev, by the side that sent them: all counted, the first and the last kept."""

    sides: Sides = field(default_factory=Sides)
    endpoints: EndpointTracker = field(default_factory=lambda: EndpointTracker((Side.DRIVER, Side.DEVICE)))
    sent: Counter[Side] = field(default_factory=Counter)
    payload: Counter[Side] = field(default_factory=Counter)  # bytes
    first: list[MessageRecord] = field(default_factory=list)
    last: deque[MessageRecord] = field(default_factory=lambda: deque(maxlen=HISTORY))
    announced: list[MessageRecord] = field(default_factory=list)
    malformed: list[tuple[FormatError, str, Actor]] = field(default_factory=list)  # error, ring
    unknown: dict[tuple[Side, int], MessageRecord] = field(default_factory=dict)  # first to each unknown address
    left_ns: dict[Side, int] = field(default_factory=dict)  # when a side destroyed its last announced endpoint
    uses: dict[tuple[Side, int], AddressUse] = field(default_factory=dict)
    reused: list[Reused] = field(default_factory=list)  # while messages waited
    shared_names: dict[tuple[Side, int], tuple[str, str]] = field(default_factory=dict)  # two names at one address
    _destroyed: dict[tuple[Side, int], tuple[int, int]] = field(default_factory=dict)  # when, and messages left to it
    _claimed: list[Reused] = field(default_factory=list)  # in the look at the rings that goes on
    blank_in_row: int = 0  # messages without source, destination and payload, up to the last one
    _sources: set[tuple[Side, int]] = field(default_factory=set)

    @property
    def is_blank_for_ever(self) -> bool:
        """Buffers go to and fro in which nobody ever wrote a message."""
        return self.blank_in_row >= _FOR_EVER

    def sent_by(self, role: str) -> int:
        """How many messages a core sent."""
        return sum(count for side, count in self.sent.items() if self.sides.role_of(side) == role)

    def payload_of(self, role: str) -> int:
        """How many bytes a core sent in them."""
        return sum(size for side, size in self.payload.items() if self.sides.role_of(side) == role)

    def role_of(self, endpoint: Endpoint) -> str:
        """The core that has an endpoint."""
        return self.sides.role_of(Side(endpoint.side))

    def add(self, record: MessageRecord) -> None:
        """Count a message and keep it as long as there is room."""
        self.sent[record.side] += 1
        self.payload[record.side] += record.length
        self.blank_in_row = 0 if record.src or record.dst or record.length else self.blank_in_row + 1
        if len(self.first) < HISTORY:
            self.first.append(record)
        self.last.append(record)
        if record.text and len(self.announced) < HISTORY:
            self.announced.append(record)

    def use(self, side: Side, address: int) -> AddressUse:
        """What went to and from an address; not kept where there are too many."""
        if len(self.uses) >= _MAX_PEERS and (side, address) not in self.uses:
            return AddressUse()
        return self.uses.setdefault((side, address), AddressUse())

    def note_use(self, record: MessageRecord) -> None:
        """Count a message at both of its addresses."""
        if record.text:
            return
        source, target = self.use(record.side, record.src), self.use(record.side.other, record.dst)
        source.sent += 1
        source.most_unanswered = max(source.most_unanswered, source.unanswered)
        if source.unanswered:
            source.longest_answer_ns = max(source.longest_answer_ns, record.time_ns - source.last_received_ns)
            if len(source.answered) < HISTORY:
                source.answered.add(source.last_received)
        source.unanswered = source.unanswered_alike = 0
        source.is_awaited = True
        source.last_sent_ns = record.time_ns
        if target.unanswered:
            target.is_awaited &= record.time_ns - target.last_received_ns > target.longest_answer_ns
        target.received += 1
        target.unanswered += 1
        target.unanswered_alike += record.length in target.answered
        target.last_received, target.last_received_ns = record.length, record.time_ns

    def restart(self) -> None:
        """The rings were set up anew: nobody has announced anything, and nothing waits for an answer."""
        self.endpoints = EndpointTracker((Side.DRIVER, Side.DEVICE))
        for kept in (self.uses, self.left_ns, self._destroyed):
            kept.clear()

    def note_announcement(
        self, record: MessageRecord, change: EndpointChange, waiting: Sequence[MessageRecord]
    ) -> None:
        """An address that comes or goes; ``waiting`` are the messages to the device that it had not returned before
        its turn.
        """
        side = record.side
        if change.kind is NameServiceFlag.DESTROY and change.before is not None and side is Side.DEVICE:
            address = change.before.address
            self._destroyed[side, address] = record.time_ns, self._left_to(address, waiting)
        if change.kind is not NameServiceFlag.CREATE or change.after is None:
            return
        name, address = change.after.name, change.after.address
        others = [each for each in self.endpoints.endpoints if (each.side, each.address) == (side, address)]
        if len(others) > 1 and len(self.shared_names) < HISTORY:
            self.shared_names.setdefault((side, address), (others[0].name, name))
        destroyed = self._destroyed.pop((side, address), None)
        if destroyed is not None:
            self.uses.pop((side, address), None)
            self._claimed.append(Reused(record, address, *destroyed))
        self.use(side, address).announced_from = record.src

    def _left_to(self, address: int, waiting: Sequence[MessageRecord]) -> int:
        """How many messages the device leaves to an address that it destroys in the midst of a turn. An endpoint that
        had answered all that it returned has taken as many as it answered; of another nobody can tell.
        """
        use = self.use(Side.DEVICE, address)
        returned = use.received - sum(each.dst == address for each in waiting)
        return max(0, use.received - use.sent) if 0 < returned <= use.sent else 0

    @property
    def has_claims(self) -> bool:
        """An address was announced again since the rings were last looked at."""
        return bool(self._claimed)

    def settle(self, waiting: Sequence[MessageRecord]) -> None:
        """After a look at all rings: what waits even now was there when the device announced an address again."""
        for claim in self._claimed:
            late = sum(each.dst == claim.address and each.time_ns <= claim.destroyed_ns for each in waiting)
            late = max(late, claim.waiting)
            if late and len(self.reused) < HISTORY:
                self.reused.append(replace(claim, waiting=late))
        self._claimed.clear()

    def note_endpoints(self, time_ns: int, sender: Side, change: EndpointChange | None, name: str) -> None:
        """A side that has destroyed all its endpoints has left, until it announces another.

        One that it bound to a name of the other side it never announced: where no other name is alive, it was the last.
        """
        if change is None:
            return
        alive = self.endpoints.endpoints
        is_last = change.before is not None or all(each.name == name for each in alive)
        if any(each.side == sender for each in alive):
            self.left_ns.pop(sender, None)
        elif change.kind is NameServiceFlag.DESTROY and is_last:
            self.left_ns[sender] = time_ns

    def note_addresses(self, record: MessageRecord) -> None:
        """Learn the sender's address; remember one that is sent to and that nobody announced or sends from."""
        self.unknown.pop((record.side, record.src), None)
        if len(self._sources) < _MAX_PEERS:
            self._sources.add((record.side, record.src))
        peer = record.side.other
        known = (
            record.dst == ADDRESS_NAME_SERVICE
            or record.dst < ADDRESS_FIRST_DYNAMIC
            or (peer, record.dst) in self._sources
            or self.endpoints.at(peer, record.dst) is not None
        )
        if not known and len(self.unknown) < HISTORY:
            self.unknown.setdefault((peer, record.dst), record)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at one ring: what was there before, what is there now, and whose turn it was."""

    traffic: RingTraffic
    ring: SplitRing
    views: Views
    by: Actor
    sides: Sides
    log: MessageLog | None
    io: IoRegion | None = None

    @property
    def side(self) -> Side | None:
        """The side whose turn it was."""
        return self.sides.side_of(self.by.role)

    @property
    def vdev(self) -> str:
        """``vdev[0]`` of its ring."""
        return self.traffic.path.partition(".")[0]

    def is_empty(self, elements: tuple[ChainElement, ...]) -> bool:
        """Whether the device is to fill a chain. RPMsg's driver receives on its first queue and sends on its second;
        OpenAMP before 2020 marks what it sends as writable too.
        """
        ring = self.traffic.path.rpartition(".")[2]
        if self.log is not None and ring in ("vring[0]", "vring[1]"):
            return ring == "vring[0]"
        return any(each.descriptor.is_writable for each in elements)

    def message(self, message: Message, sender: Side, text: str) -> MessageRecord:
        """What a side sent in this turn."""
        header, payload = message.header, bytes(message.payload)
        role = self.sides.role_of(sender)
        return MessageRecord(
            self.by.time_ns, self.ring.name, sender, role, header.src, header.dst, len(payload), text, payload
        )

    def is_left_over(self, slot: int, element: UsedElement) -> bool:
        """An element of the used ring says what it said a round ago: the index moved past it, and nobody wrote it."""
        return self.traffic.elements.get(slot) == element

    def fault(self, error: RingError) -> None:
        """Keep the first of its kind."""
        self.traffic.faults.setdefault(error.rule, RingFault.of(error, self.ring.name, self.by))

    def check_writer(self, owner: Side, address: int, path: str) -> None:
        """Whoever moved an index, if anybody knows who, plays the side that it belongs to."""
        if not self.by.role or self.side is owner:
            return
        self.fault(
            RingError(
                "written by the other side",
                rule="ring.wrong-writer",
                where=self.ring.place(address, path),
                expected=f"written by {self.sides.role_of(owner)} only",
                found=f"written by {self.by.role}",
            )
        )


@dataclass(slots=True)
class Traffic:
    """All rings' traffic and every buffer that went through them."""

    rings: dict[str, RingTraffic] = field(default_factory=dict)
    buffers: dict[int, Buffer] = field(default_factory=dict)  # by the address in the descriptor
    buffers_dropped: int = 0
    messages: dict[str, MessageLog] = field(default_factory=dict)  # by vdev path
    overlaps: list[tuple[Buffer, Buffer]] = field(default_factory=list)
    origins: dict[str, int] = field(default_factory=dict)  # by vdev path, where buffers are named by offsets

    def ring(self, path: str) -> RingTraffic:
        """A ring's traffic, empty at first."""
        return self.rings.setdefault(path, RingTraffic(path))

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
        traffic.used = traffic.posted = ring.used_idx

    def sync(
        self,
        ring: SplitRing,
        views: Views,
        by: Actor,
        sides: Sides,
        log: MessageLog | None = None,
        io: IoRegion | None = None,
    ) -> tuple[int, int]:
        """Look at a ring after a turn: how many chains were made available and how many used since the last look.

        ``sides`` says which core makes buffers available; ``io`` where offsets may count from.

        Never raises for what stands in memory: what breaks the protocol is kept as a fault.
        """
        traffic = self.ring(ring.name)
        look = _Look(traffic, ring, views, by, sides, log, io)
        try:
            avail_idx, used_idx = ring.avail_idx, ring.used_idx
            traffic.suppress_available = bool(ring.used_flags & 1)
            traffic.suppress_used = bool(ring.avail_flags & 1)
        except RingError as error:
            look.fault(error)
            return 0, 0
        num = ring.layout.num
        went_round = -traffic.avail_idx & 0xFFFF <= num and -traffic.used_idx & 0xFFFF <= num
        if avail_idx == 0 and used_idx == 0 and not went_round:
            self.restart(ring.name)
            replaced = _Look(self.ring(ring.name), ring, views, by, sides, log)
            replaced.check_writer(Side.DRIVER, ring.layout.avail_idx_at, "avail.idx")
            return 0, 0
        return (
            self._see_available(look, avail_idx) if avail_idx != traffic.avail_idx else 0,
            self._see_used(look, used_idx) if used_idx != traffic.used_idx else 0,
        )

    def follow_from(self, path: str, used_idx: int) -> None:
        """A ring that was under way before anybody knew of it is followed from here."""
        traffic = self.ring(path)
        traffic.avail_idx = traffic.used_idx = used_idx

    def _see_available(self, look: _Look, idx: int) -> int:
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
            traffic.outstanding.clear()
            return 0
        for index in range(since, since + count):
            self._post(look, index % ring.layout.num)
        return count

    def _post(self, look: _Look, slot: int) -> None:
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
            elements = ring.chain(head)
        except RingError as error:
            look.fault(error)
            return
        chain = Chain(head, elements, by.time_ns, look.is_empty(elements))
        traffic.outstanding[head] = chain
        if len(traffic.outstanding) >= traffic.most_outstanding:
            traffic.most_outstanding, traffic.full_ns = len(traffic.outstanding), by.time_ns
        traffic.returned.pop(head, None)
        traffic.posted_empty += chain.is_empty
        traffic.directed[any(each.descriptor.is_writable for each in elements)] += 1
        if traffic.unexpected is None:
            wrong = (each for each in elements if each.descriptor.is_writable is not chain.is_empty)
            traffic.unexpected = next((UnexpectedDirection(chain.is_empty, each) for each in wrong), None)
        for element in chain.elements:
            self._hand_to_device(look, chain, element)
        if not chain.is_empty:
            traffic.outstanding[head] = replace(chain, message=self._read_message(look, chain, Side.DRIVER))

    def _learn_origin(self, look: _Look, chain: Chain) -> None:
        """A message in a buffer that a core does not reach under its address: it may be an offset."""
        first = chain.elements[0].descriptor
        buffer = self.buffers.get(first.addr)
        if buffer is None or is_shared(buffer.span) or look.io is None or look.vdev in self.origins:
            return
        origin = look.io.start_of_message(look.views, first.addr, min(first.len, _MAX_MESSAGE))
        if origin is not None:
            self.origins[look.vdev] = origin
            for each in self.buffers.values():
                if each.ring.startswith(f"{look.vdev}."):
                    self._locate(look, each, each.span.size)

    def _locate(self, look: _Look, buffer: Buffer, size: int) -> None:
        """By the address, and where a core has no memory there, by what is known to be added to it."""
        buffer.span = look.views.span_at_da("buffer", buffer.address, size)
        buffer.origin = None if is_shared(buffer.span) else self.origins.get(look.vdev)
        if buffer.origin is not None:
            buffer.span = look.views.span_at_da("buffer", buffer.origin + buffer.address, size)

    def _hand_to_device(self, look: _Look, chain: Chain, element: ChainElement) -> None:
        address, length = element.descriptor.addr, element.descriptor.len
        path = look.traffic.path
        is_space = chain.is_empty and element.descriptor.is_writable
        buffer = self.buffers.get(address)
        if buffer is None:
            if len(self.buffers) >= MAX_BUFFERS:
                self.buffers_dropped += 1
                return
            unknown = Span("buffer", length, None, None)
            buffer = self.buffers[address] = Buffer(address, unknown, path, is_space)
            self._locate(look, buffer, length)
        elif length > buffer.span.size:
            self._locate(look, buffer, length)
        look.traffic.reclaimed += bool(buffer.used and buffer.owner is Side.DRIVER)
        buffer.ring, buffer.writable, buffer.room = path, is_space, chain.room
        self._check_overlap(buffer)
        buffer.owner = Side.DEVICE
        buffer.posted += 1
        buffer.history.append(BufferUse(chain.posted_ns, Side.DEVICE, path, chain.head, length))

    def _check_overlap(self, buffer: Buffer) -> None:
        """Only what is with the device at the same time counts: a heap gives the same bytes out again and again."""
        if len(self.overlaps) >= _MAX_FAULTS:
            return
        for other in self.buffers.values():
            if other is not buffer and other.owner is Side.DEVICE and other.span.overlaps(buffer.span):
                if all({a.address, b.address} != {other.address, buffer.address} for a, b in self.overlaps):
                    self.overlaps.append((other, buffer))
                return

    def _see_used(self, look: _Look, idx: int) -> int:
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
            traffic.outstanding.clear()
            return 0
        for index in range(since, since + count):
            self._use(look, index % ring.layout.num)
        if traffic.posted and not traffic.outstanding:
            traffic.ran_dry_ns = look.by.time_ns
        return count

    def _are_repeated(self, look: _Look, since: int, count: int) -> bool:
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

    def _use(self, look: _Look, slot: int) -> None:
        traffic, ring, by = look.traffic, look.ring, look.by
        try:
            element = ring.used_ring(slot)
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
            if not is_head and before is not None:
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
    def _check_length(look: _Look, chain: Chain, slot: int, length: int) -> None:
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

    def _read_message(self, look: _Look, chain: Chain, sender: Side) -> MessageRecord | None:
        """The message in a chain's buffers, if the rings carry RPMsg and a core can read it."""
        if look.log is None or not chain.elements:
            return None
        self._learn_origin(look, chain)
        data = self._gather(look, chain)
        if data is None:
            return None  # buffer.unreachable-by-device says so
        where = f"{look.ring.name}: buffer at {chain.elements[0].descriptor.addr:#010x}"
        try:
            message = decode_message(data, where=where)
            notice = message.name_service()
            text = "" if notice is None else f"{notice.kind.name.lower()} {notice.text} at {notice.addr}"
            change = look.log.endpoints.observe(sender, message)
        except FormatError as error:
            if len(look.log.malformed) < _MAX_FAULTS:
                look.log.malformed.append((error, look.ring.name, look.by))
            return None
        record = look.message(message, sender, text)
        look.log.note_endpoints(record.time_ns, sender, change, notice.text if notice else "")
        look.log.add(record)
        look.log.note_addresses(record)
        look.log.note_use(record)
        if change is not None:
            look.log.note_announcement(record, change, self._messages_in(look.vdev))
        return record

    def _gather(self, look: _Look, chain: Chain) -> bytes | None:
        """What stands in a chain's buffers, one after the other, as far as a message can go; None: out of reach."""
        data = b""
        for element in chain.elements:
            address = element.descriptor.addr
            size = min(element.descriptor.len, _MAX_MESSAGE - len(data))
            if not size:
                continue
            buffer = self.buffers.get(address)
            origin = buffer.origin or 0 if buffer is not None else 0
            span = look.views.span_at_da("buffer", origin + address, size)
            reader = MAIN if span.pa is not None else REMOTE
            extent = span.seen_by(reader)
            if extent is None:
                return None
            try:
                data += look.views.memories[reader].read(extent.start, size)
            except RptwinError:
                return None
        return data
