"""Split virtqueues: where the three parts lie, and a read-only view of what stands in them (virtio 1.3, 2.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntFlag
from functools import lru_cache
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RingError, RptwinError
from orchestrator.base.memory import Extent, Memory, Place
from orchestrator.formats.layout import Structure, layout

__all__ = [
    "MAX_QUEUE_SIZE",
    "ChainElement",
    "Descriptor",
    "DescriptorFlag",
    "Part",
    "RingFlags",
    "RingLayout",
    "SplitRing",
    "Taken",
    "Translate",
    "UsedElement",
    "available_ring_size",
    "descriptor_table_size",
    "used_ring_size",
]

MAX_QUEUE_SIZE = 32768  # virtio 1.3, 2.7: the maximum Queue Size value

Translate = Callable[[int, int], int]
"""Address and size as they stand in a descriptor, to the address in the view of the ring's memory.

Raises an :class:`~orchestrator.base.errors.RptwinError` for an address that this view does not have.
"""


class DescriptorFlag(IntFlag):
    """``flags`` of a descriptor (virtio 1.3, 2.7.5)."""

    NEXT = 1
    WRITE = 2
    INDIRECT = 4


# Plain numbers: ``&`` with a flag makes a flag, which takes ten times as long, and chains are walked all the time.
_NEXT, _WRITE, _INDIRECT = map(int, DescriptorFlag)


@layout("<QI2H")
class Descriptor(Structure):
    """One buffer, or a table of further descriptors (struct virtq_desc)."""

    addr: int  # as the device addresses it
    len: int  # bytes
    flags: int
    next: int

    @property
    def has_next(self) -> bool:
        """Whether ``next`` continues the chain."""
        return self.flags & _NEXT != 0

    @property
    def is_writable(self) -> bool:
        """Whether the device writes the buffer, rather than reading it."""
        return self.flags & _WRITE != 0

    @property
    def is_indirect(self) -> bool:
        """Whether the buffer holds descriptors (virtio 1.3, 2.7.5.3)."""
        return self.flags & _INDIRECT != 0


@layout("<2I")
class UsedElement(Structure):
    """A chain that the device gives back (struct virtq_used_elem)."""

    id: int  # index of the chain's first descriptor
    len: int  # bytes written by the device


@layout("<2H")
class RingFlags(Structure):
    """The words in front of the available and of the used ring."""

    flags: int
    idx: int  # free-running, modulo 65536


_HEAD_SIZE, _DESC_SIZE, _USED_SIZE = RingFlags.size, Descriptor.size, UsedElement.size
_NEAR = 1024  # bytes
_NEXT_AT = Descriptor.offset_of("next")


def descriptor_table_size(num: int) -> int:
    """Bytes for a queue size (virtio 1.3, 2.7)."""
    return Descriptor.size * num


def available_ring_size(num: int) -> int:
    """Bytes for a queue size, ``used_event`` included (virtio 1.3, 2.7)."""
    return RingFlags.size + 2 * num + 2


def used_ring_size(num: int) -> int:
    """Bytes for a queue size, ``avail_event`` included (virtio 1.3, 2.7)."""
    return RingFlags.size + UsedElement.size * num + 2


@dataclass(frozen=True, slots=True)
class Part:
    """One of the three parts of a queue: ``desc``, ``avail`` or ``used``."""

    name: str
    extent: Extent
    alignment: int  # bytes that its address must be a multiple of (virtio 1.3, 2.7)

    @property
    def is_aligned(self) -> bool:
        """Whether it starts where the specification allows."""
        return self.extent.start % self.alignment == 0


@dataclass(frozen=True, slots=True)
class RingLayout:
    """Where the parts of a queue of ``num`` entries lie; addresses of one view, anywhere.

    ``formula`` names how the addresses were found, for reports.
    """

    num: int
    desc: int
    avail: int
    used: int
    formula: str = "three addresses"

    def __post_init__(self) -> None:
        if not 1 <= self.num <= MAX_QUEUE_SIZE:
            raise RingError("queue size out of range", rule="ring.num", expected=f"1..{MAX_QUEUE_SIZE}", found=self.num)

    @classmethod
    def legacy(cls, base: int, num: int, align: int) -> RingLayout:
        """The contiguous form of remoteproc and OpenAMP (virtio 1.3, 2.7.2).

        The used ring starts at the first multiple of ``align`` after the available ring and its ``used_event``,
        counted from ``base``. :class:`RingError` ``ring.num`` or ``ring.align``.
        """
        return cls._contiguous(base, num, align, available_ring_size(num), "virtio legacy")

    @classmethod
    def rpmsg_lite(cls, base: int, num: int, align: int) -> RingLayout:
        """The contiguous form of rpmsg-lite, which leaves ``used_event`` out before it aligns."""
        return cls._contiguous(base, num, align, available_ring_size(num) - 2, "rpmsg-lite")

    @classmethod
    def _contiguous(cls, base: int, num: int, align: int, available_size: int, formula: str) -> RingLayout:
        if align <= 0 or align & (align - 1):
            raise RingError("no alignment for the used ring", rule="ring.align", expected="a power of two", found=align)
        avail = descriptor_table_size(num)
        used = (avail + available_size + align - 1) & ~(align - 1)
        return cls(num, base, base + avail, base + used, f"{formula}, align {align}")

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """Descriptor table, available ring and used ring, with the sizes and alignments of virtio 1.3, 2.7."""
        return (
            Part("desc", Extent(self.desc, descriptor_table_size(self.num)), 16),
            Part("avail", Extent(self.avail, available_ring_size(self.num)), 2),
            Part("used", Extent(self.used, used_ring_size(self.num)), 4),
        )

    @property
    def extent(self) -> Extent:
        """From the first byte of any part to the last, gaps included."""
        parts = [part.extent for part in self.parts]
        return Extent.between(min(part.start for part in parts), max(part.end for part in parts))

    def desc_at(self, index: int) -> int:
        """Address of a descriptor."""
        return self.desc + Descriptor.size * index

    @property
    def avail_flags_at(self) -> int:
        """Address of ``avail.flags``."""
        return self.avail

    @property
    def avail_idx_at(self) -> int:
        """Address of ``avail.idx``."""
        return self.avail + 2

    def avail_ring_at(self, slot: int) -> int:
        """Address of ``avail.ring[slot]``; slots count modulo the queue size."""
        return self.avail + RingFlags.size + 2 * (slot % self.num)

    @property
    def used_event_at(self) -> int:
        """Address of ``used_event``, the driver's word when EVENT_IDX is negotiated (virtio 1.3, 2.7.7)."""
        return self.avail + RingFlags.size + 2 * self.num

    @property
    def used_flags_at(self) -> int:
        """Address of ``used.flags``."""
        return self.used

    @property
    def used_idx_at(self) -> int:
        """Address of ``used.idx``."""
        return self.used + 2

    def used_ring_at(self, slot: int) -> int:
        """Address of ``used.ring[slot]``; slots count modulo the queue size."""
        return self.used + RingFlags.size + UsedElement.size * (slot % self.num)

    @property
    def avail_event_at(self) -> int:
        """Address of ``avail_event``, the device's word when EVENT_IDX is negotiated (virtio 1.3, 2.7.10)."""
        return self.used + RingFlags.size + UsedElement.size * self.num

    def path_of(self, address: int) -> str | None:
        """The field that an address lies in (``desc[3].len``, ``used.ring[0].id``); None outside of the parts."""
        desc, avail, used = (part.extent for part in self.parts)
        if address in desc:
            index, offset = divmod(address - desc.start, Descriptor.size)
            return f"desc[{index}].{_field_at(Descriptor, offset)}"
        if address in avail:
            return _ring_path(address - avail.start, self.num, None, "avail", "used_event")
        if address in used:
            return _ring_path(address - used.start, self.num, UsedElement, "used", "avail_event")
        return None


