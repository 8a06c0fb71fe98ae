"""What is on its way to a core, in the order in which it reaches it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.engines.unicorn.cpu.processor import NEVER
from orchestrator.engines.unicorn.cpu.signals import LineChanged, Signal

__all__ = ["Due", "Inbox"]


class Due(NamedTuple):
    """A signal on its way; in the order of counts, and of those that are equal, as they were sent."""

    at: int  # instruction count
    order: int
    signal: Signal


class Inbox:
    """Signals by the instruction count at which they are due."""

    def __init__(self) -> None:
        self._due: list[Due] = []
        self._order = 0

    @property
    def first(self) -> int:
        """When the next one is due; NEVER."""
        return self._due[0].at if self._due else NEVER

    def add(self, count: int, signal: Signal) -> None:
        """Due at an instruction count, behind those of the same."""
        heapq.heappush(self._due, Due(count, self._order, signal))
        self._order += 1

    def take(self, now: int) -> Due | None:
        """The next one that is due by now."""
        return heapq.heappop(self._due) if self._due and self._due[0].at <= now else None

    def forget_line(self, interrupt: int, after: int) -> bool:
        """No change of this input is due later than an instruction count any more; whether one was."""
        stale = [
            each
            for each in self._due
            if each.at > after and isinstance(each.signal, LineChanged) and each.signal.interrupt == interrupt
        ]
        if stale:
            self._due = [each for each in self._due if each not in stale]
            heapq.heapify(self._due)
        return bool(stale)

    def keep(self, wanted: Callable[[Signal], bool]) -> None:
        """Only these are on their way any more."""
        self._due = [each for each in self._due if wanted(each.signal)]
        heapq.heapify(self._due)

    def delay(self, count: int) -> None:
        """Each is due so much later."""
        self._due = [each._replace(at=each.at + count) for each in self._due]

    def distances(self, now: int) -> tuple[tuple[int, Signal], ...]:
        """In how many instructions from ``now`` what is due."""
        return tuple((each.at - now, each.signal) for each in sorted(self._due))

    def save(self) -> tuple[tuple[Due, ...], int]:
        """All of it."""
        return tuple(self._due), self._order

    def restore(self, saved: tuple[tuple[Due, ...], int]) -> None:
        """Go back to :meth:`save`."""
        due, self._order = saved
        self._due = list(due)
