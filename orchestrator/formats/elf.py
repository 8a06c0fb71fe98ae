"""ELF images of 32-bit Arm cores: what is loaded where, symbols, the vector table, and what a backtrace needs.

The headers and the symbol table are read here, each length checked against the file before it is used; pyelftools
reads DWARF, and is imported when that is first asked for, because its import alone takes longer than all the rest.
Sources: System V ABI, "Object Files"; ELF for the Arm Architecture (AAELF32).
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntFlag
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.base.errors import ElfError, TableError
from orchestrator.base.memory import Extent, Place
from orchestrator.formats.layout import Structure, layout
from orchestrator.formats.unwind import UnwindRule, find_exidx_entry, unwind_entry

if TYPE_CHECKING:
    from elftools.dwarf.callframe import FDE
    from elftools.dwarf.dwarfinfo import DWARFInfo

__all__ = [
    "SHF_ALLOC",
    "SHF_EXECINSTR",
    "Image",
    "Section",
    "Segment",
    "SegmentFlag",
    "SourceLine",
    "Symbol",
    "SymbolType",
    "TableSection",
    "load_elf",
    "parse_elf",
]

_EM_ARM = 40
_PT_LOAD = 1
_SHT_SYMTAB, _SHT_NOBITS = 2, 8
SHF_ALLOC, SHF_EXECINSTR = 2, 4
_SHN_UNDEF = 0
_ADDRESS_SPACE = 1 << 32
_LR = 14  # its number in DWARF too (AADWARF32 4.1)
_MAX_NAME = 4096  # bytes of a symbol's or section's name
# What start-up files call a Cortex-M vector table: CMSIS, NuttX, Zephyr, libopencm3.
_VECTOR_SECTIONS = (".isr_vector", ".vectors", ".vector_table", ".intvecs", "__vectors", "_vectors", ".interrupts")
_VECTOR_SYMBOLS = (
    "g_pfnVectors",
    "__isr_vector",
    "__Vectors",
    "__vectors",
    "_vectors",
    "_vector_table",
    "vector_table",
    "vectors",
)


@layout("<16s2H5I6H")
class _Header(Structure):
    e_ident: bytes
    e_type: int
    e_machine: int
    e_version: int
    e_entry: int
    e_phoff: int
    e_shoff: int
    e_flags: int
    e_ehsize: int
    e_phentsize: int
    e_phnum: int
    e_shentsize: int
    e_shnum: int
    e_shstrndx: int


@layout("<8I")
class _ProgramHeader(Structure):
    p_type: int
    p_offset: int
    p_vaddr: int
    p_paddr: int
    p_filesz: int
    p_memsz: int
    p_flags: int
    p_align: int


@layout("<10I")
class _SectionHeader(Structure):
    sh_name: int
    sh_type: int
    sh_flags: int
    sh_addr: int
    sh_offset: int
    sh_size: int
    sh_link: int
    sh_info: int
    sh_addralign: int
    sh_entsize: int


class SegmentFlag(IntFlag):
    """``p_flags``."""

    EXECUTE = 1
    WRITE = 2
    READ = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """One PT_LOAD: ``data`` goes to ``load_address``; the program then has ``memory_size`` bytes at ``run_address``."""

    index: int  # in the program header table
    offset: int  # of its bytes in the file
    load_address: int  # p_paddr
    run_address: int  # p_vaddr
    data: bytes = field(repr=False)
    memory_size: int
    flags: SegmentFlag

    @property
    def load_extent(self) -> Extent:
        """Where its bytes are loaded."""
        return Extent(self.load_address, len(self.data))

    @property
    def run_extent(self) -> Extent:
        """Where the program has it, zero-filled tail included."""
        return Extent(self.run_address, self.memory_size)


@dataclass(frozen=True, slots=True)
class Section:
    """A section; ``load_address`` is None when its bytes are in no PT_LOAD."""

    name: str
    address: int  # run-time
    size: int
    offset: int  # of its bytes in the file
    has_bytes: bool  # False: SHT_NOBITS
    flags: int
    load_address: int | None


class SymbolType:
    """``STT_*`` as far as they matter here."""

    NOTYPE = 0
    OBJECT = 1
    FUNC = 2


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol of ``.symtab``; the address of a function is without its Thumb bit."""

    name: str
    address: int  # run-time
    size: int
    type: int  # SymbolType
    is_local: bool
    is_weak: bool
    section: int  # index; from 0xff00 on reserved: absolute, common


