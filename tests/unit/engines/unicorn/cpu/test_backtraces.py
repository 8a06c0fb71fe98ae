"""Who called whom, as a fault tells it."""

from __future__ import annotations

import pytest

CALLS = """
reset:
    .cfi_startproc
    .cfi_undefined lr
    bl outer
    b done
    .cfi_endproc
    .size reset, . - reset
    .type outer, %function
outer:
    .cfi_startproc
    push {{r4, lr}}
    .cfi_def_cfa_offset 8
    .cfi_offset r4, -8
    .cfi_offset lr, -4
    bl inner
    pop {{r4, pc}}
    .cfi_endproc
    .size outer, . - outer
inner:
    .cfi_startproc
    push {{r5, r6, r7, lr}}
    .cfi_def_cfa_offset 16
    .cfi_offset lr, -4
    {body}
    pop {{r5, r6, r7, pc}}
    .cfi_endproc
    .size inner, . - inner
"""


NAMES = ("inner", "outer", "reset")


def names_of(trace):
    return tuple((frame.symbol or "?").split("+")[0] for frame in trace)


def test_a_backtrace_follows_debug_frame(boot, core):
    machine = boot(CALLS.format(body="udf 0") + "hard_fault: b done", core=core).finish()
    assert names_of(machine.fault.backtrace) == NAMES
    assert not any(frame.guess for frame in machine.fault.backtrace)


@pytest.mark.parametrize("fp", ["", "fpu_on\n vmov.f32 s0, #1.0"])
def test_a_backtrace_goes_through_an_exception_to_what_was_interrupted(boot, core, fp):
    handler = """
    .cfi_startproc
sv_call:
    push {r4, lr}
    .cfi_def_cfa_offset 8
    .cfi_offset lr, -4
    udf 0
    .cfi_endproc
    .size sv_call, . - sv_call
hard_fault: b done
"""
    machine = boot(CALLS.format(body=f"{fp}\n svc 0") + handler, core=core).finish()
    assert names_of(machine.fault.backtrace) == ("sv_call", *NAMES)


def test_a_backtrace_goes_from_a_handler_to_the_process_stack(boot, core):
    before = "ldr r0, =psp_top\n msr psp, r0\n mov r0, #2\n msr control, r0\n isb\n"
    program = CALLS.format(body="svc 0").replace("    bl outer", f"{before}    bl outer")
    handler = "sv_call:\n .cfi_startproc\n nop\n udf 0\n .cfi_endproc\n .size sv_call, . - sv_call\nhard_fault: b done"
    machine = boot(program + handler, core=core).finish()
    assert names_of(machine.fault.backtrace) == ("sv_call", *NAMES)


def test_without_unwind_tables_the_stack_is_searched_and_the_result_marked_as_a_guess(boot, core):
    program = "\n".join(line for line in CALLS.format(body="udf 0").splitlines() if ".cfi" not in line)
    machine = boot(program + "\nhard_fault: b done", core=core).finish()
    first, *others = machine.fault.backtrace
    assert names_of([first]) == ("inner",)
    assert not first.guess
    assert list(dict.fromkeys(names_of(others))) == ["outer", "reset"]
    assert all(frame.guess for frame in others)


def test_a_fault_event_holds_the_registers_of_the_moment(boot, core):
    machine = boot("reset: mov r7, #77\n udf 0\nhard_fault: mov r7, #1\n b done", core=core).finish()
    assert machine.fault.registers["R7"] == 77
    assert machine.fault.registers["PC"] == machine.fault.pc
    assert machine.fault.registers["SP"] == machine.symbol("stack_top")
