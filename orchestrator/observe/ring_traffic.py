"""One ring's counters, its chains and buffers, and what was wrong in it. Plain data, bounded."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import field
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RingError
from orchestrator.base.memory import Place, place_of
from orchestrator.base.roles import Side, Sides
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.rpmsg import Message
from orchestrator.formats.virtqueue import ChainElement, Descriptor, DescriptorFlag, SplitRing, Taken, UsedElement
from orchestrator.observe.messages import HISTORY, Actor, MessageLog, MessageRecord
from orchestrator.observe.offsets import IoRegion
from orchestrator.observe.views import Span, Views

__all__ = ["Buffer", "BufferUse", "Chain", "Look", "RingFault", "RingTraffic", "Suppression", "UnexpectedDirection"]

_RPMSG_RINGS = ".vring[0]", ".vring[1]"  # to the driver, and from it


class BufferUse(NamedTuple):
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
    length: int = 0  # as it was given last
    room: int = 0  # bytes that its chain offers the device to fill, in all its buffers

    @property
    def held(self) -> Span:
        """The bytes of its last passage."""
        return self.span.part(self.span.name, 0, self.length)

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


class Chain(NamedTuple):
    """A chain of descriptors that the driver made available."""

    head: int
    elements: tuple[ChainElement, ...]
    posted_ns: int
    is_empty: bool  # offered for the device to fill
    room: int  # bytes that the device may write
    message: MessageRecord | None = None  # that the driver sends in it

    @classmethod
    def of(cls, head: int, elements: tuple[ChainElement, ...], posted_ns: int, *, is_empty: bool) -> Chain:
        """With what its descriptors say together."""
        room = 0
        for each in elements:
            if each.descriptor.is_writable:
                room += each.descriptor.len
        return cls(head, elements, posted_ns, is_empty, room)

    def carrying(self, message: MessageRecord) -> Chain:
        """The same with what the driver sends in it."""
        return Chain(self.head, self.elements, self.posted_ns, self.is_empty, self.room, message)


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


class Suppression(NamedTuple):
    """A side has asked not to be told of what is published: by its flag, or by an index that lies elsewhere."""

    path: str  # in the ring: ``used.flags``, ``avail_event``
    address: int  # in the view of the ring's layout
    event: int | None  # None: the flag; else it is to be told when the other side's index goes past this one
    since: int  # the other side's index up to which it has acted
    until: int  # the other side's index now

    @classmethod
    @lru_cache(maxsize=256)
    def by_flag(cls, path: str, address: int) -> Suppression:
        """Of anything: the flag is set, as it mostly is for as long as the ring is there."""
        return cls(path, address, None, 0, 0)

    @classmethod
    def by_device(cls, ring: SplitRing) -> Suppression | None:
        """Of what is made available, by ``avail_event``."""
        address = ring.layout.avail_event_at
        return cls._by_event("avail_event", address, ring.avail_event, ring.used_idx, ring.avail_idx)

    @classmethod
    def by_driver(cls, ring: SplitRing, unseen: int) -> Suppression | None:
        """Of what is returned, by ``used_event``; ``unseen`` are those that the driver has not acted on."""
        used = ring.used_idx
        return cls._by_event("used_event", ring.layout.used_event_at, ring.used_event, (used - unseen) & 0xFFFF, used)

    @classmethod
    def _by_event(cls, path: str, address: int, event: int, since: int, until: int) -> Suppression | None:
        """Nothing is published, or the index is among what is: no suppression (virtio 1.3, 2.7.7.1)."""
        count = (until - since) & 0xFFFF
        is_asked = (event - since) & 0xFFFF < count
        return None if is_asked or not count else cls(path, address, event, since, until)


@dataclass(slots=True)
class RingTraffic:
    """One ring's counters and what is under way in it."""

    path: str
    heads: bytes = b""  # flags and index of both rings, as they were looked at last
    avail_idx: int = 0
    used_idx: int = 0
    posted: int = 0
    used: int = 0
    reclaimed: int = 0
    restarts: int = 0
    used_before: int = 0  # before the last restart
    used_unwritten: int = 0  # chains for the device to fill that came back as they were: no byte, no message
    posted_empty: int = 0
    taken: Taken = field(default_factory=Taken)  # descriptors that the device has
    outstanding: dict[int, Chain] = field(default_factory=dict)  # by head: with the device
    first_posted: Actor | None = None
    last_posted: Actor | None = None
    first_used: Actor | None = None
    last_used: Actor | None = None
    oldest_unseen_ns: int | None = None  # used since the driver last offered something here
    used_unseen: int = 0
    ran_dry_ns: int | None = None  # the device had nothing left; None: it has, or never had anything
    refilled_ns: int | None = None  # first offer after it had run dry
    suppress_available: Suppression | None = None  # by the device
    suppress_used: Suppression | None = None  # by the driver
    most_outstanding: int = 0  # chains with the device at one time
    full_ns: int | None = None  # when it last had so many
    returned: dict[int, Actor] = field(default_factory=dict)  # by head: used, and not offered again since
    elements: dict[int, UsedElement] = field(default_factory=dict)  # by slot of the used ring: the last that was used
    unexpected: UnexpectedDirection | None = None  # the first
    directed: Counter[bool] = field(default_factory=Counter)  # chains, by whether the device may write to them
    late: Counter[Side] = field(default_factory=Counter)  # what a side found long after, and nobody had told it
    first_late: dict[Side, tuple[int, int]] = field(default_factory=dict)  # the first of them: published, found
    faults: dict[str, RingFault] = field(default_factory=dict)

    def fault(self, error: RingError, by: Actor) -> None:
        """Keep the first of its kind."""
        self.faults.setdefault(error.rule, RingFault.of(error, self.path, by))

    def lose_track(self) -> None:
        """Nobody knows any more what the device has."""
        self.outstanding.clear()
        self.taken = Taken()

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