@dataclass(frozen=True, slots=True)
class TableSection:
    """``.resource_table``: its bytes, where they are loaded and where the program expects them."""

    name: str
    load_address: int
    run_address: int
    data: bytes = field(repr=False)


class SourceLine(NamedTuple):
    """A line of source; the file as the compiler was told it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class _Range(NamedTuple):
    """What the addresses of a symbol are called."""

    start: int
    end: int
    name: str
    is_code: bool


class _Line(NamedTuple):
    start: int
    end: int
    source: SourceLine


class _Frames(NamedTuple):
    """The entries of ``.debug_frame``, sorted by the address of their function."""

    starts: list[int]
    entries: list[FDE]


@dataclass(frozen=True)
class Image:
    """An ELF file as a core sees it. Symbols and DWARF are read when first asked for."""

    path: Path
    name: str  # for messages
    entry: int  # with its Thumb bit
    segments: tuple[Segment, ...]  # those that carry bytes, in the order of the file
    zero_segments: tuple[Segment, ...]  # those without, which the start-up code clears; never loaded
    sections: tuple[Section, ...]
    _data: bytes = field(repr=False)
    _headers: tuple[_SectionHeader, ...] = field(repr=False)

    @property
    def data(self) -> bytes:
        """The whole file."""
        return self._data

    @cached_property
    def every_symbol(self) -> tuple[Symbol, ...]:
        """Those of ``.symtab`` that are defined, in its order."""
        return tuple(_symbols(self.name, self._data, self._headers))

    @cached_property
    def symbols(self) -> Mapping[str, Symbol]:
        """Symbols by name; where a name is used twice, a global one before a weak one before a local one."""
        return {s.name: s for s in sorted(self.every_symbol, key=lambda s: (s.is_local, s.is_weak), reverse=True)}

    @cached_property
    def _ranges(self) -> tuple[list[int], list[_Range]]:
        ranges = _symbol_ranges(self.every_symbol, self.sections)
        return [each.start for each in ranges], ranges

    def symbol_at(self, address: int) -> str | None:
        """``name+0x12`` of the function or object that a run-time address lies in; a Thumb bit is ignored in code."""
        starts, ranges = self._ranges
        index = bisect_right(starts, address) - 1
        if index < 0 or address >= ranges[index].end:
            return None
        start, _, name, is_code = ranges[index]
        offset = (address & ~1 if is_code else address) - start
        return f"{name}+{offset:#x}" if offset else name

    def read_load(self, address: int, size: int) -> bytes:
        """Bytes as loaded, by p_paddr; :class:`ElfError` ``elf.no-such-bytes`` where nothing is loaded."""
        return self._read(address, size, [(each.load_address, each.data, 0) for each in self.segments])

    def read_run(self, address: int, size: int) -> bytes:
        """Bytes as the program expects them, by p_vaddr, its cleared data as zeros; errors likewise."""
        every = (*self.segments, *self.zero_segments)
        return self._read(address, size, [(s.run_address, s.data, s.memory_size - len(s.data)) for s in every])

    def _read(self, address: int, size: int, spans: list[tuple[int, bytes, int]]) -> bytes:
        """Gather from spans of (start, bytes, zeros after them), bytes before zeros where both claim an address."""
        out = b""
        while len(out) < size:
            at, wanted = address + len(out), size - len(out)
            piece = next((d[at - a : at - a + wanted] for a, d, _ in spans if a <= at < a + len(d)), b"")
            if not piece:
                zeros = next((a + len(d) + z - at for a, d, z in spans if a + len(d) <= at < a + len(d) + z), 0)
                piece = bytes(min(zeros, wanted))
            if not piece:
                raise ElfError(
                    "the image has nothing there",
                    rule="elf.no-such-bytes",
                    where=f"{self.name} at {at:#010x}",
                    expected=f"{size} bytes from {address:#010x}",
                )
            out += piece
        return out

    def load_address_of(self, address: int) -> int | None:
        """Where the byte that the program has at a run-time address is loaded."""
        for each in self.segments:
            if each.run_address <= address < each.run_address + len(each.data):
                return each.load_address + address - each.run_address
        return None

    @cached_property
    def vector_table(self) -> int:
        """Load address of the vector table: by section, by symbol, else the lowest executable segment.

        The names are those of ``_VECTOR_SECTIONS`` and ``_VECTOR_SYMBOLS``; a start-up file with others, and code in
        front of its vectors, needs to be told.
        """
        for section in self.sections:
            if section.name in _VECTOR_SECTIONS and section.load_address is not None and section.size:
                return section.load_address
        for name in _VECTOR_SYMBOLS:
            symbol = self.symbols.get(name)
            load_address = self.load_address_of(symbol.address) if symbol else None
            if load_address is not None:
                return load_address
        executable = [each for each in self.segments if each.flags & SegmentFlag.EXECUTE]
        return min(each.load_address for each in executable or self.segments)

    def initial_sp(self, vector_table: int | None = None) -> int:
        """The stack pointer that the core takes at reset, from the vector table at a load address."""
        return self._word(self.vector_table if vector_table is None else vector_table)

    def reset_vector(self, vector_table: int | None = None) -> int:
        """The address at which the core starts, its Thumb bit included."""
        return self._word((self.vector_table if vector_table is None else vector_table) + 4)

    def _word(self, address: int) -> int:
        return int.from_bytes(self.read_load(address, 4), "little")

    def resource_table(self) -> TableSection | None:
        """The first section named ``.resource_table``, wherever it stands; None when there is none.

        :class:`TableError` ``table.not-loaded`` when its bytes are in no PT_LOAD.
        """
        section = next((each for each in self.sections if each.name == ".resource_table"), None)
        if section is None:
            return None
        if section.load_address is None:
            raise TableError(
                "no loader brings it to the core",
                rule="table.not-loaded",
                where=Place(f"{self.name}: {section.name}", section.address),
                expected="inside a PT_LOAD segment",
                found="bytes outside of every one" if section.has_bytes else "no bytes in the file (NOBITS)",
                advice="keep it in a loaded output section of the linker script",
            )
        data = self._data[section.offset : section.offset + section.size]
        return TableSection(section.name, section.load_address, section.address, data)

    @cached_property
    def _dwarf(self) -> DWARFInfo | None:
        if not any(each.name in (".debug_frame", ".debug_line") for each in self.sections):
            return None
        from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - slow to import, seldom needed

        try:
            return ELFFile(io.BytesIO(self._data)).get_dwarf_info(relocate_dwarf_sections=False)
        except Exception:  # broken debug information is no reason to refuse an image; pyelftools raises anything
            return None

    def _is_code(self, address: int) -> bool:
        """False for what the linker dropped and left in the debug information at address 0 or -1."""
        return any(each.flags & SegmentFlag.EXECUTE and address in each.run_extent for each in self.segments)

    @cached_property
    def _frames(self) -> _Frames:
        from elftools.dwarf.callframe import FDE  # noqa: PLC0415 - slow to import, seldom needed

        found: list[FDE] = []
        try:
            if self._dwarf is not None and self._dwarf.has_CFI():
                found = [each for each in self._dwarf.CFI_entries() if isinstance(each, FDE)]
                found = sorted(
                    (each for each in found if self._is_code(each["initial_location"])),
                    key=lambda each: int(each["initial_location"]),
                )
        except Exception:  # as for _dwarf
            found = []
        return _Frames([each["initial_location"] for each in found], found)

    def unwind_rule(self, pc: int) -> UnwindRule | None:
        """How the frame of the code at ``pc`` is undone: by ``.debug_frame``, else ``.ARM.exidx``, else None."""
        pc &= ~1
        if any(each.name == ".debug_frame" for each in self.sections):
            rule = self._rule_of_debug_frame(pc)
            if rule is not None:
                return rule
        return self._rule_of_exidx(pc)

    def _rule_of_debug_frame(self, pc: int) -> UnwindRule | None:
        index = bisect_right(self._frames.starts, pc) - 1
        if index < 0:
            return None
        try:
            return _cfi_rule(self._frames.entries[index], pc)
        except Exception:  # as for _dwarf
            return None

    def _rule_of_exidx(self, pc: int) -> UnwindRule | None:
        section = next((each for each in self.sections if each.name == ".ARM.exidx" and each.has_bytes), None)
        if section is None or not self._is_code(pc):
            return None

        def word(address: int) -> int | None:
            try:
                return int.from_bytes(self.read_run(address, 4), "little")
            except ElfError:
                return None

        entry = find_exidx_entry(pc, section.address, section.size // 8, word)
        return None if entry is None else unwind_entry(entry, word)

    @cached_property
    def _lines(self) -> tuple[list[int], list[_Line]]:
        lines: list[_Line] = []
        try:
            if self._dwarf is not None and self._dwarf.has_debug_info:
                lines = sorted(each for each in _source_lines(self._dwarf) if self._is_code(each.start))
        except Exception:  # as for _dwarf
            lines = []
        return [each.start for each in lines], lines

    def source_line(self, pc: int) -> SourceLine | None:
        """File and line of the code at ``pc``, from ``.debug_line``. The first call reads all of it."""
        pc &= ~1
        starts, lines = self._lines
        index = bisect_right(starts, pc) - 1
        return lines[index].source if index >= 0 and pc < lines[index].end else None


def _cfi_rule(entry: FDE, pc: int) -> UnwindRule | None:
    if pc >= entry["initial_location"] + entry["address_range"]:
        return None
    rows = [row for row in entry.get_decoded().table if row["pc"] <= pc]
    if not rows or rows[-1]["cfa"].expr is not None:
        return None
    row: dict[Any, Any] = rows[-1]
    registers = {register: rule for register, rule in row.items() if isinstance(register, int)}
    saved = {register: rule.arg for register, rule in registers.items() if rule.type == "OFFSET"}
    returns = registers.get(_LR)
    outermost = returns is not None and returns.type == "UNDEFINED"
    return UnwindRule(row["cfa"].reg, row["cfa"].offset, saved, ".debug_frame", outermost)


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


def load_elf(path: str | Path, *, name: str | None = None) -> Image:
    """The image in a file; ``name`` stands for it in messages, by default the file's name.

    :class:`ElfError`: ``elf.unreadable`` and what :func:`parse_elf` raises.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ElfError("cannot be read", rule="elf.unreadable", where=str(path), found=error.strerror) from error
    return parse_elf(data, path=path, name=name or path.name)


