"""What one core has been doing: when each exception came in, its last sleep, and where its turns ended.

Kept as instruction counts, by a store or two for each exception, sleep and turn; what they mean is worked out when
somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.engines.common.bits import bits_of
from orchestrator.engines.common.cortex_m import exception_name
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.native.abi import TakenState
from orchestrator.events import ActiveException, Activity, Place, Sleep

__all__ = ["ActivityLog"]

_RECENT_US = 1_000  # of the time in which the core ran
_MOST_ENDS = 4096
_HOW = {abi.BY_WFI: "WFI", abi.BY_WFE: "WFE", abi.ON_EXIT: "SLEEPONEXIT"}
_OTHERWISE = {abi.NOTHING: "", abi.BY_EVENT: "event", abi.BY_RESET: "reset"}


def _why(woken: int) -> str:
    if woken in _OTHERWISE:
        return _OTHERWISE[woken]
    return exception_name(woken % abi.MASKED) + (", masked" if woken & abi.MASKED else "")


class ActivityLog:
    """``mips`` makes times of instruction counts."""

    def __init__(self, mips: int, taken: TakenState) -> None:
        self._mips = mips
        self._taken = taken  # when each exception came in last, and where
        self._last = taken.sleep
        self._ends: dict[int, int] = {}  # PC behind a turn: when that was, last
        self._forgotten = 0  # the last of those that were dropped

    # --- what happens

    def entered(self, number: int, return_address: int, now: int) -> None:
        """An exception came in."""
        self._taken.entered[number], self._taken.return_address[number] = now, return_address

    def fell_asleep(self, now: int, pc: int, how: int) -> None:
        """By an instruction, or on exit from an exception: BY_WFI, BY_WFE, ON_EXIT."""
        last = self._last
        last.since, last.pc, last.how, last.woken = now, pc, how, abi.NOTHING

    def woke(self, now: int, why: int) -> None:
        """The core goes on: by an exception, perhaps MASKED, or BY_EVENT, BY_RESET."""
        self._last.until, self._last.woken = now, why

    @property
    def fell_asleep_at(self) -> int:
        """The instruction count at which it last did; -1: never."""
        return int(self._last.since) if self._last.how else -1

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
        return Activity(exceptions, self.last_sleep(symbol_at), *self._places(symbol_at))

    def _ns(self, count: int) -> int:
        return count * 1000 // self._mips

    def last_sleep(self, symbol_at: Callable[[int], str | None]) -> Sleep | None:
        """The one that it is in, or was in last."""
        last = self._last
        if last.how == abi.AWAKE:
            return None
        woken = self._ns(last.until) if last.woken else None
        return Sleep(self._ns(last.since), _HOW[last.how], last.pc, symbol_at(last.pc), woken, _why(last.woken))

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
        return entered, bytes(self._last), dict(self._ends), self._forgotten

    def restore(self, saved: object) -> None:
        assert isinstance(saved, tuple)
        entered, last, ends, self._forgotten = saved
        memoryview(self._last).cast("B")[:] = last
        times, addresses = entered
        self._taken.entered[:] = memoryview(times).cast("Q").tolist()
        self._taken.return_address[:] = memoryview(addresses).cast("I").tolist()
        self._ends = dict(ends)
