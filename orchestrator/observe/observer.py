"""Follows a run: fed with events, it watches the table, the rings and the carveouts, and attributes what changes.

It drives nothing but its watches, reads memory only, and uses as much memory for a long run as for a short one.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.base.durations import DEFAULT_QUANTUM_NS
from orchestrator.base.errors import RingError, RptwinError
from orchestrator.base.memory import Extent, Memory
from orchestrator.base.roles import MAIN, REMOTE, ROLES, Side, other_role
from orchestrator.events import (
    SYSTEM_RESET,
    Accessed,
    Backtrace,
    Changed,
    CoreState,
    DataCache,
    Event,
    ExceptionReturn,
    ExceptionTaken,
    Fault,
    GuestError,
    Lockup,
    Note,
    NotificationIgnored,
    NotificationListened,
    NotificationSent,
    NotificationTaken,
    StateChanged,
    UnmodelledAccess,
    Waiting,
)
from orchestrator.formats.elf import Image
from orchestrator.formats.locator import TableLocator
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.formats.resource_entry import (
    VIRTIO_CONFIG_S_ACKNOWLEDGE,
    VIRTIO_CONFIG_S_DRIVER,
    VIRTIO_CONFIG_S_DRIVER_OK,
    VIRTIO_CONFIG_S_NEEDS_RESET,
    CommandCode,
    CommandWord,
    Profile,
)
from orchestrator.formats.resource_table import Table
from orchestrator.formats.translation import AddressRange
from orchestrator.observe.declared import TABLE_LIMIT, DeclaredTable, choose_profile, find_declared
from orchestrator.observe.found import TableSearch
from orchestrator.observe.history import Places
from orchestrator.observe.live import LiveView, read_live
from orchestrator.observe.offsets import IoRegion
from orchestrator.observe.run import Channel, CoreRun, Run, Unmet
from orchestrator.observe.traffic import Actor, MessageLog, RingFault, RingTraffic
from orchestrator.observe.views import Views
from orchestrator.observe.watches import AccessWatcher, Watched, WatchedKind, Watcher, Watches
from orchestrator.platform.model import Platform

__all__ = ["ObserveOptions", "Observer"]

_TABLE = "table"
_FIRST_LOOK = 512  # bytes watched for a table whose size nobody knows yet
_MOST_EXTENTS = 64  # buffers all over the place: the rest goes unobserved
_LATE_NS = 1_000_000  # a receiver that is told looks long before: who looks only then was woken by something else
_STATUS_MILESTONES = (
    (VIRTIO_CONFIG_S_ACKNOWLEDGE, "ACKNOWLEDGE"),
    (VIRTIO_CONFIG_S_DRIVER, "DRIVER"),
    (VIRTIO_CONFIG_S_DRIVER_OK, "DRIVER_OK"),
)


@dataclass(frozen=True, slots=True)
class ObserveOptions:
    """How to look at a board; None: find out."""

    profile: Profile | None = None
    locator: TableLocator | None = None
    maps: tuple[AddressRange, ...] = ()
    notify: Mapping[str, int] = field(default_factory=dict)  # ring path to channel
    release: NuttxRelease | None = None
    quantum_ns: int = DEFAULT_QUANTUM_NS


@dataclass(frozen=True, slots=True)
class _Published:
    """Since when something waits on a ring whose receiver wants to be told of it; None: nothing does."""

    offered_ns: int | None  # messages, for the device
    returned_ns: int | None  # for the driver

    @classmethod
    def of(cls, ring: RingTraffic) -> _Published:
        """As it was at the last look."""
        tells = not ring.is_pool and not ring.suppress_available
        offered = min((chain.posted_ns for chain in ring.outstanding.values()), default=None) if tells else None
        return cls(offered, ring.oldest_unseen_ns if ring.is_pool and not ring.suppress_used else None)


class Observer:
    """One run of one pair of cores. ``memories`` are by core name, ``images`` by role, the roles those of ``platform``.

    ``name`` sets its watches apart from those of the observers of other pairs on the same engine. What other cores do
    counts only as far as it reaches this pair.
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
    ) -> None:
        self.platform = platform
        self.images = images
        self.options = options or ObserveOptions()
        names = {role: platform.core(role).name for role in ROLES}
        self.views = Views.of({role: memories[name] for role, name in names.items()}, platform, self.options.maps)
        self.declared: DeclaredTable = find_declared(images, self.options.locator)
        self.run = Run({role: CoreRun(role, name) for role, name in names.items()})
        self._roles = {name: role for role, name in names.items()}
        self._watches = Watches(watcher, f"{name}: " if name else "", accesses)
        self._raw: bytes | None = None
        self._live = read_live(self.views, self.declared, release=self.options.release)
        self._io: dict[str, IoRegion] = {}  # by vdev
        self._published: dict[tuple[str, str], set[str]] = {}  # rings, by who published and for whom
        self._places: Places | None = None
        self._tells_accesses = accesses is not None
        is_unnamed = self.declared.location is None and self.options.locator is None
        self._search = TableSearch() if is_unnamed and len(images) == len(ROLES) else None
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
        vdevs = self._live.vdevs
        return (
            bool(vdevs)
            and self._live.is_as_declared
            and all(vdev.is_driver_ok and vdev.rings and all(r.is_resolved for r in vdev.rings) for vdev in vdevs)
        )

    @property
    def last_activity_ns(self) -> int:
        """When shared memory was last written or a notification last sent."""
        return self.run.last_activity_ns

    def snapshot(self) -> object:
        """A copy of everything that was seen, for :meth:`restore`."""
        seen = copy.deepcopy((self.run, self._raw, self._published))
        return seen, self.declared, self._copy_of(self._search)

    def restore(self, snapshot: object) -> None:
        """Go back to a copy; the board's memory must have gone back first."""
        assert isinstance(snapshot, tuple)
        seen, self.declared, search = snapshot
        self.run, self._raw, self._published = copy.deepcopy(seen)
        self._search = self._copy_of(search)
        self._read_table()
        self._watch_live()

    def is_stopped(self) -> bool:
        """Main has shut every vdev down in order: it took DRIVER_OK back, the remote acknowledged STOP or is held."""
        vdevs, table = self._live.vdevs, self._live.table
        if not vdevs or table is None or self.run.cores[REMOTE].lockup or self.run.cores[REMOTE].faults:
            return False
        is_held = self.run.cores[REMOTE].state is CoreState.HELD
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
        *,
        readable: bool = True,
    ) -> None:
        """The run has ended, at least for now: look once more, and note where each core (by name) is (its state, its
        backtrace, what it polls, the number of the exception whose handler it is in), and what it was to wait for in
        vain. Memory that an engine which failed cannot read any more says nothing of firmware: then ``readable`` is
        False.
        """
        self.run.time_ns, self.run.ended, self.run.unmet = time_ns, ended, unmet
        for core in self.run.cores.values():
            core.state = (states or {}).get(core.name, core.state)
            core.backtrace = (backtraces or {}).get(core.name, core.backtrace)
            core.waiting = (waiting or {}).get(core.name)
            core.exception = (exceptions or {}).get(core.name, 0)
            core.data_cache = (caches or {}).get(core.name)
            if exceptions is not None and core.name in exceptions:
                core.served.finish(core.exception, core.acted_ns)
        if readable:
            self._look(Actor(time_ns, ""))

    # what the engine says

    def on_event(self, event: Event) -> None:
        """Take the next event; in order."""
        role, detail = self._roles.get(event.core, event.core), event.detail
        watched = self._watches.find(detail.watch) if isinstance(detail, Changed) else None
        if isinstance(detail, Changed) and watched is None:
            return  # of another pair, or of nobody's pair
        self.run.time_ns = max(self.run.time_ns, event.time_ns)
        if watched is not None and watched.kind is WatchedKind.CANDIDATE:
            self._on_candidate(event.time_ns, role, watched)
        elif watched is not None:
            self._on_changed(event.time_ns, role, watched.kind)
        elif isinstance(detail, Accessed):
            if role in self.run.cores:
                self._on_accessed(role, detail)
        elif isinstance(detail, NotificationListened):
            for number in detail.channels if role else ():
                channel = Channel(role, detail.mailbox, number)
                self.run.ledger.listens(channel, event.time_ns, waiting=number in detail.waiting)
        elif isinstance(detail, NotificationSent | NotificationIgnored):
            self._on_notification(event.time_ns, role, detail)
        elif role and role not in self.run.cores:
            return  # a core of another pair: what it does reaches this one by memory and notifications only
        elif isinstance(detail, NotificationTaken):
            self._on_taken(event.time_ns, role, detail)
        elif isinstance(detail, UnmodelledAccess):
            self.run.see_unmodelled(event.core, detail)
        elif isinstance(detail, Note):
            self.run.notes.add(f"{event.core}: {detail.text}" if event.core else detail.text)
        elif role:
            self._on_core(event.time_ns, self.run.cores[role], detail)

    def on_ring_fault(self, time_ns: int, error: RingError, ring: str, role: str) -> None:
        """A core that is played in Python met what its peer, of this role, did wrong on a ring."""
        found = RingFault.of(error, ring, Actor(time_ns, role))
        self.run.traffic.ring(ring).faults.setdefault(error.rule, found)

    def _on_core(self, time_ns: int, core: CoreRun, detail: object) -> None:
        if isinstance(detail, ExceptionTaken):
            core.see_exception(time_ns, detail.number, detail.return_address)
        elif isinstance(detail, ExceptionReturn):
            core.served.leave(detail.number, detail.address)
        elif isinstance(detail, StateChanged):
            core.state, core.why = detail.state, detail.why
            core.acted_ns = time_ns
            if detail.why.startswith(SYSTEM_RESET):
                core.resets += 1
                if detail.backtrace or core.last_reset is None:
                    core.last_reset = (time_ns, detail)
            if detail.state is CoreState.SLEEPING:
                core.slept = True
                core.slept_ns = time_ns
                core.act(time_ns)
            elif detail.state is CoreState.RUNNING and core.released_ns is None:
                core.released_ns = time_ns
                self.run.reach(time_ns, core.role, "released", detail.why)
        elif isinstance(detail, Fault):
            self.run.see_fault(core, time_ns, detail)
            self.run.reach(time_ns, core.role, "fault", detail.what)
        elif isinstance(detail, Lockup):
            core.lockup = core.lockup or (time_ns, detail)
            core.state = CoreState.LOCKED_UP
            self.run.reach(time_ns, core.role, "lockup", detail.what)
        elif isinstance(detail, GuestError):
            self.run.see_error(core, time_ns, detail)

    def _on_taken(self, time_ns: int, role: str, detail: NotificationTaken) -> None:
        ledger = self.run.ledger
        for number in detail.channels or (None,):
            ledger.taken[Channel(role, detail.mailbox, number)] += 1
        ledger.last_taken_ns[role] = time_ns

    def _on_notification(self, time_ns: int, role: str, detail: NotificationSent | NotificationIgnored) -> None:
        ledger = self.run.ledger
        target = self._roles.get(detail.target)
        if target is None:
            return  # a core of another pair
        channel = Channel(target, detail.mailbox, detail.channel)
        self.run.last_activity_ns = time_ns
        if isinstance(detail, NotificationIgnored):
            ledger.ignored[channel] += 1
            ledger.last_ignored_ns[channel] = time_ns
            return
        ledger.sent[channel] += 1
        ledger.last_sent_ns[channel] = time_ns
        ledger.recent.append((time_ns, target))
        sender = role if role and role != target else other_role(target)
        self._look(Actor(time_ns, sender))  # what it published before it rang
        self._vote(sender, channel)
        if sender in self.run.cores:
            self.run.cores[sender].sent += 1
            self.run.cores[sender].act(time_ns)
            self.run.reach(time_ns, sender, f"first notification to {target}", str(channel))
        if self._search is not None and self._search.is_due():
            self._search.look(self.views, self.images, self._watches, self.options.release)

    def _on_candidate(self, time_ns: int, role: str, watched: Watched) -> None:
        """What reads as a table has changed, or one of its rings: it is in use, and followed from now on."""
        if self._search is None or role not in self.run.cores:
            return
        self.run.last_activity_ns = time_ns
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

    def _on_changed(self, time_ns: int, role: str, kind: WatchedKind) -> None:
        self.run.last_activity_ns = time_ns
        if role in self.run.cores:
            self.run.cores[role].shared_writes += 1
            self.run.cores[role].act(time_ns)
        if kind is not WatchedKind.CARVEOUT:
            self._look(Actor(time_ns, role))

    def _on_accessed(self, role: str, detail: Accessed) -> None:
        """What a core did in its turn, before what it changed is looked at."""
        both = self._watches.told is not None and self._roles.keys() <= self._watches.told
        self.run.history.see(role, detail.accesses, self._placed(), self.run.traffic, knows_owners=both)

    def _placed(self) -> Places:
        """What lies where by now."""
        buffers = self.run.traffic.buffers
        if self._places is None or self._places.live is not self._live or self._places.count != len(buffers):
            self._places = Places(self._live, self.views, buffers)
        return self._places

    def _observe_buffers(self) -> None:
        """Have the buffers observed that rings have named since the last time."""
        if self._places is not None and self._places.count == len(self.run.traffic.buffers):
            return
        places = self._placed()
        for role in ROLES:
            for number, extent in enumerate(places.extents(role)):
                if number < _MOST_EXTENTS:
                    name = f"buffers {role} {number}"
                    self._watches.set(WatchedKind.BUFFERS, name, self.views.name(role), extent)

    # looking at memory

    def _look(self, by: Actor) -> None:
        if self._table_has_changed():
            self._read_table(by)
        self._sync_rings(by)
        if self._tells_accesses:
            self._observe_buffers()
        if self.run.up_ns is None and self.is_up():
            self.run.up_ns = by.time_ns

    def _table_has_changed(self) -> bool:
        span = self._live.span
        extent = None if span is None else span.seen_by(self._live.role)
        if extent is None:
            return False
        try:
            raw = self.views.memories[self._live.role].read(extent.start, max(extent.size, 16))
        except RptwinError:
            return False
        changed, self._raw = raw != self._raw, raw
        return changed

    def _read_table(self, by: Actor | None = None) -> None:
        before = self._live
        self._live = read_live(self.views, self.declared, release=self.options.release, dynamic=self.run.dynamic)
        self._io = {vdev.path: self._live.io_region(vdev, self.views) for vdev in self._live.vdevs}
        for ring in self._live.rings:
            self.run.dynamic.setdefault(ring.path, bool(ring.was_dynamic))
            if ring.entry.is_dynamic:
                self.run.dynamic[ring.path] = True
        if by is not None:
            self._note_progress(by, before)
            self._watch_live()

    def _note_progress(self, by: Actor, before: LiveView) -> None:
        run, live = self.run, self._live
        if live.is_as_declared and not before.is_as_declared:
            for role in live.others:
                run.reach(by.time_ns, by.role, f"table present as {role} sees it")
        old = {ring.path: ring for ring in before.rings}
        for ring in live.rings:
            was = old.get(ring.path)
            if was is not None and was.span != ring.span and was.has_address:
                run.traffic.restart(ring.path)
            if ring.is_resolved:
                run.reach(by.time_ns, by.role, f"{ring.path} resolved", str(ring.span))
        for vdev in live.vdevs:
            earlier = next((v.status for v in before.vdevs if v.path == vdev.path), 0)
            for bit, name in _STATUS_MILESTONES:
                if vdev.status & bit and not earlier & bit:
                    run.reach(by.time_ns, by.role, f"{vdev.path} {name}")
            if vdev.is_driver_ok:
                run.stopped.pop(vdev.path, None)
            elif earlier & VIRTIO_CONFIG_S_DRIVER_OK and vdev.status in (0, VIRTIO_CONFIG_S_NEEDS_RESET):
                run.stopped[vdev.path] = by

    def _sync_rings(self, by: Actor) -> None:
        traffic = self.run.traffic
        for vdev in self._live.vdevs:
            log = traffic.messages.setdefault(vdev.path, MessageLog(vdev.sides)) if vdev.is_rpmsg else None
            for ring in vdev.rings:
                queue = ring.open(self.views)
                if queue is None:
                    continue
                before = _Published.of(traffic.ring(ring.path))
                posted, used = traffic.sync(queue, self.views, by, vdev.sides, log, self._io.get(vdev.path))
                if posted and before.returned_ns is not None:
                    self._note_late(ring.path, Side.DRIVER, vdev.role_of(Side.DRIVER), before.returned_ns, by)
                if used and before.offered_ns is not None:
                    self._note_late(ring.path, Side.DEVICE, vdev.role_of(Side.DEVICE), before.offered_ns, by)
                if posted:
                    self._publish(by.role, vdev.role_of(Side.DEVICE), ring.path)
                    self.run.reach(by.time_ns, by.role, f"{ring.path} first buffer available")
                if used:
                    self._publish(by.role, vdev.role_of(Side.DRIVER), ring.path)
                    self.run.reach(by.time_ns, by.role, f"{ring.path} first buffer used")
                # What stands in a ring before DRIVER_OK may be anything: where it makes no sense, start from nothing.
                if not vdev.is_driver_ok and traffic.ring(ring.path).faults:
                    traffic.restart(ring.path, counting=False)
            traffic.settle(vdev.path)
            if log is not None:
                self._note_messages(log, vdev.path)

    def _note_late(self, path: str, side: Side, role: str, published_ns: int, by: Actor) -> None:
        """A side has found what was published long before, and nothing had told it in time."""
        begin, end = published_ns - self.options.quantum_ns, published_ns + _LATE_NS
        told = self.run.ledger.told_between(role, begin, end)
        if by.role == role and by.time_ns > end and told is False:
            self.run.traffic.ring(path).see_late(side, published_ns, by.time_ns)

    def _note_messages(self, log: MessageLog, path: str) -> None:
        for side in log.sent:
            name = f"{path} first message from {log.sides.role_of(side)}"
            if self.run.milestone(name) is None:
                first = next((each for each in log.first if each.side is side), None)
                if first is not None:
                    self.run.reach(first.time_ns, first.sender, name, first.text)
        for record in log.announced:
            self.run.reach(record.time_ns, record.sender, f"{path} name service: {record.text}")

    def _publish(self, role: str, target: str, ring: str) -> None:
        """A core has something on a ring for another one, of which it has not told it yet."""
        self._published.setdefault((role, target), set()).add(ring)
        self.run.ledger.votes.setdefault((ring, target), Counter())

    def _vote(self, sender: str, channel: Channel) -> None:
        """A core that published on one ring only since it last rang another one tells which channel serves it."""
        rings = self._published.pop((sender, channel.target), set())
        if len(rings) == 1:
            self.run.ledger.votes[next(iter(rings)), channel.target][channel.number] += 1

    # watches

    def _watch_table(self) -> None:
        location = self.declared.location
        if location is None:
            return
        size = min(len(self.declared.data) or location.size or _FIRST_LOOK, TABLE_LIMIT)
        span = self.views.span_at(location.role, _TABLE, location.address, 16)
        role = self._live.role
        extent = span.seen_by(role)
        while extent is not None and size > 16 and not self.views.reaches(role, Extent(extent.start, size)):
            size //= 2
        if extent is not None:
            self._watches.set(WatchedKind.TABLE, _TABLE, self.views.name(role), Extent(extent.start, max(16, size)))
        self._watch_live()

    def _watch_live(self) -> None:
        live = self._live
        table: Table | None = live.table
        if table is not None:
            self._watches.set(WatchedKind.TABLE, _TABLE, self.views.name(live.role), Extent(table.address, table.size))
        for kind, path, span in [
            *((WatchedKind.RING, ring.path, ring.span) for ring in live.rings),
            *((WatchedKind.CARVEOUT, each.entry.at.path, each.span) for each in live.carveouts),
        ]:
            if span is not None:
                role = next((role for role in ROLES if span.seen_by(role) is not None), MAIN)
                self._watches.set(kind, path, self.views.name(role), span.seen_by(role))
