"""The live view: the table in shared memory as both cores see it, and every vring resolved.

Lenient: whatever decodes is shown, and rules judge the rest. Bounded: a hostile table costs no more than
``MAX_VRINGS`` rings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import FormatError, RingError, RptwinError
from orchestrator.base.memory import Extent, Located, Place
from orchestrator.base.roles import MAIN, REMOTE, ROLES, Side, Sides, other_role
from orchestrator.formats.nuttx_config import NuttxConfig, NuttxRelease, decode_nuttx_config
from orchestrator.formats.resource_entry import (
    ANY,
    VIRTIO_CONFIG_S_DRIVER_OK,
    VIRTIO_ID_RPMSG,
    Carveout,
    Feature,
    Trace,
    Vdev,
    VdevRole,
    Vring,
)
from orchestrator.formats.resource_table import Scan, Table, scan_table
from orchestrator.formats.virtqueue import MAX_QUEUE_SIZE, Part, RingLayout, SplitRing, available_ring_size
from orchestrator.observe.declared import TABLE_LIMIT, DeclaredTable
from orchestrator.observe.given import table_of
from orchestrator.observe.offsets import IoRegion
from orchestrator.observe.views import Span, Views

__all__ = [
    "MAX_VRINGS",
    "LiveCarveout",
    "LiveRing",
    "LiveTrace",
    "LiveVdev",
    "LiveView",
    "read_live",
    "ring_layout",
    "vdevs_of",
]

MAX_VRINGS = 64  # of all vdevs together; real tables have two to eight

_RING_CARVEOUT = re.compile(r"vdev(\d+)vring(\d+)")  # Linux, remoteproc_virtio


def ring_layout(base: int, num: int, align: int) -> RingLayout | None:
    """Where ring code puts the parts, by the mask arithmetic that all of it uses; None when that cannot be.

    For an ``align`` that is no power of two the result is what such code computes, right or wrong.
    """
    if not 1 <= num <= MAX_QUEUE_SIZE or align <= 0:
        return None
    try:
        return RingLayout.legacy(base, num, align)
    except RingError:
        offset = (16 * num + available_ring_size(num) + align - 1) & ~(align - 1)
        return RingLayout(num, base, base + 16 * num, base + offset, f"mask arithmetic with align {align}")


@dataclass(frozen=True, slots=True)
class LiveCarveout:
    """A carveout entry and the memory that it names; no span while its address is for the host to choose."""

    entry: Located[Carveout]
    span: Span | None


@dataclass(frozen=True, slots=True)
class LiveTrace:
    """A trace entry and its buffer."""

    entry: Located[Trace]
    span: Span


@dataclass(frozen=True, slots=True)
class LiveRing:
    """A vring: its entry, and where it is once it has an address."""

    vdev: int
    index: int
    at: Place  # of its entry in the table
    entry: Vring
    span: Span | None  # from the first byte of any part to the last; None: no address yet, or no size
    layout: RingLayout | None  # in main's view, else in the remote's
    role: str  # whose view ``layout`` is of
    carveout: LiveCarveout | None  # that it is cut from, if the host places it
    was_dynamic: bool | None  # the host was to place it; None: the table came with an address, or was never seen before
    is_given: bool = False  # by a person, or by what memory holds: no table has an entry for it

    @property
    def path(self) -> str:
        """``vdev[0].vring[1]``."""
        return self.at.path

    @property
    def has_address(self) -> bool:
        """Somebody gave it an address."""
        return not self.entry.is_dynamic

    @property
    def is_resolved(self) -> bool:
        """It has an address, and both cores have memory there."""
        return self.span is not None and self.span.pa is not None and self.span.da is not None

    def field(self, name: str) -> Place:
        """One field of the entry; of a vring without one, the vring."""
        if self.is_given:
            return Place(self.at.view, self.at.address, f"{self.path}.{name}")
        return Place(self.at.view, self.at.address + Vring.offset_of(name), f"{self.path}.{name}")

    def parts(self) -> Iterator[Part]:
        """Descriptor table, available and used ring, in the view of ``layout``."""
        if self.layout is not None:
            yield from self.layout.parts

    def open(self, views: Views) -> SplitRing | None:
        """The queue, to be read in the view of its layout."""
        if self.layout is None or self.span is None or self.span.seen_by(self.role) is None:
            return None

        def translate(da: int, size: int) -> int:
            return views.environment.whole_da_to_pa(da, size) if self.role == MAIN else da

        return SplitRing(views.memories[self.role], self.layout, translate=translate, name=self.path)


@dataclass(frozen=True, slots=True)
class LiveVdev:
    """A virtio device: its entry, its rings, the carveout that RPTUN pairs it with, and its configuration."""

    index: int
    entry: Located[Vdev]
    rings: tuple[LiveRing, ...]
    carveout: LiveCarveout | None
    config: NuttxConfig | None
    config_error: FormatError | None

    @property
    def path(self) -> str:
        """``vdev[0]``."""
        return self.entry.at.path

    @property
    def status(self) -> int:
        """The device status byte."""
        return self.entry.value.head.status

    @property
    def is_driver_ok(self) -> bool:
        """The driver is ready (virtio 1.3, 2.1)."""
        return bool(self.status & VIRTIO_CONFIG_S_DRIVER_OK)

    @property
    def sides(self) -> Sides:
        """Who drives its queues: main, unless the table's reader plays the device (RPTUN)."""
        return Sides(REMOTE if self.entry.value.head.reserved[0] == VdevRole.DEVICE else MAIN)

    def role_of(self, side: Side) -> str:
        """The role of the core that plays a side of its queues."""
        return self.sides.role_of(side)

    @property
    def is_rpmsg(self) -> bool:
        """It carries RPMsg."""
        return self.entry.value.head.id == VIRTIO_ID_RPMSG

    @property
    def features(self) -> Feature | None:
        """What the driver has accepted; None where no table says it."""
        if any(ring.is_given for ring in self.rings):
            return None
        return Feature(self.entry.value.head.gfeatures)

    @property
    def accepts_nothing(self) -> bool:
        """Features are offered and none is accepted: OpenAMP before 2020.10 takes what is offered and says nothing."""
        head = self.entry.value.head
        return bool(head.dfeatures) and not head.gfeatures

    @property
    def has_places_for_buffers(self) -> bool:
        """The driver was to put the buffers where the config space says (NuttX's BUFADDR)."""
        places = (self.config.r2h_buf_addr, self.config.h2r_buf_addr) if self.config else ()
        return bool(self.entry.value.head.gfeatures & Feature.BUFADDR) and any(places)