def parse_elf(data: bytes, *, path: Path, name: str) -> Image:
    """The image in the bytes of a file.

    :class:`ElfError`: ``elf.not-an-elf``, ``elf.truncated``, ``elf.not-32-bit``, ``elf.big-endian``,
    ``elf.wrong-machine``, ``elf.malformed``, ``elf.no-segments``, ``elf.segment-outside-memory``,
    ``elf.segments-overlap``.
    """
    header = _header(name, data)
    segments = _segments(name, data, header)
    headers = _section_headers(name, data, header)
    loaded = tuple(each for each in segments if each.data)
    if not loaded:
        raise ElfError(
            "nothing to load",
            rule="elf.no-segments",
            where=name,
            expected="a PT_LOAD segment with bytes",
            advice="is it an object file that was not linked?",
        )
    _check_overlap(name, loaded)
    return Image(
        path=path,
        name=name,
        entry=header.e_entry,
        segments=loaded,
        zero_segments=tuple(each for each in segments if not each.data),
        sections=_sections(name, data, header, headers, loaded),
        _data=data,
        _headers=headers,
    )


def _header(name: str, data: bytes) -> _Header:
    if data[:4] != b"\x7fELF":
        raise ElfError("not an ELF file", rule="elf.not-an-elf", where=name, expected="7f 45 4c 46", found=_start(data))
    if len(data) < _Header.size:
        raise _truncated(name, "ELF header", _Header.size, len(data))
    header = _Header.unpack_from(data)
    if header.e_ident[4] != 1:
        found = "64-bit" if header.e_ident[4] == 2 else f"class {header.e_ident[4]}"
        raise ElfError("not for a 32-bit core", rule="elf.not-32-bit", where=name, expected="32-bit", found=found)
    if header.e_ident[5] != 1:
        raise ElfError("not little-endian", rule="elf.big-endian", where=name, expected="little-endian")
    if header.e_machine != _EM_ARM:
        expected, found = f"Arm ({_EM_ARM})", f"machine {header.e_machine}"
        raise ElfError("not for an Arm core", rule="elf.wrong-machine", where=name, expected=expected, found=found)
    for what, size, count, expected_size in (
        ("e_phentsize", header.e_phentsize, header.e_phnum, _ProgramHeader.size),
        ("e_shentsize", header.e_shentsize, header.e_shnum, _SectionHeader.size),
    ):
        if count and size != expected_size:
            raise ElfError(f"{what} is wrong", rule="elf.malformed", where=name, expected=expected_size, found=size)
    return header


