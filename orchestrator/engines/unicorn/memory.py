"""Memory of a board: one host memory per region, mapped at every address of every core.

A block that a core has translated stays as it was when its bytes change by any other way than that core's own store
through the same address. So a page that a core executes is write-protected in every other mapping of it; the store
that meets the protection, and every store of the host, makes the cores forget their translations.

Unicorn knows a block by the host address of its bytes. So where a core has a region at several addresses, each has a
host address of its own for the same memory: with one for all, its own store could miss the block.
"""

from __future__ import annotations

import bisect
import ctypes
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestrator.engines.unicorn.binding import Cpu
from orchestrator.engines.unicorn.native.abi import PAGE_BITS, Window
from orchestrator.errors import EngineError, TranslationError
from orchestrator.memory import Extent
from orchestrator.platform.model import Platform, Region

__all__ = ["BoardMemory", "CoreMemory", "Mapping"]

PAGE = 1 << PAGE_BITS
_FILL_CHUNK = 1 << 16


@dataclass(eq=False, slots=True)
class Store:
    """The bytes of one region, as often in the host's memory as a core has addresses for it."""

    region: Region
    windows: tuple[mmap.mmap, ...]
    view: memoryview
    code: ctypes.Array[ctypes.c_uint8]  # one for each page that ``executed`` holds, for native code to look at
    executed: dict[int, set[Mapping]] = field(default_factory=dict)  # page number in the region: by which mappings
    mappings: list[Mapping] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Mapping:
    """A region at one address of one core."""

    core: str
    extent: Extent
    store: Store
    cpu: Cpu
    pointer: int  # of its first byte in the host's memory
    forget: Callable[[], None]  # drops the core's translations at its next stop


class BoardMemory:
    """Every region of a platform, and who has executed what."""

    def __init__(self, platform: Platform) -> None:
        cores = [core.name for core in platform.cores]
        self._stores = {
            region.name: _new_store(region, max(1, *(len(region.extents(core)) for core in cores)))
            for region in platform.regions
        }

    def stores(self) -> Iterator[Store]:
        yield from self._stores.values()

    def map_core(self, core: str, cpu: Cpu, forget: Callable[[], None]) -> CoreMemory:
        """Map every region that this core sees and give its view."""
        mappings = []
        for store in self._stores.values():
            for number, extent in enumerate(store.region.extents(core)):
                if extent.start % PAGE or extent.size % PAGE:
                    raise EngineError(
                        "memory must lie on pages of 1 KB", where=f"{store.region.name} ({core})", found=extent
                    )
                pointer = ctypes.addressof(ctypes.c_char.from_buffer(store.windows[number]))
                cpu.map_memory(extent.start, extent.size, pointer, writable=store.region.writable)
                mapping = Mapping(core, extent, store, cpu, pointer, forget)
                store.mappings.append(mapping)
                mappings.append(mapping)
        return CoreMemory(core, mappings, self)

    def executes(self, mapping: Mapping, address: int) -> None:
        """A core is about to execute code of this page: watch every other way to change it."""
        page = (address - mapping.extent.start) >> PAGE_BITS
        known = mapping.store.executed.setdefault(page, set())
        if mapping in known:
            return
        known.add(mapping)
        mapping.store.code[page] = 1
        if mapping.store.region.writable:
            self._protect(mapping.store, page)

    def _protect(self, store: Store, page: int) -> None:
        executors = store.executed[page]
        for mapping in store.mappings:
            # Its own store through the same address is seen by Unicorn itself, unless another one executes it too.
            if executors != {mapping}:
                mapping.cpu.protect(mapping.extent.start + page * PAGE, PAGE, writable=False)

    def changes(self, store: Store, offset: int, size: int) -> None:
        """Bytes of a region change: whoever executed them must translate them again."""
        for page in range(offset >> PAGE_BITS, (offset + size - 1 >> PAGE_BITS) + 1):
            executors = store.executed.pop(page, None)
            if executors is None:
                continue
            store.code[page] = 0
            if store.region.writable:
                for mapping in store.mappings:
                    mapping.cpu.protect(mapping.extent.start + page * PAGE, PAGE, writable=True)
            for mapping in executors:
                mapping.forget()

    def all_changed(self) -> None:
        """Any byte may have changed (power-on, restore)."""
        for store in self._stores.values():
            self.changes(store, 0, store.region.size)

    def save(self) -> dict[str, bytes]:
        return {name: bytes(store.view) for name, store in self._stores.items()}

    def restore(self, saved: dict[str, bytes]) -> None:
        for name, data in saved.items():
            self._stores[name].view[:] = data
        self.all_changed()

    def close(self) -> None:
        for store in self._stores.values():
            store.view.release()
            store.mappings.clear()
            store.executed.clear()
        self._stores.clear()


