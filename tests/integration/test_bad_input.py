"""What goes in wrong comes out as one clear message and the right exit code, with whatever was gathered.

The images are the demo's, with a few bytes changed; no case may end in a traceback.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import ziglang

from orchestrator.formats.elf import load_elf

TABLE_DA = 0x1004_0000
VDEV = 3  # RSC_VDEV
TRACE, CARVEOUT = 2, 0
VRING0 = 28  # offset of vring[0] in the entry, its type included
NOWHERE = 0x6000_0000
PLATFORM = Path(__file__).resolve().parents[2] / "platforms" / "stm32h745.repl"


class RemoteImage:
    """The demo's remote image, to be broken."""

    def __init__(self, path: Path) -> None:
        self.data = bytearray(path.read_bytes())
        image = load_elf(path)
        (section,) = (each for each in image.sections if each.name == ".resource_table")
        self.table = section.offset
        self.size = section.size
        self.offsets = struct.unpack_from("<3I", self.data, self.table + 16)

    def word(self, offset: int, value: int, form: str = "<I") -> bytearray:
        struct.pack_into(form, self.data, offset, value)
        return self.data

    def entry(self, kind: int) -> int:
        """File offset of the first entry of a type."""
        starts = (self.table + each for each in self.offsets)
        return next(each for each in starts if struct.unpack_from("<I", self.data, each)[0] == kind)

    def headers(self, field: int, size: int, count_at: int) -> range:
        """File offsets of the program headers, or of the section headers."""
        (first,) = struct.unpack_from("<I", self.data, field)
        (count,) = struct.unpack_from("<H", self.data, count_at)
        return range(first, first + size * count, size)

    def moved_table(self) -> bytearray:
        """The table's run-time address, in segment and section, is nowhere."""
        for headers, at in ((self.headers(28, 32, 44), 8), (self.headers(32, 40, 48), 12)):
            for header in headers:
                if struct.unpack_from("<I", self.data, header + at)[0] == TABLE_DA:
                    self.word(header + at, NOWHERE)
        return self.data


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used: exit code 2, one line."""

    broken: Callable[[RemoteImage], bytes]
    message: str


REFUSED = {
    "text": Refused(lambda image: b"int main(void);\n", "not an ELF file: expected 7f 45 4c 46, found 69 6e 74 20"),
    "empty": Refused(lambda image: b"", "not an ELF file: expected 7f 45 4c 46, found an empty file"),
    "machine": Refused(
        lambda image: image.word(18, 62, "<H"), "not for an Arm core: expected Arm (40), found machine 62"
    ),
    "64-bit": Refused(lambda image: image.word(4, 2, "<B"), "not for a 32-bit core: expected 32-bit, found 64-bit"),
    "big-endian": Refused(lambda image: image.word(5, 2, "<B"), "not little-endian"),
    "header only": Refused(lambda image: image.data[:100], "ends before its program header table does"),
    "half": Refused(lambda image: image.data[: len(image.data) // 2], "ends before its section header table does"),
}

# What the table says, and the one rule that it breaks; found by looking at the file alone.
BROKEN_TABLES = {
    "version 7": (lambda image: image.word(image.table, 7), "table.version"),
    "no entries": (lambda image: image.word(image.table + 4, 0), "table.no-vdev"),
    "1000 entries": (lambda image: image.word(image.table + 4, 1000), "table.too-many-entries"),
    "offset at the end": (lambda image: image.word(image.table + 16, image.size), "table.offset-past-end"),
    "offset 2^31": (lambda image: image.word(image.table + 20, 1 << 31), "table.offset-huge"),
    "offset -1": (lambda image: image.word(image.table + 24, 0xFFFF_FFFF), "table.offset-huge"),
    "200 vrings": (lambda image: image.word(image.entry(VDEV) + 25, 200, "<B"), "table.truncated"),
    "huge config": (lambda image: image.word(image.entry(VDEV) + 20, 0x7FFF_FFFF), "table.truncated"),
    "num 0": (lambda image: image.word(image.entry(VDEV) + VRING0 + 8, 0), "vring.num-zero"),
    "num 6": (lambda image: image.word(image.entry(VDEV) + VRING0 + 8, 6), "vring.num-not-power-of-two"),
    "num 65536": (lambda image: image.word(image.entry(VDEV) + VRING0 + 8, 1 << 16), "vring.num-too-large"),
    "align 0": (lambda image: image.word(image.entry(VDEV) + VRING0 + 4, 0), "vring.align-zero"),
    "align 3": (lambda image: image.word(image.entry(VDEV) + VRING0 + 4, 3), "vring.align-not-power-of-two"),
    "table nowhere": (lambda image: image.moved_table(), "table.one-core-only"),
}


@pytest.fixture
def broken(pair, tmp_path: Path) -> Callable[[Callable[[RemoteImage], bytes]], Path]:
    """The remote image with something changed, as a file."""

    def write(change: Callable[[RemoteImage], bytes]) -> Path:
        path = tmp_path / "broken.elf"
        path.write_bytes(change(RemoteImage(pair("demo").remote)))
        return path

    return write


def refusal(result) -> str:
    """The one line that says why; exit code 2."""
    assert result.exit_code == 2
    (line,) = (each for each in result.stderr.splitlines() if not each.startswith("Try "))
    return line.removeprefix("rptwin: error: ")


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_no_image_is_refused_by_name(rptwin, pair, broken, case):
    path = broken(case.broken)
    for arguments in (("inspect", path), ("run", pair("demo").main, path), ("run", path, pair("demo").remote)):
        message = refusal(rptwin(*arguments))
        assert message.startswith("broken.elf: ")
        assert case.message in message


@pytest.mark.parametrize(("change", "rule"), BROKEN_TABLES.values(), ids=BROKEN_TABLES)
def test_a_broken_table_is_one_cause_in_the_file_and_on_the_board(rptwin, pair, broken, tmp_path, change, rule):
    path, report = broken(change), tmp_path / "out.json"
    result = rptwin("inspect", path, "--json", report)
    assert result.exit_code == (0 if rule == "table.no-vdev" else 1)  # Linux loads an image without a vdev
    assert rule in [finding["rule"] for finding in json.loads(report.read_text())["findings"]]
    result = rptwin("run", "--quiet", pair("demo").main, path, "--json", report, "--timeout", "200 ms")
    assert result.exit_code == 1
    verdict = json.loads(report.read_text())["verdict"]
    assert [cause["rule"] for cause in verdict["findings"] if cause["because_of"] is None] == [rule]


def test_an_image_with_no_table_section_has_the_one_that_its_firmware_makes(rptwin, pair, broken):
    path = broken(lambda image: image.data.replace(b".resource_table\0", b".ordinary_table\0"))
    result = rptwin("run", "-v", pair("demo").main, path, "--timeout", "200 ms")
    assert result.exit_code == 0
    assert "table found: shared memory, where it was found at" in result.stdout


def test_a_table_that_nobody_works_with_is_not_taken(rptwin, pair, broken):
    path = broken(lambda image: image.data.replace(b".resource_table\0", b".ordinary_table\0"))
    result = rptwin("run", "--quiet", pair("crash-main").main, path, "--timeout", "200 ms")
    assert result.exit_code == 1
    assert "table.missing" in result.stdout


def test_a_table_is_found_by_symbol_and_by_address_where_it_has_no_section(rptwin, pair, broken):
    path = broken(lambda image: image.data.replace(b".resource_table\0", b".ordinary_table\0"))
    for locator in ("remote:resource_table", f"{TABLE_DA:#x}"):
        result = rptwin("run", "--quiet", pair("demo").main, path, "--table", locator)
        assert "RPTUN is up: no findings" in result.stdout


def test_a_segment_in_no_memory_is_named_with_the_static_report(rptwin, pair, broken):
    path = broken(lambda image: image.word(image.headers(28, 32, 44)[0] + 12, NOWHERE))
    result = rptwin("run", pair("demo").main, path)
    message = refusal(result)
    assert "segment 0x60000000..0x6" in message
    assert "does not lie in memory of cpu_cm4" in message
    assert "elf.segment-outside-memory" in result.stdout
    assert "Resource table" in result.stdout


def test_a_file_that_is_not_there_is_named(rptwin, pair):
    assert "nowhere.elf" in refusal(rptwin("run", pair("demo").main, "nowhere.elf"))


def test_a_core_that_never_starts_is_reported_with_what_the_other_did(rptwin, pair):
    images = pair("dead-remote")
    result = rptwin("run", images.main, images.remote)
    assert result.exit_code == 1
    assert "core.silent" in result.stdout
    assert "Cortex-M7 is up, waiting for the remote" in result.stdout


def test_a_fault_is_reported_with_registers_symbol_and_backtrace(rptwin, pair, tmp_path):
    images = pair("crash-main")
    result = rptwin("run", images.main, images.remote, "--json", tmp_path / "out.json")
    assert result.exit_code == 1
    assert "BusFault" in result.stdout
    assert "reads 4 bytes at 0x70000000, where this chip has nothing" in result.stdout
    assert "PRECISERR" in result.stdout
    assert "main+0x" in result.stdout


def test_an_unknown_platform_names_those_there_are(rptwin, pair):
    images = pair("demo")
    message = refusal(rptwin("run", "--platform", "stm32h7", images.main, images.remote))
    assert message.startswith("no such platform: expected ")
    assert " | stm32h745 | the path of a .repl file" in message
    assert message.endswith("found stm32h7")


@pytest.mark.parametrize(
    ("repl", "toml", "where"),
    [
        ("cpu: CPU.CortexM @ sysbus\n    cpuType: \n", "", "own.repl:"),
        ("this is no platform", "", "own.repl:1:"),
        ("", "", "own.repl"),
        ('cpu: CPU.CortexM @ sysbus\n    cpuType: "cortex-m7"\n', "[roles\n", "own.toml"),
    ],
    ids=["no value", "no grammar", "nothing", "toml"],
)
def test_an_error_in_a_platform_is_placed(rptwin, pair, tmp_path, repl, toml, where):
    (tmp_path / "own.repl").write_text(repl)
    if toml:
        (tmp_path / "own.toml").write_text(toml)
    images = pair("demo")
    message = refusal(rptwin("run", "--platform", tmp_path / "own.repl", images.main, images.remote))
    assert where in message


@pytest.mark.parametrize("option", ["--json", "--junit"])
@pytest.mark.parametrize("path", ["no/such/folder/report", "/dev/full", "."])
def test_a_report_that_cannot_be_written_is_an_error_after_the_verdict(rptwin, pair, option, path):
    images = pair("align3")
    result = rptwin("run", images.main, images.remote, option, path)
    assert path in refusal(result)
    assert "vring.align-not-power-of-two" in result.stdout
    assert "RPTUN is up, with errors: 1 error" in result.stdout


@pytest.mark.parametrize("handler", ["0xFFFFFFFF", "0x0", "0x60000000"])
def test_a_vector_table_that_is_none_ends_in_a_verdict(rptwin, pair, handler):
    """Booted from erased flash, from zeroed memory, from where nothing is: no run may hang."""
    images = pair("demo")
    at = {"0xFFFFFFFF": "0x081f0000", "0x0": "0x30000000", "0x60000000": "0x60000000"}[handler]
    result = rptwin("run", "--quiet", "--vtor", f"remote={at}", "--timeout", "100 ms", images.main, images.remote)
    assert result.exit_code == 1
    assert "RPTUN did not come up" in result.stdout


def test_firmware_that_resets_for_ever_is_a_finding_with_its_backtrace(rptwin, pair, tmp_path):
    source, image = tmp_path / "resets.c", tmp_path / "resets.elf"
    source.write_text(
        "extern unsigned stack_top;\n"
        "__attribute__((noinline)) static void give_up(void) { *(volatile unsigned *)0xE000ED0Cu = 0x05FA0004u; }\n"
        "static void start(void) { give_up(); for (;;) {} }\n"
        '__attribute__((section(".vectors"), used)) static const void *const vectors[] = {&stack_top, start};\n'
    )
    zig = Path(ziglang.__file__).parent / "zig"
    flags = ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m7", "-O1", "-g", "-nostdlib", "-fno-builtin")
    script = Path(__file__).resolve().parents[1] / "support" / "images" / "talker.ld"
    command = [str(each) for each in (zig, "cc", *flags, "-T", script, source, "-o", image)]
    subprocess.run(command, check=True, capture_output=True)
    report = tmp_path / "out.json"
    result = rptwin("run", "--timeout", "20 ms", "--json", report, image, pair("dead-remote").remote)
    assert result.exit_code == 1
    (finding,) = (
        each for each in json.loads(report.read_text())["verdict"]["findings"] if each["rule"] == "core.resets"
    )
    assert finding["because_of"] is None
    assert "resets of the chip" in finding["actual"]
    assert "give_up" in [str(each["symbol"]).partition("+")[0] for each in finding["backtrace"]]
    advice = "what asks for the reset finds the same after it: an assertion, a fault handler, a watchdog"
    assert finding["advice"] == advice


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x = 1 // 0", "broken.py:1: a script failed: ZeroDivisionError: "),
        ("x = 1\nwhile True: pass", "broken.py:2: a script failed: RuntimeError: still looping after 1,000,000 rounds"),
        ("request.Value = -1", "broken.py:1: a script failed: ValueError: Cannot convert int(-1) to UInt64"),
    ],
    ids=["raises", "loops", "value"],
)
def test_a_script_that_fails_ends_the_run_with_its_file_and_line(rptwin, pair, tmp_path, body, message):
    (tmp_path / "broken.py").write_text(body)
    (tmp_path / "own.repl").write_text(
        f'using "{PLATFORM}"\n'
        "broken: Python.PythonPeripheral @ sysbus 0x5F000000\n"
        '    size: 0x100\n    initable: true\n    filename: "broken.py"\n'
    )
    images = pair("demo")
    result = rptwin("run", "--platform", tmp_path / "own.repl", images.main, images.remote)
    assert message in refusal(result)


@pytest.mark.parametrize("access", [1, 2, 5, 10, 20, 40])
def test_a_script_that_fails_in_a_run_is_no_evidence_against_the_firmware(rptwin, pair, tmp_path, access):
    for name in ("stm32h745.repl", "stm32h745.toml"):
        shutil.copy(PLATFORM.parent / name, tmp_path / name)
    shutil.copytree(PLATFORM.parent / "stm32h745", tmp_path / "stm32h745")
    script = tmp_path / "stm32h745" / "hsem.py"
    counting = (
        f"if request.IsInit:\n    accesses = []\nelse:\n    accesses.append(1)\n    1 // (len(accesses) < {access})\n"
    )
    script.write_text(counting + script.read_text())
    images, out = pair("demo"), tmp_path / "out.json"
    result = rptwin("run", "--json", out, "--platform", tmp_path / "stm32h745.repl", images.main, images.remote)
    assert "hsem.py:5: a script failed: ZeroDivisionError: " in refusal(result)
    assert "did not" not in result.stdout
    assert ": no findings (" in result.stdout
    assert "Run ended: the engine failed at " in result.stdout
    assert json.loads(out.read_text())["verdict"]["findings"] == []
