"""What one core has been doing: when each exception came in, its last sleep, and where its turns ended.

Kept as instruction counts, by a store or two for each exception, sleep and turn; what they mean is worked out when
somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.engines.common.bits import bits_of
from orchestrator.engines.common.cortex_m import exception_name
from orchestrator.engines.unicorn.native.abi import TakenState
from orchestrator.events import ActiveException, Activity, Place, Sleep

__all__ = ["ActivityLog"]

_RECENT_US = 1_000  # of the time in which the core ran
_MOST_ENDS = 4096


class ActivityLog:
    """``mips`` makes times of instruction counts."""

    def __init__(self, mips: int, taken: TakenState) -> None:
        self._mips = mips
        self._taken = taken  # when each exception came in last, and where
        self._asleep: tuple[int, int, str] | None = None  # when, where it goes on, by what
        self._woken: tuple[int, str] | None = None
        self._ends: dict[int, int] = {}  # PC behind a turn: when that was, last
        self._forgotten = 0  # the last of those that were dropped

    # --- what happens

    def entered(self, number: int, return_address: int, now: int) -> None:
        """An exception came in."""
        self._taken.entered[number], self._taken.return_address[number] = now, return_address

    def fell_asleep(self, now: int, pc: int, how: str) -> None:
        """``how`` is the instruction, or SLEEPONEXIT."""
        self._asleep, self._woken = (now, pc, how), None

    def woke(self, now: int, why: str) -> None:
        """The core goes on."""
        self._woken = now, why

    @property
    def fell_asleep_at(self) -> int:
        """The instruction count at which it last did; -1: never."""
        return -1 if self._asleep is None else self._asleep[0]

    def turn_ended(self, pc: int, now: int) -> None:
        """Behind a turn in which instructions were executed."""
        self._ends[pc] = now
        if len(self._ends) > _MOST_ENDS:
            for oldest in sorted(self._ends, key=self._ends.__getitem__)[: _MOST_ENDS // 2]:
                self._forgotten = self._ends.pop(oldest)

    def turns_ended(self, ends: list[tuple[int, int]]) -> None:
        """Several of them: PC and when."""
        if len(self._ends) + len(ends) <= _MOST_ENDS:
            self._ends.update(ends)
            return
        for pc, now in ends:
            self.turn_ended(pc, now)

    # --- what it comes to

    def activity(self, active: int, symbol_at: Callable[[int], str | None]) -> Activity:
        """``active`` has a bit for each exception that the core is in."""
        taken = self._taken
        came = {number: (taken.entered[number], taken.return_address[number]) for number in bits_of(active)}
        exceptions = tuple(
            ActiveException(number, exception_name(number), self._ns(at), pc, symbol_at(pc))
            for number, (at, pc) in sorted(came.items(), key=lambda each: each[1][0])
        )
        return Activity(exceptions, self._sleep(symbol_at), *self._places(symbol_at))

    def _ns(self, count: int) -> int:
        return count * 1000 // self._mips

    def _sleep(self, symbol_at: Callable[[int], str | None]) -> Sleep | None:
        if self._asleep is None:
            return None
        since, pc, how = self._asleep
        woken, why = self._woken or (None, "")
        return Sleep(self._ns(since), how, pc, symbol_at(pc), None if woken is None else self._ns(woken), why)

    def _places(self, symbol_at: Callable[[int], str | None]) -> tuple[tuple[Place, ...], int | None]:
        """The functions in which the last turns ended, the last one first, and when one ended elsewhere."""
        if not self._ends:
            return (), None
        recent = max(self._ends.values()) - _RECENT_US * self._mips
        functions: dict[str | None, list[int]] = {}
        for pc in self._ends:
            symbol = symbol_at(pc)
            functions.setdefault(symbol and symbol.partition("+")[0], []).append(pc)
        last = {symbol: max(self._ends[pc] for pc in pcs) for symbol, pcs in functions.items()}
        here = sorted((symbol for symbol in functions if last[symbol] >= recent), key=lambda each: -last[each])
        elsewhere = max((count for symbol, count in last.items() if count < recent), default=self._forgotten)
        places = (
            Place(symbol, min(pcs), max(pcs), self._ns(last[symbol]))
            for symbol in here
            for pcs in ([pc for pc in functions[symbol] if self._ends[pc] >= recent],)
        )
        return tuple(places), self._ns(elsewhere)

    # --- snapshots

    def save(self) -> object:
        entered = bytes(self._taken.entered), bytes(self._taken.return_address)
        return entered, self._asleep, self._woken, dict(self._ends), self._forgotten

    def restore(self, saved: object) -> None:
        assert isinstance(saved, tuple)
        entered, self._asleep, self._woken, ends, self._forgotten = saved
        times, addresses = entered
        self._taken.entered[:] = memoryview(times).cast("Q").tolist()
        self._taken.return_address[:] = memoryview(addresses).cast("I").tolist()
        self._ends = dict(ends)
