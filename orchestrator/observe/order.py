"""Whether the accesses of one side to a ring keep their order: by what it wrote and read, and the barriers in between.

A core may make two accesses to Normal memory in another order than its program has them, unless a DMB or DSB stands in
between (DDI0403E A3.7.3); a load-acquire orders what follows it, a store-release what precedes it (DDI0553B B7). Plain
data in bounded memory, for a snapshot.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import field
from heapq import merge
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RingError, RptwinError
from orchestrator.base.memory import Extent
from orchestrator.base.roles import Side
from orchestrator.events import ACCESS_STORES, ACCESS_WRITES, Barrier, access_of
from orchestrator.formats.virtqueue import Taken
from orchestrator.observe.history import Places, RingAt, Spot, Step
from orchestrator.observe.views import Views

__all__ = ["Barriers", "Disorder", "DisorderKind", "Orders"]

_MOST = 256  # distinct ones
_MOST_BUFFERS = 4096  # whose last write is remembered
_DESCRIPTOR = 16  # bytes (virtio 1.2, 2.7.5)
_FLAGS = ("avail.flags", "used.flags", "used_event", "avail_event")


class DisorderKind(enum.StrEnum):
    """Which two accesses to a ring nothing keeps in order."""

    PUBLISHED_EARLY = "published-early"  # the index was stored first: no barrier would help
    ENTRY_INDEX = "entry-index"  # what an index publishes, and the index
    INDEX_NOTIFICATION = "index-notification"  # an index, and the notification of it
    INDEX_FLAGS = "index-flags"  # an index, and the look at whether the other side wants a notification
    INDEX_ENTRY = "index-entry"  # the look at the other side's index, and at what that publishes


@dataclass(slots=True)
class Disorder:
    """Two accesses of one core, the first time that nothing kept them in order; ``second.pc`` 0: a notification."""

    kind: DisorderKind
    ring: str
    side: Side
    first: Step
    first_what: str  # "avail.ring[3]"
    first_at: int  # as the core addresses it
    second: Step
    second_what: str
    times: int = 1


class Barriers(NamedTuple):
    """How many a core executed: of exclusive pairs the loads."""

    dmb: int
    dsb: int
    isb: int
    exclusive: int


class _Done(NamedTuple):
    """An access: until when, what, and where."""

    last_ns: int
    step: Step
    what: str
    address: int


@dataclass(slots=True)
class _Look:
    """The other side's index as this side read it first with this value."""

    done: _Done
    before: int
    value: int
    is_ordered: bool = False  # what it publishes has been looked at since, or it was a load-acquire


@dataclass(slots=True)
class _RingSide:
    """One side's dealings with one ring."""

    written: dict[int, _Done] = field(default_factory=dict)  # by offset in the ring, since it was last published
    covered: dict[int, Step] = field(default_factory=dict)  # by offset: what is published, and who did it
    published: _Done | None = None
    is_told: bool = True  # it notified since
    saw_flags: bool = True  # it looked at the other side's flags since
    look: _Look | None = None


