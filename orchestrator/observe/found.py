"""A table that nobody has named, found while the cores work: firmware that makes it at run time tells the other core.

What reads as a table may be an old one: memory keeps what an earlier run left, and images keep templates. So one is
taken when the cores are seen to work with it: its bytes, or the rings that it alone names, change after it was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Extent
from orchestrator.base.roles import MAIN, ROLES
from orchestrator.formats.elf import Image
from orchestrator.formats.locator import TableLocation
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.observe.declared import DeclaredTable
from orchestrator.observe.live import LiveView, read_live
from orchestrator.observe.search import name_of, places_of_tables
from orchestrator.observe.views import Span, Views
from orchestrator.observe.watches import WatchedKind, Watches

__all__ = ["Candidate", "TableSearch"]

_MOST_NOTIFICATIONS = 1 << 12  # up to which the powers of two are followed by a look: 13 of them


@dataclass(frozen=True, slots=True)
class Candidate:
    """What reads as a table, as it was when it was found."""

    live: LiveView
    data: bytes
    begun: Mapping[str, int]  # used.idx by ring: what was under way began there

    @property
    def address(self) -> int:
        """In main's view."""
        location = self.live.declared.location
        assert location is not None, "a candidate has a place"
        return location.address

    @property
    def ring_extents(self) -> tuple[Extent, ...]:
        """In main's view."""
        return tuple(Extent(r.span.pa, r.span.size) for r in self.live.rings if r.span is not None and r.span.pa)


@dataclass(slots=True)
class TableSearch:
    """Looks at the notifications with the numbers 1, 2, 4, 8 and so on, and watches what it finds."""

    notifications: int = 0
    candidates: dict[int, Candidate] = field(default_factory=dict)  # by address

    def is_due(self) -> bool:
        """One more notification was sent: whether it is one to look at."""
        self.notifications += 1
        count = self.notifications
        return count <= _MOST_NOTIFICATIONS and count & (count - 1) == 0

    def look(
        self, views: Views, images: Mapping[str, Image], watches: Watches, release: NuttxRelease | None = None
    ) -> None:
        """Find tables in memory that both cores reach, and have them watched."""
        for pa in places_of_tables(views):
            if pa in self.candidates:
                continue
            location = TableLocation(MAIN, pa, f"shared memory, where it was found at {name_of(views, images, pa)}")
            live = read_live(views, DeclaredTable(location), release=release)
            span = live.span
            if live.table is None or span is None or span.pa is None or span.da is None:
                continue
            begun = {}
            for ring in live.rings:
                queue = ring.open(views)
                if queue is not None:
                    begun[ring.path] = queue.used_idx
                    self._watch(watches, f"{ring.path} of {pa:#010x}", views, ring.span)
            self._watch(watches, f"table at {pa:#010x}", views, span)
            self.candidates[pa] = Candidate(live, live.others[MAIN], begun)

    @staticmethod
    def _watch(watches: Watches, path: str, views: Views, span: Span | None) -> None:
        if span is not None:
            role = next((role for role in ROLES if span.seen_by(role) is not None), MAIN)
            watches.set(WatchedKind.CANDIDATE, path, views.name(role), span.seen_by(role))

    def changed(self, views: Views, extent: Extent) -> Candidate | None:
        """A core has written here: the table that this speaks for, if it is one."""
        for each in self.candidates.values():
            if each.address in extent:
                return self._written(views, each)
        named = [each for each in self.candidates.values() if extent in each.ring_extents]
        return named[0] if len(named) == 1 else None

    def _written(self, views: Views, candidate: Candidate) -> Candidate | None:
        """A candidate whose bytes changed; one that is no table any more is none, and looked for anew."""
        size = len(candidate.data)
        try:
            data = views.memories[MAIN].read(candidate.address, size)
        except RptwinError:
            return None
        # version, number, the words that RPTUN uses, and offsets: what nobody changes in a table that is in use
        table = candidate.live.table
        fixed = 16 + 4 * len(table.offsets) if table is not None else 16
        if data[:8] + data[16:fixed] != candidate.data[:8] + candidate.data[16:fixed]:
            del self.candidates[candidate.address]
            return None
        return candidate if data != candidate.data else None
