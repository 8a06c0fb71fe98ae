"""ELF files for people: where each is loaded, what is where in its core's memory, the table that they promise."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import ElfError
from orchestrator.base.memory import BytesMemory, Extent, Memory
from orchestrator.base.roles import ROLES
from orchestrator.board import VectorTable
from orchestrator.formats.elf import Image, Segment, SegmentFlag
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.formats.translation import AddressRange
from orchestrator.observe.declared import DeclaredTable
from orchestrator.observe.live import LiveView, read_live
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform
from orchestrator.report.resources import table_tree
from orchestrator.report.shared_map import print_shared_map, shared_map
from orchestrator.report.terminal import heading, make_table, printable

__all__ = ["declared_view", "print_declared", "print_image"]


@dataclass(frozen=True, slots=True)
class _Item:
    extent: Extent
    what: str


def print_image(console: Console, platform: Platform, role: str, image: Image, boot: VectorTable) -> None:
    """Vector table and memory map of one image, in the view of the core that it is for."""
    core = platform.core(role)
    heading(console, f"{image.name}: {role} core {core.name} of {platform.name}")
    for line in _boot_lines(image, boot):
        console.print(Padding(Text(printable(line)), (0, 0, 0, 2)))
    table = make_table("from", "to", "bytes", "region", "what", right=("bytes",))
    for item in sorted(_items(image), key=lambda each: each.extent):
        found = platform.region_at(core.name, item.extent.start)
        region = found[0].name if found else "no memory"
        extent = item.extent
        table.add_row(f"{extent.start:#010x}", f"{extent.end:#010x}", str(extent.size), region, item.what)
    console.print(table)


def _boot_lines(image: Image, boot: VectorTable) -> Iterator[str]:
    if image.is_bare:
        yield "bytes without symbols, sections or debug information: the table is looked for by --table alone"
    yield f"vector table at {boot.address:#010x} ({boot.how})"
    try:
        sp, reset = image.initial_sp(boot.address), image.reset_vector(boot.address)
    except ElfError as error:
        yield str(error)
        return
    name = image.symbol_at(reset & ~1)
    yield f"initial SP {sp:#010x}, reset vector {reset:#010x}" + (f" ({name})" if name else "")


def _flags(segment: Segment) -> str:
    return "".join(
        flag.name[0].lower() if flag in segment.flags else "-" for flag in reversed(SegmentFlag) if flag.name
    )


def _items(image: Image) -> Iterator[_Item]:
    for segment in (*image.segments, *image.zero_segments):
        name = f"segment {segment.index} {_flags(segment)}"
        if segment.data:
            yield _Item(segment.load_extent, f"{name}, loaded")
        moved = segment.run_address != segment.load_address
        if segment.data and moved:
            yield _Item(Extent(segment.run_address, len(segment.data)), f"{name}, copied here at run time")
        zeros = segment.memory_size - len(segment.data)
        if zeros > 0:
            yield _Item(Extent(segment.run_address + len(segment.data), zeros), f"{name}, zeros")


def declared_view(
    platform: Platform, declared: DeclaredTable, maps: tuple[AddressRange, ...], release: NuttxRelease | None
) -> LiveView | None:
    """The table of a file as it would stand in memory once it is copied there; None where the file has none."""
    location = declared.location
    if location is None or not declared.data:
        return None
    nowhere = Views.of({}, platform, maps)
    span = nowhere.span_at(location.role, "table", location.address, len(declared.data))
    memories: dict[str, Memory] = {
        role: BytesMemory(platform.core(role).name, extent.start if extent else location.address, declared.data)
        for role in ROLES
        for extent in (span.seen_by(role),)
    }
    return read_live(Views.of(memories, platform, maps), declared, release=release)


def print_declared(console: Console, declared: DeclaredTable, view: LiveView | None, profile: str, why: str) -> None:
    """The resource table as the files hold it, how it was found, and the memory that it names."""
    heading(console, "Resource table")
    location, scan = declared.location, declared.scan
    if location is None:
        console.print(Padding(Text(printable(str(declared.error or "none"))), (0, 0, 0, 2)))
        return
    loaded = f", loaded at {location.load_address:#010x}" if location.load_address is not None else ""
    title = f"{location.how}: {location.role} sees it at {location.address:#010x}{loaded}"
    if scan is None or scan.table is None:
        remark = "made at run time" if declared.can_be_made_at_run_time else "cannot be decoded"
        console.print(Padding(Text(f"{title}; {remark}"), (0, 0, 0, 2)))
        return
    console.print(Padding(Text(f"profile {profile}: {why}"), (0, 0, 0, 2)))
    console.print(Padding(table_tree(scan.table, view.vdevs if view else (), title), (0, 0, 0, 2)))
    if view is not None:
        heading(console, "Memory that the table names")
        print_shared_map(console, shared_map(view, (), "free"))
