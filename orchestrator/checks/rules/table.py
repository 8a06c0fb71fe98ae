"""The resource table: that there is one, that both cores see it, and that it is well formed."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import pairwise

from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Extent, Place, place_of
from orchestrator.base.roles import MAIN, REMOTE, the
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import State, TableSubject, states, tables
from orchestrator.formats.locator import TableLocation
from orchestrator.formats.resource_entry import (
    Carveout,
    Checksum,
    Custom,
    Devmem,
    Profile,
    RprocMem,
    TableHeader,
    Trace,
    Unknown,
    VdevHeader,
    Vring,
)
from orchestrator.formats.resource_table import Table, scan_table, table_further_on
from orchestrator.observe.live import LiveView
from orchestrator.observe.search import tables_in_memory
from orchestrator.observe.views import Span, Views

__all__ = ["DECODING_RULES"]


@rule(
    "table.missing",
    stage=Stage.STATIC,
    source="Linux remoteproc, rproc_elf_find_rsc_table; RPTUN, struct rptun_rsc_s",
    each=states,
)
def there_is_a_table(state: State) -> Iterator[Violation]:
    """The images have a ``.resource_table`` section, or the place of the table is given."""
    error = state.declared.error
    if error is None or error.rule == "table.not-loaded":
        return
    names = ", ".join(image.name for image in state.images.values())
    ended = state.run is not None and state.run.ended is not None
    made = tables_in_memory(state.views, state.images) if ended and state.views is not None else ()
    advice = "keep the section in the linker script; name one made at run time by --table SYMBOL or 0xADDRESS"
    yield Violation(
        at=(),
        expected=str(error.expected or "a table"),
        actual=f"none in {names}",
        advice=f"run it again with --table {made[0]}" if made else advice,
        subject="table",
        detail=tuple(f"memory holds what reads as a table at {each}" for each in made) or _without_table(state),
    )


def _without_table(state: State) -> tuple[str, ...]:
    """What speaks for firmware that needs none."""
    run = state.run
    if run is None or not all(any(each.target == role for each in run.ledger.taken) for role in (MAIN, REMOTE)):
        return ()
    return (
        "both cores notify each other all the same: vrings that two images fix when they are built (Zephyr's static"
        " vrings) have no table; give them by --vrings ADDRESS:NUM:ALIGN, twice, where they are not found",
    )


@rule(
    "table.not-loaded",
    stage=Stage.STATIC,
    source="ELF, Program Loading: only PT_LOAD segments reach memory",
    each=states,
)
def table_section_is_loaded(state: State) -> Iterator[Violation]:
    """The ``.resource_table`` section lies in a PT_LOAD segment."""
    error = state.declared.error
    if error is not None and error.rule == "table.not-loaded":
        yield Violation(
            at=(place_of(error, ".resource_table"),),
            expected=str(error.expected),
            actual=str(error.found),
            advice=error.advice or "",
            subject="table",
        )


def _table_span(state: State) -> tuple[Views, Span, str] | None:
    location, views = state.declared.location, state.views
    if location is None or views is None:
        return None
    size = max(16, len(state.declared.data))
    return views, views.span_at(location.role, "table", location.address, size), location.role


@rule("table.one-core-only", stage=Stage.STATIC, source="RPTUN: the table is shared by master and slave", each=states)
def both_cores_reach_the_table(state: State) -> Iterator[Violation]:
    """Both cores have memory where the table is at run time."""
    found = _table_span(state)
    if found is None or (found[1].pa is not None and found[1].da is not None):
        return
    views, span, role = found
    blind = [each for each in (MAIN, REMOTE) if span.seen_by(each) is None]
    location = state.declared.location
    address = location.address if location else 0
    yield Violation(
        at=(views.place(role, address, "table"),),
        expected="memory that both cores reach",
        actual=f"{' and '.join(views.name(each) for each in blind)} cannot reach {Extent(address, span.size)}",
        advice="link .resource_table to shared memory, or describe how the addresses map with --map PA:DA:SIZE",
        subject="table",
    )


@rule(
    "table.not-copied",
    stage=Stage.BOOT,
    source="ELF, Program Loading: what has its p_vaddr elsewhere is copied there by the start-up code",
    each=states,
)
def table_is_in_memory_as_declared(state: State) -> Iterator[Violation]:
    """After the start, memory holds the image's table (version, number of entries, offsets) at its run-time address."""
    live, location = state.live, state.declared.location
    if live is None or location is None or state.declared.scan is None or live.is_as_declared:
        return
    if state.declared.scan.table is None or state.declared.scan.table.header.ver != 1:
        return  # broken already in the image: the decoding rules say so
    if live.span is None or live.span.seen_by(live.role) is None:
        return  # table.one-core-only
    header = live.scan.table.header if live.scan and live.scan.table else None
    load = f"loaded at {location.load_address:#010x}, " if location.load_address is not None else ""
    wanted = state.declared.scan.table.header
    yield Violation(
        at=(Place(state.views.name(location.role) if state.views else location.role, location.address, "table"),),
        expected=f"version {wanted.ver} and {wanted.num} entries, {load}as in {location.how}",
        actual="nothing readable" if header is None else f"version {header.ver:#x} and {header.num:#x} entries",
        advice="the start-up code of the image that carries the table must copy it, as it does .data",
        subject="table",
        core=location.role,
    )


