"""Encodings that Unicorn executes, and that are undefined on every M-profile core here (DDI0403E A5.1, A5.3)."""

from __future__ import annotations

import pytest

UNDEFINED = {
    "vmrs r0, fpsid": 0xEEF0_0A10,  # A7.7.246: FPSCR is the only register
    "vmrs r0, fpexc": 0xEEF8_0A10,
    "vmsr fpexc, r0": 0xEEE8_0A10,
    "vld1.32 {d0, d1}, [r0]": 0xF920_0A8F,  # A5.3: no Advanced SIMD
    "vst1.8 {d0}, [r0]": 0xF900_070F,
    "blx to Arm code": 0xF000_E800,  # A5.3.4: BLX has no immediate
    "sb": 0xF3BF_8F70,  # of Armv8.0-M an option that no core here has
}
UFSR_UNDEFINSTR = 1 << 16
FP_ON = " ldr r1, =0xe000ed88\n ldr r2, =0xf00000\n str r2, [r1]\n dsb\n isb\n"
HANDLER = "usage_fault: ldr r1, =0xe000ed28\n ldr r1, [r1]\n ldr r2, =out\n str r1, [r2]\n b done\n"


@pytest.mark.parametrize("board", ["m7", "m4", "m33"])
@pytest.mark.parametrize("name", UNDEFINED)
def test_what_no_m_profile_core_has_is_undefined(boot, board, name):
    enable = " ldr r1, =0xe000ed24\n ldr r2, =0x40000\n str r2, [r1]\n"
    code = f" .inst.w {UNDEFINED[name]:#010x}\n"
    program = f"reset: @ {board.upper()}\n{enable}{FP_ON} ldr r0, =out\n{code} b done\n{HANDLER}"
    cores = {"board": "single"} if board == "m33" else {"core": "cpu_a" if board == "m7" else "cpu_b"}
    machine = boot(program, **cores).finish()
    assert machine.taken == ["UsageFault"]
    assert machine.outs(1) == [UFSR_UNDEFINSTR]


def test_one_of_them_in_an_it_block_that_fails_its_condition_does_nothing(boot):
    code = " movs r0, #0\n cmp r0, #1\n it eq\n .inst.w 0xf000e800\n movs r0, #7\n str r0, [r4]\n b done\n"
    assert boot(f"reset: ldr r4, =out\n{code}").finish().outs(1) == [7]
