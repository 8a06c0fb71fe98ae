"""The stored bytes of a board: one host memory for each region, whoever sees it and at whatever address."""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass

from orchestrator.base.errors import EngineError
from orchestrator.platform.model import Region

__all__ = ["Store", "new_store"]

_FILL_CHUNK = 1 << 16


@dataclass(eq=False, slots=True)
class Store:
    """The bytes of one region, as often in the host's memory as a core has addresses for it: ``windows``."""

    region: Region
    windows: tuple[mmap.mmap, ...]
    view: memoryview


def new_store(region: Region, count: int) -> Store:
    """With so many windows, all of the same bytes."""
    # Unicorn maps whole host pages' worth of buffer without looking at their end.
    size = max(region.size, mmap.PAGESIZE)
    windows = (mmap.mmap(-1, size),) if count == 1 else _same_memory(size, count)
    view = memoryview(windows[0])[: region.size]
    if region.fill:
        chunk = bytes([region.fill]) * _FILL_CHUNK
        for start in range(0, region.size, _FILL_CHUNK):
            part = view[start : start + _FILL_CHUNK]
            part[:] = chunk[: len(part)]
    return Store(region, windows, view)


def _same_memory(size: int, count: int) -> tuple[mmap.mmap, ...]:
    """The same bytes at several addresses of the host."""
    with (
        os.fdopen(os.memfd_create("rptwin"), "r+b")
        if hasattr(os, "memfd_create")  # Linux alone has files without a place on disk
        else tempfile.TemporaryFile()
    ) as file:
        try:
            file.truncate(size)
        except OSError as error:  # a limit for the size of files is one for these as well
            what = "no room for a memory of the board"
            raise EngineError(what, expected=f"{size} bytes", found=error.strerror) from None
        return tuple(mmap.mmap(file.fileno(), size) for _ in range(count))
