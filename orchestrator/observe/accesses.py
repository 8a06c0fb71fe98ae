"""What cores do to what is observed, access by access: the past of words and buffers, and the ends of the stacks."""

from __future__ import annotations

from collections.abc import Mapping, Set
from itertools import islice

from orchestrator.base.memory import Extent
from orchestrator.base.roles import ROLES
from orchestrator.events import Accessed, Touch
from orchestrator.formats.elf import Image
from orchestrator.formats.footprint import Footprint
from orchestrator.observe.history import History, Places
from orchestrator.observe.live import LiveView
from orchestrator.observe.run import Run
from orchestrator.observe.stacks import StackGuard
from orchestrator.observe.views import Views
from orchestrator.observe.watches import WatchedKind, Watches
from orchestrator.platform.model import Platform

__all__ = ["AccessObserver"]

_LONG = 64  # accesses in a turn: of those that have more, most keep to their stack
_MOST_EXTENTS = 64  # buffers all over the place: the rest goes unobserved


class AccessObserver:
    """Has stacks and buffers observed, and sorts what an engine tells of accesses into a run."""

    def __init__(self, platform: Platform, views: Views, watches: Watches, roles: Mapping[str, str]) -> None:
        self._platform = platform
        self._views = views
        self._watches = watches
        self._roles = roles  # by the name of the core
        self._places: Places | None = None
        self._history: History | None = None  # that accesses were last sorted into

    @property
    def tells(self) -> frozenset[str]:
        """Roles of the cores whose every access to what is observed is told."""
        told = self._watches.told or frozenset()
        return frozenset(role for name, role in self._roles.items() if name in told)

    @property
    def places(self) -> Places | None:
        """What lies where, as accesses were sorted last; None: none were told."""
        return self._places

    @property
    def _tells_both(self) -> bool:
        told = self._watches.told
        return told is not None and self._roles.keys() <= told

    def forget(self) -> None:
        """What lies where is to be found anew."""
        self._places = None

    def see(self, run: Run, live: LiveView, role: str, detail: Accessed) -> None:
        """What a core did in its turn, before what it changed is looked at."""
        places, guard = self._placed(run, live), run.stacks.get(role)
        if run.history is not self._history:  # another one may ask for what this one does not
            self._history = run.history
            places.forget_idle()
        touches, touched_here = _touches(places, role, detail)
        if guard is not None:
            memory = self._views.memories[role]
            near = guard.nearby(detail, touched_here, memory)
            more = bool(near) and guard.see(near, memory)
            less = self._watches.tells_slowly and guard.narrow(detail)
            if more or less:
                self._watch_stack(guard)
                places.forget_idle()
        if run.orders is not None:
            run.orders.see(role, detail.rows(), places)
        run.history.told = True
        done = places.without_stack(role, detail, touches)
        if not done:
            return
        both = self._tells_both and not run.traffic.buffers_dropped
        for what, flags in run.history.see(role, done, places, run.traffic, run.outside, knows_owners=both):
            places.pass_over(role, what, flags, near_stack=guard is not None and not guard.is_away(what))

    def finish(self, run: Run, live: LiveView) -> None:
        """The run is over: what no access followed is put in its place."""
        if run.orders is not None:
            run.orders.finish(self._placed(run, live))

    def _placed(self, run: Run, live: LiveView) -> Places:
        """What lies where by now."""
        places, traffic = self._places, run.traffic
        if places is None or places.live is not live:
            places = self._places = Places(live, self._views, traffic.buffers)
        elif places.count != len(traffic.buffers) or traffic.moved:
            places.add(traffic.buffers, traffic.moved)
        else:
            return places
        traffic.moved.clear()
        return places

    def observe_buffers(self, run: Run, live: LiveView) -> None:
        """Have the buffers observed that rings have named since the last time."""
        traffic = run.traffic
        if self._places is not None and self._places.count == len(traffic.buffers) and not traffic.moved:
            return
        places = self._placed(run, live)
        for role in ROLES:
            for number, extent in enumerate(islice(places.extents(role), _MOST_EXTENTS)):
                name = f"buffers {role} {number}"
                self._watches.set(WatchedKind.BUFFERS, name, self._views.name(role), extent)

    def guard_stacks(self, run: Run, images: Mapping[str, Image], vector_tables: Mapping[str, int]) -> None:
        """Have the ends of the stacks observed, of the cores that run firmware."""
        for role, image in images.items():
            if not image.segments:
                continue
            core = self._platform.core(role).name
            memory = [each for region in self._platform.regions if region.writable for each in region.extents(core)]
            guard = StackGuard.of(role, Footprint(image, vector_tables.get(role, image.vector_table)), memory)
            if guard is not None:
                guard.aliases = self._aliases(core, guard.end)
                run.stacks[role] = guard
                self._watch_stack(guard)

    def _aliases(self, core: str, address: int) -> tuple[tuple[Extent, int], ...]:
        """Where else a core has the memory at this address, and how far each is from here."""
        found = self._platform.region_at(core, address)
        extents = () if found is None else found[0].extents(core)
        home = next((each for each in extents if address in each), None)
        return tuple((each, home.start - each.start) for each in extents if home is not None and each != home)

    def _watch_stack(self, guard: StackGuard) -> None:
        self._watches.set(WatchedKind.STACK, f"stack {guard.role}", self._views.name(guard.role), guard.extent)


def _touches(places: Places, role: str, told: Accessed) -> tuple[list[Touch], Set[int]]:
    """What of a turn may say something, in order, and what is touched there that may say something of a stack."""
    if len(told) > _LONG:
        touched_here = set(told.what_is_touched())
        return places.without_known(role, told, touched_here), touched_here
    touches = places.without_idle(role, told)
    return touches, {what for what, _, _ in touches}