def _start(data: bytes) -> str:
    return data[:4].hex(" ") or "an empty file"


def _truncated(name: str, what: str, end: int, size: int) -> ElfError:
    return ElfError(
        f"the file ends before its {what} does",
        rule="elf.truncated",
        where=name,
        expected=f"at least {end} bytes",
        found=f"{size} bytes",
    )


def _segments(name: str, data: bytes, header: _Header) -> tuple[Segment, ...]:
    """Every PT_LOAD that takes memory."""
    end = header.e_phoff + header.e_phnum * _ProgramHeader.size
    if header.e_phnum and end > len(data):
        raise _truncated(name, "program header table", end, len(data))
    segments = []
    for index in range(header.e_phnum):
        each = _ProgramHeader.unpack_from(data, header.e_phoff + index * _ProgramHeader.size)
        if each.p_type != _PT_LOAD or each.p_memsz == 0:
            continue
        where = f"{name}: segment {index}"
        if each.p_filesz > each.p_memsz:
            raise ElfError(
                "more bytes in the file than in memory",
                rule="elf.malformed",
                where=where,
                expected=f"p_filesz <= {each.p_memsz:#x}",
                found=f"{each.p_filesz:#x}",
            )
        if each.p_offset + each.p_filesz > len(data):
            raise _truncated(name, f"segment {index}", each.p_offset + each.p_filesz, len(data))
        if max(each.p_paddr + each.p_filesz, each.p_vaddr + each.p_memsz) > _ADDRESS_SPACE:
            raise ElfError(
                "reaches past the end of the address space",
                rule="elf.segment-outside-memory",
                where=where,
                expected="end <= 0x100000000",
                found=f"p_paddr {each.p_paddr:#x}, p_vaddr {each.p_vaddr:#x}, p_memsz {each.p_memsz:#x}",
            )
        content = data[each.p_offset : each.p_offset + each.p_filesz]
        flags = SegmentFlag(each.p_flags & 7)
        segments.append(Segment(index, each.p_offset, each.p_paddr, each.p_vaddr, content, each.p_memsz, flags))
    return tuple(segments)


