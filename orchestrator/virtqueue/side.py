"""What both sides of both kinds of ring share: buffers, chains, what was negotiated, and faults of the peer.

A peer that breaks a rule gives a fault, the first of each kind and its queue, and never an exception: the queue goes
on where it can and stops (``is_broken``) where its indices mean nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RingError, RptwinError, UsageError
from orchestrator.base.memory import Memory, Place
from orchestrator.formats.resource_entry import Feature

__all__ = ["Chain", "Negotiated", "Report", "Returned", "Segment", "VirtqueueSide", "needs_event"]

Report = Callable[[RingError], None]
"""Called with each fault of the peer, the first of its kind on its queue."""

Translate = Callable[[int, int], int]
"""Address and size in one view to the address in the other; RptwinError where the other has no such memory."""


def same_address(address: int, size: int) -> int:
    """Both sides use the same addresses."""
    del size
    return address


@dataclass(frozen=True, slots=True)
class Segment:
    """One buffer of a chain, in the view of the side that holds it."""

    address: int
    size: int  # bytes
    is_writable: bool = False  # by the device


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The ring features that both sides agreed on (virtio 1.3, 6)."""

    indirect: bool = False
    event_idx: bool = False
    in_order: bool = False

    @classmethod
    def of(cls, features: int) -> Negotiated:
        """From a feature word."""
        return cls(
            bool(features & Feature.INDIRECT_DESC),
            bool(features & Feature.EVENT_IDX),
            bool(features & Feature.IN_ORDER),
        )


@dataclass(frozen=True, slots=True)
class Returned:
    """A chain that came back from the device: what the driver gave it as a token, and the bytes that were written."""

    token: object
    length: int


def needs_event(event: int, new: int, old: int) -> bool:
    """Whether moving an index from ``old`` to ``new`` passes the event index (virtio 1.3, 2.7.7.1 and 2.7.10.1)."""
    return (new - event - 1) & 0xFFFF < (new - old) & 0xFFFF


class Chain:
    """A chain in the device's hands: what to read, and room to write to; never raises for what the driver put there."""

    __slots__ = ("_memory", "_report", "head", "segments", "slots")

    def __init__(
        self, head: int, segments: tuple[Segment, ...], slots: int, memory: Memory, report: Report | None = None
    ) -> None:
        self.head = head  # of a packed ring: the buffer id
        self.segments = segments
        self.slots = slots  # descriptors of the ring that it takes
        self._memory = memory
        self._report = report

    @property
    def readable_size(self) -> int:
        """Bytes that the driver sent."""
        return sum(each.size for each in self.segments if not each.is_writable)

    @property
    def capacity(self) -> int:
        """Bytes that the device may write."""
        return sum(each.size for each in self.segments if each.is_writable)

    def read(self, limit: int = 1 << 20) -> bytes:
        """What the driver sent, all of its buffers joined, at most ``limit`` bytes."""
        parts: list[bytes] = []
        for each in self.segments:
            if each.is_writable or limit <= 0:
                break
            size = min(each.size, limit)
            limit -= size
            try:
                parts.append(self._memory.read(each.address, size))
            except RptwinError as error:
                self._fail(each, error)
                break
        return b"".join(parts)

    def write(self, data: bytes) -> int:
        """Fill the writable buffers in order; the bytes written, fewer than given where the room ends."""
        done = 0
        for each in self.segments:
            if not each.is_writable or done >= len(data):
                continue
            part = data[done : done + each.size]
            try:
                self._memory.write(each.address, part)
            except RptwinError as error:
                self._fail(each, error)
                break
            done += len(part)
        return done

    def _fail(self, segment: Segment, error: RptwinError) -> None:
        if self._report is not None:
            where = Place(self._memory.view, segment.address, f"buffer of chain {self.head}")
            self._report(_no_memory(where, segment.size, error))


def _no_memory(where: Place, size: int, error: RptwinError) -> RingError:
    return RingError(
        "a descriptor names no memory of the device",
        rule="buffer.unreachable-by-device",
        where=where,
        expected=f"{size} bytes of memory",
        found=error,
    )


class VirtqueueSide:
    """One side of one queue: its name in reports, and what its peer did wrong."""

    def __init__(self, memory: Memory, name: str, report: Report | None) -> None:
        self.name = name
        self.is_broken = False  # until the queue is reset
        self._view = memory.view
        self._report = report
        self._faults: dict[str, RingError] = {}

    @property
    def faults(self) -> tuple[RingError, ...]:
        """What the peer did wrong, the first of each kind."""
        return tuple(self._faults.values())

    def place(self, address: int, path: str) -> Place:
        """Where something is, for messages."""
        return Place(self._view, address, f"{self.name}.{path}" if self.name else path)

    def fault(self, error: RingError) -> None:
        """Note a broken rule; the first of its kind is reported."""
        if error.rule not in self._faults:
            self._faults[error.rule] = error
            if self._report is not None:
                self._report(error)

    def blame(self, rule: str, what: str, address: int, path: str, *, expected: object, found: object) -> None:
        """Note a broken rule by its parts."""
        self.fault(RingError(what, rule=rule, where=self.place(address, path), expected=expected, found=found))


def resolve(
    memory: Memory, translate: Translate, address: int, size: int, *, is_writable: bool, where: Callable[[], Place]
) -> Segment | RingError:
    """A descriptor's buffer in the device's view, whose ends it has memory for; else the fault."""
    try:
        own = translate(address, size)
        if size:
            memory.read(own, 1)
            memory.read(own + size - 1, 1)
    except RptwinError as error:
        return _no_memory(where(), size, error)
    return Segment(own, size, is_writable)


def check_order(segments: Sequence[Segment], where: str | Place) -> RingError | None:
    """Readable buffers come before writable ones (virtio 1.3, 2.7.4.2)."""
    writable = False
    for index, each in enumerate(segments):
        if writable and not each.is_writable:
            return RingError(
                "a buffer to read behind one to write",
                rule="ring.readable-after-writable",
                where=where,
                expected="all readable buffers first",
                found=f"buffer {index} of {len(segments)} is readable",
            )
        writable = each.is_writable
    return None


def checked_segments(segments: Sequence[Segment], num: int) -> tuple[Segment, ...]:
    """What a driver of ours may put into one chain; UsageError for a mistake of our own."""
    if not 1 <= len(segments) <= num:
        raise UsageError("a chain of this many buffers", expected=f"1..{num}", found=len(segments))
    wrong = check_order(segments, "chain")
    if wrong is not None:
        raise UsageError(wrong.what, expected=wrong.expected, found=wrong.found)
    return tuple(segments)
