"""What is pasted into a UART at once arrives whole and in order, however the firmware takes it."""

from __future__ import annotations

import random

import pytest

from orchestrator.engines.contract import ConsoleText

PASTED = random.Random(1).randbytes(100_000).replace(b"!", b"?") + b"!"

POLLED = """
    ldr r4, =0x40004800
    ldr r0, =CONTROL | 0x0D
    str r0, [r4]
take:
    ldr r0, [r4, #0x1C]
    tst r0, #0x20
    beq take
    ldrb r0, [r4, #0x24]
    strb r0, [r4, #0x28]
    b take
"""

INTERRUPTED = """
    ldr r4, =0xE000E104
    movs r0, #1 << 7
    str r0, [r4]
    ldr r4, =0x40004800
    ldr r0, =CONTROL | 0x2D
    str r0, [r4]
wait:
    wfi
    b wait

interrupt:
    ldr r4, =0x40004800
take:
    ldr r0, [r4, #0x1C]
    tst r0, #0x20
    beq taken
    ldrb r0, [r4, #0x24]
    strb r0, [r4, #0x28]
    DRAIN
taken:
    dsb
    bx lr
"""


@pytest.mark.parametrize(
    ("program", "fifo"),
    [(POLLED, 0), (INTERRUPTED.replace("DRAIN", ""), 0), (INTERRUPTED.replace("DRAIN", "b take"), 1 << 29)],
    ids=["polled", "an interrupt for each byte", "an interrupt for each burst, with FIFO"],
)
def test_a_hundred_kilobytes_pasted_into_a_uart_are_echoed_whole(board, program, fifo):
    rig = board(program.replace("CONTROL", hex(fifo)), "b .")
    rig.run_us(100)
    rig.engine.consoles["usart3"].write(PASTED)
    rig.engine.run(2_000_000_000, ConsoleText("usart3", "!"))
    assert rig.engine.consoles["usart3"].output == PASTED
