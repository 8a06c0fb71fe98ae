"""What an ELF file is made of: its headers, segments and sections, each length checked before it is used.

Sources: System V ABI, "Object Files"; ELF for the Arm Architecture (AAELF32).
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from dataclasses import field
from enum import IntFlag
from itertools import pairwise

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import ElfError
from orchestrator.base.memory import Extent
from orchestrator.formats.layout import Structure, layout

__all__ = [
    "ADDRESS_SPACE",
    "SHF_ALLOC",
    "SHF_EXECINSTR",
    "FileHeader",
    "Section",
    "SectionHeader",
    "Segment",
    "SegmentFlag",
    "Strings",
    "content_of",
    "read_header",
    "read_section_headers",
    "read_sections",
    "read_segments",
    "uncompressed",
]

ADDRESS_SPACE = 1 << 32
SHF_ALLOC, SHF_EXECINSTR = 2, 4
_SHF_COMPRESSED = 0x800
_ELFCOMPRESS_ZLIB = 1
_COMPRESSION_HEADER = struct.Struct("<3I")  # Elf32_Chdr: type, size, alignment
_LARGEST_CONTENT = 64 << 20  # bytes of a section that is compressed
_EM_ARM = 40
_PT_LOAD = 1
_SHT_NOBITS = 8
_MAX_NAME = 4096  # bytes of a symbol's or section's name
_MOST_SEGMENTS = 1024  # that are loaded: linkers write a few, converters of hex files one for each gap
_MOST_SECTIONS = 1 << 14  # linkers write a few, or one for each function where their script forgets them
_MOST_SHARED = 4  # segments that load one byte of the file, on average
_FIRST_ROOM = 1 << 16  # bytes of names, however short the table
_MOST_NAMES = 16  # names that one byte of a string table is of, on average: linkers let names share their tails


@layout("<16s2H5I6H")
class FileHeader(Structure):
    """The start of the file."""

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
class SectionHeader(Structure):
    """One section, as the file says it."""

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


def read_header(name: str, data: bytes) -> FileHeader:
    """The header of a little-endian file for a 32-bit Arm core; errors as :func:`.image.parse_elf` lists them."""
    if data[:4] != b"\x7fELF":
        raise ElfError("not an ELF file", rule="elf.not-an-elf", where=name, expected="7f 45 4c 46", found=_start(data))
    if len(data) < FileHeader.size:
        raise _truncated(name, "ELF header", FileHeader.size, len(data))
    header = FileHeader.unpack_from(data)
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
        ("e_shentsize", header.e_shentsize, header.e_shnum, SectionHeader.size),
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


def _too_many(name: str, what: str, most: int, found: int) -> ElfError:
    return ElfError(f"more {what} than rptwin reads", rule="elf.malformed", where=name, expected=most, found=found)


def read_segments(name: str, data: bytes, header: FileHeader) -> tuple[Segment, ...]:
    """Every PT_LOAD that takes memory."""
    end = header.e_phoff + header.e_phnum * _ProgramHeader.size
    if header.e_phnum and end > len(data):
        raise _truncated(name, "program header table", end, len(data))
    every = enumerate(_ProgramHeader.rows(data, header.e_phoff, header.e_phnum))
    loads = [(index, row) for index, row in every if row[0] == _PT_LOAD and row[5]]  # p_type, p_memsz
    if len(loads) > _MOST_SEGMENTS:
        raise _too_many(name, "segments to load", _MOST_SEGMENTS, len(loads))
    headers = []
    for index, row in loads:
        each = _ProgramHeader(*row)
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
        if max(each.p_paddr + each.p_filesz, each.p_vaddr + each.p_memsz) > ADDRESS_SPACE:
            raise ElfError(
                "reaches past the end of the address space",
                rule="elf.segment-outside-memory",
                where=where,
                expected="end <= 0x100000000",
                found=f"p_paddr {each.p_paddr:#x}, p_vaddr {each.p_vaddr:#x}, p_memsz {each.p_memsz:#x}",
            )
        headers.append((index, each))
    _check_overlap(name, headers)
    _check_sum(name, len(data), headers)
    return tuple(_segment(index, each, data) for index, each in headers)


def _segment(index: int, header: _ProgramHeader, data: bytes) -> Segment:
    content = data[header.p_offset : header.p_offset + header.p_filesz]
    flags = SegmentFlag(header.p_flags & 7)
    return Segment(index, header.p_offset, header.p_paddr, header.p_vaddr, content, header.p_memsz, flags)


def _check_overlap(name: str, headers: list[tuple[int, _ProgramHeader]]) -> None:
    """No two segments are loaded to one address; seen before a byte of them is copied."""
    loaded = [(index, Extent(each.p_paddr, each.p_filesz)) for index, each in headers if each.p_filesz]
    for (first, under), (second, over) in pairwise(sorted(loaded, key=lambda each: each[1].start)):
        if under.overlaps(over):
            raise ElfError(
                f"segments {first} and {second} are loaded over each other",
                rule="elf.segments-overlap",
                where=name,
                expected=f"segment {second} from {under.end:#010x} on",
                found=f"{over} over {under}",
            )


def _check_sum(name: str, size: int, headers: list[tuple[int, _ProgramHeader]]) -> None:
    """Segments that share bytes of the file do so now and then, not all of them: 2 MB would become gigabytes."""
    total = sum(each.p_filesz for _, each in headers)
    if total > _MOST_SHARED * size:
        raise ElfError(
            "segments load the same bytes of the file again and again",
            rule="elf.malformed",
            where=name,
            expected=f"at most {_MOST_SHARED} times the file's {size} bytes",
            found=f"{total} bytes in {len(headers)} segments",
        )


def read_section_headers(name: str, data: bytes, header: FileHeader) -> tuple[SectionHeader, ...]:
    """The section header table, the null section included."""
    end = header.e_shoff + header.e_shnum * SectionHeader.size
    if header.e_shnum and end > len(data):
        raise _truncated(name, "section header table", end, len(data))
    if header.e_shnum > _MOST_SECTIONS:
        raise _too_many(name, "sections", _MOST_SECTIONS, header.e_shnum)
    return tuple(SectionHeader(*row) for row in SectionHeader.rows(data, header.e_shoff, header.e_shnum))


def content_of(name: str, data: bytes, section: SectionHeader, what: str) -> bytes:
    """The bytes of a section; ``what`` it is for the message when the file ends before it does."""
    return data[section.sh_offset : _end_of(name, data, section, what)]


def _end_of(name: str, data: bytes, section: SectionHeader, what: str) -> int:
    end = section.sh_offset + section.sh_size
    if end > len(data):
        raise _truncated(name, what, end, len(data))
    return end


class Strings:
    """A string table. ``where`` is for the ElfError of names that overlap so much that they would fill memory."""

    def __init__(self, where: str, data: bytes) -> None:
        self._where = where
        self._data = data
        self._names: dict[int, str] = {}
        self._room = _MOST_NAMES * len(data) + _FIRST_ROOM

    def at(self, offset: int) -> str:
        """A name, cut when it never ends."""
        name = self._names.get(offset)
        if name is None:
            end = self._data.find(b"\0", offset, offset + _MAX_NAME)
            name = self._data[offset : end if end >= 0 else offset + _MAX_NAME].decode("utf-8", "replace")
            self._names[offset] = name
            self._room -= len(name)
            if self._room < 0:
                raise ElfError(
                    "names that overlap again and again",
                    rule="elf.malformed",
                    where=self._where,
                    expected=f"names of at most {_MOST_NAMES} times the {len(self._data)} bytes of the string table",
                )
        return name


def read_sections(
    name: str, data: bytes, header: FileHeader, headers: tuple[SectionHeader, ...], segments: tuple[Segment, ...]
) -> tuple[Section, ...]:
    """All but the null section, each with where its bytes are loaded."""
    table = b""
    if header.e_shstrndx < len(headers):
        table = content_of(name, data, headers[header.e_shstrndx], "section names")
    names = Strings(f"{name}: section names", table)
    loaded = _Loaded(segments)
    sections = []
    for each in headers[1:]:
        title = names.at(each.sh_name)
        has_bytes = each.sh_type != _SHT_NOBITS
        if has_bytes:
            _end_of(name, data, each, f"section {title}")
        load_address = loaded.at(each.sh_offset, each.sh_size) if has_bytes else None
        sections.append(
            Section(title, each.sh_addr, each.sh_size, each.sh_offset, has_bytes, each.sh_flags, load_address)
        )
    return tuple(sections)


def uncompressed(data: bytes, section: Section) -> bytes:
    """What stands in a section of a file; nothing where it is compressed in a way that this does not know."""
    content = data[section.offset : section.offset + section.size]
    if not section.flags & _SHF_COMPRESSED:
        return content
    try:
        kind, size, _ = _COMPRESSION_HEADER.unpack_from(content)
        if kind != _ELFCOMPRESS_ZLIB or not size:
            return b""
        return zlib.decompressobj().decompress(content[_COMPRESSION_HEADER.size :], min(size, _LARGEST_CONTENT))
    except (struct.error, zlib.error):
        return b""


class _Loaded:
    """Where bytes of the file are loaded: by the segment that holds them, of several by the one that goes furthest."""

    def __init__(self, segments: tuple[Segment, ...]) -> None:
        furthest: list[Segment] = []
        for each in sorted(segments, key=lambda segment: segment.offset):
            before = furthest[-1] if furthest else each
            further = each.offset + len(each.data) > before.offset + len(before.data)
            furthest.append(each if further else before)
        self._starts = sorted(each.offset for each in segments)
        self._furthest = furthest  # of those that begin at or before a start

    def at(self, offset: int, size: int) -> int | None:
        index = bisect_right(self._starts, offset) - 1
        if index < 0:
            return None
        segment = self._furthest[index]
        return segment.load_address + offset - segment.offset if self._holds(segment, offset, size) else None

    @staticmethod
    def _holds(segment: Segment, offset: int, size: int) -> bool:
        return Extent(offset, size) in Extent(segment.offset, len(segment.data))
