"""The firmware pairs as they leave the Makefile, looked at with pyelftools: no part of rptwin reads them here."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

FIRMWARE = Path(__file__).parents[3] / "firmware"
FLASH = {
    ("stm32h745", "main"): range(0x0800_0000, 0x0810_0000),
    ("stm32h745", "remote"): range(0x0810_0000, 0x0820_0000),
    ("nrf5340", "main"): range(0x0010_0000),
    ("nrf5340", "remote"): range(0x0100_0000, 0x0104_0000),
    ("mps2_an521", "main"): range(0x1000_0000, 0x1020_0000),
    ("mps2_an521", "remote"): range(0x1020_0000, 0x1040_0000),
}
RAM = {
    ("stm32h745", "main"): range(0x2400_0000, 0x2408_0000),
    ("stm32h745", "remote"): range(0x1000_0000, 0x1002_0000),
    ("nrf5340", "main"): range(0x2000_0000, 0x2008_0000),
    ("nrf5340", "remote"): range(0x2100_0000, 0x2101_0000),
    ("mps2_an521", "main"): range(0x3800_0000, 0x3810_0000),
    ("mps2_an521", "remote"): range(0x2810_0000, 0x2820_0000),
}
HARD_FLOAT = {("stm32h745", "main"), ("stm32h745", "remote"), ("nrf5340", "main"), ("mps2_an521", "remote")}
SOFT_FLOAT = {("nrf5340", "remote"), ("mps2_an521", "main")}  # cores without a floating-point unit
ANY = 0xFFFF_FFFF


def make(*arguments: str, folder: Path = FIRMWARE) -> str:
    command = ["make", "-s", "--no-print-directory", f"PYTHON={sys.executable}", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


BOARDS = tuple(make("boards").split())
_CARE = ("no-clean", "no-invalidate", "early", "neighbour", "shared-line", "stale-code")
CACHED = ("cached", *(f"cached-{each}" for each in _CARE))
VARIANTS = {board: tuple(make("variants", f"BOARD={board}").split()) for board in BOARDS}
PAIRS = [(board, variant) for board in BOARDS for variant in VARIANTS[board]]


@pytest.fixture(scope="session")
def boards() -> Path:
    """Every variant of every board, in the checkout's own build folder: nothing to do when it is up to date."""
    make("-j2", "all")
    return FIRMWARE / "build"


@pytest.fixture
def built(boards: Path) -> Path:
    """Those of the STM32H745."""
    return boards / "stm32h745"


@pytest.fixture
def built_nrf(boards: Path) -> Path:
    return boards / "nrf5340"


def section(image: Path, name: str) -> bytes:
    with image.open("rb") as file:
        found = ELFFile(file).get_section_by_name(name)
        assert found is not None, f"{image}: no {name}"
        return bytes(found.data())


def words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 4}I", data)


def loaded(image: Path) -> list[tuple[int, int, int]]:
    """(p_paddr, p_vaddr, p_filesz) of each segment that a loader copies."""
    with image.open("rb") as file:
        return [
            (each["p_paddr"], each["p_vaddr"], each["p_filesz"])
            for each in ELFFile(file).iter_segments("PT_LOAD")
            if each["p_filesz"]
        ]


def symbol(image: Path, name: str) -> int:
    with image.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        [found] = symbols.get_symbol_by_name(name) or []
        return int(found["st_value"])


def table_differences(built: Path, variant: str) -> dict[int, tuple[int, int]]:
    """Offset of each word of the table that differs from the demo's: (demo's, variant's)."""
    demo = words(section(built / "demo" / "remote.elf", ".resource_table"))
    other = words(section(built / variant / "remote.elf", ".resource_table"))
    return {4 * i: pair for i, pair in enumerate(zip(demo, other, strict=True)) if pair[0] != pair[1]}


def test_the_same_sources_give_the_same_bytes_in_another_folder(tmp_path: Path) -> None:
    images = []
    for folder in (tmp_path / "a", tmp_path / "another" / "deeper"):
        shutil.copytree(FIRMWARE, folder, ignore=shutil.ignore_patterns("build"))
        make("-j2", "demo", folder=folder)
        images.append([(folder / "build/stm32h745/demo" / name).read_bytes() for name in ("main.elf", "remote.elf")])
    assert images[0] == images[1]
    assert all(str(tmp_path).encode() not in image for image in images[0])


