"""The table that the images declared: where it is to be, and what it says before anything ran."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import ElfError, FormatError, TableError
from orchestrator.formats.elf import Image
from orchestrator.formats.locator import AUTO, LocatorKind, TableLocation, TableLocator, locate
from orchestrator.formats.resource_entry import Checksum, Custom, Profile, RprocMem
from orchestrator.formats.resource_table import Scan, scan_table_bytes
from orchestrator.observe.given import GivenVring, table_of

__all__ = ["TABLE_LIMIT", "DeclaredTable", "choose_profile", "declared_by_vrings", "find_declared"]

TABLE_LIMIT = 0x10000  # bytes; real tables have a few hundred, and more than this is not read


@dataclass(frozen=True, slots=True)
class DeclaredTable:
    """Where the table is to be found, or why that is unknown; ``scan`` is what the image holds of it."""

    location: TableLocation | None
    error: FormatError | None = None
    scan: Scan | None = None
    data: bytes = b""
    vrings: tuple[GivenVring, ...] = ()  # without a table
    told: Scan | None = None  # the table in use, as somebody says it is whose memory is not read (a host's debugfs)

    @property
    def can_be_made_at_run_time(self) -> bool:
        """The image names a place and brings no table to it."""
        return self.location is not None and self.scan is None


def find_declared(
    images: Mapping[str, Image], locator: TableLocator | None = None, vrings: tuple[GivenVring, ...] = ()
) -> DeclaredTable:
    """Look for the table in the images, by role; none where vrings are given instead. :class:`UsageError` when the
    locator names what cannot be.
    """
    if vrings:
        return declared_by_vrings(vrings)
    try:
        location = locate(locator or AUTO, images)
    except (ElfError, TableError) as error:
        return DeclaredTable(None, error)
    image = images.get(location.role)
    data = b"" if image is None else _bytes_of(image, location, locator)
    if not data or not any(data):
        return DeclaredTable(location)
    view = image.name if image else location.role
    return DeclaredTable(location, None, scan_table_bytes(data, view=view, address=location.address), data)


def declared_by_vrings(vrings: tuple[GivenVring, ...]) -> DeclaredTable:
    """That these are the vrings, and there is no table."""
    return DeclaredTable(None, None, table_of(vrings, "vrings"), vrings=vrings)


def _bytes_of(image: Image, location: TableLocation, locator: TableLocator | None) -> bytes:
    """The table in the file; nothing when the program makes it at run time (bss)."""
    if locator is None or locator.kind is LocatorKind.SECTION:
        section = image.resource_table()
        return section.data[:TABLE_LIMIT] if section else b""
    load_address = image.load_address_of(location.address)
    if load_address is None:
        return b""
    for segment in image.segments:
        if load_address in segment.load_extent:
            start = load_address - segment.load_address
            size = location.size or TABLE_LIMIT
            return segment.data[start : start + min(size, TABLE_LIMIT)]
    return b""


def choose_profile(scan: Scan | None) -> tuple[Profile, str]:
    """Whose rules a table seems to be made for, and why; what all hosts demand, where nothing tells."""
    table = scan.table if scan else None
    if table is None:
        return Profile.COMMON, "no table to tell by"
    vdevs = table.vdevs
    if any(each.value.head.config_len >= 64 for each in vdevs):
        return Profile.NUTTX, "a vdev has a config block of 64 bytes"
    if table.of(Custom):
        return Profile.LINUX, "a custom entry, as TI's Linux has"
    dynamic = [each for each in vdevs if any(ring.is_dynamic for ring in each.value.vrings)]
    if dynamic and len(table.carveouts) >= len(vdevs) and all("vring" not in c.value.text for c in table.carveouts):
        return Profile.NUTTX, "each vdev has a carveout to cut its vrings from"
    if any(isinstance(each.value, RprocMem | Checksum) for each in table.entries) or any(
        len(each.value.vrings) > 2 for each in vdevs
    ):
        return Profile.OPENAMP, "entries that only OpenAMP has"
    if dynamic:
        return Profile.LINUX, "vrings for a host to place, and no carveout to cut them from"
    return Profile.COMMON, "nothing that only one host has"
