"""Where the order of the cores may matter: before each access to shared memory, and before each notification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.engines.common.backtrace import symbol_of
from orchestrator.events import Accessed, Activity, Event, NotificationIgnored, NotificationSent, NotificationTaken
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["Point", "PointRecorder"]

_MOST_POINTS = 1500  # of one run, those that come first
_MOST_ALIKE = 8  # of one instruction and place
_AFTER = 1  # cycles
_QUIETLY = 2  # ranks behind a notification and a sleep that an access stands: there are many more of them


@dataclass(frozen=True, slots=True)
class Point:
    """A core is about to do something that the other one may see, or to sleep. The lowest ``rank`` is tried first."""

    core: str
    cycle: int
    time_ns: int
    what: str
    rank: int

    def __str__(self) -> str:
        return f"{self.what} ({self.time_ns / 1e6:.3f} ms)"


class PointRecorder:
    """A listener: remembers the points of one run, and its course."""

    def __init__(
        self, platform: Platform, images: Mapping[str, Sequence[Image]], activity: Callable[[str], Activity]
    ) -> None:
        self._images = images  # by core
        self._activity = activity
        self._mips = {core.name: core.mips for core in platform.cores}
        self._found: dict[tuple[str, int], Point] = {}
        self._alike: Counter[tuple[str, str]] = Counter()
        self.course: list[str] = []

    def __call__(self, event: Event) -> None:
        match event.detail:
            case Accessed() as accessed:
                for each in accessed.accesses:
                    verb = "writes" if each.writes else "reads"
                    what = f"{self._symbol(event.core, each.pc)} {verb} {each.address:#010x}"
                    self._add(event.core, each.time_ns, what, rank=_QUIETLY)
            case NotificationSent(target=target, channel=channel) | NotificationIgnored(target=target, channel=channel):
                self.course.append(f"{event.core} {type(event.detail).__name__} {target} {channel}")
                what = f"notifies {target} (channel {channel})"
                self._add(event.core, event.time_ns, f"it {what}")
                self._add(event.core, event.time_ns, f"the next thing after it {what}", later=_AFTER)
            case NotificationTaken(interrupt=interrupt):
                self.course.append(f"{event.core} takes {interrupt}")
                self._add(event.core, event.time_ns, f"it goes on with interrupt {interrupt}", later=_AFTER)
                self._slept(event.core)

    def _slept(self, core: str) -> None:
        """Before the WFI or WFE from which it was woken."""
        sleep = self._activity(core).sleep
        if sleep is not None:
            self._add(core, sleep.since_ns, f"it falls asleep ({sleep.how} at {sleep.symbol})")

    def _symbol(self, core: str, pc: int) -> str:
        return symbol_of(self._images.get(core, ()), pc) or f"{pc:#010x}"

    def _add(self, core: str, time_ns: int, what: str, *, later: int = 0, rank: int = 0) -> None:
        """Before the instruction at whose end this time is; ``later``: than that, in cycles."""
        if core not in self._mips or len(self._found) >= _MOST_POINTS:
            return
        cycle = max(0, -(-time_ns * self._mips[core] // 1000) - 1 + later)
        alike = self._alike[core, what]
        if alike < _MOST_ALIKE and (core, cycle) not in self._found:
            self._alike[core, what] += 1
            self._found[core, cycle] = Point(core, cycle, time_ns, what, rank + alike)

    def points(self) -> tuple[Point, ...]:
        """In the order of time."""
        return tuple(sorted(self._found.values(), key=lambda each: (each.time_ns, each.core)))
