"""Build hook: the native part for the host, and what a wheel holds besides Python.

In: the ``native/`` folders, ``firmware/`` and ``platforms/``. Out: a shared library beside the Unicorn engine and, on
Linux, a plugin beside the QEMU engine, the smoke pair of `rptwin new-platform` (wheels and editable installs), and, in
wheels, the demo pair and the platform descriptions. Needs no system compiler: ziglang brings one.
Run as a script it does what an editable install does.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ENGINE = Path("orchestrator/engines/unicorn")
QEMU = Path("orchestrator/engines/qemu")
READER = Path("orchestrator/engines/common/c_structs.py")
SMOKE = Path("platforms/skeleton/smoke")
DEMO = ("main.elf", "remote.elf")


class Host(NamedTuple):  # hatchling runs this file outside of sys.modules, which a dataclass needs
    """What the native part is compiled for: the compiler's target, the file, and the wheel's platform tag."""

    target: str
    library: str
    tag: str


# glibc 2.17 is what manylinux2014 promises; macOS 11 is the first with both processors.
HOSTS = {
    ("Linux", "x86_64"): Host("x86_64-linux-gnu.2.17", "libhook.so", "manylinux2014_x86_64"),
    ("Linux", "aarch64"): Host("aarch64-linux-gnu.2.17", "libhook.so", "manylinux2014_aarch64"),
    ("Darwin", "x86_64"): Host("x86_64-macos.11.0", "libhook.dylib", "macosx_11_0_x86_64"),
    ("Darwin", "arm64"): Host("aarch64-macos.11.0", "libhook.dylib", "macosx_11_0_arm64"),
    ("Windows", "AMD64"): Host("x86_64-windows-gnu", "libhook.dll", "win_amd64"),
}


class BuildError(Exception):
    """A part that could not be built; the message is what to do about it."""


def this_host() -> Host:
    """The entry of ``HOSTS`` for the interpreter that runs; :class:`BuildError` lists those there are."""
    key = (platform.system(), platform.machine())
    if key not in HOSTS:
        known = ", ".join(" ".join(each) for each in HOSTS)
        raise BuildError(f"no native part for {' '.join(key)}: expected one of {known}")
    return HOSTS[key]


def compile_native(root: Path, host: Host) -> Path:
    """Compile ``native/`` into ``_native/`` and give its path relative to the root."""
    return _compile(root, host, ENGINE, "abi.h", host.library)


def compile_plugin(root: Path, host: Host) -> Path | None:
    """Compile QEMU's plugin likewise; it finds QEMU's own functions when it is loaded. None where there is none."""
    if not host.library.endswith(".so"):
        return None
    return _compile(root, host, QEMU, "control.h", "libturns.so", "-Wl,-z,undefs")


def _compile(root: Path, host: Host, engine: Path, header: str, library_name: str, *options: str) -> Path:
    """Every C file of an engine, and that each field of its header lies where Python will take it to be."""
    folder, library = engine / "native", engine / "_native" / library_name
    shared = _header(root, folder / header)
    (root / library.parent).mkdir(exist_ok=True)
    # No sanitizer, debug data or build id: the same bytes from any folder.
    flags = ["-shared", "-std=c11", "-O2", "-fomit-frame-pointer", "-fno-sanitize=all", "-g0", "-s"]
    flags += ["-Wall", "-Wextra", "-Werror"]
    if host.library != "libhook.dll":  # all code of a DLL is position independent
        flags.append("-fPIC")
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", host.target, f"-DABI_DIGEST={shared.digest:#x}u"]
    sources = sorted(str(each.relative_to(root)) for each in (root / folder).glob("*.c"))
    checks = ["-I", str(folder), "-x", "c", "-"]
    check = f'#include "{header}"\n{shared.assertions()}'
    _run([*compiler, *flags, *options, *sources, *checks, "-o", str(library)], root, check)
    return library


def _header(root: Path, path: Path) -> Any:
    """The header as the engine will read it, by the same code; rptwin itself cannot be imported yet."""
    spec = importlib.util.spec_from_file_location("c_structs", root / READER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Header(root / path)


def build_demo(root: Path) -> tuple[Path, ...]:
    """Build the demo pair with the firmware's own Makefile and give the files' paths relative to the root."""
    _make(root, Path("firmware"), "demo")
    return tuple(Path("firmware/build/stm32h745/demo") / name for name in DEMO)


def build_smoke(root: Path) -> None:
    """Build the pair of the skeleton, with the Makefile that a user of it has."""
    _make(root, SMOKE, "all")


def _make(root: Path, folder: Path, target: str) -> None:
    if shutil.which("make") is None:
        raise BuildError("the firmware needs make; on Debian: sudo apt-get install make")
    _run(["make", "-C", folder.as_posix(), f"PYTHON={sys.executable}", target], root)


def _run(command: list[str], folder: Path, text: str = "") -> None:
    done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


class CustomBuildHook(BuildHookInterface[Any]):
    """Called by hatchling for every wheel, the editable kind included."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is missing and name it; ``version`` is "standard" or "editable"."""
        root = Path(self.root)
        host = this_host()
        libraries = [each for each in (compile_native(root, host), compile_plugin(root, host)) if each is not None]
        if version != "editable" or shutil.which("make") is not None:
            build_smoke(root)
        if version == "editable":
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{host.tag}"
        build_data["artifacts"] += [library.as_posix() for library in libraries]
        included = {str(root / elf): f"orchestrator/demo/{elf.name}" for elf in build_demo(root)}
        build_data["force_include"].update(included, **{str(root / "platforms"): "orchestrator/platforms"})


if __name__ == "__main__":
    try:
        compile_native(Path(__file__).parent, this_host())
        compile_plugin(Path(__file__).parent, this_host())
        build_smoke(Path(__file__).parent)
    except BuildError as error:
        sys.exit(f"hatch_build.py: {error}")
