"""The front-end's memory as the back-end has it: mapped regions, and addresses translated as librte_vhost does.

Two sets of addresses lead to the same bytes: descriptors have *guest* addresses, vrings are given by *user* addresses,
those of the front-end's own process. Of a region that holds an address, what is left behind it is what can be reached:
a length is clamped to it (``qva_to_vva`` and ``rte_vhost_va_from_guest_pa`` of DPDK 22.11).
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence

from orchestrator.base.errors import TranslationError, VhostUserError
from orchestrator.base.memory import Extent
from orchestrator.vhost_user.channel import close_all
from orchestrator.vhost_user.dirty_log import DirtyLog
from orchestrator.vhost_user.messages import RegionEntry

__all__ = ["SLOTS_MAX", "MappedRegion", "MemoryTable"]

SLOTS_MAX = 32  # regions that ADD_MEM_REG may bring (GET_MAX_MEM_SLOTS)
_ADDRESSES = 1 << 64


class MappedRegion:
    """One region, mapped from its descriptor, which stays the caller's; VhostUserError where that cannot be.

    Python keeps a descriptor of its own with each mapping until it is closed.
    """

    def __init__(self, entry: RegionEntry, descriptor: int) -> None:
        self.entry = entry
        self.guest = Extent(entry.guest, entry.length)
        self.user = Extent(entry.user, entry.length)
        _check_entry(entry, os.fstat(descriptor).st_size, self._where)
        try:
            # From the file's first byte: an offset need be no multiple of the page size.
            self._map = mmap.mmap(descriptor, entry.mmap_offset + entry.length)
        except (OSError, ValueError, OverflowError) as error:
            raise VhostUserError(
                "cannot be mapped", rule="vhost.region-mapping", where=self._where, found=error
            ) from error
        self.bytes = memoryview(self._map)[entry.mmap_offset : entry.mmap_offset + entry.length]
        # A halfword is stored whole only where it lies on an even address of this process.
        self.halfwords = self.bytes[: entry.length & ~1].cast("H") if entry.mmap_offset % 2 == 0 else None

    @property
    def _where(self) -> str:
        return f"region at {self.entry.guest:#x}"

    def close(self) -> None:
        """Unmap it."""
        if self.halfwords is not None:
            self.halfwords.release()
        self.bytes.release()
        self._map.close()


def _check_entry(entry: RegionEntry, file_size: int, where: str) -> None:
    for name, start in (("guest address", entry.guest), ("user address", entry.user), ("offset", entry.mmap_offset)):
        if not entry.length or start + entry.length > _ADDRESSES:
            raise VhostUserError(
                f"{name} and size",
                rule="vhost.region-range",
                where=where,
                expected="some bytes below 2^64",
                found=f"{entry.length:#x} from {start:#x}",
            )
    end = entry.mmap_offset + entry.length
    if end > file_size:
        raise VhostUserError(
            "behind its file's end",
            rule="vhost.region-past-file",
            where=where,
            expected=f"a file of {end:#x} bytes",
            found=f"{file_size:#x}",
        )


class MemoryTable:
    """The regions of one front-end: a :class:`~orchestrator.virtqueue.OrderedMemory` by guest addresses.

    What is written is noted in ``log`` while there is one.
    """

    view = "front-end"

    def __init__(self) -> None:
        self.log: DirtyLog | None = None
        self._regions: list[MappedRegion] = []
        self._last: MappedRegion | None = None  # the address cache: the region that was found last

    @property
    def regions(self) -> tuple[RegionEntry, ...]:
        """As the front-end gave them."""
        return tuple(each.entry for each in self._regions)

    # what the front-end asks

    def replace(self, entries: Sequence[RegionEntry], descriptors: Sequence[int]) -> bool:
        """SET_MEM_TABLE: whether anything changed. The same table again keeps the mappings.

        Descriptors are closed in any case. VhostUserError leaves the table as it was.
        """
        try:
            if tuple(entries) == self.regions:
                return False
            mapped = self._map(entries, descriptors, [])
        finally:
            close_all(descriptors)
        self.close()
        self._regions = mapped
        return True

    def add(self, entry: RegionEntry, descriptors: Sequence[int]) -> None:
        """ADD_MEM_REG; its descriptor is closed in any case."""
        try:
            if len(self._regions) >= SLOTS_MAX:
                raise VhostUserError(
                    "no slot is free", rule="vhost.regions", where="ADD_MEM_REG", expected=f"at most {SLOTS_MAX}"
                )
            self._regions += self._map((entry,), descriptors, self._regions)
        finally:
            close_all(descriptors)

    def remove(self, entry: RegionEntry) -> None:
        """REM_MEM_REG; the region is named by its addresses and size."""
        for index, each in enumerate(self._regions):
            if (each.guest, each.user) == (Extent(entry.guest, entry.length), Extent(entry.user, entry.length)):
                self._last = None
                self._regions.pop(index).close()
                return
        raise VhostUserError("no such region", rule="vhost.regions", where="REM_MEM_REG", found=f"{entry.guest:#x}")

    def close(self) -> None:
        """Drop the address cache and unmap everything."""
        self._last = None
        for each in self._regions:
            each.close()
        self._regions = []

    def _map(
        self, entries: Sequence[RegionEntry], descriptors: Sequence[int], beside: Sequence[MappedRegion]
    ) -> list[MappedRegion]:
        mapped: list[MappedRegion] = []
        try:
            for entry, descriptor in zip(entries, descriptors, strict=True):
                region = MappedRegion(entry, descriptor)
                mapped.append(region)
                for other in (*beside, *mapped[:-1]):
                    if other.guest.overlaps(region.guest) or other.user.overlaps(region.user):
                        raise VhostUserError(
                            "overlaps another region",
                            rule="vhost.region-overlap",
                            where=f"region at {entry.guest:#x}",
                            found=f"that at {other.entry.guest:#x}",
                        )
        except BaseException:
            for each in mapped:
                each.close()
            raise
        return mapped

    # translation

    def of_guest(self, address: int) -> MappedRegion | None:
        """The region that holds a guest address."""
        last = self._last
        if last is not None and address in last.guest:
            return last
        for each in self._regions:
            if address in each.guest:
                self._last = each
                return each
        return None

    def user_to_guest(self, address: int, length: int) -> tuple[int, int]:
        """A user address as a guest address, and how much of the length lies in its region; (0, 0) outside of all."""
        for each in self._regions:
            if address in each.user:
                return address - each.user.start + each.guest.start, min(length, each.user.end - address)
        return 0, 0

    # memory, by guest addresses

    def _outside(self, address: int) -> TranslationError:
        return TranslationError("no memory", where=f"{self.view} at {address:#x}", expected="inside a region")

    def read(self, address: int, size: int) -> bytes:
        region = self.of_guest(address)
        if region is not None and address + size <= region.guest.end:
            start = address - region.guest.start
            return bytes(region.bytes[start : start + size])
        return b"".join(bytes(piece) for piece in self._pieces(address, size))

    def write(self, address: int, data: bytes) -> None:
        region = self.of_guest(address)
        if region is not None and address + len(data) <= region.guest.end:
            start = address - region.guest.start
            region.bytes[start : start + len(data)] = data
        else:
            done = 0
            for piece in self._pieces(address, len(data)):
                piece[:] = data[done : done + len(piece)]
                done += len(piece)
        if self.log is not None:
            self.log.mark(address, len(data))

    def _pieces(self, address: int, size: int) -> list[memoryview]:
        """Bytes that lie in several regions whose guest addresses touch; all of them, or TranslationError."""
        found = []
        while size > 0:
            region = self.of_guest(address)
            if region is None:
                raise self._outside(address)
            start = address - region.guest.start
            piece = region.bytes[start : start + size]
            found.append(piece)
            address += len(piece)
            size -= len(piece)
        return found

    def load16(self, address: int) -> int:
        region = self.of_guest(address)
        if region is None or region.halfwords is None or address + 2 > region.guest.end:
            return int.from_bytes(self.read(address, 2), "little")
        offset = address - region.guest.start
        return region.halfwords[offset >> 1] if not offset & 1 else int.from_bytes(self.read(address, 2), "little")

    def store16(self, address: int, value: int) -> None:
        region = self.of_guest(address)
        offset = address - region.guest.start if region is not None else 1
        if region is None or region.halfwords is None or offset & 1 or address + 2 > region.guest.end:
            self.write(address, value.to_bytes(2, "little"))
            return
        region.halfwords[offset >> 1] = value
        if self.log is not None:
            self.log.mark(address, 2)
