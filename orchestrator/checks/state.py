"""What rules see: everything that is known of a board at one moment, and the subjects that rules judge one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import DEFAULT_QUANTUM_NS
from orchestrator.base.errors import TableError
from orchestrator.base.roles import ROLES, Side
from orchestrator.formats.elf import Image
from orchestrator.formats.resource_entry import Profile
from orchestrator.formats.resource_table import Table
from orchestrator.observe.declared import DeclaredTable
from orchestrator.observe.live import LiveRing, LiveVdev, LiveView, vdevs_of
from orchestrator.observe.run import CoreRun, Cut, Run
from orchestrator.observe.traffic import RingTraffic
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform

__all__ = [
    "REST_NS",
    "CoreImage",
    "CoreSubject",
    "RingSubject",
    "State",
    "TableSubject",
    "VdevSubject",
    "core_images",
    "cores",
    "has_left",
    "has_rested",
    "live_rings",
    "live_vdevs",
    "rings",
    "rings_at_rest",
    "states",
    "tables",
    "vdevs",
]

_PATIENCE_NS = 1_000_000_000  # of whoever cuts a run short: what has not come in so long would not have come later
REST_NS = 10_000_000  # nothing written and nobody notified for so long: what is still under way will stay so


@dataclass(frozen=True)
class State:
    """A board at one moment; each part None when it is not known (a file has no memory), and the run an empty one where
    nothing ran (a dump has no past).
    """

    profile: Profile
    images: Mapping[str, Image]  # by role
    declared: DeclaredTable
    platform: Platform | None = None
    views: Views | None = None
    live: LiveView | None = None
    run: Run = field(default_factory=lambda: Run({}))
    notify: Mapping[str, int] = field(default_factory=dict)  # ring path to channel, as given
    vector_tables: Mapping[str, int] = field(default_factory=dict)  # by role; default: the image's own
    is_stopped: bool = False  # it was up, and main has shut it down in order
    turn_ns: int = DEFAULT_QUANTUM_NS  # a publication is seen at the end of the turn in which its notification was sent

    @property
    def tells_of_absence(self) -> bool:
        """What has not happened would have: the run was not cut short, or nothing had moved for long when it was. Of
        what an engine that failed has not seen nobody knows anything.
        """
        run = self.run
        if run.cut is Cut.BY_NOBODY:
            return True
        return run.cut is Cut.BY_CALLER and run.time_ns - run.last_activity_ns >= _PATIENCE_NS

    @property
    def is_at_rest(self) -> bool:
        """The run is over, and nothing had happened for ``REST_NS`` before."""
        run = self.run
        if run.ended is None or not self.tells_of_absence:
            return False
        return run.time_ns - run.last_activity_ns >= REST_NS


@dataclass(frozen=True, slots=True)
class CoreImage:
    """An image and the core that it is for."""

    state: State
    role: str
    image: Image
    vector_table: int  # load address


@dataclass(frozen=True, slots=True)
class CoreSubject:
    """A core and what it did."""

    state: State
    run: Run
    core: CoreRun


@dataclass(frozen=True, slots=True)
class TableSubject:
    """The table to judge: the one in memory, or before there is one, the one in the image."""

    state: State
    table: Table | None
    errors: tuple[TableError, ...]
    vdevs: tuple[LiveVdev, ...]
    is_live: bool
    data: bytes = b""  # from the place of the table on, as far as it is known


@dataclass(frozen=True, slots=True)
class VdevSubject:
    """A vdev of the judged table."""

    table: TableSubject
    vdev: LiveVdev

    @property
    def state(self) -> State:
        """The board."""
        return self.table.state


@dataclass(frozen=True, slots=True)
class RingSubject:
    """A vring of the judged table, and what went through it."""

    table: TableSubject
    vdev: LiveVdev
    ring: LiveRing

    @property
    def state(self) -> State:
        """The board."""
        return self.table.state

    @property
    def traffic(self) -> RingTraffic:
        """Counters; all zero when nothing was seen."""
        return self.state.run.traffic.rings.get(self.ring.path, RingTraffic(self.ring.path))


def states(state: State) -> Iterator[State]:
    """The board as a whole."""
    yield state


def core_images(state: State) -> Iterator[CoreImage]:
    """Each image with its core."""
    for role in ROLES:
        image = state.images.get(role)
        if image is not None and image.segments:
            yield CoreImage(state, role, image, state.vector_tables.get(role, image.vector_table))


def cores(state: State) -> Iterator[CoreSubject]:
    """Each core of a board that ran."""
    for core in state.run.cores.values():
        yield CoreSubject(state, state.run, core)


def tables(state: State) -> Iterator[TableSubject]:
    """The table to judge, if there is any: one, never both, as they are the same promise."""
    live, declared = state.live, state.declared.scan
    if live is not None and live.scan is not None and (declared is None or live.is_as_declared):
        if live.table is not None:
            yield TableSubject(state, live.table, live.scan.errors, live.vdevs, True)
    elif declared is not None:
        found = declared.table
        vdevs_ = tuple(vdevs_of(found, (), None, {})) if found is not None and found.header.ver == 1 else ()
        yield TableSubject(state, found, declared.errors, vdevs_, False, state.declared.data)


def vdevs(state: State) -> Iterator[VdevSubject]:
    """Each vdev of the judged table."""
    for table in tables(state):
        for vdev in table.vdevs:
            yield VdevSubject(table, vdev)


def rings(state: State) -> Iterator[RingSubject]:
    """Each vring of the judged table."""
    for subject in vdevs(state):
        for ring in subject.vdev.rings:
            yield RingSubject(subject.table, subject.vdev, ring)


def live_vdevs(state: State) -> Iterator[VdevSubject]:
    """Each vdev of the table in memory."""
    return (each for each in vdevs(state) if each.table.is_live)


def live_rings(state: State) -> Iterator[RingSubject]:
    """Each vring of the table in memory that has an address."""
    return (each for each in rings(state) if each.table.is_live and each.ring.has_address)


def has_rested(state: State, vdev: LiveVdev) -> bool:
    """The run is over, and nothing had happened on this vdev for ``REST_NS`` before, whatever the others did."""
    run = state.run
    if run.ended is None or not state.tells_of_absence:
        return False
    start = run.milestone(f"{vdev.path} DRIVER_OK")
    times = [start.time_ns] if start is not None else []
    for ring in vdev.rings:
        traffic = run.traffic.rings.get(ring.path)
        acts = (traffic.last_posted, traffic.last_used) if traffic is not None else ()
        times += [each.time_ns for each in acts if each is not None]
    return run.time_ns - max(times, default=0) >= REST_NS


def rings_at_rest(state: State) -> Iterator[RingSubject]:
    """Each vring of a vdev that is up, when nothing happens any more."""
    if state.is_at_rest:
        yield from (each for each in live_rings(state) if each.vdev.is_driver_ok)


def has_left(subject: RingSubject, side: Side | None) -> bool:
    """The core that plays a side of the vdev has destroyed all its endpoints: what comes after, it need not look at."""
    log = subject.state.run.traffic.messages.get(subject.vdev.path)
    return log is not None and side in log.left_ns
