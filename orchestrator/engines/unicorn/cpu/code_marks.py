"""What the engine must know of the instructions on a page before they run.

A page is marked when a core first reaches it. Data that looks like an instruction is marked too and does no harm: the
hook asks only at addresses where an instruction begins. On a page that stores may change the hook looks at the bytes
as they are when they run.
"""

from __future__ import annotations

import ctypes

from orchestrator.engines.unicorn.memory.host_memory import private_memory
from orchestrator.engines.unicorn.native.abi import (
    FIRST_BITS,
    NO_PAGE,
    PAGE_BITS,
    PAGES,
    SEEN,
    CoreState,
    PageBits,
    hooks,
)

__all__ = ["CodeMarks", "Hint", "hint_at", "is_floating_point"]

PAGE = 1 << PAGE_BITS
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
    """Coprocessors 10 and 11 (A5.3.18): 111x 11xx, bits [11:9] 101; 111x 1111 is undefined."""
    return first & 0xEC00 == 0xEC00 and first & 0x0300 != 0x0300 and second & 0x0E00 == 0x0A00


class CodeMarks:
    """The marks of one core, shared with its native hook."""

    def __init__(self, state: CoreState) -> None:
        self._state = state
        self._marks = private_memory(2 * PAGES)
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
        self._state.clean_page = self._state.marked_page = NO_PAGE
        self._state.bits = None
        self._state.drop_blocks = 1

    def mark(self, page: int, code: int, behind: int = 0, *, live: bool = False) -> None:
        """Mark a page: ``code`` is where its bytes lie, ``behind`` the halfword after it; stores change a ``live`` one.

        What is looked at depends on ``traps`` and ``guard.watch_faultmask`` of the core: whoever changes them forgets.
        """
        mark = self._new_bits(page)
        bits = self._bits[mark - FIRST_BITS]
        bits.code, bits.behind, bits.live = code, behind, live
        first = page << PAGE_BITS
        for each in self.breakpoints:
            if first <= each < first + PAGE:
                index = (each - first) >> 1
                bits.stop[index >> 3] |= 1 << (index & 7)
        if not hooks.core_mark(ctypes.byref(self._state), ctypes.byref(bits)) and not live:
            self._used -= 1
            mark = SEEN
        self._words[page] = mark

    def _new_bits(self, page: int) -> int:
        """The mark of a page that has bits of its own, all clear."""
        if self._used == _MARKED_PAGES:
            self.forget()
        self._seen.append(page)
        bits = self._bits[self._used]
        ctypes.memset(ctypes.addressof(bits), 0, ctypes.sizeof(bits))
        self._used += 1
        return FIRST_BITS + self._used - 1