def _field_at(structure: type[Structure], offset: int) -> str:
    return next(leaf.path for leaf in structure.leaves if leaf.offset <= offset < leaf.offset + leaf.size)


def _ring_path(offset: int, num: int, element: type[Structure] | None, part: str, event: str) -> str:
    if offset < RingFlags.size:
        return f"{part}.{_field_at(RingFlags, offset)}"
    slot, within = divmod(offset - RingFlags.size, element.size if element else 2)
    if slot >= num:
        return event
    return f"{part}.ring[{slot}].{_field_at(element, within)}" if element else f"{part}.ring[{slot}]"


@dataclass(frozen=True, slots=True)
class ChainElement:
    """One descriptor of a chain and where it stands; a descriptor that names an indirect table is not part of it."""

    index: int  # in its table
    descriptor: Descriptor
    at: Place  # path: ``desc[3]``, or ``desc[3].indirect[0]``


@lru_cache(maxsize=4096)
def _element(index: int, data: bytes, view: str, address: int, ring: str, table: str) -> ChainElement:
    """A descriptor by its bytes: drivers offer the same few again and again."""
    path = f"{table}[{index}]"
    return ChainElement(index, Descriptor.unpack_from(data), Place(view, address, f"{ring}.{path}" if ring else path))


@lru_cache(maxsize=4096)
def _used_element(data: bytes) -> UsedElement:
    """An element by its bytes, which come again and again likewise."""
    return UsedElement.unpack_from(data)


