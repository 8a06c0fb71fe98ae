"""Who reads and writes observed bytes: what the hooks of one core's turn say, put together as the contract has it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from orchestrator.base.dataclass import dataclass
from orchestrator.events import Access, Accessed

__all__ = ["AccessLog", "Observed"]

_LOOK_BACK = 16  # records that a repeated read, or a range that goes on, is looked for in


@dataclass(frozen=True, slots=True)
class Observed:
    """An extent of one region, by offset."""

    region: str
    start: int
    end: int
    merge: bool


@dataclass(slots=True)
class _Record:
    """As :class:`orchestrator.events.Access`, while it still grows."""

    time_ns: int
    last_ns: int
    pc: int
    address: int
    size: int
    times: int
    writes: bool
    value: int | None
    before: int | None

    def widen(self, address: int, size: int, value: int | None, before: int | None) -> None:
        """One that touches this one; of several there is no one value."""
        if (self.address, self.size, self.value, self.before) == (address, size, value, before):
            return
        end = max(self.address + self.size, address + size)
        self.address = min(self.address, address)
        self.size, self.value, self.before = end - self.address, None, None

    def done(self) -> Access:
        return Access(
            self.time_ns,
            self.last_ns,
            self.pc,
            self.address,
            self.size,
            self.times,
            self.writes,
            False,
            self.value,
            self.before,
        )


class AccessLog:
    """Of all cores, one turn at a time."""

    def __init__(self) -> None:
        self._observed: dict[str, Observed] = {}
        self._spans: dict[str, list[tuple[int, int, bool]]] = {}  # by region: without overlaps, in order
        self._records: list[_Record] = []
        self._open = self._open_merged = 0  # the first record that may still grow

    def observe(self, name: str, observed: Observed | None) -> None:
        """From now on; None: no more."""
        if observed is None:
            self._observed.pop(name, None)
        else:
            self._observed[name] = observed
        self._spans = _disjoint(self._observed.values())

    def has(self, region: str, offset: int, size: int) -> bool:
        """Whether any of these bytes is observed."""
        return any(start < offset + size and offset < end for start, end, _ in self._spans.get(region, ()))

    def note(
        self, region: str, offset: int, address: int, size: int, pc: int, now_ns: int, value: int, before: int | None
    ) -> None:
        """An access by the core whose turn it is; ``before``: what a write finds, None for a read."""
        span = next((s for s in self._spans.get(region, ()) if s[0] < offset + size and offset < s[1]), None)
        if span is None:
            return
        writes, base = before is not None, address - offset
        record = None
        if span[2]:
            record = self._neighbour(base + span[0], base + span[1], address, size, writes=writes)
        elif not writes:
            record = self._poll(pc, address, size, value)
        if record is not None:
            if span[2]:
                record.widen(address, size, value, before)
            record.last_ns, record.times = now_ns, record.times + 1
            return
        if not span[2]:
            self._open_merged = len(self._records) + 1
            if writes:
                self._open = len(self._records) + 1
        self._records.append(_Record(now_ns, now_ns, pc, address, size, 1, writes, value, before))

    def _poll(self, pc: int, address: int, size: int, value: int) -> _Record | None:
        """The same read with the same result as one before, with no write in between."""
        for record in reversed(self._records[max(self._open, len(self._records) - _LOOK_BACK) :]):
            if not record.writes and (record.pc, record.address, record.size, record.value) == (
                pc,
                address,
                size,
                value,
            ):
                return record
        return None

    def _neighbour(self, start: int, end: int, address: int, size: int, *, writes: bool) -> _Record | None:
        """A range in the same span that touches this one."""
        for record in reversed(self._records[max(self._open_merged, len(self._records) - _LOOK_BACK) :]):
            touches = address <= record.address + record.size and record.address <= address + size
            if record.writes == writes and touches and start <= record.address < end:
                return record
        return None

    def take(self) -> Accessed | None:
        """What the turn has brought so far."""
        records, self._records = self._records, []
        self._open = self._open_merged = 0
        return Accessed.of(record.done() for record in records) if records else None


def _disjoint(observed: Iterable[Observed]) -> dict[str, list[tuple[int, int, bool]]]:
    """The same bytes without overlaps; where extents overlap, one whose every access counts decides."""
    by_region: dict[str, list[Observed]] = {}
    for each in observed:
        by_region.setdefault(each.region, []).append(each)
    spans: dict[str, list[tuple[int, int, bool]]] = {}
    for region, extents in by_region.items():
        edges = sorted({edge for each in extents for edge in (each.start, each.end)})
        for start, end in pairwise(edges):
            over = [each.merge for each in extents if each.start <= start and end <= each.end]
            if over:
                spans.setdefault(region, []).append((start, end, all(over)))
    return spans
