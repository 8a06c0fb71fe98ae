"""The driver of a split virtqueue: offers chains of buffers, and has them back (virtio 1.3, 2.7.13)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Memory
from orchestrator.formats.virtqueue import Descriptor, DescriptorFlag, RingLayout, UsedElement
from orchestrator.virtqueue.heap import Heap
from orchestrator.virtqueue.memory import ordered
from orchestrator.virtqueue.side import (
    Negotiated,
    Report,
    Returned,
    Segment,
    Translate,
    VirtqueueSide,
    checked_segments,
    needs_event,
    same_address,
)
from orchestrator.virtqueue.split.fields import DESCRIPTOR, NO_NOTIFICATION, USED

__all__ = ["ChainBuilder", "SplitDriver"]


@dataclass(slots=True)
class _Posted:
    """A chain that the device has."""

    token: object
    descriptors: tuple[int, ...]
    capacity: int  # bytes that the device may write
    table: int | None = None  # of an indirect chain


class ChainBuilder:
    """A chain that the driver is putting together; nothing of it is seen before :meth:`publish`."""

    def __init__(self, driver: SplitDriver, token: object) -> None:
        self._driver = driver
        self._token = token
        self._segments: list[Segment] = []

    def read_only(self, address: int, size: int) -> ChainBuilder:
        """Chain a buffer for the device to read."""
        self._segments.append(Segment(address, size))
        return self

    def writable(self, address: int, size: int) -> ChainBuilder:
        """Chain a buffer for the device to write; after all those to read (virtio 1.3, 2.7.4.2)."""
        self._segments.append(Segment(address, size, is_writable=True))
        return self

    def publish(self) -> bool:
        """Make the chain available; False when too few descriptors are free."""
        return self._driver.offer(self._segments, self._token)


class SplitDriver(VirtqueueSide):
    """The side that makes buffers available.

    Addresses of buffers are of this side's view; ``to_device`` gives them as the device says them. ``tables`` is where
    indirect tables come from, and what makes chains of several buffers indirect when that was negotiated.
    """

    def __init__(
        self,
        memory: Memory,
        layout: RingLayout,
        negotiated: Negotiated | None = None,
        *,
        to_device: Translate = same_address,
        tables: Heap | None = None,
        name: str = "",
        report: Report | None = None,
    ) -> None:
        super().__init__(memory, name, report)
        self.layout = layout
        self.negotiated = negotiated or Negotiated()
        self._memory = ordered(memory)
        self._to_device = to_device
        self._tables = tables if self.negotiated.indirect else None
        self._wants = True
        self._forget()

    def _forget(self) -> None:
        num = self.layout.num
        self._free: deque[int] = deque(range(num))
        self._posted: dict[int, _Posted] = {}  # by head, in the order of publication
        self._ready: deque[Returned] = deque()
        self._next_avail = self._next_used = self._notified = 0
        self.is_broken = False

    def reset(self) -> None:
        """Empty the ring and take every descriptor back, as at power-on; indirect tables go back to their heap."""
        if self._tables is not None:
            for each in self._posted.values():
                if each.table is not None:
                    self._tables.free(each.table)
        for part in self.layout.parts:
            self._memory.write(part.extent.start, bytes(part.extent.size))
        self._forget()
        self.want_notifications(self._wants)

    @property
    def free_count(self) -> int:
        """Descriptors that this side has."""
        return len(self._free)

    @property
    def posted_count(self) -> int:
        """Chains that the device has."""
        return len(self._posted)

    @property
    def tokens(self) -> tuple[object, ...]:
        """The tokens of the chains that the device has, in the order of publication."""
        return tuple(each.token for each in self._posted.values())

    def owner(self, descriptor: int) -> str:
        """Who has a descriptor: "driver" or "device"."""
        return "device" if any(descriptor in each.descriptors for each in self._posted.values()) else "driver"

    def entry(self, token: object = None) -> ChainBuilder:
        """Begin a chain; the token comes back with it."""
        return ChainBuilder(self, token)

    def offer(self, segments: Iterable[Segment], token: object = None) -> bool:
        """Make a chain of these buffers available; False when too few descriptors (or no table) are free."""
        chosen = checked_segments(list(segments), self.layout.num)
        if self.is_broken:
            return False
        placed = self._place(chosen)
        if placed is None:
            return False
        descriptors, table = placed
        head = descriptors[0]
        self._posted[head] = _Posted(token, descriptors, sum(each.size for each in chosen if each.is_writable), table)
        self._memory.store16(self.layout.avail_ring_at(self._next_avail), head)
        self._next_avail = (self._next_avail + 1) & 0xFFFF
        # Descriptors and entry are in memory before the index that publishes them (virtio 1.3, 2.7.13.3.1).
        self._memory.store16(self.layout.avail_idx_at, self._next_avail)
        return True

    def _place(self, segments: tuple[Segment, ...]) -> tuple[tuple[int, ...], int | None] | None:
        count = len(segments)
        if count > 1 and self._tables is not None:
            return self._place_indirect(segments)
        if count > len(self._free):
            return None
        descriptors = tuple(self._free.popleft() for _ in range(count))
        for position, (index, each) in enumerate(zip(descriptors, segments, strict=True)):
            flags = DescriptorFlag.WRITE if each.is_writable else 0
            following = 0
            if position + 1 < count:
                flags |= DescriptorFlag.NEXT
                following = descriptors[position + 1]
            self._write_descriptor(self.layout.desc_at(index), each, flags, following)
        return descriptors, None

    def _place_indirect(self, segments: tuple[Segment, ...]) -> tuple[tuple[int, ...], int | None] | None:
        assert self._tables is not None
        if not self._free:
            return None
        size = Descriptor.size * len(segments)
        table = self._tables.allocate(size, f"{self.name} indirect table")
        if table is None:
            return None
        for position, each in enumerate(segments):
            flags = DescriptorFlag.WRITE if each.is_writable else 0
            last = position + 1 == len(segments)
            self._write_descriptor(
                table + Descriptor.size * position,
                each,
                flags if last else flags | DescriptorFlag.NEXT,
                0 if last else position + 1,
            )
        index = self._free.popleft()
        self._write_descriptor(self.layout.desc_at(index), Segment(table, size), DescriptorFlag.INDIRECT, 0)
        return (index,), table

    def _write_descriptor(self, at: int, segment: Segment, flags: int, following: int) -> None:
        addr = self._to_device(segment.address, segment.size)
        self._memory.write(at, DESCRIPTOR.pack(addr, segment.size, flags, following))

    def should_notify(self) -> bool:
        """Whether the device wants to hear of what was published since the last call (virtio 1.3, 2.7.10)."""
        old, self._notified = self._notified, self._next_avail
        if old == self._next_avail:
            return False
        if self.negotiated.event_idx:
            return needs_event(self._memory.load16(self.layout.avail_event_at), self._next_avail, old)
        return not self._memory.load16(self.layout.used_flags_at) & NO_NOTIFICATION

    def want_notifications(self, wanted: bool) -> None:
        """Whether the device is to tell of used buffers; look for some once more after asking for it."""
        self._wants = wanted
        if not self.negotiated.event_idx:
            self._memory.store16(self.layout.avail_flags_at, 0 if wanted else NO_NOTIFICATION)
            return
        event = self._next_used if wanted else self._next_used - 1
        self._memory.store16(self.layout.used_event_at, event & 0xFFFF)

    def pop(self) -> Returned | None:
        """The next chain that came back, its descriptors free again; None when there is none."""
        if self._ready:
            return self._ready.popleft()
        while not self.is_broken:
            idx = self._memory.load16(self.layout.used_idx_at)
            pending = (idx - self._next_used) & 0xFFFF
            if not pending:
                return None
            if pending > len(self._posted):
                self.is_broken = True
                self.blame(
                    "ring.used-ahead",
                    "more used than was made available",
                    self.layout.used_idx_at,
                    "used.idx",
                    expected=f"at most {len(self._posted)} after {self._next_used}",
                    found=idx,
                )
                return None
            found = self._pop_element(pending)
            if found is not None:
                return found
        return None

    def _pop_element(self, pending: int) -> Returned | None:
        """Take the element at the next slot; None when it names no chain that the device has."""
        slot = self._next_used % self.layout.num
        at = self.layout.used_ring_at(slot)
        head, length = USED.unpack(self._memory.read(at, UsedElement.size))
        batch = self._batch(head, pending, at, slot) if self.negotiated.in_order else 1
        self._next_used = (self._next_used + batch) & 0xFFFF
        if self.negotiated.event_idx and self._wants:
            self._memory.store16(self.layout.used_event_at, self._next_used)
        if head not in self._posted:
            self.blame(
                "ring.used-not-a-head",
                "not the head of a chain that the device has",
                at,
                f"used.ring[{slot}].id",
                expected="one of " + ", ".join(map(str, [*self._posted][:8])),
                found=head,
            )
            return None
        if self.negotiated.in_order:
            # The chains before the last one of a batch were used completely (virtio 1.3, 2.7.9).
            for earlier in list(islice(self._posted, batch - 1)):
                self._ready.append(self._reclaim(earlier, self._posted[earlier].capacity))
        self._ready.append(self._reclaim(head, self._checked_length(head, length, at, slot)))
        return self._ready.popleft()

    def _batch(self, head: int, pending: int, at: int, slot: int) -> int:
        """How many chains one element stands for: all up to the one that it names, the oldest first."""
        for count, each in enumerate(self._posted, 1):
            if count > pending:
                break
            if each == head:
                return count
        if head in self._posted:
            self.blame(
                "ring.used-out-of-order",
                "used before an older one",
                at,
                f"used.ring[{slot}].id",
                expected=f"{next(iter(self._posted))}, the oldest",
                found=head,
            )
            self.is_broken = True
        return 1

    def _checked_length(self, head: int, length: int, at: int, slot: int) -> int:
        """A length that fits; one for a chain without writable buffers is not looked at, as old devices write any."""
        capacity = self._posted[head].capacity
        if length > capacity and capacity:
            self.blame(
                "ring.used-length",
                "more written than the chain has room for",
                at + 4,
                f"used.ring[{slot}].len",
                expected=f"at most {capacity}",
                found=length,
            )
        return min(length, capacity)

    def _reclaim(self, head: int, length: int) -> Returned:
        posted = self._posted.pop(head)
        self._free.extend(posted.descriptors)
        if posted.table is not None and self._tables is not None:
            self._tables.free(posted.table)
        return Returned(posted.token, length)
