"""The resource table: that there is one, where it is, and that both cores see it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Extent, Place, place_of
from orchestrator.base.roles import MAIN, REMOTE, the
from orchestrator.checks.finding import Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import State, states
from orchestrator.formats.locator import TableLocation
from orchestrator.formats.resource_table import Table, scan_table, table_further_on
from orchestrator.observe.live import LiveView
from orchestrator.observe.search import tables_in_memory
from orchestrator.observe.views import Span, Views

__all__: list[str] = []


@rule(
    "table.missing",
    stage=Stage.STATIC,
    source="Linux remoteproc, rproc_elf_find_rsc_table; RPTUN, struct rptun_rsc_s",
    each=states,
    of_absence=True,
)
def there_is_a_table(state: State) -> Iterator[Violation]:
    """The images have a ``.resource_table`` section, or the place of the table is given."""
    error = state.declared.error
    if error is None or error.rule == "table.not-loaded":
        return
    names = ", ".join(image.name for image in state.images.values())
    ended = state.run.ended is not None
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
    if not all(any(each.target == role for each in run.ledger.taken) for role in (MAIN, REMOTE)):
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
    of_absence=True,
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
    own = state.declared.data[:8]
    if own and live.others.get(location.role, b"")[: len(own)] == own:
        return  # it is there, and the other core sees something else: table.views-differ
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
    of_absence=True,
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
    of_absence=True,
)
def there_is_one_table_in_use(state: State) -> Iterator[Violation]:
    """Where the bring-up stops, no core has worked with a copy of the table instead of the table."""
    live, run = state.live, state.run
    table = live.table if live is not None and not live.is_given else None
    if live is None or table is None or run.ended is None or state.is_stopped:
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
    if live is None or views is None or live.span is None or len(live.others) < 2:
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
