"""An ELF image as a core sees it: what is loaded where, its vector table, its resource table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import ElfError, TableError
from orchestrator.base.files import LARGEST_IMAGE, read_file
from orchestrator.base.memory import Place
from orchestrator.formats.call_frames import CallFrames
from orchestrator.formats.elf.dwarf import DebugInformation, LineCode, SourceLine
from orchestrator.formats.elf.sections import (
    Section,
    SectionHeader,
    Segment,
    SegmentFlag,
    read_header,
    read_section_headers,
    read_sections,
    read_segments,
    uncompressed,
)
from orchestrator.formats.elf.symbols import AddressNames, Symbol, SymbolType, read_symbols
from orchestrator.formats.unwind import UnwindRule, find_exidx_entry, unwind_entry

__all__ = ["Image", "TableSection", "load_elf", "parse_elf"]

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


@dataclass(frozen=True, slots=True)
class TableSection:
    """``.resource_table``: its bytes, where they are loaded and where the program expects them."""

    name: str
    load_address: int
    run_address: int
    data: bytes = field(repr=False)


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
    _headers: tuple[SectionHeader, ...] = field(repr=False)
    is_bare: bool = False  # bytes alone, of a file that is no ELF: no symbols, sections or debug information

    @property
    def data(self) -> bytes:
        """The whole file."""
        return self._data

    @cached_property
    def every_symbol(self) -> tuple[Symbol, ...]:
        """Those of ``.symtab`` that are defined, in its order."""
        return tuple(read_symbols(self.name, self._data, self._headers))

    @cached_property
    def symbols(self) -> Mapping[str, Symbol]:
        """Symbols by name; where a name is used twice, a global one before a weak one before a local one."""
        return {s.name: s for s in sorted(self.every_symbol, key=lambda s: (s.is_local, s.is_weak), reverse=True)}

    @cached_property
    def objects(self) -> tuple[tuple[int, int, Symbol], ...]:
        """Data that has a size, each with its first address and that after its last."""
        every = self.every_symbol
        return tuple((s.address, s.address + s.size, s) for s in every if s.type == SymbolType.OBJECT and s.size)

    @cached_property
    def _names(self) -> AddressNames:
        return AddressNames(self.every_symbol, self.sections)

    def symbol_at(self, address: int) -> str | None:
        """``name+0x12`` of the function or object that a run-time address lies in; a Thumb bit is ignored in code."""
        return self._names.at(address)

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

    def _is_code(self, address: int) -> bool:
        return any(each.flags & SegmentFlag.EXECUTE and address in each.run_extent for each in self.segments)

    @cached_property
    def _debug(self) -> DebugInformation:
        return DebugInformation(self._data, self._is_code)

    @cached_property
    def _call_frames(self) -> CallFrames:
        section = next((each for each in self.sections if each.name == ".debug_frame" and each.has_bytes), None)
        return CallFrames(b"" if section is None else uncompressed(self._data, section), self._is_code)

    def _has_section(self, *names: str) -> bool:
        return any(each.name in names for each in self.sections)

    def unwind_rule(self, pc: int) -> UnwindRule | None:
        """How the frame of the code at ``pc`` is undone: by ``.debug_frame``, else ``.ARM.exidx``, else None."""
        pc &= ~1
        rule = self._call_frames.rule_at(pc)
        return self._rule_of_exidx(pc) if rule is None else rule

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

    def source_line(self, pc: int) -> SourceLine | None:
        """File and line of the code at ``pc``, from ``.debug_line``; the innermost of :meth:`source_lines`."""
        return next(iter(self.source_lines(pc)), None)

    def source_lines(self, pc: int) -> tuple[SourceLine, ...]:
        """The line of the code at ``pc``, then where that was inlined, outwards; of a return address, ask for pc - 1.

        Empty where the image does not say. The first call reads the units' headers, each call the unit of its code.
        """
        return self._debug.source_lines(pc & ~1) if self._has_section(".debug_line") else ()

    def code_lines(self) -> Iterator[LineCode]:
        """All code that ``.debug_line`` has a line of, in pieces."""
        if self._has_section(".debug_line"):
            yield from self._debug.code_lines()

    def definition_at(self, address: int) -> SourceLine | None:
        """Where the variable that an address lies in is defined; None for code, and where the image does not say."""
        if not self._has_section(".debug_info"):
            return None
        symbol = next((each for each in self.every_symbol if each.address <= address < each.address + each.size), None)
        return None if symbol is None or self._is_code(address) else self._debug.variable_line(symbol.address)


def load_elf(path: str | Path, *, name: str | None = None) -> Image:
    """The image in an ordinary file of at most 256 MiB; ``name`` stands for it in messages, by default the file's name.

    :class:`ElfError`: ``elf.unreadable`` and what :func:`parse_elf` raises.
    """
    path = Path(path)
    try:
        data = read_file(path, LARGEST_IMAGE)
    except OSError as error:
        raise ElfError("cannot be read", rule="elf.unreadable", where=str(path), found=error.strerror) from error
    return parse_elf(data, path=path, name=name or path.name)


def parse_elf(data: bytes, *, path: Path, name: str) -> Image:
    """The image in the bytes of a file.

    :class:`ElfError`: ``elf.not-an-elf``, ``elf.truncated``, ``elf.not-32-bit``, ``elf.big-endian``,
    ``elf.wrong-machine``, ``elf.malformed``, ``elf.no-segments``, ``elf.segment-outside-memory``,
    ``elf.segments-overlap``.
    """
    header = read_header(name, data)
    segments = read_segments(name, data, header)
    headers = read_section_headers(name, data, header)
    loaded = tuple(each for each in segments if each.data)
    if not loaded:
        raise ElfError(
            "nothing to load",
            rule="elf.no-segments",
            where=name,
            expected="a PT_LOAD segment with bytes",
            advice="is it an object file that was not linked?",
        )
    return Image(
        path=path,
        name=name,
        entry=header.e_entry,
        segments=loaded,
        zero_segments=tuple(each for each in segments if not each.data),
        sections=read_sections(name, data, header, headers, loaded),
        _data=data,
        _headers=headers,
    )