@rule(
    "table.absent",
    stage=Stage.BOOT,
    source="RPTUN: drivers build the table in shared memory before they start the other core",
    each=states,
)
def table_made_at_run_time_appears(state: State) -> Iterator[Violation]:
    """Where the table is to be made at run time, there is one at the end."""
    live, location = state.live, state.declared.location
    if live is None or location is None or state.declared.scan is not None or live.table is not None:
        return
    if live.span is None or live.span.seen_by(live.role) is None:
        return  # table.one-core-only
    header = live.scan.table.header if live.scan and live.scan.table else None
    advice = f"nobody made a table at {location.how}: check the address, and that the code that makes it runs"
    further = _made_further_on(state, location)
    if further is not None:
        advice = f"a table begins {further} bytes further on, at {location.address + further:#010x}: name that place"
    yield Violation(
        at=(Place(state.views.name(location.role) if state.views else location.role, location.address, "table"),),
        expected="version 1",
        actual="nothing readable" if header is None else f"version {header.ver:#x}",
        advice=advice,
        subject="table",
        core=location.role,
    )


_MOST_SEARCHED = 1 << 21  # bytes of a region that are looked through for a copy


def _copies(state: State, live: LiveView, table: Table) -> Iterator[tuple[str, int, Table]]:
    """Role, address and content of what is the same table elsewhere in memory that a core can write."""
    platform, views = state.platform, state.views
    if platform is None or views is None or live.span is None:
        return
    own = live.span
    head = struct.pack("<2I", table.header.ver, table.header.num)
    offsets = b"".join(each.to_bytes(4, "little") for each in table.offsets)
    for role, memory in views.memories.items():
        core = platform.core(role).name
        for region in platform.regions:
            extent = next(iter(region.extents(core)), None)
            if extent is None or not region.writable or extent.size > _MOST_SEARCHED:
                continue
            try:
                data = memory.read(extent.start, extent.size)
            except RptwinError:
                continue
            for match in re.finditer(re.escape(head) + rb".{8}" + re.escape(offsets), data, re.DOTALL):
                address = extent.start + match.start()
                found = scan_table(memory, address, extent.size - match.start()).table
                aliases = {at for name, at in platform.aliases(core, address) if name == core}
                is_other = not any(at.start in aliases for at in (own.seen_by(role),) if at is not None)
                if found is not None and is_other:
                    yield role, address, found


@rule(
    "table.second-copy",
    stage=Stage.BOOT,
    source="zephyr PR 105778: the host updates a copy that the remote never reads",
    each=states,
)
def there_is_one_table_in_use(state: State) -> Iterator[Violation]:
    """Where the bring-up stops, no core has worked with a copy of the table instead of the table."""
    live, run = state.live, state.run
    table = live.table if live is not None and not live.is_given else None
    if live is None or table is None or run is None or run.ended is None or state.is_stopped:
        return
    if all(vdev.is_driver_ok for vdev in live.vdevs) or state.views is None:
        return
    here = {each.at.path: each.value.head.status for each in table.vdevs}
    for role, address, copy in _copies(state, live, table):
        there = {each.at.path: each.value.head.status for each in copy.vdevs}
        path = next((path for path, status in there.items() if status and not here.get(path)), None)
        if path is not None:
            yield Violation(
                at=(state.views.place(role, address, "copy of the table"), Place(table.view, table.address, "table")),
                expected="one table, which both cores work with",
                actual=f"{the(role)} works with a copy: {path}.status is {there[path]:#x} there, and 0 in the table",
                advice="write status, features and addresses to the table in shared memory, which the remote reads",
                subject="table",
                core=role,
            )
            return


def _made_further_on(state: State, location: TableLocation) -> int | None:
    """How far behind the place that was named a table begins."""
    try:
        return (
            table_further_on(state.views.memories[location.role].read(location.address, 1024)) if state.views else None
        )
    except RptwinError:
        return None


