"""What of a folder runs as code without being asked for, by the command line as a person types it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.platform import platforms_folder

SCRIPT = "x: Python.PythonPeripheral @ sysbus 0x50000000\n    size: 0x100\n    initable: true\n    filename: 'S'\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, firmware: Callable[[str], object]) -> Path:
    """A folder whose rptwin.toml names a platform of its own with a script that leaves a trace, and the demo pair."""
    pair = firmware("demo")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = tmp_path / "project"
    place.mkdir()
    monkeypatch.chdir(place)
    for name in ("stm32h745.repl", "stm32h745.toml"):
        (place / name).write_text((platforms_folder() / name).read_text())
    (place / "stm32h745").symlink_to(platforms_folder() / "stm32h745")
    for name in ("stm32h745.repl", "stm32h745.toml"):
        (place / name).rename(place / name.replace("stm32h745", "p"))
    (place / "p.repl").write_text((place / "p.repl").read_text() + "\n" + SCRIPT.replace("'S'", '"trace.py"'))
    (place / "trace.py").write_text(f"if request.IsInit:\n    open({str(tmp_path / 'ran')!r}, 'a').close()\n")
    images = f"main = {str(pair.main)!r}\nremote = {str(pair.remote)!r}\n"  # type: ignore[attr-defined]
    (place / "rptwin.toml").write_text(f"platform = 'p.repl'\n{images}".replace("'", '"'))
    return place


def rptwin(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], prog_name="rptwin")


def ran(folder: Path) -> bool:
    trace = folder.parent / "ran"
    there = trace.exists()
    trace.unlink(missing_ok=True)
    return there


def test_a_platform_that_only_the_folders_file_names_runs_when_it_is_trusted(folder: Path) -> None:
    refused = rptwin("run", "--quiet")
    assert (refused.exit_code, ran(folder)) == (2, False)
    assert "rptwin.toml: code or a path that only this folder names: expected --trust" in refused.stderr
    assert "trace.py (script of x)" in refused.stderr
    assert (rptwin("run", "--quiet", "--trust").exit_code, ran(folder)) == (0, True)


def test_trust_is_remembered_until_a_file_changes(folder: Path) -> None:
    assert rptwin("run", "--quiet", "--trust").exit_code == 0
    assert rptwin("run", "--quiet").exit_code == 0
    assert ran(folder)
    script = folder / "trace.py"
    script.write_text(script.read_text() + "\n")
    assert (rptwin("run", "--quiet").exit_code, ran(folder)) == (2, False)


def test_trust_is_of_one_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rptwin("run", "--quiet", "--trust").exit_code == 0
    ran(folder)
    other = folder.parent / "other"
    folder.rename(other)
    monkeypatch.chdir(other)
    assert (rptwin("run", "--quiet").exit_code, ran(folder)) == (2, False)


def test_what_others_could_have_written_is_not_remembered(folder: Path) -> None:
    assert rptwin("run", "--quiet", "--trust").exit_code == 0
    ran(folder)
    (folder.parent / "state" / "rptwin" / "trusted").chmod(0o777)
    assert (rptwin("run", "--quiet").exit_code, ran(folder)) == (2, False)


@pytest.mark.parametrize("named", [("--platform", "p.repl"), ("--config", "rptwin.toml")], ids=["platform", "config"])
def test_what_a_person_names_is_that_persons_choice(folder: Path, named: tuple[str, str]) -> None:
    assert (rptwin("run", "--quiet", *named).exit_code, ran(folder)) == (0, True)


def test_a_platform_of_rptwins_own_needs_no_trust(folder: Path) -> None:
    text = (folder / "rptwin.toml").read_text().replace('"p.repl"', '"stm32h745"')
    (folder / "rptwin.toml").write_text(text)
    assert rptwin("run", "--quiet").exit_code == 0


def test_inspect_runs_nothing_and_needs_no_trust(folder: Path) -> None:
    main_elf = (folder / "rptwin.toml").read_text().split('main = "')[1].split('"')[0]
    assert rptwin("inspect", main_elf).exit_code == 0
    assert not ran(folder)


def test_models_are_code_too(folder: Path) -> None:
    (folder / "p.repl").write_text((folder / "p.repl").read_text().replace(SCRIPT.replace("'S'", '"trace.py"'), ""))
    (folder / "p.repl").write_text((folder / "p.repl").read_text() + "x: A.B @ sysbus 0x50000000\n")
    (folder / "p.toml").write_text((folder / "p.toml").read_text() + '\n[models]\n"A.B" = "model.py"\n')
    (folder / "model.py").write_text(f"open({str(folder.parent / 'ran')!r}, 'a')\n")
    refused = rptwin("run", "--quiet")
    assert (refused.exit_code, ran(folder)) == (2, False)
    assert "model.py (model of A.B)" in refused.stderr


def test_a_renode_that_only_the_folder_names_is_not_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYRENODE_PKG", "PYRENODE_BIN", "PYRENODE_BUILD_DIR"):
        monkeypatch.delenv(name, raising=False)
    program = folder / "renode"
    program.write_text(f"#!/bin/sh\ntouch {folder.parent / 'ran'}\n")
    program.chmod(0o755)
    (folder / "rptwin.toml").write_text('engine = "renode"\n[renode]\nbinary = "renode"\n')
    refused = rptwin("run", "a.elf", "b.elf")
    assert (refused.exit_code, ran(folder)) == (2, False)
    assert f"{program} (rptwin.toml: [renode] binary)" in refused.stderr
    assert rptwin("doctor").exit_code == 0
    assert not ran(folder)


def test_a_report_is_written_outside_of_the_folder_only_when_somebody_says_so(folder: Path) -> None:
    text = (folder / "rptwin.toml").read_text().replace('"p.repl"', '"stm32h745"')
    (folder / "rptwin.toml").write_text(f'{text}json = "../out.json"\n')
    refused = rptwin("run", "--quiet")
    assert refused.exit_code == 2
    assert "json is written to ../out.json" in refused.stderr
    assert not (folder.parent / "out.json").exists()
    assert rptwin("run", "--quiet", "--json", "../out.json").exit_code == 0
    assert (folder.parent / "out.json").exists()


@pytest.mark.parametrize("output", ["--json", "--junit"])
def test_no_report_is_written_over_an_input(folder: Path, output: str) -> None:
    image = folder / "main.elf"
    original = Path((folder / "rptwin.toml").read_text().split('main = "')[1].split('"')[0]).read_bytes()
    image.write_bytes(original)
    os.link(image, folder / "alias")
    refused = rptwin("run", "--quiet", "--platform", "stm32h745", image, image, output, "alias")
    assert refused.exit_code == 2
    assert "would be written over a file that is in use already" in refused.stderr
    assert image.read_bytes() == original
    assert rptwin("inspect", image, "--json", "alias").exit_code == 2 or output == "--junit"
    assert rptwin("record", image, image, "-o", "alias").exit_code == 2
    assert image.read_bytes() == original


def test_two_reports_are_two_files(folder: Path) -> None:
    refused = rptwin("run", "--quiet", "--platform", "stm32h745", "--json", "x", "--junit", "./x")
    assert "junit ./x: would be written over a file that is in use already: found x" in refused.stderr