@dataclass(slots=True)
class Orders:
    """Of both cores; ``counted`` and ``device_memory`` are by role, as of the end of the run."""

    found: dict[tuple[object, ...], Disorder] = field(default_factory=dict)
    dropped: int = 0
    counted: dict[str, Barriers] = field(default_factory=dict)
    device_memory: dict[str, tuple[Extent, ...]] = field(default_factory=dict)
    _fences: dict[str, list[Barrier]] = field(default_factory=dict)  # by role, that are still to be put in their place
    _notified: dict[str, list[int]] = field(default_factory=dict)  # the same, of notifications: when
    _fenced_ns: dict[str, int] = field(default_factory=dict)  # by role: the last barrier
    _sides: dict[tuple[str, Side], _RingSide] = field(default_factory=dict)
    _payload: dict[tuple[str, int], _Done] = field(default_factory=dict)  # by role and the buffer's address

    def fence(self, role: str, barriers: Iterable[Barrier]) -> None:
        """What a core has executed in its turn; its accesses come after."""
        self._fences.setdefault(role, []).extend(barriers)

    def notify(self, role: str, time_ns: int) -> None:
        """A core notifies the other one; its accesses of this turn come after."""
        self._notified.setdefault(role, []).append(time_ns)

    def see(self, role: str, rows: Iterable[tuple[int, ...]], places: Places) -> None:
        """The accesses of one core's turn, in order, as numbers (``Accessed.rows``)."""
        fences = ((each.time_ns, 0, None) for each in self._fences.pop(role, ()))
        notified = ((time_ns, 2, None) for time_ns in self._notified.pop(role, ()))
        accesses = ((row[0], 1, row) for row in rows)
        for time_ns, what, row in merge(fences, accesses, notified, key=lambda each: each[:2]):
            if what == 0:
                self._fenced_ns[role] = time_ns
            elif row is None:
                self._see_notification(role, time_ns, places)
            else:
                self._see_access(role, row, places)

    def finish(self, places: Places) -> None:
        """Notifications that no access followed."""
        for role in tuple(self._notified):
            self.see(role, (), places)

    def _keeps(self, role: str, since_ns: int) -> bool:
        """A barrier stands behind an access that ended at this moment."""
        return self._fenced_ns.get(role, -1) > since_ns

    def _note(self, kind: DisorderKind, at: RingAt, first: _Done, second: Step, what: str) -> None:
        assert at.side is not None
        key = (kind, at.path, at.side, second.pc or first.step.pc)
        known = self.found.get(key)
        if known is not None:
            known.times += 1
        elif len(self.found) < _MOST:
            self.found[key] = Disorder(kind, at.path, at.side, first.step, first.what, first.address, second, what)
        else:
            self.dropped += 1

    # one access

    def _see_access(self, role: str, row: tuple[int, ...], places: Places) -> None:
        address, size, writes = row[5], row[6], row[8] & ACCESS_WRITES
        spot = places.find(role, address, size)
        at = spot.ring
        if at is None:
            if writes:
                self._see_payload(role, row, spot)
            return
        if at.side is None or spot.word is None:
            return
        state = self._sides.setdefault((at.path, at.side), _RingSide())
        done = _Done(row[1], Step.of(role, access_of(row)), spot.word.name, address)
        if writes and spot.word.owner is at.side:
            if row[8] & ACCESS_STORES == ACCESS_STORES and row[2] == row[3]:
                return  # what was there
            if spot.word.is_index:
                self._publish(state, row, spot, done, places.views)
            elif spot.word.name not in _FLAGS:
                self._see_entry(state, at, spot, done)
        elif not writes and spot.is_look:
            self._see_look(state, at, row, done, places.views)
        elif not writes and spot.word.owner is not at.side:
            self._see_others(state, at, spot, done)

    def _see_payload(self, role: str, row: tuple[int, ...], spot: Spot) -> None:
        for _, buffer in spot.buffers:
            if (role, buffer.address) in self._payload or len(self._payload) < _MOST_BUFFERS:
                step = Step.of(role, access_of(row))
                self._payload[role, buffer.address] = _Done(row[1], step, "a buffer", row[5])

    def _see_entry(self, state: _RingSide, at: RingAt, spot: Spot, done: _Done) -> None:
        offset = spot.place[0]
        by = state.covered.get(offset)
        if by is not None and state.published is not None:
            self._note(DisorderKind.PUBLISHED_EARLY, at, state.published, done.step, done.what)
        state.written[offset] = done

    def _see_look(self, state: _RingSide, at: RingAt, row: tuple[int, ...], done: _Done, views: Views) -> None:
        shift = 8 * (at.index_at - at.shift - row[5])
        if shift < 0 or access_of(row).value is None:
            return
        value = row[2] >> shift & 0xFFFF
        if state.look is not None and state.look.value == value:
            return
        before = 0 if state.look is None else state.look.value
        first = done._replace(last_ns=row[0])  # later ones read the same
        state.look = _Look(first, before, value, _is_acquire(views, done.step))
        state.covered.clear()  # what the other side has given back may be written anew

    def _see_others(self, state: _RingSide, at: RingAt, spot: Spot, done: _Done) -> None:
        """A read of what the other side writes, and that is no index."""
        assert spot.word is not None
        role, published, look = done.step.role, state.published, state.look
        if spot.word.name in _FLAGS:
            if published is not None and not state.saw_flags:
                state.saw_flags = True
                if not self._keeps(role, published.last_ns):
                    self._note(DisorderKind.INDEX_FLAGS, at, published, done.step, done.what)
            return
        slot = _slot_of(at, spot)
        if look is None or look.is_ordered or slot is None:
            return
        if (slot - look.before) % at.layout.num < (look.value - look.before) & 0xFFFF:
            look.is_ordered = True
            if not self._keeps(role, look.done.last_ns):
                self._note(DisorderKind.INDEX_ENTRY, at, look.done, done.step, done.what)

    def _publish(self, state: _RingSide, row: tuple[int, ...], spot: Spot, done: _Done, views: Views) -> None:
        at = spot.ring
        assert at is not None
        own_at = at.layout.avail_idx_at if at.side is Side.DRIVER else at.layout.used_idx_at
        shift = 8 * (own_at - at.shift - row[5])
        if row[8] & ACCESS_STORES != ACCESS_STORES or shift < 0:
            return
        before, after = row[3] >> shift & 0xFFFF, row[2] >> shift & 0xFFFF
        count = (after - before) & 0xFFFF
        if not 0 < count <= at.layout.num:  # set up anew
            state.written.clear()
            state.covered.clear()
            return
        role, loose = done.step.role, []
        for start, size in _covered(at, before, after):
            for offset in range(start, start + size):
                state.covered[offset] = done.step
                written = state.written.pop(offset, None)
                if written is not None and not self._keeps(role, written.last_ns):
                    loose.append(written)
        for address in _payloads(at, before, after):
            written = self._payload.get((role, address))
            if written is not None and not self._keeps(role, written.last_ns):
                loose.append(written._replace(what=f"a buffer of {at.path}"))
        if loose and not _is_release(views, done.step):
            self._note(DisorderKind.ENTRY_INDEX, at, max(loose, key=lambda each: each.last_ns), done.step, done.what)
        state.published, state.is_told, state.saw_flags = done, False, False

    def _see_notification(self, role: str, time_ns: int, places: Places) -> None:
        for at in places.rings(role):
            state = None if at.side is None else self._sides.get((at.path, at.side))
            if state is None or state.published is None or state.is_told:
                continue
            state.is_told = True
            if not self._keeps(role, state.published.last_ns):
                step = Step(time_ns, role, 0)
                self._note(DisorderKind.INDEX_NOTIFICATION, at, state.published, step, "the notification")


