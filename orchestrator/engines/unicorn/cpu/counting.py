"""How often each instruction of some extents is executed; native code counts (coverage.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from unicorn import unicorn_const

from orchestrator.base.memory import Extent
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.cpu.processor import Processor
from orchestrator.engines.unicorn.native import abi

__all__ = ["InstructionCounts"]


class InstructionCounts:
    """Of one core. Each extent has a hook of its own, so that code outside of all costs nothing."""

    def __init__(self, processor: Processor) -> None:
        self._p = processor
        self._counted: list[tuple[Extent, ctypes.Array[ctypes.c_uint64]]] = []

    def add(self, extent: Extent) -> None:
        """Count from the next instruction on."""
        counts = (ctypes.c_uint64 * (extent.size // 2 + 1))()
        state = abi.CountedState()
        state.start, state.counts = extent.start, ctypes.addressof(counts)
        function = binding.function_pointer(abi.hooks.counted_on_code)
        self._p.cpu.hook(unicorn_const.UC_HOOK_CODE, function, state, (extent.start, extent.end - 1))
        self._counted.append((extent, counts))
        # A block that is taken back was not executed whole.
        self._p.counts_blocks = False
        self._p.count_blocks(allowed=False)
        self._p.forget_translations()

    def see(self, address: int) -> None:
        """An instruction was executed by who is not Unicorn."""
        for extent, counts in self._counted:
            if address in extent:
                counts[(address - extent.start) // 2] += 1

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Addresses that were executed, and how often."""
        for extent, counts in self._counted:
            yield from ((extent.start + 2 * index, count) for index, count in enumerate(counts) if count)
