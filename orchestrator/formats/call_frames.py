"""Call frame information: ``.debug_frame``, which says for each function how its frame is undone.

pyelftools knows it too, but its import alone takes longer than most runs, and it decodes all functions to find one.
Source: DWARF 5, sections 6.4 and 7.24; registers by the numbers of AADWARF32 4.1, which up to 15 are the core's own.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from orchestrator.formats.unwind import UnwindRule

__all__ = ["CallFrames"]

_LR = 14
_CIE_ID = 0xFFFF_FFFF  # where a frame description has the offset of its common information
_HEADER = struct.Struct("<4I")  # length, CIE_pointer, initial_location, address_range
_AUGMENTATIONS = (b"", b"armcc+")  # those that add no fields
_LEB128_BYTES = 5  # of 32 bits
_MOST_REMEMBERED = 64  # states at a time: compilers write one


class _BrokenError(Exception):
    """What stands there is no call frame information, or none that this knows."""


class _Function(NamedTuple):
    """A frame description entry: offsets in the section."""

    start: int
    size: int
    common: int  # its common information entry
    begin: int  # its instructions
    end: int


class _Common(NamedTuple):
    """A common information entry."""

    code_factor: int
    data_factor: int
    begin: int  # its instructions
    end: int


class CallFrames:
    """A ``.debug_frame`` section. ``is_code`` is false for what the linker dropped and left in it at address 0 or -1.

    What is broken counts as not there: an entry, or all behind one whose length says nonsense.
    """

    def __init__(self, section: bytes, is_code: Callable[[int], bool]) -> None:
        self._section = section
        self._is_code = is_code
        self._places = sorted(self._walk())

    def _walk(self) -> Iterator[tuple[int, int]]:
        """Where functions start, and the offsets of their entries."""
        section, unpack_from = self._section, _HEADER.unpack_from
        at, last = 0, len(section) - _HEADER.size
        while at <= last:
            length, common, start, _ = unpack_from(section, at)
            end = at + 4 + length
            if length < 4 or end > len(section):
                return  # the 64-bit format is one of these: it is for no 32-bit core
            if common != _CIE_ID and at + _HEADER.size <= end:
                yield start, at
            at = end

    def _function_at(self, pc: int) -> _Function | None:
        """The one of those that are code which starts last before ``pc``."""
        index = bisect_right(self._places, (pc, len(self._section))) - 1
        while index >= 0 and not self._is_code(self._places[index][0]):
            index -= 1
        if index < 0:
            return None
        at = self._places[index][1]
        length, common, start, size = _HEADER.unpack_from(self._section, at)
        return _Function(start, size, common, at + _HEADER.size, at + 4 + length)

    def rule_at(self, pc: int) -> UnwindRule | None:
        """How the frame of the code at ``pc`` is undone; None when nothing says so in terms of a register."""
        function = self._function_at(pc)
        if function is None or pc >= function.start + function.size:
            return None
        try:
            return self._rule_in(function, pc)
        except _BrokenError:
            return None

    def _rule_in(self, function: _Function, pc: int) -> UnwindRule | None:
        common = self._common_at(function.common)
        row = _Row(common)
        row.execute(_Reader(self._section, common.begin, common.end), 0, 0)
        row.initial = dict(row.rules)
        row.execute(_Reader(self._section, function.begin, function.end), function.start, pc)
        if row.cfa is None:
            return None
        saved = {register: offset for register, offset in row.rules.items() if offset is not None}
        return UnwindRule(*row.cfa, saved, ".debug_frame", _LR in row.rules and row.rules[_LR] is None)

    def _common_at(self, offset: int) -> _Common:
        rest = _Reader(self._section, offset, len(self._section))
        length, identity = rest.number(4), rest.number(4)
        end = offset + 4 + length
        if identity != _CIE_ID or end > len(self._section):
            raise _BrokenError
        version = rest.number(1)
        augmentation = rest.text()
        if version not in (1, 3, 4) or augmentation not in _AUGMENTATIONS:
            raise _BrokenError
        if version == 4 and (rest.number(1), rest.number(1)) != (4, 0):  # sizes of an address, of a segment selector
            raise _BrokenError
        code_factor, data_factor = rest.unsigned(), rest.signed()
        _ = rest.number(1) if version == 1 else rest.unsigned()  # the column of the return address, which is LR's
        return _Common(code_factor, data_factor, rest.at, end)


class _Reader:
    """Numbers one behind the other; :class:`_BrokenError` at the end."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data = data
        self.at = at
        self.end = end

    def number(self, size: int) -> int:
        if self.at + size > self.end:
            raise _BrokenError
        self.at += size
        return int.from_bytes(self._data[self.at - size : self.at], "little")

    def text(self) -> bytes:
        end = self._data.find(b"\0", self.at, self.end)
        if end < 0:
            raise _BrokenError
        start, self.at = self.at, end + 1
        return self._data[start:end]

    def skip_block(self) -> None:
        size = self.unsigned()
        if self.at + size > self.end:
            raise _BrokenError
        self.at += size

    def unsigned(self) -> int:
        """An unsigned LEB128 (DWARF 5, 7.6)."""
        return self._leb128()[0]

    def signed(self) -> int:
        """A signed one."""
        value, bits = self._leb128()
        return value - (1 << bits) if value >> (bits - 1) else value

    def _leb128(self) -> tuple[int, int]:
        value = 0
        for bits in range(0, 7 * _LEB128_BYTES, 7):
            byte = self.number(1)
            value |= (byte & 0x7F) << bits
            if byte < 0x80:
                return value, bits + 7
        raise _BrokenError


