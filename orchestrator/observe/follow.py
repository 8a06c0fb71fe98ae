"""Following the rings: what each look at them says of who published what, and whether the other side was told."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.roles import Side, Sides
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.virtqueue import SplitRing
from orchestrator.observe.live import LiveVdev, LiveView
from orchestrator.observe.offsets import IoRegion
from orchestrator.observe.run import Channel, Run
from orchestrator.observe.traffic import Actor, MessageLog, RingTraffic, heads_of
from orchestrator.observe.views import Views

__all__ = ["RingFollower"]

_LATE_NS = 1_000_000  # a receiver that is told looks long before: who looks only then was woken by something else


class _Published(NamedTuple):
    """Since when something waits on a ring whose receiver wants to be told of it; None: nothing does."""

    offered_ns: int | None  # messages, for the device
    returned_ns: int | None  # for the driver

    @classmethod
    def of(cls, ring: RingTraffic) -> _Published:
        """As it was at the last look."""
        tells = not ring.is_pool and ring.suppress_available is None
        # They stand in the order of their offers.
        oldest = next(iter(ring.outstanding.values()), None) if tells else None
        offered = oldest.posted_ns if oldest is not None else None
        return cls(offered, ring.oldest_unseen_ns if ring.is_pool and ring.suppress_used is None else None)


@dataclass(frozen=True, slots=True)
class _Followed:
    """What the table says of a vdev, worked out once for as long as it says so."""

    vdev: LiveVdev
    path: str
    sides: Sides
    is_rpmsg: bool
    is_driver_ok: bool
    features: Feature | None
    has_event_idx: bool
    queues: tuple[SplitRing, ...]  # those that have memory

    @classmethod
    def of(cls, vdev: LiveVdev, queues: tuple[SplitRing, ...]) -> _Followed:
        """By its entry, and its rings as they were opened."""
        features = vdev.features
        has_event_idx = features is not None and Feature.EVENT_IDX in features
        return cls(vdev, vdev.path, vdev.sides, vdev.is_rpmsg, vdev.is_driver_ok, features, has_event_idx, queues)


class RingFollower:
    """Looks at the rings of a live view after turns; what it finds goes into a run."""

    def __init__(self, views: Views, quantum_ns: int) -> None:
        self._views = views
        self._quantum_ns = quantum_ns
        self.io: dict[str, IoRegion] = {}  # by vdev
        self._live: LiveView | None = None  # that was followed last
        self._vdevs: tuple[_Followed, ...] = ()  # of that
        self.published: dict[tuple[str, str], set[str]] = {}  # rings, by who published and for whom

    def sync(self, run: Run, live: LiveView, turn: Actor) -> None:
        """Look at every ring of every vdev after somebody's turn."""
        if live is not self._live:
            self._live, self._vdevs = live, tuple(self._open(vdev) for vdev in live.vdevs)
        for vdev in self._vdevs:
            self._look(run, vdev, turn)

    def _open(self, vdev: LiveVdev) -> _Followed:
        queues = (ring.open(self._views) for ring in vdev.rings)
        return _Followed.of(vdev, tuple(queue for queue in queues if queue is not None))

    def _look(self, run: Run, vdev: _Followed, turn: Actor) -> None:
        """Look at every ring of a vdev."""
        traffic, path = run.traffic, vdev.path
        log = traffic.messages.get(path) if vdev.is_rpmsg else None
        if log is None and vdev.is_rpmsg:
            log = traffic.messages[path] = MessageLog(vdev.sides)
        by, used_by = _actors(vdev, turn, is_outside=path in run.outside)
        io, moved = self.io.get(path), False
        for queue in vdev.queues:
            ring, heads = traffic.ring(queue.name), heads_of(queue)
            is_still = heads is not None and heads == ring.heads and not vdev.has_event_idx
            if is_still and (vdev.is_driver_ok or not ring.faults):
                continue
            before = _Published.of(ring)
            posted, used = traffic.sync(
                queue, self._views, by, vdev.sides, log, io, features=vdev.features, used_by=used_by, heads=heads
            )
            if posted or used:
                moved = True
                self._note_moves(run, vdev, queue.name, before, by if posted else None, used_by if used else None)
            # What stands in a ring before DRIVER_OK may be anything: where it makes no sense, start from nothing.
            if not vdev.is_driver_ok and traffic.ring(queue.name).faults:
                traffic.restart(queue.name, counting=False)
        if moved:
            traffic.settle(path)
            if log is not None and log.has_firsts():
                self._note_messages(run, log, path)

    def _note_moves(
        self, run: Run, vdev: _Followed, ring: str, before: _Published, posted_by: Actor | None, used_by: Actor | None
    ) -> None:
        """Something was made available on a ring, or used, or both."""
        driver, device = vdev.sides.role_of(Side.DRIVER), vdev.sides.role_of(Side.DEVICE)
        if posted_by is not None and before.returned_ns is not None:
            self._note_late(run, ring, Side.DRIVER, driver, before.returned_ns, posted_by)
        if used_by is not None and before.offered_ns is not None:
            self._note_late(run, ring, Side.DEVICE, device, before.offered_ns, used_by)
        if posted_by is not None:
            self._publish(run, posted_by.role, device, ring)
            run.reach(posted_by.time_ns, posted_by.role, f"{ring} first buffer available")
        if used_by is not None:
            self._publish(run, used_by.role, driver, ring)
            run.reach(used_by.time_ns, used_by.role, f"{ring} first buffer used")

    def _note_late(self, run: Run, path: str, side: Side, role: str, published_ns: int, by: Actor) -> None:
        """A side has found what was published long before, and nothing had told it in time."""
        begin, end = published_ns - self._quantum_ns, published_ns + _LATE_NS
        told = run.ledger.told_between(role, begin, end)
        if by.role == role and by.time_ns > end and told is False:
            run.traffic.ring(path).see_late(side, published_ns, by.time_ns)

    @staticmethod
    def _note_messages(run: Run, log: MessageLog, path: str) -> None:
        for side in log.sent:
            first = next((each for each in log.first if each.side is side), None)
            if first is not None:
                name = f"{path} first message from {log.sides.role_of(side)}"
                run.reach(first.time_ns, first.sender, name, first.text)
        for record in log.announced:
            run.reach(record.time_ns, record.sender, f"{path} name service: {record.text}")

    def _publish(self, run: Run, role: str, target: str, ring: str) -> None:
        """A core has something on a ring for another one, of which it has not told it yet."""
        self.published.setdefault((role, target), set()).add(ring)
        if (ring, target) not in run.ledger.votes:
            run.ledger.votes[ring, target] = Counter()

    def vote(self, run: Run, sender: str, channel: Channel) -> None:
        """A core that published on one ring only since it last rang another one tells which channel serves it."""
        rings = self.published.pop((sender, channel.target), set())
        if len(rings) == 1:
            run.ledger.votes[next(iter(rings)), channel.target][channel.number] += 1


def _actors(vdev: _Followed, turn: Actor, *, is_outside: bool) -> tuple[Actor, Actor]:
    """Who has made available and who has used what was, by a turn's end.

    A device in another process acts in any core's turn; it has the place of the core that plays the device.
    """
    if not is_outside:
        return turn, turn
    driver, device = (vdev.sides.role_of(side) for side in (Side.DRIVER, Side.DEVICE))
    return Actor(turn.time_ns, driver), Actor(turn.time_ns, device)
