"""Firmware that does the same for ever costs a round of it: what is skipped ends as if it had been executed.

And firmware that gets on, however hard it works, is executed to the last instruction.
"""

from __future__ import annotations

import pytest

from orchestrator.engines.contract import Stop, StopReason
from orchestrator.engines.unicorn import recurrence
from orchestrator.events import Note

US, MS, S = 1_000, 1_000_000, 1_000_000_000

STORMS = {
    "svc": "reset:\n1: svc 0\n b 1b\nsv_call: bx lr\n",
    "a handler that skips what faults": "reset:\n1: ldr r0, =NOWHERE\n ldr r1, [r0]\n b 1b\n"
    "hard_fault: ldr r1, [sp, #24]\n adds r1, #2\n str r1, [sp, #24]\n bx lr\n",
    "pendsv": "reset: ldr r0, =ICSR\n ldr r1, =PENDSVSET\n1: str r1, [r0]\n b 1b\npend_sv: bx lr\n",
    "an interrupt that software raises": "reset: ldr r0, =NVIC_ISER\n movs r1, #32\n str r1, [r0]\n ldr r0, =STIR\n"
    " movs r1, #5\n1: str r1, [r0]\n b 1b\nirq5: bx lr\n",
    "systick with a reload of 1": "reset: ldr r0, =SYST_CSR\n movs r1, #1\n str r1, [r0, #4]\n movs r1, #7\n"
    " str r1, [r0]\n b .\nsys_tick: bx lr\n",
    "sev and wfe": "reset:\n1: sev\n wfe\n b 1b\n",
    "yield": "reset:\n1: yield\n b 1b\n",
    "the mpu on and off": "reset: ldr r0, =0xe000ed94\n1: movs r1, #5\n str r1, [r0]\n ldr r2, [sp, #-8]\n"
    " movs r1, #0\n str r1, [r0]\n b 1b\n",
    "a console": "reset: ldr r0, =USART\n movs r1, #13\n str r1, [r0]\n movs r1, #65\n1: str r1, [r0, #0x28]\n b 1b\n",
    "semihosting": 'reset: adr r1, 2f\n1: movs r0, #4\n bkpt 0xab\n b 1b\n .align 2\n2: .asciz "the same line\\n"\n',
    "a lot by semihosting": "reset: adr r1, 2f\n1: movs r0, #5\n bkpt 0xab\n b 1b\n .align 2\n"
    "2: .word 1, 0x20000000, 0x8000\n",
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stretch of some hundred stops is looked at: the tests are to be short."""
    monkeypatch.setattr(recurrence, "_PATIENCE", 60)


def state(machine) -> object:
    engine = machine.engine
    registers = [dict(engine.registers(core.name)) for core in engine.platform.cores]
    consoles = {name: (console.total, console.output) for name, console in engine.consoles.items()}
    return engine.time_ns, registers, engine.wiring.memory.save(), consoles


@pytest.mark.parametrize("core", ["cpu_a", "cpu_b"])
@pytest.mark.parametrize("name", STORMS)
def test_a_storm_that_is_skipped_ends_as_if_it_had_been_executed(boot, name, core):
    other = "reset: wfi\n b reset\n"
    skipped, executed = (
        boot(STORMS[name], core=core, other=other, quantum_ns=US, skip_idle_loops=skips) for skips in (True, False)
    )
    stops = [machine.engine.run(100 * US) for machine in (skipped, executed)]
    assert stops == [Stop(StopReason.TIMEOUT, stops[1].time_ns, repeats=True), stops[1]]
    assert state(skipped) == state(executed)
    assert skipped.core.work < executed.core.work


@pytest.mark.parametrize("name", STORMS)
def test_an_hour_of_a_storm_is_a_few_rounds(boot, name):
    machine = boot(STORMS[name], skip_idle_loops=True)
    assert machine.engine.run(3600 * S).repeats
    assert machine.engine.time_ns >= 3600 * S
    assert machine.core.work < 40_000
    (note,) = (each for each in machine.details(Note) if "repeats itself" in each.text)
    assert "exactly every" in note.text


def test_what_is_said_of_a_storm_is_said_again_after_a_restore(boot):
    machine = boot(STORMS["svc"], skip_idle_loops=True)
    before = machine.engine.snapshot()
    machine.engine.run(1 * S)
    said = machine.details(Note)
    machine.engine.restore(before)
    machine.engine.run(1 * S)
    assert len(said) == 1
    assert machine.details(Note) == said * 2


def test_pieces_of_a_storm_are_the_whole(boot):
    whole, pieces = (boot(STORMS["svc"], other="reset: wfi\n b reset\n", skip_idle_loops=True) for _ in range(2))
    whole.engine.run(9 * MS)
    for piece in (1 * MS, 20 * US, 2 * MS + 20 * US, 5 * MS + 960 * US):
        pieces.engine.run(piece)
    assert state(whole) == state(pieces)


def test_the_exceptions_of_a_round_are_named(boot):
    machine = boot(STORMS["svc"], skip_idle_loops=True)
    machine.engine.run(20 * MS)
    assert any("cpu_a takes SVCall" in each.text for each in machine.details(Note))


COUNTED_TICKS = """
reset:
    poke SYST_CSR + 4, 2702
    poke SYST_CSR, 7
    ldr r4, =out
    ldr r5, =ICSR
    ldr r6, =PENDSVSET
1:  str r6, [r5]
    b 1b
sys_tick:
    ldr r0, =out
    ldr r1, [r0]
    adds r1, #1
    str r1, [r0]
    bx lr
pend_sv:
    ldr r0, =out
    ldr r1, [r0, #4]
    adds r1, #1
    str r1, [r0, #4]
    bx lr
"""


def test_37_000_ticks_a_second_and_context_switches_without_pause_are_no_storm(boot):
    machine = boot(COUNTED_TICKS, skip_idle_loops=True)
    assert machine.engine.run(400 * US) == Stop(StopReason.TIMEOUT, 400 * US)
    assert machine.outs(1) == [14]
    assert 1_000 < machine.out(1) <= machine.taken.count("PendSV") <= machine.out(1) + 1


WAITS_BY_SVC = "reset: ldr r4, =0x20008000\n1: svc 0\n ldr r0, [r4]\n cmp r0, #7\n bne 1b\n b done\nsv_call: bx lr\n"
WRITES_LATER = """
reset:
    poke SYST_CSR + 4, 149999
    poke SYST_CSR, 7
1:  wfi
    b 1b
sys_tick:
    ldr r0, =0x20008000
    movs r1, #7
    str r1, [r0]
    bx lr
"""


def test_who_waits_by_system_calls_for_the_other_core_sees_what_it_waits_for(boot):
    """It does the same again and again, and will not for ever: a tick of the other core is on its way."""
    ended = []
    for skips in (True, False):
        machine = boot(WAITS_BY_SVC, other=WRITES_LATER, skip_idle_loops=skips)
        machine.write(0x2000_8000, 0)
        machine.engine.run(5 * MS)
        ended.append((machine.engine.registers("cpu_a")["PC"], machine.taken.count("SVCall")))
    assert ended[0] == ended[1]
    assert ended[0][0] == machine.symbol("done")


def test_what_the_host_stores_ends_the_storm(boot):
    machine = boot(WAITS_BY_SVC, skip_idle_loops=True)
    assert machine.engine.run(50 * MS).repeats
    machine.write(0x2000_8000, 7)
    assert not machine.engine.run(1 * MS).repeats
    assert machine.engine.registers("cpu_a")["PC"] == machine.symbol("done")


def test_a_device_that_counts_is_no_storm(boot):
    """The same registers at two moments, and a counter that the next look will find elsewhere."""
    program = "reset: poke 0xe000edfc, 0x01000000\n poke DWT_CTRL, 1\n1: svc 0\n ldr r0, =CYCCNT\n ldr r0, [r0]\n"
    program += " lsrs r0, #17\n beq 1b\n b done\nsv_call: bx lr\n"
    machine = boot(program, skip_idle_loops=True)
    assert not machine.engine.run(1_200 * US).repeats
    machine.run_us(200)
    assert machine.engine.registers("cpu_a")["PC"] == machine.symbol("done")