@pytest.mark.parametrize(("board", "variant"), PAIRS)
def test_every_variant_links_for_the_float_abi_of_its_cores(boards: Path, board: str, variant: str) -> None:
    for role in ("main", "remote"):
        with (boards / board / variant / f"{role}.elf").open("rb") as file:
            elf = ELFFile(file)
            assert (elf["e_machine"], elf["e_type"]) == ("EM_ARM", "ET_EXEC")
            assert bool(elf["e_flags"] & 0x400) == ((board, role) in HARD_FLOAT), "EF_ARM_ABI_FLOAT_HARD"
            assert bool(elf["e_flags"] & 0x200) == ((board, role) in SOFT_FLOAT), "EF_ARM_ABI_FLOAT_SOFT"


@pytest.mark.parametrize(("board", "role"), FLASH)
def test_everything_that_is_loaded_lies_in_the_flash_of_its_core(boards: Path, board: str, role: str) -> None:
    segments = loaded(boards / board / "demo" / f"{role}.elf")
    assert segments
    for address, _, size in segments:
        assert address in FLASH[board, role]
        assert address + size - 1 in FLASH[board, role]


@pytest.mark.parametrize(("board", "role"), RAM)
def test_the_sram_pair_is_loaded_into_memory_only(boards: Path, board: str, role: str) -> None:
    assert all(address in RAM[board, role] for address, _, _ in loaded(boards / board / "sram" / f"{role}.elf"))


def test_a_variant_that_means_nothing_on_a_board_is_named_in_the_readme() -> None:
    left_out = {(board, name) for board in BOARDS for name in set(VARIANTS["stm32h745"]) - set(VARIANTS[board])}
    cached = {(board, name) for board in ("nrf5340", "mps2_an521") for name in CACHED}
    assert left_out - cached == {("nrf5340", "bad-desc"), ("mps2_an521", "dtcm-desc"), ("mps2_an521", "stuck-lock")}
    assert cached <= left_out
    readme = (FIRMWARE / "README.md").read_text()
    assert "no `bad-desc` on the nRF5340" in readme
    assert "The `cached` pairs are of the STM32H745 alone" in readme
    assert "no `dtcm-desc` and no `stuck-lock` on the AN521" in readme


def test_the_table_of_the_nrf5340_has_one_address_for_both_cores(built_nrf: Path) -> None:
    image = built_nrf / "demo/remote.elf"
    assert symbol(image, "resource_table") == 0x2007_0000
    assert symbol(built_nrf / "other/remote.elf", "board_resources") == 0x2006_1000
    carveout = words(section(image, ".resource_table")[0xD8:0xE8])
    assert carveout == (0, 0x2007_1000, 0x2007_1000, 0x3000)


def test_what_main_of_the_nrf5340_has_to_itself_is_the_ram_of_its_cache(built_nrf: Path) -> None:
    with (built_nrf / "dtcm-desc/main.elf").open("rb") as file:
        private = ELFFile(file).get_section_by_name(".private")
        assert (private["sh_addr"], private["sh_size"]) == (0x00F0_0000, 8 * 512)


def test_the_table_is_loaded_from_flash_and_runs_in_sram3_of_the_remote(built: Path) -> None:
    image = built / "demo/remote.elf"
    [load] = [load for load, run, _ in loaded(image) if run == 0x1004_0000]
    assert load in FLASH["stm32h745", "remote"]
    assert symbol(image, "resource_table") == 0x1004_0000


def test_the_table_in_the_image_is_what_the_source_says(built: Path) -> None:
    expected = struct.pack("<4I3I4x", 1, 3, 0, 0, 0x20, 0x50, 0xD8)
    expected += struct.pack("<4I32s", 2, 0x1004_0400, 0x400, 0, b"trace0")
    expected += struct.pack("<6I4B", 3, 7, 2, 0b101, 0, 64, 0, 2, 0, 0)
    expected += struct.pack("<5I", ANY, 16, 8, 0, 0) + struct.pack("<5I", ANY, 16, 8, 1, 0)
    expected += struct.pack("<2I56x", 512, 512) + bytes(4)
    expected += struct.pack("<6I32s", 0, 0x1004_1000, 0x3004_1000, 0x3000, 0, 0, b"vdev0buffer")
    assert section(built / "demo/remote.elf", ".resource_table") == expected


