"""The data cache as firmware describes and maintains it (DDI0403E B3.2.3); what it holds, a model may know."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from orchestrator.base.memory import Extent
from orchestrator.engines.common.cache_maintenance import BY_ADDRESS, BY_SET_WAY, CacheMaintenance
from orchestrator.engines.common.cortex_m import NO_CACHES, Caches
from orchestrator.engines.unicorn.cache.model import CLEAN, CLEAN_INVALIDATE, INVALIDATE, CacheModel
from orchestrator.engines.unicorn.cpu.register_table import Registers, Storage, constant, ignored
from orchestrator.events import DataCache

__all__ = ["CacheRegisters"]

_ICIALLU, _ICIMVAU, _CACR = 0xF50, 0xF58, 0xF9C
_DOES = {  # of a store to each register of maintenance
    0xF5C: INVALIDATE,
    0xF60: INVALIDATE,
    0xF64: CLEAN,
    0xF68: CLEAN,
    0xF6C: CLEAN,
    0xF70: CLEAN_INVALIDATE,
    0xF74: CLEAN_INVALIDATE,
}


class CacheRegisters:
    """CLIDR to CSSELR, and what was maintained while ``is_on`` said that the data cache is."""

    def __init__(
        self, caches: Caches, storage: Storage, is_on: Callable[[], bool], changed: Callable[[], None]
    ) -> None:
        self._caches = caches
        self._changed = changed  # how memory is cached may be another way now
        self.data: CacheModel | None = None  # what the caches hold, where that is modelled
        self.instructions: CacheModel | None = None
        self._storage = storage
        self._maintenance = CacheMaintenance(is_on)
        self.reset()

    def reset(self) -> None:
        """Nothing has been maintained."""
        self._csselr = 0
        self._maintenance.reset()
        for model in (self.data, self.instructions):
            if model is not None:
                model.reset()

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
            table[_ICIALLU] = (None, self._all_instructions)
            table[_ICIMVAU] = (None, self._instruction_line)
            table |= {offset: (None, partial(self._line, offset)) for offset in BY_ADDRESS}
            table |= {offset: (None, partial(self._set_and_way, offset)) for offset in BY_SET_WAY}
            for offset in range(0xF90, 0xFAC, 4):  # ITCMCR .. ABFSR (DDI0489F 3.3)
                table[offset] = self._storage.register(offset)
            table[_CACR] = (self._storage.register(_CACR)[0], self._write_cacr)
        return table

    @property
    def cacr(self) -> int:
        """The L1 Cache Control Register (DDI0489F 3.3.3)."""
        return self._storage.words.get(_CACR, 0)

    @property
    def ccsidr(self) -> int:
        """The Cache Size ID Register of the data cache."""
        return self._caches.ccsidr[0]

    def _write_cacr(self, value: int) -> None:
        self._storage.words[_CACR] = value
        self._changed()

    def _line(self, offset: int, address: int) -> None:
        self._maintenance.line(address)
        if self.data is not None:
            self.data.maintain(address, _DOES[offset])

    def _set_and_way(self, offset: int, set_and_way: int) -> None:
        self._maintenance.set_and_way(set_and_way)
        if self.data is not None:
            self.data.maintain_way(set_and_way, _DOES[offset])

    def _all_instructions(self, _value: int) -> None:
        if self.instructions is not None:
            self.instructions.reset()

    def _instruction_line(self, address: int) -> None:
        if self.instructions is not None:
            self.instructions.maintain(address, INVALIDATE)

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
