"""Where the order of the cores may matter: before each access to shared memory, and before each notification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.engines.common.backtrace import symbol_of
from orchestrator.events import Accessed, Event, NotificationIgnored, NotificationSent, NotificationTaken
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["Point", "PointRecorder"]

_MOST_POINTS = 1500  # of one run, those that come first
_MOST_ALIKE = 8  # of one instruction and place


@dataclass(frozen=True, slots=True)
class Point:
    """A core is about to do something that the other one may see; ``rank`` counts those before it that are alike."""

    core: str
    cycle: int
    time_ns: int
    what: str
    rank: int

    def __str__(self) -> str:
        return f"{self.what} ({self.time_ns / 1e6:.3f} ms)"


class PointRecorder:
    """A listener: remembers the points of one run, and its course."""

    def __init__(self, platform: Platform, images: Mapping[str, Sequence[Image]]) -> None:
        self._images = images  # by core
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
                    self._add(event.core, each.time_ns, what)
            case NotificationSent(target=target, channel=channel):
                self.course.append(f"{event.core} > {target} {channel}")
                self._add(event.core, event.time_ns, f"it notifies {target} (channel {channel})")
            case NotificationIgnored():
                self.course.append(f"{event.core} ignored")
            case NotificationTaken(interrupt=interrupt):
                self.course.append(f"{event.core} takes {interrupt}")
                self._add(event.core, event.time_ns, f"it takes interrupt {interrupt}")

    def _symbol(self, core: str, pc: int) -> str:
        return symbol_of(self._images.get(core, ()), pc) or f"{pc:#010x}"

    def _add(self, core: str, time_ns: int, what: str) -> None:
        if core not in self._mips or len(self._found) >= _MOST_POINTS:
            return
        cycle = -(-time_ns * self._mips[core] // 1000)
        rank = self._alike[core, what]
        if rank < _MOST_ALIKE and (core, cycle) not in self._found:
            self._alike[core, what] += 1
            self._found[core, cycle] = Point(core, cycle, time_ns, what, rank)

    def points(self) -> tuple[Point, ...]:
        """In the order of time."""
        return tuple(sorted(self._found.values(), key=lambda each: (each.time_ns, each.core)))
