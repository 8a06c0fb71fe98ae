"""Finding Renode before anything of it is imported: who wins, what is refused, what is said to be missing."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from orchestrator.base.errors import EngineError, UsageError
from orchestrator.engines.renode import discovery
from orchestrator.engines.renode.discovery import discover, find_dotnet, find_pyrenode, find_renode
from orchestrator.engines.renode.installed import Kind


def build(folder: Path, output: str = "output/bin/Release", framework: str = "10.0.0") -> Path:
    """As much of a build of Renode as is looked at."""
    options = {"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": framework}}}
    (folder / output).mkdir(parents=True)
    (folder / output / "Renode.runtimeconfig.json").write_text(json.dumps(options))
    (folder / "tools").mkdir()
    (folder / "tools" / "version").write_text("1.16.1\n")
    return folder


def package(path: Path, first: str = "renode_1.16.1+20260821gitabc_portable/bin/x") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo(first), io.BytesIO())
    return path


def binary(folder: Path) -> Path:
    folder.mkdir(parents=True)
    path = folder / "renode"
    path.write_text("")
    path.chmod(0o755)
    return path


def dotnet(folder: Path, *versions: str) -> Path:
    for version in versions:
        (folder / "shared" / "Microsoft.NETCore.App" / version).mkdir(parents=True)
    return folder


@pytest.fixture
def with_pyrenode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "has_pyrenode", lambda: True)


def test_users_are_told_to_install_what_developers_do() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text())
    (wanted,) = project["dependency-groups"]["renode"]
    assert f"pip install '{wanted}'" == discovery.PYRENODE_INSTALL


def test_nothing_named_is_nothing_found(tmp_path: Path) -> None:
    assert find_renode({}, tmp_path) is None


def test_a_build_is_found_with_its_version_and_the_net_that_it_asks_for(tmp_path: Path) -> None:
    root = build(tmp_path / "renode")
    found = find_renode({"PYRENODE_BUILD_DIR": str(root)}, tmp_path)
    assert found is not None
    assert (found.kind, found.path, found.origin) == (Kind.BUILD, root, "PYRENODE_BUILD_DIR")
    assert (found.version, found.framework) == ("1.16.1", "10.0.0")
    assert found.environment == {"PYRENODE_RUNTIME": "coreclr", "PYRENODE_BUILD_DIR": str(root)}


def test_a_build_whose_assemblies_are_elsewhere_is_found_by_its_output(tmp_path: Path) -> None:
    root = build(tmp_path / "renode", "output/net10")
    found = find_renode({"PYRENODE_BUILD_DIR": str(root), "PYRENODE_BUILD_OUTPUT": "output/net10"}, tmp_path)
    assert found is not None
    assert found.environment["PYRENODE_BUILD_OUTPUT"] == "output/net10"


def test_a_package_is_told_by_the_first_name_in_it(tmp_path: Path) -> None:
    path = package(tmp_path / "x.tar.gz")
    found = find_renode({"PYRENODE_PKG": str(path)}, tmp_path)
    assert found is not None
    assert (found.kind, found.version) == (Kind.PACKAGE, "1.16.1")
    assert found.environment == {"PYRENODE_RUNTIME": "coreclr", "PYRENODE_PKG": str(path)}


def test_a_portable_binary_is_an_executable_file(tmp_path: Path) -> None:
    path = binary(tmp_path / "renode_1.16.1_portable")
    found = find_renode({"PYRENODE_BIN": str(path)}, tmp_path)
    assert found is not None
    assert (found.kind, found.version) == (Kind.BINARY, "1.16.1")
    path.chmod(0o644)
    with pytest.raises(EngineError, match="PYRENODE_BIN: no Renode: expected an executable file, found "):
        find_renode({"PYRENODE_BIN": str(path)}, tmp_path)


def test_settings_name_a_renode_relative_to_their_file(tmp_path: Path) -> None:
    build(tmp_path / "sub" / "renode")
    (tmp_path / "rptwin.toml").write_text('[renode]\nbuild-dir = "sub/renode"\n')
    found = find_renode({}, tmp_path)
    assert found is not None
    assert (found.path, found.origin) == (tmp_path / "sub" / "renode", "rptwin.toml: [renode] build-dir")


def test_pyproject_is_read_where_rptwin_toml_says_nothing(tmp_path: Path) -> None:
    package(tmp_path / "a.tar.gz")
    (tmp_path / "pyproject.toml").write_text('[tool.rptwin.renode]\npackage = "a.tar.gz"\n')
    (tmp_path / "rptwin.toml").write_text('timeout = "1 s"\n')
    found = find_renode({}, tmp_path)
    assert found is not None
    assert found.origin == "pyproject.toml: [tool.rptwin.renode] package"


def test_a_variable_wins_over_settings(tmp_path: Path) -> None:
    root = build(tmp_path / "renode")
    (tmp_path / "rptwin.toml").write_text('[renode]\npackage = "nowhere"\n')
    found = find_renode({"PYRENODE_BUILD_DIR": str(root)}, tmp_path)
    assert found is not None
    assert found.origin == "PYRENODE_BUILD_DIR"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PYRENODE_RUNTIME": "mono"}, "PYRENODE_RUNTIME: a runtime that rptwin does not use: expected coreclr, found"),
        ({"PYRENODE_PKG": "a", "PYRENODE_BIN": "b"}, "more than one Renode is named: expected one, found PYRENODE_PKG"),
        ({"PYRENODE_BUILD_DIR": "nowhere"}, "PYRENODE_BUILD_DIR: no build of Renode for .NET: expected a folder with "),
        ({"PYRENODE_PKG": "nowhere"}, r"PYRENODE_PKG: cannot be read \(No such file or directory\): expected a tar"),
    ],
)
def test_what_is_named_wrongly_is_refused(tmp_path: Path, environment: dict[str, str], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        find_renode(environment, tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00" + bytes(20)])
def test_a_file_that_is_no_archive_is_no_package(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(EngineError, match=r"expected a tar archive with a folder renode\*, found .*x\.tar\.gz"):
        find_renode({"PYRENODE_PKG": str(tmp_path / "x.tar.gz")}, tmp_path)


def test_an_archive_of_something_else_is_no_package(tmp_path: Path) -> None:
    path = package(tmp_path / "x.tar.gz", "linux-6.1/Makefile")
    with pytest.raises(EngineError, match=r"no package of Renode: .* found linux-6\.1/Makefile"):
        find_renode({"PYRENODE_PKG": str(path)}, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[renode]\nbuild = "x"\n', r"rptwin\.toml: \[renode\]: unknown key: expected package \| binary \| build-dir"),
        ("[renode]\npackage = 3\n", r"rptwin\.toml: \[renode\] package: bad value: expected text, found 3"),
        ("renode = 3\n", r"rptwin\.toml: \[renode\]: bad value: expected a table, found 3"),
        ("= 3\n", "not TOML"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rptwin.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        find_renode({}, tmp_path)


def test_pyrenode_is_found_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyrenode3").mkdir()
    (tmp_path / "pyrenode3" / "__init__.py").write_text("raise SystemExit('imported')\n")
    info = tmp_path / "pyrenode3-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pyrenode3\nVersion: 0.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_pyrenode() == "0.1"
    (info / "direct_url.json").write_text('{"url": "x", "vcs_info": {"vcs": "git", "commit_id": "dde4a47660ef"}}')
    assert find_pyrenode() == "0.1 (dde4a47)"
    assert "pyrenode3" not in sys.modules


def test_dotnet_root_wins_over_the_command_on_the_path(tmp_path: Path) -> None:
    one, other = dotnet(tmp_path / "one", "8.0.1"), dotnet(tmp_path / "other", "10.0.0", "9.0.3")
    (one / "dotnet").write_text("")
    (one / "dotnet").chmod(0o755)
    by_path = find_dotnet({"PATH": str(one)})
    assert by_path is not None
    assert by_path.runtimes == ("8.0.1",)
    by_root = find_dotnet({"PATH": str(one), "DOTNET_ROOT": str(other)})
    assert by_root is not None
    assert by_root.runtimes == ("9.0.3", "10.0.0")
    assert find_dotnet({"PATH": str(tmp_path)}) is None


def test_all_that_is_missing_is_said_at_once_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "has_pyrenode", lambda: False)
    with pytest.raises(EngineError) as caught:
        discover({}, tmp_path)
    text = str(caught.value)
    assert text.startswith(
        "engine renode: pyrenode3 is not installed; no Renode is named; pip install 'pyrenode3 @ git+"
    )
    assert discovery.PYRENODE_COMMIT in text
    assert "PYRENODE_BUILD_DIR" in text
    assert "`rptwin doctor`" in text


@pytest.mark.usefixtures("with_pyrenode")
def test_a_build_needs_the_net_that_it_was_made_for(tmp_path: Path) -> None:
    environment = {"PYRENODE_BUILD_DIR": str(build(tmp_path / "renode"))}
    with pytest.raises(EngineError, match=r"engine renode: there is no \.NET runtime; install \.NET and set DOTNET_"):
        discover(environment | {"PATH": str(tmp_path)}, tmp_path)
    environment["DOTNET_ROOT"] = str(dotnet(tmp_path / "dotnet", "8.0.22"))
    with pytest.raises(EngineError, match=r"\.NET: no runtime for this Renode: expected 10\.0\.0 or newer of 10\.x"):
        discover(environment, tmp_path)
    dotnet(tmp_path / "dotnet", "10.0.3")
    found = discover(environment, tmp_path)
    assert found.dotnet is not None
    assert found.dotnet.runtimes == ("8.0.22", "10.0.3")


@pytest.mark.usefixtures("with_pyrenode")
def test_a_portable_binary_needs_no_net(tmp_path: Path) -> None:
    found = discover({"PYRENODE_BIN": str(binary(tmp_path / "portable"))}, tmp_path)
    assert found.dotnet is None
