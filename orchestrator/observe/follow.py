"""Following the rings: what each look at them says of who published what, and whether the other side was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Memory
from orchestrator.base.roles import Side, Sides
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.virtqueue import RingFlags, SplitRing
from orchestrator.observe.live import LiveVdev, LiveView
from orchestrator.observe.offsets import IoRegion
from orchestrator.observe.run import Channel, Run
from orchestrator.observe.traffic import Actor, MessageLog, RingTraffic, heads_of
from orchestrator.observe.views import Views

__all__ = ["RingFollower"]

_NEAR = 2048  # bytes
_LATE_NS = 1_000_000  # a receiver that is told looks long before: who looks only then was woken by something else


def _offered_ns(ring: RingTraffic) -> int | None:
    """Since when messages wait on a ring for a device that wants to be told, at the last look; None: none do."""
    if not ring.outstanding or ring.is_pool or ring.suppress_available is not None:
        return None
    return next(iter(ring.outstanding.values())).posted_ns  # they stand in the order of their offers


def _returned_ns(ring: RingTraffic) -> int | None:
    """The same of what was returned, for the driver."""
    return ring.oldest_unseen_ns if ring.is_pool and ring.suppress_used is None else None


class _Queue(NamedTuple):
    """A ring that has memory, and what is said of it."""

    ring: SplitRing
    path: str
    first_available: str  # milestones
    first_used: str

    @classmethod
    def of(cls, ring: SplitRing) -> _Queue:
        return cls(ring, ring.name, f"{ring.name} first buffer available", f"{ring.name} first buffer used")


@dataclass(slots=True)
class _Window:
    """From the first head of a vdev's rings to the last, where these lie close together: one look at all costs less
    than one at each, and as long as these bytes are the same, no ring has moved.
    """

    memory: Memory
    start: int
    size: int  # bytes
    offsets: tuple[tuple[int, int], ...]  # of each ring: where the heads of its available and of its used ring begin
    followed: bytes | None = None  # what every ring has been followed up to; None: not all have been

    @classmethod
    def of(cls, rings: Sequence[SplitRing]) -> _Window | None:
        """None where they lie apart."""
        starts = [(ring.layout.avail, ring.layout.used) for ring in rings]
        if not starts or any(ring.memory is not rings[0].memory for ring in rings):
            return None
        low, high = min(map(min, starts)), max(map(max, starts)) + RingFlags.size
        if high - low > _NEAR:
            return None
        return cls(rings[0].memory, low, high - low, tuple((avail - low, used - low) for avail, used in starts))

    def read(self) -> bytes | None:
        """What stands there; None: it cannot be read."""
        try:
            return self.memory.read(self.start, self.size)
        except RptwinError:
            return None

    def heads(self, seen: bytes) -> list[bytes | None]:
        """Of each ring, as :func:`heads_of` has them."""
        size = RingFlags.size
        return [seen[avail : avail + size] + seen[used : used + size] for avail, used in self.offsets]


@dataclass(frozen=True, slots=True)
class _Followed:
    """What the table says of a vdev, worked out once for as long as it says so."""

    vdev: LiveVdev
    path: str
    sides: Sides
    driver: str  # role
    device: str
    is_rpmsg: bool
    is_driver_ok: bool
    features: Feature | None
    has_event_idx: bool
    queues: tuple[_Queue, ...]
    window: _Window | None

    @classmethod
    def of(cls, vdev: LiveVdev, views: Views) -> _Followed:
        """By its entry, and its rings as they are opened."""
        features, sides = vdev.features, vdev.sides
        has_event_idx = features is not None and Feature.EVENT_IDX in features
        queues = tuple(_Queue.of(queue) for ring in vdev.rings if (queue := ring.open(views)) is not None)
        driver, device = sides.role_of(Side.DRIVER), sides.role_of(Side.DEVICE)
        return cls(
            vdev,
            vdev.path,
            sides,
            driver,
            device,
            vdev.is_rpmsg,
            vdev.is_driver_ok,
            features,
            has_event_idx,
            queues,
            _Window.of([queue.ring for queue in queues]),
        )


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
            self._live, self._vdevs = live, tuple(_Followed.of(vdev, self._views) for vdev in live.vdevs)
        for vdev in self._vdevs:
            self._look(run, vdev, turn)

    def _look(self, run: Run, vdev: _Followed, turn: Actor) -> None:
        """Look at every ring of a vdev."""
        window = vdev.window
        seen = None if window is None else window.read()
        if window is None or seen is None:
            heads = [heads_of(queue.ring) for queue in vdev.queues]
        elif seen == window.followed:
            return
        else:
            heads = window.heads(seen)
        traffic, moved, is_followed = run.traffic, False, vdev.is_driver_ok and not vdev.has_event_idx
        log = traffic.log(vdev.path, vdev.sides) if vdev.is_rpmsg else None
        for queue, now in zip(vdev.queues, heads, strict=True):
            ring = traffic.ring(queue.path)
            is_still = now is not None and now == ring.heads and not vdev.has_event_idx
            if is_still and (vdev.is_driver_ok or not ring.faults):
                continue
            moved |= self._follow(run, vdev, queue, log, now, turn)
            ring = traffic.ring(queue.path)
            # What stands in a ring before DRIVER_OK may be anything: where it makes no sense, start from nothing.
            if not vdev.is_driver_ok and ring.faults:
                traffic.restart(queue.path, counting=False)
            is_followed = is_followed and ring.heads == now
        if window is not None:
            window.followed = seen if is_followed else None
        if moved:
            traffic.settle(vdev.path)
            if log is not None and log.has_firsts():
                self._note_messages(run, log, vdev.path)

    def _follow(
        self, run: Run, vdev: _Followed, queue: _Queue, log: MessageLog | None, heads: bytes | None, turn: Actor
    ) -> bool:
        """Look at what was published on a ring; whether anything was."""
        traffic = run.traffic
        by, used_by = _actors(vdev, turn) if vdev.path in run.outside else (turn, turn)
        before = traffic.ring(queue.path)
        offered_ns, returned_ns = _offered_ns(before), _returned_ns(before)
        posted, used = traffic.sync(
            queue.ring,
            self._views,
            by,
            vdev.sides,
            log,
            self.io.get(vdev.path),
            features=vdev.features,
            used_by=used_by,
            heads=heads,
        )
        if posted and returned_ns is not None:
            self._note_late(run, queue.path, Side.DRIVER, vdev.driver, returned_ns, by)
        if used and offered_ns is not None:
            self._note_late(run, queue.path, Side.DEVICE, vdev.device, offered_ns, used_by)
        if posted:
            self._publish(run, by.role, vdev.device, queue.path)
            run.reach(by.time_ns, by.role, queue.first_available)
        if used:
            self._publish(run, used_by.role, vdev.driver, queue.path)
            run.reach(used_by.time_ns, used_by.role, queue.first_used)
        return bool(posted or used)

    def _note_late(self, run: Run, path: str, side: Side, role: str, published_ns: int, by: Actor) -> None:
        """A side has found what was published long before, and nothing had told it in time."""
        begin, end = published_ns - self._quantum_ns, published_ns + _LATE_NS
        if by.role == role and by.time_ns > end and run.ledger.told_between(role, begin, end) is False:
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
        rings = self.published.get((role, target))
        if rings is None:
            rings = self.published[role, target] = set()
        rings.add(ring)
        if (ring, target) not in run.ledger.votes:
            run.ledger.votes[ring, target] = Counter()

    def vote(self, run: Run, sender: str, channel: Channel) -> None:
        """A core that published on one ring only since it last rang another one tells which channel serves it."""
        rings = self.published.pop((sender, channel.target), set())
        if len(rings) == 1:
            run.ledger.votes[next(iter(rings)), channel.target][channel.number] += 1


def _actors(vdev: _Followed, turn: Actor) -> tuple[Actor, Actor]:
    """Who has made available and who has used what was, by a turn's end, where a device in another process acts in any
    core's turn; it has the place of the core that plays the device.
    """
    return Actor(turn.time_ns, vdev.driver), Actor(turn.time_ns, vdev.device)
