"""Readers of files: whatever they are given they take, or refuse by a typed error."""

from __future__ import annotations

import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from fuzz.target import BrokenError, mutated
from orchestrator.base.errors import RptwinError
from orchestrator.config import load_config, settings_from
from orchestrator.formats.elf import parse_elf
from orchestrator.formats.resource_table import scan_table_bytes
from orchestrator.platform import load_platform, platforms_folder
from orchestrator.platform.script_lint import lint_script
from orchestrator.recording import first_difference, parse_recording

__all__ = ["PARSERS"]

_ROOT = Path(__file__).resolve().parent.parent
_GOLDEN = _ROOT / "tests" / "golden" / "demo-unicorn"
_CONFIG = b"""platform = "stm32h745"
table = "remote:g_shmem+8"
vrings = ["0x10040800:8:16"]
memory = ["0xd0000000:8M"]
map = ["0x30040000:0x10040000:0x8000"]
timeout = "20 ms"
seed = 7
until = "main:ready"
[vtor]
main = 0x24000000
[notify]
"vdev[0].vring[1]" = 0
"""


class _Parser:
    def __init__(self, name: str, seeds: Callable[[], list[bytes]], use: Callable[[bytes], object]) -> None:
        self.name = name
        self._seeds = seeds
        self._use = use
        self._loaded: list[bytes] = []

    def make(self, chance: random.Random) -> bytes:
        self._loaded = self._loaded or self._seeds()
        return mutated(chance, chance.choice(self._loaded), chance.choice((1, 1, 2, 12)))

    def check(self, data: bytes) -> None:
        self._use(data)


def _elf(data: bytes) -> None:
    image = parse_elf(data, path=Path("x.elf"), name="x.elf")
    for use in (
        lambda: image.every_symbol,
        lambda: image.symbol_at(image.entry),
        lambda: image.vector_table,
        image.initial_sp,
        image.reset_vector,
        lambda: image.unwind_rule(image.entry),
        lambda: image.source_line(image.entry),
        image.resource_table,
    ):
        try:
            use()
        except RptwinError:
            continue


def _platform(data: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for other in (".repl", ".toml"):
            (place / f"mps2_an521{other}").write_bytes((platforms_folder() / f"mps2_an521{other}").read_bytes())
        (place / "mps2_an521").symlink_to(platforms_folder() / "mps2_an521")
        (place / f"mps2_an521{suffix}").write_bytes(data)
        load_platform(place / "mps2_an521.repl")


def _config(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.toml"
        path.write_bytes(data)
        settings_from({}, load_config(path))


def _recording(data: bytes) -> None:
    golden = parse_recording((_GOLDEN / "recording.json").read_text(), "golden")
    first_difference(golden, parse_recording(data.decode("utf-8", "replace"), "x.json"))


def _table(data: bytes) -> None:
    scan = scan_table_bytes(data)
    if scan.table is None:
        return
    for field in scan.table.fields():
        size = len(field.value) if isinstance(field.value, bytes) else 1
        if not 0 <= field.at.address <= len(data) - size:
            raise BrokenError(f"{field.at.path} lies at {field.at.address}, outside of {len(data)} bytes")
    if not scan.errors:
        again = scan_table_bytes(scan.table.encode())
        if again.table is None or again.table.entries != scan.table.entries:
            raise BrokenError("encoded and decoded again it is another table")


def table_seed() -> bytes:
    """A vdev with two vrings, a carveout and a trace."""
    vring = struct.pack("<5I", 0x10041000, 16, 8, 0, 0)
    vdev = struct.pack("<6I4B", 3, 7, 0, 5, 0, 4, 0, 2, 0, 0) + vring + vring + b"conf"
    entries = [vdev, struct.pack("<5I32s", 0, 1, 2, 3, 4, b"carve") + bytes(4), struct.pack("<4I32s", 2, 1, 2, 3, b"t")]
    at, offsets = 16 + 4 * len(entries), []
    for entry in entries:
        offsets.append(at)
        at += len(entry)
    return struct.pack(f"<4I{len(offsets)}I", 1, len(entries), 0, 0, *offsets) + b"".join(entries)


PARSERS = (
    _Parser("elf", lambda: [(_GOLDEN / f"{role}.elf").read_bytes() for role in ("main", "remote")], _elf),
    _Parser(
        "repl",
        lambda: [path.read_bytes() for path in sorted(platforms_folder().glob("*.repl"))],
        lambda data: _platform(data, ".repl"),
    ),
    _Parser(
        "toml",
        lambda: [path.read_bytes() for path in sorted(platforms_folder().glob("*.toml"))],
        lambda data: _platform(data, ".toml"),
    ),
    _Parser("config", lambda: [_CONFIG], _config),
    _Parser("recording", lambda: [(_GOLDEN / "recording.json").read_bytes()], _recording),
    _Parser(
        "script",
        lambda: [path.read_bytes() for path in sorted(platforms_folder().glob("*/*.py"))],
        lambda data: lint_script(data.decode("utf-8", "replace"), "x.py"),
    ),
    _Parser("table", lambda: [table_seed()], _table),
)
