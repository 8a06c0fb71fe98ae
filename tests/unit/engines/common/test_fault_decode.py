"""Faults from the registers that say what they were, and the code that they interrupted from its frame."""

from __future__ import annotations

import struct

import pytest

from orchestrator.base.memory import BytesMemory
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.faults import interrupted_registers, read_fault_status

STACK = 0x2000_0000


def status(cfsr: int = 0, hfsr: int = 0) -> tuple[tuple[str, ...], int | None, bool]:
    words = {cortex_m.CFSR: cfsr, cortex_m.HFSR: hfsr, cortex_m.MMFAR: 0x1234, cortex_m.BFAR: 0x5678}
    found = read_fault_status(words.__getitem__)
    return found.names, found.address, found.is_escalated


def test_the_address_is_that_of_the_register_which_is_valid() -> None:
    assert status(cfsr=1 << 1 | 1 << 7) == (("DACCVIOL", "MMARVALID"), 0x1234, False)
    assert status(cfsr=1 << 9 | 1 << 15, hfsr=1 << 30) == (("PRECISERR", "BFARVALID", "FORCED"), 0x5678, True)
    assert status(cfsr=1 << 16) == (("UNDEFINSTR",), None, False)
    assert status() == ((), None, False)


def handler(lr: int) -> dict[str, int]:
    return {"R0": 99, "SP": STACK, "MSP": STACK, "LR": lr, "PC": 0x100, "XPSR": 3}


@pytest.mark.parametrize(
    ("lr", "xpsr", "size"),
    [(0xFFFF_FFF9, 1 << 24, 0x20), (0xFFFF_FFF1, 1 << 24 | 1 << 9, 0x24), (0xFFFF_FFE9, 0, 0x68)],
)
def test_what_was_interrupted_stands_in_the_frame(lr: int, xpsr: int, size: int) -> None:
    words = (*range(6), 0x800_0000, xpsr)
    memory = BytesMemory("core", STACK, struct.pack("<8I", *words))
    found = interrupted_registers(handler(lr), memory)
    assert (found["R0"], found["R12"], found["LR"], found["PC"], found["XPSR"]) == (0, 4, 5, 0x800_0000, xpsr)
    assert found["SP"] == found["MSP"] == STACK + size


def test_a_frame_out_of_reach_leaves_the_handler_s_registers() -> None:
    nowhere = BytesMemory("core", 0, b"")
    assert interrupted_registers(handler(0xFFFF_FFF9), nowhere) == handler(0xFFFF_FFF9)
    on_process_stack = BytesMemory("core", STACK, bytes(0x20))
    assert interrupted_registers(handler(0xFFFF_FFFD), on_process_stack) == handler(0xFFFF_FFFD)
