"""The end of each core's stack, guarded: stores by the stack pointer that run over it, in one descent.

What lies below a stack may be another stack (a thread's, an interrupt's), so a push there says nothing by itself. It
does where the pushes before it, with no return in between, lie just above the end: then it is this stack that ran over.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Set
from dataclasses import field
from functools import cache, partial

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Extent, Memory
from orchestrator.events import ACCESS_WRITES, Access, Accessed, access_of, address_and_size, touched
from orchestrator.formats.footprint import Footprint
from orchestrator.observe.history import Step

__all__ = ["StackGuard"]

_NEAR = 1 << 10  # bytes on both sides of the end: a frame without a push that is larger is not seen to cross
_CLOSE = 1 << 8  # the same above the end, where an engine tells slowly and the core works near the end all the time
_MANY = 2_000  # accesses there: a small stack in use, an idle thread's
_MOST_AWAY = 4096  # that are remembered
Code = Callable[[int], tuple[int, int]]  # by the program counter: the instruction there
_DEPTH = 1 << 14  # bytes below the end that are looked at once it was crossed, for the deepest push


@dataclass(slots=True)
class StackGuard:
    """One core's main stack: where it ends, and whether the core ran over that."""

    role: str
    end: int  # its lowest address
    how: str  # what says so
    top: int
    floor: int  # of the memory that it lies in
    near: int | None = None  # the last store by the stack pointer above the end, with no return since
    crossed: Step | None = None  # the first time
    deepest: int = 0  # the lowest address that was stored to
    deepest_by: Step | None = None
    seen: int = 0  # accesses near the end
    is_narrow: bool = False
    aliases: tuple[tuple[Extent, int], ...] = ()  # of its memory: where else the core has it, and how far from here
    _windows: tuple[tuple[int, int, int], ...] | None = None  # where what is observed is seen; None: not yet found
    _away: set[int] = field(default_factory=set)  # what was touched outside of these
    _here: dict[int, int] = field(default_factory=dict)  # and inside: its address by the stack pointer's
    _below: set[int] = field(default_factory=set)  # of these, what lies below the end

    @classmethod
    def of(cls, role: str, footprint: Footprint, memory: Iterable[Extent]) -> StackGuard | None:
        """None where the image does not say where its stack ends; ``memory`` is what the core can write."""
        stack, found = footprint.stack, footprint.stack_end
        if stack is None or found is None:
            return None
        end, how = found
        floor = next((each.start for each in memory if end in each and stack.extent.end - 1 in each), None)
        return None if floor is None else cls(role, end, how, stack.extent.end, floor)

    @property
    def extent(self) -> Extent:
        """What is to be observed by now."""
        below = _DEPTH if self.crossed is not None else _NEAR
        above = _CLOSE if self.is_narrow else _NEAR
        return Extent.between(max(self.floor, self.end - below), min(self.top, self.end + above))

    @property
    def windows(self) -> tuple[tuple[int, int, int], ...]:
        """Where the core has what is observed, whichever address the engine names, and how far each is from here."""
        if self._windows is None:
            self._windows = tuple(self._find_windows())
            self._away.clear()
            self._here.clear()
            self._below.clear()
        return self._windows

    def nearby(self, told: Accessed, touched_here: Set[int], memory: Memory) -> list[Access]:
        """What the core did there in its turn, in order; mostly nothing. ``touched_here``: what it touched there.

        Where nothing is pushed below the end it is the last access alone that says anything: others are left out.
        """
        windows, here = self.windows, self._here
        if touched_here <= self._away:
            return []
        if not touched_here <= here.keys():
            self._find(touched_here - self._away - here.keys(), windows)
            if here.keys().isdisjoint(touched_here):
                return []
        code = cache(partial(_code, memory))
        if self.crossed is not None or (
            not self._below.isdisjoint(touched_here) and _has_push(told, self._below, code)
        ):
            return [access_of(told.row(number)) for number, (what, _) in enumerate(told.touches()) if what in here]
        for number in reversed(range(len(told))):
            access = access_of(told.row(number))
            what = touched(access.address, access.size)
            if what in here and (
                _is_push(access, code) if access.writes else self._ends_descent(access, here[what], code)
            ):
                return [access]
        return []

    def _find(self, touched_here: Iterable[int], windows: Iterable[tuple[int, int, int]]) -> None:
        """Where what is touched lies."""
        for what in touched_here:
            address = _here(address_and_size(what)[0], windows)
            if address is None:
                if len(self._away) < _MOST_AWAY:
                    self._away.add(what)
                continue
            self._here[what] = address
            if address < self.end:
                self._below.add(what)

    def is_away(self, what: int) -> bool:
        """Whether it is known of what was touched that it lies elsewhere."""
        return what in self._away

    def narrow(self, told: Accessed) -> bool:
        """Observe less, if there is much to see and nothing to say; whether less is to be observed from now on."""
        if self.is_narrow or self.crossed is not None:
            return False
        where = map(address_and_size, told.what_is_touched())
        self.seen += sum(_here(address, self.windows) is not None for address, _ in where)
        if self.seen < _MANY:
            return False
        self.is_narrow, self._windows = True, None
        return True

    def see(self, accesses: Iterable[Access], memory: Memory) -> bool:
        """What the core did in its turn, in order; whether more is to be observed from now on."""
        before, windows, code = self.crossed, self.windows, cache(partial(_code, memory))
        for access in accesses:
            here = _here(access.address, windows)
            if here is None:
                continue
            if not access.writes:
                if self._ends_descent(access, here, code):
                    self.near = None
            elif _is_push(access, code):
                self._push(access, here)
        if self.crossed is before:
            return False
        self._windows = None
        return True

    def _find_windows(self) -> Iterator[tuple[int, int, int]]:
        extent = self.extent
        yield extent.start, extent.end, 0
        for alias, distance in self.aliases:
            yield max(alias.start, extent.start - distance), min(alias.end, extent.end - distance), distance

    def _ends_descent(self, read: Access, here: int, code: Code) -> bool:
        """Whether a read says that the core came back, or uses another stack."""
        if self.crossed is not None and here < self.end:
            return False  # what ran over comes back
        return read.frame or here < self.end or _is_return(*code(read.pc))

    def _push(self, access: Access, here: int) -> None:
        if here >= self.end:
            self.near = here
        elif self.near is not None:
            step = Step(access.last_ns, self.role, access.pc)
            self.crossed = self.crossed or step
            if not self.deepest or here < self.deepest:
                self.deepest, self.deepest_by = here, step


