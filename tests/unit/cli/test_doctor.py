"""``rptwin doctor``: what it finds, what it says of what is missing, and when it fails."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.base.errors import EngineError
from orchestrator.cli import doctor, main
from orchestrator.cli.doctor import Part, State, command
from orchestrator.engines.renode import discovery, installed

COLUMNS, LINES = 80, 24


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with nothing on PATH and no Renode named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    for name in ("PYRENODE_RUNTIME", "PYRENODE_PKG", "PYRENODE_BIN", "PYRENODE_BUILD_DIR", "DOTNET_ROOT"):
        monkeypatch.delenv(name, raising=False)


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def build_of_renode(folder: Path) -> Path:
    binaries = folder / "renode" / "output" / "bin" / "Release"
    binaries.mkdir(parents=True)
    options = {"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": "10.0.0"}}}
    (binaries / "Renode.runtimeconfig.json").write_text(json.dumps(options))
    (folder / "renode" / "tools").mkdir()
    (folder / "renode" / "tools" / "version").write_text("1.16.1\n")
    return folder / "renode"


def diagnosis() -> tuple[int, str]:
    result = CliRunner().invoke(main, ["doctor"], prog_name="rptwin")
    return result.exit_code, result.stdout


def line_of(text: str, name: str) -> str:
    """The line of a part, its blanks made single."""
    return next(" ".join(line.split()) for line in text.splitlines() if line.split()[:1] == [name])


def test_a_machine_without_renode_is_fit_and_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_pyrenode", lambda: None)
    code, text = diagnosis()
    assert code == 0
    assert line_of(text, "unicorn").startswith("unicorn ok ")
    assert line_of(text, "renode") == "renode missing none is named"
    assert discovery.PYRENODE_INSTALL in [line.strip() for line in text.splitlines()]
    for name in ("qemu", "arm-none-eabi-gcc", "dpdk-testpmd"):
        assert line_of(text, name).startswith(f"{name} missing ")
    assert text.count("sudo apt-get install ") == 3


def test_the_page_fits_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_pyrenode", lambda: None)
    _, text = diagnosis()
    assert sum(math.ceil(len(line) / COLUMNS) for line in text.splitlines()) < LINES


def test_a_default_engine_that_does_not_work_is_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise EngineError("the native part is missing", where="engine unicorn")

    monkeypatch.setattr(doctor, "create_engine", refuse)
    code, text = diagnosis()
    assert code == 2
    assert line_of(text, "unicorn") == "unicorn broken engine unicorn: the native part is missing"
    assert "install rptwin again" in text


def test_a_renode_with_all_that_it_needs_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRENODE_BUILD_DIR", str(build_of_renode(tmp_path)))
    monkeypatch.setenv("DOTNET_ROOT", str(tmp_path / "dotnet"))
    (tmp_path / "dotnet" / "shared" / "Microsoft.NETCore.App" / "10.0.3").mkdir(parents=True)
    (tmp_path / "pyrenode3.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    code, text = diagnosis()
    assert code == 0
    assert line_of(text, "renode") == f"renode ok 1.16.1, {tmp_path / 'renode'} (PYRENODE_BUILD_DIR)"
    assert line_of(text, "pyrenode3").startswith("pyrenode3 ok ")
    assert line_of(text, ".NET") == ".NET ok 10.0.3"
    assert line_of(text, "self-test").startswith(f"self-test broken {tmp_path / 'renode'}: Renode cannot be loaded: ")
    assert "pyrenode3" not in sys.modules


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ([], "self-test ok boots a board; a store, an interrupt and a line of its log are seen"),
        (["no store is told", "no interrupt is told"], "self-test broken no store is told; no interrupt is told"),
    ],
)
def test_what_the_self_test_of_a_renode_misses_is_said(
    monkeypatch: pytest.MonkeyPatch, missing: list[str], line: str
) -> None:
    monkeypatch.setattr(doctor, "discover", lambda: None)
    monkeypatch.setattr(doctor, "self_test", lambda: missing)
    code, text = diagnosis()
    assert code == 0
    assert line_of(text, "self-test") == line
    assert (f"    rptwin was tried with Renode {installed.TRIED}" in text.splitlines()) is bool(missing)


def test_a_net_that_is_too_old_for_this_renode_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRENODE_BUILD_DIR", str(build_of_renode(tmp_path)))
    monkeypatch.setenv("DOTNET_ROOT", str(tmp_path / "dotnet"))
    (tmp_path / "dotnet" / "shared" / "Microsoft.NETCore.App" / "8.0.0").mkdir(parents=True)
    monkeypatch.setattr(doctor, "find_pyrenode", lambda: "0.1")
    monkeypatch.setattr(discovery, "has_pyrenode", lambda: True)
    _, text = diagnosis()
    assert line_of(text, ".NET").startswith(".NET broken .NET: no runtime for this Renode: expected 10.0.0 or newer")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            '[renode]\npackage = "nowhere"\n',
            "rptwin.toml: [renode] package: cannot be read (No such file",
        ),
        (
            "[renode]\nport = 3\n",
            "rptwin.toml: [renode]: unknown key: expected package | binary | build-dir",
        ),
        ("= 1\n", "rptwin.toml: not TOML"),
    ],
)
def test_a_renode_named_wrongly_is_said_and_harms_nothing_else(tmp_path: Path, settings: str, message: str) -> None:
    (tmp_path / "rptwin.toml").write_text(settings)
    code, text = diagnosis()
    assert code == 0
    assert line_of(text, "renode").startswith(f"renode broken {message}")


def test_a_command_says_its_own_version(tmp_path: Path) -> None:
    tool(tmp_path, "x", 'echo "QEMU emulator version 7.2.15 (Debian 1:7.2+dfsg-7)"')
    assert command("x", "p") == Part("x", State.OK, "7.2.15")
    assert command("x", "p", version=None) == Part("x", State.OK, "found")


@pytest.mark.parametrize("script", ["exit 3", "kill -9 $$"])
def test_a_command_that_fails_is_broken(tmp_path: Path, script: str) -> None:
    tool(tmp_path, "x", script)
    part = command("x", "p")
    assert (part.state, part.advice) == (State.BROKEN, "sudo apt-get install --reinstall p")


def test_a_command_that_hangs_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_LONGEST_S", 0.05)
    tool(tmp_path, "x", "while :; do :; done")
    assert command("x", "p").state is State.BROKEN
