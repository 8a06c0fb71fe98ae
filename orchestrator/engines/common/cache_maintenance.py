"""What firmware has done about its data cache, by the registers that it writes (DDI0403E B3.2.3)."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.base.memory import Extent
from orchestrator.events import CACHE_BLOCK, DataCache

__all__ = ["BY_ADDRESS", "BY_SET_WAY", "CacheMaintenance"]

# From the base of the System Control Space.
BY_ADDRESS = (0xF5C, 0xF64, 0xF68, 0xF70)  # DCIMVAC, DCCMVAU, DCCMVAC, DCCIMVAC
BY_SET_WAY = (0xF60, 0xF6C, 0xF74)  # DCISW, DCCSW, DCCISW


class CacheMaintenance:
    """What was maintained while ``is_on`` said that the data cache is."""

    def __init__(self, is_on: Callable[[], bool]) -> None:
        self._is_on = is_on
        self.reset()

    def reset(self) -> None:
        """Nothing has been maintained."""
        self._blocks: set[int] = set()  # of CACHE_BLOCK bytes
        self._all = False  # by set and way

    def line(self, address: int) -> None:
        """The line that holds this address was cleaned or invalidated."""
        if self._is_on():
            self._blocks.add(address // CACHE_BLOCK)

    def set_and_way(self, _set_and_way: int) -> None:
        """Before the cache is on, that is how its lines get their first state: it maintains nothing."""
        self._all = self._all or self._is_on()

    def data_cache(self, cacheable: tuple[Extent, ...]) -> DataCache:
        """What the registers say of the cache; ``cacheable`` is by the memory map and the MPU."""
        blocks = (Extent(block * CACHE_BLOCK, CACHE_BLOCK) for block in sorted(self._blocks))
        return DataCache(self._is_on(), cacheable, (Extent(0, 1 << 32),) if self._all else tuple(blocks))

    def save(self) -> tuple[frozenset[int], bool]:
        """All of it."""
        return frozenset(self._blocks), self._all

    def restore(self, saved: tuple[frozenset[int], bool]) -> None:
        """Go back to :meth:`save`."""
        blocks, self._all = saved
        self._blocks = set(blocks)
