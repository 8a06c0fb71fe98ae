"""The small programs that are timed, and boards that run them."""

from __future__ import annotations

import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import unicorn
import ziglang
from unicorn import arm_const, unicorn_const

from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.formats.elf import Image, load_elf
from orchestrator.platform import load_platform

# Thumb code as halfwords; each program is a loop from its first halfword on.
BUSY = (0x1C40, 0xEA80, 0x0102, 0x00CA, 0x189B, 0x1A1C, 0xF044, 0x0501, 0xEA05, 0x0603, 0xE7F4)
SLEEP = (0xBF30, 0xE7FD)  # wfi; b .-2
SELF = (0xE7FE,)  # b .
CALLS = (0xF000, 0xF801, 0xE7FC, 0xB510, 0xBD10)  # bl f; b .-4; f: push {r4, lr}; pop {r4, pc}

# ldr r0, =0xE000E010; str the reload; clear; enable with interrupt and core clock; falls through to the loop
_TICK = (0x4803, 0x4904, 0x6041, 0x2100, 0x6081, 0x2107, 0x6001, 0xE003)
_HANDLER = (0x4770, 0xBF00)  # bx lr
_ENTRY = 0x200
_HANDLER_AT = 0x180


def _halfwords(*code: int) -> bytes:
    return struct.pack(f"<{len(code)}H", *code)


def board_of(program: tuple[int, ...], *, tick_hz: int | None = None) -> UnicornEngine:
    """An STM32H745 with this program in the flash of both cores, and a SysTick whose handler returns at once."""
    board = UnicornEngine(load_platform("stm32h745"), EngineOptions())
    for core, flash, stack, clock_hz in (
        ("cpu_cm7", 0x0800_0000, 0x2001_0000, 400_000_000),
        ("cpu_cm4", 0x0810_0000, 0x1001_0000, 200_000_000),
    ):
        vectors = struct.pack("<2I", stack, flash + _ENTRY + 1) + struct.pack("<14I", *[flash + _HANDLER_AT + 1] * 14)
        code = _halfwords(*program)
        if tick_hz is not None:
            literals = struct.pack("<2I", 0xE000_E010, clock_hz // tick_hz - 1)
            code = _halfwords(*_TICK) + literals + code
        memory = board.memory(core)
        memory.write(flash, vectors)
        memory.write(flash + _HANDLER_AT, _halfwords(*_HANDLER))
        memory.write(flash + _ENTRY, code)
        scs = board.core(core).scs  # no ELF file says where the vector table is
        scs.vtor = scs.vtor_reset = flash
    return board


def mixed(flash: int, ram: int) -> Image:
    """``mixed.c`` for these addresses."""
    zig = Path(ziglang.__file__).parent / "zig"
    source = Path(__file__).parent / "mixed.c"
    target = ["-target", "thumbv7em-none-eabihf", "-O2", "-fno-sanitize=all", "-ffreestanding"]
    with tempfile.TemporaryDirectory() as folder:
        vectors, code, script, elf = (Path(folder) / name for name in ("vectors.s", "mixed.o", "mixed.ld", "mixed.elf"))
        table = vectors.with_suffix(".o")
        vectors.write_text(f'.section .vectors, "a"\n.word {ram + 0x1_0000:#x}, reset\n')
        script.write_text(
            f"SECTIONS {{ .text {flash:#x} : {{ *(.vectors) *(.text*) *(.rodata*) }}\n"
            f"  .bss {ram:#x} (NOLOAD) : {{ *(.bss*) *(.data*) }} /DISCARD/ : {{ *(.ARM*) }} }}\n"
        )
        subprocess.run([zig, "clang", *target[:2], "-c", vectors, "-o", table], check=True)
        include = ["-isystem", str(zig.parent / "lib/include")]
        subprocess.run([zig, "clang", *target, *include, "-c", source, "-o", code], check=True)
        subprocess.run([zig, "ld.lld", "-m", "armelf", "-e", "reset", "-T", script, table, code, "-o", elf], check=True)
        return load_elf(elf)


def mixed_board() -> UnicornEngine:
    """Both cores of an STM32H745 on ``mixed.c``."""
    board = UnicornEngine(load_platform("stm32h745"), EngineOptions())
    for core, flash, ram in (("cpu_cm7", 0x0800_0000, 0x2000_0000), ("cpu_cm4", 0x0810_0000, 0x1000_0000)):
        board.load(core, mixed(flash, ram), flash)
    return board


def raw_mixed() -> Callable[[], float]:
    """``mixed.c`` on a bare Unicorn instance without any hook; the call gives its rounds in a second."""
    untyped: Any = unicorn
    core = untyped.Uc(unicorn_const.UC_ARCH_ARM, unicorn_const.UC_MODE_THUMB)
    core.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M7)
    image = mixed(0x0800_0000, 0x2000_0000)
    core.mem_map(0x0800_0000, 0x1_0000, unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_EXEC)
    core.mem_map(0x2000_0000, 0x1_0000, unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_WRITE)
    for segment in image.segments:
        if segment.data:
            core.mem_write(segment.load_address, bytes(segment.data))
    core.reg_write(arm_const.UC_ARM_REG_SP, 0x2001_0000)
    core.reg_write(arm_const.UC_ARM_REG_PC, image.symbols["reset"].address | 1)

    def rate() -> float:
        before, begin = _rounds(core, image), time.thread_time()  # the time-out polls in a thread of its own
        core.emu_start(core.reg_read(arm_const.UC_ARM_REG_PC) | 1, 0xFFFF_FFFE, timeout=300_000)
        return (_rounds(core, image) - before) / (time.thread_time() - begin)

    return rate


def _rounds(core: Any, image: Image) -> int:
    return int.from_bytes(core.mem_read(image.symbols["counter"].address, 4), "little")


def raw_busy() -> Callable[[], float]:
    """The busy loop on a bare Unicorn instance without any hook; the call gives its instructions in a second."""
    untyped: Any = unicorn
    core = untyped.Uc(unicorn_const.UC_ARCH_ARM, unicorn_const.UC_MODE_THUMB)
    core.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M7)
    core.mem_map(0x0800_0000, 0x1000)
    core.mem_write(0x0800_0000, _halfwords(*BUSY))

    def rate() -> float:
        core.reg_write(arm_const.UC_ARM_REG_R0, 0)  # counts the rounds, of eight instructions
        begin = time.thread_time()
        core.emu_start(0x0800_0001, 0xFFFF_FFFE, timeout=300_000)
        return 8 * int(core.reg_read(arm_const.UC_ARM_REG_R0)) / (time.thread_time() - begin)

    return rate


def raw_cores() -> Callable[[int], None]:
    """Two bare Unicorn instances on the same loop; the call runs so many slices of 2,000 instructions on each."""
    cores = []
    for model in (arm_const.UC_CPU_ARM_CORTEX_M7, arm_const.UC_CPU_ARM_CORTEX_M4):
        untyped: Any = unicorn
        core = untyped.Uc(unicorn_const.UC_ARCH_ARM, unicorn_const.UC_MODE_THUMB)
        core.ctl_set_cpu_model(model)
        core.mem_map(0x0800_0000, 0x1000)
        core.mem_write(0x0800_0000, _halfwords(*BUSY))
        cores.append(core)
    places = [0x0800_0001, 0x0800_0001]

    def run(slices: int) -> None:
        for _slice in range(slices):
            for index, core in enumerate(cores):
                core.emu_start(places[index], 0xFFFF_FFFE, count=2_000)
                places[index] = core.reg_read(arm_const.UC_ARM_REG_PC) | 1

    return run
