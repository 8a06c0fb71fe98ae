"""What is observed of one core: the spans of memory whose every access native code records (native/accesses.c).

Pages that hold an observed byte take the way of those that the MPU does not decide as a whole (mpu_enforcer.py): each
access goes to an alias where a native hook sees it, and every other page stays as fast as it was.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import EngineError
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.memory import CoreMemory, Store
from orchestrator.engines.unicorn.native.abi import AccessesState, CoreState, Span, hooks
from orchestrator.events import RECORD

__all__ = ["AccessLog", "Observed", "disjoint"]


@dataclass(frozen=True, slots=True)
class Observed:
    """An extent of one region, by offset."""

    store: Store
    start: int
    end: int
    merge: bool


class AccessLog:
    """The accesses of one core to what is observed, in order."""

    def __init__(self, native: CoreState, name: str, mips: int) -> None:
        self._native = native
        self._name = name
        self._mips = mips
        self._state = AccessesState()
        self._pointer = binding.address_of(self._state)
        self._spans = (Span * 0)()
        self._extents: dict[int, list[tuple[int, int]]] = {}  # by store: where the core has it, start and size
        self._in_use = False
        self.stale = False  # the core's TLB does not yet know what is observed

    def observe(self, observed: Sequence[Observed], memory: CoreMemory) -> None:
        """Record accesses to these, which do not overlap, from the core's next instruction on, at every address that it
        has for them.
        """
        if not self._extents:
            for each in memory.mappings():
                self._extents.setdefault(id(each.store), []).append((each.extent.start, each.extent.size))
        spans: list[Any] = [  # ctypes takes a tuple for a structure
            (start + part.start, start + min(part.end, size), part.merge)
            for part in observed
            for start, size in self._extents.get(id(part.store), ())
            if part.start < size
        ]
        self._spans = (Span * len(spans))(*sorted(spans))
        self._state.spans = ctypes.addressof(self._spans)
        self._state.span_count = len(spans)
        self._native.accesses = self._pointer
        self._in_use = self.stale = True

    def any(self) -> bool:
        """Whether :meth:`take` may have something."""
        return self._in_use and bool(self._state.any)

    def pause(self, *, paused: bool) -> None:
        """Whether what runs has been recorded before."""
        self._state.off = paused

    def take(self) -> bytes:
        """What was recorded since the last call, packed as ``events.RECORD``."""
        if self._state.lost:
            raise EngineError("no memory for what a core did", where=self._name)
        count = hooks.accesses_take(self._pointer, self._mips)
        return ctypes.string_at(self._state.records, count * RECORD.size)

    def close(self) -> None:
        self._native.accesses = None
        hooks.accesses_free(self._pointer)


def disjoint(observed: Iterable[Observed]) -> list[Observed]:
    """The same bytes without overlaps; where extents overlap, one whose every access counts decides."""
    by_store: dict[int, list[Observed]] = {}
    for each in observed:
        by_store.setdefault(id(each.store), []).append(each)
    parts: list[Observed] = []
    for extents in by_store.values():
        edges = sorted({edge for each in extents for edge in (each.start, each.end)})
        for start, end in pairwise(edges):
            over = [each for each in extents if each.start <= start and end <= each.end]
            if over:
                parts.append(Observed(over[0].store, start, end, all(each.merge for each in over)))
    return parts