@rule("table.views-differ", stage=Stage.LIVE, source="zephyr PR 105778: the host updates a copy", each=states)
def both_cores_see_the_same_table(state: State) -> Iterator[Violation]:
    """Both cores read the same bytes where the table is."""
    live, views = state.live, state.views
    if live is None or views is None or live.span is None or live.table is None or len(live.others) < 2:
        return
    mine, theirs = live.others[MAIN], live.others[REMOTE]
    offset = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
    if offset is None or live.span.pa is None or live.span.da is None:
        return
    yield Violation(
        at=(views.place(MAIN, live.span.pa + offset), views.place(REMOTE, live.span.da + offset)),
        expected=f"the same byte, {mine[offset]:#04x} as main sees it",
        actual=f"{theirs[offset]:#04x} as the remote sees it",
        advice="the two addresses are not the same memory: correct --map, or let both cores use one table",
        subject="table",
    )


DECODING_RULES = {
    "table.version": ("The version is 1.", "Linux rsc_table.h, struct resource_table", "set ver to 1"),
    "table.truncated": (
        "Every structure ends inside the table.",
        "Linux remoteproc, rproc_handle_resources",
        "correct the count or length, or the size of the section",
    ),
    "table.outside-memory": (
        "Every byte of the table can be read.",
        "Linux remoteproc, rproc_handle_resources",
        "place the table so that it ends inside memory",
    ),
    "table.too-many-entries": (
        "The table has no more entries than any real one.",
        "Linux rsc_table.h: num is not bounded there, and a wrong one is a walk through all of memory",
        "check num",
    ),
    "table.offset-huge": (
        "Every offset is below 2^31.",
        "Linux remoteproc computes with int: a larger offset is negative and passes its check",
        "offsets count from the start of the table",
    ),
    "table.offset-into-header": (
        "No offset points into the header or its offsets.",
        "Linux remoteproc, rproc_handle_resources: version 1 there is type 1, a devmem",
        "fill in the offset, or leave the entry out of num",
    ),
    "table.offset-past-end": (
        "Every offset points inside the table.",
        "Linux remoteproc, rproc_handle_resources",
        "offsets count from the start of the table",
    ),
}


def _header_further_on(subject: TableSubject, expected: str, found: str, offset: int) -> Violation:
    """A table that begins a few bytes after the place that was to be its first."""
    table = subject.table
    assert table is not None, "its version was read"
    where = f"{table.address + offset:#010x}, {offset} bytes further on"
    location = subject.state.declared.location
    is_section = location is not None and location.how.startswith("section")
    return Violation(
        at=(_place(table, 0, "header.ver"), _place(table, offset, "a table")),
        expected=expected,
        actual=f"{found}; a table begins at {where}",
        advice="the section has to begin with the table: move what stands in front of it"
        if is_section
        else "name the place of the table itself: --table SYMBOL+OFFSET",
    )


def _decoding_rule(id_: str, description: str, source: str, advice: str) -> None:
    def judge(subject: TableSubject) -> Iterator[Violation]:
        for error in subject.errors:
            if error.rule == id_:
                expected = str(error.expected) if error.expected is not None else description.rstrip(".")
                found = str(error.found) if error.found is not None else error.what
                further = table_further_on(subject.data) if id_ == "table.version" else None
                if further is None:
                    yield Violation((place_of(error, "table"),), expected, found, error.advice or advice)
                else:
                    yield _header_further_on(subject, expected, found, further)

    judge.__doc__ = description
    rule(id_, stage=Stage.STATIC, source=source, each=tables)(judge)


for _id, (_description, _source, _advice) in DECODING_RULES.items():
    _decoding_rule(_id, _description, _source, _advice)


def _place(table: Table, offset: int, path: str) -> Place:
    return Place(table.view, table.address + offset, path)


@rule(
    "table.reserved",
    stage=Stage.STATIC,
    source="Linux remoteproc, rproc_handle_resources: header reserved must be zero; RPTUN keeps its commands there",
    each=tables,
    profiles={Profile.NUTTX: None},
)
def reserved_words_are_zero(subject: TableSubject) -> Iterator[Violation]:
    """The reserved words of the header are zero when the host loads the table; what a remote stores there later, as
    RPTUN's commands are, disturbs nobody.
    """
    promised = subject.state.declared.scan
    table = promised.table if promised is not None and promised.table is not None else subject.table
    if table is None or table.header.ver != 1:
        return
    for i, word in enumerate(table.header.reserved):
        if word:
            at = _place(table, TableHeader.offset_of(f"reserved[{i}]"), f"header.reserved[{i}]")
            yield Violation((at,), "0", f"{word:#x}", "Linux refuses the table; only RPTUN uses these words")


