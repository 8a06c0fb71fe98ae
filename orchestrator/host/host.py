"""The host: boots a lone remote as Linux's remoteproc, OpenAMP's, or RPTUN's master does, and talks to it.

| | linux | openamp | nuttx |
|---|---|---|---|
| table is edited | before the release | before the release | when the remote says READY, or after 20 ms without |
| rings and buffers | named carveouts, whole pages | named carveouts | the carveout of the vdev's index |
| notify ids | 0, 1, ... over all vrings | as given; the lowest free for ANY | as openamp |
| status | 3, 7 | 4 | 3, 7 |
| stop | status 0, hold | status 0x40, hold | command STOP, ACK awaited; status 0, hold |

A table that is not in memory before the remote runs, because its start-up copies or makes it, cannot be edited before
the release by anybody: such a remote is started as under nuttx whatever the profile.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.base.durations import Duration
from orchestrator.base.errors import HostError, RptwinError, UsageError
from orchestrator.base.roles import MAIN, REMOTE
from orchestrator.formats.elf import Image
from orchestrator.formats.nuttx_config import NuttxConfig, NuttxRelease
from orchestrator.formats.resource_entry import (
    ANY,
    VIRTIO_CONFIG_S_ACKNOWLEDGE,
    VIRTIO_CONFIG_S_DRIVER,
    VIRTIO_CONFIG_S_DRIVER_OK,
    VIRTIO_CONFIG_S_NEEDS_RESET,
    VIRTIO_ID_RPMSG,
    CommandCode,
    CommandWord,
    Feature,
    Profile,
    Trace,
    Vdev,
    VdevRole,
)
from orchestrator.formats.resource_table import Table, scan_table
from orchestrator.formats.translation import AddressRange
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.host.devices import VirtioDevice, create_device
from orchestrator.host.placement import Placement
from orchestrator.host.player import CorePlayer, Surroundings
from orchestrator.host.rpmsg import Buffers, DriverTransport, Endpoint, Link
from orchestrator.host.table import LiveTable, core_names
from orchestrator.observe.declared import TABLE_LIMIT, DeclaredTable
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform
from orchestrator.virtqueue import Heap, Negotiated, SplitDevice, SplitDriver

__all__ = ["Host", "HostState"]

BUFFER_SIZE = 512  # bytes of an RPMsg buffer where nothing says otherwise
READY_NS = 20_000_000  # how long READY is awaited before a table that is there is taken as it is
STOP_NS = 100_000_000  # how long the answer to STOP is awaited
_POLL_NS = 1_000_000
_STARTING_POLL_NS = 200_000

_RPMSG_FEATURES = Feature.NS | Feature.EVENT_IDX
_NUTTX_FEATURES = Feature.ACK | Feature.BUFSZ | Feature.CPUNAME | Feature.BUFADDR
_DEVICE_FEATURES = Feature.EVENT_IDX | Feature.INDIRECT_DESC


class HostState(enum.StrEnum):
    """Where the remote's life cycle stands."""

    OFFLINE = "offline"
    STARTING = "starting"  # released; its table is awaited
    RUNNING = "running"
    STOPPING = "stopping"
    CRASHED = "crashed"
    FAILED = "failed"  # the host could not bring it up: ``failure`` says why


@dataclass(slots=True)
class _Running:
    """What a start made; gone with the stop."""

    table: LiveTable
    links: dict[int, Link] = field(default_factory=dict)  # by vdev
    devices: dict[int, tuple[VirtioDevice, tuple[SplitDevice, ...]]] = field(default_factory=dict)
    started: set[int] = field(default_factory=set)  # devices whose driver is ready
    rings: list[tuple[Heap, int]] = field(default_factory=list)


