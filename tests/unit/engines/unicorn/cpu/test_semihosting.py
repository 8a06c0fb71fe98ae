"""Semihosting calls (Arm, "Semihosting for AArch32 and AArch64", chapter 5), from real instructions."""

from __future__ import annotations

import pytest

from orchestrator.events import CoreState, Note, StateChanged

TEXT = 'text: .asciz "hello\\n"\ntty: .asciz ":tt"\nfile: .asciz "a.txt"\n .align 2\n'


def said(machine) -> bytes:
    return machine.engine.consoles["cpu_a.semihosting"].output


def run(boot, code: str):
    return boot(f"reset: {code}\n b done\n .align 2\n .thumb\n{data()}")


def data() -> str:
    return "\n".join(f"    {line}" for line in TEXT.replace("text:", "TEXT:").splitlines())


def call(operation: int, argument: str) -> str:
    return f"ldr r1, ={argument}\n movs r0, #{operation}\n bkpt #0xab\n"


def test_a_character_and_a_string_are_written(boot):
    code = call(4, "TEXT") + call(3, "TEXT + 1")
    machine = run(boot, code.replace("tty", "TTY")).finish()
    assert said(machine) == b"hello\ne"
    assert machine.faults == []


@pytest.mark.parametrize(
    ("operation", "argument", "note"),
    [
        (0x12, "TEXT", "semihosting: SYS_SYSTEM is not served: -1"),
        (0x99, "TEXT", "semihosting: operation 0x99 is not served: -1"),
        (4, "0x30000000", "semihosting: what operation 0x4 points to lies in no memory: -1"),
        (5, "0xFFFFFFFC", "semihosting: what operation 0x5 points to lies in no memory: -1"),
    ],
)
def test_what_is_refused_is_minus_one_and_noted(boot, operation, argument, note):
    machine = run(boot, call(operation, argument)).finish()
    assert machine.register["R0"] == 0xFFFF_FFFF
    assert note in [each.text for each in machine.details(Note)]


@pytest.mark.parametrize(("reason", "words"), [("0x20026", "exit code 0"), ("0x20023", "reason 0x20023")])
def test_exit_ends_the_program_of_its_core_alone(boot, reason, words):
    code = f"reset: ldr r1, ={reason}\n movs r0, #0x18\n bkpt #0xab\n b unexpected\n"
    machine = boot(code, other="reset: movs r0, #0\nspin: adds r0, #1\n b spin\n")
    machine.run_us(40)
    assert machine.details(StateChanged)[-1] == StateChanged(
        CoreState.HELD, f"its program ended by semihosting, {words}"
    )
    assert machine.engine.state("cpu_b") is CoreState.RUNNING


def test_another_bkpt_is_a_fault_as_before(boot):
    machine = boot("reset: bkpt #0xaa\n b unexpected\nhard_fault: b done\n").finish()
    assert machine.fault.status == ("DEBUGEVT",)
