"""Memory given out and taken back, as RPTUN's shared heap does with what the vrings leave of a carveout.

First fit by address, neighbours merged when they come back. Its state is known here, so what an owner does wrong is
known too: it is kept as a fault, and the heap goes on unharmed.
"""

from __future__ import annotations

import bisect

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import UsageError
from orchestrator.base.memory import Extent

__all__ = ["Heap", "HeapFault", "HeapReport"]

_MAX_FAULTS = 64


@dataclass(frozen=True, slots=True)
class HeapFault:
    """Something that an owner did wrong: ``double-free``, ``not-allocated`` or ``overlap``."""

    kind: str
    extent: Extent
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.extent}: {self.what}"


@dataclass(frozen=True, slots=True)
class HeapReport:
    """How a heap stands; sizes in bytes."""

    size: int
    free: int
    largest: int  # the largest single piece that is free
    allocated: tuple[tuple[Extent, str], ...]  # what is out, with the label that it was taken under: a leak at the end
    faults: tuple[HeapFault, ...]

    @property
    def fragmentation(self) -> float:
        """0.0: all that is free lies in one piece; towards 1.0: it lies in crumbs."""
        return 1.0 - self.largest / self.free if self.free else 0.0

    def __str__(self) -> str:
        return (
            f"{self.free} of {self.size} bytes free, the largest piece {self.largest} "
            f"({self.fragmentation:.0%} fragmented), {len(self.allocated)} allocated, {len(self.faults)} faults"
        )


class Heap:
    """An extent of one view; every piece starts at a multiple of ``align``."""

    def __init__(self, extent: Extent, align: int = 16) -> None:
        if align <= 0 or align & (align - 1):
            raise UsageError("no alignment of a heap", expected="a power of two", found=align)
        self.extent = extent
        self._align = align
        self._faults: list[HeapFault] = []
        self._taken: dict[int, tuple[Extent, str]] = {}
        self._given_back: set[int] = set()
        start = self._up(extent.start, align)
        end = extent.end & ~(align - 1)
        self._free = [Extent.between(start, end)] if end > start else []
        self._size = max(0, end - start)

    @staticmethod
    def _up(value: int, align: int) -> int:
        return (value + align - 1) & ~(align - 1)

    def allocate(self, size: int, label: str = "", align: int = 0) -> int | None:
        """The address of ``size`` bytes (rounded up to the heap's alignment); None when no piece is large enough."""
        align = max(align, self._align)
        if size <= 0 or align & (align - 1):
            raise UsageError(
                "no piece of a heap", expected="some bytes, aligned to a power of two", found=(size, align)
            )
        size = self._up(size, self._align)
        for index, piece in enumerate(self._free):
            start = self._up(piece.start, align)
            if start + size <= piece.end:
                self._take(index, Extent(start, size), label)
                return start
        return None

    def reserve(self, extent: Extent, label: str = "") -> bool:
        """Take what lies at a place that somebody else chose; False, and an overlap, when not all of it is free."""
        whole = Extent.between(extent.start & -self._align, self._up(extent.end, self._align))
        for index, piece in enumerate(self._free):
            if whole in piece:
                self._take(index, whole, label)
                return True
        others = [f"{taken} ({name})" for taken, name in self._taken.values() if taken.overlaps(whole)]
        self._fault("overlap", whole, f"{label or 'a piece'} overlaps {', '.join(others) or 'the end of the heap'}")
        return False

    def free(self, address: int) -> bool:
        """Take a piece back; False, and a fault, when it is not out."""
        found = self._taken.pop(address, None)
        if found is None:
            kind = "double-free" if address in self._given_back else "not-allocated"
            inside = next((f"{e} ({name})" for e, name in self._taken.values() if address in e), "nothing")
            self._fault(kind, Extent(address, 0), f"given back; there is {inside} at this address")
            return False
        piece = found[0]
        self._given_back.add(address)
        index = bisect.bisect_left(self._free, piece)
        if index < len(self._free) and self._free[index].start == piece.end:
            piece = Extent(piece.start, piece.size + self._free.pop(index).size)
        if index and self._free[index - 1].end == piece.start:
            index -= 1
            piece = Extent(self._free[index].start, self._free.pop(index).size + piece.size)
        self._free.insert(index, piece)
        return True

    def _take(self, index: int, wanted: Extent, label: str) -> None:
        piece = self._free.pop(index)
        left = (Extent.between(piece.start, wanted.start), Extent.between(wanted.end, piece.end))
        self._free[index:index] = [each for each in left if each.size]
        self._taken[wanted.start] = (wanted, label)

    def _fault(self, kind: str, extent: Extent, what: str) -> None:
        if len(self._faults) < _MAX_FAULTS:
            self._faults.append(HeapFault(kind, extent, what))

    def report(self) -> HeapReport:
        """How it stands now."""
        return HeapReport(
            self._size,
            sum(each.size for each in self._free),
            max((each.size for each in self._free), default=0),
            tuple(sorted(self._taken.values())),
            tuple(self._faults),
        )
