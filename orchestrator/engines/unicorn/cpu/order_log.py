"""The barriers of one core as native code records them (native/order.c), where somebody asks for them."""

from __future__ import annotations

import ctypes

from orchestrator.base.errors import EngineError
from orchestrator.engines.contract import Ordered
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.native.abi import BarrierState, CoreState, OrderState, hooks
from orchestrator.events import Barrier

__all__ = ["OrderLog"]


class OrderLog:
    """What orders a core's accesses; nothing is recorded before :meth:`start`."""

    def __init__(self, native: CoreState, name: str, mips: int) -> None:
        self._native = native
        self._name = name
        self._mips = mips
        self._state = OrderState()
        self._pointer = binding.address_of(self._state)

    def start(self) -> None:
        """Record from the next page of code on that is looked at."""
        self._native.order = self._pointer

    def any(self) -> bool:
        """Whether :meth:`take` has something."""
        return bool(self._state.count)

    def take(self) -> tuple[Barrier, ...]:
        """Since the last call, those that have an observed access before them; with what was accessed."""
        state = self._state
        if state.lost:
            raise EngineError("no memory for the barriers of a core", where=self._name)
        if not state.count:
            return ()
        kept = ctypes.cast(state.barriers, ctypes.POINTER(BarrierState))[: state.count]
        state.count = state.accesses = 0
        return tuple(Barrier(each.executed * 1000 // self._mips, each.pc) for each in kept)

    def counted(self) -> Ordered:
        """How many of each kind it has executed since power-on; of exclusive pairs the loads."""
        return Ordered(*self._state.seen)

    def save(self) -> tuple[int, ...]:
        """What was counted."""
        return tuple(self._state.seen)

    def restore(self, saved: tuple[int, ...]) -> None:
        """Go back to :meth:`save`."""
        self._state.seen[:] = saved
        self._state.count = self._state.accesses = 0

    def close(self) -> None:
        self._native.order = None
        hooks.order_free(self._pointer)
