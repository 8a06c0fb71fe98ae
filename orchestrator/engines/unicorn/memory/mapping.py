"""What each core sees of the stored bytes, at which addresses, and who has executed what.

A block that a core has translated stays as it was when its bytes change by any other way than that core's own store
through the same address. So a page that a core executes is write-protected in every other mapping of it; the store
that meets the protection, and every store of the host, makes the cores forget their translations.

Unicorn knows a block by the host address of its bytes. So where a core has a region at several addresses, each has a
host address of its own for the same memory: with one for all, its own store could miss the block.
"""

from __future__ import annotations

import bisect
import ctypes
from collections.abc import Callable
from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import EngineError, TranslationError
from orchestrator.base.memory import Extent
from orchestrator.engines.unicorn.binding import Cpu
from orchestrator.engines.unicorn.memory.host_memory import address_of
from orchestrator.engines.unicorn.memory.saved_bytes import Chunks, SavedBytes
from orchestrator.engines.unicorn.memory.store import Store, new_store
from orchestrator.engines.unicorn.native.abi import PAGE_BITS, Window
from orchestrator.platform.model import Platform

__all__ = ["BoardMemory", "CoreMemory", "Mapping", "MemoryView"]

PAGE = 1 << PAGE_BITS


@dataclass(eq=False, slots=True)
class Mapping:
    """A region at one address of one core; ``seen`` is what the core finds there: today, what is stored."""

    core: str
    extent: Extent
    store: Store
    cpu: Cpu
    seen: memoryview
    pointer: int  # of the first byte of what it sees
    forget: Callable[[], None]  # drops the core's translations at its next stop


@dataclass(eq=False, slots=True)
class _Executed:
    """Which pages of a region some core has translated."""

    store: Store
    saved: SavedBytes
    code: ctypes.Array[ctypes.c_uint8]  # one for each page that ``by_page`` holds, for native code to look at
    by_page: dict[int, set[Mapping]] = field(default_factory=dict)  # page number in the region: by which mappings
    mappings: list[Mapping] = field(default_factory=list)