class _Row:
    """The row of the table that instructions describe: how the frame is undone at one location."""

    def __init__(self, common: _Common) -> None:
        self._common = common
        self.cfa: tuple[int, int] | None = None  # register and offset; None: not yet, or by an expression
        self.rules: dict[int, int | None] = {}  # register to where it is saved, from the CFA; None: it is undefined
        self.initial: dict[int, int | None] = {}  # what the common information says
        self._remembered: list[tuple[tuple[int, int] | None, dict[int, int | None]]] = []

    def execute(self, rest: _Reader, location: int, pc: int) -> None:
        """Execute what leads to the row for ``pc`` (DWARF 5, 6.4.2 and table 7.29)."""
        while rest.at < rest.end:
            opcode = rest.number(1)
            primary, operand = opcode & 0xC0, opcode & 0x3F
            if primary == 0x40:  # DW_CFA_advance_loc
                location += operand * self._common.code_factor
            elif primary == 0x80:  # DW_CFA_offset
                self.rules[operand] = rest.unsigned() * self._common.data_factor
            elif primary == 0xC0:  # DW_CFA_restore
                self._restore(operand)
            elif opcode == 0x01:  # DW_CFA_set_loc
                location = rest.number(4)
            elif opcode in (0x02, 0x03, 0x04):  # DW_CFA_advance_loc1, 2, 4
                location += rest.number(1 << (opcode - 2)) * self._common.code_factor
            else:
                self._execute(opcode, rest)
            if location > pc:
                return

    def _execute(self, opcode: int, rest: _Reader) -> None:
        factor = self._common.data_factor
        match opcode:
            case 0x00 | 0x2D:  # DW_CFA_nop, that of return addresses that are signed
                pass
            case 0x05:  # DW_CFA_offset_extended
                register = rest.unsigned()
                self.rules[register] = rest.unsigned() * factor
            case 0x11:  # DW_CFA_offset_extended_sf
                register = rest.unsigned()
                self.rules[register] = rest.signed() * factor
            case 0x06:  # DW_CFA_restore_extended
                self._restore(rest.unsigned())
            case 0x07:  # DW_CFA_undefined
                self.rules[rest.unsigned()] = None
            case 0x08:  # DW_CFA_same_value
                self.rules.pop(rest.unsigned(), None)
            case 0x09 | 0x14 | 0x15:  # DW_CFA_register, val_offset, val_offset_sf: not in memory
                self.rules.pop(rest.unsigned(), None)
                rest.unsigned()
            case 0x10 | 0x16:  # DW_CFA_expression, val_expression
                self.rules.pop(rest.unsigned(), None)
                rest.skip_block()
            case 0x0A if len(self._remembered) < _MOST_REMEMBERED:  # DW_CFA_remember_state
                self._remembered.append((self.cfa, dict(self.rules)))
            case 0x0B if self._remembered:  # DW_CFA_restore_state
                self.cfa, self.rules = self._remembered.pop()
            case 0x2E:  # DW_CFA_GNU_args_size
                rest.unsigned()
            case _:
                self._define_cfa(opcode, rest)

    def _define_cfa(self, opcode: int, rest: _Reader) -> None:
        factor = self._common.data_factor
        match opcode:
            case 0x0C:  # DW_CFA_def_cfa
                self.cfa = rest.unsigned(), rest.unsigned()
            case 0x12:  # DW_CFA_def_cfa_sf
                self.cfa = rest.unsigned(), rest.signed() * factor
            case 0x0F:  # DW_CFA_def_cfa_expression
                rest.skip_block()
                self.cfa = None
            case 0x0D if self.cfa is not None:  # DW_CFA_def_cfa_register
                self.cfa = rest.unsigned(), self.cfa[1]
            case 0x0E if self.cfa is not None:  # DW_CFA_def_cfa_offset
                self.cfa = self.cfa[0], rest.unsigned()
            case 0x13 if self.cfa is not None:  # DW_CFA_def_cfa_offset_sf
                self.cfa = self.cfa[0], rest.signed() * factor
            case _:
                raise _BrokenError

    def _restore(self, register: int) -> None:
        if register in self.initial:
            self.rules[register] = self.initial[register]
        else:
            self.rules.pop(register, None)
