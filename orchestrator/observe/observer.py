"""Follows a run: fed with events, it watches the table, the rings and the carveouts, and attributes what changes.

It drives nothing but its watches, reads memory only, and uses as much memory for a long run as for a short one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from orchestrator.base.copies import Copies
from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import DEFAULT_QUANTUM_NS
from orchestrator.base.errors import RingError, RptwinError
from orchestrator.base.memory import Extent, Memory
from orchestrator.base.roles import MAIN, REMOTE, ROLES, other_role
from orchestrator.events import (
    Accessed,
    Backtrace,
    Changed,
    CoreState,
    DataCache,
    Detail,
    Event,
    FaultInjected,
    Fenced,
    Incoherent,
    Note,
    NotificationIgnored,
    NotificationListened,
    NotificationSent,
    NotificationTaken,
    UnmodelledAccess,
    Waiting,
)
from orchestrator.formats.elf import Image
from orchestrator.formats.locator import TableLocator
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.formats.resource_entry import (
    CommandCode,
    CommandWord,
    Profile,
)
from orchestrator.formats.translation import AddressRange
from orchestrator.observe.accesses import AccessObserver
from orchestrator.observe.declared import TABLE_LIMIT, DeclaredTable, choose_profile, declared_by_vrings, find_declared
from orchestrator.observe.follow import RingFollower
from orchestrator.observe.found import TableSearch
from orchestrator.observe.given import GivenVring
from orchestrator.observe.history import Places
from orchestrator.observe.live import LiveView, read_live
from orchestrator.observe.order import Barriers, Orders
from orchestrator.observe.progress import SEEN_OF_CORES, note_progress, see_core, see_taken
from orchestrator.observe.run import Channel, CoreRun, Cut, Injected, Run, Unmet
from orchestrator.observe.traffic import Actor
from orchestrator.observe.views import Views
from orchestrator.observe.vring_search import VringSearch
from orchestrator.observe.watches import TABLE, AccessWatcher, Watched, WatchedKind, Watcher, Watches, watch_live
from orchestrator.platform.model import Platform

__all__ = ["ObserveOptions", "Observer"]

_FIRST_LOOK = 512  # bytes watched for a table whose size nobody knows yet


@dataclass(frozen=True, slots=True)
class ObserveOptions:
    """How to look at a board; None: find out."""

    profile: Profile | None = None
    locator: TableLocator | None = None
    vrings: tuple[GivenVring, ...] = ()  # instead of a table
    maps: tuple[AddressRange, ...] = ()
    notify: Mapping[str, int] = field(default_factory=dict)  # ring path to channel
    release: NuttxRelease | None = None
    quantum_ns: int = DEFAULT_QUANTUM_NS
    order: bool = False  # barriers are told


class Observer:
    """One run of one pair of cores. ``memories`` are by core name, ``images`` by role, the roles those of ``platform``.

    ``name`` sets its watches apart from those of the observers of other pairs on the same engine. What other cores do
    counts only as far as it reaches this pair. A method for each kind of event, which is why it is long.
    """

    def __init__(
        self,
        platform: Platform,
        images: Mapping[str, Image],
        memories: Mapping[str, Memory],
        options: ObserveOptions | None = None,
        watcher: Watcher | None = None,
        name: str = "",
        accesses: AccessWatcher | None = None,
        vector_tables: Mapping[str, int] | None = None,
    ) -> None:
        self.platform = platform
        self.images = images
        self.options = options or ObserveOptions()
        names = {role: platform.core(role).name for role in ROLES}
        self.views = Views.of({role: memories[name] for role, name in names.items()}, platform, self.options.maps)
        self.declared: DeclaredTable = find_declared(images, self.options.locator, self.options.vrings)
        self.run = Run({role: CoreRun(role, name) for role, name in names.items()})
        if self.options.order:
            self.run.orders = Orders()
        self._roles = {name: role for role, name in names.items()}
        self._watches = Watches(watcher, f"{name}: " if name else "", accesses)
        self._raw: bytes | None = None
        self._copies = Copies()
        self._live = read_live(self.views, self.declared, release=self.options.release)
        self._follower = RingFollower(self.views, self.options.quantum_ns)
        self._accesses = AccessObserver(platform, self.views, self._watches, self._roles)
        self._tells_accesses = accesses is not None
        is_unnamed = self.declared.location is None and self.options.locator is None and not self.options.vrings
        self._rings_found = VringSearch()
        self._search = TableSearch() if is_unnamed and len(images) == len(ROLES) else None
        self._takes = self._how_taken()
        if self._tells_accesses:
            self._accesses.guard_stacks(self.run, images, vector_tables or {})
        self._watch_table()

    # what others ask

    @property
    def live(self) -> LiveView:
        """The table and all that it leads to, as last seen."""
        return self._live

    @property
    def profile(self) -> Profile:
        """The profile in force: given, or chosen by the table."""
        return self.options.profile or self._chosen()[0]

    @property
    def profile_reason(self) -> str:
        """Why this profile."""
        return "given" if self.options.profile else self._chosen()[1]

    def _chosen(self) -> tuple[Profile, str]:
        return choose_profile(self.declared.scan or self._live.scan)

    def is_answered(self) -> bool:
        """Of what was offered through any ring, something was used; true as well when nothing was offered yet."""
        steps = {milestone.name.partition(" first buffer ")[2] for milestone in self.run.milestones}
        return "used" in steps or "available" not in steps

    def is_up(self) -> bool:
        """Every vdev at DRIVER_OK and every vring resolved in both views, in the table as last seen."""
        return self._live.is_up

    @property
    def last_activity_ns(self) -> int:
        """When shared memory was last written or a notification last sent."""
        return self.run.last_activity_ns

    @property
    def tells(self) -> frozenset[str]:
        """Roles of the cores whose every access to what is observed is told."""
        return self._accesses.tells

    @property
    def places(self) -> Places | None:
        """What lies where, as accesses were sorted last; None: none were told."""
        return self._accesses.places

    def hand_out(self, vdev: str, where: str) -> None:
        """The device of a vdev (``vdev[1]``) is another process from now on, and the run one that does not repeat."""
        self.run.outside.add(vdev)
        self.run.notes.add(f"{vdev} is worked by another process ({where}): a run with it does not repeat")

    def snapshot(self) -> object:
        """A copy of everything that was seen, for :meth:`restore`."""
        seen = self._copies.copy((self.run, self._raw, self._follower.published))
        looked = self.declared, self._live, self._follower.io
        return seen, looked, self._copy_of(self._search), self._rings_found.rings, self._watches.save()

    def restore(self, snapshot: object) -> None:
        """Go back to a copy; the board goes back too."""
        assert isinstance(snapshot, tuple)
        seen, looked, search, rings, watched = snapshot
        self._watches.restore(watched)
        self._rings_found = VringSearch(rings)
        self.run, self._raw, self._follower.published = self._copies.copy(seen)
        self.declared, self._live, self._follower.io = looked
        self._accesses.forget()
        self._search = self._copy_of(search)

    def is_stopped(self) -> bool:
        """Main has shut every vdev down in order: it took DRIVER_OK back, the remote acknowledged STOP or is held."""
        vdevs, table, remote = self._live.vdevs, self._live.table, self.run.cores[REMOTE]
        if not vdevs or table is None or self._live.is_given or remote.lockup or remote.faults:
            return False
        is_held = remote.state is CoreState.HELD
        is_acknowledged = CommandWord(table.header.reserved[0]).code is CommandCode.ACK
        return (is_held or is_acknowledged) and all(
            (by := self.run.stopped.get(vdev.path)) is not None and by.role == MAIN for vdev in vdevs
        )

    @staticmethod
    def _copy_of(search: TableSearch | None) -> TableSearch | None:
        return None if search is None else TableSearch(search.notifications, dict(search.candidates))

    def finish(
        self,
        time_ns: int,
        ended: str,
        states: Mapping[str, CoreState] | None = None,
        backtraces: Mapping[str, Backtrace] | None = None,
        waiting: Mapping[str, Waiting | None] | None = None,
        exceptions: Mapping[str, int] | None = None,
        unmet: Unmet | None = None,
        caches: Mapping[str, DataCache | None] | None = None,
        barriers: Mapping[str, Barriers] | None = None,
        device_memory: Mapping[str, tuple[Extent, ...]] | None = None,
        *,
        cut: Cut = Cut.BY_NOBODY,
    ) -> None:
        """The run has ended, at least for now: look once more, and note where each core (by name) is (its state, its
        backtrace, what it polls, the number of the exception whose handler it is in), and what it was to wait for in
        vain. An engine that failed (``cut``) is not asked for memory once more.
        """
        self.run.time_ns, self.run.ended, self.run.cut, self.run.unmet = time_ns, ended, cut, unmet
        for core in self.run.cores.values():
            core.state = (states or {}).get(core.name, core.state)
            core.backtrace = (backtraces or {}).get(core.name, core.backtrace)
            core.waiting = (waiting or {}).get(core.name)
            core.exception = (exceptions or {}).get(core.name, 0)
            core.data_cache = (caches or {}).get(core.name)
            if exceptions is not None and core.name in exceptions:
                core.served.finish(core.exception, core.acted_ns)
        if cut is not Cut.BY_ENGINE:
            self._look(Actor(time_ns, ""))
        self.run.history.tells = self._accesses.tells
        orders = self.run.orders
        if orders is not None:
            self._accesses.finish(self.run, self._live)
            orders.counted = {
                role: found for name, found in (barriers or {}).items() if (role := self._roles.get(name))
            }
            found = (device_memory or {}).items()
            orders.device_memory = {self._roles[name]: extents for name, extents in found if name in self._roles}

    # what the engine says

    def on_event(self, event: Event) -> None:
        """Take the next event; in order."""
        time_ns, detail, run = event.time_ns, event.detail, self.run
        role = self._roles.get(event.core, event.core)
        if type(detail) is Changed:
            watched = self._watches.find(detail.watch)
            if watched is None:
                return  # of another pair, or of nobody's pair
            run.time_ns = max(run.time_ns, time_ns)
            self._on_changed(time_ns, role, watched)
            return
        run.time_ns = max(run.time_ns, time_ns)
        take = self._takes.get(type(detail))
        if take is not None:
            take(time_ns, role, detail)

    def _how_taken(self) -> dict[type[Any], Callable[[int, str, Any], None]]:
        """By the kind of event: what takes it, with its time and the role of the core (the name of one without)."""
        return {
            Accessed: self._on_accessed,
            NotificationSent: self._on_sent,
            NotificationIgnored: self._on_ignored,
            Fenced: self._on_fenced,
            Incoherent: self._on_incoherent,
            NotificationListened: self._on_listened,
            FaultInjected: self._on_injected,
            NotificationTaken: self._on_taken,
            UnmodelledAccess: self._on_unmodelled,
            Note: self._on_note,
            **dict.fromkeys(SEEN_OF_CORES, self._on_core),
        }

    def _on_accessed(self, _time_ns: int, role: str, detail: Accessed) -> None:
        if role in self.run.cores:
            self._accesses.see(self.run, self._live, role, detail)

    def _on_fenced(self, _time_ns: int, role: str, detail: Fenced) -> None:
        run = self.run
        if role in run.cores and run.orders is not None:
            run.orders.fence(role, detail.barriers)

    def _on_incoherent(self, _time_ns: int, role: str, detail: Incoherent) -> None:
        if role in self.run.cores:
            self.run.coherence.see(role, detail, self._roles)

    def _on_listened(self, time_ns: int, role: str, detail: NotificationListened) -> None:
        for number in detail.channels if role else ():
            channel = Channel(role, detail.mailbox, number)
            self.run.ledger.listens(channel, time_ns, waiting=number in detail.waiting)

    def _on_injected(self, time_ns: int, role: str, detail: FaultInjected) -> None:
        self.run.last_activity_ns = time_ns  # what follows from it is waited for
        self.run.injected.append(Injected(time_ns, role, detail.fault, detail.what))

    def _is_foreign(self, role: str) -> bool:
        """A core of another pair: what it does reaches this one by memory and notifications only."""
        return role != "" and role not in self.run.cores

    def _on_taken(self, time_ns: int, role: str, detail: NotificationTaken) -> None:
        if not self._is_foreign(role):
            see_taken(self.run, time_ns, role, detail)

    def _on_unmodelled(self, _time_ns: int, role: str, detail: UnmodelledAccess) -> None:
        if not self._is_foreign(role):
            self.run.see_unmodelled(self._name_of(role), detail, self.platform.registers)

    def _on_note(self, _time_ns: int, role: str, detail: Note) -> None:
        if not self._is_foreign(role):
            self.run.notes.add(f"{self._name_of(role)}: {detail.text}" if role else detail.text)

    def _name_of(self, role: str) -> str:
        core = self.run.cores.get(role)
        return role if core is None else core.name

    def _on_core(self, time_ns: int, role: str, detail: Detail) -> None:
        core = self.run.cores.get(role)
        if core is not None:
            see_core(self.run, time_ns, core, detail)

    def on_ring_fault(self, time_ns: int, error: RingError, ring: str, role: str) -> None:
        """A core that is played in Python met what its peer, of this role, did wrong on a ring."""
        self.run.traffic.ring(ring).fault(error, Actor(time_ns, role))

    def _channel_of(self, time_ns: int, detail: NotificationSent | NotificationIgnored) -> Channel | None:
        """By which this pair is doing something right now; None: it is another pair's."""
        target = self._roles.get(detail.target)
        if target is None:
            return None
        self.run.last_activity_ns = time_ns
        return Channel(target, detail.mailbox, detail.channel)

    def _on_ignored(self, time_ns: int, _role: str, detail: NotificationIgnored) -> None:
        channel, ledger = self._channel_of(time_ns, detail), self.run.ledger
        if channel is None:
            return
        ledger.ignored[channel] += 1
        ledger.last_ignored_ns[channel] = time_ns
        if detail.pc is not None:
            ledger.last_ignored_pc[channel] = detail.pc

    def _on_sent(self, time_ns: int, role: str, detail: NotificationSent) -> None:
        channel, ledger = self._channel_of(time_ns, detail), self.run.ledger
        if channel is None:
            return
        target = channel.target
        ledger.sent[channel] += 1
        ledger.last_sent_ns[channel] = time_ns
        ledger.recent.append((time_ns, target))
        if self.run.orders is not None and role in self.run.cores:
            self.run.orders.notify(role, time_ns)
        sender = role if role and role != target else other_role(target)
        self._look(Actor(time_ns, sender))  # what it published before it rang
        self._follower.vote(self.run, sender, channel)
        core = self.run.cores.get(sender)
        if core is not None:
            if not core.has_notified:
                self.run.reach(time_ns, sender, f"first notification to {target}", str(channel))
            core.has_notified = True
            core.act(time_ns)
        if self._search is not None and self._search.is_due():
            self._search.look(self.views, self.images, self._watches, self.options.release)
            if not self._search.candidates and self._rings_found.look(self.views):
                for each in self._rings_found.rings:
                    name = f"vring at {each.extent.start:#010x}"
                    self._watches.set(WatchedKind.CANDIDATE, name, self.views.name(MAIN), each.extent)

    def _on_candidate(self, time_ns: int, role: str, watched: Watched) -> None:
        """What reads as a table has changed, or one of its rings: it is in use, and followed from now on."""
        if self._search is None or role not in self.run.cores:
            return
        self.run.last_activity_ns = time_ns
        if self._rings_found.changed(watched.extent):
            self._follow_rings(time_ns)
            return
        found = self._search.changed(self.views, watched.extent)
        if found is None:
            return
        self._search = None
        self.declared = found.live.declared
        location = self.declared.location
        self.run.reach(time_ns, "", "table found", location.how if location is not None else "")
        for ring in found.live.rings:
            self.run.dynamic[ring.path] = ring.entry.is_dynamic
        for path, used_idx in found.begun.items():
            self.run.traffic.follow_from(path, used_idx)
        self._watch_table()
        self._table_has_changed()
        self._read_table(Actor(time_ns, role))
        self._look(Actor(time_ns, ""))  # who put what is under way into the rings, nobody has seen

    def _follow_rings(self, time_ns: int) -> None:
        """Vrings without a table are in use, and followed from now on."""
        rings, self._search = self._rings_found.rings, None
        self.declared = declared_by_vrings(tuple(each.vring for each in rings))
        self.run.reach(time_ns, "", "vrings found", ", ".join(str(each.vring) for each in rings))
        for index, each in enumerate(rings):
            path = f"vdev[{index // 2}].vring[{index % 2}]"
            self.run.dynamic[path] = False
            self.run.traffic.follow_from(path, each.used_idx)
        self._watch_table()
        self._read_table(Actor(time_ns, ""))
        self._look(Actor(time_ns, ""))

    def _on_changed(self, time_ns: int, role: str, watched: Watched) -> None:
        if watched.kind is WatchedKind.CANDIDATE:
            self._on_candidate(time_ns, role, watched)
            return
        self.run.last_activity_ns = time_ns
        core = self.run.cores.get(role)
        if core is not None:
            core.has_written = True
            core.act(time_ns)
        if watched.kind is not WatchedKind.CARVEOUT:
            self._look(Actor(time_ns, role))

    # looking at memory

    def _look(self, by: Actor) -> None:
        if self._table_has_changed():
            self._read_table(by)
        self._follower.sync(self.run, self._live, by)
        if self._tells_accesses:
            self._accesses.observe_buffers(self.run, self._live)
        if self.run.up_ns is None and self.is_up():
            self.run.up_ns = by.time_ns

    def _table_has_changed(self) -> bool:
        extent = self._live.extent
        if extent is None:
            return self._live.is_given  # whether it is ready is read from the rings
        try:
            raw = self.views.memories[self._live.role].read(extent.start, max(extent.size, 16))
        except RptwinError:
            return False
        changed, self._raw = raw != self._raw, raw
        return changed

    def _read_table(self, by: Actor) -> None:
        before = self._live
        self._live = read_live(self.views, self.declared, release=self.options.release, dynamic=self.run.dynamic)
        self._follower.io = {vdev.path: self._live.io_region(vdev, self.views) for vdev in self._live.vdevs}
        for ring in self._live.rings:
            self.run.dynamic.setdefault(ring.path, bool(ring.was_dynamic))
            if ring.entry.is_dynamic:
                self.run.dynamic[ring.path] = True
        note_progress(self.run, self._live, before, by)
        watch_live(self._watches, self.views, self._live)

    # watches

    def _watch_table(self) -> None:
        location = self.declared.location
        if location is None:
            watch_live(self._watches, self.views, self._live)
            return
        size = min(len(self.declared.data) or location.size or _FIRST_LOOK, TABLE_LIMIT)
        span = self.views.span_at(location.role, TABLE, location.address, 16)
        role = self._live.role
        extent = span.seen_by(role)
        while extent is not None and size > 16 and not self.views.reaches(role, Extent(extent.start, size)):
            size //= 2
        if extent is not None:
            self._watches.set(WatchedKind.TABLE, TABLE, self.views.name(role), Extent(extent.start, max(16, size)))
        watch_live(self._watches, self.views, self._live)
