"""Small images with a resource table in the shape of a vendor's, whole or with one thing broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["build"]

IMAGES = Path(__file__).parent / "images"
_ZIG = (sys.executable, "-m", "ziglang")
_CC = (*_ZIG, "cc", "-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4", "-ffreestanding", "-O1",
       "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-sanitize=all", "-c")  # fmt: skip
_LD = (*_ZIG, "ld.lld", "-m", "armelf", "-static", "-z", "max-page-size=4")


def build(folder: Path, shape: str, *definitions: str, table_at: int | None = None, script: str | None = None) -> Path:
    """``tables.c`` with a shape and definitions (``NUM=6``), its table at an address, as a file named by what it is.

    ``script`` is a linker script's text instead of ``tables.ld``.
    """
    name = "-".join([shape.lower(), *(each.replace("=", "").lower() for each in definitions)])
    linker = folder / f"{name}.ld"
    linker.write_text(script if script is not None else (IMAGES / "tables.ld").read_text(encoding="utf-8"))
    obj, image = folder / f"{name}.o", folder / f"{name}.elf"
    macros = [f"-D{each}" for each in (f"SHAPE={shape}", *definitions)]
    place = [] if table_at is None else [f"--defsym=table_at={table_at:#x}"]
    _run(*_CC, *macros, str(IMAGES / "tables.c"), "-o", str(obj))
    _run(*_LD, *place, "-T", str(linker), str(obj), "-o", str(image))
    return image


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
