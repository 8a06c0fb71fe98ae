"""The core types that are compared, their boards and their images."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from conformance.sequences import Sequence, pack
from orchestrator.errors import UsageError
from orchestrator.formats.elf import Image, load_elf
from orchestrator.platform import Platform, load_platform

__all__ = ["CORE_TYPES", "CoreType", "Selection", "build", "missing_tools"]

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = Path(__file__).resolve().parent / "firmware"
QEMU = "qemu-system-arm"


@dataclass(frozen=True, slots=True)
class CoreType:
    """One core type: ``name`` is that of its image, ``machine`` QEMU's name of the board."""

    name: str
    title: str
    machine: str
    icount_shift: int  # QEMU executes an instruction in 2**shift ns

    @property
    def elf(self) -> Path:
        return FIRMWARE / "build" / f"{self.name}.elf"

    def image(self) -> Image:
        return _image(self.elf, self.elf.stat().st_mtime_ns)

    def platform(self) -> Platform:
        return _platform(ROOT / "platforms" / f"{self.machine.replace('-', '_')}.repl")


_platform = functools.cache(load_platform)


@functools.lru_cache(maxsize=8)
def _image(path: Path, _changed_ns: int) -> Image:
    return load_elf(path)


CORE_TYPES = {
    each.name: each
    for each in (
        CoreType("m4", "Cortex-M4", "mps2-an386", 5),
        CoreType("m7", "Cortex-M7", "mps2-an500", 5),
        CoreType("m33", "Cortex-M33", "mps2-an505", 6),
    )
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which programs of an image run: from the number ``first`` on, or that one alone."""

    first: int = 0
    manual: bool = False  # those too that QEMU cannot show
    only_one: bool = False
    sequences: tuple[Sequence, ...] = ()  # instead of programs

    def blob(self, image: Image) -> tuple[int, bytes]:
        """The code that goes into memory, and where."""
        return image.symbols["injected"].address, pack(self.sequences)

    def words(self, image: Image) -> dict[int, int]:
        """What the host stores before the start, by address."""
        values = {"first_program": self.first, "with_manual": int(self.manual), "only_one": int(self.only_one)}
        values["injected_count"] = len(self.sequences)
        return {image.symbols[name].address: value for name, value in values.items()}


def build() -> None:
    """Build the images that are not up to date; raises :class:`UsageError` with the compiler's words."""
    command = ["make", "-s", "-j", "2", "-C", str(FIRMWARE), f"PYTHON={sys.executable}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError("the conformance firmware does not build", where=str(FIRMWARE), found=done.stderr.strip())


def missing_tools() -> str | None:
    """What to install before anything can be compared; None: nothing."""
    if shutil.which(QEMU) is None:
        return f"there is no {QEMU}; on Debian: sudo apt-get install {QEMU}"
    return None
