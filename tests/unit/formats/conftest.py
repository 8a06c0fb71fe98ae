"""Real ELF files, built once a session by the toolchain that the project ships with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

IMAGES = Path(__file__).parent / "images"
ZIG = (sys.executable, "-m", "ziglang")


@dataclass(frozen=True)
class Tools:
    """The C compiler and linker of the ziglang wheel, working in one folder."""

    folder: Path

    def compile(self, source: Path, *options: str) -> Path:
        target = self.folder / f"{source.stem}{abs(hash(options))}.o"
        command = (*ZIG, "cc", "-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4", "-ffreestanding", "-O1")
        subprocess.run(
            [*command, "-fno-sanitize=all", *options, "-c", str(source), "-o", str(target)],
            check=True,
            capture_output=True,
            text=True,
        )
        return target

    def link(self, name: str, script: Path, *objects: Path) -> Path:
        target = self.folder / name
        subprocess.run(
            [
                *ZIG,
                "ld.lld",
                "-m",
                "armelf",
                "-static",
                "-z",
                "max-page-size=16",
                "-T",
                str(script),
                *map(str, objects),
                "-o",
                str(target),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        return target


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    return Tools(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def tiny_object(tools: Tools) -> Path:
    return tools.compile(IMAGES / "tiny.c", "-g", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")


@pytest.fixture(scope="session")
def tiny(tools: Tools, tiny_object: Path) -> Path:
    """Vectors, code, ``.resource_table``, data: all loaded to flash; DWARF with ``.debug_frame``."""
    return tools.link("tiny.elf", IMAGES / "tiny.ld", tiny_object)


@pytest.fixture(scope="session")
def tiny_exidx(tools: Tools) -> Path:
    """The same without DWARF, with the Arm exception index."""
    return tools.link("exidx.elf", IMAGES / "tiny.ld", tools.compile(IMAGES / "tiny.c", "-g0", "-funwind-tables"))


@pytest.fixture(scope="session")
def tiny_unloaded(tools: Tools, tiny_object: Path) -> Path:
    """The same with a ``.resource_table`` that stands in the file and in no segment."""
    script = tools.folder / "unloaded.ld"
    loaded = "{ KEEP(*(.resource_table)) } > shared AT > flash :share"
    text = (IMAGES / "tiny.ld").read_text()
    assert loaded in text
    text = text.replace(".resource_table :", ".resource_table 0 (INFO) :").replace(
        loaded, "{ KEEP(*(.resource_table)) } :NONE"
    )
    script.write_text(text.replace("share PT_LOAD; ", ""))
    return tools.link("unloaded.elf", script, tiny_object)
