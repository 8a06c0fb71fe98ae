"""What DWARF says of code and data: the lines that they come from.

pyelftools reads it, and is imported when that is first asked for, because its import alone takes longer than all the
rest. Only the unit that an address belongs to is decoded. Broken debug information is no reason to refuse an image, and
pyelftools raises anything: there is none then.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.base.memory import Extent

if TYPE_CHECKING:
    from elftools.dwarf.compileunit import CompileUnit
    from elftools.dwarf.die import DIE
    from elftools.dwarf.dwarfinfo import DWARFInfo

__all__ = ["DebugInformation", "LineCode", "SourceLine"]

_ADDR = 0x03  # DW_OP_addr (DWARF 5, 7.7.1)
_DEEPEST = 64  # inlined calls inside each other
_MOST_INFORMATION = 4 << 20  # bytes of .debug_info in which variables are looked for: each is to be decoded


class SourceLine(NamedTuple):
    """A line of source: the file as the compiler was told it, the function, and the folder that the compiler ran in."""

    file: str
    line: int
    function: str = ""
    folder: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class LineCode(NamedTuple):
    """Code of one line, in one piece."""

    extent: Extent
    source: SourceLine  # without the function


class _Row(NamedTuple):
    """From an address on, a line; 0: of no line, as code that the compiler made has none."""

    address: int
    file: str
    line: int


class _Sequence(NamedTuple):
    """Rows of code without gaps (DWARF 5, 6.2.2)."""

    extent: Extent
    rows: list[_Row]

    def row_at(self, pc: int) -> _Row | None:
        """The row of an address; where that has no line, the last one before it that has."""
        index = bisect_right([each.address for each in self.rows], pc)
        return next((each for each in reversed(self.rows[:index]) if each.line), None)


class _Unit:
    """A compilation unit, decoded when first asked."""

    def __init__(self, dwarf: DWARFInfo, unit: CompileUnit) -> None:
        self._dwarf = dwarf
        self._unit = unit

    @cached_property
    def top(self) -> DIE:
        return self._unit.get_top_DIE()

    @property
    def size(self) -> int:
        return self._unit.size

    @cached_property
    def folder(self) -> str:
        return _text(self.top, "DW_AT_comp_dir")

    @cached_property
    def ranges(self) -> list[Extent]:
        return list(self.ranges_of(self.top))

    def ranges_of(self, die: DIE) -> Iterator[Extent]:
        """The code of an entry (DWARF 5, 2.17)."""
        low, high = die.attributes.get("DW_AT_low_pc"), die.attributes.get("DW_AT_high_pc")
        if low is not None and high is not None:
            yield Extent(low.value, high.value - low.value if high.form == "DW_FORM_addr" else high.value)
        ranges = die.attributes.get("DW_AT_ranges")
        lists = self._dwarf.range_lists() if ranges is not None else None
        if ranges is None or lists is None:
            return
        start = self.top.attributes.get("DW_AT_low_pc")
        base = 0 if start is None else start.value
        from elftools.dwarf.ranges import BaseAddressEntry  # noqa: PLC0415  # there by now

        for each in lists.get_range_list_at_offset(ranges.value, cu=self._unit):
            if isinstance(each, BaseAddressEntry):
                base = each.base_address
            elif each.end_offset > each.begin_offset:
                begin = each.begin_offset + (0 if each.is_absolute else base)
                yield Extent(begin, each.end_offset - each.begin_offset)

    @cached_property
    def _program(self) -> Any:
        return self._dwarf.line_program_for_CU(self._unit)

    @cached_property
    def files(self) -> dict[int, str]:
        return {} if self._program is None else _file_names(self._program)

    @cached_property
    def sequences(self) -> list[_Sequence]:
        return [] if self._program is None else list(_sequences(self._program, self.files))

    def functions_at(self, pc: int) -> list[DIE]:
        """The function that an address lies in, then what is inlined there, outermost first."""
        found: list[DIE] = []
        at: DIE | None = self.top
        while at is not None and len(found) < _DEEPEST:
            at = next((each for each in _scopes(at) if self._covers(each, pc)), None)
            if at is not None:
                found.append(at)
        return [each for each in found if each.tag in ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine")]

    def _covers(self, die: DIE, pc: int) -> bool:
        return any(pc in extent for extent in self.ranges_of(die))


class DebugInformation:
    """The debug information of a file, read when first asked for.

    ``is_code`` is false for what the linker dropped and left in the debug information at address 0 or -1.
    """

    def __init__(self, data: bytes, is_code: Callable[[int], bool]) -> None:
        self._data = data
        self._is_code = is_code

    @cached_property
    def _units(self) -> list[_Unit]:
        from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - slow to import, seldom needed

        try:
            dwarf = ELFFile(io.BytesIO(self._data)).get_dwarf_info(relocate_dwarf_sections=False)
            return [_Unit(dwarf, each) for each in dwarf.iter_CUs()] if dwarf.has_debug_info else []
        except Exception:  # as the module says, and so below
            return []

    @cached_property
    def _size(self) -> int:
        return sum(each.size for each in self._units)

    def source_lines(self, pc: int) -> tuple[SourceLine, ...]:
        """The line of the code at ``pc``; where that was inlined, the line of the call next, and so on outwards."""
        try:
            found = self._unit_at(pc)
            return () if found is None else tuple(_lines_of(*found, pc))
        except Exception:
            return ()

    def _unit_at(self, pc: int) -> tuple[_Unit, _Row] | None:
        """The unit of an address and its row; of what the linker dropped, it left code at 0, which real code may be."""
        at_zero = None
        for unit in self._units:
            if unit.ranges and not any(pc in extent for extent in unit.ranges):
                continue
            for sequence in unit.sequences:
                if pc not in sequence.extent or not self._is_code(sequence.extent.start):
                    continue
                row = sequence.row_at(pc)
                if row is not None and sequence.extent.start:
                    return unit, row
                at_zero = at_zero or (row and (unit, row))
        return at_zero

    def code_lines(self) -> Iterator[LineCode]:
        """All code that a line is known of, unit by unit; what the linker dropped is none."""
        try:
            units = self._units
        except Exception:
            return
        for unit in units:
            try:
                yield from [each for each in _code_of(unit) if self._is_code(each.extent.start)]
            except Exception:
                continue

    def variable_line(self, address: int) -> SourceLine | None:
        """Where the variable that begins at an address is defined; None in debug information of more than 4 MiB."""
        try:
            if self._size > _MOST_INFORMATION:
                return None
            for unit in self._units:
                for die in unit.top.iter_children():
                    if die.tag == "DW_TAG_variable" and _address_of(die) == address:
                        return _definition(unit, die)
        except Exception:
            return None
        return None


def _code_of(unit: _Unit) -> Iterator[LineCode]:
    for sequence in unit.sequences:
        if not sequence.extent.start:
            continue  # dropped by the linker: a vector table begins there, or other code
        ends = [*(row.address for row in sequence.rows[1:]), sequence.extent.end]
        for row, end in zip(sequence.rows, ends, strict=True):
            if row.line and end > row.address:
                extent = Extent(row.address, end - row.address)
                yield LineCode(extent, SourceLine(row.file, row.line, "", unit.folder))


def _scopes(die: DIE) -> Iterator[DIE]:
    """What can hold code, past namespaces and types that hold functions of their own."""
    for each in die.iter_children():
        if each.tag in ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine", "DW_TAG_lexical_block"):
            yield each


def _lines_of(unit: _Unit, row: _Row, pc: int) -> Iterator[SourceLine]:
    file, line = row.file, row.line
    for die in reversed(unit.functions_at(pc)):
        yield SourceLine(file, line, _name(die), unit.folder)
        if die.tag != "DW_TAG_inlined_subroutine":
            return
        call_file, call_line = (die.attributes.get(each) for each in ("DW_AT_call_file", "DW_AT_call_line"))
        if call_file is None or call_line is None:
            return
        file, line = unit.files.get(call_file.value, "?"), call_line.value
    yield SourceLine(file, line, "", unit.folder)


def _definition(unit: _Unit, die: DIE) -> SourceLine | None:
    origin = die
    for _ in range(_DEEPEST):
        file, line = (origin.attributes.get(each) for each in ("DW_AT_decl_file", "DW_AT_decl_line"))
        if file is not None and line is not None:
            return SourceLine(unit.files.get(file.value, "?"), line.value, _name(die), unit.folder)
        name = next((n for n in ("DW_AT_specification", "DW_AT_abstract_origin") if n in origin.attributes), None)
        if name is None:
            return None
        origin = origin.get_DIE_from_attribute(name)
    return None


def _address_of(die: DIE) -> int | None:
    place = die.attributes.get("DW_AT_location")
    if place is None or not isinstance(place.value, list) or len(place.value) != 5 or place.value[0] != _ADDR:
        return None
    return int.from_bytes(bytes(place.value[1:]), "little")


def _name(die: DIE) -> str:
    for _ in range(_DEEPEST):
        name = _text(die, "DW_AT_name")
        origin = next((n for n in ("DW_AT_abstract_origin", "DW_AT_specification") if n in die.attributes), None)
        if name or origin is None:
            return name
        die = die.get_DIE_from_attribute(origin)
    return ""


def _text(die: DIE, name: str) -> str:
    found = die.attributes.get(name)
    return found.value.decode("utf-8", "replace") if found is not None and isinstance(found.value, bytes) else ""


def _sequences(program: Any, files: dict[int, str]) -> Iterator[_Sequence]:
    rows: list[_Row] = []
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if not state.end_sequence:
            rows.append(_Row(state.address, files.get(state.file, "?"), state.line))
        else:
            if rows and rows[0].address < state.address and _rises(rows):
                yield _Sequence(Extent(rows[0].address, state.address - rows[0].address), rows)
            rows = []


def _rises(rows: list[_Row]) -> bool:
    return all(one.address <= other.address for one, other in pairwise(rows))


def _file_names(program: Any) -> dict[int, str]:
    """File numbers of a line program to paths: from 0 in DWARF 5, from 1 before; directory 0 is the compiler's own."""
    header = program.header
    first = 0 if header["version"] >= 5 else 1
    directories = [each.decode("utf-8", "replace") for each in header["include_directory"]]
    names = {}
    for number, each in enumerate(header["file_entry"], first):
        name, index = each.name.decode("utf-8", "replace"), each.dir_index
        inside = 0 < index < len(directories) + first
        names[number] = f"{directories[index - first]}/{name}" if inside else name
    return names
