"""``rptwin doctor``: what of engines, toolchains and peers is on this machine, and how to get what is not.

Looks and starts little: the default engine makes a board, a Renode that is found boots one (its self-test), a command
is asked for its version, nothing else runs.
"""

from __future__ import annotations

import enum
import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator

from orchestrator import __version__
from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import EngineError, RptwinError
from orchestrator.cli.errors import COULD_NOT_RUN
from orchestrator.cli.trust import is_trusted, renode_of_folder
from orchestrator.config import DEFAULT_PLATFORM, Settings
from orchestrator.engines.qemu.machines import MACHINES
from orchestrator.engines.qemu.process import find_qemu
from orchestrator.engines.registry import create_engine
from orchestrator.engines.renode.discovery import (
    NAME_IT,
    PYRENODE_INSTALL,
    Renode,
    discover,
    find_dotnet,
    find_pyrenode,
    find_renode,
)
from orchestrator.engines.renode.installed import TRIED
from orchestrator.engines.renode.selftest import self_test
from orchestrator.platform import load_platform

__all__ = ["Part", "State", "command", "diagnose", "examine", "is_fit", "show"]

DEFAULT_ENGINE = Settings().engine
TRUST_IT = "rptwin doctor --trust, if this Renode is yours"
REINSTALL = "install rptwin again; in a checkout: rm .venv/.run && make .venv/.run"
_LONGEST_S = 5.0  # of wall time for a command to say its version


class State(enum.StrEnum):
    """How a part was found."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that rptwin can use; ``advice`` is what a person can do about it."""

    name: str
    state: State
    detail: str
    advice: str | None = None


def diagnose(*, trust: bool = False) -> int:
    """Print everything; 0 when the default engine works, whatever else is missing.

    A Renode that only a file of the current folder names is started when that is trusted.
    """
    sections = examine(trust=trust)
    sys.stdout.write(show(sections))
    return 0 if is_fit(sections) else COULD_NOT_RUN


def is_fit(sections: dict[str, list[Part]]) -> bool:
    """Whether the default engine works."""
    return any(part.name == DEFAULT_ENGINE and part.state is State.OK for part in sections["Engines"])


def examine(*, trust: bool = False) -> dict[str, list[Part]]:
    """Every part by the heading under which it is shown."""
    return {
        "Engines": [_default_engine(), *_renode(trust=trust), _qemu()],
        "Compilers for firmware (running an ELF file needs none)": [
            _package("ziglang", "pip install ziglang==0.17.0"),
            command("arm-none-eabi-gcc", "gcc-arm-none-eabi", version="-dumpfullversion"),
        ],
        "Peers for tests of virtqueues": [command("dpdk-testpmd", "dpdk-dev", version=None)],
    }


def show(sections: dict[str, list[Part]]) -> str:
    """The page: no line is broken, so that each command can be copied."""
    return "".join(f"{line}\n" for line in _lines(sections))


def _lines(sections: dict[str, list[Part]]) -> Iterator[str]:
    yield f"rptwin {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    for heading, parts in sections.items():
        yield heading
        for part in parts:
            yield f"  {part.name:<18} {part.state:<8} {part.detail}".rstrip()
            if part.advice:
                yield f"    {part.advice}"


def _default_engine() -> Part:
    """As good as it gets without firmware: a board of it is made."""
    try:
        version = importlib.metadata.version(DEFAULT_ENGINE)
        create_engine(DEFAULT_ENGINE, load_platform(DEFAULT_PLATFORM)).close()
    except importlib.metadata.PackageNotFoundError:
        return Part(DEFAULT_ENGINE, State.MISSING, "the default engine", REINSTALL)
    except (RptwinError, ImportError, OSError) as error:
        return Part(DEFAULT_ENGINE, State.BROKEN, str(error), REINSTALL)
    return Part(DEFAULT_ENGINE, State.OK, f"{version}, the default engine")


def _renode(*, trust: bool) -> Iterable[Part]:
    yield _attempt("renode", _named_renode)
    version = find_pyrenode()
    if version is None:
        yield Part("  pyrenode3", State.MISSING, "Renode's Python door, on no package index", PYRENODE_INSTALL)
    else:
        yield Part("  pyrenode3", State.OK, version)
    yield _attempt("  .NET", _dotnet)
    if _is_complete():
        brought = renode_of_folder()
        if is_trusted(brought.files, given=trust):
            yield _attempt("  self-test", _self_test)
        else:
            yield Part("  self-test", State.MISSING, "not started: only a file of this folder names it", TRUST_IT)


def _attempt(name: str, look: Callable[[str], Part]) -> Part:
    try:
        return look(name)
    except RptwinError as error:
        return Part(name, State.BROKEN, str(error))


def _named_renode(name: str) -> Part:
    renode = find_renode()
    if renode is None:
        return Part(name, State.MISSING, "none is named", NAME_IT)
    return Part(name, State.OK, _described(renode))


def _described(renode: Renode) -> str:
    return f"{renode.version or 'of unknown version'}, {renode.path} ({renode.origin})"


def _dotnet(name: str) -> Part:
    dotnet = find_dotnet()
    if dotnet is None:
        return Part(name, State.MISSING, "no runtime by DOTNET_ROOT or PATH; a portable binary of Renode needs none")
    if find_pyrenode() is not None and _is_found():
        discover()  # whether this Renode goes with it
    return Part(name, State.OK, ", ".join(dotnet.runtimes))


def _is_complete() -> bool:
    try:
        discover()
    except RptwinError:  # said in the lines before
        return False
    return True


def _self_test(name: str) -> Part:
    missing = self_test()
    if missing:
        return Part(name, State.BROKEN, "; ".join(missing), f"rptwin was tried with Renode {TRIED}")
    return Part(name, State.OK, "boots a board; a store, an interrupt and a line of its log are seen")


def _is_found() -> bool:
    try:
        return find_renode() is not None
    except RptwinError:  # said in its own line
        return False


def _qemu() -> Part:
    try:
        found = find_qemu()
    except EngineError as error:
        state = State.MISSING if error.what == "no QEMU" else State.BROKEN
        return Part("qemu", state, str(error).removesuffix(f"; {error.advice}"), error.advice)
    boards = ", ".join(MACHINES)
    return Part("qemu", State.OK, f"{'.'.join(str(part) for part in found.version)}, for {boards}")


def _package(name: str, install: str) -> Part:
    try:
        return Part(name, State.OK, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Part(name, State.MISSING, "", install)


def command(name: str, package: str, *, version: str | None = "--version") -> Part:
    """A command, the Debian package that brings it, and its option for a version (None: it has none that ends)."""
    path = shutil.which(name)
    if path is None:
        return Part(name, State.MISSING, f"no {name}", f"sudo apt-get install {package}")
    if version is None:
        return Part(name, State.OK, "found")
    try:
        done = subprocess.run(
            [path, version], capture_output=True, text=True, errors="replace", timeout=_LONGEST_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Part(name, State.BROKEN, str(error), f"sudo apt-get install --reinstall {package}")
    said = re.search(r"\d+(?:\.\d+)+", done.stdout, re.ASCII)
    return Part(name, State.OK, said[0] if said else "of unknown version")