@rule(
    "table.entry-reserved",
    stage=Stage.STATIC,
    source="Linux remoteproc: carveout, devmem and trace entries with a reserved field that is not zero are refused",
    each=tables,
)
def reserved_fields_are_zero(subject: TableSubject) -> Iterator[Violation]:
    """The reserved field of carveout, devmem and trace entries is zero."""
    for entry in subject.table.entries if subject.table else ():
        value = entry.value
        if isinstance(value, Carveout | Devmem | Trace) and value.reserved:
            at = Place(entry.at.view, entry.at.address + value.offset_of("reserved"), f"{entry.at.path}.reserved")
            yield Violation((at,), "0", f"{value.reserved:#x}", "zero it; is the entry laid out as the header says?")


@rule(
    "table.entries-overlap",
    stage=Stage.STATIC,
    source="Linux rsc_table.h: each entry has bytes of its own",
    each=tables,
)
def entries_do_not_overlap(subject: TableSubject) -> Iterator[Violation]:
    """No entry shares bytes with another, or with the header and its offsets."""
    table = subject.table
    if table is None:
        return
    pieces = [(Extent(table.address, TableHeader.size + 4 * len(table.offsets)), "header")]
    pieces += [(Extent(each.at.address, len(each.value.pack())), each.at.path) for each in table.entries]
    for (first, name), (second, path) in pairwise(sorted(pieces)):
        if first.overlaps(second):
            yield Violation(
                (Place(table.view, second.start, path),),
                f"at or after {first.end:#010x}, where {name} ends",
                f"{second.start:#010x}",
                "correct offset[], num_of_vrings or config_len",
            )


@rule(
    "table.unknown-type",
    stage=Stage.STATIC,
    source="Linux rsc_table.h, enum fw_resource_type; OpenAMP skips types 6 to 127 silently (open-amp 393)",
    each=tables,
    severity=Severity.WARNING,
    profiles={Profile.OPENAMP: Severity.ERROR},
)
def types_are_known(subject: TableSubject) -> Iterator[Violation]:
    """Every entry has a type that remoteproc knows."""
    for entry in subject.table.entries if subject.table else ():
        if isinstance(entry.value, Unknown):
            yield Violation(
                (entry.at,), "0..5 or 128..512", f"type {entry.value.type}", "nobody will act on this entry"
            )


@rule(
    "table.obsolete-type",
    stage=Stage.STATIC,
    source="OpenAMP 2017.04 to 2018.10, remoteproc.h: RSC_RPROC_MEM and RSC_FW_CHKSUM; TI, rsc_types.h",
    each=tables,
    severity=Severity.WARNING,
)
def types_are_current(subject: TableSubject) -> Iterator[Violation]:
    """No entry has a type that only old releases of OpenAMP or of TI's Linux know: 4 and 5 mean something to each."""
    for entry in subject.table.entries if subject.table else ():
        if isinstance(entry.value, RprocMem | Checksum):
            advice = "describe the memory with a carveout"
            yield Violation((entry.at,), "a current type", f"type {entry.value.type}", advice)
        elif isinstance(entry.value, Custom):
            advice = "mainline Linux skips it and reads a PRU's interrupts from the section .pru_irq_map"
            yield Violation((entry.at,), "a current type", "type 5 as in TI's older Linux", advice)


@rule(
    "table.devmem-needs-iommu",
    stage=Stage.STATIC,
    source="Linux remoteproc, rproc_handle_devmem: -EINVAL without an IOMMU",
    each=tables,
    severity=Severity.WARNING,
    profiles={Profile.OPENAMP: None, Profile.NUTTX: None, Profile.COMMON: None},
)
def devmem_is_avoided(subject: TableSubject) -> Iterator[Violation]:
    """A table for Linux has no devmem entry, as remote cores of this kind have no IOMMU."""
    for entry in subject.table.entries if subject.table else ():
        if isinstance(entry.value, Devmem):
            yield Violation(
                (entry.at,), "no devmem entry", "one", "Linux refuses the firmware unless there is an IOMMU"
            )


