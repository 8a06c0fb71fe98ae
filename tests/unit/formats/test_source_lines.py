"""Lines of source of the firmware's own images, by clang (DWARF 4) and by GCC (DWARF 5)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from orchestrator.formats.elf import Image, load_elf

ROOT = Path(__file__).resolve().parents[3]


class Pair(Protocol):
    main: Path
    remote: Path


@pytest.fixture(scope="session")
def main(firmware: Callable[[str], Pair]) -> Image:
    return load_elf(firmware("demo").main)


@pytest.fixture(scope="session")
def remote(firmware: Callable[[str], Pair]) -> Image:
    return load_elf(firmware("demo").remote)


def words_at(file: str, line: int) -> str:
    return (ROOT / "firmware" / file).read_text().splitlines()[line - 1]


def test_code_that_was_inlined_has_its_own_line_and_that_of_each_call(main: Image) -> None:
    signal = main.symbols["mailbox_signal"]
    every = {main.source_lines(pc) for pc in range(signal.address & ~1, (signal.address & ~1) + signal.size, 2)}
    inlined = next(lines for lines in every if len(lines) == 2)
    assert [each.function for each in inlined] == ["dsb", "mailbox_signal"]
    assert inlined[0].file == "common/cortex_m.h"
    assert "dsb()" in words_at(inlined[1].file, inlined[1].line)
    own = {lines[0].file for lines in every if len(lines) == 1}
    assert own == {"boards/stm32h745/mailbox.c"}


def test_every_instruction_of_every_function_has_a_line_that_is_there(main: Image) -> None:
    functions = [each for each in main.every_symbol if each.name in ("main", "start", "board_sleep", "mailbox_signal")]
    assert len(functions) == 4
    for function in functions:
        for pc in range(function.address & ~1, (function.address & ~1) + function.size - 1, 2):
            lines = main.source_lines(pc)
            assert not lines or lines[-1].function == function.name
            assert all(each.line and words_at(each.file, each.line) is not None for each in lines)


def test_code_in_pieces_is_the_code_of_each_line(main: Image) -> None:
    pieces = list(main.code_lines())
    assert len({piece.source for piece in pieces}) > 400
    for extent, source in pieces:
        for pc in (extent.start, extent.end - 1):
            line = main.source_line(pc)
            assert line is not None
            assert (line.file, line.line, line.folder) == (source.file, source.line, source.folder)


def test_code_that_the_linker_dropped_is_no_code(main: Image) -> None:
    flash = next(each.run_extent for each in main.segments if 0x0800_0000 in each.run_extent)
    assert all(extent in flash for extent, _ in main.code_lines())


def test_a_field_of_the_table_has_the_line_of_its_variable(remote: Image, main: Image) -> None:
    table = remote.resource_table()
    assert table is not None
    line = remote.definition_at(table.run_address + 0x40)
    assert line is not None
    assert (line.file, line.function) == ("remote/table.c", "resource_table")
    assert "resource_table" in words_at(line.file, line.line)
    assert remote.definition_at(table.run_address - 4) is None
    assert remote.definition_at(remote.symbols["main"].address) is None
    assert main.definition_at(table.run_address) is None


def test_what_is_no_code_has_no_line(main: Image) -> None:
    assert main.source_lines(0x2000_0000) == ()
    assert main.source_lines(0xFFFF_FFFE) == ()


SOURCE = """
static inline __attribute__((always_inline)) int twice(int x) { return x + x; }
volatile int sink;
int table[4] = {1, 2, 3, 4};
__attribute__((section(".text.used"))) int used(int x)
{
    sink = twice(x);
    return table[sink & 3];
}
__attribute__((section(".text.dropped"))) int dropped(int x) { return twice(x) + 1; }
"""
SCRIPT = """
ENTRY(used)
SECTIONS {
  . = 0x8; .text : { *(.text.used) }
  . = 0x20000000; .data : { *(.data*) *(.bss*) *(COMMON) }
  /DISCARD/ : { *(.text.dropped) *(.ARM*) *(.comment) }
}
"""


@pytest.mark.needs_command("arm-none-eabi-gcc", "gcc-arm-none-eabi")
@pytest.mark.parametrize("version", [2, 4, 5])
def test_gcc_says_the_same_in_every_version_of_dwarf_where_code_lies_low(tmp_path: Path, version: int) -> None:
    """What the linker drops keeps its lines, at address 0: the code that is there has others."""
    (tmp_path / "x.c").write_text(SOURCE)
    (tmp_path / "x.ld").write_text(SCRIPT)
    command = ["arm-none-eabi-gcc", f"-gdwarf-{version}", "-O1", "-mcpu=cortex-m4", "-mthumb", "-nostdlib"]
    subprocess.run(
        [*command, "-Wl,--gc-sections", "-T", "x.ld", "x.c", "-o", "x.elf"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    image = load_elf(tmp_path / "x.elf")
    used = image.symbols["used"]
    begin = used.address & ~1
    found = [image.source_lines(pc) for pc in range(begin, begin + used.size, 2)]
    functions = {tuple(each.function for each in lines) for lines in found if lines}
    assert functions == {("used",), ("twice", "used")}
    lines = {lines[-1].line for lines in found if lines}
    assert lines <= {6, 7, 8, 9}
    assert {Path(each.folder, each.file).name for lines in found for each in lines} == {"x.c"}
    line = image.definition_at(image.symbols["table"].address + 4)
    assert line is not None
    assert (line.line, line.function) == (4, "table")
