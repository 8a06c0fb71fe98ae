"""Whose stores and loads of memory are told, on Renode: by hooks at the bus, and pages that go through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.base.errors import EngineError
from orchestrator.base.memory import Extent
from orchestrator.engines.common.store_replay import Happening, Store
from orchestrator.engines.renode.access_log import Observed
from orchestrator.engines.renode.core_turns import CoreTurns
from orchestrator.engines.renode.cores import Cores, HostScope
from orchestrator.engines.renode.gates import MemoryGates
from orchestrator.engines.renode.session import Bus
from orchestrator.events import Fault
from orchestrator.platform.model import Platform, Region

__all__ = ["Observation"]

_MOST_POLLS = 2_000  # loads of one value from one place by one core, with none of another in between
_MOST_PART = 7  # bytes of a store that may lie before the first watched one


class Observation:
    """Stores to what is watched, and every access to what is observed."""

    def __init__(
        self,
        platform: Platform,
        bus: Bus,
        cores: Cores,
        turns: CoreTurns,
        scope: HostScope,
        refused: Callable[[str, Fault], None],
    ) -> None:
        self._platform = platform
        self._bus = bus
        self._cores = cores
        self._turns = turns
        self._scope = scope
        self._refused = refused
        self._gates = MemoryGates(platform, bus, cores, scope)
        self._guarded: set[str] = set()  # regions of which a core may be refused every byte
        self._stores: dict[str, _Parts] = {}  # by region: offsets whose stores are told
        self._loads: dict[str, _Parts] = {}  # by region: offsets whose loads are told, or were until one was polled
        self._polled: tuple[str, int, int] | None = None  # the last read: by whom, where, and what
        self._polls = 0  # since anything else was read
        self._unheard: set[str] = set()  # regions of which a core polls a place

    def watch(self, name: str, core: str, extent: Extent) -> None:
        """EngineError for what does not lie in one piece of memory."""
        self._place(core, extent, "watched")
        self._cores.turns.watch(name, core, extent, told=self.hook(core, extent, f"watch {name}"))

    def unwatch(self, name: str) -> None:
        self._cores.turns.unwatch(name)

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool) -> frozenset[str]:
        """Given back are the cores whose accesses are told; EngineError as by :meth:`watch`."""
        region, offset = self._place(core, extent, "observed")
        if not self.hook(core, extent, f"observe {name}"):
            return frozenset()
        self._turns.accesses.observe(name, Observed(region.name, offset, offset + extent.size, merge))
        if self._loads.setdefault(region.name, _Parts()).put(name, _reached(offset, extent.size)):
            self._hear_loads(region)
        return frozenset(each.name for each in self._cores if each.played is None)

    def unobserve(self, name: str) -> None:
        self._turns.accesses.observe(name, None)

    def hook(self, core: str, extent: Extent, name: str) -> bool:
        """Hear of each store to these bytes, by whatever core and alias; False where that is more than Renode can.

        The same name again replaces the extent.
        """
        aliases = [(each, Extent(at, extent.size)) for each, at in self._platform.aliases(core, extent.start)]
        if not self._bus.through_bus(aliases):
            return False
        found = self._platform.region_at(core, extent.start)
        assert found is not None
        region, offset = found
        if self._stores.setdefault(region.name, _Parts()).put(name, _reached(offset, extent.size)):
            self._hear_stores(region)
        return True

    def guard(self) -> None:
        """Hear of each access that the chip may refuse; asked before each run, as firmware is what opens gates."""
        for core, region, extents in self._gates.watched():
            if region.name not in self._guarded and self._bus.through_bus([(core, each) for each in extents]):
                self._guarded.add(region.name)
                self._hear_stores(region)
                self._hear_loads(region)

    def _hear_stores(self, region: Region) -> None:
        bases = self._bases(region)
        wanted = self._stores[region.name].whole if region.name in self._stores else Extent(0, 0)
        guarded = region.name in self._guarded
        heard = Extent(0, region.size) if guarded else wanted

        def stored(by: str, at: int, size: int, value: int) -> None:
            if by in bases and not self._scope.active:
                if guarded:
                    self._check(by, region.name, at, bases[by] + at, size, writes=True)
                if Extent(at, size).overlaps(wanted):
                    self._store(by, region.name, at, bases[by] + at, size, value)

        self._bus.on_store(region.name, heard.start, heard.size, stored)

    def _check(self, core: str, region: str, offset: int, address: int, size: int, *, writes: bool) -> None:
        why = self._gates.refusal(core, region, offset, writes=writes)
        if why is not None:
            at = self._cores.instruction(core, self._bus.pc(core))
            self._refused(core, self._gates.fault(core, address, size, why, at, writes=writes))

    def turn_told(self, happenings: Sequence[Happening]) -> None:
        """Somebody has stored: what was polled may read otherwise now."""
        if self._unheard and any(isinstance(each.what, Store) for each in happenings):
            self._polled, self._polls = None, 0
            for region in self._platform.regions:
                if region.name in self._unheard:
                    self._hear_loads(region)

    def _place(self, core: str, extent: Extent, doing: str) -> tuple[Region, int]:
        found = self._platform.region_at(self._cores[core].name, extent.start)
        if found is None or found[1] + extent.size > found[0].size:
            raise EngineError(f"what is to be {doing} does not lie in one piece of memory", where=core, found=extent)
        return found

    def _bases(self, region: Region) -> Mapping[str, int]:
        """Where each core that sees it finds this memory first."""
        return {each.name: at[0].start for each in self._platform.cores if (at := region.extents(each.name))}

    def _store(self, core: str, region: str, offset: int, address: int, size: int, value: int) -> None:
        self._turns.happens(core, Store(address, size, value))
        if self._turns.accesses.has(region, offset, size):
            before = int.from_bytes(self._bus.read(core, address, size), "little")
            self._turns.accesses.note(region, offset, address, size, *self._at(core), value, before)

    def _load(self, region: Region, bases: Mapping[str, int], offset: int, size: int, value: int) -> None:
        """Each costs some microseconds: of a place that is polled, no more are told until somebody writes there."""
        core = self._turns.acting()  # others' turns end this one
        if core in bases and region.name in self._guarded:
            self._check(core, region.name, offset, bases[core] + offset, size, writes=False)
        if core not in bases or not self._turns.accesses.has(region.name, offset, size):
            return
        self._turns.acts(core)
        address = bases[core] + offset
        polled = core, address, value
        self._polls = self._polls + 1 if polled == self._polled else 0
        self._polled = polled
        if self._polls > _MOST_POLLS:
            self._unheard.add(region.name)
            self._bus.on_load(region.name, 0, 0, None)
        else:
            self._turns.accesses.note(region.name, offset, address, size, *self._at(core), value, None)

    def _at(self, core: str) -> tuple[int, int]:
        """The instruction that this core executes, and the moment."""
        return self._cores.instruction(core, self._bus.pc(core)), self._turns.moment(core)

    def _hear_loads(self, region: Region) -> None:
        self._unheard.discard(region.name)
        bases = self._bases(region)
        extent = Extent(0, region.size) if region.name in self._guarded else self._loads[region.name].whole

        def loaded(at: int, size: int, value: int) -> None:
            if not self._scope.active:
                self._load(region, bases, at, size, value)

        self._bus.on_load(region.name, extent.start, extent.size, loaded)


class _Parts:
    """What is told of a region, by name; Renode is asked for all of it as one range."""

    def __init__(self) -> None:
        self._extents: dict[str, Extent] = {}
        self.whole = Extent(0, 0)

    def put(self, name: str, extent: Extent) -> bool:
        """Instead of what had this name; whether the range is another one now."""
        self._extents[name] = extent
        before, parts = self.whole, self._extents.values()
        self.whole = Extent.between(min(each.start for each in parts), max(each.end for each in parts))
        return self.whole != before


def _reached(offset: int, size: int) -> Extent:
    """Where an access begins that reaches these bytes."""
    return Extent.between(max(0, offset - _MOST_PART), offset + size)
