"""Symbols of ``.symtab``, and the names of addresses.

Sources: System V ABI, "Symbol Table"; ELF for the Arm Architecture (AAELF32).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.formats.elf.sections import (
    ADDRESS_SPACE,
    SHF_ALLOC,
    SHF_EXECINSTR,
    Section,
    SectionHeader,
    Strings,
    content_of,
)

__all__ = ["AddressNames", "Symbol", "SymbolType", "read_symbols"]

_SHT_SYMTAB = 2
_SHN_UNDEF = 0


class SymbolType:
    """``STT_*`` as far as they matter here."""

    NOTYPE = 0
    OBJECT = 1
    FUNC = 2


class Symbol(NamedTuple):
    """A symbol of ``.symtab``; the address of a function is without its Thumb bit."""

    name: str
    address: int  # run-time
    size: int
    type: int  # SymbolType
    is_local: bool
    is_weak: bool
    section: int  # index; from 0xff00 on reserved: absolute, common


class _Range(NamedTuple):
    """What the addresses of a symbol are called."""

    start: int
    end: int
    name: str
    is_code: bool


class AddressNames:
    """What the functions and objects of an image are called, by run-time address."""

    def __init__(self, symbols: tuple[Symbol, ...], sections: tuple[Section, ...]) -> None:
        self._ranges = _symbol_ranges(symbols, sections)
        self._starts = [each.start for each in self._ranges]

    def at(self, address: int) -> str | None:
        """``name+0x12`` of the function or object that an address lies in; a Thumb bit is ignored in code."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._ranges[index].end:
            return None
        start, _, name, is_code = self._ranges[index]
        offset = (address & ~1 if is_code else address) - start
        return f"{name}+{offset:#x}" if offset else name


def read_symbols(name: str, data: bytes, headers: tuple[SectionHeader, ...]) -> Iterator[Symbol]:
    """The defined symbols of ``.symtab``, without the mapping symbols of the Arm ABI (AAELF32 5.5.5).

    A file has one (System V ABI, "Sections"); of more the first is read.
    """
    tables = (each for each in headers if each.sh_type == _SHT_SYMTAB and each.sh_link < len(headers))
    table = next(tables, None)
    if table is None:
        return
    strings = Strings(f"{name}: symbol names", content_of(name, data, headers[table.sh_link], "symbol names"))
    rows = content_of(name, data, table, "symbol table")
    name_at = strings.at
    for st_name, value, size, info, _, section in struct.iter_unpack("<3I2BH", rows[: len(rows) // 16 * 16]):
        if section == _SHN_UNDEF or st_name == 0:
            continue
        title = name_at(st_name)
        if title[:1] == "$":
            continue
        type_, binding = info & 0xF, info >> 4
        address = value & ~1 if type_ == SymbolType.FUNC else value
        yield Symbol(title, address, size, type_, binding == 0, binding == 2, section)


def _symbol_ranges(symbols: tuple[Symbol, ...], sections: tuple[Section, ...]) -> list[_Range]:
    """Names of addresses, by start: sized symbols, and labels of code that the one before does not cover.

    A label goes up to the next name, or to the end of its section.
    """
    allocated = {i: each for i, each in enumerate(sections, 1) if each.flags & SHF_ALLOC}
    best: dict[int, Symbol] = {}
    for symbol in symbols:
        if symbol.section not in allocated or symbol.type not in (
            SymbolType.NOTYPE,
            SymbolType.OBJECT,
            SymbolType.FUNC,
        ):
            continue
        known = best.get(symbol.address)
        if known is None or _preference(symbol) > _preference(known):
            best[symbol.address] = symbol
    ordered = [best[address] for address in sorted(best)]
    ranges: list[_Range] = []
    for index, symbol in enumerate(ordered):
        section = allocated[symbol.section]
        is_code = bool(section.flags & SHF_EXECINSTR) and symbol.type != SymbolType.OBJECT
        covered = bool(ranges) and symbol.address < ranges[-1].end
        end = symbol.address + symbol.size
        if symbol.size == 0:
            if covered or not is_code:
                continue
            following = ordered[index + 1].address if index + 1 < len(ordered) else ADDRESS_SPACE
            end = min(following, section.address + section.size)
        if end > symbol.address:
            ranges.append(_Range(symbol.address, end, symbol.name, is_code))
    return ranges


def _preference(symbol: Symbol) -> tuple[bool, bool, bool, bool]:
    """Which of several names of one address to say."""
    return symbol.size > 0, symbol.type == SymbolType.FUNC, not symbol.is_local, not symbol.is_weak
