"""The data cache as firmware describes and maintains it (DDI0403E B3.2.3); what it holds is not modelled."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.base.memory import Extent
from orchestrator.engines.common.cache_maintenance import BY_ADDRESS, BY_SET_WAY, CacheMaintenance
from orchestrator.engines.common.cortex_m import NO_CACHES, Caches
from orchestrator.engines.unicorn.cpu.register_table import Registers, Storage, constant, ignored
from orchestrator.events import DataCache

__all__ = ["CacheRegisters"]


class CacheRegisters:
    """CLIDR to CSSELR, and what was maintained while ``is_on`` said that the data cache is."""

    def __init__(self, caches: Caches, storage: Storage, is_on: Callable[[], bool]) -> None:
        self._caches = caches
        self._storage = storage
        self._maintenance = CacheMaintenance(is_on)
        self.reset()

    def reset(self) -> None:
        """Nothing has been maintained."""
        self._csselr = 0
        self._maintenance.reset()

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
            table |= dict.fromkeys(BY_ADDRESS, (None, self._maintenance.line))
            table |= dict.fromkeys(BY_SET_WAY, (None, self._maintenance.set_and_way))
            for offset in range(0xF90, 0xFAC, 4):  # ITCMCR .. ABFSR (DDI0489F 3.3)
                table[offset] = self._storage.register(offset)
        return table

    def _write_csselr(self, value: int) -> None:
        self._csselr = value & 0xF

    def data_cache(self, cacheable: tuple[Extent, ...]) -> DataCache | None:
        """What the registers say of the data cache; None: there is none."""
        return self._maintenance.data_cache(cacheable) if self.are_there else None

    def save(self) -> tuple[int, tuple[frozenset[int], bool]]:
        """All of it."""
        return self._csselr, self._maintenance.save()

    def restore(self, saved: tuple[int, tuple[frozenset[int], bool]]) -> None:
        """Go back to :meth:`save`."""
        self._csselr, maintained = saved
        self._maintenance.restore(maintained)