class Look(NamedTuple):
    """One look at one ring: what was there before, what is there now, and whose turn it was."""

    traffic: RingTraffic
    ring: SplitRing
    views: Views
    by: Actor
    sides: Sides
    log: MessageLog | None
    io: IoRegion | None = None
    features: Feature | None = None  # that were negotiated; None: nobody knows

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
        path = self.traffic.path
        if self.log is not None and path.endswith(_RPMSG_RINGS):
            return path.endswith(_RPMSG_RINGS[0])
        return any(each.descriptor.is_writable for each in elements)

    def message(self, message: Message, sender: Side, text: str, chain: Chain) -> MessageRecord:
        """What a side sent in this turn."""
        header, payload = message.header, message.payload
        return MessageRecord(
            self.by.time_ns,
            self.ring.name,
            sender,
            self.sides.role_of(sender),
            header.src,
            header.dst,
            len(payload),
            text,
            payload,
            chain.head,
            chain.elements[0].descriptor.addr,
        )

    def is_left_over(self, slot: int, element: UsedElement) -> bool:
        """An element of the used ring says what it said a round ago: the index moved past it, and nobody wrote it."""
        return self.traffic.elements.get(slot) == element

    def fault(self, error: RingError) -> None:
        """Keep the first of its kind."""
        self.traffic.fault(error, self.by)

    def check_chain(self, head: int, elements: tuple[ChainElement, ...]) -> None:
        """Its tables are of a kind that was negotiated, and what the device reads stands before what it writes."""
        if len(elements) == 1 and ".indirect" not in elements[0].at.path:
            return  # as nearly always
        in_table = any(".indirect" in each.at.path for each in elements)
        if in_table and self.features is not None and not self.features & Feature.INDIRECT_DESC:
            self.fault(
                RingError(
                    "an indirect table that was not negotiated",
                    rule="ring.indirect-not-negotiated",
                    where=self.ring.place(
                        self.ring.layout.desc_at(head) + Descriptor.offset_of("flags"), f"desc[{head}].flags"
                    ),
                    expected="no INDIRECT, as INDIRECT_DESC is not among the accepted features",
                    found=f"{DescriptorFlag.INDIRECT:#x} (INDIRECT)",
                )
            )
        for before, each in pairwise(elements):
            if before.descriptor.is_writable and not each.descriptor.is_writable:
                self.fault(
                    RingError(
                        "a buffer to read behind one to write",
                        rule="ring.readable-after-writable",
                        where=self._flags_of(each),
                        expected="all readable buffers of a chain first",
                        found=f"{each.descriptor.flags:#x}, behind {before.at.path} with WRITE",
                    )
                )
                return

    @staticmethod
    def _flags_of(element: ChainElement) -> Place:
        at = element.at
        return Place(at.view, at.address + Descriptor.offset_of("flags"), f"{at.path}.flags")

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
