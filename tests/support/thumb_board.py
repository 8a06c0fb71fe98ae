"""Small Thumb programs on a small chip, and what they left behind.

A program begins at ``reset``; a handler is a label with the name of its exception (``sv_call``, ``irq3``), and an
exception without a handler ends at ``unexpected``. A program is over when it stands at ``done``.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TypeVar

import ziglang

from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.events import Event, ExceptionReturn, ExceptionTaken, Fault, GuestError, Lockup, UnmodelledAccess
from orchestrator.formats.elf import Image, load_elf
from orchestrator.platform import Platform, load_platform

__all__ = ["Assembler", "Machine", "board_platform"]

HERE = Path(__file__).parent
ZIG = Path(ziglang.__file__).parent / "zig"
# The program under test, on whichever core, and that of the other core: flash, RAM.
PLACES = ((0x0800_0000, 0x2000_0000), (0x0801_0000, 0x2000_8000))
SYSTEM_HANDLERS = (
    *("reset", "nmi", "hard_fault", "mem_manage", "bus_fault", "usage_fault", *["unexpected"] * 4),
    *("sv_call", "debug_monitor", "unexpected", "pend_sv", "sys_tick"),
)
HANDLERS = SYSTEM_HANDLERS + tuple(f"irq{number}" for number in range(40))
LOG_AT_ONCE = 50

Detail = TypeVar("Detail")


def board_platform(name: str) -> Platform:
    return load_platform(HERE / "boards" / f"{name}.repl")


class Assembler:
    """Programs to images; the same text for the same place is assembled once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._images: dict[tuple[str, int], Image] = {}
        self._prelude = (HERE / "prelude.s").read_text()

    def image(self, program: str, place: int) -> Image:
        key = (program, place)
        if key not in self._images:
            self._images[key] = self._build(program, place, self._folder / f"program{len(self._images)}")
        return self._images[key]

    def _build(self, program: str, place: int, path: Path) -> Image:
        flash, ram = PLACES[place]
        source, code, script, elf = (path.with_suffix(suffix) for suffix in (".s", ".o", ".ld", ".elf"))
        labels = set(re.findall(r"^(\w+):", program, re.MULTILINE))
        vectors = "\n".join(f"    .word {name if name in labels else 'unexpected'}" for name in HANDLERS)
        table = "" if "vectors" in labels else f'    .section .vectors, "a"\nvectors: .word stack_top\n{vectors}\n'
        body = re.sub(r"^([a-z]\w*):", r"    .thumb_func\n\1:", program, flags=re.MULTILINE)
        ends = "\n    .thumb_func\nunexpected: b unexpected\n    .thumb_func\ndone: b done\n    .ltorg\n"
        source.write_text(f"{self._prelude}{body}{ends}{table}")
        script.write_text(
            f"SECTIONS {{ . = {flash:#x}; .text : {{ *(.vectors) *(.text) }}\n"
            f"  .bss {ram:#x} (NOLOAD) : {{ *(.bss) }} /DISCARD/ : {{ *(.ARM*) }} }}\n"
        )
        target = ["-target", "thumbv8m.main-none-eabihf" if "M33" in program else "thumbv7em-none-eabihf"]
        _run([ZIG, "clang", *target, "-mfpu=fpv5-d16", "-c", source, "-o", code])
        _run([ZIG, "ld.lld", "-m", "armelf", "-e", "reset", "-T", script, code, "-o", elf])
        return load_elf(elf)


def _run(command: list[object]) -> None:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Machine:
    """A board with programs in its cores; a core without a program is held."""

    def __init__(
        self,
        platform: Platform,
        images: dict[str, Image],
        core: str,
        quantum_ns: int,
        *,
        skip_idle_loops: bool,
        count_blocks: bool = True,
        native_exceptions: bool = True,
        listens: bool = True,
    ) -> None:
        options = EngineOptions(quantum_ns=quantum_ns)
        self.engine = UnicornEngine(
            platform,
            options,
            skip_idle_loops=skip_idle_loops,
            count_blocks=count_blocks,
            native_exceptions=native_exceptions,
        )
        self.events: list[Event] = []
        if listens:
            self.engine.subscribe(self.events.append)
        for each in self.engine.wiring.cores:
            each.native.hot = 16  # runs of a block before it is counted as one: programs here are short
        self.images = images
        self.name = core
        for each in platform.cores:
            if each.name in images:
                self.engine.load(each.name, images[each.name], images[each.name].vector_table)
            else:
                self.engine.hold(each.name)

    @property
    def core(self) -> Core:
        return self.core_named(self.name)

    def core_named(self, name: str) -> Core:
        return self.engine.core(name)

    # --- running

    def run_us(self, microseconds: float) -> Machine:
        self.engine.run(round(microseconds * 1000))
        return self

    def step(self, slots: int) -> Machine:
        """Run the core under test alone, for this many instructions."""
        core = self.core
        self.engine.power_on()
        core.run_to(core.now + slots)
        return self

    def finish(self, microseconds: float = 200) -> Machine:
        """Run until every core that has a program stands at ``done``."""
        self.run_us(microseconds)
        for name, image in self.images.items():
            pc = self.engine.registers(name)["PC"]
            assert pc == image.symbols["done"].address, f"{name} ends at {image.symbol_at(pc)}: {self.story}"
        return self

    # --- looking

    def symbol(self, name: str, core: str | None = None) -> int:
        return self.images[core or self.name].symbols[name].address

    def read(self, address: int, size: int = 4) -> int:
        return int.from_bytes(self.engine.memory(self.name).read(address, size), "little")

    def write(self, address: int, value: int, size: int = 4) -> None:
        self.engine.memory(self.name).write(address, value.to_bytes(size, "little"))

    def out(self, index: int = 0, core: str | None = None) -> int:
        return self.read(self.symbol("out", core) + 4 * index)

    def outs(self, count: int) -> list[int]:
        return [self.out(index) for index in range(count)]

    @property
    def trace(self) -> list[int]:
        """What the program logged."""
        start = self.symbol("cursor")
        return list(self.engine.memory(self.name).read(start + 4, self.read(start)))

    @property
    def register(self) -> dict[str, int]:
        return dict(self.engine.registers(self.name))

    def details(self, kind: type[Detail], core: str | None = None) -> list[Detail]:
        return [e.detail for e in self.events if isinstance(e.detail, kind) and core in (None, e.core)]

    @property
    def taken(self) -> list[str]:
        return [each.name for each in self.details(ExceptionTaken)]

    @property
    def faults(self) -> list[Fault]:
        return self.details(Fault)

    @property
    def fault(self) -> Fault:
        (fault,) = self.faults
        return fault

    @property
    def lockup(self) -> Lockup:
        (lockup,) = self.details(Lockup)
        return lockup

    @property
    def unmodelled(self) -> list[UnmodelledAccess]:
        return self.details(UnmodelledAccess)

    @property
    def guest_errors(self) -> list[GuestError]:
        return self.details(GuestError)

    @property
    def story(self) -> list[str]:
        """Events in short, for the message of a test that fails."""
        lines = []
        for event in self.events[:LOG_AT_ONCE]:
            detail = event.detail
            if isinstance(detail, ExceptionTaken | ExceptionReturn):
                lines.append(f"{event.time_ns} {event.core} {event.kind} {detail.name}")
            elif isinstance(detail, Fault | Lockup | GuestError):
                lines.append(f"{event.time_ns} {event.core} {event.kind} {detail.what} at {detail.pc:#x}")
            else:
                lines.append(f"{event.time_ns} {event.core} {detail}")
        return lines
