"""Who did what to the words of the table, the rings and the buffers, in the order in which it happened.

Fed with the accesses of each core's turn, where the engine tells them. Plain data in bounded memory, for a snapshot.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.base.errors import RingError
from orchestrator.base.memory import Extent, Place
from orchestrator.base.roles import Side, the
from orchestrator.events import Access
from orchestrator.formats.resource_entry import VIRTIO_CONFIG_S_DRIVER_OK, VdevHeader, Vring
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.observe.live import LiveRing, LiveVdev, LiveView
from orchestrator.observe.traffic import MAX_BUFFERS, Actor, Buffer, RingFault, Traffic
from orchestrator.observe.views import Views

__all__ = ["History", "Places", "Step", "Trespass", "Write"]

_KEPT = 8  # of each kind
_SLOT = re.compile(r"used\.ring\[(\d+)\]")
_MAX_READS = 256  # distinct places per ring and side


@dataclass(frozen=True, slots=True)
class Step:
    """Who did something, when, and by which instruction: virtual nanoseconds, role of the core."""

    time_ns: int
    role: str
    pc: int


@dataclass(frozen=True, slots=True)
class Write:
    """A store that changed a word, or stored it again; ``path`` names it: ``vdev[0].status``."""

    path: str
    by: Step
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Trespass:
    """An access to a buffer by the side that does not have it."""

    ring: str
    head: int
    side: Side  # that made it
    writes: bool
    address: int  # first byte, as the core addresses it
    size: int
    by: Step
    since: Step  # when the other side got it


@dataclass(slots=True)
class _Owned:
    """A buffer as it changes hands."""

    ring: str
    head: int
    owner: Side
    since: Step


@dataclass(slots=True)
class _Indices:
    """The indices of a ring as its last stores left them, and how often it was set up anew."""

    avail: int
    used: int
    restarts: int


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of the table as one core addresses it."""

    address: int
    size: int
    path: str


@dataclass(frozen=True, slots=True)
class _RingAt:
    """A ring as one core addresses it; ``shift`` leads from there to the addresses of its layout."""

    extent: Extent
    shift: int
    vdev: LiveVdev
    ring: LiveRing
    layout: RingLayout


class Places:
    """What lies where, as each core addresses it: made anew whenever the table or the buffers have changed."""

    def __init__(self, live: LiveView, views: Views, buffers: Mapping[int, Buffer]) -> None:
        self.live, self.views = live, views
        self.count = len(buffers)
        self._fields: dict[str, list[_Field]] = {}
        self._rings: dict[str, list[_RingAt]] = {}
        self._buffers: dict[str, list[tuple[int, int, Buffer]]] = {}
        self._extents: dict[str, list[Extent]] = {}  # of the buffers, where the table has them
        for role in views.memories:
            self._fields[role] = sorted(_fields(live, views, role), key=lambda each: each.address)
            self._rings[role] = list(_rings(live, views, role))
            spans = [(each.span.seen_by(role), each) for each in buffers.values()]
            self._extents[role] = sorted(extent for extent, _ in spans if extent is not None)
            self._buffers[role] = sorted(
                (
                    (at.start, at.end, each)
                    for extent, each in spans
                    if extent is not None
                    for at in _everywhere(views, role, extent)
                ),
                key=lambda each: each[:2],
            )

    def fields(self, role: str, access: Access) -> Iterator[_Field]:
        """The fields of the table that an access touches."""
        for each in self._fields.get(role, ()):
            if each.address < access.address + access.size and access.address < each.address + each.size:
                yield each

    def ring(self, role: str, address: int) -> _RingAt | None:
        """The ring that holds an address."""
        return next((each for each in self._rings.get(role, ()) if address in each.extent), None)

    def buffers(self, role: str, access: Access) -> Iterator[Buffer]:
        """The buffers that an access touches."""
        found = self._buffers.get(role, [])
        index = bisect.bisect_right(found, access.address + access.size - 1, key=lambda each: each[0])
        for start, end, buffer in reversed(found[:index]):
            if end <= access.address and start + (1 << 16) <= access.address:
                return
            if end > access.address:
                yield buffer

    def extents(self, role: str) -> Iterator[Extent]:
        """The buffers as a core addresses them, those that lie side by side as one."""
        start = end = None
        for each in self._extents.get(role, ()):
            if end is not None and each.start <= end:
                end = max(end, each.end)
                continue
            if start is not None and end is not None:
                yield Extent(start, end - start)
            start, end = each.start, each.end
        if start is not None and end is not None:
            yield Extent(start, end - start)


