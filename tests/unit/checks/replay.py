"""What a bench's script does, done by firmware: each store, load and signal of it is a step of one of two images, which
are booted and judged. So whatever breaks a rule in Python breaks it between two images.

A script that tells of something that no memory shows (a fault, a state, a core's poll) cannot be told so
(:class:`Untold`); there are firmware variants for that.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import bench as bench_module
from bench import (
    FLASH,
    HSEM,
    MAIN,
    MAIN_RAM,
    REMOTE,
    REMOTE_RAM,
    Bench,
    CoreMemory,
    Piece,
    make_elf,
)
from orchestrator.base.memory import Extent
from orchestrator.board import Board
from orchestrator.checks.verdict import Verdict
from orchestrator.events import (
    CoreState,
    Detail,
    NotificationIgnored,
    NotificationSent,
    NotificationTaken,
    StateChanged,
)
from orchestrator.formats.elf import Image, load_elf
from orchestrator.platform import load_platform

__all__ = ["PLATFORM", "Told", "Untold", "boot", "folder"]

SUPPORT = Path(__file__).resolve().parents[2] / "support"
PLATFORM = load_platform(str(SUPPORT / "boards" / "bench.repl"))
_STORE, _LOAD, _TAKE, _DELAY, _SPIN, _POLL = range(1, 7)
_CODE, _STEPS = 0x1_0000, 0x2_0000  # from the start of a core's flash
_IRQ = {MAIN: 125, REMOTE: 126}
_BANK = {MAIN: FLASH, REMOTE: FLASH + 0x10_0000}
_CORE_ID = {MAIN: 0x300, REMOTE: 0x100}
_LISTENED = {MAIN: 1, REMOTE: 0}
_LONG_NS = 500_000  # a pause of a script that is one, and no turn
_LOOP_NS = 40  # of the firmware's delay, at the least


T = TypeVar("T")


class Untold(Exception):  # noqa: N818  # no error: a script of another kind
    """What a script does that no memory shows."""


class _Heard(CoreMemory):
    """What one core does to memory, told as it does it."""

    def __init__(self, memory: CoreMemory, core: str, tell: Callable[[str, int, int, int, bytes], None]) -> None:
        super().__init__(memory._store, memory.view)
        self._core = core
        self._tell = tell

    def read(self, address: int, size: int) -> bytes:
        data = super().read(address, size)
        self._tell(self._core, _LOAD, address, size, b"")
        return data

    def write(self, address: int, data: bytes) -> None:
        super().write(address, data)
        self._tell(self._core, _STORE, address, len(data), bytes(data))


@dataclass
class Told(Bench):
    """A bench that writes down what its cores do."""

    script: bench_module.Script
    steps: dict[str, list[bytes]] = field(default_factory=lambda: {MAIN: [], REMOTE: []})
    turn_number: int = 0
    _at_ns: int = 0
    _is_silent: bool = False

    def __post_init__(self) -> None:
        Bench.__init__(self, self.script)
        self.main, self.remote = _Heard(self.main, MAIN, self.tell), _Heard(self.remote, REMOTE, self.tell)
        for core in (MAIN, REMOTE):
            self.tell(core, _STORE, HSEM + (0x100 if core == MAIN else 0x110), 4, _word(1 << _LISTENED[core]))
            if core != self.device or self.script.device_takes:
                irq = _IRQ[core]
                self.tell(core, _STORE, 0xE000_E100 + irq // 32 * 4, 4, _word(1 << irq % 32))

    def tell(self, core: str, what: int, address: int, size: int, data: bytes) -> None:
        """One step; what an access is wide is what firmware would take for it."""
        if self._is_silent:
            return
        pause, self._at_ns = self.time_ns - self._at_ns, self.time_ns
        if pause >= _LONG_NS:
            self._step(core, _DELAY, 1, 0, pause // _LOOP_NS)
        width = 4 if address % 4 == 0 and size % 4 == 0 else 2 if address % 2 == 0 and size % 2 == 0 else 1
        self._step(core, what, width, size // width, address, data)

    def _step(self, core: str, what: int, width: int, count: int, address: int, data: bytes = b"") -> None:
        filled = data + bytes(-len(data) % 4)
        self.steps[core].append(struct.pack("<BBHII", what, width, count, self.turn_number, address) + filled)
        self.turn_number += 1

    def access_at(self, core: str, at: int, size: int, *, before: int | None = None, value: int | None = None) -> None:
        """Told by an engine on a bench; here the firmware makes it."""
        data = b"" if value is None else value.to_bytes(size, "little")
        self.tell(core, _LOAD if value is None else _STORE, at, size, data)
        super().access_at(core, at, size, before=before, value=value)

    def emit(self, core: str, detail: Detail) -> None:
        """Signals are the firmware's too; the states of cores come by themselves."""
        if isinstance(detail, NotificationTaken) and detail.channels == (_LISTENED[core],):
            self._step(core, _TAKE, 1, 0, 0)
        elif isinstance(detail, NotificationSent | NotificationIgnored):
            self.tell(core, _LOAD, HSEM + 0x80 + 4 * detail.channel, 4, b"")
            self.tell(core, _STORE, HSEM + 4 * detail.channel, 4, _word(_CORE_ID[core]))
        elif not isinstance(detail, StateChanged) and type(detail).__name__ not in ("Accessed", "Changed"):
            raise Untold(type(detail).__name__)
        super().emit(core, detail)

    # What the bench looks at for its observer, no core does.

    def _bytes(self, name: str) -> bytes:
        return self._silently(super()._bytes, name)

    def watch(self, name: str, core: str, extent: Extent) -> None:
        self._silently(super().watch, name, core, extent)

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        return self._silently(super().observe, name, core, extent, merge=merge)

    def _silently(self, act: Callable[..., T], *arguments: object, **options: object) -> T:
        before, self._is_silent = self._is_silent, True
        try:
            return act(*arguments, **options)
        finally:
            self._is_silent = before

    def run(self) -> Verdict:
        """The verdict on the images that do the same."""
        script = self.script
        if script.exceptions or script.caches or not (script.main_alive and script.remote_alive):
            raise Untold("a core that waits, or never lived")
        if CoreState.HELD in script.states.values():
            raise Untold("a core that is held")
        super().run()
        options = self.observer.options
        return boot(self.told_images(), options.profile, options.locator, options.release)

    def told_images(self) -> dict[str, Image]:
        """Both, with what each core does."""
        pieces = {"main": [], "remote": []}  # type: dict[str, list[Piece]]
        for role, core, start in (("main", MAIN, self.script.main_code), ("remote", REMOTE, self.script.remote_code)):
            stack = int.from_bytes(start.data[:4], "little")
            if core in self.script.waiting:
                self._step(core, _POLL, 4, 0, self.script.waiting[core].polls[0].address)
            spins = self.script.states.get(core) is CoreState.RUNNING
            end = struct.pack("<BBHII", _SPIN if spins else 0, 0, 0, 0, 0)
            steps = b"".join(self.steps[core]) + end
            pieces[role] = [*_firmware(core, stack), Piece(_BANK[core] + _STEPS, steps, flags=4)]
        if not self.script.table_at_run_time:
            load, table = FLASH + 0x10_1000, self.table_bytes
            piece = Piece(load, table, self.script.table_run, 4, ".resource_table", self.script.table_loaded)
            pieces["remote"].append(piece)
        return {role: make_elf(f"{role}.elf", each) for role, each in pieces.items()}


