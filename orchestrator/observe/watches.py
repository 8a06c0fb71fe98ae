"""What an observer has an engine watch, and what the engine's word of a change is about."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent
from orchestrator.base.roles import MAIN, ROLES
from orchestrator.observe.live import LiveView
from orchestrator.observe.views import Views

__all__ = ["TABLE", "AccessWatcher", "Watched", "WatchedKind", "Watcher", "Watches", "watch_live"]

TABLE = "table"


class Watcher(Protocol):
    """What an observer needs of an engine: report changes of an extent of a core's view, under a name."""

    def watch(self, name: str, core: str, extent: Extent) -> None:
        """Emit ``Changed(name)`` after each turn that changed a byte; the same name again replaces the watch."""
        ...

    def unwatch(self, name: str) -> None: ...


@runtime_checkable
class AccessWatcher(Protocol):
    """An engine that can tell each access as well."""

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        """Emit ``Accessed`` after each turn of a core that accessed a byte; ``merge``: what is copied as a whole."""
        ...

    def unobserve(self, name: str) -> None: ...


class WatchedKind(enum.Enum):
    """What a watched extent is."""

    TABLE = enum.auto()
    RING = enum.auto()
    CANDIDATE = enum.auto()  # what reads as a table that nobody has named, and its rings
    CARVEOUT = enum.auto()  # only that something happens there: buffers are read when a ring moves
    BUFFERS = enum.auto()  # only who accesses them
    STACK = enum.auto()  # the same, of a core's own memory


@dataclass(frozen=True, slots=True)
class Watched:
    """A thing that is watched, where it is watched, by the addresses of a core."""

    kind: WatchedKind
    extent: Extent
    core: str

    @property
    def is_watched(self) -> bool:
        """Changes are told."""
        return self.kind not in (WatchedKind.BUFFERS, WatchedKind.STACK)

    @property
    def is_observed(self) -> bool:
        """Accesses are told, where the engine tells them."""
        return self.kind is not WatchedKind.CARVEOUT


Saved = tuple[Mapping[str, Watched], frozenset[str] | None]
"""By name, and the cores whose accesses are told."""


class Watches:
    """Watches of one observer by name; ``owner`` sets them apart from those of others on the same engine."""

    def __init__(self, watcher: Watcher | None, owner: str = "", accesses: AccessWatcher | None = None) -> None:
        self._watcher = watcher
        self._accesses = accesses
        self.told: frozenset[str] | None = None  # cores whose accesses are told of everything that is observed
        self._owner = owner
        self._by_name: dict[str, Watched] = {}

    def set(self, kind: WatchedKind, path: str, core: str, extent: Extent | None) -> None:
        """Watch a thing here from now on; no extent: leave it as it is."""
        if extent is None or extent.size <= 0:
            return
        self._set(self._owner + path, Watched(kind, extent, core))

    def _set(self, name: str, wanted: Watched) -> None:
        if self._by_name.get(name) == wanted:
            return
        self._by_name[name] = wanted
        if self._watcher is not None and wanted.is_watched:
            self._watcher.watch(name, wanted.core, wanted.extent)
        if self._accesses is not None and wanted.is_observed:
            merge = wanted.kind is WatchedKind.BUFFERS
            told = self._accesses.observe(name, wanted.core, wanted.extent, merge=merge)
            if wanted.kind is not WatchedKind.STACK:
                self.told = told if self.told is None else self.told & told

    def save(self) -> Saved:
        """What is watched."""
        return dict(self._by_name), self.told

    def restore(self, saved: Saved) -> None:
        """Go back to :meth:`save`: what has come since is watched no more."""
        by_name, told = saved
        for name in [each for each in self._by_name if each not in by_name]:
            gone = self._by_name.pop(name)
            if self._watcher is not None and gone.is_watched:
                self._watcher.unwatch(name)
            if self._accesses is not None and gone.is_observed:
                self._accesses.unobserve(name)
        for name, wanted in by_name.items():
            self._set(name, wanted)
        self.told = told

    @property
    def tells_slowly(self) -> bool:
        """An access that the engine tells costs far more than one that it does not."""
        return bool(getattr(self._accesses, "tells_slowly", False))

    def find(self, name: str) -> Watched | None:
        """What a change is about; None: nothing that this observer watches."""
        return self._by_name.get(name)


def watch_live(watches: Watches, views: Views, live: LiveView) -> None:
    """Have the table, the rings and the carveouts watched where they are by now."""
    table = live.table
    if table is not None and not live.is_given:
        watches.set(WatchedKind.TABLE, TABLE, views.name(live.role), Extent(table.address, table.size))
    for kind, path, span in [
        *((WatchedKind.RING, ring.path, ring.span) for ring in live.rings),
        *((WatchedKind.CARVEOUT, each.entry.at.path, each.span) for each in live.carveouts),
    ]:
        if span is not None:
            role = next((role for role in ROLES if span.seen_by(role) is not None), MAIN)
            watches.set(kind, path, views.name(role), span.seen_by(role))
