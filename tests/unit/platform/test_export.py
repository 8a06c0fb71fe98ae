"""A platform for plain Renode: the same platform when it is read again, and a script that loads and boots it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import PlatformError
from orchestrator.cli import main
from orchestrator.platform import Platform, load_platform
from orchestrator.platform.export import export, inlined, named
from orchestrator.platform.repl import parse_repl
from orchestrator.platform.syntax import Literal, Property

CORE = """cpu: CPU.CortexM @ sysbus
    cpuType: "cortex-m7"
    nvic: nvic
nvic: IRQControllers.NVIC @ sysbus new Bus.BusPointRegistration { address: 0xE000E000; cpu: cpu }
    -> cpu@0
"""


def meaning(platform: Platform) -> object:
    """All of a platform but the places in files and the names of scripts."""

    def placeless(each: object) -> object:
        return dataclasses.replace(each, source=None)  # type: ignore[type-var]

    return (
        [placeless(each) for each in platform.cores],
        [placeless(each) for each in platform.regions],
        [
            dataclasses.replace(each, source=None, script_name=None, attributes={**each.attributes, **SCRIPT_KEYS})
            for each in platform.peripherals
        ],
        platform.roles,
        platform.consoles,
        platform.mailboxes,
        platform.tags,
    )


SCRIPT_KEYS = {"filename": None, "script": None}


def written(platform: Platform, folder: Path) -> Platform:
    """What is read from the exported files, with the settings of the original."""
    for name, text in export(platform).items():
        (folder / name).write_text(text)
    settings = platform.path.with_suffix(".toml")
    if settings.exists():
        (folder / settings.name).write_text(settings.read_text())
    return load_platform(folder / f"{platform.name}.repl")


def platform_of(folder: Path, text: str, **files: str) -> Platform:
    folder.mkdir()
    (folder / "p.repl").write_text(CORE + text)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return load_platform(folder / "p.repl")


def refused(platform: Platform) -> str:
    with pytest.raises(PlatformError) as caught:
        export(platform)
    return str(caught.value)


@pytest.mark.parametrize("name", ["stm32h745", "mps2_an521"])
def test_an_exported_chip_is_the_same_platform_without_a_file_beside_it(tmp_path: Path, name: str) -> None:
    original = load_platform(name)
    assert meaning(written(original, tmp_path)) == meaning(original)
    assert "filename" not in (tmp_path / f"{name}.repl").read_text()


@pytest.mark.parametrize("name", ["stm32h745", "nrf5340", "mps2_an521"])
def test_all_but_scripts_and_tags_keeps_its_text(name: str) -> None:
    original = load_platform(name)
    kept = [line for line in original.path.read_text().splitlines() if "filename:" not in line and "Tag <" not in line]
    lines = iter(export(original)[f"{name}.repl"].splitlines())
    assert all(line in lines for line in kept)  # each in this order


FRONTED = """uart: UART.Some @ {
        sysbus new Bus.BusPointRegistration { address: 0x1000; cpu: cpu };
        sysbus <0x2000, +0x800>
    }
    IRQ -> nvic@5
ram: Memory.MappedMemory @ sysbus 0x20000000
    size: 0x100
rom: Memory.MappedMemory @ sysbus 0x0
    size: 0x100
"""


def fronted(folder: Path, script: str) -> Platform:
    """A UART that a script stands in front of."""
    settings = '[regions.rom]\nwritable = false\n[renode]\n"UART.Some" = "front.py"\n'
    return platform_of(folder, FRONTED, p_toml=settings, front_py=script)


def test_a_script_stands_where_the_model_behind_it_was_and_knows_what_it_was_wired_to(tmp_path: Path) -> None:
    exported = export(fronted(tmp_path / "in", "x = 1\n"))["p.repl"]
    assert exported.endswith(
        """
uart: @ sysbus
    IRQ -> none

