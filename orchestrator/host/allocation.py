"""Where a host puts rings and buffers: carveouts as RPTUN or Linux pairs them with vdevs, else free shared memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from orchestrator.base.errors import HostError, RptwinError
from orchestrator.base.memory import Extent, Located
from orchestrator.base.roles import MAIN, REMOTE
from orchestrator.formats.elf import Image
from orchestrator.formats.resource_entry import ANY, Carveout, Profile
from orchestrator.formats.resource_table import Table
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform
from orchestrator.virtqueue import Heap

__all__ = ["Allocation", "free_shared_memory"]

_ROOM = 0x4000  # bytes: two rings of a page each and 16 buffers
PAGE = 4096  # Linux takes whole pages for each vring
_LINUX_NAME = re.compile(r"vdev(\d+)(?:vring(\d+)|buffer)")


def free_shared_memory(
    platform: Platform, views: Views, images: Mapping[str, Image], table: Extent | None, taken: Iterable[Extent]
) -> Heap:
    """A heap in the largest piece of memory that both cores write to and that nothing known uses.

    The memory that the resource table is in comes first, if it has room, as the remote has it mapped or powered.

    What an image takes while it runs beyond its segments, a heap or stack at the end of a memory, is not known: of a
    memory with a segment in it only that with no image's initial stack pointer in or behind it is used. ``taken`` are
    ranges of main's view. :class:`HostError` when there is none.
    """
    best = near = Extent(0, 0)
    for region in platform.regions:
        if not region.writable:
            continue
        for pa in region.extents(platform.core(MAIN).name):
            if views.span_at_pa(region.name, pa.start, region.size).da is None:
                continue
            used = [each for each in taken if each.overlaps(pa)]
            for role, image in images.items():
                used += _used_by(image, role, pa, views)
            for piece in pa.gaps(used):
                if piece.size > best.size:
                    best = piece
                if table is not None and table in pa and piece.size > max(near.size, _ROOM):
                    near = piece
    if near.size:
        return Heap(near)
    if not best.size:
        raise HostError(
            "no memory that both cores reach is free",
            where=platform.name,
            advice="give each vdev a carveout in the resource table, or name an address mapping with --map PA:DA:SIZE",
        )
    return Heap(best)


def _used_by(image: Image, role: str, region: Extent, views: Views) -> list[Extent]:
    """What an image takes of a memory; all of it when its stack lies there, which grows nobody knows how far."""
    stack = image.initial_sp()
    extents = [each.run_extent for each in image.segments] + [Extent(stack - 4, 4)] * (stack > 4)
    used = []
    for index, extent in enumerate(extents):
        span = views.span_at(role, "", extent.start, max(1, extent.size))
        pa = span.seen_by(MAIN)
        if pa is not None and pa.overlaps(region):
            used.append(region if index == len(image.segments) else pa)
    return used


class Allocation:
    """The heaps of a table's vdevs, kept from one start of the remote to the next."""

    def __init__(self, platform: Platform, views: Views, images: Mapping[str, Image], profile: Profile) -> None:
        self._platform = platform
        self._views = views
        self._images = images
        self._profile = profile
        self._heaps: dict[Extent, Heap] = {}
        self._pool: Heap | None = None

    @property
    def heaps(self) -> tuple[Heap, ...]:
        """Every heap so far; with nothing started, whatever is still allocated has leaked."""
        return (*self._heaps.values(), *(() if self._pool is None else (self._pool,)))

    def for_buffers(self, table: Table, vdev: int) -> Heap:
        """Where a vdev's buffers come from."""
        named = self._named(table)
        if named:
            return self._heap(named[vdev, None], table) if (vdev, None) in named else self._shared(table)
        return self._paired(table, vdev) or self._shared(table)

    def for_ring(self, table: Table, vdev: int, ring: int) -> Heap:
        """Where a vring comes from that the host is to place."""
        named = self._named(table)
        if (vdev, ring) in named:
            return self._heap(named[vdev, ring], table)
        return self.for_buffers(table, vdev)

    def ring_alignment(self, align: int) -> int:
        """Of a vring's first byte."""
        return PAGE if self._profile is Profile.LINUX else max(16, align)

    def ring_size(self, size: int) -> int:
        """Bytes that a vring takes."""
        return (size + PAGE - 1) & -PAGE if self._profile is Profile.LINUX else size

    @staticmethod
    def _named(table: Table) -> dict[tuple[int, int | None], Located[Carveout]]:
        """Carveouts with Linux's names: by vdev and vring, None for the buffers."""
        found: dict[tuple[int, int | None], Located[Carveout]] = {}
        for each in table.carveouts:
            name = _LINUX_NAME.fullmatch(each.value.text)
            if name is not None:
                found[int(name[1]), int(name[2]) if name[2] else None] = each
        # RPTUN calls the one carveout of a vdev "vdev0buffer" too: Linux's names are those of rings.
        return found if any(ring is not None for _, ring in found) else {}

    def _paired(self, table: Table, vdev: int) -> Heap | None:
        """RPTUN's: the carveout of the same index. Other hosts know carveouts by Linux's names only."""
        carveouts = table.carveouts
        return self._heap(carveouts[vdev], table) if self._profile is Profile.NUTTX and vdev < len(carveouts) else None

    def _heap(self, carveout: Located[Carveout], table: Table) -> Heap:
        entry = carveout.value
        if entry.da == ANY:
            return self._shared(table)
        try:
            pa = self._views.environment.whole_da_to_pa(entry.da, max(1, entry.len))
        except RptwinError as error:
            raise HostError(
                "main has no memory for a carveout",
                where=str(carveout.at),
                expected="memory that both cores reach",
                found=error,
            ) from error
        extent = Extent(pa, entry.len)
        if extent not in self._heaps:
            self._heaps[extent] = Heap(extent)
        return self._heaps[extent]

    def _shared(self, table: Table) -> Heap:
        if self._pool is None:
            own = self._views.span_at(self._role_of(table), "table", table.address, table.size).seen_by(MAIN)
            spans = [self._views.span_at_da("", e.value.da, e.value.len) for e in table.carveouts if e.value.da != ANY]
            taken = [extent for span in spans if (extent := span.seen_by(MAIN)) is not None]
            taken += [] if own is None else [own]
            self._pool = free_shared_memory(self._platform, self._views, self._images, own, taken)
        return self._pool

    def _role_of(self, table: Table) -> str:
        return MAIN if table.view == self._views.name(MAIN) else REMOTE
