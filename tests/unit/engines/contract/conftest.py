"""Small Thumb programs on the STM32H745, and a board that remembers what happened on it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.engines.contract import CoherenceMode, EngineOptions, Stop
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.events import Access, Accessed, Detail, Event
from orchestrator.formats.elf import Image, load_elf
from orchestrator.platform import Platform, load_platform

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
BOOT = {MAIN: 0x0800_0000, REMOTE: 0x0810_0000}
STACK = {MAIN: 0x2002_0000, REMOTE: 0x1004_0000}
MARKS = 0x3800_0000  # SRAM4: where programs leave what tests look at
QUANTUM_NS = 20_000
IDLE = "b ."

HANDLERS = (
    "nmi",
    "hard_fault",
    "mem_manage",
    "bus_fault",
    "usage_fault",
    "sv_call",
    "pend_sv",
    "sys_tick",
    "interrupt",
)

# A program begins at `start`; the handlers that it does not define stop at `unexpected`.
PRELUDE = """
    .syntax unified
    .thumb
    .text
    .global vectors
vectors:
    .word STACK, start, nmi, hard_fault, mem_manage, bus_fault, usage_fault
    .word 0, 0, 0, 0, sv_call, 0, 0, pend_sv, sys_tick
    .rept 150
    .word interrupt
    .endr
    .type unexpected, %function
    .thumb_func
unexpected: b unexpected
    .equ MARKS, 0x38000000
    .type start, %function
    .thumb_func
start:
"""


TARGET = ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m7+fp_armv8d16")
LINKER = "SECTIONS {{ . = {address:#x}; .text : {{ *(.text) }} /DISCARD/ : {{ *(.ARM*) }} }}\n"


class Assembler:
    """Thumb source to images, each text once: test processes side by side, and later ones, share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._images: dict[Path, Image] = {}

    def image(self, source: str, address: int, name: str = "program") -> Image:
        """Everything at one address."""
        digest = hashlib.sha256(f"{address} {LINKER} {TARGET} {source}".encode()).hexdigest()
        path = self._folder / f"{name}-{digest[:20]}.elf"
        if path not in self._images:
            if not path.exists():
                self._make(path, source, address)
            self._images[path] = load_elf(path)
        return self._images[path]

    def _make(self, path: Path, source: str, address: int) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            listing, code, script, image = (Path(name, f"program.{suffix}") for suffix in ("s", "o", "ld", "elf"))
            listing.write_text(f"{source}\n    .ltorg\n")
            script.write_text(LINKER.format(address=address))
            zig = [sys.executable, "-m", "ziglang"]
            run([*zig, "cc", *TARGET, "-c", str(listing), "-o", str(code)])
            run([*zig, "ld.lld", "-m", "armelf", "-e", "0", "-T", str(script), str(code), "-o", str(image)])
            image.replace(path)

    def program(self, core: str, source: str) -> Image:
        """A program that a core boots."""
        given = [name for name in HANDLERS if f"\n{name}:" in source]
        names = "".join(
            f".type {name}, %function\n" if name in given else f".thumb_set {name}, unexpected\n" for name in HANDLERS
        )
        return self.image(names + PRELUDE.replace("STACK", hex(STACK[core])) + source, BOOT[core])

    def code(self, source: str, address: int) -> bytes:
        """Bare instructions as they stand at an address."""
        (segment,) = self.image(f".syntax unified\n.thumb\n.text\n{source}", address).segments
        return segment.data


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Rig:
    """An engine with programs loaded, and every event."""

    def __init__(self, engine: UnicornEngine) -> None:
        self.engine = engine
        self.events: list[Event] = []
        engine.subscribe(self.events.append)

    def run_us(self, time_us: int) -> Stop:
        return self.engine.run(time_us * 1000)

    def word(self, address: int, core: str = MAIN) -> int:
        return int.from_bytes(self.engine.memory(core).read(address, 4), "little")

    def mark(self, index: int = 0) -> int:
        """A word that a program has left."""
        return self.word(MARKS + 4 * index)

    def set_word(self, address: int, value: int, core: str = MAIN) -> None:
        self.engine.memory(core).write(address, value.to_bytes(4, "little"))

    def details(self, kind: type[Detail]) -> list[Detail]:
        return [event.detail for event in self.events if isinstance(event.detail, kind)]

    def accesses(self, core: str = MAIN) -> list[Access]:
        """What was told of this core, in order."""
        turns = [event.detail for event in self.events if event.core == core and isinstance(event.detail, Accessed)]
        return [access for turn in turns for access in turn.accesses]

    def stands_idle(self, core: str) -> bool:
        """Whether the engine has proved that this core stands in an idle loop."""
        # No contract shows it: skipping is meant to be invisible.
        return self.engine.core(core).loop is not None

    def everything(self) -> Mapping[str, object]:
        """All that can be seen of a board."""
        engine = self.engine
        cores = [core.name for core in engine.platform.cores]
        return {
            "time": engine.time_ns,
            "states": [engine.state(core) for core in cores],
            "registers": [engine.registers(core) for core in cores],
            "instructions": [engine.instructions(core) for core in cores],
            "memory": [
                engine.memory(core).read(extent.start, extent.size)
                for core in cores
                for region in engine.platform.regions
                for extent in region.extents(core)[:1]
            ],
            "consoles": {name: console.output for name, console in engine.consoles.items()},
        }


@pytest.fixture(scope="session")
def platform() -> Platform:
    return load_platform("stm32h745")


@pytest.fixture(scope="session")
def assembler(pytestconfig: pytest.Config) -> Assembler:
    return Assembler(pytestconfig.cache.mkdir("programs"))


@pytest.fixture
def board(platform: Platform, assembler: Assembler) -> Callable[..., Rig]:
    """``board(main, remote)``: a board with these programs (source, or image) at power-on."""
    rigs = []

    def make(
        main: str | Image = IDLE,
        remote: str | Image = IDLE,
        *,
        skip_idle_loops: bool = True,
        quantum_ns: int = QUANTUM_NS,
        seed: int = 0,
        shares_memory: bool = False,
        coherence: CoherenceMode | None = None,
    ) -> Rig:
        options = EngineOptions(quantum_ns, seed, shares_memory=shares_memory, coherence=coherence)
        engine = UnicornEngine(platform, options, skip_idle_loops=skip_idle_loops)
        rig = Rig(engine)
        for core, program in ((MAIN, main), (REMOTE, remote)):
            image = assembler.program(core, program) if isinstance(program, str) else program
            engine.load(core, image, image.vector_table)
        rigs.append(rig)
        return rig

    yield make
    for rig in rigs:
        rig.engine.close()
