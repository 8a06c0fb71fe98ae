"""Bytes of a region as they were saved or restored last, in chunks: what is still the same is shared, not copied."""

from __future__ import annotations

from functools import cache

from orchestrator.engines.unicorn.memory.host_memory import address_of, holds
from orchestrator.engines.unicorn.memory.store import Store

__all__ = ["CHUNK", "Chunks", "SavedBytes"]

CHUNK = 1 << 15
"""Bytes of a chunk, but for the last one of a region."""

Chunks = tuple[bytes, ...]
"""All bytes of a region, in order."""


@cache
def _blank(fill: int) -> bytes:
    """A chunk as it is at power-on: most memory is never written."""
    return bytes([fill]) * CHUNK


class SavedBytes:
    """Of one region. Memory that the guest cannot write is looked at only after :meth:`written`."""

    def __init__(self, store: Store) -> None:
        self._view = store.view
        self._is_told = not store.region.writable
        self._is_written = True
        self._blank = _blank(store.region.fill)
        address = address_of(store.windows[0])
        self._places = [(at, address + at) for at in range(0, store.region.size, CHUNK)]
        self._last: Chunks = ()

    def written(self) -> None:
        """By the host."""
        self._is_written = True

    def _are_known(self, chunks: Chunks) -> bool:
        return self._is_told and not self._is_written and chunks is self._last

    def hold(self, chunks: Chunks) -> bool:
        """Whether these are the bytes of the region."""
        if self._are_known(chunks):
            return True
        return all(holds(address, chunk) for (_, address), chunk in zip(self._places, chunks, strict=True))

    def save(self) -> Chunks:
        """The very chunks that were saved or restored last, where they still say what is there."""
        if not self._last or not self.hold(self._last):
            known = self._last or (self._blank,) * len(self._places)
            self._last = tuple(
                self._chunk(at, address, chunk) for (at, address), chunk in zip(self._places, known, strict=True)
            )
        self._is_written = False
        return self._last

    def _chunk(self, at: int, address: int, known: bytes) -> bytes:
        size = min(CHUNK, len(self._view) - at)
        for each in (known, self._blank):
            if len(each) == size and holds(address, each):
                return each
        return bytes(self._view[at : at + size])

    def restore(self, chunks: Chunks) -> list[tuple[int, bytes, bytes]]:
        """Write what differs; where that was, what was there and what is there now."""
        if self._are_known(chunks):
            return []
        changed = []
        for (at, address), chunk in zip(self._places, chunks, strict=True):
            if not holds(address, chunk):
                part = self._view[at : at + len(chunk)]
                changed.append((at, bytes(part), chunk))
                part[:] = chunk
        self._last = chunks
        self._is_written = False
        return changed
