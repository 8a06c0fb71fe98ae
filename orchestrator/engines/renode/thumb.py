"""What a load or store of Thumb code does, by its encoding (DDI0403E A5.2 and A5.3): whether it reads, how much.

Renode says of a bus fault where it was, and not what the core wanted there.
"""

from __future__ import annotations

from orchestrator.base.dataclass import dataclass

__all__ = ["DataAccess", "access_of", "is_second_half"]


@dataclass(frozen=True, slots=True)
class DataAccess:
    """One access of an instruction; one that moves several words does it word by word."""

    reads: bool
    size: int  # bytes
    register: int | None = None  # that it stores or loads, where it is one of R0 to R14

    @property
    def verb(self) -> str:
        """As a report says it."""
        return "reads" if self.reads else "writes"


_WORD = 4
# Load/store single data item with a register offset (A5.2.4), by the opcode's bits: whether it reads, and size.
_REGISTER_OFFSET = (
    *((False, 4), (False, 2), (False, 1), (True, 1)),
    *((True, 4), (True, 2), (True, 1), (True, 2)),
)
_IMMEDIATE_SIZES = {0b0110: 4, 0b0111: 1, 0b1000: 2, 0b1001: 4}
_EXCLUSIVE_SIZES = {0b0100: 1, 0b0101: 2}


def access_of(code: bytes) -> DataAccess | None:
    """Of the instruction that these four bytes begin with; None where it is no load or store."""
    if len(code) < 4:
        return None
    first, second = int.from_bytes(code[:2], "little"), int.from_bytes(code[2:4], "little")
    return _wide(first, second) if first >> 11 in (0b11101, 0b11110, 0b11111) else _narrow(first)


def is_second_half(code: bytes) -> bool:
    """Whether an access in these six bytes is of an instruction of several words that begins with them, and not of one
    that begins two bytes later, where tlib says that such a one is.
    """
    first = int.from_bytes(code[:2], "little")
    return first >> 9 == 0b1110100 and access_of(code[:4]) is not None and access_of(code[2:6]) is None


def _narrow(code: int) -> DataAccess | None:
    low, middle, top = code & 7, code >> 8 & 7, code >> 12
    if top == 0b0101:
        return DataAccess(*_REGISTER_OFFSET[code >> 9 & 7], low)
    if code >> 11 == 0b01001:  # from the literal pool
        return DataAccess(True, _WORD, middle)
    if top in _IMMEDIATE_SIZES:
        return DataAccess(bool(code >> 11 & 1), _IMMEDIATE_SIZES[top], middle if top == 0b1001 else low)
    if top == 0b1100:  # LDM, STM
        return DataAccess(bool(code >> 11 & 1), _WORD)
    if code >> 9 in (0b1011010, 0b1011110):  # PUSH, POP
        return DataAccess(code >> 9 == 0b1011110, _WORD)
    return None


def _wide(first: int, second: int) -> DataAccess | None:
    reads, register = bool(first >> 4 & 1), second >> 12
    if first >> 9 == 0b1111100:  # single data item (A5.3.7 to A5.3.10)
        size = first >> 5 & 3
        return None if size == 3 else DataAccess(reads, 1 << size, register)
    if first >> 9 == 0b1110100:
        return _several(first, second, register, reads=reads)
    if first >> 9 == 0b1110110 and second >> 9 & 7 == 0b101:  # VLDR, VSTR, VLDM, VSTM (A6.6)
        return DataAccess(reads, 8 if second >> 8 & 1 else _WORD)
    return None


def _several(first: int, second: int, register: int, *, reads: bool) -> DataAccess | None:
    """Multiple, dual and exclusive (A5.3.5, A5.3.6)."""
    if first & 0xFFE0 == 0xE8C0:  # LDREXB, LDREXH and their stores; TBB, TBH
        if reads and second >> 5 & 7 == 0:
            return DataAccess(True, 1 + (second >> 4 & 1))
        size = _EXCLUSIVE_SIZES.get(second >> 4 & 0xF)
        return None if size is None else DataAccess(reads, size, register)
    exclusive = first & 0xFFE0 == 0xE840
    return DataAccess(reads, _WORD, register if exclusive else None)
