"""What stands in the resource table: that it is well formed, and what its readers make of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from orchestrator.base.memory import Extent, Place, place_of
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import State, TableSubject, tables
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
from orchestrator.formats.resource_table import Table, table_further_on

__all__: list[str] = []


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
                    yield Violation((place_of(error, "table"),), expected, found, advice)
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
        ended = run.ended is not None and subject.state.tells_of_absence
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