uart_registers: Python.PythonPeripheral @ {
        sysbus new Bus.BusPointRegistration { address: 0x00001000; cpu: cpu };
        sysbus new Bus.BusRangeRegistration { range: <0x00002000, +0x800> }
    }
    size: 0x400
    initable: true
    script: '''MODEL = 'sysbus.uart'
LINES = (('sysbus.nvic', 5),)
CORE = 'sysbus.cpu'
RAM = ((536870912, 536871168),)
x = 1
'''
    init:
        Reset
"""
    )
    parse_repl(exported, "p.repl")


def test_a_script_that_cannot_stand_in_front_is_refused(tmp_path: Path) -> None:
    assert refused(fronted(tmp_path / "in", "x = '''a'''\n")).startswith("front.py:5:5: ''' in a script")


def test_a_script_is_found_by_its_property_and_not_by_its_text(tmp_path: Path) -> None:
    text = (
        "// filename: not one\n"
        'a: Python.PythonPeripheral @ sysbus 0x1000 { size: 4; filename /* or */ : "a.py" }\n'
        "b: Python.PythonPeripheral @ sysbus 0x2000\n    size: 4\n    filename: '''a.py'''\n"
        'c: Some.Other @ sysbus 0x3000\n    filename: "c.bin"\n'
    )
    original = platform_of(tmp_path / "in", text, a_py="x = 'filename: \"a.py\"'\n")
    (exported,) = (text for name, text in export(original).items() if name == "p.repl")
    assert exported.count("script: '''x = 'filename: \"a.py\"'\n'''") == 2
    assert 'filename: "c.bin"' in exported
    assert "// filename: not one" in exported
    assert meaning(written(original, tmp_path)) == meaning(original)


def test_files_that_a_description_uses_come_along(tmp_path: Path) -> None:
    (tmp_path / "base.repl").write_text('using "sub/deep.repl"\nram: Memory.MappedMemory @ sysbus 0x0\n    size: 16\n')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep.repl").write_text("rom: Memory.MappedMemory @ sysbus 0x100\n    size: 16\n")
    (tmp_path / "p.repl").write_text('using "base.repl"\n' + CORE)
    original = load_platform(tmp_path / "p.repl")
    files = export(original)
    assert list(files) == ["deep.repl", "base.repl", "p.repl", "p.resc", "p.robot"]
    assert files["p.repl"].startswith('using "./base.repl"\n')
    assert files["base.repl"].startswith('using "./deep.repl"\n')
    (tmp_path / "out").mkdir()
    assert meaning(written(original, tmp_path / "out")) == meaning(original)


def test_a_script_that_a_later_entry_gives_is_put_inside_too(tmp_path: Path) -> None:
    (tmp_path / "base.repl").write_text("d: Python.PythonPeripheral @ sysbus 0x1000\n    size: 4\n")
    (tmp_path / "d.py").write_text("x = 1\n")
    (tmp_path / "p.repl").write_text('using "base.repl"\n' + CORE + 'd:\n    filename: "d.py"\n')
    assert "d:\n    script: '''x = 1\n'''\n" in export(load_platform(tmp_path / "p.repl"))["p.repl"]


def test_a_prefix_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "base.repl").write_text("ram: Memory.MappedMemory @ sysbus 0x0\n    size: 16\n")
    (tmp_path / "p.repl").write_text('using "base.repl" prefixed "a_"\n' + CORE)
    assert refused(load_platform(tmp_path / "p.repl")) == "p.repl:1:1: a prefix, which releases of Renode refuse"


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder, name, address in (("x", "rom", 0), ("y", "ram", 256)):
        (tmp_path / folder).mkdir()
        text = f"{name}: Memory.MappedMemory @ sysbus {address}\n    size: 16\n"
        (tmp_path / folder / "part.repl").write_text(text)
    (tmp_path / "p.repl").write_text('using "x/part.repl"\nusing "y/part.repl"\n' + CORE)
    assert refused(load_platform(tmp_path / "p.repl")).startswith("part.repl: two files of one name: found ")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("x = 1\ny = '\\n'\n", "a.py:2:6: a backslash in a script; Renode reads scripts inside ''' quotes"),
        ("x = '''a'''\n", "a.py:1:5: ''' in a script; Renode reads"),
        ("x = 1\ny = 2", "a.py:2: the last line of a script does not end"),
    ],
)
def test_a_script_that_cannot_stand_in_a_description_is_refused(tmp_path: Path, script: str, message: str) -> None:
    text = 'a: Python.PythonPeripheral @ sysbus 0x1000\n    size: 4\n    filename: "a.py"\n'
    assert refused(platform_of(tmp_path / "in", text, a_py=script)).startswith(message)


SCRIPTS = st.text(st.characters(exclude_characters="\\\r", exclude_categories=["Cs"]))


@given(SCRIPTS.filter(lambda text: "'''" not in text))
def test_any_other_script_is_read_back_as_it_was(text: str) -> None:
    script = text + "\n"
    (entry,) = parse_repl(f"a: T @ none\n    script: {inlined(script, 'a.py')}\n", "p.repl").entries
    (attribute,) = entry.attributes
    assert isinstance(attribute, Property)
    assert isinstance(attribute.value, Literal)
    assert attribute.value.value == script


def overriding(text: str) -> list[tuple[str, int, int]]:
    """Name, first and last address of the tags that answer whatever is registered."""
    found = re.findall(r'Tag <(\w+), (\w+)> "(.*?)" \w+ false false true', text)
    return [(name, int(first, 16), int(last, 16)) for first, last, name in found]


@pytest.mark.parametrize("name", ["stm32h745", "nrf5340", "mps2_an521"])
def test_each_tag_answers_where_accesses_to_nothing_fault(name: str) -> None:
    original = load_platform(name)
    files = export(original)
    assert overriding(files[f"{name}.repl"]) == [(tag, at.start, at.end - 1) for tag, at, _ in original.tags]
    assert "sysbus UnhandledAccessBehaviour ThrowException\n" in files[f"{name}.resc"]


def test_a_tag_leaves_out_what_is_there_and_what_a_later_tag_says(tmp_path: Path) -> None:
    text = (
        "ram: Memory.MappedMemory @ sysbus 0x1000\n    size: 0x100\n"
        "uart: UART.STM32F7_USART @ sysbus 0x1400\n    frequency: 1\n"
        "sysbus:\n    init:\n"
        '        Tag <0xF00, 0x1FFF> "OUTER" 0x7\n'
        '        Tag <0x1C00, 0x1CFF> "LATER"\n'
        '        Tag <0x1000, 0x10FF> "HIDDEN"\n'
    )
    text = export(platform_of(tmp_path / "in", text))["p.repl"]
    outer = [("OUTER", 0xF00, 0xFFF), ("OUTER", 0x1100, 0x13FF), ("OUTER", 0x1800, 0x1BFF), ("OUTER", 0x1D00, 0x1FFF)]
    assert overriding(text) == [*outer, ("LATER", 0x1C00, 0x1CFF)]
    assert text.count('> "OUTER" 0x7 ') == 4
    assert '        Tag <0x1000, 0x10FF> "HIDDEN"\n' in text


def test_a_model_of_a_size_unknown_here_has_what_follows_it_in_a_tag(tmp_path: Path) -> None:
    text = 'other: Some.Model @ sysbus 0x1800\nsysbus:\n    init:\n        Tag <0x1000, 0x1FFF> "BLOCK"\n'
    text = export(platform_of(tmp_path / "in", text))["p.repl"]
    assert overriding(text) == [("BLOCK", 0x1000, 0x17FF)]


def test_a_tag_with_a_comment_inside_is_refused_with_its_place(tmp_path: Path) -> None:
    text = 'sysbus:\n    init:\n        Tag <0x1000, 0x1FFF> /* all */ "BLOCK"\n'
    place = CORE.count("\n") + 3
    assert refused(platform_of(tmp_path / "in", text)).startswith(f"p.repl:{place}:9: a comment inside a tag")


def test_what_was_exported_has_the_same_tags_when_it_is_read_again(tmp_path: Path) -> None:
    original = load_platform("mps2_an521")
    assert written(original, tmp_path).tags == original.tags


def test_the_resc_loads_boots_and_shows_both_cores() -> None:
    lines = export(load_platform("stm32h745"), quantum_ns=5_000)["stm32h745.resc"].splitlines()
    for line in (
        "$main?=@main.elf",
        "$remote?=@remote.elf",
        "machine LoadPlatformDescription $ORIGIN/stm32h745.repl",
        "emulation SetGlobalSerialExecution True",
        'emulation SetGlobalQuantum "0.000005000"',
        "showAnalyzer usart3",
        "showAnalyzer usart2",
    ):
        assert line in lines
    begin, end = (number for number, line in enumerate(lines) if line == '"""')
    assert lines[begin - 1] == "macro reset"
    assert lines[begin + 1 : end] == [
        "    cpu_cm7 InitVectorTableOffset 0x08000000",
        "    cpu_cm4 InitVectorTableOffset 0x08100000",
        "    sysbus LoadELF $main cpu=cpu_cm7",
        "    sysbus LoadELF $remote cpu=cpu_cm4",
    ]
    assert lines[end + 1 :] == ["runMacro $reset"]