@dataclass(frozen=True)
class LiveView:
    """The table in memory and everything that it leads to."""

    declared: DeclaredTable
    span: Span | None  # of the table; None: nobody knows where it is
    role: str  # whose view the table was read in
    scan: Scan | None
    others: Mapping[str, bytes]  # the table's bytes by role, of those who can read them
    vdevs: tuple[LiveVdev, ...]
    carveouts: tuple[LiveCarveout, ...]
    traces: tuple[LiveTrace, ...]

    @cached_property
    def extent(self) -> Extent | None:
        """The table's, in the view that it was read in."""
        return None if self.span is None else self.span.seen_by(self.role)

    @cached_property
    def table(self) -> Table | None:
        """The table, if there is one: version 1 and all entries within bounds, or as many as are."""
        found = self.scan.table if self.scan else None
        return found if found is not None and found.header.ver == 1 else None

    @cached_property
    def rings(self) -> tuple[LiveRing, ...]:
        """Every vring of every vdev."""
        return tuple(ring for vdev in self.vdevs for ring in vdev.rings)

    def io_region(self, vdev: LiveVdev, views: Views) -> IoRegion:
        """What its buffers' addresses may be offsets from: its first vring, the table, its carveout, a region."""
        rings = [ring.span for ring in vdev.rings if ring.span is not None]
        spans = [*rings, *((self.span,) if self.span else ())]
        carveout = vdev.carveout.span if vdev.carveout else None
        known = [each.da for each in (*spans, *((carveout,) if carveout else ())) if each.da is not None]
        core = views.platform.core(REMOTE).name if views.platform else ""
        regions = [
            extent.start
            for region in (views.platform.regions if views.platform else ())
            for extent in region.extents(core)
            if any(address in extent for address in known)
        ]
        return IoRegion(tuple(sorted({*known, *regions})), tuple(spans))

    @property
    def is_given(self) -> bool:
        """There is no table: somebody, or memory, says where the vrings are."""
        return bool(self.declared.vrings)

    @property
    def is_up(self) -> bool:
        """Every vdev at DRIVER_OK and every vring resolved in both views."""
        return (
            bool(self.vdevs)
            and self.is_as_declared
            and all(vdev.is_driver_ok and vdev.rings and all(r.is_resolved for r in vdev.rings) for vdev in self.vdevs)
        )

    @property
    def is_as_declared(self) -> bool:
        """Memory holds the table of the image: version, number of entries and offsets, which nobody may change."""
        wanted = self.declared.scan.table if self.declared.scan else None
        found = self.table
        if wanted is None:
            return found is not None
        return found is not None and (found.header.num, found.offsets) == (wanted.header.num, wanted.offsets)


