"""The core types that are compared, their boards and their images."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from conformance.sequences import Sequence, pack
from orchestrator.base.errors import UsageError
from orchestrator.engines.contract import EngineOptions
from orchestrator.formats.elf import Image, load_elf
from orchestrator.platform import Platform, load_platform

__all__ = ["CORE_TYPES", "DEFAULT_QUANTUM_NS", "CoreType", "Selection", "build", "missing_tools"]

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = Path(__file__).resolve().parent / "firmware"
QEMU = "qemu-system-arm"
DEFAULT_QUANTUM_NS = EngineOptions().quantum_ns


@dataclass(frozen=True, slots=True)
class CoreType:
    """One core type, or two cores: ``machine`` is QEMU's name of the board."""

    name: str
    title: str
    machine: str
    icount_shift: int  # QEMU executes an instruction in 2**shift ns
    stems: tuple[str, ...]  # of the images, in the order of the cores; the first core prints
    quanta_ns: tuple[int, ...] = (DEFAULT_QUANTUM_NS,)  # of the engine: what is printed may not depend on it

    @property
    def elfs(self) -> tuple[Path, ...]:
        return tuple(FIRMWARE / "build" / f"{stem}.elf" for stem in self.stems)

    def images(self) -> list[Image]:
        return [_image(elf, elf.stat().st_mtime_ns) for elf in self.elfs]

    def image(self) -> Image:
        """Of the core that prints."""
        return self.images()[0]

    def platform(self) -> Platform:
        return _platform(ROOT / "platforms" / f"{self.machine.replace('-', '_')}.repl")


_platform = functools.cache(load_platform)


@functools.lru_cache(maxsize=16)
def _image(path: Path, _changed_ns: int) -> Image:
    return load_elf(path)


CORE_TYPES = {
    each.name: each
    for each in (
        CoreType("m4", "Cortex-M4", "mps2-an386", 5, ("m4",)),
        CoreType("m7", "Cortex-M7", "mps2-an500", 5, ("m7",)),
        CoreType("m33", "Cortex-M33", "mps2-an505", 6, ("m33",)),
        CoreType("two", "an521 (two m33)", "mps2-an521", 6, ("two-first", "two-second"), (20_000, 5_000, 100_000)),
    )
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which programs of an image run: from the number ``first`` on, or that one alone."""

    first: int = 0
    manual: bool = False  # those too that QEMU cannot show
    only_one: bool = False
    sequences: tuple[Sequence, ...] = ()  # instead of programs
    yields: bool = False  # a core that waits gives its turn away

    def blob(self, image: Image) -> tuple[int, bytes]:
        """The code that goes into memory, and where."""
        return image.symbols["injected"].address, pack(self.sequences, yields=self.yields)

    def words(self, image: Image) -> dict[int, int]:
        """What the host stores before the start, by address."""
        values = {"first_program": self.first, "with_manual": int(self.manual), "only_one": int(self.only_one)}
        values["injected_count"] = len(self.sequences)
        values["yields"] = int(self.yields)
        return {image.symbols[name].address: value for name, value in values.items() if name in image.symbols}


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
