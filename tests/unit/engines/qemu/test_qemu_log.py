"""Lines of QEMU's log, as 7.2 and the plugin print them, and what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.qemu import log

LINES = {
    "rptwin store 59968 3 1 102009a2 28200000 4 1f": log.Stored(59968, 3, 1, 0x1020_09A2, 0x2820_0000, 4, 0x1F),
    "rptwin probe 229920 13 1 0 2": log.Probed(229920, 13, 1, 0, 2),
    "rptwin turn 220000 39 1": log.Turned(220000, 39, 1),
    "Taking exception 5 [IRQ] on CPU 1": log.Raised(1),
    "Taking exception 8 [QEMU v7M exception exit] on CPU 0": log.Raised(0),
    "nvic_acknowledge_irq NVIC acknowledge IRQ: 22 now active (prio 0)": log.Taken(22),
    "nvic_complete_irq NVIC complete IRQ 22 (secure 1)": log.Completed(22),
    "Loaded reset SP 0x30020000 PC 0x102008c9 from vector table": log.Reset(0x3002_0000, 0x1020_08C9),
    "qemu: fatal: Lockup: can't escalate 3 to HardFault (current priority -1)": log.Fatal(
        "Lockup: can't escalate 3 to HardFault (current priority -1)"
    ),
    "R12=00000000 R13=3000ffb0 R14=fffffff1 R15=100014fe": log.Registers(
        {"R12": 0, "R13": 0x3000_FFB0, "R14": 0xFFFF_FFF1, "R15": 0x1000_14FE}
    ),
    "XPSR=61000003 -ZC- T S handler": log.Registers({"XPSR": 0x6100_0003}),
    "SYS_PPU: unimplemented device write (size 4, offset 0x10, value 0x0000abcd)": log.Unimplemented(
        "SYS_PPU", 0x10, 4, 0xABCD
    ),
    "SYS_PPU: unimplemented device read  (size 4, offset 0x0)": log.Unimplemented("SYS_PPU", 0, 4, None),
    "CMSDK APB UART read: bad offset 1c": log.Said("CMSDK APB UART read: bad offset 1c"),
    "Invalid read at addr 0x70000000, size 4, region '(null)', reason: rejected": log.Missed(0x7000_0000, 4, True),
    "...taking pending secure exception 5": None,
    "Exception return: magic PC fffffff9 previous exception 22": None,
    "": None,
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_says_one_thing_or_nothing(line: str) -> None:
    assert log.parse_line(line) == LINES[line]


@given(st.text(alphabet=st.characters(exclude_characters="\n")))
def test_whatever_a_device_says_is_taken_as_it_stands(text: str) -> None:
    line = f"device: {text}"
    assert log.parse_line(line) == log.Said(line)
