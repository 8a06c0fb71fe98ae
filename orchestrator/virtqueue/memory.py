"""Memory in which a ring's indices are published: one aligned 16-bit store, after everything that it covers.

``struct.pack_into`` on a shared buffer is no single store: a peer that runs at the same time was seen to read halves
of it. A 16-bit item of a ``memoryview`` is.
"""

from __future__ import annotations

import mmap
from typing import Protocol, runtime_checkable

from orchestrator.base.errors import TranslationError, UsageError
from orchestrator.base.memory import Extent, Memory

__all__ = ["BufferMemory", "OrderedMemory", "ordered"]


@runtime_checkable
class OrderedMemory(Memory, Protocol):
    """A memory with 16-bit accesses that nobody sees half of; addresses are even.

    Program order is the order in which a peer sees the stores: Python adds no store of its own and moves none, and
    CPython's interpreter loop lies between any two of them.
    """

    def load16(self, address: int) -> int: ...

    def store16(self, address: int, value: int) -> None: ...


class BufferMemory:
    """An :class:`OrderedMemory` over a buffer that others may share: a ``bytearray``, an ``mmap``, a ``memoryview``."""

    def __init__(self, view: str, base: int, buffer: bytearray | mmap.mmap | memoryview) -> None:
        whole = memoryview(buffer).cast("B")
        if whole.readonly or base % 2:
            raise UsageError("no memory for rings", where=view, expected="writable, from an even address")
        self.view = view
        self.extent = Extent(base, len(whole))
        self._base = base
        self._size = len(whole)
        self._bytes = whole
        self._halfwords = whole[: len(whole) & ~1].cast("H")

    def _offset(self, address: int, size: int) -> int:
        offset = address - self._base
        if offset < 0 or offset + size > self._size:
            wanted = Extent(address, size)
            first = address if address not in self.extent else self.extent.end
            raise TranslationError(
                "no memory", where=f"{self.view} at {first:#010x}", expected=f"inside {self.extent}", found=wanted
            )
        return offset

    def read(self, address: int, size: int) -> bytes:
        offset = self._offset(address, size)
        return bytes(self._bytes[offset : offset + size])

    def write(self, address: int, data: bytes) -> None:
        offset = self._offset(address, len(data))
        self._bytes[offset : offset + len(data)] = data

    def load16(self, address: int) -> int:
        return self._halfwords[self._offset(address, 2) >> 1]

    def store16(self, address: int, value: int) -> None:
        self._halfwords[self._offset(address, 2) >> 1] = value


class _TurnBased:
    """A memory that nobody else accesses during our turn (a board's): each of its writes is seen whole."""

    def __init__(self, memory: Memory) -> None:
        self.view = memory.view
        self.read = memory.read
        self.write = memory.write

    def load16(self, address: int) -> int:
        return int.from_bytes(self.read(address, 2), "little")

    def store16(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(2, "little"))


def ordered(memory: Memory) -> OrderedMemory:
    """The memory itself if it is ordered; else what makes one of a memory whose users take turns."""
    return memory if isinstance(memory, OrderedMemory) else _TurnBased(memory)
