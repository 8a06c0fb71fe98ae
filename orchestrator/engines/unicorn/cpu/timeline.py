"""What comes to one core by itself: signals from outside at their moments, and SysTick's expiry."""

from __future__ import annotations

from typing import Protocol

from orchestrator.engines.common import cortex_m
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.cpu.inbox import Due, Inbox
from orchestrator.engines.unicorn.cpu.processor import NEVER, Processor
from orchestrator.engines.unicorn.cpu.sampler import Sampler
from orchestrator.engines.unicorn.cpu.signals import Alarm, Delayed, EventSent, LineChanged, Released, Signal
from orchestrator.engines.unicorn.cpu.systick import SysTick
from orchestrator.engines.unicorn.native.abi import hooks

__all__ = ["Timeline", "TimelinePort"]


class TimelinePort(Protocol):
    """What a moment that has come asks of the rest of the core."""

    def release(self, why: str) -> None:
        """A held core is let go."""
        ...

    def alarm(self, name: str, count: int) -> None:
        """The instruction count has come for which a device asked."""
        ...


class Timeline:
    """Of one core; :meth:`happen` when ``next_count`` has come."""

    def __init__(self, processor: Processor, systick: SysTick, systick_hz: int, port: TimelinePort) -> None:
        self._p = processor
        self._systick = systick
        self._systick_hz = processor.native.systick_hz = systick_hz
        processor.native.systick = binding.address_of(systick.native)
        self._port = port
        self._inbox = Inbox()
        self.sampler: Sampler | None = None

    @property
    def next_count(self) -> int:
        """When the next thing happens to this core by itself, in instructions; NEVER when nothing will."""
        return int(self._p.native.next_count)

    def count_at(self, time_ns: int) -> int:
        """The first instruction count at or after a moment."""
        return -(-time_ns * self._p.mips // 1000)

    def systick_now(self) -> int:
        """Ticks of SysTick's clock since power-on."""
        return int(self._p.native.executed) * self._systick_hz // (self._p.mips * 1_000_000)

    def replan(self) -> None:
        """What happens next by itself may be another thing now."""
        processor = self._p
        hooks.core_replan(processor.native_pointer, self._inbox.first, not (processor.held or processor.locked_up))
        if self.sampler is not None:
            self.sampler.see_state()
            native = processor.native
            native.next_count = min(native.next_count, self.sampler.due_count)
            native.python_count = 0  # it takes what is due whenever anything comes

    def _systick_count(self) -> int:
        expiry = self._systick.expiry
        return NEVER if expiry is None else -(-expiry * self._p.mips * 1_000_000 // self._systick_hz)

    def systick_ns(self) -> int | None:
        """When SysTick's next interrupt comes."""
        count = self._systick_count()
        return count * 1000 // self._p.mips if count < NEVER else None

    def post(self, count: int, signal: Signal) -> None:
        """Something reaches this core at an instruction count."""
        if isinstance(signal, LineChanged):
            self._inbox.forget_line(signal.interrupt, count)
        self._inbox.add(count, signal)
        self.replan()

    def post_alarm(self, count: int, alarm: Alarm) -> None:
        """A device wants to be woken at an instruction count, which may lie in the slice that is executed."""
        self.post(count, alarm)
        native = self._p.native
        native.limit = max(native.executed, min(native.limit, count))

    def forget_line(self, interrupt: int) -> None:
        """No change of this input is on its way any more."""
        if self._inbox.forget_line(interrupt, -1):
            self.replan()

    def release_lines(self) -> None:
        """The devices are reset: every interrupt input is low, and no change is on its way."""
        self._p.exceptions.lines = 0
        self._inbox.keep(lambda signal: not isinstance(signal, LineChanged))
        self.replan()

    def reset(self) -> None:
        """What devices drive onto the interrupt inputs still arrives, they are still woken, and delays still come."""
        self._inbox.keep(lambda signal: isinstance(signal, LineChanged | Alarm | Delayed))
        self.replan()

    def happen(self) -> None:
        """What is due by now."""
        if self.sampler is not None:
            self.sampler.take()
        now = self._p.now
        while (due := self._inbox.take(now)) is not None:
            self._reach(due)
        expiry = self._systick.expiry
        if expiry is not None and self.systick_now() >= expiry and self._systick.advance(self.systick_now()):
            self._p.exceptions.pend(cortex_m.SYS_TICK)
            self._p.attention = True
        self.replan()

    def _reach(self, due: Due) -> None:
        signal = due.signal
        if isinstance(signal, LineChanged):
            self._p.exceptions.set_line(signal.interrupt, signal.level)
            self._p.attention = True
        elif isinstance(signal, EventSent):
            self._p.set_event()
        elif isinstance(signal, Released):
            self._port.release("released")
        elif isinstance(signal, Delayed):
            self._p.delayed_until = max(self._p.delayed_until, due.at + signal.cycles)
        else:
            self._port.alarm(signal.device, due.at)

    def let_pass(self, instructions: int, ticks: int) -> None:
        """So much of time has passed at once: what is on its way is as far from now as it was."""
        self._inbox.delay(instructions)
        self._systick.delay(ticks)
        if self.sampler is not None:
            self.sampler.let_pass(instructions)
        self.replan()

    def recurring_state(self) -> object:
        """What is on its way, as far from now as it is; ticks that are under way included."""
        ticks = int(self._p.native.executed) * self._systick_hz % (self._p.mips * 1_000_000)
        return self._inbox.distances(self._p.now), self._systick.distances(self.systick_now()), ticks

    def save(self) -> tuple[tuple[Due, ...], int]:
        """What is on its way."""
        return self._inbox.save()

    def restore(self, saved: tuple[tuple[Due, ...], int]) -> None:
        """Go back to :meth:`save`."""
        self._inbox.restore(saved)
