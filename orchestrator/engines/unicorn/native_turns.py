"""Turns that pass in native code (native/turns.c): for as long as nobody but the cores has anything to do.

A turn that needs Python comes back in the middle: behind a slice, or at the end of a core's share. What Python holds of
the cores is brought up to date then, and before native code calls a device.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.native.abi import Seat, TurnEnd, TurnsState, hooks
from orchestrator.engines.unicorn.turn import Turn
from orchestrator.engines.unicorn.watches import Watches

__all__ = ["NativeTurns"]

_MOST_QUANTA = 1024  # in one call: then whoever wants to stop the run is heard
_MOST_WORK = (1 << 64) - 1
_MOST_HELD_OFF = 32  # quanta


class NativeTurns:
    """Of one board; :meth:`pass_quanta` and then, if a core is in the middle of its turn, :meth:`finish`.

    A quantum with ``most_work`` (Core.work) is the last one that passes.
    """

    def __init__(self, cores: Sequence[Core], watches: Watches, turn: Turn) -> None:
        self._cores = cores
        self._watches = watches
        self._turn = turn
        self._seats = (Seat * len(cores))()
        self._ends = [(TurnEnd * _MOST_QUANTA)() for _core in cores]
        for seat, core, ends in zip(self._seats, cores, self._ends, strict=True):
            seat.core = binding.address_of(core.native)
            seat.ends = ctypes.addressof(ends)
            seat.known_loops = core.known_loops
            core.before_call = self._update
        self._state = TurnsState(seats=ctypes.addressof(self._seats), seat_count=len(cores), quantum_ns=turn.quantum_ns)
        self._pointer = binding.address_of(self._state)
        self._is_running = False
        self._held_off = self._hold_off = 0
        self.most_work = _MOST_WORK
        self.index = -1  # of the core in whose turn Python goes on
        self.why = abi.TURNS_GO_ON

    def may_run(self) -> bool:
        """Whether turns may pass in native code now: mostly they came back at once of late, or somebody looks on."""
        if self._held_off:
            self._held_off -= 1
            return False
        cores = self._cores
        return all((core.native.fast or core.stands) and core.debugger.core_debug is None for core in cores)

    def pass_quanta(self, most: int) -> int:
        """Let at most so many quanta pass; how many did as a whole. ``why`` says whether one more has begun."""
        state, turn = self._state, self._turn
        for seat, core in zip(self._seats, self._cores, strict=True):
            core.take_seat(seat)
        watched = self._watches.compared()
        state.watched, state.watched_count = ctypes.addressof(watched), len(watched)
        state.quantum, state.most_work = turn.quantum, self.most_work
        self._is_running = True
        self.why = hooks.turns_run(self._pointer, min(most, _MOST_QUANTA))
        self._update()
        self._is_running = False
        for core in self._cores:
            core.tell_untold()
        for seat, core, ends in zip(self._seats, self._cores, self._ends, strict=True):
            words = memoryview(ends).cast("B").cast("Q")[: 2 * seat.end_count].tolist()  # much faster than fields
            core.leave_seat(seat, list(zip(words[1::2], words[::2], strict=True)))
        quanta = int(state.quanta)
        self.index = -1 if self.why == abi.TURNS_GO_ON else int(state.at)
        if quanta:
            self._hold_off = 0
        else:
            self._held_off = self._hold_off = min(2 * self._hold_off + 1, _MOST_HELD_OFF)
        return quanta

    @property
    def quiet_work(self) -> int | None:
        """Of all cores (Core.work), in the quanta before one of much work; None: it was the first."""
        return int(self._state.quiet_work) if self._state.quiet else None

    def _update(self) -> None:
        """Who acts, when, and how far the others are: before a device is called, and at the end."""
        if not self._is_running:
            return
        self._is_running = False
        state = self._state
        self._turn.quantum = state.quantum
        self._turn.core = None if state.at >= len(self._cores) else self._cores[state.at]
        for seat, core in zip(self._seats, self._cores, strict=True):
            core.update_from_seat(seat)

    def finish(self, end: int) -> None:
        """The core at :attr:`index` goes on where native code left its turn, to an instruction count."""
        self._cores[self.index].go_on(self.why, self._seats[self.index].reason, end)
