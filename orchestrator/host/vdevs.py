"""The vdevs of a remote that is being started: rings and buffers placed, and who works them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.base.errors import HostError
from orchestrator.formats.nuttx_config import NuttxConfig, NuttxRelease
from orchestrator.formats.resource_entry import (
    ANY,
    VIRTIO_CONFIG_S_ACKNOWLEDGE,
    VIRTIO_CONFIG_S_DRIVER,
    VIRTIO_CONFIG_S_DRIVER_OK,
    VIRTIO_CONFIG_S_NEEDS_RESET,
    VIRTIO_ID_RPMSG,
    Feature,
    Profile,
    Vdev,
    VdevRole,
)
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.host.allocation import Allocation
from orchestrator.host.devices import VirtioDevice, create_device
from orchestrator.host.player import CorePlayer
from orchestrator.host.rpmsg import Buffers, DriverTransport, Link
from orchestrator.host.table import LiveTable, core_names
from orchestrator.virtqueue import Heap, Negotiated, SplitDevice, SplitDriver

__all__ = ["Vdevs"]

BUFFER_SIZE = 512  # bytes of an RPMsg buffer where nothing says otherwise

_RPMSG_FEATURES = Feature.NS | Feature.EVENT_IDX
_NUTTX_FEATURES = Feature.ACK | Feature.BUFSZ | Feature.CPUNAME | Feature.BUFADDR
_DEVICE_FEATURES = Feature.EVENT_IDX | Feature.INDIRECT_DESC


class Vdevs:
    """What one start of the remote makes, over the table in memory; gone with the stop.

    Three steps: :meth:`prepare`, :meth:`say_ready`, and :meth:`serve` in every turn from then on. :meth:`close` gives
    the memory back, after a step that failed too.
    """

    def __init__(
        self,
        player: CorePlayer,
        table: LiveTable,
        profile: Profile,
        allocation: Allocation,
        release: NuttxRelease | None,
        given: Mapping[int, VirtioDevice],
    ) -> None:
        self.table = table
        self.links: dict[int, Link] = {}  # by vdev
        self.devices: dict[int, VirtioDevice] = {}  # by vdev
        self._player = player
        self._profile = profile
        self._allocation = allocation
        self._release = release
        self._given = given
        self._queues: dict[int, tuple[SplitDevice, ...]] = {}  # of the devices
        self._started: set[int] = set()  # devices whose driver is ready
        self._rings: list[tuple[Heap, int]] = []

    @property
    def waits_for_driver(self) -> bool:
        """The remote has not brought every device of ours up."""
        return len(self._started) < len(self.devices)

    def prepare(self) -> None:
        """Place rings and buffers and write them into the table; statuses come afterwards."""
        table = self.table.layout
        is_linux = self._profile is Profile.LINUX
        taken = {ring.notifyid for vdev in table.vdevs for ring in vdev.value.vrings} - {ANY}
        taken |= set() if is_linux else {vdev.value.head.notifyid for vdev in table.vdevs}
        numbers = iter(i for i in range(1 << 16) if is_linux or i not in taken)
        for index, located in enumerate(table.vdevs):
            self._prepare_vdev(index, located.value, numbers)

    def _prepare_vdev(self, index: int, vdev: Vdev, numbers: Iterable[int]) -> None:
        layouts = [self._place_ring(index, i, vdev, numbers) for i in range(len(vdev.vrings))]
        if vdev.head.id == VIRTIO_ID_RPMSG and vdev.head.reserved[0] == VdevRole.DRIVER:
            self._prepare_rpmsg(index, vdev, layouts)
            return
        device = self._given.get(index) or create_device(vdev.head.id)
        if device is not None and len(layouts) >= device.queue_count:
            self._prepare_device(index, vdev, layouts, device)

    def _place_ring(self, vdev: int, index: int, entry: Vdev, numbers: Iterable[int]) -> RingLayout:
        """Find or take memory for a ring, and say so in the table."""
        ring, path = entry.vrings[index], f"vdev[{vdev}].vring[{index}]"
        if ring.is_dynamic:
            size = RingLayout.legacy(0, ring.num, ring.align).extent.size
            heap = self._allocation.for_ring(self.table.layout, vdev, index)
            align = self._allocation.ring_alignment(ring.align)
            pa = heap.allocate(self._allocation.ring_size(size), path, align)
            if pa is None:
                raise HostError("no room for a vring", where=path, expected=f"{size} bytes", found=str(heap.report()))
            self._rings.append((heap, pa))
            self.table.set(f"{path}.da", self._player.to_device(pa, size))
        else:
            size = RingLayout.legacy(ring.da, ring.num, ring.align).extent.size
            pa = self._player.to_own(ring.da, size)
            heap = self._allocation.for_buffers(self.table.layout, vdev)
            if heap.extent.overlaps(RingLayout.legacy(pa, ring.num, ring.align).extent):
                if not heap.reserve(RingLayout.legacy(pa, ring.num, ring.align).extent, path):
                    raise HostError("a vring's place is taken", where=path, found=heap.report().faults[-1])
                self._rings.append((heap, pa & -16))
        self.table.set(f"{path}.pa", pa)
        if ring.notifyid == ANY or self._profile is Profile.LINUX:
            self.table.set(f"{path}.notifyid", next(iter(numbers)))
        return RingLayout.legacy(pa, ring.num, ring.align)

    def _prepare_rpmsg(self, index: int, vdev: Vdev, layouts: list[RingLayout]) -> None:
        if len(layouts) != 2:
            raise HostError("RPMsg has two vrings", where=f"vdev[{index}]", expected=2, found=len(layouts))
        wanted = _RPMSG_FEATURES | (_NUTTX_FEATURES if self._profile is Profile.NUTTX else 0)
        features = vdev.head.dfeatures & wanted
        self.table.set(f"vdev[{index}].gfeatures", int(features))
        config = self.table.rpmsg_config(index, features, self._release)
        received, sent = _buffers(config, features)
        player, negotiated = self._player, Negotiated(event_idx=bool(features & Feature.EVENT_IDX))
        drivers = [
            SplitDriver(
                player.memory,
                layout,
                negotiated,
                to_device=player.to_device,
                name=name,
                report=player.reporter(name),
            )
            for layout, name in zip(layouts, _names(index, 2), strict=True)
        ]
        for each in drivers:
            each.reset()
        heap = self._allocation.for_buffers(self.table.layout, index)
        transport = DriverTransport(player.memory, heap, drivers[0], drivers[1], received, sent)
        ack, cores = bool(features & Feature.ACK), core_names(config, features)
        self.links[index] = Link(f"vdev[{index}]", transport, player.wait, player.wake, ack=ack, cores=cores)

    def _prepare_device(self, index: int, vdev: Vdev, layouts: list[RingLayout], device: VirtioDevice) -> None:
        features = device.features | _DEVICE_FEATURES
        self.table.set(f"vdev[{index}].dfeatures", features & 0xFFFF_FFFF)
        if vdev.config:
            size = len(vdev.config)
            self.table.set(f"vdev[{index}].config", int.from_bytes(device.config[:size].ljust(size, b"\0"), "little"))
        player = self._player
        self.devices[index] = device
        device.wake = self._player.wake
        self._queues[index] = tuple(
            SplitDevice(player.memory, layout, translate=player.to_own, name=name, report=player.reporter(name))
            for layout, name in zip(layouts, _names(index, len(layouts)), strict=True)
        )

    def say_ready(self) -> None:
        """The rings stand: say so by each status, and ring."""
        for index in self.links:
            path = f"vdev[{index}].status"
            if self._profile is not Profile.OPENAMP:
                self.table.set(path, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
            ok = self.table.get(path) if self._profile is not Profile.OPENAMP else 0
            self.table.set(path, ok | VIRTIO_CONFIG_S_DRIVER_OK)
            for ring in _names(index, 2):
                self._player.ring(ring)
        if self.devices:
            self._player.bell.ring()

    def serve(self) -> None:
        """Take and give what there is on every queue."""
        for index, link in self.links.items():
            for ring in link.poll():
                self._player.ring(f"vdev[{index}].vring[{ring}]")
        for index, device in self.devices.items():
            self._serve_device(index, device)

    def _serve_device(self, index: int, device: VirtioDevice) -> None:
        ready = bool(self.table.get(f"vdev[{index}].status") & VIRTIO_CONFIG_S_DRIVER_OK)
        if ready and index not in self._started:
            accepted = Negotiated.of(self.table.get(f"vdev[{index}].gfeatures"))
            queues = self._queues[index]
            for queue in queues:
                queue.negotiated = accepted
                queue.reset()
            self._started.add(index)
            device.negotiate(self.table.get(f"vdev[{index}].gfeatures"))
            device.start(queues)
        elif not ready and index in self._started:
            self._started.discard(index)
            device.stop()
        if ready:
            device.poll()
            for ring in device.rings_to_ring():
                self._player.ring(f"vdev[{index}].vring[{ring}]")

    def say_gone(self) -> None:
        """Take the vdevs back by their status."""
        for index in self.links:
            openamp = self._profile is Profile.OPENAMP
            self.table.set(f"vdev[{index}].status", VIRTIO_CONFIG_S_NEEDS_RESET if openamp else 0)

    def close(self) -> None:
        """Give all memory back."""
        for link in self.links.values():
            link.transport.close()
        for device in self.devices.values():
            device.stop()
        for heap, address in self._rings:
            heap.free(address)


def _names(vdev: int, count: int) -> list[str]:
    return [f"vdev[{vdev}].vring[{i}]" for i in range(count)]


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
