"""Packed virtqueues: a ring that both sides write, and two words of event suppression (virtio 1.3, 2.8)."""

from __future__ import annotations

from enum import IntEnum, IntFlag

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RingError
from orchestrator.base.memory import Extent
from orchestrator.formats.layout import Structure, layout
from orchestrator.formats.virtqueue import MAX_QUEUE_SIZE, Part

__all__ = ["EventFlags", "EventSuppression", "PackedDescriptor", "PackedFlag", "PackedLayout"]


class PackedFlag(IntFlag):
    """``flags`` of a descriptor (virtio 1.3, 2.8.1 and 2.8.2)."""

    NEXT = 1 << 0
    WRITE = 1 << 1
    INDIRECT = 1 << 2
    AVAIL = 1 << 7  # equals the driver's wrap counter when the driver made it available
    USED = 1 << 15  # equals AVAIL when the device has used it


@layout("<QI2H")
class PackedDescriptor(Structure):
    """One buffer, made available or used (struct pvirtq_desc)."""

    addr: int  # as the device addresses it
    len: int  # bytes; of a used one: bytes written by the device
    id: int  # the driver's name for the whole chain, in its last descriptor
    flags: int


class EventFlags(IntEnum):
    """``flags`` of an event suppression structure (virtio 1.3, 2.8.10)."""

    ENABLE = 0
    DISABLE = 1
    DESC = 2  # at one descriptor only; with EVENT_IDX


@layout("<2H")
class EventSuppression(Structure):
    """When one side wants to be told (struct pvirtq_event_suppress)."""

    desc: int  # bits 0..14: position in the ring, bit 15: wrap counter
    flags: int


@dataclass(frozen=True, slots=True)
class PackedLayout:
    """Where the three parts of a packed queue of ``num`` descriptors lie; addresses of one view, anywhere."""

    num: int
    desc: int
    driver: int  # event suppression of the driver: written by it, read by the device
    device: int

    def __post_init__(self) -> None:
        if not 1 <= self.num <= MAX_QUEUE_SIZE:
            raise RingError("queue size out of range", rule="ring.num", expected=f"1..{MAX_QUEUE_SIZE}", found=self.num)

    @classmethod
    def contiguous(cls, base: int, num: int) -> PackedLayout:
        """The parts one after the other, in the order of the specification."""
        driver = base + PackedDescriptor.size * num
        return cls(num, base, driver, driver + EventSuppression.size)

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """The parts with the sizes and alignments of virtio 1.3, 2.8."""
        return (
            Part("desc", Extent(self.desc, PackedDescriptor.size * self.num), 16),
            Part("driver", Extent(self.driver, EventSuppression.size), 4),
            Part("device", Extent(self.device, EventSuppression.size), 4),
        )

    @property
    def extent(self) -> Extent:
        """From the first byte of any part to the last, gaps included."""
        extents = [part.extent for part in self.parts]
        return Extent.between(min(each.start for each in extents), max(each.end for each in extents))

    def desc_at(self, index: int) -> int:
        """Address of a descriptor."""
        return self.desc + PackedDescriptor.size * index