def _reading_role(views: Views, role: str, span: Span) -> str:
    """Main's view where main can read the table, as it is main's copy that counts for the driver."""
    for each in (MAIN, role, other_role(role)):
        if span.seen_by(each) is not None:
            return each
    return role


def _read_all(views: Views, span: Span, size: int) -> dict[str, bytes]:
    found = {}
    for role in ROLES:
        extent = span.seen_by(role)
        if extent is not None:
            try:
                found[role] = views.memories[role].read(extent.start, size)
            except RptwinError:
                continue
    return found


def read_live(
    views: Views,
    declared: DeclaredTable,
    *,
    release: NuttxRelease | None = None,
    dynamic: Mapping[str, bool] | None = None,
) -> LiveView:
    """Read everything that the table at the promised place leads to.

    ``dynamic`` says of vrings by path whether the host was to place them, for tables that memory alone has seen.
    """
    location = declared.location
    if declared.vrings:
        return _live_of_vrings(views, declared)
    if declared.told is not None:
        return _live_of(views, declared, declared.told, None, REMOTE, dict(dynamic or {}), release)
    if location is None:
        return LiveView(declared, None, REMOTE, None, {}, (), (), ())
    span = views.span_at(location.role, "table", location.address, 16)
    role = _reading_role(views, location.role, span)
    extent = span.seen_by(role)
    if extent is None:
        return LiveView(declared, span, role, None, {}, (), (), ())
    scan = scan_table(views.memories[role], extent.start, len(declared.data) or TABLE_LIMIT)
    table = scan.table
    if table is None or table.header.ver != 1:
        return LiveView(declared, span, role, scan, _read_all(views, span, 16), (), (), ())
    span = views.span_at(location.role, "table", location.address, table.size)
    return _live_of(views, declared, scan, span, role, dict(dynamic or {}) | _promised_dynamic(declared), release)


def _live_of(
    views: Views,
    declared: DeclaredTable,
    scan: Scan,
    span: Span | None,
    role: str,
    dynamic: Mapping[str, bool],
    release: NuttxRelease | None,
) -> LiveView:
    """What a table that is version 1 leads to."""
    table = scan.table
    assert table is not None, "the caller has looked"
    carveouts = tuple(LiveCarveout(each, _carveout_span(views, each)) for each in table.carveouts)
    vdevs = tuple(vdevs_of(table, carveouts, views, dynamic, release))
    traces = tuple(_trace(views, each) for each in table.of(Trace))
    others = {} if span is None else _read_all(views, span, table.size)
    return LiveView(declared, span, role, scan, others, vdevs, carveouts, traces)


def _live_of_vrings(views: Views, declared: DeclaredTable) -> LiveView:
    """Vrings that no table describes; a device is ready once something was made available in one of its rings."""
    view = views.name(REMOTE)

    def vdevs_as(scan: Scan) -> Iterator[LiveVdev]:
        for index, located in enumerate(scan.table.vdevs if scan.table else ()):
            rings = tuple(
                replace(_ring(views, index, i, _at_itself(view, located, i, entry), entry), is_given=True)
                for i, entry in enumerate(located.value.vrings)
            )
            yield LiveVdev(index, located, rings, None, None, None)

    ready = [any(map(_has_moved, (ring.open(views) for ring in vdev.rings)))
             for vdev in vdevs_as(table_of(declared.vrings, view))]  # fmt: skip
    scan = table_of(declared.vrings, view, ready)
    return LiveView(declared, None, REMOTE, scan, {}, tuple(vdevs_as(scan)), (), ())


