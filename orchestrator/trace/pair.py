"""What a pair of cores does with what they share: collected behind its observer, event by event."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError
from orchestrator.base.roles import Side
from orchestrator.board import BoardPair
from orchestrator.checks.finding import Finding
from orchestrator.events import ACCESS_STORES, ACCESS_WRITES, Accessed, Changed, Event, NotificationSent
from orchestrator.observe.history import Places
from orchestrator.observe.live import LiveRing, LiveView
from orchestrator.observe.traffic import MessageRecord
from orchestrator.trace.findings import Moments
from orchestrator.trace.kept import Kept
from orchestrator.trace.model import FindingMark, MessageTrace, PairTrace, RingChange, RingShape, TableChange

__all__ = ["PairCollector"]

_LARGEST = 1 << 16  # bytes of a ring that is followed: a queue of 2,048 entries
_PAYLOADS = 1 << 25  # bytes of all payloads that are kept whole
_SHORT = 64  # bytes of the others
_SEEN_AT_ONCE = 32  # messages that an observer keeps: the last ones


@dataclass(slots=True)
class _Message:
    """A message that may still be seen by its receiver."""

    record: MessageRecord
    payload: bytes
    sent_ns: int
    seen_ns: int | None = None


class PairCollector:
    """The rings, the table and the messages of one pair."""

    def __init__(self, pair: BoardPair, most: int, began_ns: int) -> None:
        self._pair = pair
        self._observer = pair.observer
        self._cores = {role: pair.platform.core(role).name for role in pair.observer.views.memories}
        self._roles = {name: role for role, name in self._cores.items()}
        self._prefix = f"{pair.name}: " if pair.name else ""
        self._live: LiveView | None = None
        self._fields: dict[str, int] = {}  # of the table, by path
        self._shapes: list[RingShape] = []
        self._rings: dict[str, tuple[RingShape, bytearray]] = {}  # and what stands in each now
        self._changes: Kept[RingChange] = Kept(most)
        self._table: Kept[TableChange] = Kept(most)
        self._messages: Kept[_Message] = Kept(most)
        self._missed: Kept[None] = Kept(0)
        self._too_large: Kept[None] = Kept(0)
        logs = pair.observer.run.traffic.messages.items()
        self._heard = {path: sum(log.sent.values()) for path, log in logs}  # messages by vdev
        self._room = _PAYLOADS
        self._published: dict[tuple[str, Side], deque[int]] = {}  # times of index moves without a message yet
        self._undated: dict[tuple[str, Side], deque[_Message]] = {}  # messages without an index move yet
        self._unread: dict[tuple[str, int], _Message] = {}  # by receiver's role and address
        self._unreturned: dict[tuple[str, int], _Message] = {}  # by ring and head
        self._counted: dict[str, tuple[int, int]] = {}  # made available and used, by ring
        self._look(began_ns, "")

    @property
    def kept(self) -> Mapping[str, Kept[RingChange] | Kept[TableChange] | Kept[_Message] | Kept[None]]:
        """Each list by its name."""
        return {
            f"{self._prefix}ring_changes": self._changes,
            f"{self._prefix}table_changes": self._table,
            f"{self._prefix}messages": self._messages,
            f"{self._prefix}messages of one turn": self._missed,
            f"{self._prefix}shapes": self._too_large,
        }

    def on_event(self, event: Event) -> None:
        """Take an event that the observer has taken."""
        detail, core = event.detail, event.core
        role = self._roles.get(core, "")
        ring = ""
        if isinstance(detail, Accessed):
            if role:
                self._see_accesses(role, core, detail)
            return
        if isinstance(detail, Changed):
            ring = detail.watch.removeprefix(self._prefix) if detail.watch.startswith(self._prefix) else ""
            if ring in self._rings:
                self._compare(event.time_ns, core, ring)
        elif not isinstance(detail, NotificationSent):
            return
        elif role not in self._observer.tells:
            for each in self._rings:
                self._compare(event.time_ns, core, each)
        self._look(event.time_ns, core)
        self._see_messages(event.time_ns)
        if ring:  # the turn is over
            for side in Side:
                self._published.pop((ring, side), None)
                self._undated.pop((ring, side), None)

    # the table, and where the rings are

    def _look(self, time_ns: int, core: str) -> None:
        live = self._observer.live
        if live is self._live:
            return
        first, self._live = self._live is None, live
        fields = dict(_fields(live))
        if fields and not self._fields and not first:
            self._table.add(time_ns, TableChange(time_ns, core, None, "table", None, len(live.vdevs)))
        elif self._fields:
            for path, value in fields.items():
                self._set_field(time_ns, core, None, path, value)
        self._fields = fields or self._fields
        for ring in live.rings:
            self._shape(time_ns, live, ring)

    def _set_field(self, time_ns: int, core: str, pc: int | None, path: str, value: int) -> None:
        before = self._fields.get(path)
        if before != value:
            self._table.add(time_ns, TableChange(time_ns, core, pc, path, before, value))
            self._fields[path] = value

    def _shape(self, time_ns: int, live: LiveView, ring: LiveRing) -> None:
        known = self._rings.get(ring.path)
        if ring.layout is None or (known is not None and known[0].layout == ring.layout):
            return
        extent = ring.layout.extent
        if extent.size > _LARGEST:
            self._too_large.add(time_ns, None)
            return
        try:
            data = self._observer.views.memories[ring.role].read(extent.start, extent.size)
        except RptwinError:
            return  # ring.unreadable says so
        sides = live.vdevs[ring.vdev].sides
        shape = RingShape(
            ring.path,
            ring.vdev,
            ring.index,
            time_ns,
            ring.layout,
            self._cores[ring.role],
            self._cores[sides.role_of(Side.DRIVER)],
            self._cores[sides.role_of(Side.DEVICE)],
            data,
            len(self._changes.items),
        )
        self._shapes.append(shape)
        self._rings[ring.path] = shape, bytearray(data)

    # rings

    def _see_accesses(self, role: str, core: str, detail: Accessed) -> None:
        places = self._observer.places
        if places is None:
            return
        for row in detail.rows():
            time_ns, _, value, _, pc, address, size, _, flags, _ = row
            if not flags & ACCESS_WRITES:
                if self._unread:
                    self._see_read(time_ns, role, address, size, places)
            elif flags & ACCESS_STORES == ACCESS_STORES:
                spot = places.find(role, address, size)
                if spot.ring is not None:
                    self._store(time_ns, core, pc, spot.ring.path, spot.place[0], value.to_bytes(size, "little"))
                for each in spot.fields:
                    if each.address >= address:
                        after = value >> 8 * (each.address - address) & (1 << 8 * each.size) - 1
                        self._set_field(time_ns, core, pc, each.path, after)

    def _see_read(self, time_ns: int, role: str, address: int, size: int, places: Places) -> None:
        spot = places.find(role, address, size)
        for _, buffer in spot.buffers:
            message = self._unread.pop((role, buffer.address), None)
            if message is not None and (message.seen_ns is None or time_ns < message.seen_ns):
                message.seen_ns = time_ns

    def _store(self, time_ns: int, core: str, pc: int | None, ring: str, offset: int, after: bytes) -> None:
        """Bytes of a ring are these now."""
        known = self._rings.get(ring)
        if known is None or not 0 <= offset <= len(known[1]) - len(after):
            return
        shape, data = known
        before = bytes(data[offset : offset + len(after)])
        if before == after:
            return
        data[offset : offset + len(after)] = after
        self._changes.add(time_ns, RingChange(time_ns, ring, core, pc, offset, before, after))
        layout, at = shape.layout, shape.layout.extent.start + offset
        if len(after) == 2 and at in (layout.avail_idx_at, layout.used_idx_at):
            side = Side.DRIVER if at == layout.avail_idx_at else Side.DEVICE
            moved = int.from_bytes(after, "little") - int.from_bytes(before, "little") & 0xFFFF
            self._publish(time_ns, (ring, side), min(moved, layout.num))

    def _compare(self, time_ns: int, core: str, ring: str) -> None:
        """What nobody has told of a ring."""
        shape, data = self._rings[ring]
        extent = shape.layout.extent
        try:
            now = self._observer.views.memories[self._roles[shape.view]].read(extent.start, extent.size)
        except RptwinError:
            return
        if now != data:
            for offset, after in _differences(bytes(data), now):
                self._store(time_ns, core, None, ring, offset, after)

    # messages

    def _publish(self, time_ns: int, key: tuple[str, Side], count: int) -> None:
        """An index has moved past so many chains."""
        undated = self._undated.get(key)
        for _ in range(count):
            if undated:
                undated.popleft().sent_ns = time_ns
            else:
                self._published.setdefault(key, deque()).append(time_ns)

    def _see_messages(self, time_ns: int) -> None:
        traffic = self._observer.run.traffic
        for path, log in traffic.messages.items():
            total = sum(log.sent.values())
            new = total - self._heard.get(path, 0)
            if new > 0:
                self._heard[path] = total
                latest = list(log.last)[-new:]
                for _ in range(new - len(latest)):
                    self._missed.add(time_ns, None)
                for record in latest:
                    self._add(record)
        if self._unreturned:
            for path, ring in traffic.rings.items():
                counted = ring.posted, ring.used
                if self._counted.get(path) != counted:
                    self._counted[path] = counted
                    self._see_returned(time_ns, path, ring.outstanding)

    def _add(self, record: MessageRecord) -> None:
        payload = record.payload if len(record.payload) <= self._room else record.payload[:_SHORT]
        self._room -= min(len(payload), self._room)
        message = _Message(record, payload, record.time_ns)
        if not self._messages.add(record.time_ns, message):
            return
        key = record.ring, record.side
        published = self._published.get(key)
        if published:
            message.sent_ns = published.popleft()
        else:
            self._undated.setdefault(key, deque()).append(message)
        self._unread[self._receiver(record), record.address] = message
        self._unreturned[record.ring, record.head] = message

    def _receiver(self, record: MessageRecord) -> str:
        return next((role for role in self._cores if role != record.sender), "")

    def _see_returned(self, time_ns: int, ring: str, outstanding: Mapping[int, object]) -> None:
        """The receiver has given a buffer back: the device its chain, the driver it anew. Its reads are told later."""
        for (path, head), message in list(self._unreturned.items()):
            is_with_device = head in outstanding
            if path == ring and is_with_device is not (message.record.side is Side.DRIVER):
                message.seen_ns = message.seen_ns or time_ns
                del self._unreturned[path, head]

    # the whole

    def trace(self) -> PairTrace:
        """What was seen until now."""
        verdict = self._pair.verdict()
        moments = Moments(self._observer.run, self._table.items)
        return PairTrace(
            name=self._pair.name,
            cores=self._cores,
            shapes=tuple(self._shapes),
            ring_changes=tuple(self._changes.items),
            table_changes=tuple(self._table.items),
            messages=tuple(map(self._message, self._messages.items)),
            milestones=verdict.milestones,
            findings=tuple(self._mark(each, moments) for each in verdict.findings),
        )

    def _message(self, message: _Message) -> MessageTrace:
        record = message.record
        return MessageTrace(
            message.sent_ns,
            message.seen_ns,
            record.ring,
            record.head,
            self._cores.get(record.sender, ""),
            self._cores.get(self._receiver(record), ""),
            record.side is Side.DRIVER,
            record.src,
            record.dst,
            record.length,
            message.payload,
            record.text,
        )

    def _mark(self, finding: Finding, moments: Moments) -> FindingMark:
        return FindingMark(
            moments.of(finding),
            finding.rule,
            finding.severity,
            finding.subject,
            f"expected {finding.expected}, found {finding.actual}",
            self._cores.get(finding.core, ""),
            finding.is_cause,
        )


def _fields(live: LiveView) -> Iterator[tuple[str, int]]:
    """The fields of the table that the driver's side fills in."""
    for vdev in live.vdevs:
        head = vdev.entry.value.head
        for name in ("status", "gfeatures", "notifyid"):
            yield f"{vdev.path}.{name}", getattr(head, name)
        for ring in vdev.rings:
            for name in ("da", "notifyid", "pa"):
                yield f"{ring.path}.{name}", getattr(ring.entry, name)


def _differences(before: bytes, after: bytes) -> Iterator[tuple[int, bytes]]:
    """Where two states of one size differ, word by word, and what stands there now."""
    start: int | None = None
    for offset in range(0, len(after), 2):
        if before[offset : offset + 2] != after[offset : offset + 2]:
            start = offset if start is None else start
        elif start is not None:
            yield start, after[start:offset]
            start = None
    if start is not None:
        yield start, after[start:]