def test_a_platform_with_one_core_and_no_console_loads_one_image(tmp_path: Path) -> None:
    text = export(platform_of(tmp_path / "in", ""))["p.resc"]
    assert "$remote" not in text
    assert "showAnalyzer" not in text


def rptwin(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(each) for each in arguments], prog_name="rptwin")
    return result.exit_code, result.stdout, result.stderr


def test_a_script_may_stand_by_its_file_so_that_every_line_of_the_description_stays_where_it_was(
    tmp_path: Path,
) -> None:
    (tmp_path / "p.repl").write_text(
        CORE + 'a: Python.PythonPeripheral @ sysbus 0x50000000\n    size: 0x100\n    filename: "a.py"\n'
        'b: Python.PythonPeripheral @ sysbus 0x50001000\n    size: 0x100\n    filename: "b.py"\n'
    )
    (tmp_path / "p.toml").write_text("")
    (tmp_path / "a.py").write_text("if request.IsRead:\n    request.Value = 1\n")
    (tmp_path / "b.py").write_text("# 5 \u00b5s\n", encoding="utf-8")  # IronPython 2 would not read that file
    text = export(load_platform(str(tmp_path / "p.repl")), scripts=named)["p.repl"]
    written = (tmp_path / "p.repl").read_text().splitlines()
    first = written.index('    filename: "a.py"')
    assert text.splitlines()[: first + 1] == [*written[:first], f'    filename: "{tmp_path / "a.py"}"']
    assert "    script: '''# 5 \u00b5s" in text


def test_the_command_writes_what_the_engine_uses(tmp_path: Path) -> None:
    code, out, _ = rptwin("export-renode", "stm32h745", "-o", tmp_path / "a" / "b")
    assert code == 0
    for name, text in export(load_platform("stm32h745")).items():
        assert (tmp_path / "a" / "b" / name).read_bytes() == text.encode()
        assert str(tmp_path / "a" / "b" / name) in out


@pytest.mark.parametrize(
    ("platform", "folder", "message"),
    [
        ("stm32", "out", "no such platform: expected "),
        ("p.repl", ".", ".: the folder of the platform itself; name another one"),
        ("p.repl", "p.toml/x", "p.toml/x: cannot be written (Not a directory)"),
        ("missing.repl", "out", "missing.repl: cannot be read (No such file or directory)"),
    ],
)
def test_the_command_says_in_a_line_why_it_could_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, folder: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.repl").write_text(CORE)
    (tmp_path / "p.toml").write_text("")
    code, out, error = rptwin("export-renode", platform, "-o", folder)
    assert (code, out) == (2, "")
    assert error.startswith(f"rptwin: error: {message}")
    assert error.count("\n") == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["p.repl", "p.toml"]
