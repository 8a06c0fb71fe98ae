"""The bridge: a vdev of a running board, its vrings where the resource table has them, handed to a back-end outside.

The bridge assists the core that plays the device's side (main, of a vdev that the remote drives): in that core's turns
it tells the back-end what the driver made available, and rings the driver for what the back-end used. The core's own
firmware leaves the vdev's rings alone; that it has given them their places is all that is asked of it.
"""

from __future__ import annotations

import contextlib
import enum
import os
import select
import time
from collections.abc import Callable, Mapping

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import CapabilityError, RptwinError, UsageError, VhostUserError
from orchestrator.base.memory import Extent
from orchestrator.base.roles import REMOTE, Side, other_role
from orchestrator.base.words import counted
from orchestrator.engines.contract import Capability, Engine, PlayedCore, Sharing
from orchestrator.events import Event, NotificationSent
from orchestrator.formats.resource_entry import Feature, VdevHeader
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.host.mailbox import Doorbell
from orchestrator.observe.live import LiveVdev
from orchestrator.observe.observer import Observer
from orchestrator.platform.model import Platform
from orchestrator.vhost_user.frontend import Frontend, SharedRegion, version_1_is_harmless
from orchestrator.vhost_user.messages import REGIONS_MAX, RegionEntry, VringAddress

__all__ = ["Bridge", "BridgeOptions", "IfLost"]

_LOOK_NS = 100_000  # virtual time between two looks at a table that is not ready yet
_POLL_NS = 500_000  # and at a back-end that may have something to say
_WAIT_S = 0.0002
_RETRY_S = 0.02  # between two looks whether somebody listens again
_NO_NOTIFICATION = 1


class IfLost(enum.Enum):
    """What happens when the back-end hangs up; one that breaks the protocol is not waited for."""

    END = "end"  # the run
    GO_ON = "go-on"  # the board does, without a device
    RECONNECT = "reconnect"  # it is waited for, and goes on with what it has not given back


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """What is handed out, to whom, and what virtual time does meanwhile."""

    vdev: int
    path: str  # of the back-end's socket
    waits: bool = True  # virtual time stands still while the back-end has a request; else it goes on
    if_lost: IfLost = IfLost.END
    polls: bool = False  # no eventfds: both sides look at the rings all the time
    patience_s: float = 1.0  # of this computer's time, for one request
    quiet_s: float = 0.002  # without a word of the back-end: it has answered all that it will
    timeout_s: float = 10.0  # for the answer to a message, and for a back-end that is to come again


@dataclass(slots=True)
class _Ring:
    """A vring as the assisted core sees it."""

    path: str
    index: int
    layout: RingLayout
    avail_idx: int = 0  # told to the back-end
    used_idx: int = 0  # told to the driver


