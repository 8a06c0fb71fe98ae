"""Who did what to the words of the table, the rings and the buffers, in the order in which it happened.

Fed with the accesses of each core's turn, where the engine tells them. Plain data in bounded memory, for a snapshot.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import field
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RingError
from orchestrator.base.memory import Extent, Place
from orchestrator.base.roles import Side, the
from orchestrator.events import (
    ACCESS_FRAME,
    ACCESS_STORES,
    ACCESS_WRITES,
    RECORD,
    Access,
    Accessed,
    Row,
    Touch,
    access_of,
    address_and_size,
    touched,
)
from orchestrator.formats.resource_entry import VIRTIO_CONFIG_S_DRIVER_OK, VdevHeader, Vring
from orchestrator.formats.virtqueue import Descriptor, RingLayout, SplitRing, Taken
from orchestrator.observe.live import LiveRing, LiveVdev, LiveView
from orchestrator.observe.traffic import MAX_BUFFERS, Actor, Buffer, Traffic
from orchestrator.observe.views import Span, Views

__all__ = ["History", "Places", "RingAt", "Spot", "Step", "Trespass", "Write", "table_field_at"]

_KEPT = 8  # of each kind
_SLOT = re.compile(r"used\.ring\[(\d+)\]")
_MAX_READS = 256  # distinct places per ring and side
_MAX_SPOTS = 4096  # that are remembered at a time
_LARGEST_FIELD = 4  # bytes


class Step(NamedTuple):
    """Who did something, when, and by which instruction: virtual nanoseconds, role of the core."""

    time_ns: int
    role: str
    pc: int

    @classmethod
    def of(cls, role: str, access: Access) -> Step:
        """An access, by the first instruction that made it."""
        return cls(access.time_ns, role, access.pc)


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
    """A buffer as it changes hands; ``order`` counts the passages of all."""

    vdev: str
    ring: str
    head: int
    owner: Side
    since: Step
    size: int
    order: int


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of the table as one core addresses it."""

    address: int
    size: int
    path: str


@dataclass(frozen=True, slots=True)
class _Word:
    """A field of a ring: ``used.ring[3].id``, whose it is to write, and its slot in the used ring."""

    name: str
    owner: Side
    slot: int | None
    is_index: bool  # by which something is published
    is_wish: bool  # by which the device says when it wants to be notified

    @classmethod
    def of(cls, name: str) -> _Word:
        """By its name in the layout."""
        slot = _SLOT.match(name)
        owner = Side.DEVICE if name.startswith("used.") or name == "avail_event" else Side.DRIVER
        is_index, is_wish = name in ("avail.idx", "used.idx"), name in ("used.flags", "avail_event")
        return cls(name, owner, int(slot[1]) if slot else None, is_index, is_wish)


@dataclass(frozen=True, slots=True)
class RingAt:
    """A ring as one core addresses it; ``shift`` leads from there to the addresses of its layout."""

    extent: Extent
    shift: int
    vdev: LiveVdev
    ring: LiveRing
    layout: RingLayout
    queue: SplitRing | None
    path: str
    vdev_path: str
    start: int  # of the layout
    side: Side | None  # that the core plays
    key: tuple[str, Side] | None  # path and side
    index_at: int  # of the index that the other side moves, by its address in the layout


@lru_cache(maxsize=_MAX_SPOTS)
def _word_at(layout: RingLayout, address: int) -> _Word | None:
    """The field of a ring that an address lies in, found once: rings stay where they are."""
    name = layout.path_of(address)
    return None if name is None else _Word.of(name)


@dataclass(frozen=True, slots=True)
class Spot:
    """What lies at one address, as far as an access of one size reaches: cores access the same few again and again."""

    fields: tuple[_Field, ...]  # of the table
    buffers: tuple[tuple[int, Buffer], ...]  # and where the core sees each begin
    ring: RingAt | None = None
    place: tuple[int, int] = (0, 0)  # offset in the ring, size
    is_look: bool = False  # a read says that the core's side looked at what the other side has published
    word: _Word | None = None  # None: none, or the core plays no side
    is_own: bool = False  # the core's side may write this word at any time, and publishes nothing by it
    says_nothing: bool = False  # nobody asks who wrote here, nor, outside of the rings, who looked


