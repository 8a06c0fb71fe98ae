"""The run of one core: to an instruction count, asleep or awake, exceptions and idle loops where they are due.

The native hook stops the core before any given count, and before the instruction after one that changed what may
interrupt it, so nothing ever has to be undone or run twice.
"""

from __future__ import annotations

from orchestrator.engines.unicorn.cpu.debug import Debugger
from orchestrator.engines.unicorn.cpu.exceptions import ExceptionUnit
from orchestrator.engines.unicorn.cpu.execution import Execution
from orchestrator.engines.unicorn.cpu.loop_skipper import LoopSkipper
from orchestrator.engines.unicorn.cpu.processor import NEVER, Processor
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace
from orchestrator.engines.unicorn.cpu.timeline import Timeline
from orchestrator.engines.unicorn.native.abi import MASKED, TURNS_BEFORE, TURNS_LOOK, TURNS_SLICE, Seat, hooks

__all__ = ["RunLoop"]

_SEVONPEND = 16  # SCR


class RunLoop:
    """Advances one core; ``ran`` says whether it executed an instruction in this turn."""

    def __init__(
        self,
        processor: Processor,
        scs: SystemControlSpace,
        unit: ExceptionUnit,
        loops: LoopSkipper,
        execution: Execution,
        timeline: Timeline,
        debugger: Debugger,
    ) -> None:
        self._p = processor
        self._scs = scs
        self._unit = unit
        self._loops = loops
        self._execution = execution
        self._timeline = timeline
        self._debugger = debugger
        self.ran = False
        self.is_paused = False

    @property
    def idle(self) -> bool:
        """Nothing happens here by itself before the timeline's next count."""
        if self._p.attention or self._p.stale_code or self._p.now < self._p.delayed_until:
            return False
        return self._p.sleeping or self._p.held or self._p.locked_up or self._loops.holds

    def pause(self) -> None:
        """:meth:`run_to` ends behind the instruction that is executed."""
        self.is_paused = True
        self._p.end_slice()

    def run_to(self, end: int) -> None:
        """Advance to an instruction count, or until paused."""
        self.is_paused = False
        self._go_on(end)

    def _go_on(self, end: int) -> None:
        native, loops, timeline, processor = self._p.native, self._loops, self._timeline, self._p
        while (now := native.executed) < end and not self.is_paused:
            if loops.loop is not None:
                if now < native.next_count and not native.attention and not processor.stale_code and loops.holds:
                    loops.skip(min(end, native.next_count))
                    continue
                loops.leave()
            if now >= native.next_count:
                timeline.happen()
                self._execution.reset_if_asked()
            if processor.held or processor.locked_up:
                native.executed = min(end, native.next_count)
                continue
            if now < processor.delayed_until:
                native.executed = min(end, native.next_count, processor.delayed_until)
                continue
            if native.attention:
                if self._execution.is_prepared and hooks.core_attend(processor.native_pointer):
                    processor.tell_untold()
                    self._execution.fail_if_asked()
                else:
                    self._consider()
                continue
            if native.sleeping:
                native.executed = min(end, native.next_count)
                continue
            debug = self._debugger.core_debug
            if debug is not None and debug.before_instruction():
                continue
            self.ran = True
            if debug is None and processor.round_end == NEVER:
                self._execution.advance(end)
                self._back_in_loop()
                continue
            native.slices += 1
            limit = min(end, native.next_count, processor.round_end)
            self._execution.execute(now + 1 if debug is not None and debug.is_stepping else limit)
            self._end_round()
        self._end_turn(end)

    def _back_in_loop(self) -> None:
        """Native code may have returned from an exception to where an idle loop was interrupted."""
        if self._p.native.resumed:
            self._p.native.resumed = 0
            self._loops.back_in_loop(another_round=True)

    def _end_round(self) -> None:
        processor = self._p
        if processor.round_end < NEVER and processor.native.executed >= processor.round_end:
            processor.round_end = NEVER
            self._loops.back_in_loop(another_round=False)

    def _end_turn(self, end: int) -> None:
        native, loops = self._p.native, self._loops
        if self._debugger.core_debug is not None:
            self._debugger.core_debug.at_turn_end()
        if self.ran:
            self._p.activity.turn_ended(native.pc, native.executed)
        if self.ran and loops.loop is None and native.executed >= end:
            loops.look()

    # --- turns in native code

    def take_seat(self, seat: Seat) -> None:
        """A quantum begins, perhaps in native code: what it is to know of this core."""
        processor = self._p
        self.ran = processor.disturbed = self.is_paused = False
        seat.delayed_until = processor.delayed_until
        seat.stands = processor.held or processor.locked_up
        seat.python = processor.round_end < NEVER or not self._execution.is_prepared
        self._loops.take_seat(seat)

    def update_from_seat(self, seat: Seat) -> None:
        """As far as native code has come."""
        self.ran = bool(seat.ran)
        self._loops.update_from_seat(seat)

    def leave_seat(self, seat: Seat, ends: list[tuple[int, int]]) -> None:
        """Native code is done."""
        self._p.activity.turns_ended(ends)

    def go_on(self, why: int, reason: int, end: int) -> None:
        """Where native code has left this core's turn."""
        if why == TURNS_BEFORE:
            self._execution.fail_if_asked()
            self._go_on(end)
        elif why == TURNS_SLICE:
            self._execution.after(reason)
            self._back_in_loop()
            self._go_on(end)
        elif why == TURNS_LOOK:
            self._loops.look_after_native()

    def reconsider(self) -> None:
        """What may interrupt has changed: look before the next instruction."""
        hooks.core_reconsider(self._p.native_pointer)
        self._timeline.replan()

    def set_line(self, interrupt: int, level: bool) -> None:
        """Drive an external interrupt now. A change that another core caused, ahead of this one, is on its way no more:
        the device has taken it into account.
        """
        self._timeline.forget_line(interrupt)
        self._p.exceptions.set_line(interrupt, level)
        hooks.core_reconsider(self._p.native_pointer)

    def _consider(self) -> None:
        """Take the exception that is due, or wake up for what is masked."""
        self._p.attention = False
        native = self._p.native
        exceptions = self._p.exceptions
        native.watch_masks = 0
        if self._scs.scr & _SEVONPEND and exceptions.pending & ~exceptions.noticed:
            self._p.set_event()
        exceptions.noticed = exceptions.pending
        if not exceptions.candidates:
            return
        primask, basepri, faultmask, _ipsr = self._p.read_masks()
        number = exceptions.takeable(exceptions.execution_priority(primask, basepri, faultmask))
        if number is not None:
            self._p.wake(number)
            self._unit.take(number, native.pc)
            return
        # What PRIMASK alone holds back ends WFI and not WFE (B1.5.18, B1.5.19).
        if self._p.sleeping and not self._p.waits_for_event:
            pending = exceptions.wakes(basepri, faultmask)
            if pending is not None:
                self._p.wake(pending | MASKED)
        # Unprivileged code sees none of them, and changes none.
        if (primask or basepri or faultmask) and not self._p.is_unprivileged_mode:
            native.masks[:] = (primask, basepri, faultmask)
            native.watch_masks = 1