def _at_itself(view: str, vdev: Located[Vdev], index: int, entry: Vring) -> Place:
    return Place(view, entry.da, f"{vdev.at.path}.vring[{index}]")


def _has_moved(queue: SplitRing | None) -> bool:
    try:
        return queue is not None and (queue.avail_idx != 0 or queue.used_idx != 0)
    except RingError:
        return False


def _trace(views: Views, entry: Located[Trace]) -> LiveTrace:
    return LiveTrace(entry, views.span_at_da(entry.at.path, entry.value.da, entry.value.len))


def _promised_dynamic(declared: DeclaredTable) -> dict[str, bool]:
    table = declared.scan.table if declared.scan else None
    if table is None:
        return {}
    return {
        f"{vdev.at.path}.vring[{i}]": ring.is_dynamic
        for vdev in table.vdevs
        for i, ring in enumerate(vdev.value.vrings)
    }


def _carveout_span(views: Views, entry: Located[Carveout]) -> Span | None:
    carveout = entry.value
    return None if carveout.da == ANY else views.span_at_da(entry.at.path, carveout.da, carveout.len)


def _carveout_of(
    carveouts: tuple[LiveCarveout, ...], vdev: int, ring: int
) -> tuple[LiveCarveout | None, LiveCarveout | None]:
    """The carveouts of a vdev and of one of its rings: Linux's by name, RPTUN's by index."""
    named = [each for each in carveouts if _RING_CARVEOUT.match(each.entry.value.text)]
    for each in named:
        found = _RING_CARVEOUT.match(each.entry.value.text)
        if found and (int(found[1]), int(found[2])) == (vdev, ring):
            return None, each
    if named or vdev >= len(carveouts):
        return None, None
    return carveouts[vdev], carveouts[vdev]


def vdevs_of(
    table: Table,
    carveouts: tuple[LiveCarveout, ...],
    views: Views | None,
    dynamic: Mapping[str, bool],
    release: NuttxRelease | None = None,
) -> Iterator[LiveVdev]:
    """The vdevs of a table; without views (a file) no ring has memory."""
    room = MAX_VRINGS
    for index, located in enumerate(table.vdevs):
        vdev = located.value
        rings = []
        for i, entry in enumerate(vdev.vrings[:room]):
            address = located.at.address + vdev.vrings_offset + i * Vring.size
            at = Place(located.at.view, address, f"{located.at.path}.vring[{i}]")
            carveout = _carveout_of(carveouts, index, i)[1]
            rings.append(_ring(views, index, i, at, entry, carveout=carveout, dynamic=dynamic))
        room -= len(rings)
        config, error = _config(table, located, release)
        yield LiveVdev(index, located, tuple(rings), _carveout_of(carveouts, index, 0)[0], config, error)


def _ring(
    views: Views | None,
    vdev: int,
    index: int,
    at: Place,
    entry: Vring,
    *,
    carveout: LiveCarveout | None = None,
    dynamic: Mapping[str, bool] | None = None,
) -> LiveRing:
    was_dynamic = True if entry.is_dynamic else (dynamic or {}).get(at.path)
    by_da = None if entry.is_dynamic else ring_layout(entry.da, entry.num, entry.align)
    if views is None or by_da is None:
        return LiveRing(vdev, index, at, entry, None, by_da, REMOTE, carveout, was_dynamic)
    span = views.span_at_da(at.path, by_da.extent.start, by_da.extent.size)
    if span.pa is None:
        return LiveRing(vdev, index, at, entry, span, by_da, REMOTE, carveout, was_dynamic)
    by_pa = ring_layout(span.pa + entry.da - by_da.extent.start, entry.num, entry.align)
    return LiveRing(vdev, index, at, entry, span, by_pa, MAIN, carveout, was_dynamic)


def _config(
    table: Table, vdev: Located[Vdev], release: NuttxRelease | None
) -> tuple[NuttxConfig | None, FormatError | None]:
    head = vdev.value.head
    if head.id != VIRTIO_ID_RPMSG or (release is None and head.config_len < 64):
        return None, None
    data = table.after_vrings(vdev, 64).value if release is NuttxRelease.V9_0 else vdev.value.config
    try:
        return decode_nuttx_config(data, release, head.dfeatures), None
    except FormatError as error:
        return None, error
