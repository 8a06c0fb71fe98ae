"""Where a core is, again and again: looked at in its own time, which changes nothing for it."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.engines.unicorn.cpu.processor import NEVER, Processor
from orchestrator.events import Backtrace, CoreState

__all__ = ["Sampler"]

OnSample = Callable[[int, CoreState, Backtrace], None]


class Sampler:
    """Calls ``on_sample`` with how many samples are alike; ``next_count`` is when the next one is due, in instructions.

    What passes at once, as a sleep may, is told at its end, before anything comes of that.
    """

    def __init__(
        self, processor: Processor, every: int, on_sample: OnSample, backtrace: Callable[[], Backtrace]
    ) -> None:
        self._p = processor
        self._every = every
        self._on_sample = on_sample
        self._backtrace = backtrace
        self._asleep: tuple[int, Backtrace] = (-1, ())  # when it fell asleep, and where
        self._stands = CoreState.HELD if processor.held else CoreState.RUNNING
        self.next_count = processor.now + every

    @property
    def due_count(self) -> int:
        """When the core has to stop for it: never while it stands."""
        return self.next_count if self._stands is CoreState.RUNNING else NEVER

    def take(self) -> None:
        """What is due by now."""
        passed = self._p.now - self.next_count
        if passed < 0:
            return
        number = passed // self._every + 1
        self.next_count += number * self._every
        if self._stands is not CoreState.RUNNING:
            self._on_sample(number, self._stands, ())
        elif self._p.sleeping:
            since = self._p.activity.fell_asleep_at
            if self._asleep[0] != since:
                self._asleep = since, self._backtrace()
            self._on_sample(number, CoreState.SLEEPING, self._asleep[1])
        else:
            self._on_sample(number, CoreState.RUNNING, self._backtrace())

    def see_state(self) -> None:
        """It may have been held, released or locked up just now."""
        stands = CoreState.HELD if self._p.held else CoreState.LOCKED_UP if self._p.locked_up else CoreState.RUNNING
        if stands is not self._stands:
            if self._stands is not CoreState.RUNNING:
                self.take()
            self._stands = stands

    def let_pass(self, instructions: int) -> None:
        """So much has passed at once, of which nothing is told."""
        self.next_count += instructions
