"""The build hook, the wheel's contents and the Makefile's messages; ``.ci/run`` installs a real wheel elsewhere."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NATIVE = Path("orchestrator/engines/unicorn/native")
PLUGIN = Path("orchestrator/engines/qemu/native")
READER = Path("orchestrator/engines/common/c_structs.py")
SMOKE = Path("platforms/skeleton/smoke")
HOOKS = ("core_on_code", "core_on_exception", "core_on_invalid")


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # outside of sys.modules, as hatchling does
    return module


def tree(folder: Path) -> Path:
    """As much of the checkout as the native part needs."""
    for source in (NATIVE, PLUGIN):
        shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / READER).parent.mkdir(parents=True)
    shutil.copy(ROOT / READER, folder / READER)
    shutil.copytree(ROOT / SMOKE, folder / SMOKE, ignore=shutil.ignore_patterns("*.elf"))
    return folder


def build_data() -> dict[str, Any]:
    return {"artifacts": [], "force_include": {}}


def initialize(hook: ModuleType, root: Path, version: str) -> dict[str, Any]:
    data = build_data()
    hook.CustomBuildHook.initialize(SimpleNamespace(root=str(root)), version, data)
    return data


def test_the_native_part_is_the_same_bytes_from_any_folder(hook: ModuleType, tmp_path: Path) -> None:
    roots = [tree(tmp_path / "a"), tree(tmp_path / "b" / "deeper")]
    libraries = [(root / hook.compile_native(root, hook.this_host())).read_bytes() for root in roots]
    assert libraries[0] == libraries[1]
    assert str(tmp_path).encode() not in libraries[0]


def test_the_native_part_loads_and_has_the_hooks_of_the_engine(hook: ModuleType, tmp_path: Path) -> None:
    root = tree(tmp_path / "a")
    library = ctypes.CDLL(str(root / hook.compile_native(root, hook.this_host())))
    assert all(hasattr(library, name) for name in HOOKS)


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_every_host_gets_a_library_named_as_it_names_them(hook: ModuleType, tmp_path: Path, system: str) -> None:
    root = tree(tmp_path / "a")
    suffix, magic = {"Linux": (".so", b"\x7fELF"), "Darwin": (".dylib", b"\xcf\xfa\xed\xfe")}[system]
    for (name, _), host in hook.HOSTS.items():
        if name == system:
            library = root / hook.compile_native(root, host)
            assert library.name == f"libhook{suffix}"
            assert library.read_bytes().startswith(magic)


def test_windows_accepts_the_source(hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled and not linked: a link makes the compiler build all of MinGW's runtime, which takes minutes."""
    run = hook._run

    def compile_each(command: list[str], folder: Path, text: str) -> None:
        sources = [each for each in command if each.endswith(".c")]
        others = [each for each in command if each not in ("-shared", "-s", *sources)]
        assert len(sources) > 1
        for source in sources:  # an object file holds one of them; the check of the header comes with none
            stdin = others.index("-x")
            run([*others[:stdin], *others[stdin + 3 :], "-c", source], folder)
        run([*others, "-c"], folder, text)

    monkeypatch.setattr(hook, "_run", compile_each)
    root = tree(tmp_path / "a")
    library = root / hook.compile_native(root, hook.HOSTS["Windows", "AMD64"])
    assert library.name == "libhook.dll"
    assert library.read_bytes().startswith(b"\x64\x86")  # COFF, AMD64


def test_a_host_without_a_native_part_is_named(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook.platform, "machine", lambda: "vax")
    with pytest.raises(hook.BuildError, match="no native part for Linux vax: expected one of Linux x86_64"):
        hook.this_host()


def test_source_that_does_not_compile_shows_what_the_compiler_says(hook: ModuleType, tmp_path: Path) -> None:
    root = tree(tmp_path / "a")
    (root / NATIVE / "broken.c").write_text("int broken(void) { return }\n")
    with pytest.raises(hook.BuildError, match=r"broken\.c:1:\d+: error:"):
        hook.compile_native(root, hook.this_host())