def boot(
    images: dict[str, Image], profile: object = None, locator: object = None, release: object = None, **options: object
) -> Verdict:
    """Run two images on the benches' chip, and judge."""
    paths = {role: folder() / f"{role}.elf" for role in images}
    for role, path in paths.items():
        path.write_bytes(images[role].data)
    given = {"profile": profile or "auto", "table": locator, "nuttx_config": release}
    options |= {name: str(value) for name, value in given.items() if value}
    with Board(PLATFORM, **paths, **options) as board:
        board.run(timeout="500 ms")
        return board.verdict()


def _word(value: int) -> bytes:
    return struct.pack("<I", value)


def _firmware(core: str, stack: int) -> Iterator[Piece]:
    """The code that does the steps, and its vectors."""
    image = _built(core)
    by_name = {name: symbol.address | 1 for name, symbol in image.symbols.items()}
    vectors = [stack, by_name["reset"], *[by_name["unexpected"]] * (14 + 150)]
    vectors[16 + _IRQ[core]] = by_name["rung"]
    yield Piece(_BANK[core], b"".join(map(_word, vectors)), section=".isr_vector")
    for segment in image.segments:
        yield Piece(segment.load_address, segment.data, section=".text")


@functools.cache
def folder() -> Path:
    """For images, until the tests end."""
    made = Path(tempfile.mkdtemp(prefix="rptwin-told-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@functools.cache
def _built(core: str) -> Image:
    """For one core; each is compiled once."""
    elf, obj = (folder() / f"{core}{suffix}" for suffix in (".elf", ".o"))
    zig = (sys.executable, "-m", "ziglang")
    macros = (f"-DCORE={1 if core == MAIN else 2}u", f"-DSTEPS={_BANK[core] + _STEPS:#x}u")
    flags = ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4", "-ffreestanding", "-fno-builtin", "-O2", "-g0")
    quiet = ("-ffunction-sections", "-fno-sanitize=all", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")
    _done(*zig, "cc", *flags, *quiet, *macros, "-c", str(SUPPORT / "images" / "told.c"), "-o", str(obj))
    script, at = str(SUPPORT / "images" / "told.ld"), f"--defsym=code_at={_BANK[core] + _CODE:#x}"
    _done(*zig, "ld.lld", "-m", "armelf", "-static", at, "-T", script, str(obj), "-o", str(elf))
    return load_elf(elf)


def _done(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


assert PLATFORM.core("main").boot_address == FLASH, "the chip is the benches' board"
assert {MAIN_RAM, REMOTE_RAM} <= {each.address for region in PLATFORM.regions for each in region.registrations}