_NOTHING = Spot((), (), says_nothing=True)


class Places:
    """What lies where, as each core addresses it: made anew whenever the table has changed; buffers come one by one."""

    def __init__(self, live: LiveView, views: Views, buffers: Mapping[int, Buffer]) -> None:
        self.live, self.views = live, views
        self._sides = {(role, vdev.path): vdev.sides.side_of(role) for vdev in live.vdevs for role in views.memories}
        self.count = 0
        self._fields: dict[str, list[_Field]] = {}
        self._rings: dict[str, list[tuple[int, int, RingAt]]] = {}  # begin, end
        self._buffers: dict[str, list[tuple[int, int, int, Buffer]]] = {}  # begin, end, number
        self._extents: dict[str, list[Extent]] = {}  # of the buffers, where the table has them
        self._longest = 0  # bytes of a buffer
        self._spans: dict[int, tuple[int, Span]] = {}  # number and place of each buffer, by its address in descriptors
        self._spots: dict[str, dict[int, Spot]] = {}  # by what is touched
        self._outside: dict[str, list[int]] = {}  # of these, what lies outside of the rings
        self._idle: dict[str, tuple[set[int], set[int]]] = {}  # what says nothing where a core reads, and writes it
        self._idle_outside: dict[str, tuple[set[int], set[int]]] = {}  # of these, what lies outside of the rings
        self._on_stack: dict[str, tuple[set[int], set[int]]] = {}  # as ``_idle``, but for who looks at the stack
        self._on_stack_both: dict[str, set[int]] = {}  # of these, what stands in both
        self._bounds: dict[str, tuple[int, int]] = {}  # behind these there is nothing
        for role in views.memories:
            self._fields[role] = sorted(_fields(live, views, role), key=lambda each: each.address)
            self._rings[role] = [(each.extent.start, each.extent.end, each) for each in _rings(live, views, role)]
            self._buffers[role], self._extents[role], self._spots[role] = [], [], {}
            self._outside[role], self._idle[role], self._idle_outside[role] = [], (set(), set()), (set(), set())
            self._on_stack[role], self._on_stack_both[role] = (set(), set()), set()
            known = [(each.address, each.address + each.size) for each in self._fields[role]]
            known += [(start, end) for start, end, _ in self._rings[role]]
            starts, ends = zip(*known, strict=True) if known else ((1 << 32,), (0,))
            self._bounds[role] = min(starts), max(ends)
        self.add(buffers)

    def add(self, buffers: Mapping[int, Buffer], moved: Iterable[int] = ()) -> None:
        """Those that have come since the last time, which are the last ones, and those that lie elsewhere by now."""
        for address in moved:
            if address in self._spans:
                self._take_out(*self._spans[address])
                self._put_in(self._spans[address][0], buffers[address])
        for number, buffer in enumerate(islice(buffers.values(), self.count, None), self.count):
            self._put_in(number, buffer)
        self.count = len(buffers)

    def _put_in(self, number: int, buffer: Buffer) -> None:
        self._forget_spots()
        self._spans[buffer.address] = number, buffer.span
        self._longest = max(self._longest, buffer.span.size)
        for role, known in self._buffers.items():
            extent = buffer.span.seen_by(role)
            if extent is not None:
                bisect.insort(self._extents[role], extent)
                for at in self.views.everywhere(role, extent):
                    low, high = self._bounds[role]
                    self._bounds[role] = min(low, at.start), max(high, at.end)
                    bisect.insort(known, (at.start, at.end, number, buffer))

    def _take_out(self, number: int, span: Span) -> None:
        self._forget_spots()
        for role, known in self._buffers.items():
            extent = span.seen_by(role)
            if extent is not None:
                del self._extents[role][bisect.bisect_left(self._extents[role], extent)]
                for at in self.views.everywhere(role, extent):
                    del known[bisect.bisect_left(known, (at.start, at.end, number))]

    def _forget_spots(self) -> None:
        """Those where a buffer may lie."""
        for role, outside in self._outside.items():
            for what in outside:
                del self._spots[role][what]
            outside.clear()
            for idle, gone in zip(self._idle[role], self._idle_outside[role], strict=True):
                idle.difference_update(gone)
                gone.clear()
        self._forget_stack()

    def _forget_stack(self) -> None:
        for role, (reads, writes) in self._on_stack.items():
            reads.clear()
            writes.clear()
            self._on_stack_both[role].clear()

    def spots(self, role: str) -> Mapping[int, Spot]:
        """Those that are known, by what is touched, as long as nothing is added; :meth:`find` finds the others."""
        return self._spots[role]

    def without_idle(self, role: str, told: Accessed) -> list[Touch]:
        """What a core has touched in its turn, in order, without that which is known to say nothing to anybody."""
        idle = self._idle[role]
        return [
            (what, flags, number)
            for number, (what, flags) in enumerate(told.touches())
            if what not in idle[flags & ACCESS_WRITES]
        ]

    def without_known(self, role: str, told: Accessed, touched_here: Set[int]) -> list[Touch]:
        """The same without what is known to say nothing but of a stack, be it read or written, where that is most."""
        fresh, idle = touched_here - self._on_stack_both[role], self._idle[role]
        if not fresh:
            return []
        return [
            (what, flags, number)
            for number, (what, flags) in enumerate(told.touches())
            if what in fresh and what not in idle[flags & ACCESS_WRITES]
        ]

    def without_stack(self, role: str, told: Accessed, touches: Iterable[Touch]) -> list[tuple[int, Row]]:
        """Of these, without that which is known to say nothing but of a stack, with how it was touched."""
        on_stack, records, size, row = self._on_stack[role], told.records, RECORD.size, RECORD.unpack_from
        return [
            (what, row(records, number * size))
            for what, flags, number in touches
            if what not in on_stack[flags & ACCESS_WRITES]
        ]

    def pass_over(self, role: str, what: int, flags: int, *, near_stack: bool) -> None:
        """That a core touches this, and so (reads or writes it), says nothing, or nothing but of its stack, as long as
        nothing is added.
        """
        writes = flags & ACCESS_WRITES
        if near_stack:
            known = self._on_stack[role]
            if len(known[writes]) >= _MAX_SPOTS:
                known[writes].clear()
                self._on_stack_both[role].clear()
            known[writes].add(what)
            if what in known[1 - writes]:
                self._on_stack_both[role].add(what)
            return
        idle, outside = self._idle[role][writes], self._idle_outside[role][writes]
        if len(idle) >= _MAX_SPOTS:
            idle.clear()
            outside.clear()
        idle.add(what)
        if self.find(role, *address_and_size(what)).ring is None:
            outside.add(what)

    def forget_idle(self) -> None:
        """What said nothing may say something now."""
        for reads, writes in (*self._idle.values(), *self._idle_outside.values()):
            reads.clear()
            writes.clear()
        self._forget_stack()

    def find(self, role: str, address: int, size: int) -> Spot:
        """What an access of a core touches."""
        spots, what = self._spots[role], touched(address, size)
        spot = spots.get(what)
        if spot is not None:
            return spot
        if len(spots) >= _MAX_SPOTS:
            spots.clear()
            self._outside[role].clear()
        spot = spots[what] = self._spot(role, address, size)
        if spot.ring is None:
            self._outside[role].append(what)
        return spot

    def _spot(self, role: str, address: int, size: int) -> Spot:
        end, (low, high) = address + size, self._bounds[role]
        if end <= low or address >= high:
            return _NOTHING
        fields = self._fields_at(role, address, end)
        at = next((ring for start, end, ring in self._rings.get(role, ()) if start <= address < end), None)
        if at is None:
            buffers = self._buffers_at(role, address, size)
            return Spot(fields, buffers, says_nothing=not (fields or buffers))
        there = address + at.shift
        word = None if at.side is None else _word_at(at.layout, there)
        is_own = word is not None and word.owner is at.side and not word.is_index
        return Spot(
            fields,
            (),
            at,
            (there - at.start, size),
            at.index_at < there + size and there < at.index_at + 2,
            word,
            is_own,
            says_nothing=not fields and (word is None or (is_own and word.slot is None and not word.is_wish)),
        )

    def _fields_at(self, role: str, address: int, end: int) -> tuple[_Field, ...]:
        known = self._fields.get(role)
        if not known or end <= known[0].address or address >= known[-1].address + _LARGEST_FIELD:
            return ()
        return tuple([each for each in known if each.address < end and address < each.address + each.size])

    def _buffers_at(self, role: str, address: int, size: int) -> tuple[tuple[int, Buffer], ...]:
        """The buffers that an access touches, by the longest that each ever was, and where the core sees each begin."""
        known = self._buffers.get(role, [])
        index = bisect.bisect_left(known, (address + size,))
        found = []
        while index:
            index -= 1
            start, end, _, buffer = known[index]
            if start + self._longest <= address:
                break
            if end > address:
                found.append((start, buffer))
        return tuple(found)

    def side_of(self, role: str, vdev: str) -> Side | None:
        """The side of a vdev that a core plays; None: none."""
        return self._sides.get((role, vdev))

    def rings(self, role: str) -> Iterator[RingAt]:
        """The rings as a core addresses them, by each address that it has for them."""
        return (ring for _, _, ring in self._rings.get(role, ()))

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