@rule(
    "table.no-vdev",
    stage=Stage.STATIC,
    source="Linux remoteproc: a table without a vdev only makes an image loadable; RPTUN: one vdev entry per device",
    each=tables,
    severity=Severity.NOTE,
    profiles={Profile.NUTTX: Severity.ERROR},
)
def there_is_a_vdev(subject: TableSubject) -> Iterator[Violation]:
    """The table has a vdev entry; a run cannot bring anything up without one."""
    table, run = subject.table, subject.state.run
    if table is not None and table.header.ver == 1 and not subject.errors and not table.vdevs:
        found = f"{len(table.entries)} other entries" if table.entries else "an empty table"
        ended = run is not None and run.ended is not None
        yield Violation(
            at=(_place(table, 0, "table"),),
            expected="a vdev entry",
            actual=found,
            advice="without one there is nothing to bring up",
            severity=Severity.ERROR if ended else None,
        )


_LINUX_ALIGNMENT, _ALIGNMENT = 8, 4


def _declared(state: State) -> Iterator[TableSubject]:
    """The table as the image has it, with all bytes of its section; the one in memory where no image has it."""
    return tables(State(state.profile, state.images, state.declared) if state.declared.scan else state)


@rule(
    "table.misaligned",
    stage=Stage.STATIC,
    source="zephyr PR 69187: a 64-bit Linux copies its table over the remote's by 8 bytes; rsc_table.h: u32 fields",
    each=_declared,
    severity=Severity.WARNING,
)
def table_is_aligned_for_its_readers(subject: TableSubject) -> Iterator[Violation]:
    """The table begins at a multiple of 4, for Linux of 8, and each of its entries at a multiple of 4."""
    table, location = subject.table, subject.state.declared.location
    if table is None or table.header.ver != 1:
        return
    wanted = _LINUX_ALIGNMENT if subject.state.profile is Profile.LINUX else _ALIGNMENT
    if table.address % wanted:
        path = location.what if location else "table"
        yield Violation(
            at=(_place(table, 0, path),),
            expected=f"a multiple of {wanted}",
            actual=f"{table.address:#010x}",
            advice=f"align it in the linker script, . = ALIGN({wanted}): a host that copies by words takes a fault",
            subject="table",
        )
    elif odd := [each for each in table.entries if each.at.address % _ALIGNMENT]:
        yield Violation(
            at=tuple(each.at for each in odd),
            expected=f"a multiple of {_ALIGNMENT}",
            actual=", ".join(f"{each.at.address:#010x}" for each in odd),
            advice="pad the entry before it: a reader that loads its words takes a fault where memory is a device's",
        )


_NAME = re.compile(rb"[\x20-\x7e]{2,31}\0+")


def _is_entry(data: bytes) -> str | None:
    """What bytes that no offset leads to would be as an entry; None unless all of their fields make sense."""
    if len(data) >= Trace.size and data[:4] == b"\2\0\0\0":
        trace = Trace.unpack_from(data)
        return "trace" if trace.len and not trace.reserved and _NAME.fullmatch(trace.name) else None
    if len(data) >= Carveout.size and data[:4] in (bytes(4), b"\1\0\0\0"):
        block = Carveout.unpack_from(data)
        kind = "devmem" if block.type else "carveout"
        return kind if block.len and not block.reserved and _NAME.fullmatch(block.name) else None
    if len(data) >= VdevHeader.size + Vring.size and data[:4] == b"\3\0\0\0":
        head, ring = VdevHeader.unpack_from(data), Vring.unpack_from(data, VdevHeader.size)
        sizes = ring.num and not ring.num & (ring.num - 1) and ring.align and not ring.align & (ring.align - 1)
        return "vdev" if 0 < head.id < 64 and 0 < head.num_of_vrings <= 8 and sizes else None
    return None


@rule(
    "table.orphan-entry",
    stage=Stage.STATIC,
    source="Linux rsc_table.h: readers follow offset[], num of them (NuttX on i.MX9 and i.MX8MP: the trace)",
    each=_declared,
    severity=Severity.WARNING,
)
def every_entry_is_in_offsets(subject: TableSubject) -> Iterator[Violation]:
    """No bytes of the table make an entry that offset[] does not lead to."""
    table = subject.table
    for gap in table.gaps if table is not None and table.header.ver == 1 else ():
        for at in range(-gap.offset % 4, len(gap.data), 4):
            kind = _is_entry(gap.data[at:])
            if kind is not None and table is not None:
                yield Violation(
                    at=(_place(table, gap.offset + at, f"{kind} without an offset"),),
                    expected=f"{gap.offset + at} in offset[], which has {', '.join(map(str, table.offsets)) or 'none'}",
                    actual=f"a {kind} that nobody reads, as num is {table.header.num}",
                    advice="add its offset and count it in num, or take it out",
                    subject="table",
                )
                break
