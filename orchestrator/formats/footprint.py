"""What memory a program takes for itself while it runs: code, data, stack and heap, as its ELF file tells.

A file says nothing of a stack but where it begins (the vector table) and, by the names of the common start-up files and
linker scripts below, where it ends. Memory that is shared on purpose stands in a file too: an object in ``.bss``, or a
section of its own that nobody else fills. :meth:`Footprint.use_of` tells the two apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import ElfError
from orchestrator.base.memory import Extent
from orchestrator.formats.elf import SHF_ALLOC, SHF_EXECINSTR, Image, Section, Symbol

__all__ = ["ASSUMED_STACK", "Footprint", "Use"]

ASSUMED_STACK = 0x400  # bytes; where no name tells: what CMSIS's and ST's templates reserve
_LARGEST_STACK = 1 << 20
_AT_LEAST = re.compile("min", re.IGNORECASE)  # in the name of a size: what is set aside, and the stack may grow past it

# Symbols at the lowest address of the main stack: CMSIS, armlink, TI, newlib's and vendors' linker scripts.
_STACK_LIMITS = (
    "__StackLimit",
    "__stack_limit",
    "__stack_limit__",
    "__stack_start__",
    "__stack_bottom",
    "__stack_bottom__",
    "__STACK_END",
    "_stack_bottom",
    "_sstack",
    "_stack_limit",
    "__main_stack_bottom",
    "Image$$ARM_LIB_STACK$$ZI$$Base",
    "Image$$ARM_LIB_STACKHEAP$$ZI$$Base",
)
# Symbols whose value is the size of the main stack: CMSIS, TI, ST's linker scripts.
_STACK_SIZES = (
    "__StackSize",
    "__stack_size",
    "__stack_size__",
    "__STACK_SIZE",
    "_stack_size",
    "_Min_Stack_Size",
    "_min_stack_size",
    "STACK_SIZE",
)
# Symbols around the heap of the C library.
_HEAPS = (
    ("__HeapBase", "__HeapLimit"),
    ("__heap_start__", "__heap_end__"),
    ("__heap_start", "__heap_end"),
    ("__heap_base", "__heap_limit"),
    ("_heap_start", "_heap_end"),
    ("_sheap", "_eheap"),
    ("Image$$ARM_LIB_HEAP$$ZI$$Base", "Image$$ARM_LIB_HEAP$$ZI$$Limit"),
)
# Output sections that a compiler, a C library or an RTOS fills with whatever comes; any other was made on purpose.
_OF_THE_PROGRAM = re.compile(
    r"\.?(text|rodata|datas?|bss|[st]bss|[st]data|noinit|uninit|init|fini|ctors|dtors|(preinit|init|fini)_array"
    r"|ARM|isr_vector|vectors|intvecs|ramfunc|heap|stacks?|_user_heap_stack)(\..*)?|(ER|RW|RO|ZI)_\w+"
)
_OWN_OBJECT = re.compile(r"heap|stack", re.IGNORECASE)
_SHARED_OBJECT = re.compile(r"vring|virtio|virtqueue|rpmsg|rptun|openamp|share|shm|ipc", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Use:
    """Memory that the program needs; ``what`` for a sentence: ``the stack``, ``.bss``, ``counters in .bss``."""

    what: str
    extent: Extent


@dataclass(frozen=True)
class Footprint:
    """The memory that one image takes, in its core's addresses."""

    image: Image
    vector_table: int  # load address

    @cached_property
    def stack(self) -> Use | None:
        """Down from the stack pointer of the vector table; None when there is none."""
        try:
            top = self.image.initial_sp(self.vector_table)
        except ElfError:
            return None
        return Use("the stack", Extent.between(max(0, self._end_of_stack(top)), top)) if top else None

    def _end_of_stack(self, top: int) -> int:
        """Its lowest address, declared or assumed."""
        declared = self._declared_end(top)
        if declared is not None:
            return declared[0]
        symbols = self.image.symbols
        sizes = [symbols[name].address for name in _STACK_SIZES if name in symbols]
        return top - next((each for each in sizes if 0 < each <= _LARGEST_STACK), ASSUMED_STACK)

    def _declared_end(self, top: int) -> tuple[int, str] | None:
        """Of a section or an object that ends at the top, of a symbol, or by a size; and what says so."""
        last = top - 1
        for section in self._sections:
            if "stack" in section.name.lower() and last in Extent(section.address, section.size):
                return section.address, f"section {section.name}"
        for start, end, each in self.image.objects:
            if start <= last < end:
                return start, each.name
        symbols = self.image.symbols
        limits = [(symbols[name].address, name) for name in _STACK_LIMITS if name in symbols]
        if near := [each for each in limits if 0 < top - each[0] <= _LARGEST_STACK]:
            return max(near)
        sizes = [(symbols[name].address, name) for name in _STACK_SIZES if name in symbols]
        for size, name in sizes:
            if 0 < size <= _LARGEST_STACK and not _AT_LEAST.search(name):
                return top - size, f"{name} below its top"
        return None

    @cached_property
    def declared_stack(self) -> Use | None:
        """The main stack where the image says how far down it goes; ``what`` is by what."""
        top = self.stack.extent.end if self.stack is not None else 0
        declared = self._declared_end(top) if top else None
        return Use(declared[1], Extent.between(declared[0], top)) if declared is not None else None

    @cached_property
    def stack_end(self) -> tuple[int, str] | None:
        """How far down the main stack may go, and what says so: what is declared, else the end of the program's own
        variables below it; None where nothing is.
        """
        if self.stack is None:
            return None
        if self.declared_stack is not None:
            return self.declared_stack.extent.start, self.declared_stack.what
        top = self.stack.extent.end
        ends = [
            (each.address + each.size, f"the end of {each.name}")
            for each in self._sections
            if 0 < top - (each.address + each.size) <= _LARGEST_STACK and not _OWN_OBJECT.search(each.name)
        ]
        return max(ends, default=None)

    @cached_property
    def sections_in_stack(self) -> tuple[Section, ...]:
        """Those that share a part with the declared stack and are for neither a stack nor a heap."""
        stack = self.declared_stack.extent if self.declared_stack is not None else None
        found = []
        for each in self._sections if stack is not None else ():
            extent = Extent(each.address, each.size)
            if stack is not None and extent.overlaps(stack) and stack not in extent:
                found += [] if _OWN_OBJECT.search(each.name) else [each]
        return tuple(found)

    def objects_in(self, extent: Extent) -> tuple[str, ...]:
        """The names of the objects that share bytes with an extent, from the highest down."""
        return tuple(s.name for start, end, s in sorted(self.image.objects, key=lambda e: e[:2], reverse=True)
                     if start < extent.end and extent.start < end)  # fmt: skip

    @cached_property
    def heap(self) -> Use | None:
        """Between the symbols around it; None where there are none. A section for it is a section."""
        symbols = self.image.symbols
        for first, last in _HEAPS:
            if first in symbols and last in symbols and symbols[first].address < symbols[last].address:
                return Use("the heap", Extent.between(symbols[first].address, symbols[last].address))
        return None

    @cached_property
    def _sections(self) -> tuple[Section, ...]:
        """Those that take memory at run time."""
        return tuple(each for each in self.image.sections if each.flags & SHF_ALLOC and each.size)

    def use_of(self, block: Extent, *, is_pool: bool = False) -> Use | None:
        """What the program needs of a block of shared memory; None when the block is its own.

        A block is its own where an object holds all of it, and in a section that was made on purpose where it cuts no
        object; a pool, from which others are cut, may hold objects there.
        """
        for use in (self.stack, self.heap):
            if use is not None and use.extent.overlaps(block):
                return use
        return next(self._uses(block, is_pool), None)

    def _uses(self, block: Extent, is_pool: bool) -> Iterator[Use]:
        if not self._sections:  # stripped of them
            extents = (each.run_extent for each in (*self.image.segments, *self.image.zero_segments))
            yield from (Use("a segment", each) for each in extents if each.overlaps(block))
        for section in self._sections:
            extent = Extent(section.address, section.size)
            if not extent.overlaps(block):
                continue
            if section.flags & SHF_EXECINSTR:
                yield Use(section.name, extent)
                continue
            is_own = _OF_THE_PROGRAM.fullmatch(section.name) is not None
            touched = [
                each
                for start, end, each in self.image.objects
                if start < block.end and block.start < end and start in extent
            ]
            for each in touched:
                if not self._is_for(each, block, is_pool=is_pool and not is_own):
                    yield Use(f"{each.name} in {section.name}", _extent(each))
            if is_own and not touched:
                yield Use(section.name, extent)

    def _is_for(self, each: Symbol, block: Extent, *, is_pool: bool) -> bool:
        """Whether an object is the block's own memory."""
        extent = _extent(each)
        if _SHARED_OBJECT.search(each.name):
            return True
        return (block in extent and not _OWN_OBJECT.search(each.name)) or (is_pool and extent in block)


def _extent(symbol: Symbol) -> Extent:
    return Extent(symbol.address, symbol.size)