class BoardMemory:
    """Every region of a platform, and who has executed what."""

    def __init__(self, platform: Platform, *, is_shared: bool = False) -> None:
        cores = [core.name for core in platform.cores]
        self._regions: dict[str, _Executed] = {}
        for region in platform.regions:
            count = max(1, *(len(region.extents(core)) for core in cores))
            store = new_store(region, count, is_shared=is_shared and region.writable)
            code = (ctypes.c_uint8 * (region.size // PAGE + 1))()
            self._regions[region.name] = _Executed(store, SavedBytes(store), code)

    def map_core(self, core: str, cpu: Cpu, forget: Callable[[], None]) -> CoreMemory:
        """Map every region that this core sees and give its view."""
        mappings = []
        for executed in self._regions.values():
            store = executed.store
            for number, extent in enumerate(store.region.extents(core)):
                if extent.start % PAGE or extent.size % PAGE:
                    raise EngineError(
                        "memory must lie on pages of 1 KB", where=f"{store.region.name} ({core})", found=extent
                    )
                window = store.windows[number]
                seen = memoryview(window)[: store.region.size]
                pointer = address_of(window)
                cpu.map_memory(extent.start, extent.size, pointer, writable=store.region.writable)
                mapping = Mapping(core, extent, store, cpu, seen, pointer, forget)
                executed.mappings.append(mapping)
                mappings.append(mapping)
        return CoreMemory(core, mappings, self)

    def executes(self, mapping: Mapping, address: int) -> None:
        """A core is about to execute code of this page: watch every other way to change it."""
        page = (address - mapping.extent.start) >> PAGE_BITS
        executed = self._regions[mapping.store.region.name]
        known = executed.by_page.setdefault(page, set())
        if mapping in known:
            return
        known.add(mapping)
        executed.code[page] = 1
        if mapping.store.region.writable:
            self._protect(executed, page)

    def _protect(self, executed: _Executed, page: int) -> None:
        executors = executed.by_page[page]
        for mapping in executed.mappings:
            # Its own store through the same address is seen by Unicorn itself, unless another one executes it too.
            if executors != {mapping}:
                mapping.cpu.protect(mapping.extent.start + page * PAGE, PAGE, writable=False)

    def changes(self, store: Store, offset: int, size: int) -> None:
        """Bytes of a region change: whoever executed them must translate them again."""
        executed = self._regions[store.region.name]
        executed.saved.written()
        if not executed.by_page:
            return
        for page in range(offset >> PAGE_BITS, (offset + size - 1 >> PAGE_BITS) + 1):
            executors = executed.by_page.pop(page, None)
            if executors is None:
                continue
            executed.code[page] = 0
            if store.region.writable:
                for mapping in executed.mappings:
                    mapping.cpu.protect(mapping.extent.start + page * PAGE, PAGE, writable=True)
            for mapping in executors:
                mapping.forget()

    def save(self, *, writable_only: bool = False) -> dict[str, Chunks]:
        """By region; what has not changed since the last time is the same object."""
        return {
            name: executed.saved.save()
            for name, executed in self._regions.items()
            if executed.store.region.writable or not writable_only
        }

    def equals(self, saved: dict[str, Chunks]) -> bool:
        """Whether these regions hold what they held at :meth:`save`."""
        return all(self._regions[name].saved.hold(chunks) for name, chunks in saved.items())

    def restore(self, saved: dict[str, Chunks]) -> None:
        """What was translated of pages that stay as they are holds."""
        for name, chunks in saved.items():
            executed = self._regions[name]
            for at, before, now in executed.saved.restore(chunks):
                for page in [each for each in executed.by_page if at <= each << PAGE_BITS < at + len(now)]:
                    start = (page << PAGE_BITS) - at
                    if before[start : start + PAGE] != now[start : start + PAGE]:
                        self.changes(executed.store, at + start, PAGE)

    def part(self) -> None:
        """In a copy of this process: nothing is shared with the process that it was copied from."""
        for executed in self._regions.values():
            executed.store.part()

    def close(self) -> None:
        for executed in self._regions.values():
            if executed.store.file is not None:
                for mapping in executed.mappings:
                    mapping.seen.release()
            executed.store.close()
            executed.mappings.clear()
            executed.by_page.clear()
        self._regions.clear()

    def code_marks(self, store: Store) -> ctypes.Array[ctypes.c_uint8]:
        """A byte for each page of a region that some core has translated."""
        return self._regions[store.region.name].code


class MemoryView:
    """Plain memory by the addresses of one core: the stored bytes (a :class:`~orchestrator.base.memory.Memory`)."""

    def __init__(self, core: str, mappings: list[Mapping], board: BoardMemory) -> None:
        self.view = core
        self._mappings = sorted(mappings, key=lambda mapping: mapping.extent)
        self._starts = [mapping.extent.start for mapping in self._mappings]
        self._ends = [mapping.extent.end for mapping in self._mappings]
        self._board = board

    @staticmethod
    def _bytes_of(mapping: Mapping) -> memoryview:
        return mapping.store.view

    @property
    def board(self) -> BoardMemory:
        """The memory of the board that this is of."""
        return self._board

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
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._ends[index] or address + size > self._ends[index]:
            return None
        offset = address - self._starts[index]
        return self._bytes_of(self._mappings[index])[offset : offset + size]

    def read(self, address: int, size: int) -> bytes:
        index = bisect.bisect_right(self._starts, address) - 1
        if index >= 0 and address + size <= self._ends[index]:
            offset = address - self._starts[index]
            return self._bytes_of(self._mappings[index])[offset : offset + size].tobytes()
        parts = []
        while size:
            mapping, offset, length = self._part(address, size)
            parts.append(bytes(self._bytes_of(mapping)[offset : offset + length]))
            address += length
            size -= length
        return b"".join(parts)

    def write(self, address: int, data: bytes) -> None:
        """Store bytes from outside the core; memory that refuses a guest's store (flash) takes them."""
        mapping = self.mapping_at(address)
        if mapping is not None and address + len(data) <= mapping.extent.start + mapping.extent.size:
            offset = address - mapping.extent.start
            self._bytes_of(mapping)[offset : offset + len(data)] = data
            self._board.changes(mapping.store, offset, len(data))
            return
        parts = []
        done = 0
        while done < len(data):
            mapping, offset, length = self._part(address + done, len(data) - done)
            parts.append((mapping, offset, data[done : done + length]))
            done += length
        for mapping, offset, part in parts:
            self._bytes_of(mapping)[offset : offset + len(part)] = part
            self._board.changes(mapping.store, offset, len(part))

    def _part(self, address: int, size: int) -> tuple[Mapping, int, int]:
        mapping = self.mapping_at(address)
        if mapping is None:
            raise TranslationError("no memory", where=f"{self.view} at {address:#010x}")
        offset = address - mapping.extent.start
        return mapping, offset, min(size, mapping.extent.size - offset)


class CoreMemory(MemoryView):
    """Plain memory as one core sees it; ``stored`` is what lies behind that."""

    def __init__(self, core: str, mappings: list[Mapping], board: BoardMemory) -> None:
        super().__init__(core, mappings, board)
        self.stored = MemoryView(core, mappings, board)
        self.windows = (Window * len(mappings))()  # the same, for native code
        for window, mapping in zip(self.windows, self._mappings, strict=True):
            window.start, window.end = mapping.extent.start, mapping.extent.end
            window.bytes = mapping.pointer
            window.code = ctypes.addressof(board.code_marks(mapping.store)) if mapping.store.region.writable else None

    @staticmethod
    def _bytes_of(mapping: Mapping) -> memoryview:
        return mapping.seen
