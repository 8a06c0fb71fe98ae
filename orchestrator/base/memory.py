"""The words for memory that everything else uses: extents, views, and where a value was read.

A *view* is memory as one core addresses it; its name is the core's name in the platform description
(``cpu_cm7``). Bytes that no core holds, a file or a dump, are a view too, named after the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar, runtime_checkable

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import FormatError, TranslationError

__all__ = ["BytesMemory", "Extent", "Located", "Memory", "Place", "place_of"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Extent:
    """A half-open range of addresses, ``start <= address < end``; sizes in bytes."""

    start: int
    size: int

    @classmethod
    def between(cls, start: int, end: int) -> Extent:
        return cls(start, end - start)

    @property
    def end(self) -> int:
        return self.start + self.size

    def __contains__(self, other: int | Extent) -> bool:
        if isinstance(other, Extent):
            return self.start <= other.start and other.end <= self.end
        return self.start <= other < self.end

    def overlaps(self, other: Extent) -> bool:
        return self.start < other.end and other.start < self.end

    def gaps(self, taken: Iterable[Extent]) -> Iterator[Extent]:
        """The parts of this range that no other takes, in order; what is taken may overlap and lie outside."""
        at = self.start
        for each in sorted(taken):
            if at < each.start and at < self.end:
                yield Extent.between(at, min(each.start, self.end))
            at = max(at, each.end)
        if at < self.end:
            yield Extent.between(at, self.end)

    def __str__(self) -> str:
        return f"{self.start:#010x}..{self.end:#010x}"


@runtime_checkable
class Memory(Protocol):
    """Bytes by address, as one view sees them.

    ``read`` gives exactly ``size`` bytes or raises :class:`~orchestrator.base.errors.RptwinError` naming the first
    address that the view does not have; ``write`` stores all bytes or raises likewise and stores none.
    """

    @property
    def view(self) -> str: ...

    def read(self, address: int, size: int) -> bytes: ...

    def write(self, address: int, data: bytes) -> None: ...


class BytesMemory:
    """A :class:`Memory` over bytes at hand: a dump, a file, a test's bytearray."""

    def __init__(self, view: str, base: int, data: bytes | bytearray) -> None:
        self.view = view
        self.extent = Extent(base, len(data))
        self._data = data if isinstance(data, bytearray) else bytearray(data)

    def _offset(self, wanted: Extent) -> int:
        if wanted not in self.extent:
            first = wanted.start if wanted.start not in self.extent else self.extent.end
            raise TranslationError(
                "no memory", where=f"{self.view} at {first:#010x}", expected=f"inside {self.extent}", found=wanted
            )
        return wanted.start - self.extent.start

    def read(self, address: int, size: int) -> bytes:
        offset = self._offset(Extent(address, size))
        return bytes(self._data[offset : offset + size])

    def write(self, address: int, data: bytes) -> None:
        offset = self._offset(Extent(address, len(data)))
        self._data[offset : offset + len(data)] = data


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: the view, the absolute address in that view, and the field path (``vdev[0].status``)."""

    view: str
    address: int
    path: str = ""

    def __str__(self) -> str:
        at = f"{self.view} at {self.address:#010x}"
        return f"{at} ({self.path})" if self.path else at


def place_of(error: FormatError, path: str) -> Place:
    """Where an error is; ``path`` stands for a field path that it does not say, its text for a place that is none."""
    found = error.place
    if found is None:
        return Place(error.where or "", 0, path)
    return Place(found.view, found.address, found.path or path)


@dataclass(frozen=True, slots=True)
class Located(Generic[T]):
    """A value and the place it was read from, beside each other."""

    value: T
    at: Place
