"""Watched memory, turn by turn, from a log of stores.

Some engines let a core do much before anybody can look, and tell of each store to a watched address before it happens.
From that log the watched bytes are made again as they stood where a core gave its turn away, so that an observer who
reads at ``Changed`` reads what the core had left, as with an engine that looks there. A core gives its turn away when
it interrupts another one, too: who is rung finds what was stored before, and nothing that comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent
from orchestrator.events import Changed, Detail, Event, NotificationSent
from orchestrator.platform.model import Platform

__all__ = ["Happening", "Store", "Turns", "View"]


@dataclass(frozen=True, slots=True)
class Store:
    """A core stores ``size`` bytes at an address of its own view."""

    address: int
    size: int
    value: int


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a core did in a quantum: ``end_ns`` is the end of that quantum, ``at_ns`` the moment, if known."""

    end_ns: int
    core: str
    what: Store | Detail
    at_ns: int | None = None

    @property
    def time_ns(self) -> int:
        """The moment, else the end of the quantum."""
        return self.end_ns if self.at_ns is None else self.at_ns

    @property
    def gives_way(self) -> bool:
        """Another core is interrupted by it."""
        return isinstance(self.what, NotificationSent) and self.what.rising and self.what.target != self.core


@dataclass(slots=True)
class _Watched:
    core: str
    extent: Extent
    region: str
    offset: int
    seen: bytearray
    told: bool  # each store to it is told, so that ``seen`` is what stood there at the event that is told

    @property
    def end(self) -> int:
        return self.offset + self.extent.size


class Turns:
    """The watches of a board. ``read`` reads live memory by core and extent."""

    def __init__(self, platform: Platform, read: Callable[[str, Extent], bytes]) -> None:
        self._platform = platform
        self._read = read
        self._watches: dict[str, _Watched] = {}
        self._replaying = False

    def watch(self, name: str, core: str, extent: Extent, *, told: bool = True) -> bool:
        """False when the extent does not lie in one piece of memory; ``told``: the engine tells of each store to it."""
        place = self._place(core, extent.start)
        if place is None or self._place(core, extent.end - 1) != (place[0], place[1] + extent.size - 1):
            return False
        self._watches[name] = _Watched(core, extent, *place, bytearray(self.read(core, extent)), told)
        return True

    def unwatch(self, name: str) -> None:
        """Watch it no more."""
        self._watches.pop(name, None)

    def host_wrote(self, core: str | None = None, extent: Extent | None = None) -> None:
        """What is there now is the host's doing: in this extent of a core's view, or in all that is watched."""
        place = None if core is None or extent is None else self._place(core, extent.start)
        for watch in self._watches.values():
            begin, end = watch.offset, watch.end
            if place is not None and extent is not None:
                begin, end = max(begin, place[1]), min(end, place[1] + extent.size)
                if watch.region != place[0] or begin >= end:
                    continue
            live = self._read(watch.core, watch.extent)
            watch.seen[begin - watch.offset : end - watch.offset] = live[begin - watch.offset : end - watch.offset]

    def read(self, core: str, extent: Extent) -> bytes:
        """Memory as it stood at the event that is being told; live memory when none is."""
        live = self._read(core, extent)
        place = self._place(core, extent.start) if self._replaying else None
        if place is None:
            return live
        data = bytearray(live)
        region, offset = place
        for watch in self._watches.values():
            begin, end = max(watch.offset, offset), min(watch.end, offset + extent.size)
            if watch.told and watch.region == region and begin < end:
                data[begin - offset : end - offset] = watch.seen[begin - watch.offset : end - watch.offset]
        return bytes(data)

    def tell(self, happenings: Sequence[Happening], now_ns: int) -> Iterator[Event]:
        """The events of a step, in order; what its stores do not explain changed at its end, by nobody known."""
        yield from self.told(happenings)
        yield from self.unexplained(now_ns)

    def told(self, happenings: Sequence[Happening]) -> Iterator[Event]:
        """The events of whole turns, in order, and what each turn changed at its end, or where it gave way."""
        before, self._replaying = self._replaying, True
        try:
            index = 0
            while index < len(happenings):
                first = happenings[index]
                changed: dict[str, None] = {}
                while index < len(happenings) and happenings[index].core == first.core:
                    each = happenings[index]
                    if each.end_ns != first.end_ns:
                        break
                    index += 1
                    if isinstance(each.what, Store):
                        changed |= dict.fromkeys(self._apply(each.core, each.what))
                        continue
                    yield Event(each.time_ns, each.core, each.what)
                    if each.gives_way:
                        for name in changed:
                            yield Event(each.time_ns, first.core, Changed(name))
                        changed = {}
                for name in changed:
                    yield Event(first.end_ns, first.core, Changed(name))
        finally:
            self._replaying = before

    def _apply(self, core: str, store: Store) -> Iterator[str]:
        place = self._place(core, store.address)
        if place is None:
            return
        region, offset = place
        data = (store.value & (1 << 8 * store.size) - 1).to_bytes(store.size, "little")
        for name, watch in self._watches.items():
            begin, end = max(watch.offset, offset), min(watch.end, offset + store.size)
            if watch.region != region or begin >= end:
                continue
            new, span = data[begin - offset : end - offset], slice(begin - watch.offset, end - watch.offset)
            if watch.seen[span] != new:
                watch.seen[span] = new
                yield name

    def unexplained(self, now_ns: int) -> Iterator[Event]:
        """What changed and no store explains."""
        names = []
        for name, watch in self._watches.items():
            live = self._read(watch.core, watch.extent)
            if live != watch.seen:
                watch.seen[:] = live
                names.append(name)
        for name in names:
            yield Event(now_ns, "", Changed(name))

    def _place(self, core: str, address: int) -> tuple[str, int] | None:
        found = self._platform.region_at(core, address)
        return None if found is None else (found[0].name, found[1])


class View:
    """Plain memory as one core addresses it, at the event that is being told.

    ``write`` stores for the host, by core, address and bytes.
    """

    def __init__(self, platform: Platform, turns: Turns, core: str, write: Callable[[str, int, bytes], None]) -> None:
        self.view = core
        self._platform = platform
        self._turns = turns
        self._write = write

    def read(self, address: int, size: int) -> bytes:
        return b"".join(self._turns.read(self.view, part) for part in self._platform.parts(self.view, address, size))

    def write(self, address: int, data: bytes) -> None:
        self._platform.parts(self.view, address, len(data))
        self._write(self.view, address, data)
