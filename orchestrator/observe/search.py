"""Looking for a resource table that nobody has named: firmware that makes it at run time leaves it in shared memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Extent, Memory
from orchestrator.base.roles import MAIN, REMOTE
from orchestrator.formats.elf import Image
from orchestrator.formats.resource_table import Table, scan_table
from orchestrator.observe.views import Views

__all__ = ["name_of", "places_of_tables", "tables_in", "tables_in_memory"]

_HEADER = re.compile(  # version 1, up to 16 entries, two words of any kind, the first offset from 0x14 to 0xFFF
    rb"\x01\0\0\0(?=[\x01-\x10]\0\0\0.{8}(?:[\x14-\xff]\0|.[\x01-\x0f])\0\0)", re.DOTALL
)
_MOST_TRIED = 4096  # places in a region that begin like a table
_MOST_MEMORY = 1 << 20  # bytes of a region that are looked through
_MOST_TABLE = 0x1000
_MOST_FOUND = 4


def tables_in_memory(views: Views, images: Mapping[str, Image]) -> tuple[str, ...]:
    """Locators for ``--table`` of what reads as a table with a vdev, in memory that both cores reach."""
    return tuple(name_of(views, images, pa) for pa in places_of_tables(views))


def places_of_tables(views: Views) -> tuple[int, ...]:
    """Main's addresses of what reads as a table with a vdev, in memory that both cores reach and can write."""
    constant = {each.name for each in views.platform.regions if not each.writable} if views.platform else set()
    found: set[int] = set()
    seen: set[str] = set()
    for each in views.environment.ranges:
        if each.name not in seen | constant and each.size <= _MOST_MEMORY:
            seen.add(each.name)
            found |= set(tables_in(views.memories[MAIN], Extent(each.pa, each.size)))
    return tuple(sorted(found))[:_MOST_FOUND]


def tables_in(memory: Memory, extent: Extent) -> Iterator[int]:
    """Addresses of what reads as a table with a vdev in one view; nothing where that cannot be read."""
    try:
        data = memory.read(extent.start, extent.size)
    except RptwinError:
        return
    for match in islice(_HEADER.finditer(data), _MOST_TRIED):
        if match.start() % 4 == 0:
            address = extent.start + match.start()
            scan = scan_table(memory, address, min(_MOST_TABLE, extent.size - match.start()))
            if scan.table is not None and not scan.errors and _has_vdev(scan.table):
                yield address


def _has_vdev(table: Table) -> bool:
    """A vdev whose vrings have sizes and alignments that a vring can have."""
    return any(
        each.value.vrings and all(_is_power_of_2(ring.num) and _is_power_of_2(ring.align) for ring in each.value.vrings)
        for each in table.vdevs
    )


def _is_power_of_2(value: int) -> bool:
    return value.bit_count() == 1


def name_of(views: Views, images: Mapping[str, Image], pa: int) -> str:
    """By the symbol that it lies in, of main's image first."""
    ranges = views.environment.ranges
    das = {pa - each.pa + each.da for each in ranges if pa in each.pa_extent}
    pas = {pa, *(da - each.da + each.pa for da in das for each in ranges if da in each.da_extent)}
    for role, addresses in ((MAIN, pas), (REMOTE, das)):
        image = images.get(role)
        for symbol in image.symbols.values() if image is not None else ():
            inside = [each - symbol.address for each in addresses if 0 <= each - symbol.address < symbol.size]
            if inside:
                return f"{role}:{symbol.name}" + (f"+{inside[0]:#x}" if inside[0] else "")
    return f"{MAIN}:{pa:#010x}"