def test_an_editable_install_gets_the_native_part_and_the_smoke_pair(hook: ModuleType, tmp_path: Path) -> None:
    root = tree(tmp_path / "a")
    assert initialize(hook, root, "editable") == build_data()
    assert (root / NATIVE.parent / "_native" / hook.this_host().library).exists()
    assert sorted(each.name for each in (root / SMOKE).glob("*.elf")) == ["main.elf", "remote.elf"]


def test_a_wheel_holds_the_native_part_the_platforms_and_the_demo_pair(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(tmp_path / "a")
    built = []
    monkeypatch.setattr(
        hook, "build_demo", lambda root: built.append(root) or (Path("x/main.elf"), Path("x/remote.elf"))
    )
    data = initialize(hook, root, "standard")
    assert built == [root]
    assert data["pure_python"] is False
    assert data["tag"] == f"py3-none-{hook.this_host().tag}"
    plugin = ["orchestrator/engines/qemu/_native/libturns.so"] if sys.platform == "linux" else []
    assert data["artifacts"] == [f"orchestrator/engines/unicorn/_native/{hook.this_host().library}", *plugin]
    assert {Path(source).relative_to(root).as_posix(): target for source, target in data["force_include"].items()} == {
        "x/main.elf": "orchestrator/demo/main.elf",
        "x/remote.elf": "orchestrator/demo/remote.elf",
        "platforms": "orchestrator/platforms",
    }


def test_the_demo_is_built_with_the_interpreter_that_has_the_compiler(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []
    monkeypatch.setattr(hook, "_run", lambda command, folder: commands.append(command))
    elves = hook.build_demo(ROOT)
    assert commands == [["make", "-C", "firmware", f"PYTHON={sys.executable}", "demo"]]
    assert [elf.as_posix() for elf in elves] == [
        "firmware/build/stm32h745/demo/main.elf",
        "firmware/build/stm32h745/demo/remote.elf",
    ]


def test_without_make_the_one_line_that_installs_it_is_said(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook.shutil, "which", lambda name: None)
    with pytest.raises(hook.BuildError, match="sudo apt-get install make"):
        hook.build_demo(ROOT)


def test_the_compiler_that_builds_is_the_one_that_is_tested_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (wanted,) = (each for each in project["build-system"]["requires"] if each.startswith("ziglang"))
    assert wanted in project["dependency-groups"]["build"]


def make(folder: Path, python: Path | str) -> subprocess.CompletedProcess[str]:
    """``make .venv/.pip`` of a copy of the Makefile, as on a fresh machine."""
    shutil.copy(ROOT / "Makefile", folder)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    command = ["make", "--no-print-directory", ".venv/.pip", f"PYTHON={python}"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def interpreter(folder: Path, script: str) -> Path:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_machine_without_python_is_told_what_to_install(tmp_path: Path) -> None:
    done = make(tmp_path, "no-such-python")
    assert done.returncode != 0
    assert "there is no no-such-python; on Debian: sudo apt-get install python3 python3-venv" in done.stdout


def test_an_old_python_is_named_with_its_version(tmp_path: Path) -> None:
    done = make(tmp_path, interpreter(tmp_path, '[ "$1" = -V ] && echo "Python 3.9.2" && exit 0\nexit 1'))
    assert done.returncode != 0
    assert "rptwin needs Python 3.11 or newer, and" in done.stdout
    assert "is Python 3.9.2; name another: make PYTHON=python3.11" in done.stdout


def test_a_machine_without_venv_is_told_what_to_install(tmp_path: Path) -> None:
    lacking = interpreter(tmp_path, f'case "$2" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"')
    done = make(tmp_path, lacking)
    assert done.returncode != 0
    assert "cannot make a virtual environment; on Debian: sudo apt-get install python3-venv" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_no_target_calls_a_system_package_manager() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    calls = [line for line in lines if "apt-get" in line and "echo" not in line]
    assert calls == []