def _covered(at: RingAt, before: int, after: int) -> Iterable[tuple[int, int]]:
    """Offset in the ring and size of each part that an index publishes as it moves."""
    layout, queue, taken = at.layout, at.queue, Taken()
    for index in range(before, after if after > before else after + 0x10000):
        slot = index % layout.num
        if at.side is Side.DEVICE:
            yield layout.used_ring_at(slot) - at.start, 8
            continue
        yield layout.avail_ring_at(slot) - at.start, 2
        try:
            elements = queue.chain(queue.avail_ring(slot), taken) if queue is not None else ()
        except RingError:
            continue
        for each in elements:
            if ".indirect" not in each.at.path:
                yield layout.desc_at(each.index) - at.start, _DESCRIPTOR


def _payloads(at: RingAt, before: int, after: int) -> Iterable[int]:
    """The addresses, as descriptors have them, of the buffers that an index publishes."""
    queue, taken = at.queue, Taken()
    for index in range(before, after if after > before else after + 0x10000):
        try:
            if queue is None:
                return
            slot = index % at.layout.num
            head = queue.avail_ring(slot) if at.side is Side.DRIVER else queue.used_ring(slot).id
            for each in queue.chain(head, taken):
                yield each.descriptor.addr
        except RingError:
            continue


def _slot_of(at: RingAt, spot: Spot) -> int | None:
    """Which entry of the other side's ring is read; None: something else of it."""
    address = spot.place[0] + at.start
    first, size = (at.layout.used_ring_at(0), 8) if at.side is Side.DRIVER else (at.layout.avail_ring_at(0), 2)
    slot = (address - first) // size
    return slot if 0 <= slot < at.layout.num else None


def _code(views: Views, step: Step) -> tuple[int, int]:
    try:
        code = views.memories[step.role].read(step.pc, 4)
    except RptwinError:
        return 0, 0
    return int.from_bytes(code[:2], "little"), int.from_bytes(code[2:], "little")


def _is_acquire(views: Views, step: Step) -> bool:
    """LDAB, LDAH, LDA and the exclusive ones (DDI0553B C2.4)."""
    first, second = _code(views, step)
    return first & 0xFFF0 == 0xE8D0 and second & 0x0F80 == 0x0F80 and second >> 4 & 3 != 3


def _is_release(views: Views, step: Step) -> bool:
    """STLB, STLH, STL and the exclusive ones (DDI0553B C2.4)."""
    first, second = _code(views, step)
    return first & 0xFFF0 == 0xE8C0 and second & 0x0F80 == 0x0F80 and second >> 4 & 3 != 3
