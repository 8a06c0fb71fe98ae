"""SSAT and USAT, whose first halfword is one that MSR may have: every immediate does what the manual says."""

from __future__ import annotations

import pytest

SOURCE = 0x1237  # no stack pointer could hold it
BEYOND = (1 << 32) - SOURCE


def signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def shifted(value: int, shift: str) -> int:
    kind, _, amount = shift.partition(" #")
    if not kind:
        return value
    return signed(value << int(amount) & 0xFFFF_FFFF) if kind == "lsl" else value >> int(amount)


def saturated(name: str, bits: int, value: int) -> int:
    """DDI0403E A7.7.152 and A7.7.213: SignedSatQ() and UnsignedSatQ()."""
    lowest, highest = (-(1 << bits - 1), (1 << bits - 1) - 1) if name == "ssat" else (0, (1 << bits) - 1)
    return min(max(value, lowest), highest) & 0xFFFF_FFFF


@pytest.mark.parametrize("shift", ["", "lsl #3", "lsl #18", "asr #3"])
@pytest.mark.parametrize("name", ["ssat", "usat"])
@pytest.mark.parametrize("board", ["m7", "m4", "m33"])
def test_every_immediate_saturates_and_moves_no_stack_pointer(boot, board, name, shift):
    immediates = range(1, 33) if name == "ssat" else range(32)
    operand = f"r1, {shift}" if shift else "r1"
    code = "".join(
        f" mov r0, #0\n {name} r0, #{bits}, {operand}\n str r0, [r4], #4\n cmp sp, r5\n bne unexpected\n"
        for bits in immediates
    )
    for source in (SOURCE, BEYOND):
        program = f"reset: @ {board.upper()}\n ldr r4, =out\n ldr r1, ={source}\n mov r5, sp\n{code} svc 0\n b done\n"
        program += "sv_call: bx lr\n"  # a limit that was written would be seen here
        cores = {"board": "single"} if board == "m33" else {"core": "cpu_a" if board == "m7" else "cpu_b"}
        machine = boot(program, **cores).finish()
        value = shifted(signed(source), shift)
        assert machine.outs(32) == [saturated(name, bits, value) for bits in immediates]
        assert machine.taken == ["SVCall"]
