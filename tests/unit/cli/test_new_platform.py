"""``rptwin new-platform``: what it writes, and what it refuses. Booting it is an integration test."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main, new_platform
from orchestrator.platform import load_platform
from orchestrator.platform.script_lint import lint_script

FILES = [
    "chip.repl",
    "chip.toml",
    "chip/mailbox.py",
    "smoke/Makefile",
    "smoke/main.elf",
    "smoke/main.ld",
    "smoke/remote.elf",
    "smoke/remote.ld",
    "smoke/smoke.c",
    "smoke/smoke.ld",
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["new-platform", *arguments], prog_name="rptwin")


def error_of(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    (line,) = result.stderr.splitlines()
    return line.removeprefix("rptwin: error: ")


def test_everything_is_in_a_folder_of_the_platforms_name(tmp_path: Path) -> None:
    result = invoke("chip")
    assert result.exit_code == 0, result.output
    assert written(tmp_path / "chip") == FILES
    assert [line for line in result.stdout.splitlines() if line.startswith("chip/")] != []
    assert "rptwin run --platform chip/chip.repl chip/smoke/main.elf chip/smoke/remote.elf" in result.stdout


def test_the_folder_may_be_there_with_other_things_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    (folder / "notes").write_text("mine")
    result = invoke("chip", "-o", "a b")
    assert result.exit_code == 0, result.output
    assert written(folder) == sorted([*FILES, "notes"])
    assert "--platform 'a b/chip.repl' 'a b/smoke/main.elf'" in result.stdout


def test_no_file_speaks_of_another_name(tmp_path: Path) -> None:
    assert invoke("chip").exit_code == 0
    assert [
        each for each in (tmp_path / "chip").rglob("*") if each.is_file() and b"skeleton" in each.read_bytes()
    ] == []


def test_the_script_passes_the_lint_and_the_platform_loads_without_a_remark(tmp_path: Path) -> None:
    assert invoke("chip").exit_code == 0
    script = tmp_path / "chip" / "chip" / "mailbox.py"
    assert lint_script(script.read_text(), script.name) == ()
    platform = load_platform(tmp_path / "chip" / "chip.repl")
    assert (platform.name, platform.notes) == ("chip", ())
    assert {role: platform.core(role).name for role in ("main", "remote")} == {
        "main": "cpu_main",
        "remote": "cpu_remote",
    }


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a b", "1chip", "a.repl", "-", "ü", "a" * 65])
def test_what_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    assert error_of(invoke("--", name)) == (
        f"not a name for a platform: expected a letter, then letters, digits or _, found {name!r}"
    )
    assert written(tmp_path) == []


@pytest.mark.parametrize("name", ["nrf5340", "skeleton"])
def test_a_name_that_rptwin_uses_itself_is_refused(name: str, tmp_path: Path) -> None:
    assert error_of(invoke(name)).startswith(f"rptwin has a platform of this name: found {name}")
    assert written(tmp_path) == []


@pytest.mark.parametrize("taken", ["chip.toml", "smoke/main.elf"])
def test_a_file_in_the_way_is_named_and_kept_and_nothing_is_written(taken: str, tmp_path: Path) -> None:
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("mine")
    assert error_of(invoke("chip", "-o", ".")) == f"{taken}: is there already; name another folder with -o"
    assert written(tmp_path) == [taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_a_link_to_nowhere_is_in_the_way_too(tmp_path: Path) -> None:
    (tmp_path / "chip.toml").symlink_to(tmp_path / "nowhere")
    assert error_of(invoke("chip", "-o", ".")) == "chip.toml: cannot be written (File exists)"
    assert os.listdir(tmp_path) == ["chip.toml"]  # noqa: PTH208  # a Path would follow it


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert error_of(invoke("chip", "-o", "file/deeper")) == "file/deeper: cannot be written (Not a directory)"
    assert written(tmp_path) == ["file"]


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def full(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == "remote.elf" and arguments == ("xb",):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", full)
    assert error_of(invoke("chip", "-o", "deep/er")) == (
        "deep/er/smoke/remote.elf: cannot be written (No space left on device)"
    )
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # folders that were made are gone as well


def test_images_that_are_not_built_say_how_to_build_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = new_platform.platforms_folder()
    bare = tmp_path / "platforms" / "skeleton"
    for name in new_platform.SOURCES:
        (bare / name).parent.mkdir(parents=True, exist_ok=True)
        (bare / name).write_bytes((source / "skeleton" / name).read_bytes())
    monkeypatch.setattr(new_platform, "platforms_folder", lambda: tmp_path / "platforms")
    monkeypatch.chdir(tmp_path)
    assert error_of(invoke("chip")).endswith(
        "the smoke firmware is not built; `python hatch_build.py` in the checkout builds it"
    )
    assert not (tmp_path / "chip").exists()
