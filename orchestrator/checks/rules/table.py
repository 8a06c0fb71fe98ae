"""The resource table: that there is one, that both cores see it, and that it is well formed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from orchestrator.base.roles import MAIN, REMOTE
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import State, TableSubject, states, tables
from orchestrator.formats.resource_entry import (
    Carveout,
    Checksum,
    Devmem,
    Profile,
    RprocMem,
    TableHeader,
    Trace,
    Unknown,
)
from orchestrator.formats.resource_table import Table
from orchestrator.memory import Extent, Place, place_of
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
    error = state.promise.error
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
        " vrings) have no table, and only what a table describes is judged",
    )


@rule(
    "table.not-loaded",
    stage=Stage.STATIC,
    source="ELF, Program Loading: only PT_LOAD segments reach memory",
    each=states,
)
def table_section_is_loaded(state: State) -> Iterator[Violation]:
    """The ``.resource_table`` section lies in a PT_LOAD segment."""
    error = state.promise.error
    if error is not None and error.rule == "table.not-loaded":
        yield Violation(
            at=(place_of(error, ".resource_table"),),
            expected=str(error.expected),
            actual=str(error.found),
            advice=error.advice or "",
            subject="table",
        )


def _table_span(state: State) -> tuple[Views, Span, str] | None:
    location, views = state.promise.location, state.views
    if location is None or views is None:
        return None
    size = max(16, len(state.promise.data))
    return views, views.span_at(location.role, "table", location.address, size), location.role


@rule("table.one-core-only", stage=Stage.STATIC, source="RPTUN: the table is shared by master and slave", each=states)
def both_cores_reach_the_table(state: State) -> Iterator[Violation]:
    """Both cores have memory where the table is at run time."""
    found = _table_span(state)
    if found is None or (found[1].pa is not None and found[1].da is not None):
        return
    views, span, role = found
    blind = [each for each in (MAIN, REMOTE) if span.seen_by(each) is None]
    location = state.promise.location
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
def table_is_in_memory_as_promised(state: State) -> Iterator[Violation]:
    """After the start, memory holds the image's table (version, number of entries, offsets) at its run-time address."""
    live, location = state.live, state.promise.location
    if live is None or location is None or state.promise.scan is None or live.is_as_promised:
        return
    if state.promise.scan.table is None or state.promise.scan.table.header.ver != 1:
        return  # broken already in the image: the decoding rules say so
    if live.span is None or live.span.seen_by(live.role) is None:
        return  # table.one-core-only
    header = live.scan.table.header if live.scan and live.scan.table else None
    load = f"loaded at {location.load_address:#010x}, " if location.load_address is not None else ""
    wanted = state.promise.scan.table.header
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
    live, location = state.live, state.promise.location
    if live is None or location is None or state.promise.scan is not None or live.table is not None:
        return
    if live.span is None or live.span.seen_by(live.role) is None:
        return  # table.one-core-only
    header = live.scan.table.header if live.scan and live.scan.table else None
    yield Violation(
        at=(Place(state.views.name(location.role) if state.views else location.role, location.address, "table"),),
        expected="version 1",
        actual="nothing readable" if header is None else f"version {header.ver:#x}",
        advice=f"nobody made a table at {location.how}: check the address, and that the code that makes it runs",
        subject="table",
        core=location.role,
    )


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
    "table.offset-past-end": (
        "Every offset points inside the table.",
        "Linux remoteproc, rproc_handle_resources",
        "offsets count from the start of the table",
    ),
}


def _decoding_rule(id_: str, description: str, source: str, advice: str) -> None:
    def judge(subject: TableSubject) -> Iterator[Violation]:
        for error in subject.errors:
            if error.rule == id_:
                expected = str(error.expected) if error.expected is not None else description.rstrip(".")
                found = str(error.found) if error.found is not None else error.what
                yield Violation((place_of(error, "table"),), expected, found, error.advice or advice)

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
    """The reserved words of the header are zero."""
    table = subject.table
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
    source="OpenAMP 2017.04 to 2018.10, remoteproc.h: RSC_RPROC_MEM and RSC_FW_CHKSUM",
    each=tables,
    severity=Severity.WARNING,
)
def types_are_current(subject: TableSubject) -> Iterator[Violation]:
    """No entry has a type that only old OpenAMP releases know; 4 and 5 mean something else to others."""
    for entry in subject.table.entries if subject.table else ():
        if isinstance(entry.value, RprocMem | Checksum):
            yield Violation(
                (entry.at,), "a current type", f"type {entry.value.type}", "describe the memory with a carveout"
            )


@rule(
    "table.devmem-needs-iommu",
    stage=Stage.STATIC,
    source="Linux remoteproc, rproc_handle_devmem: -EINVAL without an IOMMU",
    each=tables,
    severity=Severity.WARNING,
    profiles={Profile.OPENAMP: None, Profile.NUTTX: None},
)
def devmem_is_avoided(subject: TableSubject) -> Iterator[Violation]:
    """A table for Linux has no devmem entry, as remote cores of this kind have no IOMMU."""
    for entry in subject.table.entries if subject.table else ():
        if isinstance(entry.value, Devmem):
            yield Violation(
                (entry.at,), "no devmem entry", "one", "Linux refuses the firmware unless there is an IOMMU"
            )


@rule("table.no-vdev", stage=Stage.STATIC, source="RPTUN: one vdev entry per VirtIO device", each=tables)
def there_is_a_vdev(subject: TableSubject) -> Iterator[Violation]:
    """The table has a vdev entry."""
    table = subject.table
    if table is not None and table.header.ver == 1 and not subject.errors and not table.vdevs:
        found = f"{len(table.entries)} other entries"
        yield Violation((_place(table, 0, "table"),), "a vdev entry", found, "without one there is nothing to bring up")