class Taken:
    """Descriptors of the table that chains under way have."""

    def __init__(self) -> None:
        self._heads: dict[int, int] = {}  # by descriptor
        self._chains: dict[int, list[int]] = {}  # by head

    def take(self, index: int, head: int) -> int:
        """The chain at a head has this descriptor, unless another one has it: the head of the one that does."""
        owner = self._heads.setdefault(index, head)
        if owner == head:
            self._chains.setdefault(head, []).append(index)
        return owner

    def give_back(self, head: int) -> None:
        """A chain is under way no more."""
        for index in self._chains.pop(head, ()):
            self._heads.pop(index, None)


def _same_address(address: int, size: int) -> int:
    del size
    return address


class SplitRing:
    """A queue in memory, read each time it is asked; it writes nothing and keeps nothing.

    Each method raises :class:`RingError`: ``ring.unreadable`` when the view has no memory there, and what it says
    itself. ``name`` (``vdev[0].vring[1]``) stands in front of every field in messages.
    """

    def __init__(
        self, memory: Memory, layout: RingLayout, *, translate: Translate = _same_address, name: str = ""
    ) -> None:
        self.memory = memory
        self.layout = layout
        self.name = name
        self._translate = translate
        self._table = _Table(layout.desc, layout.num, "desc")
        self._avail_ring, self._used_ring = layout.avail_ring_at(0), layout.used_ring_at(0)
        apart = layout.used - layout.avail
        self._apart = apart if _HEAD_SIZE <= apart < _NEAR else 0  # of the two heads, where one look at both is cheaper

    def place(self, address: int, path: str) -> Place:
        """An address of this ring's view with a path below the ring's name."""
        return Place(self.memory.view, address, f"{self.name}.{path}" if self.name else path)

    def _read(self, address: int, size: int, path: str) -> bytes:
        try:
            return self.memory.read(address, size)
        except RptwinError as error:
            raise RingError(
                "cannot be read",
                rule="ring.unreadable",
                where=self.place(address, path),
                expected=f"{size} bytes of memory",
                found=error,
            ) from error

    def _halfword(self, address: int, path: str) -> int:
        return int.from_bytes(self._read(address, 2, path), "little")

    def desc(self, index: int) -> Descriptor:
        """Descriptor ``index``; ``ring.index-out-of-range`` past the queue size."""
        path = f"desc[{index}]"
        self._check_index(index, self.layout.num, self.layout.desc_at(index), path)
        return Descriptor.unpack_from(self._read(self.layout.desc_at(index), Descriptor.size, path))

    @property
    def avail_flags(self) -> int:
        """``avail.flags``; bit 0: the driver wants no interrupt."""
        return self._halfword(self.layout.avail_flags_at, "avail.flags")

    @property
    def avail_idx(self) -> int:
        """``avail.idx``, free-running."""
        return self._halfword(self.layout.avail_idx_at, "avail.idx")

    @property
    def heads(self) -> bytes:
        """``flags`` and ``idx`` of both rings: the same as long as nothing is published."""
        layout, read, apart = self.layout, self.memory.read, self._apart
        try:
            if apart:
                data = read(layout.avail, apart + _HEAD_SIZE)
                return data[:_HEAD_SIZE] + data[apart:]
            return read(layout.avail, _HEAD_SIZE) + read(layout.used, _HEAD_SIZE)
        except RptwinError:  # once more, to say which
            avail = self._read(layout.avail, _HEAD_SIZE, "avail.flags")
            return avail + self._read(layout.used, _HEAD_SIZE, "used.flags")

    def avail_ring(self, slot: int) -> int:
        """The chain head in a slot, counted modulo the queue size; not yet checked to be a descriptor's index."""
        slot %= self.layout.num
        address = self._avail_ring + 2 * slot
        try:
            data = self.memory.read(address, 2)
        except RptwinError:  # once more, to say what it is called, here and below
            data = self._read(address, 2, f"avail.ring[{slot}]")
        return int.from_bytes(data, "little")

    @property
    def used_event(self) -> int:
        """``used_event``; means something only with EVENT_IDX."""
        return self._halfword(self.layout.used_event_at, "used_event")

    @property
    def used_flags(self) -> int:
        """``used.flags``; bit 0: the device wants no notification."""
        return self._halfword(self.layout.used_flags_at, "used.flags")

    @property
    def used_idx(self) -> int:
        """``used.idx``, free-running."""
        return self._halfword(self.layout.used_idx_at, "used.idx")

    def used_ring(self, slot: int) -> UsedElement:
        """The element in a slot, counted modulo the queue size."""
        return _used_element(self._used_bytes(slot))

    def _used_bytes(self, slot: int) -> bytes:
        slot %= self.layout.num
        address = self._used_ring + _USED_SIZE * slot
        try:
            return self.memory.read(address, _USED_SIZE)
        except RptwinError:
            return self._read(address, _USED_SIZE, f"used.ring[{slot}]")

    def used_id(self, slot: int) -> int:
        """``id`` of the element in a slot."""
        return int.from_bytes(self._used_bytes(slot)[:4], "little")

    @property
    def avail_event(self) -> int:
        """``avail_event``; means something only with EVENT_IDX."""
        return self._halfword(self.layout.avail_event_at, "avail_event")

    def available_heads(self, since: int) -> Iterator[int]:
        """Chain heads made available from free-running index ``since`` up to ``avail.idx``.

        ``ring.index-jump`` when more lie between than the queue holds (virtio 1.3, 2.7.6);
        ``ring.index-out-of-range`` for a head that is no descriptor.
        """
        for index in self._span(since, self.avail_idx, self.layout.avail_idx_at, "avail.idx"):
            slot = index % self.layout.num
            head = self.avail_ring(slot)
            self._check_index(head, self.layout.num, self.layout.avail_ring_at(slot), f"avail.ring[{slot}]")
            yield head

    def used_elements(self, since: int) -> Iterator[UsedElement]:
        """Elements given back from free-running index ``since`` up to ``used.idx``; errors likewise."""
        for index in self._span(since, self.used_idx, self.layout.used_idx_at, "used.idx"):
            slot = index % self.layout.num
            element = self.used_ring(slot)
            self._check_index(element.id, self.layout.num, self.layout.used_ring_at(slot), f"used.ring[{slot}].id")
            yield element

    def _span(self, since: int, until: int, address: int, path: str) -> range:
        count = (until - since) & 0xFFFF
        if count > self.layout.num:
            raise RingError(
                "index moved further than the queue is long",
                rule="ring.index-jump",
                where=self.place(address, path),
                expected=f"at most {self.layout.num} after {since & 0xFFFF}",
                found=until,
            )
        return range(since, since + count)

    def _check_index(self, index: int, entries: int, address: int, path: str) -> None:
        if not 0 <= index < entries:
            raise RingError(
                "index is past the end of the descriptor table",
                rule="ring.index-out-of-range",
                where=self.place(address, path),
                expected=f"0..{entries - 1}",
                found=index,
            )

    def chain(self, head: int, taken: Taken | None = None) -> tuple[ChainElement, ...]:
        """The buffers of the chain that starts at a descriptor, in order, those of indirect tables in place.

        ``taken`` are the descriptors of other chains, to which this chain's are added, whether or not it breaks:
        however many chains there are, no descriptor is walked twice. ``ring.head-in-use`` where it meets one.
        ``ring.index-out-of-range``, ``ring.desc-loop``, ``ring.chain-too-long``, ``ring.indirect-next``,
        ``ring.indirect-nested``, ``ring.indirect-length`` and ``ring.indirect-address`` name the index that broke.
        """
        first = None
        if 0 <= head < self.layout.num:
            first = self._element(self._table, head)
            if not first.descriptor.flags & (_NEXT | _INDIRECT):  # as nearly always
                if taken is not None:
                    self._take(taken, head, first)
                return (first,)
        elements: list[ChainElement] = []
        for element in self._walk(self._table, head, first):
            if taken is not None:
                self._take(taken, head, element)
            if not element.descriptor.is_indirect:
                elements.append(element)
                continue
            inner = self._indirect(element)
            for each in self._walk(inner, 0, None):
                if each.descriptor.is_indirect:
                    raise self._broken("ring.indirect-nested", "an indirect table names another", each)
                elements.append(each)
                if len(elements) > self.layout.num:
                    raise self._broken(
                        "ring.chain-too-long", f"chain of more than {self.layout.num} buffers, the queue size", each
                    )
        return tuple(elements)

    def _take(self, taken: Taken, head: int, element: ChainElement) -> None:
        """A chain takes free descriptors (virtio 1.3, 2.7.13.1)."""
        other = taken.take(element.index, head)
        if other != head:
            raise RingError(
                f"the chain at head {head} comes to a descriptor of the chain at head {other}",
                rule="ring.head-in-use",
                where=element.at,
                expected="descriptors of no other chain that the device has",
                found=f"index {element.index}",
            )

    def _element(self, table: _Table, index: int) -> ChainElement:
        address = table.base + _DESC_SIZE * index
        try:
            data = self.memory.read(address, _DESC_SIZE)
        except RptwinError:
            data = self._read(address, _DESC_SIZE, f"{table.path}[{index}]")
        return _element(index, data, self.memory.view, address, self.name, table.path)

    def _walk(self, table: _Table, head: int, first: ChainElement | None) -> Iterator[ChainElement]:
        """Each descriptor once, from ``head`` along ``next``: a loop is over when it comes back. ``first`` is the one
        at the head, if it has been read.
        """
        seen: set[int] = set()
        index, before = head, None
        while True:
            if not 0 <= index < table.entries:
                self._check_index(index, table.entries, *table.link(head, before))
            if index in seen:
                raise RingError(
                    "chain comes back to a descriptor that it has already used",
                    rule="ring.desc-loop",
                    where=self.place(table.base + _DESC_SIZE * index, f"{table.path}[{index}]"),
                    expected=f"an end within {table.entries} descriptors",
                    found=f"index {index} again after {len(seen)}",
                )
            seen.add(index)
            element = self._element(table, index) if first is None else first
            first = None
            yield element
            descriptor = element.descriptor
            if not descriptor.flags & _NEXT:
                return
            index, before = descriptor.next, index

    def _indirect(self, element: ChainElement) -> _Table:
        """The table that a descriptor names, checked against virtio 1.3, 2.7.5.3.1."""
        descriptor = element.descriptor
        if descriptor.has_next:
            raise self._broken("ring.indirect-next", "INDIRECT and NEXT are both set", element)
        if descriptor.len == 0 or descriptor.len % Descriptor.size:
            raise self._broken(
                "ring.indirect-length",
                "length of an indirect table",
                element,
                expected=f"a multiple of {Descriptor.size}, not 0",
                found=descriptor.len,
            )
        try:
            base = self._translate(descriptor.addr, descriptor.len)
        except RptwinError as error:
            raise self._broken(
                "ring.indirect-address", "no memory for an indirect table", element, found=error
            ) from error
        path = f"desc[{element.index}].indirect"
        return _Table(base, descriptor.len // Descriptor.size, path)

    @staticmethod
    def _broken(
        rule: str, what: str, element: ChainElement, *, expected: object = None, found: object = None
    ) -> RingError:
        return RingError(what, rule=rule, where=element.at, expected=expected, found=found)


class _Table(NamedTuple):
    """A descriptor table: the ring's own, or an indirect one."""

    base: int
    entries: int
    path: str

    def link(self, head: int, before: int | None) -> tuple[int, str]:
        """Address and path of what names a descriptor: the one before it in its chain, or the head itself."""
        if before is None:
            return self.base, f"{self.path}[{head}]"
        return self.base + Descriptor.size * before + _NEXT_AT, f"{self.path}[{before}].next"
