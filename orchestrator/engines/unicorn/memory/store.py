"""The stored bytes of a board: one host memory for each region, whoever sees it and at whatever address."""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from typing import IO

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import EngineError
from orchestrator.engines.unicorn.memory.host_memory import private_memory, remap
from orchestrator.platform.model import Region

__all__ = ["Store", "new_store"]

_FILL_CHUNK = 1 << 16


@dataclass(eq=False, slots=True)
class Store:
    """The bytes of one region, as often in the host's memory as a core has addresses for it: ``windows``."""

    region: Region
    windows: tuple[mmap.mmap, ...]
    view: memoryview
    file: int | None = None  # descriptor of what holds the bytes, where others are to map it too

    def part(self) -> None:
        """In a copy of this process: bytes at several addresses are those of the copy alone from now on."""
        if len(self.windows) > 1:
            file = os.memfd_create("rptwin", os.MFD_CLOEXEC)
            try:
                os.ftruncate(file, len(self.windows[0]))
                os.pwrite(file, self.view, 0)
                remap(self.windows, file)
            finally:
                os.close(file)

    def close(self) -> None:
        """Let go of the bytes; of those in a file of their own at once, so that no mapping of it is left here."""
        self.view.release()
        if self.file is not None:
            os.close(self.file)
            for each in self.windows:
                with contextlib.suppress(BufferError):  # somebody looks at it still: it goes with that view
                    each.close()


def new_store(region: Region, count: int, *, is_shared: bool = False) -> Store:
    """With so many windows, all of the same bytes; ``is_shared``: in a file that other processes can map."""
    # Unicorn maps whole host pages' worth of buffer without looking at their end.
    size = max(region.size, mmap.PAGESIZE)
    file: int | None = None
    if is_shared:
        file, windows = _shared_memory(size, count)
    else:
        windows = (private_memory(size),) if count == 1 else _same_memory(size, count)
    view = memoryview(windows[0])[: region.size]
    if region.fill:
        chunk = bytes([region.fill]) * _FILL_CHUNK
        for start in range(0, region.size, _FILL_CHUNK):
            part = view[start : start + _FILL_CHUNK]
            part[:] = chunk[: len(part)]
    return Store(region, windows, view, file)


def _shared_memory(size: int, count: int) -> tuple[int, tuple[mmap.mmap, ...]]:
    """Memory in a file of its own; EngineError where the system has no such files."""
    if not hasattr(os, "memfd_create"):
        raise EngineError("no memory that other processes can map", found=sys.platform, expected="Linux (memfd_create)")
    file = os.memfd_create("rptwin-shared", os.MFD_CLOEXEC)
    os.ftruncate(file, size)
    return file, tuple(mmap.mmap(file, size) for _ in range(count))


def _unnamed_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # Linux alone has files without a place on disk
        return os.fdopen(os.memfd_create("rptwin"), "r+b")
    import tempfile  # noqa: PLC0415  # takes longer than all of this

    return tempfile.TemporaryFile()


def _same_memory(size: int, count: int) -> tuple[mmap.mmap, ...]:
    """The same bytes at several addresses of the host."""
    with _unnamed_file() as file:
        try:
            file.truncate(size)
        except OSError as error:  # a limit for the size of files is one for these as well
            what = "no room for a memory of the board"
            raise EngineError(what, expected=f"{size} bytes", found=error.strerror) from None
        return tuple(mmap.mmap(file.fileno(), size) for _ in range(count))