@pytest.mark.parametrize(
    ("variant", "differences"),
    [
        ("align3", {0x84: (16, 3)}),
        ("num6", {0x88: (8, 6)}),
        ("duplicate-notifyid", {0x8C: (1, 0)}),
        ("static", {0x6C: (ANY, 0x1004_0800), 0x80: (ANY, 0x1004_0A00)}),
        ("no-copy", {}),
    ],
)
def test_a_variant_changes_exactly_its_own_words_of_the_table(
    built: Path, variant: str, differences: dict[int, tuple[int, int]]
) -> None:
    assert table_differences(built, variant) == differences


@pytest.mark.parametrize(
    ("variant", "untouched"),
    [("align3", "main"), ("no-copy", "main"), ("leak", "main"), ("wrong-channel", "remote"), ("used-align", "remote")],
)
def test_a_fault_of_one_core_leaves_the_other_image_as_it_is(built: Path, variant: str, untouched: str) -> None:
    image = f"{untouched}.elf"
    assert (built / variant / image).read_bytes() == (built / "demo" / image).read_bytes()
    other = "remote.elf" if untouched == "main" else "main.elf"
    assert (built / variant / other).read_bytes() != (built / "demo" / other).read_bytes()


def test_two_vdevs_are_paired_with_two_carveouts(built: Path) -> None:
    table = section(built / "two-vdevs/remote.elf", ".resource_table")
    number = words(table)[1]
    types = [words(table[offset : offset + 4])[0] for offset in words(table)[4 : 4 + number]]
    assert types == [2, 3, 0, 3, 0]


def test_functions_can_be_unwound_by_debug_frame_alone(built: Path) -> None:
    for role in ("main", "remote"):
        image = built / "demo" / f"{role}.elf"
        functions = ("reset_handler", "fault_entry", "fault_report", "main", "memcpy", "mailbox_signal", "board_sleep")
        with image.open("rb") as file:
            elf = ELFFile(file)
            assert elf.get_section_by_name(".ARM.exidx") is None
            entries = [entry for entry in elf.get_dwarf_info().CFI_entries() if isinstance(entry, FDE)]
            starts = {entry["initial_location"] for entry in entries}
        assert not [name for name in functions if symbol(image, name) & ~1 not in starts]


def test_the_silent_pair_holds_none_of_the_texts(built: Path) -> None:
    for role, text in (("main", b"DRIVER_OK"), ("main", b"main> "), ("remote", b"driver ok"), ("remote", b"remote> ")):
        assert text in section(built / "demo" / f"{role}.elf", ".rodata")
        assert text not in section(built / "silent" / f"{role}.elf", ".rodata")


def test_vector_tables_are_sound_but_for_the_variants_that_break_them(boards: Path) -> None:
    for board, variant in PAIRS:
        for role in ("main", "remote"):
            image = boards / board / variant / f"{role}.elf"
            stack, reset = words(section(image, ".isr_vector"))[:2]
            bad_stack = (variant, role) == ("bad-stack", "main")
            assert stack == (0x7000_0000 if bad_stack else symbol(image, "__stack_top"))
            assert reset & 1 == (0 if (variant, role) == ("even-reset", "remote") else 1)


def test_the_readme_has_a_row_for_every_variant() -> None:
    text = (FIRMWARE / "README.md").read_text()
    assert [name for _, name in PAIRS if f"`{name}`" not in text] == []


def test_an_image_is_the_same_to_the_bit_wherever_it_is_built(tmp_path: Path) -> None:
    images = []
    for name in ("a", "a folder with a longer name"):
        folder = tmp_path / name
        shutil.copytree(FIRMWARE, folder, ignore=shutil.ignore_patterns("build"))
        make("demo", folder=folder)
        images.append(
            [(folder / "build" / "stm32h745" / "demo" / f"{role}.elf").read_bytes() for role in ("main", "remote")]
        )
    assert images[0] == images[1]
