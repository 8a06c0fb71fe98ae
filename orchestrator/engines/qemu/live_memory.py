"""Memory of a machine in QEMU: pages that hold until it runs on, copies that the plugin makes, what death has left."""

from __future__ import annotations

import contextlib

from orchestrator.base.memory import Extent
from orchestrator.engines.qemu.control import MOST_COPIED, MOST_SPANS
from orchestrator.engines.qemu.link import Link
from orchestrator.platform.model import Platform

__all__ = ["LiveMemory"]

_PAGE = 1024


class LiveMemory:
    """Memory as it is now; ``first`` is the core through whose view it is read."""

    def __init__(self, platform: Platform, first: str, link: Link) -> None:
        self._platform = platform
        self._first = first
        self._link = link
        self._watched: dict[str, list[Extent]] = {}  # what is watched, by every address at which a core reaches it
        self._pages: dict[tuple[str, int], bytes] = {}
        # Pages that the plugin copies at each stop, by where the copies are: now, and from the next stop on.
        self.copies: dict[tuple[str, int], int] = {}
        self._next_copies: dict[tuple[str, int], int] = {}
        self._saved: dict[str, bytes] | None = None  # regions, after QEMU has aborted
        link.at_death.append(self._keep_dump)
        link.control.set_dumps([region.extents(first)[0] for region in platform.regions])

    def _keep_dump(self) -> None:
        """Memory as the plugin saved it."""
        with contextlib.suppress(OSError):
            data = self._link.process.dump.read_bytes()
            self._saved = {}
            for region in self._platform.regions:
                self._saved[region.name], data = data[: region.size], data[region.size :]

    def read(self, core: str, extent: Extent) -> bytes:
        """An extent of one region, by a core's addresses."""
        found = self._platform.region_at(core, extent.start)
        assert found is not None
        region, offset = found
        if self._saved is not None:
            return self._saved[region.name][offset : offset + extent.size].ljust(extent.size, b"\0")
        first = offset // _PAGE
        pages = range(first, (offset + extent.size - 1) // _PAGE + 1)
        data = b"".join(self._page(region.name, region.extents(self._first)[0], page) for page in pages)
        return data[offset - first * _PAGE :][: extent.size]

    def _page(self, region: str, extent: Extent, page: int) -> bytes:
        data = self._pages.get((region, page))
        if data is None:
            copy = self.copies.get((region, page))
            if copy is not None:
                data = self._link.control.copied(copy, _PAGE)
            else:
                with self._link.talking("read"):
                    data = self._link.gdb.read(0, extent.start + page * _PAGE, _PAGE)
            self._pages[region, page] = data
        return data

    def stopped(self, *, ran: bool) -> None:
        """The machine has come to a stop; ``ran``: a core may have executed something."""
        if ran:
            self._pages.clear()
        self.copies = self._next_copies

    def host_wrote(self) -> None:
        """The copies are older than what stands there."""
        self._pages.clear()
        self.copies = {}

    def watch(self, name: str, core: str, extent: Extent) -> None:
        """Have stores into an extent of one region logged, by whichever address."""
        starts = {address for _, address in self._platform.aliases(core, extent.start)}
        self._watched[name] = [Extent(start, extent.size) for start in starts]
        self._watch_stores()

    def unwatch(self, name: str) -> None:
        """Watch it no more."""
        self._watched.pop(name, None)
        self._watch_stores()

    def _watch_stores(self) -> None:
        if not self._link.is_dead:
            self._link.control.set_spans([each for extents in self._watched.values() for each in extents])
            self._copy_watched()

    def _copy_watched(self) -> None:
        """Have the plugin copy what is watched, for it is read at each stop, and every request of gdb's takes time."""
        self.copies, self._next_copies = {}, {}
        copies: list[Extent] = []
        for place, address in sorted(self._watched_pages().items(), key=lambda item: item[1]):
            if len(self._next_copies) == MOST_COPIED // _PAGE:
                break
            if copies and copies[-1].end == address:
                copies[-1] = Extent.between(copies[-1].start, address + _PAGE)
            elif len(copies) < MOST_SPANS:
                copies.append(Extent(address, _PAGE))
            else:
                break
            self._next_copies[place] = len(self._next_copies) * _PAGE
        self._link.control.set_copies(copies)

    def _watched_pages(self) -> dict[tuple[str, int], int]:
        """Pages of regions, to the address as the first core sees it."""
        pages: dict[tuple[str, int], int] = {}
        for extents in self._watched.values():
            found = self._platform.region_at(self._first, extents[0].start)
            if found is not None:
                region, offset = found
                start = region.extents(self._first)[0].start
                for page in range(offset // _PAGE, (offset + extents[0].size - 1) // _PAGE + 1):
                    pages[region.name, page] = start + page * _PAGE
        return pages
