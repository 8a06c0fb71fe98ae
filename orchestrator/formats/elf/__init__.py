"""ELF images of 32-bit Arm cores: what is loaded where, symbols, the vector table, and what a backtrace needs.

In: the bytes of a file. Out: an :class:`Image`; symbols and DWARF are read when first asked for. The headers and the
symbol table are read here; pyelftools reads DWARF.
"""

from orchestrator.formats.elf.dwarf import LineCode, SourceLine
from orchestrator.formats.elf.image import Image, TableSection, load_elf, parse_elf
from orchestrator.formats.elf.sections import SHF_ALLOC, SHF_EXECINSTR, Section, Segment, SegmentFlag
from orchestrator.formats.elf.symbols import Symbol, SymbolType

__all__ = [
    "SHF_ALLOC",
    "SHF_EXECINSTR",
    "Image",
    "LineCode",
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
