"""The extents whose accesses are told."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.base.errors import EngineError
from orchestrator.base.memory import Extent
from orchestrator.engines.unicorn.cpu.access_log import Observed, disjoint
from orchestrator.engines.unicorn.cpu.core import Core

__all__ = ["ObservedExtents"]


class ObservedExtents:
    """By name; every core of the board records what it does to any of them."""

    def __init__(self, cores: Sequence[Core]) -> None:
        self._cores = cores
        self._observed: dict[str, Observed] = {}

    def add(self, name: str, core: Core, extent: Extent, *, merge: bool) -> None:
        """By a core's addresses; EngineError where it is not one piece of memory."""
        mapping = core.memory.mapping_at(extent.start)
        if mapping is None or extent not in mapping.extent:
            what = "what is to be observed does not lie in one piece of memory"
            raise EngineError(what, where=core.name, found=extent)
        start = extent.start - mapping.extent.start
        wanted = Observed(mapping.store, start, start + extent.size, merge)
        if self._observed.get(name) != wanted:
            self._observed[name] = wanted
            self._tell()

    def remove(self, name: str) -> None:
        """Tell of it no more."""
        if self._observed.pop(name, None) is not None:
            self._tell()

    def _tell(self) -> None:
        parts = disjoint(self._observed.values())
        for core in self._cores:
            core.observe(parts)
