"""RPMsg messages of one vdev: who said what to whom, which addresses there are, and who answers. Plain data."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import field, replace
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import FormatError
from orchestrator.base.roles import Side, Sides
from orchestrator.formats.rpmsg import (
    ADDRESS_FIRST_DYNAMIC,
    Endpoint,
    EndpointChange,
    EndpointTracker,
    NameServiceFlag,
)

__all__ = ["HISTORY", "Actor", "MessageLog", "MessageRecord"]

HISTORY = 32  # of each kind, the first and the last so many are kept
_MAX_PEERS = 4096
_FOR_EVER = 2_000  # blank messages in a row: no queue has so many buffers, so somebody sends them again and again


class Actor(NamedTuple):
    """Who did something, and when: virtual nanoseconds, the role of the core ("" when nobody knows)."""

    time_ns: int
    role: str


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
    head: int = 0  # of the chain that it came in
    address: int = 0  # of its header, as the descriptor says it

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
    sent_since: Counter[Side] = field(default_factory=Counter)  # since the rings were last set up anew
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
    _firsts: int = 0  # sides that have sent, and announcements, when they were last asked for

    @property
    def is_blank_for_ever(self) -> bool:
        """Buffers go to and fro in which nobody ever wrote a message."""
        return self.blank_in_row >= _FOR_EVER

    def has_firsts(self) -> bool:
        """Whether a side has sent its first message, or announced something, since the last call."""
        before, self._firsts = self._firsts, len(self.sent) + len(self.announced)
        return self._firsts != before

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
        self.sent_since[record.side] += 1
        self.payload[record.side] += record.length
        self.blank_in_row = 0 if record.src or record.dst or record.length else self.blank_in_row + 1
        if len(self.first) < HISTORY:
            self.first.append(record)
        self.last.append(record)
        if record.text and len(self.announced) < HISTORY:
            self.announced.append(record)

    def use(self, side: Side, address: int) -> AddressUse:
        """What went to and from an address; not kept where there are too many."""
        found = self.uses.get((side, address))
        if found is None:
            found = AddressUse()
            if len(self.uses) < _MAX_PEERS:
                self.uses[side, address] = found
        return found

    def note_use(self, record: MessageRecord) -> None:
        """Count a message at both of its addresses."""
        if record.text:
            return
        source, target = self.use(record.side, record.src), self.use(record.side.other, record.dst)
        source.sent += 1
        if source.unanswered:
            source.most_unanswered = max(source.most_unanswered, source.unanswered)
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
        for kept in (self.uses, self.left_ns, self._destroyed, self.sent_since):
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
        if self.unknown:
            self.unknown.pop((record.side, record.src), None)
        if len(self._sources) < _MAX_PEERS:
            self._sources.add((record.side, record.src))
        peer = record.side.other
        known = (
            record.dst < ADDRESS_FIRST_DYNAMIC  # that of the name service among them
            or (peer, record.dst) in self._sources
            or self.endpoints.at(peer, record.dst) is not None
        )
        if not known and len(self.unknown) < HISTORY:
            self.unknown.setdefault((peer, record.dst), record)