def _fields(live: LiveView, views: Views, role: str) -> Iterator[_Field]:
    """The fields that the driver's side fills in."""
    span, table = live.span, live.table
    extent = span.seen_by(role) if span is not None else None
    if extent is None or table is None:
        return  # nowhere, or vrings without a table
    for at in views.everywhere(role, extent):
        for vdev in live.vdevs:
            base = at.start + vdev.entry.at.address - table.address
            for name, size in (("status", 1), ("gfeatures", 4), ("notifyid", 4)):
                yield _Field(base + VdevHeader.offset_of(name), size, f"{vdev.path}.{name}")
            for ring in vdev.rings:
                base = at.start + ring.at.address - table.address
                for name in ("da", "notifyid", "pa"):
                    yield _Field(base + Vring.offset_of(name), 4, f"{ring.path}.{name}")


def table_field_at(live: LiveView, views: Views, role: str, address: int) -> str | None:
    """The field of a vdev or a vring that a core finds at an address, of those that the driver's side fills in."""
    found = (each for each in _fields(live, views, role) if each.address <= address < each.address + each.size)
    return next((each.path for each in found), None)


def _rings(live: LiveView, views: Views, role: str) -> Iterator[RingAt]:
    for vdev in live.vdevs:
        for ring in vdev.rings:
            extent = ring.span.seen_by(role) if ring.span is not None else None
            if extent is not None and ring.layout is not None:
                queue = ring.open(views)
                for at in views.everywhere(role, extent):
                    start, side = ring.layout.extent.start, vdev.sides.side_of(role)
                    key = (ring.path, side) if side is not None else None
                    index_at = ring.layout.avail_idx_at if side is Side.DEVICE else ring.layout.used_idx_at
                    yield RingAt(
                        at,
                        start - at.start,
                        vdev,
                        ring,
                        ring.layout,
                        queue,
                        ring.path,
                        vdev.path,
                        start,
                        side,
                        key,
                        index_at,
                    )


