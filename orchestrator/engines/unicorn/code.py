"""What the engine must know of the instructions on a page before they run.

A page is marked when a core first reaches it. Data that looks like an instruction is marked too and does no harm: the
hook asks only at addresses where an instruction begins. On a page that stores may change the hook looks at the bytes
as they are when they run.
"""

from __future__ import annotations

import ctypes
import mmap
from array import array

from orchestrator.engines.unicorn.binding import NO_PAGE, PAGE_BITS, PAGES, CoreState, PageBits

__all__ = ["CodeMarks", "Hint", "hint_at", "is_floating_point"]

PAGE = 1 << PAGE_BITS
# CPSIE and CPSID of FAULTMASK, MSR of a special register (DDI0403E B5.2.1, B5.2.3): mask and value; SYSm of FAULTMASK.
_CPS_F, _MSR, _FAULTMASK = (0xFFED, 0xB661), (0xFFF0, 0xF380), 19
_SEEN, _FIRST_BITS = 1, 2
_MARKED_PAGES = 4096  # pages with instructions of interest: 4 MB of such code


class Hint:
    """Hint instructions, Thumb encodings T1 and the second halfword of T2 (DDI0403E A7.7)."""

    YIELD, WFE, WFI, SEV = 0xBF10, 0xBF20, 0xBF30, 0xBF40
    NARROW = (YIELD, WFE, WFI, SEV)
    WIDE = 0xF3AF
    WIDE_SECOND = {0x8001: YIELD, 0x8002: WFE, 0x8003: WFI, 0x8004: SEV}


def hint_at(code: bytes) -> tuple[int | None, int]:
    """Which hint stands at the start of these bytes (None: another instruction), and its size."""
    first = int.from_bytes(code[:2], "little")
    if first == Hint.WIDE:
        return Hint.WIDE_SECOND.get(int.from_bytes(code[2:4], "little")), 4
    return (first if first in Hint.NARROW else None), 2


def is_floating_point(first: int, second: int) -> bool:
    """Coprocessor instructions of coprocessors 10 and 11 (A5.3.18): 111x 11xx ... with bits [11:9] 101."""
    return first & 0xEC00 == 0xEC00 and second & 0x0E00 == 0x0A00


def _is_load_exclusive(first: int, second: int) -> bool:
    """LDREX (T1), LDREXB and LDREXH (A7.7.52 ff)."""
    return first & 0xFFF0 == 0xE850 or (first & 0xFFF0 == 0xE8D0 and second & 0x0FCF == 0x0F4F)


class CodeMarks:
    """The marks of one core, shared with its native hook."""

    def __init__(self, state: CoreState) -> None:
        self._state = state
        self._marks = mmap.mmap(-1, 2 * PAGES)
        self._words = memoryview(self._marks).cast("H")
        self._bits = (PageBits * _MARKED_PAGES)()
        self._seen: list[int] = []
        self._used = 0
        self.breakpoints: frozenset[int] = frozenset()  # the caller forgets the marks when it changes them
        anchor = ctypes.c_char.from_buffer(self._marks)
        state.pages = ctypes.addressof(anchor)
        state.page_bits = ctypes.addressof(self._bits)
        self.forget()

    def forget(self) -> None:
        """Look at every page again before it runs."""
        for page in self._seen:
            self._words[page] = 0
        self._seen.clear()
        self._used = 0
        self._state.page = 0xFFFF_FFFF
        self._state.calm = NO_PAGE
        self._state.bits = None

    def mark(
        self,
        page: int,
        code: bytes,
        *,
        stop_floating_point: bool,
        watch_faultmask: bool = False,
        live: int | None = None,
    ) -> None:
        """Mark a page whose bytes (and the halfword behind them) are given; ``live`` is where they can change."""
        self._state.fp_off = stop_floating_point
        self._state.guard.watch_faultmask = watch_faultmask
        first = page << PAGE_BITS
        breakpoints = [(each - first) >> 1 for each in self.breakpoints if first <= each < first + PAGE]
        if live is not None:
            self._words[page] = mark = self._new_bits(page, live)
            self._stop_before(mark, breakpoints)
            return
        halves = array("H", code[: len(code) & ~1])
        stops: list[int] = breakpoints
        exclusives: list[int] = []
        faultmasks: list[int] = []
        for index, half in enumerate(halves[: PAGE // 2]):
            if half < 0xBF00 or (0xBF40 < half < 0xE800):
                continue
            second = halves[index + 1] if index + 1 < len(halves) else 0
            if half in Hint.NARROW or (half == Hint.WIDE and second in Hint.WIDE_SECOND):
                stops.append(index)
            elif _is_load_exclusive(half, second):
                exclusives.append(index)
            elif stop_floating_point and is_floating_point(half, second):
                stops.append(index)
            elif watch_faultmask and half & _MSR[0] == _MSR[1] and second & 0xFF == _FAULTMASK:
                faultmasks.append(index)
        if watch_faultmask:
            faultmasks += [index for index, half in enumerate(halves[: PAGE // 2]) if half & _CPS_F[0] == _CPS_F[1]]
        if not stops and not exclusives and not faultmasks:
            self._seen.append(page)
            self._words[page] = _SEEN
            return
        mark = self._new_bits(page, None)
        bits = self._bits[mark - _FIRST_BITS]
        self._stop_before(mark, stops)
        for index in exclusives:
            bits.exclusive[index >> 3] |= 1 << (index & 7)
        for index in faultmasks:
            bits.faultmask[index >> 3] |= 1 << (index & 7)
        self._words[page] = mark

    def _stop_before(self, mark: int, halves: list[int]) -> None:
        bits = self._bits[mark - _FIRST_BITS]
        for index in halves:
            bits.stop[index >> 3] |= 1 << (index & 7)

    def _new_bits(self, page: int, live: int | None) -> int:
        """The mark of a page that has bits of its own, all clear."""
        if self._used == _MARKED_PAGES:
            self.forget()
        self._seen.append(page)
        bits = self._bits[self._used]
        ctypes.memset(ctypes.addressof(bits), 0, ctypes.sizeof(bits))
        bits.live = live
        self._used += 1
        return _FIRST_BITS + self._used - 1
