"""Following the rings: what each look at them says of who published what, and whether the other side was told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from orchestrator.base.roles import Side
from orchestrator.formats.virtqueue import SplitRing
from orchestrator.observe.live import LiveRing, LiveVdev, LiveView
from orchestrator.observe.offsets import IoRegion
from orchestrator.observe.run import Channel, Run
from orchestrator.observe.traffic import Actor, MessageLog, RingTraffic
from orchestrator.observe.views import Views

__all__ = ["RingFollower"]

_LATE_NS = 1_000_000  # a receiver that is told looks long before: who looks only then was woken by something else


@dataclass(frozen=True, slots=True)
class _Published:
    """Since when something waits on a ring whose receiver wants to be told of it; None: nothing does."""

    offered_ns: int | None  # messages, for the device
    returned_ns: int | None  # for the driver

    @classmethod
    def of(cls, ring: RingTraffic) -> _Published:
        """As it was at the last look."""
        tells = not ring.is_pool and ring.suppress_available is None
        oldest = (
            next(iter(ring.outstanding.values()), None) if tells else None
        )  # they stand in the order of their offers
        offered = oldest.posted_ns if oldest is not None else None
        return cls(offered, ring.oldest_unseen_ns if ring.is_pool and ring.suppress_used is None else None)


class RingFollower:
    """Looks at the rings of a live view after turns; what it finds goes into a run."""

    def __init__(self, views: Views, quantum_ns: int) -> None:
        self._views = views
        self._quantum_ns = quantum_ns
        self.io: dict[str, IoRegion] = {}  # by vdev
        self._queues: dict[str, tuple[LiveRing, SplitRing | None]] = {}
        self.published: dict[tuple[str, str], set[str]] = {}  # rings, by who published and for whom

    def sync(self, run: Run, live: LiveView, turn: Actor) -> None:
        """Look at every ring of every vdev after somebody's turn."""
        traffic = run.traffic
        for vdev in live.vdevs:
            moved = False
            log = traffic.messages.get(vdev.path) if vdev.is_rpmsg else None
            if log is None and vdev.is_rpmsg:
                log = traffic.messages[vdev.path] = MessageLog(vdev.sides)
            for ring in vdev.rings:
                queue = self._open(ring)
                if queue is None:
                    continue
                before = _Published.of(traffic.ring(ring.path))
                io = self.io.get(vdev.path)
                by, used_by = _actors(vdev, turn, is_outside=vdev.path in run.outside)
                posted, used = traffic.sync(
                    queue, self._views, by, vdev.sides, log, io, features=vdev.features, used_by=used_by
                )
                moved = moved or bool(posted or used)
                if posted and before.returned_ns is not None:
                    self._note_late(run, ring.path, Side.DRIVER, vdev.role_of(Side.DRIVER), before.returned_ns, by)
                if used and before.offered_ns is not None:
                    self._note_late(run, ring.path, Side.DEVICE, vdev.role_of(Side.DEVICE), before.offered_ns, used_by)
                if posted:
                    self._publish(run, by.role, vdev.role_of(Side.DEVICE), ring.path)
                    run.reach(by.time_ns, by.role, f"{ring.path} first buffer available")
                if used:
                    self._publish(run, used_by.role, vdev.role_of(Side.DRIVER), ring.path)
                    run.reach(used_by.time_ns, used_by.role, f"{ring.path} first buffer used")
                # What stands in a ring before DRIVER_OK may be anything: where it makes no sense, start from nothing.
                if not vdev.is_driver_ok and traffic.ring(ring.path).faults:
                    traffic.restart(ring.path, counting=False)
            if moved:
                traffic.settle(vdev.path)
            if moved and log is not None:
                self._note_messages(run, log, vdev.path)

    def _open(self, ring: LiveRing) -> SplitRing | None:
        """The queue of a ring as the table has it by now."""
        known = self._queues.get(ring.path)
        if known is None or known[0] is not ring:
            known = self._queues[ring.path] = ring, ring.open(self._views)
        return known[1]

    def _note_late(self, run: Run, path: str, side: Side, role: str, published_ns: int, by: Actor) -> None:
        """A side has found what was published long before, and nothing had told it in time."""
        begin, end = published_ns - self._quantum_ns, published_ns + _LATE_NS
        told = run.ledger.told_between(role, begin, end)
        if by.role == role and by.time_ns > end and told is False:
            run.traffic.ring(path).see_late(side, published_ns, by.time_ns)

    @staticmethod
    def _note_messages(run: Run, log: MessageLog, path: str) -> None:
        for side in log.sent:
            name = f"{path} first message from {log.sides.role_of(side)}"
            if run.milestone(name) is None:
                first = next((each for each in log.first if each.side is side), None)
                if first is not None:
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


def _actors(vdev: LiveVdev, turn: Actor, *, is_outside: bool) -> tuple[Actor, Actor]:
    """Who has made available and who has used what was, by a turn's end.

    A device in another process acts in any core's turn; it has the place of the core that plays the device.
    """
    if not is_outside:
        return turn, turn
    driver, device = (vdev.role_of(side) for side in (Side.DRIVER, Side.DEVICE))
    return Actor(turn.time_ns, driver), Actor(turn.time_ns, device)