def _everywhere(views: Views, role: str, extent: Extent) -> Iterator[Extent]:
    """Every address at which a core has these bytes, whichever of them the table names."""
    if views.platform is None:
        yield extent
        return
    core = views.name(role)
    for name, address in views.platform.aliases(core, extent.start):
        if name == core:
            yield Extent(address, extent.size)


def _fields(live: LiveView, views: Views, role: str) -> Iterator[_Field]:
    """The fields that the driver's side fills in."""
    span, table = live.span, live.table
    extent = span.seen_by(role) if span is not None else None
    if extent is None or table is None:
        return  # nowhere, or vrings without a table
    for at in _everywhere(views, role, extent):
        for vdev in live.vdevs:
            base = at.start + vdev.entry.at.address - table.address
            for name, size in (("status", 1), ("gfeatures", 4), ("notifyid", 4)):
                yield _Field(base + VdevHeader.offset_of(name), size, f"{vdev.path}.{name}")
            for ring in vdev.rings:
                base = at.start + ring.at.address - table.address
                for name in ("da", "notifyid", "pa"):
                    yield _Field(base + Vring.offset_of(name), 4, f"{ring.path}.{name}")


def _rings(live: LiveView, views: Views, role: str) -> Iterator[_RingAt]:
    for vdev in live.vdevs:
        for ring in vdev.rings:
            extent = ring.span.seen_by(role) if ring.span is not None else None
            if extent is not None and ring.layout is not None:
                for at in _everywhere(views, role, extent):
                    yield _RingAt(at, ring.layout.extent.start - at.start, vdev, ring, ring.layout)


