"""Looking for vrings that no table describes, in memory that both cores reach: rings through which something went.

A ring is told by its descriptors, by heads in the available ring that are descriptors with a buffer, and by a used ring
that returned some of them. Two rings next to each other, one with buffers for the device to fill, make a device. What
an earlier run left reads the same: so they are taken when a core is seen to work with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError, TranslationError
from orchestrator.base.memory import BytesMemory, Extent
from orchestrator.base.roles import MAIN
from orchestrator.formats.virtqueue import Descriptor, DescriptorFlag, RingLayout, SplitRing
from orchestrator.observe.given import GivenVring
from orchestrator.observe.views import Views

__all__ = ["FoundRing", "VringSearch", "rings_in_memory"]

# A descriptor with a buffer below 4 GB of 1 to 65,535 bytes, and flags that there are.
_DESCRIPTOR = re.compile(rb"(?=.{3}[^\0]\0{4}(?:[^\0].|.[^\0])\0\0[\0-\7]\0..)", re.DOTALL)
_NUMS = tuple(1 << shift for shift in range(1, 11))
_ALIGNS = (16, 4, 8, *(1 << shift for shift in range(5, 13)))
_MOST_MEMORY = 1 << 20  # bytes of a region that are looked through
_MOST_TRIED = 4096
_APART = 1 << 14  # bytes between the two rings of a device


@dataclass(frozen=True, slots=True)
class FoundRing:
    """A ring as it was when it was found; ``extent`` as main addresses it."""

    vring: GivenVring
    extent: Extent
    used_idx: int
    is_pool: bool  # its buffers are for the device to fill


def rings_in_memory(views: Views) -> tuple[FoundRing, ...]:
    """The rings of whole devices, in the order in which a table would have them; none where anything is unclear."""
    constant = {each.name for each in views.platform.regions if not each.writable} if views.platform else set()
    found: list[FoundRing] = []
    seen: set[str] = set()
    for each in views.environment.ranges:
        if each.name not in seen | constant and each.size <= _MOST_MEMORY:
            seen.add(each.name)
            found += _rings(views, each.pa, each.size)
    found.sort(key=lambda ring: ring.extent)
    ordered: list[FoundRing] = []
    for first, second in zip(found[::2], found[1::2], strict=False):
        near = second.extent.start - first.extent.end < _APART
        if not near or first.extent.overlaps(second.extent) or first.is_pool is second.is_pool:
            return ()
        ordered += [first, second] if first.is_pool else [second, first]
    return tuple(ordered) if len(found) % 2 == 0 else ()


def _rings(views: Views, start: int, size: int) -> Iterator[FoundRing]:
    try:
        data = views.memories[MAIN].read(start, size)
    except RptwinError:
        return
    memory = BytesMemory("shared", start, data)
    end, tried = 0, 0
    for match in _DESCRIPTOR.finditer(data):
        at = match.start()
        if at % Descriptor.size or at < end:
            continue
        tried += 1
        if tried > _MOST_TRIED:
            return
        ring = next(filter(None, (_ring(views, memory, start + at, num, start + size) for num in _NUMS)), None)
        if ring is not None:
            end = ring.extent.end - start
            yield ring


def _ring(views: Views, memory: BytesMemory, at: int, num: int, limit: int) -> FoundRing | None:
    """The ring of this many entries that begins here."""
    layouts: dict[int, tuple[RingLayout, int]] = {}
    for align in _ALIGNS:
        layout = RingLayout.legacy(at, num, align)
        if layout.extent.end <= limit:
            layouts.setdefault(layout.used, (layout, align))
    fitting = [found for layout, align in layouts.values() if (found := _read(views, memory, layout, align))]
    return fitting[0] if len(fitting) == 1 else None


def _read(views: Views, memory: BytesMemory, layout: RingLayout, align: int) -> FoundRing | None:
    ring, num = SplitRing(memory, layout), layout.num
    try:
        offered, returned = ring.avail_idx, ring.used_idx
        if ring.avail_flags > 1 or ring.used_flags > 1 or not returned or (offered - returned) & 0xFFFF > num:
            return None
        heads = [ring.avail_ring(slot) for slot in range(min(offered, num))]
        ids = {ring.used_ring(slot).id for slot in range(min(returned, num))}
        buffers = [ring.desc(head) for head in heads]
    except RptwinError:
        return None
    outstanding = {ring.avail_ring(slot) for slot in range(returned, returned + ((offered - returned) & 0xFFFF))}
    if not heads or not ids <= set(heads) | outstanding or len(outstanding) != (offered - returned) & 0xFFFF:
        return None
    if not all(_is_shared(views, each) for each in buffers):
        return None
    writable = {bool(each.flags & DescriptorFlag.WRITE) for each in buffers}
    if len(writable) != 1:
        return None
    try:
        da = views.environment.whole_pa_to_da(layout.desc, layout.extent.size)
    except TranslationError:
        return None
    return FoundRing(GivenVring(da, num, align), layout.extent, returned, writable.pop())


def _is_shared(views: Views, descriptor: Descriptor) -> bool:
    span = views.span_at_da("buffer", descriptor.addr, descriptor.len)
    return span.pa is not None and span.da is not None


@dataclass(slots=True)
class VringSearch:
    """What was found at the last look; taken once a core has changed one of the rings since."""

    rings: tuple[FoundRing, ...] = ()

    def look(self, views: Views) -> bool:
        """Look again, whether there is something new to watch."""
        found = rings_in_memory(views)
        is_new = bool(found) and [each.vring for each in found] != [each.vring for each in self.rings]
        self.rings = found
        return is_new

    def changed(self, extent: Extent) -> bool:
        """A core has written here: whether that is one of the rings."""
        return any(each.extent == extent for each in self.rings)
