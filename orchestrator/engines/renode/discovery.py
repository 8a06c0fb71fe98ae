"""Where Renode is, found without importing pyrenode3, which ends the process when it does not like what it finds.

In: the environment, the settings of the current folder, what Python and ``PATH`` offer. Out: an
:class:`Installation`, or an :class:`EngineError` that says all that is missing. Nothing is started, nothing written.

pyrenode3's own variables win over settings: ``PYRENODE_PKG``, ``PYRENODE_BIN`` or ``PYRENODE_BUILD_DIR`` (with
``PYRENODE_BUILD_OUTPUT``). Settings are ``[renode]`` in ``rptwin.toml``, else ``[tool.rptwin.renode]`` in
``pyproject.toml``: ``package``, ``binary`` or ``build-dir`` (with ``build-output``), relative to the file's folder.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import EngineError, UsageError
from orchestrator.base.files import read_text
from orchestrator.config import MachineTable, machine_table
from orchestrator.engines.renode.installed import Kind

__all__ = [
    "PYRENODE_COMMIT",
    "PYRENODE_INSTALL",
    "Dotnet",
    "Installation",
    "Renode",
    "discover",
    "find_dotnet",
    "find_pyrenode",
    "find_renode",
    "has_pyrenode",
]

PYRENODE_COMMIT = "dde4a47660ef1b8874a91ed514a0bd04b33a5add"
PYRENODE_INSTALL = f"pip install 'pyrenode3 @ git+https://github.com/antmicro/pyrenode3@{PYRENODE_COMMIT}'"

RUNTIME = "PYRENODE_RUNTIME"
CORECLR = "coreclr"  # the only runtime under which Renode was seen to keep this engine's promises
OUTPUT = "PYRENODE_BUILD_OUTPUT"
DEFAULT_OUTPUT = "output/bin/Release"
RUNTIME_CONFIG = "Renode.runtimeconfig.json"  # beside Renode's assemblies; pyrenode3 starts .NET from it
NAME_IT = (
    "set PYRENODE_PKG (a .NET package), PYRENODE_BIN (a portable binary) or PYRENODE_BUILD_DIR (a build), "
    "or [renode] package, binary or build-dir in rptwin.toml"
)


@dataclass(frozen=True, slots=True)
class Renode:
    """One Renode; ``path`` is absolute, ``output`` the folder of a build's assemblies relative to it."""

    kind: Kind
    path: Path
    origin: str  # who named it: a variable, or a file and key
    output: str | None = None
    version: str | None = None  # None: it does not say
    framework: str | None = None  # version of .NET that it asks for; None: its own, or it does not say

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which pyrenode3 finds this Renode; what else a process has of them must go."""
        found = {RUNTIME: CORECLR, self.kind.variable: str(self.path)}
        if self.output is not None:
            found[OUTPUT] = self.output
        return found


@dataclass(frozen=True, slots=True)
class Dotnet:
    """A .NET installation and the runtimes in it, oldest first."""

    root: Path
    runtimes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Installation:
    """All that the engine needs, found."""

    renode: Renode
    dotnet: Dotnet | None  # None: the portable binary brings its own


def discover(environment: Mapping[str, str] = os.environ, folder: Path | None = None) -> Installation:
    """What the engine needs; ``folder`` is where settings are looked for (None: the current one).

    Raises :class:`EngineError` that lists all that is missing, or says what is wrong with what is there.
    """
    renode = find_renode(environment, folder)
    needs_dotnet = renode is not None and renode.kind is not Kind.BINARY
    dotnet = find_dotnet(environment) if needs_dotnet else None
    missing, advice = [], []
    if not has_pyrenode():
        missing.append("pyrenode3 is not installed")
        advice.append(PYRENODE_INSTALL)
    if renode is None:
        missing.append("no Renode is named")
        advice.append(NAME_IT)
    elif needs_dotnet and dotnet is None:
        missing.append("there is no .NET runtime")
        advice.append("install .NET and set DOTNET_ROOT, or have `dotnet` on PATH")
    if renode is None or missing:
        raise EngineError(
            "; ".join(missing), where="engine renode", advice=f"{'; '.join(advice)} (`rptwin doctor` shows all)"
        )
    if dotnet is not None:
        _check_framework(renode, dotnet)
    return Installation(renode, dotnet)


def find_renode(environment: Mapping[str, str] = os.environ, folder: Path | None = None) -> Renode | None:
    """The Renode that variables or settings name, looked at; None when nothing names one.

    :class:`EngineError` when what is named is not there, not a Renode, or named twice; :class:`UsageError` for settings
    that make no sense.
    """
    runtime = environment.get(RUNTIME) or CORECLR
    if runtime != CORECLR:
        raise EngineError("a runtime that rptwin does not use", where=RUNTIME, expected=CORECLR, found=runtime)
    given = {kind: environment[kind.variable] for kind in Kind if environment.get(kind.variable)}
    if given:
        kind = _only(given, "the environment", " ".join(kind.variable for kind in given))
        return _inspect(kind, Path(given[kind]).absolute(), kind.variable, environment.get(OUTPUT) or None)
    table = machine_table("renode", folder)
    return None if table is None else _from_settings(table)


def _from_settings(table: MachineTable) -> Renode | None:
    known = (*(kind.key for kind in Kind), "build-output")
    for key, value in table.values.items():
        if key not in known:
            raise UsageError("unknown key", where=table.where, expected=" | ".join(known), found=key)
        if not isinstance(value, str) or not value:
            raise UsageError("bad value", where=f"{table.where} {key}", expected="text", found=repr(value))
    given = {kind: str(table.values[kind.key]) for kind in Kind if kind.key in table.values}
    if not given:
        return None
    kind = _only(given, table.where, " ".join(kind.key for kind in given))
    output = table.values.get("build-output")
    path = (table.folder / given[kind]).absolute()
    return _inspect(kind, path, f"{table.where} {kind.key}", None if output is None else str(output))


def _only(given: Mapping[Kind, str], where: str, found: str) -> Kind:
    if len(given) > 1:
        raise EngineError("more than one Renode is named", where=where, expected="one", found=found)
    return next(iter(given))


def _inspect(kind: Kind, path: Path, origin: str, output: str | None) -> Renode:
    """What pyrenode3 would find there; it ends the process, or raises what says little, where this raises."""
    match kind:
        case Kind.PACKAGE:
            return Renode(kind, path, origin, version=_version_in(_package_root(path, origin)))
        case Kind.BINARY:
            if not path.is_file() or not os.access(path, os.X_OK):
                raise EngineError("no Renode", where=origin, expected="an executable file", found=str(path))
            return Renode(kind, path, origin, version=_version_in(path.parent.name))
        case Kind.BUILD:
            binaries = path / (output or DEFAULT_OUTPUT)
            if not (binaries / RUNTIME_CONFIG).is_file():
                raise EngineError(
                    "no build of Renode for .NET",
                    where=origin,
                    expected=f"a folder with {output or DEFAULT_OUTPUT}/{RUNTIME_CONFIG}",
                    found=str(path),
                    advice=f"name another folder of assemblies with {OUTPUT} or build-output",
                )
            version = _version_in(_read(path / "tools" / "version"))
            return Renode(kind, path, origin, output, version, _framework(binaries / RUNTIME_CONFIG))


def _package_root(path: Path, origin: str) -> str:
    """The first name in the archive: ``renode_1.16.1_portable/...``. The rest stays compressed."""
    import tarfile  # noqa: PLC0415  # for packages alone: the process of an engine starts sooner without it

    expected = "a tar archive with a folder renode*"
    try:
        with tarfile.open(path) as archive:
            first = archive.next()
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineError(f"cannot be read ({reason})", where=origin, expected=expected, found=str(path)) from None
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise EngineError(f"no package ({error})", where=origin, expected=expected, found=str(path)) from None
    name = first.name.removeprefix("./") if first else ""
    if not name.startswith("renode"):
        raise EngineError("no package of Renode", where=origin, expected=expected, found=name or "nothing in it")
    return name.partition("/")[0]


def _version_in(text: str) -> str | None:
    match = re.search(r"\d+\.\d+(?:\.\d+)?", text, re.ASCII)
    return match[0] if match else None


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError):
        return ""


def _framework(path: Path) -> str | None:
    """Version of Microsoft.NETCore.App in a runtimeconfig.json."""
    try:
        options = json.loads(_read(path))["runtimeOptions"]
        named = options.get("frameworks") or [options["framework"]]
        return next(str(each["version"]) for each in named if each["name"] == "Microsoft.NETCore.App")
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None


def has_pyrenode() -> bool:
    """Whether there is a pyrenode3 to import."""
    return importlib.util.find_spec("pyrenode3") is not None


def find_pyrenode() -> str | None:
    """Version of the pyrenode3 that ``import`` would take, without importing it; None: there is none."""
    if not has_pyrenode():
        return None
    import importlib.metadata  # noqa: PLC0415  # as long as all else here together

    try:
        found = importlib.metadata.distribution("pyrenode3")
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        commit = origin.get("vcs_info", {}).get("commit_id", "")
    except (importlib.metadata.PackageNotFoundError, ValueError, AttributeError):
        return "unknown version"
    return f"{found.version} ({commit[:7]})" if commit else found.version


def find_dotnet(environment: Mapping[str, str] = os.environ) -> Dotnet | None:
    """The .NET of ``DOTNET_ROOT``, else that of ``dotnet`` on ``PATH``; None where neither has a runtime."""
    root = environment.get("DOTNET_ROOT")
    command = shutil.which("dotnet", path=environment.get("PATH"))
    for folder in (Path(root) if root else None, Path(command).resolve().parent if command else None):
        if folder is None:
            continue
        runtimes = [each.name for each in (folder / "shared" / "Microsoft.NETCore.App").glob("[0-9]*")]
        if runtimes:
            return Dotnet(folder, tuple(sorted(runtimes, key=_numbers)))
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version, re.ASCII))


def _check_framework(renode: Renode, dotnet: Dotnet) -> None:
    """.NET rolls forward within a major version and no further, unless it is told to."""
    if renode.framework is None:
        return
    wanted = _numbers(renode.framework)
    if not any(_numbers(each)[:1] == wanted[:1] and _numbers(each) >= wanted for each in dotnet.runtimes):
        raise EngineError(
            "no runtime for this Renode",
            where=".NET",
            expected=f"{renode.framework} or newer of {wanted[0]}.x, which {renode.origin} asks for",
            found=", ".join(dotnet.runtimes),
        )
