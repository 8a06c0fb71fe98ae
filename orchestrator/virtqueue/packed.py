"""Both sides of a packed virtqueue (virtio 1.3, 2.8): one ring that driver and device write in turn.

The flow is that of :mod:`orchestrator.virtqueue.split`. The flags of a chain's first descriptor publish the whole
chain, in one 16-bit store after everything else.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RingError, RptwinError, UsageError
from orchestrator.base.memory import Memory, Place
from orchestrator.formats.packed_virtqueue import EventFlags, PackedDescriptor, PackedFlag, PackedLayout
from orchestrator.virtqueue.heap import Heap
from orchestrator.virtqueue.memory import OrderedMemory, ordered
from orchestrator.virtqueue.side import (
    Chain,
    Negotiated,
    Report,
    Returned,
    Segment,
    Translate,
    VirtqueueSide,
    check_order,
    checked_segments,
    resolve,
    same_address,
)

__all__ = ["PackedDevice", "PackedDriver"]

_BODY = struct.Struct("<QIH")  # a descriptor up to its flags
_FLAGS_AT = PackedDescriptor.offset_of("flags")
_WRAP = 0x8000


class _Cursor:
    """A position in the ring with its wrap counter (virtio 1.3, 2.8.1)."""

    __slots__ = ("index", "num", "wrap")

    def __init__(self, num: int) -> None:
        self.num = num
        self.index = 0
        self.wrap = True

    def advance(self, count: int) -> None:
        self.index += count
        if self.index >= self.num:
            self.index -= self.num
            self.wrap = not self.wrap

    @property
    def word(self) -> int:
        """Position and wrap counter as an event suppression structure has them."""
        return self.index | (_WRAP if self.wrap else 0)

    def passes(self, event: int, count: int) -> bool:
        """Whether moving on by ``count`` to here went over the descriptor that an event word names."""
        behind = self.index - (event & ~_WRAP)
        if bool(event & _WRAP) != self.wrap:
            behind += self.num
        return 0 < behind <= count


def _flags(memory: OrderedMemory, layout: PackedLayout, index: int) -> int:
    return memory.load16(layout.desc_at(index) + _FLAGS_AT)


def _available_bits(wrap: bool) -> int:
    return PackedFlag.AVAIL if wrap else PackedFlag.USED


def _used_bits(wrap: bool) -> int:
    return PackedFlag.AVAIL | PackedFlag.USED if wrap else 0


class _PackedSide(VirtqueueSide):
    """What both sides do alike: ask for notifications, and ask whether the other wants them."""

    _own_at: int
    _peer_at: int
    _moved: int  # descriptors written since the last question whether to notify

    def __init__(
        self, memory: Memory, layout: PackedLayout, negotiated: Negotiated | None, name: str, report: Report | None
    ) -> None:
        super().__init__(memory, name, report)
        self.layout = layout
        self.negotiated = negotiated or Negotiated()
        self._memory = ordered(memory)

    def _should_notify(self, cursor: _Cursor) -> bool:
        moved, self._moved = self._moved, 0
        if not moved:
            return False
        flags = self._memory.load16(self._peer_at + 2) & 3
        if flags == EventFlags.DESC and self.negotiated.event_idx:
            return cursor.passes(self._memory.load16(self._peer_at), moved)
        return flags != EventFlags.DISABLE

    def want_notifications(self, wanted: bool) -> None:
        """Whether the other side is to tell of what it does; look once more after asking for it."""
        self._memory.store16(self._own_at + 2, EventFlags.ENABLE if wanted else EventFlags.DISABLE)

    def want_notification_at(self, word: int) -> None:
        """One notification, when the other side passes a position (virtio 1.3, 2.8.10); needs EVENT_IDX."""
        if not self.negotiated.event_idx:
            raise UsageError("not negotiated", where=self.name, expected="EVENT_IDX")
        self._memory.store16(self._own_at, word)
        self._memory.store16(self._own_at + 2, EventFlags.DESC)


@dataclass(slots=True)
class _Posted:
    token: object
    count: int  # descriptors of the ring
    capacity: int
    table: int | None = None


class PackedDriver(_PackedSide):
    """The side that makes buffers available; parameters as of :class:`~orchestrator.virtqueue.split.SplitDriver`."""

    def __init__(
        self,
        memory: Memory,
        layout: PackedLayout,
        negotiated: Negotiated | None = None,
        *,
        to_device: Translate = same_address,
        tables: Heap | None = None,
        name: str = "",
        report: Report | None = None,
    ) -> None:
        super().__init__(memory, layout, negotiated, name, report)
        self._own_at, self._peer_at = layout.driver, layout.device
        self._to_device = to_device
        self._tables = tables if self.negotiated.indirect else None
        self._forget()

    def _forget(self) -> None:
        num = self.layout.num
        self._ids: deque[int] = deque(range(num))
        self._room = num
        self._posted: dict[int, _Posted] = {}
        self._ready: deque[Returned] = deque()
        self._next = _Cursor(num)
        self._used = _Cursor(num)
        self._moved = 0
        self.is_broken = False

    def reset(self) -> None:
        """Empty the ring and take every descriptor back, as at power-on."""
        if self._tables is not None:
            for each in self._posted.values():
                if each.table is not None:
                    self._tables.free(each.table)
        for part in self.layout.parts:
            self._memory.write(part.extent.start, bytes(part.extent.size))
        self._forget()

    @property
    def free_count(self) -> int:
        """Descriptors that this side has."""
        return self._room

    @property
    def posted_count(self) -> int:
        """Chains that the device has."""
        return len(self._posted)

    @property
    def tokens(self) -> tuple[object, ...]:
        """The tokens of the chains that the device has, in the order of publication."""
        return tuple(each.token for each in self._posted.values())

    def offer(self, segments: Iterable[Segment], token: object = None) -> bool:
        """Make a chain of these buffers available; False when too few descriptors (or no table) are free."""
        chosen = checked_segments(list(segments), self.layout.num)
        if self.is_broken or not self._ids:
            return False
        capacity = sum(each.size for each in chosen if each.is_writable)
        table = None
        if len(chosen) > 1 and self._tables is not None:
            table = self._tables.allocate(PackedDescriptor.size * len(chosen), f"{self.name} indirect table")
            if table is None or not self._room:
                if table is not None:
                    self._tables.free(table)
                return False
            self._fill_table(table, chosen)
            chosen = (Segment(table, PackedDescriptor.size * len(chosen)),)
        if len(chosen) > self._room:
            return False
        identity = self._ids.popleft()
        self._posted[identity] = _Posted(token, len(chosen), capacity, table)
        self._publish(identity, chosen, is_indirect=table is not None)
        return True

    def _fill_table(self, table: int, segments: tuple[Segment, ...]) -> None:
        for position, each in enumerate(segments):
            body = _BODY.pack(self._to_device(each.address, each.size), each.size, 0)
            flags = int(PackedFlag.WRITE) if each.is_writable else 0  # of the others none counts (virtio 1.3, 2.8.7)
            self._memory.write(table + PackedDescriptor.size * position, body + flags.to_bytes(2, "little"))

    def _publish(self, identity: int, segments: tuple[Segment, ...], *, is_indirect: bool) -> None:
        first = (0, 0)
        for position, each in enumerate(segments):
            at = self.layout.desc_at(self._next.index)
            flags = int(_available_bits(self._next.wrap))
            flags |= PackedFlag.WRITE if each.is_writable else 0
            flags |= PackedFlag.INDIRECT if is_indirect else 0
            flags |= PackedFlag.NEXT if position + 1 < len(segments) else 0
            self._memory.write(at, _BODY.pack(self._to_device(each.address, each.size), each.size, identity))
            if position:
                self._memory.store16(at + _FLAGS_AT, flags)
            else:
                first = (at + _FLAGS_AT, flags)
            self._next.advance(1)
        # The whole chain is in memory before the flags that publish it (virtio 1.3, 2.8.21.1).
        self._memory.store16(*first)
        self._room -= len(segments)
        self._moved += len(segments)

    def should_notify(self) -> bool:
        """Whether the device wants to hear of what was published since the last call."""
        return self._should_notify(self._next)

    def pop(self) -> Returned | None:
        """The next chain that came back; None when there is none."""
        if self._ready:
            return self._ready.popleft()
        if self.is_broken or not self._posted:
            return None
        at = self.layout.desc_at(self._used.index)
        flags = self._memory.load16(at + _FLAGS_AT)
        if flags & (PackedFlag.AVAIL | PackedFlag.USED) != _used_bits(self._used.wrap):
            return None
        _addr, length, identity = _BODY.unpack(self._memory.read(at, _BODY.size))
        posted = self._posted.get(identity)
        if posted is None:
            self.is_broken = True  # how far to go on is not known without the chain
            self.blame(
                "ring.used-not-a-head",
                "not the id of a chain that the device has",
                at,
                f"desc[{self._used.index}].id",
                expected="one of " + ", ".join(map(str, [*self._posted][:8])),
                found=identity,
            )
            return None
        if self.negotiated.in_order:
            self._reclaim_older(identity)
        if length > posted.capacity and posted.capacity:
            self.blame(
                "ring.used-length",
                "more written than the chain has room for",
                at,
                f"desc[{self._used.index}].len",
                expected=f"at most {posted.capacity}",
                found=length,
            )
        self._ready.append(self._reclaim(identity, min(length, posted.capacity)))
        return self._ready.popleft()

    def _reclaim_older(self, identity: int) -> None:
        """One used descriptor stands for all chains up to its own, which were used completely (virtio 1.3, 2.8.9)."""
        while (older := next(iter(self._posted))) != identity:
            self._ready.append(self._reclaim(older, self._posted[older].capacity))

    def _reclaim(self, identity: int, length: int) -> Returned:
        posted = self._posted.pop(identity)
        self._used.advance(posted.count)
        self._room += posted.count
        self._ids.append(identity)
        if posted.table is not None and self._tables is not None:
            self._tables.free(posted.table)
        return Returned(posted.token, length)


class PackedDevice(_PackedSide):
    """The side that uses buffers; ``translate`` gives the address of a descriptor in this side's view."""

    def __init__(
        self,
        memory: Memory,
        layout: PackedLayout,
        negotiated: Negotiated | None = None,
        *,
        translate: Translate = same_address,
        name: str = "",
        report: Report | None = None,
    ) -> None:
        super().__init__(memory, layout, negotiated, name, report)
        self._own_at, self._peer_at = layout.device, layout.driver
        self._translate = translate
        self.reset()

    def reset(self) -> None:
        """Start from the beginning of a ring that the driver has emptied."""
        self._next = _Cursor(self.layout.num)
        self._used = _Cursor(self.layout.num)
        self._taken: dict[int, int] = {}  # id to descriptors of the ring
        self._held = 0
        self._moved = 0
        self.is_broken = False

    @property
    def base(self) -> int:
        """Where :meth:`resume` goes on: the position of the next chain to take, and above it that to give back at."""
        return self._next.word | self._used.word << 16

    def resume(self, base: int) -> None:
        """Go on in a ring that is under way, of which all that was taken was given back: both positions are the lower
        one of ``base``, as not every front-end says the other (DPDK's virtio-user). RingError for one that is none.
        """
        self.reset()
        index, wrap = base & 0xFFFF & ~_WRAP, bool(base & _WRAP)
        if index >= self.layout.num:
            raise RingError(
                "no position of the ring",
                rule="ring.index-out-of-range",
                where=self.name,
                expected=f"0..{self.layout.num - 1}",
                found=index,
            )
        for cursor in (self._next, self._used):
            cursor.index, cursor.wrap = index, wrap

    @property
    def taken_count(self) -> int:
        """Chains taken and not given back."""
        return len(self._taken)

    def take(self) -> Chain | None:
        """The next chain that the driver made available; None when there is none. Bad ones go back."""
        while not self.is_broken:
            flags = _flags(self._memory, self.layout, self._next.index)
            if flags & (PackedFlag.AVAIL | PackedFlag.USED) != _available_bits(self._next.wrap):
                return None
            index = self._next.index
            found = self._walk(index, flags)
            if isinstance(found, Chain):
                return found
            if found is not None:
                self.fault(found)
        return None

    def _walk(self, index: int, flags: int) -> Chain | RingError | None:
        """Collect one chain and step over it; an error for a chain that went back or that stopped the ring."""
        descriptors: list[PackedDescriptor] = []
        while True:
            at = self.layout.desc_at(self._next.index)
            descriptors.append(PackedDescriptor.unpack_from(self._memory.read(at, PackedDescriptor.size)))
            if len(descriptors) + self._held > self.layout.num:
                self.is_broken = True
                where = self.place(self.layout.desc_at(index), f"desc[{index}]")
                left = self.layout.num - self._held
                return RingError(
                    "a chain longer than what the ring has left",
                    rule="ring.chain-too-long",
                    where=where,
                    expected=f"at most {left} descriptors",
                    found=f"{left + 1} or more",
                )
            self._next.advance(1)
            if not descriptors[-1].flags & PackedFlag.NEXT:
                break
        identity = descriptors[-1].id
        place = self.place(self.layout.desc_at(index), f"desc[{index}]")
        if identity in self._taken:
            self.is_broken = True
            return RingError(
                "made available again while the device has it",
                rule="ring.head-in-use",
                where=place,
                expected="an id that is not with the device",
                found=identity,
            )
        self._taken[identity] = len(descriptors)
        self._held += len(descriptors)
        found = self._segments(descriptors, index, place)
        if isinstance(found, RingError):
            self._give_back(identity, 0)
            return found
        return Chain(identity, found, len(descriptors), self._memory, self.fault)

    def _segments(
        self, descriptors: list[PackedDescriptor], index: int, place: Place
    ) -> tuple[Segment, ...] | RingError:
        if descriptors[0].flags & PackedFlag.INDIRECT:
            table = self._indirect(descriptors, place)
            if isinstance(table, RingError):
                return table
            descriptors = table
        segments: list[Segment] = []
        for each in descriptors:
            found = resolve(
                self._memory,
                self._translate,
                each.addr,
                each.len,
                is_writable=bool(each.flags & PackedFlag.WRITE),
                where=lambda: place,
            )
            if isinstance(found, RingError):
                return found
            segments.append(found)
        return check_order(segments, place) or tuple(segments)

    def _indirect(self, descriptors: list[PackedDescriptor], place: Place) -> list[PackedDescriptor] | RingError:
        """The table that a descriptor names (virtio 1.3, 2.8.7)."""

        def wrong(rule: str, what: str, expected: object, found: object) -> RingError:
            return RingError(what, rule=rule, where=place, expected=expected, found=found)

        head = descriptors[0]
        if not self.negotiated.indirect:
            what = "an indirect table that was not negotiated"
            return wrong("ring.indirect-not-negotiated", what, "no INDIRECT", f"{head.flags:#x}")
        if len(descriptors) > 1:
            return wrong("ring.indirect-next", "INDIRECT and NEXT are both set", "one of them", f"{head.flags:#x}")
        if not head.len or head.len % PackedDescriptor.size:
            return wrong("ring.indirect-length", "length of an indirect table", "a multiple of 16, not 0", head.len)
        if head.len // PackedDescriptor.size > self.layout.num:
            return wrong(
                "ring.chain-too-long", "an indirect table of more than the queue size", self.layout.num, head.len
            )
        try:
            raw = self._memory.read(self._translate(head.addr, head.len), head.len)
        except RptwinError as error:
            return wrong("ring.indirect-address", "no memory for an indirect table", "memory of the device", error)
        table = [PackedDescriptor.unpack_from(raw, at) for at in range(0, head.len, PackedDescriptor.size)]
        if any(each.flags & PackedFlag.INDIRECT for each in table):
            return wrong(
                "ring.indirect-nested", "an indirect table names another", "no INDIRECT in a table", "INDIRECT"
            )
        return table

    def give_back(self, chain: Chain, written: int = 0) -> None:
        """Return a chain with the number of bytes written to it; UsageError when the device does not have it."""
        if chain.head not in self._taken:
            raise UsageError("a chain that this device does not have", where=self.name, found=chain.head)
        self._give_back(chain.head, written)

    def _give_back(self, identity: int, written: int) -> None:
        count = self._taken.pop(identity)
        self._held -= count
        at = self.layout.desc_at(self._used.index)
        self._memory.write(at, _BODY.pack(0, written, identity))
        flags = int(_used_bits(self._used.wrap)) | (PackedFlag.WRITE if written else 0)
        # Buffer and body are in memory before the flags that publish them (virtio 1.3, 2.8.22).
        self._memory.store16(at + _FLAGS_AT, flags)
        self._used.advance(count)
        self._moved += count

    def should_notify(self) -> bool:
        """Whether the driver wants to hear of what was given back since the last call."""
        return self._should_notify(self._used)
