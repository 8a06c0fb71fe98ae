"""The data cache as firmware describes and maintains it (DDI0403E B3.2.3); what it holds is not modelled."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.base.memory import Extent
from orchestrator.engines.common.cortex_m import NO_CACHES, Caches
from orchestrator.engines.unicorn.cpu.register_table import Registers, Storage, constant, ignored
from orchestrator.events import CACHE_BLOCK, DataCache

__all__ = ["CacheRegisters"]

_BY_ADDRESS = (0xF5C, 0xF64, 0xF68, 0xF70)  # DCIMVAC, DCCMVAU, DCCMVAC, DCCIMVAC
_BY_SET_WAY = (0xF60, 0xF6C, 0xF74)  # DCISW, DCCSW, DCCISW


class CacheRegisters:
    """CLIDR to CSSELR, and what was maintained while ``is_on`` said that the data cache is."""

    def __init__(self, caches: Caches, storage: Storage, is_on: Callable[[], bool]) -> None:
        self._caches = caches
        self._storage = storage
        self._is_on = is_on
        self.reset()

    def reset(self) -> None:
        """Nothing has been maintained."""
        self._csselr = 0
        self._maintained: set[int] = set()  # blocks of CACHE_BLOCK bytes
        self._maintained_all = False  # by set and way

    @property
    def are_there(self) -> bool:
        """Whether there are caches to maintain."""
        return self._caches != NO_CACHES

    def registers(self) -> Registers:
        """By offset; those that maintain only where there are caches."""
        table: Registers = {
            0xD78: constant(self._caches.clidr),
            0xD7C: constant(self._caches.ctr),
            0xD80: (lambda: self._caches.ccsidr[self._csselr & 1], ignored),
            0xD84: (lambda: self._csselr, self._write_csselr),
        }
        if self.are_there:
            table |= dict.fromkeys(range(0xF50, 0xF7C, 4), (None, ignored))
            table |= dict.fromkeys(_BY_ADDRESS, (None, self._maintain_line))
            table |= dict.fromkeys(_BY_SET_WAY, (None, self._maintain_all))
            for offset in range(0xF90, 0xFAC, 4):  # ITCMCR .. ABFSR (DDI0489F 3.3)
                table[offset] = self._storage.register(offset)
        return table

    def _write_csselr(self, value: int) -> None:
        self._csselr = value & 0xF

    def _maintain_line(self, address: int) -> None:
        if self._is_on():
            self._maintained.add(address // CACHE_BLOCK)

    def _maintain_all(self, _set_and_way: int) -> None:
        """Before the cache is on, that is how its lines get their first state: it maintains nothing."""
        self._maintained_all = self._maintained_all or self._is_on()

    def data_cache(self, cacheable: tuple[Extent, ...]) -> DataCache | None:
        """What the registers say of the data cache; None: there is none."""
        if not self.are_there:
            return None
        blocks = (Extent(block * CACHE_BLOCK, CACHE_BLOCK) for block in sorted(self._maintained))
        maintained = (Extent(0, 1 << 32),) if self._maintained_all else tuple(blocks)
        return DataCache(self._is_on(), cacheable, maintained)

    def save(self) -> tuple[int, frozenset[int], bool]:
        """All of it."""
        return self._csselr, frozenset(self._maintained), self._maintained_all

    def restore(self, saved: tuple[int, frozenset[int], bool]) -> None:
        """Go back to :meth:`save`."""
        self._csselr, maintained, self._maintained_all = saved
        self._maintained = set(maintained)
