"""vhost-user in tests: memory to hand out, a driver over it, and what a process has open and mapped."""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from orchestrator.formats.packed_virtqueue import PackedLayout
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.host import VirtioDevice
from orchestrator.vhost_user import Frontend, RegionEntry, Server, SharedRegion
from orchestrator.vhost_user.messages import VringAddress
from orchestrator.virtqueue import BufferMemory, Negotiated, PackedDriver, SplitDriver

GUEST = 0x3004_0000  # as descriptors have addresses
USER = 0x7F00_0000_0000  # as vrings have them
OFFSET = 0x800  # of the memory's first byte in its file: no multiple of a page
SIZE = 0x10000
NUM = 8


class Descriptors:
    """What this process has open, and which files of memory it has mapped, since the object was made."""

    def __init__(self) -> None:
        self._open, self._mapped = self._now()

    @staticmethod
    def _now() -> tuple[set[str], int]:
        gc.collect()  # a board's memory goes when nobody has a view of it any more
        names = {each.name for each in Path("/proc/self/fd").iterdir()}
        return names, len(re.findall(r"/memfd:(?:vhost-test|rptwin-shared)", Path("/proc/self/maps").read_text()))

    @property
    def left(self) -> tuple[int, int]:
        """Descriptors more than at first, and mappings."""
        names, mapped = self._now()
        return len(names) - len(self._open), mapped - self._mapped


class GuestMemory:
    """A file of memory, mapped here at ``GUEST``, that is handed out as one region."""

    def __init__(self, size: int = SIZE, guest: int = GUEST, user: int = USER, offset: int = OFFSET) -> None:
        self.file = os.memfd_create("vhost-test")
        os.ftruncate(self.file, offset + size)
        self._map = mmap.mmap(self.file, offset + size)
        self.entry = RegionEntry(guest, size, user, offset)
        self._view = memoryview(self._map)[offset:]
        self.memory = BufferMemory("guest", guest, self._view)

    @property
    def region(self) -> SharedRegion:
        return SharedRegion(self.entry, self.file)

    def close(self) -> None:
        del self.memory
        self._view.release()
        with contextlib.suppress(BufferError):
            self._map.close()
        os.close(self.file)


def vring_address(
    index: int, num: int = NUM, *, packed: bool = False
) -> tuple[VringAddress, RingLayout | PackedLayout]:
    """Where ring ``index`` of a :class:`GuestMemory` is: to say so, and to drive it."""
    base = 0x1000 * index
    if packed:
        layout = PackedLayout.contiguous(base, num)
        said = VringAddress(index, 0, USER + layout.desc, USER + layout.device, USER + layout.driver, GUEST)
        return said, PackedLayout.contiguous(GUEST + base, num)
    split = RingLayout.legacy(base, num, 16)
    said = VringAddress(index, 0, USER + split.desc, USER + split.used, USER + split.avail, GUEST + split.used)
    return said, RingLayout.legacy(GUEST + base, num, 16)


def bring_up(
    frontend: Frontend, guest: GuestMemory, rings: int, features: int = 0, num: int = NUM
) -> list[SplitDriver | PackedDriver]:
    """Everything up to ENABLE; the driver's side of each ring."""
    packed = bool(features & Feature.RING_PACKED)
    frontend.begin()
    frontend.accept(features)
    frontend.share([guest.region])
    drivers: list[SplitDriver | PackedDriver] = []
    for index in range(rings):
        said, layout = vring_address(index, num, packed=packed)
        negotiated = Negotiated.of(features)
        driver: SplitDriver | PackedDriver = (
            PackedDriver(guest.memory, layout, negotiated)
            if isinstance(layout, PackedLayout)
            else SplitDriver(guest.memory, layout, negotiated)
        )
        driver.reset()
        frontend.start_vring(num, said, 1 << 15 if packed else 0)
        drivers.append(driver)
    frontend.enable()
    return drivers


@contextlib.contextmanager
def serving(path: Path, device: VirtioDevice, *, polls: bool = False) -> Iterator[Server]:
    """A server that serves in a thread of its own; the path is short wherever tests run."""
    with Server(str(path), device, polls=polls) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join()
