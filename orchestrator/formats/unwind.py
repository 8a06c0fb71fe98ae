"""How one stack frame is undone, and the Arm exception index table that says so where there is no DWARF.

Source: Exception Handling ABI for the Arm Architecture (EHABI32), sections 5 to 7 and 10.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from orchestrator.base.dataclass import dataclass

__all__ = ["UnwindRule", "find_exidx_entry", "unwind_entry"]

Word = Callable[[int], int | None]
"""The 32-bit word at a run-time address of the image; None where it has none."""

_SP, _LR, _PC = 13, 14, 15
_CANTUNWIND = 1
_MAX_WORDS = 255  # of unwinding instructions, as one byte counts them


@dataclass(frozen=True, slots=True)
class UnwindRule:
    """One frame: CFA = register + offset, the caller's SP; registers are saved at offsets from the CFA."""

    cfa_register: int
    cfa_offset: int  # bytes
    saved: Mapping[int, int]  # register to offset from the CFA, bytes
    source: str  # ".debug_frame" or ".ARM.exidx"
    is_outermost: bool = False  # the return address is marked undefined: no caller

    @property
    def return_address_offset(self) -> int | None:
        """Where the return address is saved, from the CFA; None: it is still in LR."""
        return self.saved.get(_PC, self.saved.get(_LR))


def _prel31(word: int, address: int) -> int:
    """A 31-bit offset relative to the place where it stands (EHABI32 5)."""
    offset = word & 0x7FFFFFFF
    return (address + offset - ((offset & 0x40000000) << 1)) & 0xFFFFFFFF


def find_exidx_entry(pc: int, start: int, entries: int, word: Word) -> int | None:
    """Address of the index entry that covers a PC: the last one that starts at or before it (EHABI32 5)."""
    low, high = 0, entries
    while low < high:
        middle = (low + high) // 2
        at = start + 8 * middle
        first = word(at)
        if first is None:
            return None
        if _prel31(first, at) <= pc:
            low = middle + 1
        else:
            high = middle
    return start + 8 * (low - 1) if low else None


def unwind_entry(entry: int, word: Word) -> UnwindRule | None:
    """The frame that an index entry describes; None when it cannot be unwound or is none that this knows."""
    content = word(entry + 4)
    if content is None or content == _CANTUNWIND:
        return None
    if content >> 31:
        code = _compact(content, entry + 4, word)
    else:
        table = _prel31(content, entry + 4)
        first = word(table)
        if first is None:
            return None
        code = _compact(first, table, word) if first >> 31 else _after_personality(table + 4, word)
    return None if code is None else _Frame().run(code)


def _compact(first: int, address: int, word: Word) -> bytes | None:
    """Instructions of the compact model: personality routines 0, 1 and 2 (EHABI32 7.2, 10.2)."""
    routine = first >> 24 & 0xF
    if routine == 0:
        return first.to_bytes(4, "big")[1:]
    if routine > 2:
        return None
    return _more(first.to_bytes(4, "big")[2:], first >> 16 & 0xFF, address + 4, word)


def _after_personality(address: int, word: Word) -> bytes | None:
    """Instructions behind the address of a C++ personality routine, laid out as for routine 0 with a word count."""
    first = word(address)
    if first is None:
        return None
    return _more(first.to_bytes(4, "big")[1:], first >> 24, address + 4, word)


def _more(code: bytes, words: int, address: int, word: Word) -> bytes | None:
    for i in range(min(words, _MAX_WORDS)):
        following = word(address + 4 * i)
        if following is None:
            return None
        code += following.to_bytes(4, "big")
    return code


class _Frame:
    """The virtual stack pointer while unwinding instructions are executed: a register plus an offset."""

    def __init__(self) -> None:
        self.register = _SP
        self.offset = 0
        self.saved: dict[int, int] = {}  # register to offset from ``register``

    def run(self, code: bytes) -> UnwindRule | None:
        """Execute until finish or the end (EHABI32 10.3, table 4); None at an instruction that is refused."""
        rest = iter(code)
        for byte in rest:
            if byte == 0xB0:
                break
            if not self._execute(byte, rest):
                return None
        saved = {register: offset - self.offset for register, offset in self.saved.items()}
        return UnwindRule(self.register, self.offset, saved, ".ARM.exidx")

    def _execute(self, byte: int, rest: Iterator[int]) -> bool:
        if byte < 0x80:  # 00xxxxxx, 01xxxxxx
            step = ((byte & 0x3F) << 2) + 4
            self.offset += -step if byte & 0x40 else step
        elif byte < 0x90:  # 1000iiii iiiiiiii: pop r4 to r15
            mask = (byte & 0xF) << 8 | next(rest, 0)
            return mask != 0 and self._pop(mask << 4)
        elif byte < 0xA0:  # 1001nnnn: from a register; it comes first or not at all
            register = byte & 0xF
            if register in (_SP, _PC) or self.saved or self.offset:
                return False
            self.register = register
        elif byte < 0xB0:  # 1010lnnn: pop r4 to r[4+n], and LR
            registers = ((2 << (byte & 7)) - 1) << 4
            return self._pop(registers | (1 << _LR if byte & 8 else 0))
        elif byte == 0xB1:  # pop r0 to r3
            mask = next(rest, 0)
            return 0 < mask < 16 and self._pop(mask)
        elif byte == 0xB2:
            self.offset += 0x204 + (_uleb128(rest) << 2)
        elif byte == 0xB3:  # FSTMFDX, with its extra word
            self.offset += 8 * ((next(rest, 0) & 0xF) + 1) + 4
        elif byte == 0xB4:  # return address authentication code
            self.offset += 4
        elif 0xB8 <= byte <= 0xBF:
            self.offset += 8 * ((byte & 7) + 1) + 4
        elif byte in (0xC8, 0xC9):  # VPUSH
            self.offset += 8 * ((next(rest, 0) & 0xF) + 1)
        elif 0xD0 <= byte <= 0xD7:
            self.offset += 8 * ((byte & 7) + 1)
        else:
            return False
        return True

    def _pop(self, mask: int) -> bool:
        for register in range(16):
            if mask >> register & 1:
                if register == _SP:
                    return False
                self.saved[register] = self.offset
                self.offset += 4
        return True


def _uleb128(rest: Iterator[int]) -> int:
    value = 0
    for shift in range(0, 35, 7):
        byte = next(rest, 0)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return value
