"""What DWARF says of code: the lines that it comes from.

pyelftools reads it, and is imported when that is first asked for, because its import alone takes longer than all the
rest. Broken debug information is no reason to refuse an image, and pyelftools raises anything: there is none then.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from elftools.dwarf.dwarfinfo import DWARFInfo

__all__ = ["DebugInformation", "SourceLine"]


class SourceLine(NamedTuple):
    """A line of source; the file as the compiler was told it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class _Line(NamedTuple):
    start: int
    end: int
    source: SourceLine


class DebugInformation:
    """The debug information of a file, read when first asked for.

    ``is_code`` is false for what the linker dropped and left in the debug information at address 0 or -1.
    """

    def __init__(self, data: bytes, is_code: Callable[[int], bool]) -> None:
        self._data = data
        self._is_code = is_code

    @cached_property
    def _dwarf(self) -> DWARFInfo | None:
        from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - slow to import, seldom needed

        try:
            return ELFFile(io.BytesIO(self._data)).get_dwarf_info(relocate_dwarf_sections=False)
        except Exception:  # as the module says, and so below
            return None

    @cached_property
    def _lines(self) -> tuple[list[int], list[_Line]]:
        lines: list[_Line] = []
        try:
            if self._dwarf is not None and self._dwarf.has_debug_info:
                lines = sorted(each for each in _source_lines(self._dwarf) if self._is_code(each.start))
        except Exception:
            lines = []
        return [each.start for each in lines], lines

    def source_line(self, pc: int) -> SourceLine | None:
        """File and line of the code at ``pc``, from ``.debug_line``. The first call reads all of it."""
        starts, lines = self._lines
        index = bisect_right(starts, pc) - 1
        return lines[index].source if index >= 0 and pc < lines[index].end else None


def _source_lines(dwarf: DWARFInfo) -> Iterator[_Line]:
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        files = _file_names(program)
        states = [entry.state for entry in program.get_entries() if entry.state is not None]
        for state, following in pairwise(states):
            if not state.end_sequence and state.address < following.address:
                yield _Line(state.address, following.address, SourceLine(files.get(state.file, "?"), state.line))


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
