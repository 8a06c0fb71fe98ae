"""Memory of a board in another process: pages that hold until its guest may run again."""

from __future__ import annotations

from orchestrator.base.memory import Extent
from orchestrator.platform.model import Platform

__all__ = ["Pages"]

_PAGE = 4096
_MOST_CACHED = 1 << 16  # bytes: a longer read is passed on as it is


class Pages:
    """Memory as last read, by core and page; fresh until the guest may have changed it."""

    def __init__(self, platform: Platform) -> None:
        self._extents = {
            core.name: [extent for region in platform.regions for extent in region.extents(core.name)]
            for core in platform.cores
        }
        self._pages: dict[tuple[str, int], bytes] = {}
        self._fresh: set[tuple[str, int]] = set()

    def outdate(self) -> None:
        self._fresh.clear()

    def pages(self, core: str, address: int, size: int) -> list[Extent] | None:
        """The pages of a range, cut to its memory; None where it does not lie in one piece of it."""
        wanted = Extent(address, size)
        whole = next((each for each in self._extents.get(core, ()) if wanted in each), None)
        if whole is None or not 0 < size <= _MOST_CACHED:
            return None
        first, last = address // _PAGE, (address + size - 1) // _PAGE
        return [
            Extent.between(max(page * _PAGE, whole.start), min((page + 1) * _PAGE, whole.end))
            for page in range(first, last + 1)
        ]

    def get(self, core: str, page: Extent, *, stale: bool) -> bytes | None:
        key = (core, page.start)
        return self._pages.get(key) if stale or key in self._fresh else None

    def put(self, core: str, page: Extent, data: bytes) -> None:
        self._pages[core, page.start] = data
        self._fresh.add((core, page.start))