@dataclass(slots=True)
class History:
    """What the cores did to what is observed. ``told`` is False where the engine does not tell."""

    told: bool = False
    tells: frozenset[str] = frozenset()  # roles of the cores whose every access to what is observed is told
    writes: dict[str, list[Write]] = field(default_factory=dict)  # by path: the first few
    wishes: dict[str, set[int]] = field(default_factory=dict)  # by ring: where in it the device says when to notify it
    trespasses: dict[tuple[str, Side, bool], Trespass] = field(default_factory=dict)  # first by ring, side, writes
    backward: dict[str, Write] = field(default_factory=dict)  # by path: the first time that an index went back
    # What a device reads of a ring before it looks at the driver's index: how often, by offset in the ring and size.
    reads: dict[tuple[str, Side], Counter[tuple[int, int]]] = field(default_factory=dict)
    looked_ns: dict[tuple[str, Side], int] = field(default_factory=dict)  # when a side last read the other's index
    read_table_ns: dict[str, int] = field(default_factory=dict)  # by role: when it last read a field of the table
    _status: dict[str, int] = field(default_factory=dict)  # by vdev
    _used_slots: dict[str, set[int]] = field(default_factory=dict)  # by ring: written since used.idx last moved
    _passages: int = 0
    _owned: dict[int, _Owned] = field(default_factory=dict)  # by the buffer's address in descriptors

    def see(
        self,
        role: str,
        done: Iterable[tuple[int, Row]],
        places: Places,
        traffic: Traffic,
        outside: Collection[str] = (),
        *,
        knows_owners: bool = True,
    ) -> list[tuple[int, int]]:
        """What one core touched in its turn and how, in order. Gives what of that says nothing, and will not when it
        does so again, with its flags.

        Whose a buffer is, is known where both cores' accesses are told, and where the vdev is not one of those that
        another process works (``outside``).
        """
        self.told = True
        spots, idle = places.spots(role), []
        for what, row in done:
            address, flags, spot = row[5], row[8], spots.get(what)
            if spot is None:
                spot = places.find(role, address, row[6])
            at = spot.ring
            if at is not None and not flags & ACCESS_WRITES:
                if not self._see_read(row, spot, at):
                    idle.append((what, flags))
                continue
            if spot.says_nothing:
                idle.append((what, flags))
                continue
            if spot.fields:
                if flags & ACCESS_WRITES:
                    for each in spot.fields:
                        self._see_field(role, access_of(row), each)
                else:
                    self.read_table_ns[role] = row[1]
            if at is None:
                if spot.buffers and knows_owners and not flags & ACCESS_FRAME:
                    owned = self._last_passage(address, spot)
                    if owned is not None and places.side_of(role, owned.vdev) is not owned.owner:
                        self._see_buffer(role, row, owned, places, outside)
            elif spot.word is not None and flags & ACCESS_STORES == ACCESS_STORES:
                if spot.word.slot is not None:
                    self._note_slot(at.path, spot.word.slot)
                if spot.word.is_wish and spot.is_own:
                    self.wishes.setdefault(at.path, set()).add(spot.place[0])
                if not spot.is_own:
                    self._see_word(role, row, at, spot.word, places.views, traffic)
        return idle

    def _see_read(self, row: Row, spot: Spot, at: RingAt) -> bool:
        """A read of a ring; whether it says anything."""
        key = at.key
        if key is None:
            return False
        if spot.is_look:
            if key not in self.looked_ns:
                self.reads.pop(key, None)
            self.looked_ns[key] = row[1]
            return True
        if at.side is Side.DRIVER or key in self.looked_ns:
            return False
        reads = self.reads.get(key)
        if reads is None:
            reads = self.reads[key] = Counter()
        if spot.place in reads or len(reads) < _MAX_READS:
            reads[spot.place] += row[7]
        return True

    def _note_slot(self, path: str, slot: int) -> None:
        written = self._used_slots.get(path)
        if written is None:
            self._used_slots[path] = {slot}
        else:
            written.add(slot)

    def _note(self, write: Write) -> None:
        kept = self.writes.setdefault(write.path, [])
        if len(kept) < _KEPT:
            kept.append(write)

    def _see_field(self, role: str, access: Access, at: _Field) -> None:
        if access.value is None or access.before is None:
            return
        shift, mask = 8 * (at.address - access.address), (1 << 8 * at.size) - 1
        if shift < 0:
            return
        before, after = access.before >> shift & mask, access.value >> shift & mask
        self._note(Write(at.path, Step.of(role, access), before, after))
        vdev, _, name = at.path.partition(".")
        if name == "status":
            self._status[vdev] = after

    def _see_word(self, role: str, row: Row, at: RingAt, word: _Word, views: Views, traffic: Traffic) -> None:
        """A store to a word of a ring that is not the core's, or that publishes something."""
        time_ns, _, after, before, pc, address, _, _, _, _ = row
        path, step = at.path, Step(time_ns, role, pc)
        status = self._status.get(at.vdev_path)
        if status is None:
            status = at.vdev.status
        up = status & VIRTIO_CONFIG_S_DRIVER_OK
        if up and at.side is not word.owner:
            error = RingError(
                "written by the other side",
                rule="ring.wrong-writer",
                where=Place(views.name(at.ring.role), address + at.shift, f"{path}.{word.name}"),
                expected=f"written by {the(at.vdev.role_of(word.owner))} only",
                found=f"written by {role}: {before:#x} before, {after:#x} now",
            )
            traffic.ring(path).fault(error, Actor(time_ns, role))
        if word.is_index:
            if up and (after - before) & 0xFFFF > 0x7FFF:
                name = f"{path}.{word.name}"
                self.backward.setdefault(name, Write(name, step, before, after))
            if word.owner is Side.DEVICE:
                self._check_slots(step, at, before, after, views, traffic)
            self._pass_on(step, at, word.owner, before, after)

    def _check_slots(self, step: Step, at: RingAt, before: int, after: int, views: Views, traffic: Traffic) -> None:
        """The device has written each element that its index moves past, if it was seen to write any."""
        path, num = at.path, at.layout.num
        written = self._used_slots.pop(path, None)
        count = (after - before) & 0xFFFF
        if not written or count > num:
            return
        missed = [index for index in range(before, before + count) if index % num not in written]
        if not missed:
            return
        first = f"used.ring[{missed[0] % num}]"
        error = RingError(
            f"used.idx moved by {count}, and {len(missed)} of these elements, from {first} on, were not written",
            rule="ring.used-ahead",
            where=Place(views.name(at.ring.role), at.layout.used_idx_at, f"{path}.used.idx"),
            expected=f"no further than {first}, {missed[0] & 0xFFFF}",
            found=after,
        )
        traffic.ring(path).fault(error, Actor(step.time_ns, step.role))

    def _pass_on(self, step: Step, at: RingAt, publisher: Side, before: int, after: int) -> None:
        """An index moves: what lies behind it has another owner from now on."""
        queue = at.queue
        count = (after - before) & 0xFFFF
        if queue is None or count > at.layout.num:
            return
        head_at, owner = queue.avail_ring if publisher is Side.DRIVER else queue.used_id, publisher.other
        taken = Taken() if count > 1 else None
        for index in range(before, before + count):
            try:
                head = head_at(index)
                elements = queue.chain(head, taken)
            except RingError:
                continue
            for each in elements:
                self._give(owner, step, at, head, each.descriptor)

    def _give(self, owner: Side, step: Step, at: RingAt, head: int, what: Descriptor) -> None:
        """A buffer has this owner from now on."""
        owned = self._owned.get(what.addr)
        if owned is None:
            if len(self._owned) >= MAX_BUFFERS:
                return
            self._passages += 1
            self._owned[what.addr] = _Owned(at.vdev_path, at.path, head, owner, step, what.len, self._passages)
            return
        self._passages += 1
        owned.vdev, owned.ring, owned.head, owned.owner = at.vdev_path, at.path, head, owner
        owned.since, owned.size, owned.order = step, what.len, self._passages

    def _last_passage(self, address: int, spot: Spot) -> _Owned | None:
        """The last time that some of these bytes changed hands: a driver may cut its memory anew each time."""
        found = None
        for start, buffer in spot.buffers:
            owned = self._owned.get(buffer.address)
            if owned is not None and address < start + owned.size and (not found or owned.order > found.order):
                found = owned
        return found

    def _see_buffer(self, role: str, row: Row, owned: _Owned, places: Places, outside: Collection[str]) -> None:
        """An access to what the other side has."""
        _, _, _, _, _, address, size, _, flags, _ = row
        writes = flags & ACCESS_WRITES != 0
        side = places.side_of(role, owned.vdev)
        if side is None or owned.vdev in outside:
            return
        if side is Side.DRIVER and not writes:
            return  # a driver may look at what it has sent
        key = owned.ring, side, writes
        if key not in self.trespasses:
            by = Step.of(role, access_of(row))
            self.trespasses[key] = Trespass(owned.ring, owned.head, side, writes, address, size, by, owned.since)