def _new_store(region: Region, count: int) -> Store:
    # Unicorn maps whole host pages' worth of buffer without looking at their end.
    size = max(region.size, mmap.PAGESIZE)
    windows = (mmap.mmap(-1, size),) if count == 1 else _same_memory(size, count)
    view = memoryview(windows[0])[: region.size]
    if region.fill:
        chunk = bytes([region.fill]) * _FILL_CHUNK
        for start in range(0, region.size, _FILL_CHUNK):
            part = view[start : start + _FILL_CHUNK]
            part[:] = chunk[: len(part)]
    return Store(region, windows, view, (ctypes.c_uint8 * (region.size // PAGE + 1))())


def _same_memory(size: int, count: int) -> tuple[mmap.mmap, ...]:
    """The same bytes at several addresses of the host."""
    with (
        os.fdopen(os.memfd_create("rptwin"), "r+b")
        if hasattr(os, "memfd_create")  # Linux alone has files without a place on disk
        else tempfile.TemporaryFile()
    ) as file:
        file.truncate(size)
        return tuple(mmap.mmap(file.fileno(), size) for _ in range(count))


class CoreMemory:
    """Plain memory as one core addresses it (implements :class:`orchestrator.memory.Memory`)."""

    def __init__(self, core: str, mappings: list[Mapping], board: BoardMemory) -> None:
        self.view = core
        self._mappings = sorted(mappings, key=lambda mapping: mapping.extent)
        self._starts = [mapping.extent.start for mapping in self._mappings]
        self._ends = [mapping.extent.end for mapping in self._mappings]
        self._board = board
        self.windows = (Window * len(mappings))()  # the same, for native code
        for window, mapping in zip(self.windows, self._mappings, strict=True):
            window.start, window.end = mapping.extent.start, mapping.extent.end
            window.bytes = mapping.pointer
            window.code = ctypes.addressof(mapping.store.code) if mapping.store.region.writable else None

    def mappings(self) -> tuple[Mapping, ...]:
        """Every mapping, by address."""
        return tuple(self._mappings)

    def mapping_at(self, address: int) -> Mapping | None:
        """The mapping that holds an address."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._ends[index]:
            return None
        return self._mappings[index]

    def span(self, address: int, size: int) -> memoryview | None:
        """The live bytes at an address, without a copy; None where they do not lie in one region."""
        mapping = self.mapping_at(address)
        if mapping is None:
            return None
        offset = address - mapping.extent.start
        if offset + size > mapping.extent.size:
            return None
        return mapping.store.view[offset : offset + size]

    def read(self, address: int, size: int) -> bytes:
        span = self.span(address, size)
        if span is not None:
            return bytes(span)
        parts = []
        while size:
            mapping, offset, length = self._part(address, size)
            parts.append(bytes(mapping.store.view[offset : offset + length]))
            address += length
            size -= length
        return b"".join(parts)

    def write(self, address: int, data: bytes) -> None:
        """Store bytes from outside the core; memory that refuses a guest's store (flash) takes them."""
        mapping = self.mapping_at(address)
        if mapping is not None and address + len(data) <= mapping.extent.start + mapping.extent.size:
            offset = address - mapping.extent.start
            mapping.store.view[offset : offset + len(data)] = data
            if mapping.store.executed:
                self._board.changes(mapping.store, offset, len(data))
            return
        parts = []
        done = 0
        while done < len(data):
            mapping, offset, length = self._part(address + done, len(data) - done)
            parts.append((mapping.store, offset, data[done : done + length]))
            done += length
        for store, offset, part in parts:
            store.view[offset : offset + len(part)] = part
            self._board.changes(store, offset, len(part))

    def _part(self, address: int, size: int) -> tuple[Mapping, int, int]:
        mapping = self.mapping_at(address)
        if mapping is None:
            raise TranslationError("no memory", where=f"{self.view} at {address:#010x}")
        offset = address - mapping.extent.start
        return mapping, offset, min(size, mapping.extent.size - offset)
