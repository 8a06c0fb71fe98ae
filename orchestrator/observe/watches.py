"""What an observer has an engine watch, and what the engine's word of a change is about."""

from __future__ import annotations

import enum
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


@runtime_checkable
class AccessWatcher(Protocol):
    """An engine that can tell each access as well."""

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        """Emit ``Accessed`` after each turn of a core that accessed a byte; ``merge``: what is copied as a whole."""
        ...


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
    """A thing that is watched, where it is watched."""

    kind: WatchedKind
    extent: Extent


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
        name = self._owner + path
        wanted = Watched(kind, extent)
        if self._by_name.get(name) == wanted:
            return
        self._by_name[name] = wanted
        if self._watcher is not None and kind not in (WatchedKind.BUFFERS, WatchedKind.STACK):
            self._watcher.watch(name, core, extent)
        if self._accesses is not None and kind is not WatchedKind.CARVEOUT:
            told = self._accesses.observe(name, core, extent, merge=kind is WatchedKind.BUFFERS)
            if kind is not WatchedKind.STACK:
                self.told = told if self.told is None else self.told & told

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
