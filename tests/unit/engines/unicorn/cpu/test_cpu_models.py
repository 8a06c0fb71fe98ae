"""The cores are the real models, with the registers that tell software so."""

from __future__ import annotations

import pytest

CPUID = {"cpu_a": 0x411FC271, "cpu_b": 0x410FC241}


def test_cpuid_is_that_of_the_model(boot, core):
    machine = boot("reset: keep_at 0xE000ED00, 0\n b done", core=core).finish()
    assert machine.out() == CPUID[core]


DOUBLE = """
reset:
    fpu_on
    vmov.f64 d1, #2.0
    vmov.f64 d2, #3.0
    vmul.f64 d0, d1, d2
    vmov r4, r5, d0
    keep r4, 0
    keep r5, 1
    b done
hard_fault:
    keep_at CFSR, 2
    b done
"""


def test_the_m7_computes_in_double_precision(boot):
    machine = boot(DOUBLE).finish()
    assert machine.outs(2) == [0, 0x40180000]
    assert machine.taken == []


def test_double_precision_is_undefined_on_the_m4(boot):
    machine = boot(DOUBLE, core="cpu_b").finish()
    assert machine.out(2) == 1 << 16  # UNDEFINSTR
    assert machine.fault.status == ("UNDEFINSTR",)


def test_the_m7_executes_armv8_floating_point_and_the_m4_does_not(boot, core):
    machine = boot("reset: fpu_on\n vrinta.f32 s0, s1\n b done\nhard_fault: b done", core=core).finish()
    assert machine.taken == ([] if core == "cpu_a" else ["HardFault"])


def test_single_precision_works_on_both(boot, core):
    program = "reset: fpu_on\n vmov.f32 s1, #2.5\n vadd.f32 s0, s1, s1\n vmov r4, s0\n keep r4, 0\n b done"
    assert boot(program, core=core).finish().out() == 0x40A00000


def test_the_m33_is_an_armv8_core_and_the_others_are_not(boot, core):
    program = "reset: @ M33\n ldr r0, =out\n mov r1, #7\n stl r1, [r0]\n b done\nhard_fault: b done"
    machine = boot(program, board="single").finish()
    assert (machine.out(), machine.taken) == (7, [])
    machine = boot(program, core=core).finish()
    assert (machine.out(), machine.taken) == (0, ["HardFault"])


@pytest.mark.parametrize(("name", "mvfr0"), [("cpu_a", 0x10110221), ("cpu_b", 0x10110021)])
def test_mvfr0_says_which_precisions_there_are(boot, name, mvfr0):
    assert boot("reset: keep_at 0xE000EF40, 0\n b done", core=name).finish().out() == mvfr0