class Bridge:
    """Implements :class:`orchestrator.engines.contract.Assistant`; connects when it is made.

    ``failure`` is what the back-end did wrong, if anything; the vdev is nobody's from then on. Two sides, bring-up,
    loss and time of one session make it long.
    """

    def __init__(
        self,
        platform: Platform,
        observer: Observer,
        engine: Engine,
        options: BridgeOptions,
        notify: Mapping[str, int],
        end_run: Callable[[], None],
    ) -> None:
        if not isinstance(engine, Sharing) or Capability.SHARE not in engine.capabilities:
            raise CapabilityError("no memory that other processes can map", where=f"engine {engine.name}")
        self.options = options
        self.failure: RptwinError | None = None
        self.requests = 0  # chains that the driver made available, empty buffers included
        self.answers = 0  # chains that came back
        self.reconnections = 0
        self._platform = platform
        self._observer = observer
        self._engine = engine
        self._notify = notify
        self._end_run = end_run
        self._rings: list[_Ring] = []
        self._access: PlayedCore | None = None
        self._bell: Doorbell | None = None
        self._last: tuple[int, float] | None = None  # virtual and real time of the last turn
        self._is_offered = False
        self._lost: tuple[float, VhostUserError] | None = None  # since when there is nobody, and why
        self._event_idx = False
        self.frontend = Frontend.connect(options.path, options.timeout_s)
        try:
            self.frontend.begin()
            self._attach(engine)
        except BaseException:
            self.frontend.close()
            raise
        observer.hand_out(f"vdev[{options.vdev}]", options.path)

    @property
    def path(self) -> str:
        """Of the back-end's socket."""
        return self.options.path

    @property
    def is_needed(self) -> bool:
        """The run ends when the back-end is lost."""
        return self.options.if_lost is not IfLost.GO_ON

    @property
    def is_started(self) -> bool:
        """The back-end works the rings."""
        return bool(self._rings)

    def _attach(self, engine: Sharing) -> None:
        """Assist the core on the device's side, as the images declare it."""
        scan = self._observer.declared.scan
        declared = scan.table.vdevs if scan is not None and scan.table is not None else ()
        if not self.options.vdev < len(declared):
            raise UsageError(
                "no such vdev in the resource table",
                where="--vdev",
                expected=f"0..{len(declared) - 1}" if declared else "a table with a vdev",
                found=self.options.vdev,
            )
        role = LiveVdev(0, declared[self.options.vdev], (), None, None, None).role_of(Side.DEVICE)
        own, peer = self._platform.core(role).name, self._platform.core(other_role(role)).name
        self._role = role
        self._access = engine.assist(own, self)
        self._bell = Doorbell(self._platform, own, peer, self._access, self._notify)

        def hear(event: Event) -> None:
            if isinstance(event.detail, NotificationSent) and event.detail.target == own:
                self.access.wake()

        self._engine.subscribe(hear)

    @property
    def access(self) -> PlayedCore:
        """The assisted core."""
        assert self._access is not None
        return self._access

    # --- turns

    def turn(self, time_ns: int) -> int | None:
        """Tell the back-end, wait for it as agreed, and tell the driver."""
        if self.failure is not None:
            return None
        try:
            return self._turn(time_ns)
        except RptwinError as error:
            self._fail(error)
            return None

    def _turn(self, time_ns: int) -> int:
        if self._lost is not None and not self._comes_again(*self._lost):
            return time_ns + _LOOK_NS
        vdev = self._vdev()
        if vdev is None:
            return time_ns + _LOOK_NS
        if not self._is_offered:
            self._offer(vdev)
        if vdev.is_driver_ok and not self._rings and all(ring.is_resolved for ring in vdev.rings):
            self._start(vdev)
        elif not vdev.is_driver_ok and self._rings:
            self.frontend.stop()
            self._rings = []
        if not self._rings:
            return time_ns + _LOOK_NS
        told = self._tell_backend()
        if told and self.options.waits:
            self._wait_for_backend()
        else:
            self._keep_pace(time_ns)
        self._tell_driver()
        self._last = (time_ns, time.monotonic())
        return time_ns + _POLL_NS

    def _vdev(self) -> LiveVdev | None:
        vdevs = self._observer.live.vdevs
        return vdevs[self.options.vdev] if self.options.vdev < len(vdevs) else None

    def _fail(self, error: RptwinError) -> None:
        waits = self.options.if_lost is IfLost.RECONNECT and self._lost is None
        if waits and isinstance(error, VhostUserError) and error.rule == "vhost.peer-gone" and self._rings:
            self._tell_driver()  # of what was given back before
            self.requests -= sum((ring.avail_idx - ring.used_idx) & 0xFFFF for ring in self._rings)
            self._lost = time.monotonic(), error
        else:
            self.failure = error
        self._rings = []
        self.frontend.close()
        if self.failure is not None and self.is_needed:
            self._end_run()

    def _comes_again(self, since: float, error: VhostUserError) -> bool:
        """Connect once more, if somebody listens; who stays away for too long is lost."""
        while True:
            with contextlib.suppress(VhostUserError):
                frontend = Frontend.connect(self.options.path, self.options.timeout_s)
                try:
                    frontend.begin()
                except BaseException:
                    frontend.close()
                    raise
                self.frontend, self._lost = frontend, None
                self.reconnections += 1
                return True
            if time.monotonic() - since > self.options.timeout_s:
                raise error
            if not self.options.waits:
                return False
            time.sleep(_RETRY_S)

    # --- bring-up

    def _offer(self, vdev: LiveVdev) -> None:
        """What the back-end has of the features in the table, and its config space, before the driver looks."""
        self._is_offered = True
        if vdev.is_rpmsg:
            return
        entry = vdev.entry.value
        self._write(vdev, VdevHeader.offset_of("dfeatures"), entry.head.dfeatures & self.frontend.offered, 4)
        config = self.frontend.config(len(entry.config))
        start = VdevHeader.size + sum(len(ring.entry.pack()) for ring in vdev.rings)
        for offset, byte in enumerate(config):
            self._write(vdev, start + offset, byte, 1)

    def _write(self, vdev: LiveVdev, offset: int, value: int, size: int) -> None:
        at = vdev.entry.at.address + offset
        own = self._observer.views.span_at(self._observer.live.role, "table", at, size).seen_by(self._role)
        if own is not None:
            self.access.memory.write(own.start, value.to_bytes(size, "little"))

    def _start(self, vdev: LiveVdev) -> None:
        head = vdev.entry.value.head
        features = head.gfeatures
        self._event_idx = bool(features & Feature.EVENT_IDX)
        if self.frontend.offered & Feature.VERSION_1 and version_1_is_harmless(head.id, features):
            features |= Feature.VERSION_1
        self.frontend.accept(features if not vdev.is_rpmsg else features & self.frontend.offered)
        self.frontend.share(self._regions(vdev))
        rings = []
        for index, ring in enumerate(vdev.rings):
            entry, span = ring.entry, ring.span
            own = span.seen_by(self._role) if span is not None else None
            if own is None:
                raise VhostUserError("in no memory of the device", rule="vhost.vring-memory", where=ring.path)
            handed = RingLayout.legacy(entry.da, entry.num, entry.align)
            address = VringAddress(index, 0, handed.desc, handed.used, handed.avail, 0)
            base = self._load(own.start + handed.used_idx_at - entry.da)
            self.frontend.start_vring(entry.num, address, base, polled=self.options.polls)
            layout = RingLayout.legacy(own.start, entry.num, entry.align)
            rings.append(_Ring(ring.path, index, layout, base, base))
        self.frontend.enable()
        self._rings = rings

    def _regions(self, vdev: LiveVdev) -> list[SharedRegion]:
        """Memory by the remote's addresses, as the table and descriptors say them: what the rings are in comes first,
        then the largest.
        """
        assert isinstance(self._engine, Sharing)
        wanted = [Extent(ring.entry.da, 1) for ring in vdev.rings]
        pieces = self._engine.shared_memory(self._platform.core(REMOTE).name)
        pieces = tuple(sorted(pieces, key=lambda p: (not any(e.overlaps(p.extent) for e in wanted), -p.extent.size)))
        return [
            SharedRegion(RegionEntry(p.extent.start, p.extent.size, p.extent.start, p.offset), p.descriptor)
            for p in pieces[:REGIONS_MAX]
        ]

    # --- what was made available, and what was used

    def _load(self, address: int) -> int:
        return int.from_bytes(self.access.memory.read(address, 2), "little")

    def _tell_backend(self) -> bool:
        """Kick for what is new; whether anything is."""
        told = False
        for ring in self._rings:
            idx = self._load(ring.layout.avail_idx_at)
            count = (idx - ring.avail_idx) & 0xFFFF
            if not count:
                continue
            self.requests += count
            if self._is_wanted(ring.layout.used_flags_at, ring.layout.avail_event_at, idx, ring.avail_idx):
                self.frontend.vrings[ring.index].kick()
            ring.avail_idx = idx
            told = True
        return told

    def _tell_driver(self) -> None:
        """Ring for what is new and wanted."""
        assert self._bell is not None
        for ring in self._rings:
            self.frontend.vrings[ring.index].take_call()
            idx = self._load(ring.layout.used_idx_at)
            if idx == ring.used_idx:
                continue
            self.answers += (idx - ring.used_idx) & 0xFFFF
            if self._is_wanted(ring.layout.avail_flags_at, ring.layout.used_event_at, idx, ring.used_idx):
                self._bell.ring(self._notify.get(ring.path))
            ring.used_idx = idx
        if self._bell.deliver():
            self.access.wake()

    def _is_wanted(self, flags_at: int, event_at: int, new: int, old: int) -> bool:
        """Whether the other side wants to be told (virtio 1.3, 2.7.7 and 2.7.10)."""
        if self._event_idx:
            return (new - self._load(event_at) - 1) & 0xFFFF < (new - old) & 0xFFFF
        return not self._load(flags_at) & _NO_NOTIFICATION

    # --- time

    def _wait_for_backend(self) -> None:
        """Stand still until every request is answered and the back-end has been quiet for a while."""
        begin = last = time.monotonic()
        before = self._progress()
        while (now := time.monotonic()) - begin < self.options.patience_s:
            self._listen(_WAIT_S)
            progress = self._progress()
            if progress != before:
                before, last = progress, now
            elif now - last >= self.options.quiet_s and not self._has_requests():
                return

    def _keep_pace(self, time_ns: int) -> None:
        """Virtual time goes no faster than this computer's while the back-end may have something to say."""
        if self._last is None:
            return
        ahead = (time_ns - self._last[0]) / 1e9 - (time.monotonic() - self._last[1])
        self._listen(max(0.0, ahead))

    def _progress(self) -> tuple[int, ...]:
        return tuple(self._load(ring.layout.used_idx_at) for ring in self._rings)

    def _has_requests(self) -> bool:
        """Something with bytes for the device is with it; empty buffers wait for what may never come."""
        rings = self._observer.run.traffic.rings
        return any(
            self._load(ring.layout.used_idx_at) != ring.avail_idx
            for ring in self._rings
            if ring.path not in rings or not rings[ring.path].is_pool
        )

    def _listen(self, timeout_s: float) -> None:
        """Until the back-end calls, at most so long; VhostUserError when it has hung up."""
        connection = self.frontend.channel.fileno()
        calls = [vring.call_event for vring in self.frontend.vrings.values()]
        timeout_s = min(timeout_s, _WAIT_S) if self.options.polls else timeout_s
        ready, _, _ = select.select([connection, *calls], [], [], timeout_s)
        if connection in ready:
            raise VhostUserError(
                "has hung up",
                rule="vhost.peer-gone",
                where=self.options.path,
                found=f"{counted(self.requests, 'request')}, {counted(self.answers, 'answer')} until then",
            )
        for each in ready:
            os.read(each, 8)

    def close(self) -> None:
        """Take the rings back from the back-end, hang up, and give back every descriptor."""
        if self._lost is not None and self.failure is None:
            self.failure = self._lost[1]
        try:
            if self.failure is None:
                self.frontend.stop()
        except RptwinError as error:
            self.failure = error
        finally:
            self._rings = []
            self.frontend.close()
