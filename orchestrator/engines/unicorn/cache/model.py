"""An L1 cache of one core (DDI0403E A3.9, B2.2, B3.2.3; DDI0489F 5.2): geometry, attributes, maintenance, lines.

What an access does is decided in native/cache.c; here is what sets the cache up, and what is rare.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import EngineError
from orchestrator.engines.common.memory_protection import Caching
from orchestrator.engines.unicorn.binding import address_of
from orchestrator.engines.unicorn.memory.host_memory import private_memory
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.native.abi import CacheState, CoreState, DoingState, LineState, TrackedState, hooks
from orchestrator.events import IncoherenceKind

__all__ = ["CLEAN", "CLEAN_INVALIDATE", "INVALIDATE", "LINE_BYTES", "CacheModel", "Found", "Geometry", "Tracked"]

CLEAN, INVALIDATE = abi.CLEAN, abi.INVALIDATE
CLEAN_INVALIDATE = CLEAN | INVALIDATE
LINE_BYTES = abi.LINE_BYTES
_KINDS = {
    abi.STALE_READ: IncoherenceKind.STALE_READ,
    abi.STAYED: IncoherenceKind.WRITE_STAYED,
    abi.DESTROYED: IncoherenceKind.INVALIDATE_DESTROYED,
    abi.OVERWRITES: IncoherenceKind.WRITE_BACK_OVERWRITES,
    abi.TOO_EARLY: IncoherenceKind.INVALIDATED_EARLY,
    abi.STALE_CODE: IncoherenceKind.STALE_CODE,
}


class Geometry(NamedTuple):
    """Sets and ways; a line has ``LINE_BYTES``."""

    sets: int
    ways: int

    @classmethod
    def of(cls, ccsidr: int) -> Geometry:
        """By a Cache Size ID Register (DDI0403E B4.8.3); EngineError for lines of another size."""
        if 16 << (ccsidr & 7) != LINE_BYTES:
            what = "no model of a data cache with such lines"
            raise EngineError(what, expected=f"{LINE_BYTES} bytes", found=16 << (ccsidr & 7))
        return cls((ccsidr >> 13 & 0x7FFF) + 1, (ccsidr >> 3 & 0x3FF) + 1)

    def place(self, set_and_way: int) -> tuple[int, int]:
        """Set and way of a store to DCISW, DCCSW or DCCISW (DDI0403E B3.2.3)."""
        way_shift = 32 - (self.ways - 1).bit_length()
        set_ = (set_and_way & ((1 << way_shift) - 1)) // LINE_BYTES % self.sets
        return set_, set_and_way >> way_shift if self.ways > 1 else 0


@dataclass(frozen=True, slots=True)
class Tracked:
    """Memory that the cache may hold and others reach: its address for the core, and where its bytes lie here."""

    start: int
    size: int  # a multiple of 1 KB
    pointer: int
    code: int | None = None  # a byte for each page: whether some core has translated it


class Step(NamedTuple):
    """Who (a core's number; None: a device) did something at an instruction count of its own, and by which PC."""

    who: int | None
    pc: int
    executed: int


class Found(NamedTuple):
    """What was found: as :class:`orchestrator.events.Incoherent` has it, with cores by number."""

    kind: IncoherenceKind
    line: int
    mask: int  # a bit for each byte of the line
    by: Step
    of: Step
    since: Step


def _step(doing: Any) -> Step:
    return Step(None if doing.who == abi.A_DEVICE else doing.who, doing.pc, doing.executed)


class CacheModel:
    """One core's cache over some memory; ``is_real``: the core sees what it holds, and ``seed`` evicts lines.

    ``fetches``: its instruction cache, which never is real: the core executes what memory holds.
    """

    def __init__(
        self,
        core: CoreState,
        geometry: Geometry,
        memory: Sequence[Tracked],
        *,
        is_real: bool,
        seed: int = 0,
        fetches: bool = False,
    ) -> None:
        self._core = core
        self.geometry = geometry
        self.code_changed: Callable[[int], None] = lambda _index: None
        self.is_real = is_real
        self.memory = tuple(memory)
        self._seed = seed
        self._state = CacheState()
        self.pointer = address_of(self._state)
        self._tracked = (TrackedState * len(self.memory))()
        self._buffers: list[mmap.mmap] = []  # what the native part points to
        self._pages: list[mmap.mmap] = []
        self._resident = (abi.WayState * (geometry.sets * geometry.ways))()
        self._attributes: tuple[Any, Any] = ((ctypes.c_uint32 * 0)(), (ctypes.c_uint8 * 0)())
        state = self._state
        state.core = address_of(core)
        state.real = is_real
        state.fetches = fetches
        state.sets, state.ways = geometry
        state.resident = ctypes.addressof(self._resident)
        state.random = seed
        for native, each in zip(self._tracked, self.memory, strict=True):
            native.cache = self.pointer
            native.lines = self._room(each.size // LINE_BYTES * ctypes.sizeof(LineState))
            native.pages = self._room(each.size // abi.PAGE_SIZE)
            self._pages.append(self._buffers[-1])
            native.bytes, native.code = each.pointer, each.code
            native.content = self._room(each.size) if is_real else None
            native.start, native.size = each.start, each.size

    def _room(self, size: int) -> int:
        self._buffers.append(private_memory(max(size, 1)))
        return ctypes.addressof(ctypes.c_char.from_buffer(self._buffers[-1]))

    def tracked_at(self, index: int) -> Any:
        """The native part of a piece of memory."""
        return self._tracked[index]

    # --- set up by registers

    def set_up(self, *, is_on: bool, caching: Sequence[tuple[int, Caching]]) -> None:
        """CCR.DC or CCR.IC, and how memory is cached from each address on, the first of which is 0."""
        count = len(caching)
        starts = (ctypes.c_uint32 * count)(*(start for start, _ in caching))
        kinds = (ctypes.c_uint8 * count)(*(kind for _, kind in caching))
        state = self._state
        state.starts, state.kinds, state.count = ctypes.addressof(starts), ctypes.addressof(kinds), count
        state.on = is_on
        self._attributes = (starts, kinds)

    def maintain(self, address: int, what: int) -> None:
        """Clean or invalidate the line that holds an address."""
        hooks.cache_maintain(self.pointer, self._tracked, len(self._tracked), address, what)
        self.tell_changed_code()

    def maintain_way(self, set_and_way: int, what: int) -> None:
        """The same by set and way."""
        set_, way = self.geometry.place(set_and_way)
        hooks.cache_maintain_way(self.pointer, self._tracked, len(self._tracked), set_, way, what)
        self.tell_changed_code()

    def reset(self) -> None:
        """Nothing is held: what was dirty is lost."""
        hooks.cache_reset(self.pointer, self._tracked, len(self._tracked))

    # --- what happens

    def pause(self, *, paused: bool) -> None:
        """Whether what runs has been looked at before."""
        self._state.off = paused

    def other(self, index: int, offset: int, size: int, by: Step, *, writes: bool) -> None:
        """Somebody reaches a piece of memory past the cache; the bytes are theirs to move."""
        doing = DoingState(by.executed, by.pc, abi.A_DEVICE if by.who is None else by.who)
        tracked = ctypes.byref(self._tracked[index])
        hooks.cache_other(tracked, offset, size, writes, ctypes.byref(doing))

    def any(self) -> bool:
        """Whether :meth:`take` has something."""
        return bool(self._state.found_count)

    def take(self) -> list[Found]:
        """What was found since the last call, in order; EngineError where there was no room for all of it."""
        state = self._state
        count, state.found_count = state.found_count, 0
        if not count:
            return []
        found = (abi.IncoherenceState * count).from_address(state.found)
        return [
            Found(_KINDS[each.kind], each.address, each.mask, _step(each.by), _step(each.of), _step(each.since))
            for each in found
        ]

    def tell_changed_code(self) -> None:
        """Call ``code_changed`` for each piece of memory in which a line was written back over code."""
        if not self.is_real:
            return
        for index, each in enumerate(self._tracked):
            if each.code_changed:
                each.code_changed = 0
                self.code_changed(index)

    # --- snapshots

    def save(self) -> object:
        """All that it holds; what was found must have been taken."""
        pages = [(index, page) for index, each in enumerate(self._pages) for page in range(len(each)) if each[page]]
        return {at: self._of_page(*at) for at in pages}, bytes(self._resident), self._state.random

    def restore(self, saved: object) -> None:
        """Go back to :meth:`save`."""
        assert isinstance(saved, tuple)
        lines, resident, self._state.random = saved
        self.reset()
        for each in self._pages:
            each[:] = bytes(len(each))
        for (index, page), parts in lines.items():
            self._pages[index][page] = 1
            for (address, size), data in zip(self._parts(index, page), parts, strict=True):
                ctypes.memmove(address, data, size)
        ctypes.memmove(self._resident, resident, len(resident))
        self._state.found_count = 0

    def _parts(self, index: int, page: int) -> list[tuple[int, int]]:
        """Where what is held of a page lies, and its size."""
        native = self._tracked[index]
        size = abi.PAGE_SIZE // LINE_BYTES * ctypes.sizeof(LineState)
        parts = [(native.lines + page * size, size)]
        return parts + ([(native.content + page * abi.PAGE_SIZE, abi.PAGE_SIZE)] if self.is_real else [])

    def _of_page(self, index: int, page: int) -> tuple[bytes, ...]:
        return tuple(ctypes.string_at(address, size) for address, size in self._parts(index, page))

    def close(self) -> None:
        """Give back what native code has taken."""
        hooks.cache_free(self.pointer)
