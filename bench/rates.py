"""How often the things happen that firmware does all the time, on one core of an STM32H745 while the other sleeps."""

from __future__ import annotations

import functools
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ziglang

from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.formats.elf import Image, load_elf
from orchestrator.platform import load_platform

__all__ = ["RATES", "SLEEP_PROGRAM", "image_of", "rate_of"]

_ZIG = Path(ziglang.__file__).parent / "zig"
_COUNTER = 0x2000_0000  # each program counts here what it does
_PRELUDE = f"""
    .syntax unified
    .thumb
    .equ COUNTER, {_COUNTER:#x}
    .macro count
    ldr r0, =COUNTER
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
    .endm
    .globl reset
    .weak sv_call, pend_sv, sys_tick, irq0
    .word 0x20010000, reset, 0, 0, 0, 0, 0, 0, 0, 0, 0, sv_call, 0, 0, pend_sv, sys_tick, irq0
"""
SLEEP_PROGRAM = """
    .thumb_func
reset: wfi
    b reset
"""
_BUSY = """
    .thumb_func
reset: add r0, #1
    eor r1, r0, r2
    b reset
"""

_INTERRUPTS = """
    .thumb_func
reset: ldr r4, =0xE000E100
    mov r5, #1
    str r5, [r4]            @ NVIC_ISER0
1:  str r5, [r4, #0x100]    @ NVIC_ISPR0
    b 1b
    .thumb_func
irq0: count
    bx lr
"""
_SWITCHES = """
    .thumb_func
reset: ldr r0, =0x20002000 - 64
    ldr r1, =task
    bl frame
    ldr r0, =0x20003000 - 64
    ldr r1, =task
    bl frame
    ldr r0, =0x20002000
    msr psp, r0
    mov r0, #2
    msr control, r0
    isb
    b task
frame: mov r2, #0x01000000  @ r4 to r11, then what the hardware pushes
    strd r1, r2, [r0, #56]
    bx lr
    .thumb_func
task: ldr r4, =0xE000ED04
    mov r5, #1 << 28
1:  str r5, [r4]            @ ICSR.PENDSVSET
    b 1b
    .thumb_func
pend_sv: mrs r0, psp
    stmdb r0!, {r4-r11}
    ldr r2, =0x20000010     @ where the other task stands, if it ran before
    ldr r3, [r2]
    cbnz r3, 1f
    ldr r3, =0x20003000 - 64
1:  str r0, [r2]
    ldmia r3!, {r4-r11}
    msr psp, r3
    count
    bx lr
"""
# The same, each task with an MPU region of 1 KB of its own, by its place; everything else is the background's.
_PROTECTED = _SWITCHES.replace(
    "reset: ldr r0",
    """reset: ldr r0, =0xE000ED94
    mov r1, #5
    str r1, [r0]            @ MPU_CTRL
    ldr r0""",
    1,
).replace(
    "    msr psp, r3\n",
    """    msr psp, r3
    ldr r0, =0xE000ED9C
    bic r1, r3, #1020
    bic r1, r1, #3
    orr r1, r1, #0x10
    str r1, [r0]            @ MPU_RBAR, region 0
    ldr r1, =0x13000013
    str r1, [r0, #4]        @ MPU_RASR
""",
)
_UART = """
    .thumb_func
reset: ldr r4, =0x40004800  @ USART3
    mov r5, #0xD
    str r5, [r4]
1:  ldr r6, [r4, #0x1C]
    tst r6, #0x80
    beq 1b
    str r5, [r4, #0x28]
    count
    b 1b
"""
_REGISTER = """
    .thumb_func
reset: ldr r4, =0x58024400  @ RCC_CR
1:  ldr r5, [r4]
    count
    b 1b
"""
_MAILBOX = """
    .thumb_func
reset: ldr r4, =0x58026400  @ HSEM_R0, which nobody takes
1:  ldr r5, [r4]
    cmp r5, #1
    bne 1b
    b 1b
"""

# What is counted, the program, what the other core does, and the virtual time that it runs (ms).
RATES = {
    "interrupts taken and returned per second": (_INTERRUPTS, SLEEP_PROGRAM, 30),
    "context switches by PendSV per second": (_SWITCHES, SLEEP_PROGRAM, 60),
    "context switches by PendSV per second, with a region of the MPU": (_PROTECTED, SLEEP_PROGRAM, 60),
    "UART bytes sent per second": (_UART, SLEEP_PROGRAM, 60),
    "register reads per second, of a peripheral script": (_REGISTER, SLEEP_PROGRAM, 60),
    "instructions per second, one core polling a mailbox, the other busy": (_MAILBOX, _BUSY, 1000),
}


@functools.cache
def image_of(program: str, flash: int) -> Image:
    """A program of these lines, at an address."""
    with tempfile.TemporaryDirectory() as folder:
        source, code, script, elf = (Path(folder) / f"program.{suffix}" for suffix in ("s", "o", "ld", "elf"))
        source.write_text(f"{_PRELUDE}{program}\n    .ltorg\n")
        target = ["-target", "thumbv7em-none-eabihf"]
        subprocess.run([_ZIG, "clang", *target, "-c", source, "-o", code], check=True)
        script.write_text(f"SECTIONS {{ .text {flash:#x} : {{ *(.text) }} /DISCARD/ : {{ *(.ARM*) }} }}\n")
        subprocess.run([_ZIG, "ld.lld", "-m", "armelf", "-e", "reset", "-T", script, code, "-o", elf], check=True)
        return load_elf(elf)


def rate_of(what: str) -> float:
    """How many a wall second holds."""
    program, other, ms = RATES[what]
    board = UnicornEngine(load_platform("stm32h745"), EngineOptions())
    for core, flash, text in (("cpu_cm7", 0x0800_0000, program), ("cpu_cm4", 0x0810_0000, other)):
        board.load(core, image_of(text, flash), flash)
    count = _counted(board) if other is SLEEP_PROGRAM else lambda: sum(map(board.instructions, ("cpu_cm7", "cpu_cm4")))
    board.run(1_000_000)
    before = count()
    begin = time.perf_counter()
    board.run(ms * 1_000_000)
    took = time.perf_counter() - begin
    done = count() - before
    board.close()
    assert done, what
    return done / took


def _counted(board: UnicornEngine) -> Callable[[], int]:
    memory = board.memory("cpu_cm7")
    return lambda: int.from_bytes(memory.read(_COUNTER, 4), "little")
