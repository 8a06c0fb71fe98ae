"""The dirty log: a bit for each page of the guest that the back-end has written to (vhost-user, "Migration")."""

from __future__ import annotations

import mmap
import os

from orchestrator.base.errors import VhostUserError
from orchestrator.vhost_user.messages import LogBase

__all__ = ["DirtyLog"]

_PAGE_BITS = 12  # VHOST_LOG_PAGE: 0x1000


class DirtyLog:
    """Mapped from a descriptor, which stays the caller's; VhostUserError where that cannot be."""

    def __init__(self, base: LogBase, descriptor: int) -> None:
        where, end = "SET_LOG_BASE", base.mmap_offset + base.length
        size = os.fstat(descriptor).st_size
        if not base.length or end > size:
            raise VhostUserError(
                "behind its file's end",
                rule="vhost.log",
                where=where,
                expected=f"some bytes of {size:#x}",
                found=f"{base.length:#x} from {base.mmap_offset:#x}",
            )
        try:
            self._map = mmap.mmap(descriptor, end)
        except (OSError, ValueError, OverflowError) as error:
            raise VhostUserError("cannot be mapped", rule="vhost.log", where=where, found=error) from error
        self._bits = memoryview(self._map)[base.mmap_offset : end]

    def mark(self, address: int, size: int) -> None:
        """Pages that hold these bytes were written; those behind the log's end have no bit."""
        if size <= 0:
            return
        last = min((address + size - 1) >> _PAGE_BITS, 8 * len(self._bits) - 1)
        for page in range(address >> _PAGE_BITS, last + 1):
            # No atomic OR: a bit that the front-end clears meanwhile may be set again, and the page is copied twice.
            self._bits[page >> 3] |= 1 << (page & 7)

    def close(self) -> None:
        """Unmap it."""
        self._bits.release()
        self._map.close()
