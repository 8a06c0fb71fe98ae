"""Idle loops of one core: found after calm turns, skipped while they hold, executed as far as it shows when left."""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager
from typing import Protocol

from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.bus import Bus
from orchestrator.engines.unicorn.cpu.idle_loops import IdleLoop, Prober
from orchestrator.engines.unicorn.cpu.mpu_enforcer import MpuEnforcer
from orchestrator.engines.unicorn.cpu.processor import NEVER, Processor
from orchestrator.engines.unicorn.memory.host_memory import private_memory
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.native.abi import Seat

__all__ = ["LoopPort", "LoopSkipper"]

_MOST_PATIENCE = 256  # turns
_NO_PATIENCE = 0xFFFF_FFFF


class LoopPort(Protocol):
    """What skipping asks of the rest of the core."""

    bus: Bus

    @property
    def may_skip(self) -> bool:
        """Whether no debugger counts each instruction, and skipping is wanted at all."""
        ...

    def acting(self) -> AbstractContextManager[None]:
        """What happens inside is done by this core."""
        ...

    def execute(self, limit: int) -> None:
        """Run to an instruction count at most."""
        ...


class LoopSkipper:
    """``loop`` is the one that the core is in and that provably goes on; None: it has to be executed."""

    def __init__(self, processor: Processor, model: str, enforcer: MpuEnforcer, port: LoopPort) -> None:
        self._p = processor
        self._model = model
        self._enforcer = enforcer
        self._port = port
        self.loop: IdleLoop | None = None
        self.prober: Prober | None = None
        self._interrupted_loop: tuple[IdleLoop, int, list[int]] | None = (
            None  # with PC, as native.loop_pc, and registers
        )
        self._calm_turns = 0
        self._patience = 1  # calm turns before the next look for a loop
        self._known_loops = private_memory(abi.PAGES)  # one byte per page: a loop was found there
        self.known_loops = ctypes.addressof(ctypes.c_char.from_buffer(self._known_loops))

    @property
    def is_probing(self) -> bool:
        """Whether what is executed is tried out only."""
        return self.prober is not None and self.prober.is_running

    def spoil_trial(self) -> bool:
        """Whether what is executed is tried out only: if so, it had an effect, and has failed."""
        if self.prober is None or not self.prober.is_running:
            return False
        self.prober.spoil()
        return True

    @property
    def holds(self) -> bool:
        """Whether the core is in a loop that goes on for ever as things stand."""
        return self.loop is not None and self.loop.holds()

    def flush(self) -> None:
        """Code has changed."""
        if self.prober is not None:
            self.prober.flush()

    def close(self) -> None:
        """Free what the prober holds."""
        if self.prober is not None:
            self.prober.close()

    def skip(self, count: int) -> None:
        """Let time pass to an instruction count; the loop holds."""
        assert self.loop is not None
        self.loop.debt = (self.loop.debt + count - self._p.now) % self.loop.length
        self._p.native.executed = count

    def settle(self) -> None:
        """Execute what was skipped of the current round, on the memory that it would have seen."""
        loop = self.loop
        if loop is None or not loop.debt:
            return
        with self._port.acting():
            self._settle(loop)

    def _settle(self, loop: IdleLoop) -> None:
        for slot in loop.slots:
            slot.pollers.remove(self)
        # Bytes, as a view compares itself element by element.
        changed = [(span, now, data) for span, data in loop.watched if (now := bytes(span)) != data]
        for span, _new, old in changed:
            span[:] = old
        native = self._p.native
        end = native.executed
        native.executed = end - loop.debt
        self._p.pause_records(paused=True)  # each round accesses what the one before did
        watch_masks, native.watch_masks = native.watch_masks, 0
        self._port.bus.is_repeating = True
        while native.executed < end:
            self._port.execute(end)
        self._port.bus.is_repeating = False
        native.watch_masks = watch_masks
        self._p.pause_records(paused=False)
        loop.debt = 0
        for span, new, _old in changed:
            span[:] = new
            self._p.forget_translations()  # it may have been code
        for slot in loop.slots:
            slot.pollers.append(self)

    def leave(self) -> None:
        """Something that the loop depends on is about to change."""
        self.settle()
        loop, self.loop = self.loop, None
        if loop is None:
            return
        for slot in loop.slots:
            slot.pollers.remove(self)
        if self.prober is not None and not loop.slots:
            self._interrupted_loop = (loop, self._p.pc, self.prober.registers(self._p.cpu))
            self._p.native.loop_pc = self._p.pc

    def drop(self) -> None:
        """Reset or restored: what was known of the loop is void."""
        if self.loop is not None:
            for slot in self.loop.slots:
                slot.pollers.remove(self)
        self.loop = None
        self._forget_interrupted()

    def _forget_interrupted(self) -> None:
        self._interrupted_loop = None
        self._p.native.loop_pc = abi.NO_ADDRESS
        self._p.round_end = NEVER

    def back_in_loop(self, *, another_round: bool) -> None:
        """After an exception: the same registers at the same place, and memory as it was, are the same loop.

        The exception's frame may lie where the loop keeps what it pushes: one more round puts that right.
        """
        if self._interrupted_loop is None or self.prober is None or self._p.attention or self._p.stale_code:
            return
        if self._p.native.watch_masks or not self._port.may_skip:
            return
        loop, pc, registers = self._interrupted_loop
        if pc != self._p.pc or registers != self.prober.registers(self._p.cpu):
            return
        if loop.holds():
            self.loop = loop
        elif another_round:
            self._p.round_end = self._p.now + loop.length

    def look(self) -> None:
        """After a turn: a calm core may stand in an idle loop; a busy one is asked less and less often."""
        page = self._p.pc >> abi.PAGE_BITS
        if self._p.disturbed and not self._known_loops[page]:
            self._calm_turns = 0
            return
        self._calm_turns += 1
        if self._calm_turns < self._patience and not self._known_loops[page]:
            return
        self._calm_turns = 0
        if not self._port.may_skip or self._p.sleeping or self._p.held or self._p.locked_up or self._p.attention:
            return
        if self.prober is None:
            self.prober = Prober(self._model, self._p.name, self._p.memory, self._port.bus)
        with self._port.acting():
            granted = self._enforcer.grants_to_loop if self._enforcer.in_use else None
            self.loop = self.prober.probe(
                self._p.cpu, self._p.pc, granted, keeps_masks=bool(self._p.native.watch_masks)
            )
        if self.loop is not None:
            for slot in self.loop.slots:
                slot.pollers.append(self)
            self._patience = 1
            self._known_loops[page] = 1
            for slot in self.loop.slots:
                slot.pollers.return_displaced()
        else:
            self._patience = min(2 * self._patience, _MOST_PATIENCE)
            self._known_loops[page] = 0

    def take_seat(self, seat: Seat) -> None:
        """Let native code go on with the loop, or count calm turns."""
        loop = self.loop
        seat.calm_turns = self._calm_turns
        seat.patience = self._patience if self._port.may_skip else _NO_PATIENCE
        if loop is None:
            seat.loop_length = 0
            return
        if loop.compared is None:
            loop.compared = binding.compared(loop.watched)
        seat.loop_length, seat.loop_debt = loop.length, loop.debt
        seat.loop, seat.loop_count = ctypes.addressof(loop.compared), len(loop.compared)

    def update_from_seat(self, seat: Seat) -> None:
        """As far as native code has come."""
        self._calm_turns = seat.calm_turns
        if self.loop is not None:
            self.loop.debt = int(seat.loop_debt)

    def look_after_native(self) -> None:
        """Native code has counted the turn already."""
        self._calm_turns -= 1
        self.look()

    def look_again(self) -> None:
        """A device that its loop polled was touched by one that changed nothing."""
        if self.loop is None:
            self.look()

    def leave_for_good(self) -> None:
        """Execute every instruction from now on."""
        self.leave()
        self._forget_interrupted()
