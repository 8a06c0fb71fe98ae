"""A board that does exactly the same for ever: found while it costs much, so that its time can be skipped.

Between two turns a board is its cores, their memory, the devices, and what is on its way. Comes all of it back, and
nobody from outside has done anything meanwhile, it comes back again and again: what is executed next is known, and
time may pass by whole rounds. Times are compared as distances from now. Whatever may depend on the time itself (a
device that counts, an alarm, a player with plans) makes no two moments equal.

Firmware that takes an exception every few instructions costs a thousand times as much as other firmware. Only such a
stretch is looked at; an ordinary board pays a comparison of two numbers in each turn.
"""

from __future__ import annotations

from collections import Counter

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common.cortex_m import exception_name
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.memory.saved_bytes import Chunks
from orchestrator.engines.unicorn.turn import Turn
from orchestrator.engines.unicorn.wiring import Wiring

__all__ = ["RARE", "Recurrence"]

RARE = 40  # instructions for each return to Python: more often is a stretch that is looked at
_PATIENCE = 25_000  # returns to Python in one stretch, before anything is compared: rules count what happens for ever
_TRIALS = 8  # comparisons of everything with one moment: where registers come back, memory need not


@dataclass(frozen=True, slots=True)
class _Moment:
    """A board between two turns."""

    quantum: int
    cores: tuple[object, ...]  # what is cheap to compare
    counts: tuple[int, ...]  # instructions of each core
    ticks: tuple[int, ...]  # of each core's SysTick
    taken: tuple[Counter[int], ...]  # exceptions of each core, by number
    said: dict[str, int]  # bytes of each console: what is said in a round is said again in the next
    rest: object
    devices: dict[str, object]
    memory: dict[str, Chunks]


class Recurrence:
    """Of one board; :meth:`period` after each turn, :meth:`skip` where there is one."""

    def __init__(self, wiring: Wiring, turn: Turn) -> None:
        self._wiring = wiring
        self._turn = turn
        self._mark: _Moment | None = None
        self._stretch = 0  # returns to Python without a quiet turn
        self._work = 0  # of all cores, by the end of the last turn
        self._age = 0  # turns since the mark
        self._reach = 1  # turns after which a new mark is made
        self._trials = 0
        # A turn with as much is of such a stretch.
        self.most_work = -(-(wiring.cores[0].mips * turn.quantum_ns // 1000) // RARE)

    def period(self) -> int:
        """In turns, after one; 0: none is known."""
        work = sum(core.work for core in self._wiring.cores)
        done, self._work = work - self._work, work
        if done < self.most_work:
            if self._stretch:
                self._forget()
            return 0
        self._stretch += done
        if self._stretch < _PATIENCE or any(core.debugger.core_debug is not None for core in self._wiring.cores):
            return 0
        return self._look()

    def quiet_turns(self, work: int) -> None:
        """Turns have passed in which little came back to Python; ``work`` of all cores by their end."""
        self._work = work
        if self._stretch:
            self._forget()

    def restart(self) -> None:
        """What was seen so far is of another time."""
        self._work = sum(core.work for core in self._wiring.cores)
        self._forget()

    def _forget(self) -> None:
        self._stretch = 0
        self._mark = None
        self._reach = 1
        self._notice(on=False)

    def _notice(self, *, on: bool) -> None:
        for core in self._wiring.cores:
            core.bus.notices_unsteady = on

    def _look(self) -> int:
        mark = self._mark
        if mark is not None:
            self._age += 1
            if self._trials and self._is_back(mark):
                return self._turn.quantum - mark.quantum
            if self._age < self._reach:
                return 0
            self._reach *= 2
        self._notice(on=True)
        self._mark = self._moment()
        self._age, self._trials = 0, _TRIALS
        return 0

    def _is_back(self, mark: _Moment) -> bool:
        if self._cheap() != mark.cores:
            return False
        self._trials -= 1
        # Idle loops are executed as far as it shows: registers are then what they seem.
        self._wiring.settle()
        if self._cheap() != mark.cores or self._rest() != mark.rest:
            return False
        return self._wiring.memory.equals(mark.memory) and self._devices() == mark.devices

    def _moment(self) -> _Moment:
        self._wiring.settle()
        cores = self._wiring.cores
        return _Moment(
            self._turn.quantum,
            self._cheap(),
            tuple(core.now for core in cores),
            tuple(core.timeline.systick_now() for core in cores),
            tuple(Counter(core.taken) for core in cores),
            {name: console.total for name, console in self._wiring.consoles.items()},
            self._rest(),
            self._devices(),
            self._wiring.memory.save(writable_only=True),
        )

    def _cheap(self) -> tuple[object, ...]:
        time_ns = self._turn.time_ns
        return tuple((core.registers_now(), core.now - time_ns * core.mips // 1000) for core in self._wiring.cores)

    def _rest(self) -> object:
        wiring, time_ns = self._wiring, self._turn.time_ns
        return (
            tuple((core.recurring_state(), time_ns * core.mips % 1000) for core in wiring.cores),
            wiring.mailboxes.save(),
            dict(wiring.lines),
            dict(wiring.alarms),
            frozenset(wiring.gates.passed),
            wiring.from_outside,
            tuple((each.held, each.asked, each.at_ns, each.turns) for each in wiring.hosted.values()),
        )

    def _devices(self) -> dict[str, object]:
        return {name: device.snapshot() for name, device in self._wiring.devices.items()}

    def what(self) -> str:
        """What the cores do in a round, as far as it has a name; "" where they take no exception."""
        assert self._mark is not None
        found = []
        for core, before in zip(self._wiring.cores, self._mark.taken, strict=True):
            often = (core.taken - before).most_common(2)
            found += [f"{core.name} takes {exception_name(number)} {count} times" for number, count in often]
        return ", ".join(found)

    # --- time that passes

    def skip(self, period: int, end: int) -> int:
        """Let whole rounds pass, as many as leave one to be executed before a quantum; the virtual time skipped.

        What happens in a round is seen in the last one, at its own time.
        """
        mark, turn, cores = self._mark, self._turn, self._wiring.cores
        assert mark is not None
        rounds = (end - turn.quantum) // period - 1
        if rounds <= 0:
            return 0
        for core, count, ticks in zip(cores, mark.counts, mark.ticks, strict=True):
            _let_pass(core, rounds * (core.now - count), rounds * (core.timeline.systick_now() - ticks))
        for name, console in self._wiring.consoles.items():
            console.received.repeat(mark.said[name], rounds)
        turn.quantum += rounds * period
        self._mark = self._moment()
        self._age, self._trials = 0, _TRIALS
        return rounds * period * turn.quantum_ns


def _let_pass(core: Core, instructions: int, ticks: int) -> None:
    core.native.executed += instructions
    core.timeline.let_pass(instructions, ticks)