class Host(CorePlayer):
    """Plays the main core: RPTUN master, Linux's host. Calls that wait run the board; none may be made in a turn."""

    role = MAIN

    def __init__(
        self,
        platform: Platform,
        views: Views,
        around: Surroundings,
        notify: Mapping[str, int],
        *,
        declared: DeclaredTable,
        profile: Profile,
        images: Mapping[str, Image],
        release: NuttxRelease | None = None,
    ) -> None:
        super().__init__(platform, views, around, notify)
        self.profile = profile.host
        self.state = HostState.OFFLINE
        self.failure: RptwinError | None = None
        self.starts = 0
        self.placement = Placement(platform, views, images, self.profile)
        self._promise = declared
        self._release = release
        self._wants_running = True
        self._is_loaded = True  # the board loads the image at power-on
        self._running: _Running | None = None
        self._deadline_ns = 0
        self._given: dict[int, VirtioDevice] = {}

    # what a person asks

    def start(self, timeout: Duration = "1 s") -> None:
        """Boot the remote and bring its vdevs up. HostError says what it lacks."""
        self._wants_running = True
        if self.state in (HostState.FAILED, HostState.CRASHED):
            self._hold()
        self._until(HostState.RUNNING, timeout)

    def stop(self, timeout: Duration = "1 s") -> None:
        """Shut the remote down and hold its core; all buffers and rings come back."""
        self._wants_running = False
        self._until(HostState.OFFLINE, timeout)

    def restart(self, timeout: Duration = "1 s") -> None:
        """Stop, load again, start."""
        self.stop(timeout)
        self.start(timeout)

    def crash(self) -> None:
        """Take the remote for dead, at once and without a word to it, as a watchdog would."""
        self._wants_running = False
        self._close()
        self._around.hold()
        self.state = HostState.CRASHED

    def recover(self, timeout: Duration = "1 s") -> None:
        """Load and start a crashed remote again."""
        self.start(timeout)

    def command(self, code: CommandCode, argument: int = 0) -> None:
        """Write a RPTUN command word for the remote and ring it."""
        running = self._need_running()
        running.table.set("header.reserved[0]", (code << 16 | argument) & 0xFFFF_FFFF)
        self.bell.ring()
        self.wake()

    @property
    def commands(self) -> tuple[CommandWord, CommandWord]:
        """The command words in the table's header: the master's, the remote's."""
        table = self._need_running().table
        return CommandWord(table.get("header.reserved[0]")), CommandWord(table.get("header.reserved[1]"))

    def endpoint(self, name: str, timeout: Duration = "1 s") -> Endpoint:
        """An endpoint bound to a name that the remote announces, for which the board runs if it has to."""
        if not self.wait(lambda: self._link_of(name) is not None, timeout):
            self._raise_failure()
            known = ", ".join(repr(each) for each in self.names) or "no name at all"
            raise HostError("not announced by the remote", where=f"endpoint {name!r}", expected=known)
        link = self._link_of(name)
        assert link is not None
        return link.bind(name)

    def announce(self, name: str, vdev: int = 0, on_message: Callable[[bytes], bytes | None] | None = None) -> Endpoint:
        """An endpoint of the host's own, told to the remote."""
        link = self._need_running().links.get(vdev)
        if link is None:
            raise UsageError("no RPMsg there", where=f"vdev[{vdev}]")
        return link.announce(name, on_message)

    @property
    def names(self) -> tuple[str, ...]:
        """Names that the remote has announced."""
        return tuple(name for link in self.links for name in link.names)

    @property
    def links(self) -> tuple[Link, ...]:
        """RPMsg on each vdev that is up."""
        return tuple(self._running.links.values()) if self._running is not None else ()

    def device(self, vdev: int) -> VirtioDevice:
        """The Python device behind a vdev that is not RPMsg."""
        found = self._need_running().devices.get(vdev)
        if found is None:
            raise UsageError("no virtio device of ours there", where=f"vdev[{vdev}]")
        return found[0]

    def put_device(self, vdev: int, device: VirtioDevice) -> None:
        """Use this device behind a vdev from the next start on, instead of the one that its id gives."""
        self._given[vdev] = device

    def trace(self, index: int = 0) -> str:
        """The remote's trace buffer up to its first zero byte."""
        traces = self._need_running().table.layout.of(Trace)
        if index >= len(traces):
            raise UsageError("no such trace entry", expected=f"fewer than {len(traces)}", found=index)
        entry = traces[index].value
        data = self.memory.read(self.to_own(entry.da, entry.len), entry.len)
        return data.partition(b"\0")[0].decode(errors="replace")

    def crashed(self) -> None:
        """The board saw the remote's core lock up."""
        if self.state in (HostState.STARTING, HostState.RUNNING):
            self.state = HostState.CRASHED
            self._wants_running = False

    @property
    def leaks(self) -> tuple[str, ...]:
        """What is still allocated of the heaps though nothing runs, and what they say was done wrong."""
        found = [str(fault) for heap in self.placement.heaps for fault in heap.report().faults]
        if self._running is None:
            for heap in self.placement.heaps:
                found += [f"leak: {extent} ({label})" for extent, label in heap.report().allocated]
        return tuple(found)

    def _need_running(self) -> _Running:
        if self._running is None:
            self._raise_failure()
            raise UsageError("the remote is not up", where="host", expected="running", found=self.state.value)
        return self._running

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _link_of(self, name: str) -> Link | None:
        return next((link for link in self.links if name in link.names), None)

    def _until(self, state: HostState, timeout: Duration) -> None:
        def over() -> bool:
            return self.state in (state, HostState.FAILED)

        reached = self.wait(over, timeout)
        if self.state is HostState.FAILED:
            self._raise_failure()
        if not reached:
            raise HostError(
                "the remote does not follow", where="host", expected=f"{state} within {timeout}", found=self.state.value
            )

    # turns

    def begin_again(self) -> None:
        self._close()
        self.state = HostState.OFFLINE
        self._is_loaded = False

    def act(self) -> int | None:
        if self.state is HostState.OFFLINE and self._wants_running:
            self._boot()
        elif self.state is HostState.RUNNING and not self._wants_running:
            self._ask_to_stop()
        elif self.state is HostState.CRASHED and self._running is not None:
            self._close()
        if self.state is HostState.STARTING:
            self._look_for_table()
        if self.state is HostState.STOPPING:
            self._look_for_end()
        if self.state is HostState.RUNNING:
            self._hear_command()
            self._serve()
        return self._next_turn()

    def _next_turn(self) -> int | None:
        if self.state is HostState.STARTING:
            return self.time_ns + _STARTING_POLL_NS
        if self.state is HostState.STOPPING:
            return self.time_ns + _POLL_NS
        waits_for_driver = self._running is not None and len(self._running.started) < len(self._running.devices)
        return self.time_ns + _POLL_NS if waits_for_driver else None

    def _boot(self) -> None:
        self.failure = None
        if not self._is_loaded:
            self._around.load()
        self._is_loaded = False
        self.starts += 1
        self._deadline_ns = self.time_ns + READY_NS
        self.state = HostState.STARTING
        before = self.profile is not Profile.NUTTX and self._table_is_in_place()
        if before:
            self._attempt(lambda: self._prepare(self._read_table()))
        if self.state is HostState.FAILED:
            return
        self._around.release()
        if before:
            self._bring_up()

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except RptwinError as error:
            self.failure = error
            self._close()
            self.state = HostState.FAILED

    def _table_is_in_place(self) -> bool:
        """The loader has put the image's table to where the remote uses it."""
        location = self._promise.location
        return location is not None and location.load_address == location.address and self._promise.scan is not None

    def _table_address(self) -> int:
        location = self._promise.location
        if location is None:
            raise self._promise.error or HostError("nobody knows where the resource table is")
        address = self.views.span_at(location.role, "table", location.address, 16).pa
        if address is None:
            raise HostError(
                "main has no memory where the resource table is",
                where=f"{location.role} at {location.address:#010x}",
                expected="memory that both cores reach",
            )
        return address

    def _read_table(self) -> Table:
        scan = scan_table(self.memory, self._table_address(), len(self._promise.data) or TABLE_LIMIT)
        if scan.errors or scan.table is None:
            raise scan.errors[0]
        return scan.table

    def _look_for_table(self) -> None:
        """Take the table when the remote vouches for it, or when it stands there and nobody does."""
        late = self.time_ns >= self._deadline_ns
        try:
            table = self._read_table()
        except RptwinError as error:
            if late:
                self.failure = error
                self.state = HostState.FAILED
            return
        ready = CommandWord(table.header.reserved[1]).code is CommandCode.READY
        if not ready and not late:
            return
        if ready:
            LiveTable(table, self.memory).set("header.reserved[1]", CommandCode.ACK << 16)
        self._attempt(lambda: self._prepare(table))
        if self.state is HostState.STARTING:
            self._bring_up()

    # bring-up

    def _prepare(self, table: Table) -> None:
        """Place rings and buffers and write them into the table; statuses come afterwards."""
        self._running = _Running(LiveTable(table, self.memory))
        self.prefer(self._names_of_memory(table))
        taken = {ring.notifyid for vdev in table.vdevs for ring in vdev.value.vrings} - {ANY}
        taken |= {vdev.value.head.notifyid for vdev in table.vdevs} if self.profile is not Profile.LINUX else set()
        numbers = iter(i for i in range(1 << 16) if self.profile is Profile.LINUX or i not in taken)
        for index, located in enumerate(table.vdevs):
            self._prepare_vdev(index, located.value, numbers)

    def _names_of_memory(self, table: Table) -> Iterator[AddressRange]:
        """How the remote itself calls its memory, in the table and by the table's own place."""
        for carveout in table.carveouts:
            span = self.views.span_at_da("", carveout.value.da, max(1, carveout.value.len))
            if carveout.value.da != ANY and span.pa is not None and span.da is not None:
                yield AddressRange(span.pa, span.da, span.size)
        location = self._promise.location
        if location is None or location.role != REMOTE:
            return
        da = location.address
        core = self.platform.core(REMOTE).name
        found = self.platform.region_at(core, da)
        extent = next((each for each in found[0].extents(core) if da in each), None) if found else None
        span = self.views.span_at_da("", da, 1)
        if extent is not None and span.pa is not None:
            yield AddressRange(span.pa - (da - extent.start), extent.start, extent.size)

    def _prepare_vdev(self, index: int, vdev: Vdev, numbers: Iterable[int]) -> None:
        running = self._need_running()
        layouts = [self._place_ring(index, i, vdev, numbers) for i in range(len(vdev.vrings))]
        if vdev.head.id == VIRTIO_ID_RPMSG and vdev.head.reserved[0] == VdevRole.DRIVER:
            self._prepare_rpmsg(index, vdev, layouts)
            return
        device = self._given.get(index) or create_device(vdev.head.id)
        if device is not None and len(layouts) >= device.queue_count:
            features = device.features | _DEVICE_FEATURES
            running.table.set(f"vdev[{index}].dfeatures", features & 0xFFFF_FFFF)
            if vdev.config:
                running.table.set(
                    f"vdev[{index}].config",
                    int.from_bytes(device.config[: len(vdev.config)].ljust(len(vdev.config), b"\0"), "little"),
                )
            queues = tuple(
                SplitDevice(self.memory, layout, translate=self.to_own, name=name, report=self.reporter(name))
                for layout, name in zip(layouts, self._names(index, len(layouts)), strict=True)
            )
            running.devices[index] = device, queues

    @staticmethod
    def _names(vdev: int, count: int) -> list[str]:
        return [f"vdev[{vdev}].vring[{i}]" for i in range(count)]

    def _place_ring(self, vdev: int, index: int, entry: Vdev, numbers: Iterable[int]) -> RingLayout:
        """Find or take memory for a ring, and say so in the table."""
        running = self._need_running()
        ring, path = entry.vrings[index], f"vdev[{vdev}].vring[{index}]"
        if ring.is_dynamic:
            size = RingLayout.legacy(0, ring.num, ring.align).extent.size
            heap = self.placement.for_ring(running.table.layout, vdev, index)
            align = self.placement.ring_alignment(ring.align)
            pa = heap.allocate(self.placement.ring_size(size), path, align)
            if pa is None:
                raise HostError("no room for a vring", where=path, expected=f"{size} bytes", found=str(heap.report()))
            running.rings.append((heap, pa))
            running.table.set(f"{path}.da", self.to_device(pa, size))
        else:
            size = RingLayout.legacy(ring.da, ring.num, ring.align).extent.size
            pa = self.to_own(ring.da, size)
            heap = self.placement.for_buffers(running.table.layout, vdev)
            if heap.extent.overlaps(RingLayout.legacy(pa, ring.num, ring.align).extent):
                if not heap.reserve(RingLayout.legacy(pa, ring.num, ring.align).extent, path):
                    raise HostError("a vring's place is taken", where=path, found=heap.report().faults[-1])
                running.rings.append((heap, pa & -16))
        running.table.set(f"{path}.pa", pa)
        if ring.notifyid == ANY or self.profile is Profile.LINUX:
            running.table.set(f"{path}.notifyid", next(iter(numbers)))
        return RingLayout.legacy(pa, ring.num, ring.align)

    def _prepare_rpmsg(self, index: int, vdev: Vdev, layouts: list[RingLayout]) -> None:
        running = self._need_running()
        if len(layouts) != 2:
            raise HostError("RPMsg has two vrings", where=f"vdev[{index}]", expected=2, found=len(layouts))
        wanted = _RPMSG_FEATURES | (_NUTTX_FEATURES if self.profile is Profile.NUTTX else 0)
        features = vdev.head.dfeatures & wanted
        running.table.set(f"vdev[{index}].gfeatures", int(features))
        config = running.table.rpmsg_config(index, features, self._release)
        received, sent = _buffers(config, features)
        negotiated = Negotiated(event_idx=bool(features & Feature.EVENT_IDX))
        drivers = [
            SplitDriver(
                self.memory, layout, negotiated, to_device=self.to_device, name=name, report=self.reporter(name)
            )
            for layout, name in zip(layouts, self._names(index, 2), strict=True)
        ]
        for each in drivers:
            each.reset()
        heap = self.placement.for_buffers(running.table.layout, index)
        transport = DriverTransport(self.memory, heap, drivers[0], drivers[1], received, sent)
        ack, cores = bool(features & Feature.ACK), core_names(config, features)
        running.links[index] = Link(f"vdev[{index}]", transport, self.wait, self.wake, ack=ack, cores=cores)

    def _bring_up(self) -> None:
        """The rings stand: say so."""
        running = self._need_running()
        for index in running.links:
            path = f"vdev[{index}].status"
            if self.profile is not Profile.OPENAMP:
                running.table.set(path, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
            ok = running.table.get(path) if self.profile is not Profile.OPENAMP else 0
            running.table.set(path, ok | VIRTIO_CONFIG_S_DRIVER_OK)
            self.ring(f"vdev[{index}].vring[0]")
            self.ring(f"vdev[{index}].vring[1]")
        if running.devices:
            self.bell.ring()
        self.state = HostState.RUNNING

    # while it runs

    def _hear_command(self) -> None:
        running = self._need_running()
        word = CommandWord(running.table.get("header.reserved[1]"))
        if self.profile is not Profile.NUTTX or word.code in (None, CommandCode.NONE, CommandCode.ACK):
            return
        running.table.set("header.reserved[1]", CommandCode.ACK << 16)
        if word.code is CommandCode.PANIC:
            self.state = HostState.CRASHED
            self._wants_running = False
            self._close()
        elif word.code is CommandCode.READY:  # the remote was started again behind our back
            self._close()
            self.state = HostState.STARTING
            self._attempt(lambda: self._prepare(self._read_table()))
            if self.state is HostState.STARTING:
                self._bring_up()
        elif word.code in (CommandCode.STOP, CommandCode.RESET):
            self._wants_running = word.code is CommandCode.RESET
            self._hold()

    def _serve(self) -> None:
        running = self._running
        if running is None:
            return
        for index, link in running.links.items():
            for ring in link.poll():
                self.ring(f"vdev[{index}].vring[{ring}]")
        for index, (device, queues) in running.devices.items():
            self._serve_device(index, device, queues)

    def _serve_device(self, index: int, device: VirtioDevice, queues: tuple[SplitDevice, ...]) -> None:
        running = self._need_running()
        ready = bool(running.table.get(f"vdev[{index}].status") & VIRTIO_CONFIG_S_DRIVER_OK)
        if ready and index not in running.started:
            accepted = Negotiated.of(running.table.get(f"vdev[{index}].gfeatures"))
            for queue in queues:
                queue.negotiated = accepted
                queue.reset()
            running.started.add(index)
            device.start(queues)
        elif not ready and index in running.started:
            running.started.discard(index)
            device.stop()
        if ready:
            device.poll()
            for ring in device.rings_to_ring():
                self.ring(f"vdev[{index}].vring[{ring}]")

    # the end

    def _ask_to_stop(self) -> None:
        if self.profile is Profile.NUTTX:
            self._need_running().table.set("header.reserved[0]", CommandCode.STOP << 16)
            self.bell.ring()
            self._deadline_ns = self.time_ns + STOP_NS
            self.state = HostState.STOPPING
        else:
            self._hold()

    def _look_for_end(self) -> None:
        word = CommandWord(self._need_running().table.get("header.reserved[0]"))
        if word.code is CommandCode.ACK or self.time_ns >= self._deadline_ns:
            self._hold()

    def _hold(self) -> None:
        """Take the vdevs down and stop the core, whatever it says."""
        if self._running is not None:
            for index in self._running.links:
                openamp = self.profile is Profile.OPENAMP
                self._running.table.set(f"vdev[{index}].status", VIRTIO_CONFIG_S_NEEDS_RESET if openamp else 0)
        self._close()
        self._around.hold()
        self.state = HostState.OFFLINE

    def _close(self) -> None:
        """Give all memory back."""
        if self._running is None:
            return
        for link in self._running.links.values():
            link.transport.close()
        for device, _queues in self._running.devices.values():
            device.stop()
        for heap, address in self._running.rings:
            heap.free(address)
        self._running = None


def _buffers(config: NuttxConfig | None, features: int) -> tuple[Buffers, Buffers]:
    """From the remote and to it: sizes and places of the config block, as far as features announce them."""
    sizes: tuple[int | None, int | None] = (None, None)
    places: tuple[int | None, int | None] = (None, None)
    if config is not None and features & Feature.BUFSZ:
        sizes = config.r2h_buf_size, config.h2r_buf_size
    if config is not None and features & Feature.BUFADDR:
        places = config.r2h_buf_addr, config.h2r_buf_addr
    received, sent = (Buffers(size or BUFFER_SIZE, at or None) for size, at in zip(sizes, places, strict=True))
    return received, sent
