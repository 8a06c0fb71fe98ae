"""Where the order of the cores may matter: before each access to shared memory, and before each notification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common.backtrace import symbol_of
from orchestrator.events import Accessed, Event, NotificationIgnored, NotificationSent, NotificationTaken, Sleep
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["Point", "PointRecorder"]

_MOST_POINTS = 1500  # of one run, those that come first
_MOST_ALIKE = 8  # of one instruction and place
_MOST_TURNS = 20_000  # with accesses, of one run
_AFTER = 1  # cycles
_QUIETLY = 2  # ranks behind a notification and a sleep that an access stands: there are many more of them

_Seen = tuple[str, int, str, int, int]  # core, time, words, cycles later, rank


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
    """A listener: remembers what one run did, of which :meth:`points` are made, and its course."""

    def __init__(
        self, platform: Platform, images: Mapping[str, Sequence[Image]], last_sleep: Callable[[str], Sleep | None]
    ) -> None:
        self._images = images  # by core
        self._last_sleep = last_sleep
        self._mips = {core.name: core.mips for core in platform.cores}
        self._seen: list[tuple[str, int, str, int]] = []  # core, time, words, cycles later
        self._accesses: list[tuple[str, Accessed]] = []
        self.course: list[str] = []

    def __call__(self, event: Event) -> None:
        """Most of it is never asked for: of an access no more is done than to keep it."""
        match event.detail:
            case Accessed() as accessed:
                if len(self._accesses) < _MOST_TURNS:
                    self._accesses.append((event.core, accessed))
            case NotificationSent(target=target, channel=channel) | NotificationIgnored(target=target, channel=channel):
                self.course.append(f"{event.core} {type(event.detail).__name__} {target} {channel}")
                what = f"notifies {target} (channel {channel})"
                self._see(event.core, event.time_ns, f"it {what}")
                self._see(event.core, event.time_ns, f"the next thing after it {what}", later=_AFTER)
            case NotificationTaken(interrupt=interrupt):
                self.course.append(f"{event.core} takes {interrupt}")
                self._see(event.core, event.time_ns, f"it goes on with interrupt {interrupt}", later=_AFTER)
                self._slept(event.core)

    @property
    def known(self) -> tuple[int, int, int]:
        """How much it remembers."""
        return len(self._seen), len(self._accesses), len(self.course)

    def forget_all_but(self, known: tuple[int, int, int]) -> None:
        """What came after that has not happened."""
        seen, accesses, course = known
        del self._seen[seen:], self._accesses[accesses:], self.course[course:]

    def _slept(self, core: str) -> None:
        """Before the WFI or WFE from which it was woken."""
        sleep = self._last_sleep(core)
        if sleep is not None:
            self._see(core, sleep.since_ns, f"it falls asleep ({sleep.how} at {sleep.symbol})")

    def _see(self, core: str, time_ns: int, what: str, *, later: int = 0) -> None:
        self._seen.append((core, time_ns, what, later))

    def points(self) -> tuple[Point, ...]:
        """In the order of time, each before the instruction at whose end something was seen, or ``later`` than that."""
        found: dict[tuple[str, int], Point] = {}
        alike: Counter[tuple[str, str]] = Counter()
        for core, time_ns, what, later, rank in (*self._signals(), *self._touches()):
            if core not in self._mips or len(found) >= _MOST_POINTS:
                continue
            cycle = max(0, -(-time_ns * self._mips[core] // 1000) - 1 + later)
            if alike[core, what] < _MOST_ALIKE and (core, cycle) not in found:
                found[core, cycle] = Point(core, cycle, time_ns, what, rank + alike[core, what])
                alike[core, what] += 1
        return tuple(sorted(found.values(), key=lambda each: (each.time_ns, each.core)))

    def _signals(self) -> Iterator[_Seen]:
        for core, time_ns, what, later in self._seen:
            yield core, time_ns, what, later, 0

    def _touches(self) -> Iterator[_Seen]:
        for core, accessed in self._accesses:
            images = self._images.get(core, ())
            for each in accessed.accesses:
                symbol = symbol_of(images, each.pc) or f"{each.pc:#010x}"
                verb = "writes" if each.writes else "reads"
                yield core, each.time_ns, f"{symbol} {verb} {each.address:#010x}", 0, _QUIETLY
