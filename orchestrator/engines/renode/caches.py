"""The data caches of the cores, by their registers: Renode has no cache, and its NVIC lacks the identification."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.cache_maintenance import BY_ADDRESS, BY_SET_WAY, CacheMaintenance
from orchestrator.engines.common.memory_protection import cacheable_v7
from orchestrator.engines.renode.cores import BoardCore, HostScope
from orchestrator.engines.renode.session import Bus
from orchestrator.events import DataCache

__all__ = ["CoreCaches"]

# From the NVIC's base (DDI0403E B3.2.2, B3.5, B4.8).
_CCR, _CLIDR, _CTR, _CCSIDR, _CSSELR = 0xD14, 0xD78, 0xD7C, 0xD80, 0xD84
_FIRST, _END = min(BY_ADDRESS), max(BY_SET_WAY) + 4
_MPU_TYPE, _MPU_CTRL, _MPU_RNR, _MPU_RBAR, _MPU_RASR = 0xD90, 0xD94, 0xD98, 0xD9C, 0xDA0
_DC = 1 << 16  # CCR
_ENABLE, _PRIVDEFENA = 1, 4  # MPU_CTRL
_BASE = 0xE000_E000


class CoreCaches:
    """Those of one core; ``scope`` is entered while its registers are looked at."""

    def __init__(self, bus: Bus, core: BoardCore, caches: cortex_m.Caches, scope: HostScope) -> None:
        self._bus = bus
        self._core = core
        self._caches = caches
        self._scope = scope
        self._selected = 0
        self._maintenance = CacheMaintenance(lambda: bool(self._word(_CCR) & _DC))
        self._done: dict[int, Callable[[int], None]] = dict.fromkeys(BY_ADDRESS, self._maintenance.line)
        self._done |= dict.fromkeys(BY_SET_WAY, self._maintenance.set_and_way)
        self._done[_CSSELR] = self._select
        # One hook for both: of a peripheral the last one counts (SystemBus.SetHookBeforePeripheralWrite).
        bus.on_store(core.model.nvic, _CSSELR, _END - _CSSELR, self._stored)
        bus.answer(core.model.nvic, _CLIDR, _CSSELR - _CLIDR, self._answer)

    def _select(self, value: int) -> None:
        self._selected = value & 1

    def _stored(self, _core: str, offset: int, _size: int, value: int) -> None:
        if offset in self._done and not self._scope.active:
            self._done[offset](value)

    def _answer(self, offset: int) -> int | None:
        """Renode's NVIC reads 0 there, so that firmware which maintains line by line would do nearly nothing."""
        found = {_CLIDR: self._caches.clidr, _CTR: self._caches.ctr, _CCSIDR: self._caches.ccsidr[self._selected]}
        return found.get(offset)

    def _word(self, offset: int) -> int:
        return self._bus.word(self._core.name, _BASE + offset)

    def reset(self) -> None:
        """Nothing has been maintained."""
        self._maintenance.reset()

    def data_cache(self) -> DataCache:
        """What the registers say of it now; the region that firmware has selected is selected again."""
        with self._scope():
            control, regions = self._word(_MPU_CTRL), tuple(self._regions())
        enabled, background = bool(control & _ENABLE), bool(control & _PRIVDEFENA)
        return self._maintenance.data_cache(cacheable_v7(regions, enabled=enabled, background=background))

    def _regions(self) -> Iterator[tuple[int, int]]:
        """Pairs (MPU_RBAR, MPU_RASR)."""
        count, selected = self._word(_MPU_TYPE) >> 8 & 0xFF, self._word(_MPU_RNR)
        for number in range(count):
            self._bus.store_word(self._core.name, _BASE + _MPU_RNR, number)
            yield self._word(_MPU_RBAR), self._word(_MPU_RASR)
        if count:
            self._bus.store_word(self._core.name, _BASE + _MPU_RNR, selected)