@dataclass(slots=True)
class History:
    """What the cores did to what is observed. ``told`` is False where the engine does not tell."""

    told: bool = False
    tells: frozenset[str] = frozenset()  # roles of the cores whose every access to what is observed is told
    writes: dict[str, list[Write]] = field(default_factory=dict)  # by path: the first few
    last: dict[str, Write] = field(default_factory=dict)  # by path
    trespasses: dict[tuple[str, Side, bool], Trespass] = field(default_factory=dict)  # first by ring, side, writes
    backward: dict[str, Write] = field(default_factory=dict)  # by path: the first time that an index went back
    foreign: dict[str, Write] = field(default_factory=dict)  # by ring: the first word that is the other side's
    reads: dict[tuple[str, Side], Counter[tuple[int, int]]] = field(default_factory=dict)  # by offset in ring, size
    looked_ns: dict[tuple[str, Side], int] = field(default_factory=dict)  # when a side last read the other's index
    _status: dict[str, int] = field(default_factory=dict)  # by vdev
    _indices: dict[str, _Indices] = field(default_factory=dict)
    _used_slots: dict[str, set[int]] = field(default_factory=dict)  # by ring: written since used.idx last moved
    _owned: dict[int, _Owned] = field(default_factory=dict)  # by the buffer's address in descriptors

    def see(
        self,
        role: str,
        accesses: Iterable[Access],
        places: Places,
        traffic: Traffic,
        outside: Collection[str] = (),
        *,
        knows_owners: bool = True,
    ) -> None:
        """The accesses of one core's turn, in order; whose a buffer is, is known where both cores' are told, and where
        the vdev is not one of those that another process works (``outside``).
        """
        self.told = True
        for access in accesses:
            step = Step(access.time_ns, role, access.pc)
            if access.writes:
                for each in places.fields(role, access):
                    self._see_field(step, access, each)
            at = places.ring(role, access.address)
            if at is not None:
                self._see_ring(step, access, at, places.views, traffic)
                continue
            for buffer in places.buffers(role, access) if knows_owners else ():
                if buffer.ring.partition(".")[0] not in outside:
                    self._see_buffer(step, access, buffer, places.live)

    def _note(self, write: Write) -> None:
        kept = self.writes.setdefault(write.path, [])
        if len(kept) < _KEPT:
            kept.append(write)
        self.last[write.path] = write

    def _see_field(self, step: Step, access: Access, at: _Field) -> None:
        if access.value is None or access.before is None:
            return
        shift, mask = 8 * (at.address - access.address), (1 << 8 * at.size) - 1
        if shift < 0:
            return
        before, after = access.before >> shift & mask, access.value >> shift & mask
        self._note(Write(at.path, step, before, after))
        vdev, _, name = at.path.partition(".")
        if name == "status":
            self._status[vdev] = after

    def _see_ring(self, step: Step, access: Access, at: _RingAt, views: Views, traffic: Traffic) -> None:
        path, side = at.ring.path, at.vdev.sides.side_of(step.role)
        address = access.address + at.shift
        name = at.layout.path_of(address)
        if side is None:
            return
        if not access.writes:
            reads = self.reads.setdefault((path, side), Counter())
            place = address - at.layout.extent.start, access.size
            if place in reads or len(reads) < _MAX_READS:
                reads[place] += access.times
            if name == ("avail.idx" if side is Side.DEVICE else "used.idx"):
                self.looked_ns[path, side] = access.last_ns
            return
        if name is None or access.value is None or access.before is None:
            return
        write = Write(f"{path}.{name}", step, access.before, access.value)
        self._note(write)
        if slot := _SLOT.match(name):
            self._used_slots.setdefault(path, set()).add(int(slot[1]))
        up = self._status.get(at.vdev.path, at.vdev.status) & VIRTIO_CONFIG_S_DRIVER_OK
        owner = Side.DEVICE if name.startswith("used.") or name == "avail_event" else Side.DRIVER
        if up and side is not owner:
            self.foreign.setdefault(path, write)
            error = RingError(
                "written by the other side",
                rule="ring.wrong-writer",
                where=Place(views.name(at.ring.role), address, write.path),
                expected=f"written by {the(at.vdev.role_of(owner))} only",
                found=f"written by {step.role}: {write.before:#x} before, {write.after:#x} now",
            )
            fault = RingFault.of(error, path, Actor(step.time_ns, step.role))
            traffic.ring(path).faults.setdefault(error.rule, fault)
        if name in ("avail.idx", "used.idx"):
            if up and (access.value - access.before) & 0xFFFF > 0x7FFF:
                self.backward.setdefault(write.path, write)
            if name == "used.idx":
                self._check_slots(step, at, access, views, traffic)
            self._pass_on(step, at, name, access, views, traffic)

    def _check_slots(self, step: Step, at: _RingAt, access: Access, views: Views, traffic: Traffic) -> None:
        """The device has written each element that its index moves past, if it was seen to write any."""
        path, num = at.ring.path, at.layout.num
        written = self._used_slots.pop(path, set())
        assert access.before is not None
        assert access.value is not None
        count = (access.value - access.before) & 0xFFFF
        slots = [index % num for index in range(access.before, access.before + count)] if count <= num else []
        missed = [slot for slot in slots if slot not in written]
        if not written or not missed:
            return
        error = RingError(
            f"used.idx moved by {count}, and {len(missed)} of these elements, from used.ring[{missed[0]}] on, were not"
            " written",
            rule="ring.used-ahead",
            where=Place(views.name(at.ring.role), at.layout.used_idx_at, f"{path}.used.idx"),
            expected=f"no further than used.ring[{missed[0]}], {(access.before + slots.index(missed[0])) & 0xFFFF}",
            found=access.value,
        )
        fault = RingFault.of(error, path, Actor(step.time_ns, step.role))
        traffic.ring(path).faults.setdefault(error.rule, fault)

    def _pass_on(self, step: Step, at: _RingAt, name: str, access: Access, views: Views, traffic: Traffic) -> None:
        """An index moves: what lies behind it has another owner from now on."""
        queue = at.ring.open(views)
        assert access.before is not None
        assert access.value is not None
        count = (access.value - access.before) & 0xFFFF
        if queue is None or count > at.layout.num:
            return
        driver = name == "avail.idx"
        for index in range(access.before, access.before + count):
            try:
                head = queue.avail_ring(index % at.layout.num) if driver else queue.used_ring(index % at.layout.num).id
                elements = queue.chain(head)
            except RingError:
                continue
            for each in elements:
                if each.descriptor.addr in self._owned or len(self._owned) < MAX_BUFFERS:
                    owner = Side.DEVICE if driver else Side.DRIVER
                    self._owned[each.descriptor.addr] = _Owned(at.ring.path, head, owner, step)

    def _see_buffer(self, step: Step, access: Access, buffer: Buffer, live: LiveView) -> None:
        owned = self._owned.get(buffer.address)
        vdev = next((each for each in live.vdevs if buffer.ring.startswith(f"{each.path}.")), None)
        side = vdev.sides.side_of(step.role) if vdev is not None else None
        if owned is None or side is None or owned.owner is side or access.frame:
            return
        if side is Side.DRIVER and not access.writes:
            return  # a driver may look at what it has sent
        key = owned.ring, side, access.writes
        if key not in self.trespasses:
            self.trespasses[key] = Trespass(
                owned.ring, owned.head, side, access.writes, access.address, access.size, step, owned.since
            )
