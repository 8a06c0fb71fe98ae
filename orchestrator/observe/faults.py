"""Faults of one core by the instruction that took them, and what became of each: served, taken again, or the end.

Firmware may live with faults: NuttX with critical sections by PRIMASK takes a HardFault for each SVC in one of them,
and its handler serves it; a probe for hardware that may be absent skips the instruction. What tells is what the core
does after the handler has returned.
"""

from __future__ import annotations

from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.events import Fault

__all__ = ["FaultPlace", "Faults"]

FAULT_EXCEPTIONS = range(3, 7)  # HardFault to UsageFault (DDI0403E B1.5.2)
_MAX_PLACES = 64
_MAX_OPEN = 8  # faults within fault handlers; the architecture has two levels and a lockup
_FOR_EVER = 1_000  # times in a row that a handler returned to the instruction, and it faulted again
_MOST_DISTINCT = 5_000  # instructions that fault, each: firmware that probes for hardware has a few of them
_LONG_NS = 10_000_000  # for a handler of a fault
_WIDEST = 4  # bytes of an instruction


@dataclass(slots=True)
class FaultPlace:
    """Faults at one instruction."""

    time_ns: int  # of the first
    fault: Fault  # the first
    count: int = 0
    last_ns: int = 0
    resumed: bool = False  # after its handler had returned, the core went on with something else
    retries: int = 0  # in a row: the handler returned to the instruction, and it faulted again

    @property
    def is_for_ever(self) -> bool:
        """Its handler returns to it, and nothing has changed."""
        return self.retries >= _FOR_EVER


@dataclass(slots=True)
class Faults:
    """What became of a core's faults."""

    places: dict[int, FaultPlace] = field(default_factory=dict)  # by PC
    open: list[tuple[int, int | None]] = field(default_factory=list)  # PC, exception whose handler runs; innermost last
    returned_to: tuple[int, int | None] | None = None  # the last fault that was left: its PC, and to where
    waiting: set[int] = field(default_factory=set)  # PCs whose handler has returned, and nothing was seen since
    distinct: set[int] = field(default_factory=set)  # PCs of all faults, to `_MOST_DISTINCT`
    says_returns: bool = False  # the engine tells of returns

    def see(self, time_ns: int, fault: Fault) -> None:
        """One was taken."""
        pc = fault.pc
        if len(self.distinct) < _MOST_DISTINCT:
            self.distinct.add(pc)
        if len(self.open) < _MAX_OPEN:
            self.open.append((pc, None))
        if pc not in self.places and len(self.places) >= _MAX_PLACES:
            return
        place = self.places.setdefault(pc, FaultPlace(time_ns, fault))
        place.count += 1
        place.last_ns = time_ns
        place.retries = place.retries + 1 if self.returned_to == (pc, pc) else 0

    @property
    def runs_away(self) -> bool:
        """Its handler skips what faults, and what follows faults as well: it executes what is no program."""
        return len(self.distinct) >= _MOST_DISTINCT

    @property
    def is_for_ever(self) -> bool:
        """There are no others to come than these."""
        return self.runs_away or any(place.is_for_ever for place in self.places.values())

    def enter(self, number: int) -> None:
        """An exception was taken: what comes after a fault is the fault's."""
        if self.open and self.open[-1][1] is None and number in FAULT_EXCEPTIONS:
            self.open[-1] = (self.open[-1][0], number)

    def leave(self, number: int, address: int | None) -> None:
        """A handler has returned, to this address where the engine can say it."""
        self.says_returns = True
        if not self.open or self.open[-1][1] != number:
            return
        pc, _ = self.open.pop()
        self.returned_to = pc, address
        if address is not None and pc < address <= pc + _WIDEST:
            self._go_on(pc)
        else:
            self.waiting.add(pc)

    def act(self) -> None:
        """The core does something that can be seen: it sleeps, notifies or stores to shared memory."""
        if not self.open:
            for pc in self.waiting:
                self._go_on(pc)
            self.waiting.clear()

    def finish(self, exception: int, acted_ns: int | None) -> None:
        """At the end, in the handler of this exception (0: none): where returns are not told of, what it did last."""
        if self.says_returns or exception in FAULT_EXCEPTIONS or acted_ns is None:
            return
        for pc, number in self.open:
            if number is not None and pc in self.places and acted_ns > self.places[pc].last_ns:
                self._go_on(pc)
        self.open.clear()

    def _go_on(self, pc: int) -> None:
        if pc in self.places:
            self.places[pc].resumed = True

    def is_handled(self, place: FaultPlace, time_ns: int) -> bool:
        """Its handler returned and the core went on, and neither ended in it since nor takes it for ever."""
        is_open = any(pc == place.fault.pc for pc, _ in self.open)
        return place.resumed and not place.is_for_ever and not (is_open and time_ns - place.last_ns >= _LONG_NS)
