"""What a program takes of memory is told apart from what it shares, by the sections and symbols of a real ELF file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.base.memory import Extent
from orchestrator.formats.elf import load_elf, parse_elf
from orchestrator.formats.footprint import ASSUMED_STACK, Footprint

if TYPE_CHECKING:
    from conftest import Tools

IMAGES = Path(__file__).parent / "images"
TOP = 0x1001_0000


def footprint(tools: Tools, *names: str, top: str = "0x10010000") -> Footprint:
    """Of the program, its linker script defining some names more."""
    script = tools.folder / "program.ld"
    text = (IMAGES / "program.ld").read_text(encoding="utf-8").replace("stack_top = 0x10010000", f"stack_top = {top}")
    script.write_text(text.replace("/* names */", " ".join(f'"{n.split("=")[0]}" = {n.split("=")[1]};' for n in names)))
    flags = ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fdata-sections")
    image = load_elf(tools.link("program.elf", script, tools.compile(IMAGES / "program.c", *flags)))
    return Footprint(image, image.vector_table)


@pytest.fixture(scope="module")
def program(tools: Tools) -> Footprint:
    return footprint(tools)


@pytest.mark.parametrize(
    ("start", "size", "what"),
    [
        (0x0810_0000, 8, ".text"),
        (0x1000_0000, 64, "settings in .data"),
        (0x1000_1020, 64, "counters in .bss"),
        (0x1000_1040, 8, ".bss"),  # between objects: nobody reserved it
        (0x1000_10F8, 16, "pool in .bss"),  # begins in front of the object that would hold it
        (0x1000_2300, 64, "ucHeap in .bss"),
        (0x1000_40FC, 8, "slots in .exchange"),  # ends after the object
        (0x1000_4000, 0x400, "slots in .exchange"),  # a ring over objects that it does not fill
        (0x1000_6000, 8, "idle_stack in .os_stack"),
        (TOP - 8, 8, "the stack"),
        (TOP - ASSUMED_STACK - 4, 8, "the stack"),
        (TOP - 4, 64, "the stack"),
    ],
)
def test_what_the_program_needs_is_no_memory_for_a_ring(start: int, size: int, what: str, program: Footprint) -> None:
    use = program.use_of(Extent(start, size))
    assert use is not None
    assert use.what == what
    assert use.extent.overlaps(Extent(start, size))


@pytest.mark.parametrize(
    ("start", "size"),
    [
        (0x1000_1100, 0x1000),  # the object whole
        (0x1000_1200, 64),  # inside of it
        (0x1000_3000, 256),  # objects named as pieces of it
        (0x1000_4000, 256),
        (0x1000_4400, 0x400),  # no object in a section that was made on purpose
        (0x1000_5000, 0x1000),  # no section
        (TOP - ASSUMED_STACK - 64, 64),
        (TOP, 64),
    ],
)
def test_what_was_declared_for_it_and_what_nobody_has_is_a_rings(start: int, size: int, program: Footprint) -> None:
    assert program.use_of(Extent(start, size)) is None


def test_a_pool_may_hold_the_objects_of_a_section_made_on_purpose_and_no_others(program: Footprint) -> None:
    assert program.use_of(Extent(0x1000_4000, 0x1000), is_pool=True) is None
    cut = program.use_of(Extent(0x1000_4080, 0xF80), is_pool=True)
    assert cut is not None
    assert cut.what == "slots in .exchange"
    other = program.use_of(Extent(0x1000_1000, 0x100), is_pool=True)
    assert other is not None
    assert other.what == "counters in .bss"


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("__StackLimit=0x1000f800", 0x800),
        ("__stack_start__=0x1000f000", 0x1000),
        ("Image$$ARM_LIB_STACK$$ZI$$Base=0x1000e000", 0x2000),
        ("_Min_Stack_Size=0x600", 0x600),
        ("__STACK_SIZE=0x2000", 0x2000),
        ("__StackLimit=0x20000000", ASSUMED_STACK),  # of another memory
        ("_Min_Stack_Size=0", ASSUMED_STACK),
        ("__STACK_SIZE=0x100000", 1 << 20),
        ("__STACK_SIZE=0x100001", ASSUMED_STACK),  # more than any core has for one
        ("stack_of_somebody=0x1000f000", ASSUMED_STACK),
    ],
)
def test_the_size_of_a_stack_is_told_by_the_names_of_common_linker_scripts(name: str, size: int, tools: Tools) -> None:
    stack = footprint(tools, name).stack
    assert stack is not None
    assert stack.extent == Extent(TOP - size, size)


def test_of_two_limits_the_nearer_is_the_stacks(tools: Tools) -> None:
    stack = footprint(tools, "__StackLimit=0x1000f800", "_stack_bottom=0x10008000").stack
    assert stack is not None
    assert stack.extent == Extent(TOP - 0x800, 0x800)


@pytest.mark.parametrize(("top", "extent"), [
    ("0x10006200", Extent(0x1000_6000, 512)),  # an object
    ("0x10007300", Extent(0x1000_7000, 0x300)),  # a section without one
])  # fmt: skip
def test_a_stack_with_memory_of_its_own_is_as_large_as_that(top: str, extent: Extent, tools: Tools) -> None:
    stack = footprint(tools, f"__StackLimit={int(top, 16) - 0x40:#x}", top=top).stack
    assert stack is not None
    assert stack.extent == extent


def test_of_an_image_without_sections_every_segment_is_the_programs(program: Footprint) -> None:
    data = bytearray(program.image.data)
    data[48:52] = bytes(4)  # e_shnum, e_shstrndx
    stripped = Footprint(parse_elf(bytes(data), path=Path("stripped.elf"), name="stripped.elf"), program.vector_table)
    for start in (0x1000_0000, 0x1000_1040, 0x1000_4400):
        use = stripped.use_of(Extent(start, 8))
        assert use is not None
        assert use.what == "a segment"
    assert stripped.use_of(Extent(0x1000_A000, 8)) is None


@pytest.mark.parametrize(
    "names", [("__HeapBase", "__HeapLimit"), ("_sheap", "_eheap"), ("__heap_start__", "__heap_end__")]
)
def test_a_heap_is_between_the_symbols_around_it(names: tuple[str, str], tools: Tools) -> None:
    found = footprint(tools, f"{names[0]}=0x10008000", f"{names[1]}=0x10009000")
    use = found.use_of(Extent(0x1000_8FF8, 16))
    assert use is not None
    assert (use.what, use.extent) == ("the heap", Extent(0x1000_8000, 0x1000))
    assert found.use_of(Extent(0x1000_9000, 16)) is None
    assert footprint(tools, f"{names[0]}=0x10008000").heap is None
    assert footprint(tools, f"{names[0]}=0x10009000", f"{names[1]}=0x10008000").heap is None


@pytest.mark.parametrize(("names", "end"), [
    (("__StackLimit=0x1000f800",), (0x1000_F800, "__StackLimit")),
    (("__StackSize=0x600",), (TOP - 0x600, "__StackSize below its top")),
    (("_Min_Stack_Size=0x200",), (0x1000_5000, "the end of .exchange")),  # it may grow past what is set aside
    (("__stack_size=0x100000",), (TOP - 0x10_0000, "__stack_size below its top")),
    (("__stack_size=0x100001",), (0x1000_5000, "the end of .exchange")),
    (("__stack_size=0",), (0x1000_5000, "the end of .exchange")),
    (("__stack_size=1",), (TOP - 1, "__stack_size below its top")),
])  # fmt: skip
def test_how_far_down_a_stack_may_go(names: tuple[str, ...], end: tuple[int, str], tools: Tools) -> None:
    assert footprint(tools, *names).stack_end == end


@pytest.mark.parametrize(("top", "end"), [(0x1000_5001, 0x1000_5000), (0x1000_5000, 0x1000_3100)])
def test_a_stack_ends_at_variables_below_its_top_and_not_at_those_that_end_there(
    top: int, end: int, tools: Tools
) -> None:
    found = footprint(tools, top=f"{top:#x}").stack_end
    assert found is not None
    assert found[0] == end


@pytest.mark.parametrize(("top", "end"), [(0x1010_5000, (0x1000_5000, "the end of .exchange")), (0x1010_5008, None)])
def test_variables_more_than_a_mebibyte_below_say_nothing_of_a_stack(
    top: int, end: tuple[int, str] | None, tools: Tools
) -> None:
    assert footprint(tools, top=f"{top:#x}").stack_end == end


def test_a_section_that_is_not_in_memory_takes_none_at_its_address_of_zero(tiny: Path) -> None:
    image = load_elf(tiny)
    assert {".symtab", ".debug_info"} <= {each.name for each in image.sections if each.address == 0}
    assert Footprint(image, image.vector_table).use_of(Extent(0, 16)) is None