def _here(address: int, windows: Iterable[tuple[int, int, int]]) -> int | None:
    """The address that the stack pointer has for it; None: it is not there."""
    return next((address + distance for start, end, distance in windows if start <= address < end), None)


def _has_push(told: Accessed, where: Container[int], code: Code) -> bool:
    """Whether any of what is touched there was pushed."""
    return any(
        _is_push(access_of(told.row(number)), code)
        for number, (what, flags) in enumerate(told.touches())
        if what in where and flags & ACCESS_WRITES
    )


def _is_push(write: Access, code: Code) -> bool:
    return write.frame or _stores_by_sp(*code(write.pc))


def _code(memory: Memory, pc: int) -> tuple[int, int]:
    """The two halfwords of an instruction, by the end of the turn; zeros where there is no memory."""
    try:
        data = memory.read(pc & ~1, 4)
    except RptwinError:
        return 0, 0
    return int.from_bytes(data[:2], "little"), int.from_bytes(data[2:], "little")


def _stores_by_sp(first: int, second: int) -> bool:
    """PUSH, STMDB, STR, STRD, VPUSH and VSTR with SP as the base (DDI0403E A7.7)."""
    return (
        first & 0xFE00 == 0xB400  # PUSH
        or first & 0xF800 == 0x9000  # STR [SP, #]
        or first == 0xE92D  # PUSH.W
        or (first == 0xF84D and second & 0x0800 != 0)  # STR.W [SP, #-]!
        or first in (0xF8CD, 0xF88D, 0xF8AD)  # STR.W, STRB.W, STRH.W [SP, #]
        or first in (0xE94D, 0xE96D, 0xE9CD)  # STRD
        or (first & 0xFFBF in (0xED2D, 0xED8D) and second & 0x0E00 == 0x0A00)  # VPUSH, VSTR; else STC
    )


def _is_return(first: int, second: int) -> bool:
    """POP, LDMIA SP!, LDR [SP], #4 and VPOP."""
    return (
        first & 0xFE00 == 0xBC00
        or first == 0xE8BD
        or (first == 0xF85D and second & 0x0F00 == 0x0B00)
        or (first & 0xFFBF == 0xECBD and second & 0x0E00 == 0x0A00)  # else LDC
    )