def _check_overlap(name: str, segments: tuple[Segment, ...]) -> None:
    for first, second in pairwise(sorted(segments, key=lambda each: each.load_address)):
        if first.load_extent.overlaps(second.load_extent):
            raise ElfError(
                f"segments {first.index} and {second.index} are loaded over each other",
                rule="elf.segments-overlap",
                where=name,
                expected=f"segment {second.index} from {first.load_extent.end:#010x} on",
                found=f"{second.load_extent} over {first.load_extent}",
            )


def _section_headers(name: str, data: bytes, header: _Header) -> tuple[_SectionHeader, ...]:
    end = header.e_shoff + header.e_shnum * _SectionHeader.size
    if header.e_shnum and end > len(data):
        raise _truncated(name, "section header table", end, len(data))
    return tuple(
        _SectionHeader.unpack_from(data, header.e_shoff + index * _SectionHeader.size)
        for index in range(header.e_shnum)
    )


def _content(name: str, data: bytes, section: _SectionHeader, what: str) -> bytes:
    end = section.sh_offset + section.sh_size
    if end > len(data):
        raise _truncated(name, what, end, len(data))
    return data[section.sh_offset : end]


def _string(strings: bytes, offset: int) -> str:
    end = strings.find(b"\0", offset, offset + _MAX_NAME)
    return strings[offset : end if end >= 0 else offset + _MAX_NAME].decode("utf-8", "replace")


def _sections(
    name: str, data: bytes, header: _Header, headers: tuple[_SectionHeader, ...], segments: tuple[Segment, ...]
) -> tuple[Section, ...]:
    """All but the null section, each with where its bytes are loaded."""
    names = b""
    if header.e_shstrndx < len(headers):
        names = _content(name, data, headers[header.e_shstrndx], "section names")
    sections = []
    for each in headers[1:]:
        title = _string(names, each.sh_name)
        has_bytes = each.sh_type != _SHT_NOBITS
        if has_bytes:
            _content(name, data, each, f"section {title}")
        load_address = _loaded_at(each.sh_offset, each.sh_size, segments) if has_bytes else None
        sections.append(
            Section(title, each.sh_addr, each.sh_size, each.sh_offset, has_bytes, each.sh_flags, load_address)
        )
    return tuple(sections)


def _loaded_at(offset: int, size: int, segments: tuple[Segment, ...]) -> int | None:
    for each in segments:
        if Extent(offset, size) in Extent(each.offset, len(each.data)):
            return each.load_address + offset - each.offset
    return None


def _symbols(name: str, data: bytes, headers: tuple[_SectionHeader, ...]) -> Iterator[Symbol]:
    """The defined symbols of ``.symtab``, without the mapping symbols of the Arm ABI (AAELF32 5.5.5)."""
    for table in headers:
        if table.sh_type != _SHT_SYMTAB or table.sh_link >= len(headers):
            continue
        strings = _content(name, data, headers[table.sh_link], "symbol names")
        rows = _content(name, data, table, "symbol table")
        for row in struct.iter_unpack("<3I2BH", rows[: len(rows) // 16 * 16]):
            st_name, value, size, info, _, section = row
            if section == _SHN_UNDEF or st_name == 0:
                continue
            title = _string(strings, st_name)
            if title.startswith("$"):
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
            following = ordered[index + 1].address if index + 1 < len(ordered) else _ADDRESS_SPACE
            end = min(following, section.address + section.size)
        if end > symbol.address:
            ranges.append(_Range(symbol.address, end, symbol.name, is_code))
    return ranges


def _preference(symbol: Symbol) -> tuple[bool, bool, bool, bool]:
    """Which of several names of one address to say."""
    return symbol.size > 0, symbol.type == SymbolType.FUNC, not symbol.is_local, not symbol.is_weak
