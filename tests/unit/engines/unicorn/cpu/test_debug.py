"""Breakpoints, watchpoints and steps of the engine: exact, and without any effect on the run."""

from __future__ import annotations

import pytest

from orchestrator.base.errors import TranslationError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.engines.contract import DebugReason, DebugStop, Watchpoint
from orchestrator.events import ExceptionTaken

COUNT = """
reset:  movs r4, #0
        ldr r5, =out
again:  adds r4, #1
store:  str r4, [r5]
after:  cmp r4, #5
        bne again
        b done
"""
OTHER = "reset: movs r0, #0\nspin: adds r0, #1\n b spin\n"


class Stops(list[DebugStop]):
    """Where a core stood still, with its PC and R4 then; ``then`` is done at each."""

    def __init__(self, machine, then=lambda engine: None):
        self.pcs: list[int] = []
        self.r4: list[int] = []
        self._machine, self._then = machine, then
        machine.engine.debug(machine.name, self._on_stop)

    def _on_stop(self, stop: DebugStop) -> None:
        self.append(stop)
        registers = self._machine.engine.debug_registers(self._machine.name)
        self.pcs.append(registers["PC"])
        self.r4.append(registers["R4"])
        self._then(self._machine.engine)

    @property
    def reasons(self) -> list[DebugReason]:
        return [stop.reason for stop in self]


def at(machine, *names):
    return frozenset(machine.symbol(name) for name in names)


def test_a_breakpoint_stops_before_its_instruction_each_time_round(boot, core):
    machine = boot(COUNT, core=core)
    stops = Stops(machine)
    machine.engine.set_breakpoints(core, at(machine, "store"))
    machine.finish()
    assert stops.pcs == [machine.symbol("store")] * 5
    assert stops.r4 == [1, 2, 3, 4, 5]
    assert set(stops.reasons) == {DebugReason.BREAKPOINT}
    assert machine.out() == 5


def test_a_run_that_was_stopped_at_every_turn_is_the_same_run(boot):
    plain = boot(COUNT, other=OTHER).run_us(100)
    stopped = boot(COUNT, other=OTHER)
    stops = Stops(stopped)
    stopped.engine.set_breakpoints("cpu_a", at(stopped, "again", "store"))
    stopped.engine.set_watchpoints("cpu_a", (Watchpoint(Extent(stopped.symbol("out"), 4), reads=True, writes=True),))
    stopped.run_us(100)
    assert len(stops) == 15
    assert [stopped.engine.instructions(each) for each in ("cpu_a", "cpu_b")] == [
        plain.engine.instructions(each) for each in ("cpu_a", "cpu_b")
    ]
    assert stopped.engine.registers("cpu_b") == plain.engine.registers("cpu_b")
    assert stopped.events == plain.events


def test_while_one_core_stands_still_the_other_does_too(boot):
    machine = boot(COUNT, other=OTHER)
    seen = []
    Stops(machine, lambda engine: seen.append(engine.instructions("cpu_b")))
    machine.engine.set_breakpoints("cpu_a", at(machine, "store"))
    machine.run_us(100)
    assert seen == [0] * 5, "cpu_b has its turn after cpu_a's"


def test_a_breakpoint_in_code_that_stores_can_change_is_as_exact(boot):
    program = """
reset:  ldr r0, =out
        ldr r1, =code - 1
        ldr r2, [r1]
        str r2, [r0]
        ldr r2, [r1, #4]
        str r2, [r0, #4]
        movs r4, #0
        adds r0, #1
        blx r0
        b done
        .align 2
code:   adds r4, #1
        adds r4, #2
        bx lr
        nop
"""
    machine = boot(program)
    stops = Stops(machine)
    machine.engine.set_breakpoints("cpu_a", frozenset({machine.symbol("out") + 2}))
    machine.finish()
    assert (stops.pcs, stops.r4) == ([machine.symbol("out") + 2], [1])
    assert machine.register["R4"] == 3


@pytest.mark.parametrize("instruction", ["sev", "wfe", "nop", "yield"])
def test_an_instruction_that_has_a_breakpoint_does_what_it_does(boot, instruction):
    program = f"reset: sev\nmovs r4, #1\nhere: {instruction}\n movs r4, #2\n b done\n"
    machine = boot(program)
    stops = Stops(machine)
    machine.engine.set_breakpoints("cpu_a", at(machine, "here"))
    machine.finish()
    assert stops.r4 == [1]
    assert machine.register["R4"] == 2


def test_a_breakpoint_on_a_store_exclusive_leaves_it_its_monitor(boot):
    program = "reset: ldr r5, =out\nload: ldrex r0, [r5]\nhere: strex r4, r0, [r5]\n b done\n"
    machine = boot(program)
    Stops(machine)
    machine.engine.set_breakpoints("cpu_a", at(machine, "load", "here"))
    machine.finish()
    assert machine.register["R4"] == 0


def test_an_idle_loop_is_not_skipped_past_its_breakpoint(boot):
    machine = boot("reset: movs r4, #0\nwait: nop\n b wait\n", skip_idle_loops=True)
    machine.run_us(1000)
    stops = Stops(machine)
    machine.engine.set_breakpoints("cpu_a", at(machine, "wait"))
    machine.run_us(20)
    assert len(stops) == 1000


def test_a_breakpoint_in_an_it_block_is_reported_before_its_instruction_and_changes_nothing(boot):
    program = """
reset:  movs r4, #0
        cmp r4, #0
        itt eq
        addeq r4, #1
inside: addeq r4, #2
behind: adds r4, #4
        b done
"""
    machine = boot(program)
    stops = Stops(machine)
    machine.engine.set_breakpoints("cpu_a", at(machine, "inside"))
    machine.finish()
    assert stops.pcs == [machine.symbol("inside")]
    assert machine.register["R4"] == 7
    assert machine.faults == []


def step_on(count):
    """Steps until there were so many stops."""
    left = count

    def then(engine):
        nonlocal left
        left -= 1
        if left > 0:
            engine.step("cpu_a", wanted=True)

    return then


def test_a_step_is_one_instruction(boot):
    machine = boot(COUNT)
    stops = Stops(machine, step_on(5))
    machine.engine.step("cpu_a", wanted=True)
    machine.finish()
    start = machine.symbol("reset")
    names = ("again", "store", "after")
    assert stops.pcs == [start + 2, *(machine.symbol(name) for name in names), machine.symbol("after") + 2]
    assert [stop.time_ns for stop in stops] == [10, 20, 30, 40, 50]


def test_a_step_goes_into_the_handler_of_an_exception(boot):
    machine = boot("reset: svc #1\nback: b done\nsv_call: nop\n bx lr\n")
    stops = Stops(machine, step_on(3))
    machine.engine.step("cpu_a", wanted=True)
    machine.finish()
    assert stops.pcs == [machine.symbol("sv_call"), machine.symbol("sv_call") + 2, machine.symbol("back")]
    assert machine.taken == ["SVCall"]


def test_a_step_over_wfi_ends_when_the_core_wakes(boot):
    program = """
reset:  poke SYST_CSR + 4, 2999
        poke SYST_CSR, 7
sleep:  wfi
woken:  b done
sys_tick:
        bx lr
"""
    machine = boot(program)
    stops = Stops(machine, lambda engine: engine.set_breakpoints("cpu_a", frozenset()))
    machine.engine.set_breakpoints("cpu_a", at(machine, "sleep"))
    machine.run_us(20)
    machine.engine.step("cpu_a", wanted=True)
    machine.run_us(40)
    assert stops.pcs == [machine.symbol("sleep"), machine.symbol("sys_tick")]
    assert stops[1].time_ns > 30_000


def test_a_core_that_is_held_ends_its_step_at_its_first_instruction(boot):
    machine = boot(COUNT)
    machine.engine.hold("cpu_a")
    stops = Stops(machine)
    machine.engine.step("cpu_a", wanted=True)
    machine.run_us(40)
    assert stops == []
    machine.engine.start("cpu_a")
    machine.finish()
    assert stops.pcs == [machine.symbol("reset")]


@pytest.mark.parametrize(
    ("access", "reads", "writes", "stops_there"),
    [
        ("str r4, [r5]", False, True, True),
        ("str r4, [r5]", True, False, False),
        ("ldr r0, [r5]", True, False, True),
        ("ldr r0, [r5]", False, True, False),
        ("strb r4, [r5, #2]", False, True, True),
        ("strb r4, [r5, #4]", False, True, False),
        ("strd r4, r4, [r5, #-4]", False, True, True),
        ("stm r5!, {r0-r3}", False, True, True),
        ("subs r5, #1\n ldrh r0, [r5]", True, False, True),
    ],
)
def test_a_watchpoint_stops_behind_the_instruction_that_touches_its_bytes(boot, access, reads, writes, stops_there):
    *before, last = access.split("\n")
    program = f"reset: ldr r5, =out + 4\nmovs r4, #9\n{' '.join(before)}\nhere: {last}\nbehind: nop\n b done\n"
    machine = boot(program)
    stops = Stops(machine)
    extent = Extent(machine.symbol("out") + 4, 4)
    machine.engine.set_watchpoints("cpu_a", (Watchpoint(extent, reads, writes),))
    machine.finish()
    assert stops.pcs == ([machine.symbol("behind")] if stops_there else [])
    if stops_there:
        pc, _address, wrote = stops[0].access
        assert (pc, wrote) == (machine.symbol("here"), writes)


def test_a_watchpoint_sees_its_memory_by_every_address_of_its_core(boot):
    machine = boot("reset: ldr r5, =out - 0x10000000\n str r5, [r5]\nbehind: b done\n", core="cpu_b")
    stops = Stops(machine)
    machine.engine.set_watchpoints("cpu_b", (Watchpoint(Extent(machine.symbol("out"), 4), reads=False, writes=True),))
    machine.finish()
    assert stops.pcs == [machine.symbol("behind")]


def test_a_watchpoint_that_was_taken_back_stops_nothing(boot):
    machine = boot(COUNT)
    watched = (Watchpoint(Extent(machine.symbol("out"), 4), reads=False, writes=True),)
    stops = Stops(machine, lambda engine: engine.set_watchpoints("cpu_a", ()))
    machine.engine.set_watchpoints("cpu_a", watched)
    machine.finish()
    assert len(stops) == 1


def test_a_bkpt_stops_where_a_debugger_is_and_is_passed_on_going_on(boot):
    machine = boot("reset: movs r4, #1\nhere: bkpt #7\n movs r4, #2\n b done\n")
    stops = Stops(machine)
    machine.finish()
    assert (stops.pcs, stops.r4) == ([machine.symbol("here")], [1])
    assert machine.register["R4"] == 2


def test_a_debugger_that_leaves_in_the_middle_of_a_stop_leaves_nothing_behind(boot):
    machine = boot(COUNT)
    stops = Stops(machine, lambda engine: engine.debug("cpu_a", None))
    machine.engine.set_breakpoints("cpu_a", at(machine, "store"))
    machine.finish()
    assert len(stops) == 1
    with pytest.raises(UsageError, match="cpu_a: no debugger is attached"):
        machine.engine.set_breakpoints("cpu_a", frozenset())


def test_registers_are_written(boot):
    machine = boot("reset: nop\nhere: b here\nelse: mrs r0, primask\n mrs r1, basepri\n b done\n")
    engine = machine.engine

    def change(engine):
        values = {"PC": machine.symbol("else"), "R4": 4, "LR": 5, "PRIMASK": 1, "BASEPRI": 0x40, "D3": 1 << 63}
        for name, value in values.items():
            engine.write_register("cpu_a", name, value)
            assert engine.debug_registers("cpu_a")[name] == value
        engine.write_register("cpu_a", "XPSR", 0x8100_0000)
        assert engine.debug_registers("cpu_a")["XPSR"] == 0x8100_0000
        engine.write_register("cpu_a", "SP", 0x2000_1000)
        assert engine.debug_registers("cpu_a")["MSP"] == 0x2000_1000
        engine.set_breakpoints("cpu_a", frozenset())

    Stops(machine, change)
    engine.set_breakpoints("cpu_a", at(machine, "here"))
    machine.finish()
    assert [machine.register[name] for name in ("R0", "R1", "R4", "LR")] == [1, 0x40, 4, 5]
    with pytest.raises(UsageError, match="cpu_a: no such register: found R99"):
        engine.write_register("cpu_a", "R99", 0)


def test_masks_of_unprivileged_code_are_written(boot):
    program = """
reset:  ldr r0, =0x20004000
        msr psp, r0
        movs r0, #3
        msr control, r0
        isb
here:   nop
        svc #0
        b done
sv_call: mrs r4, basepri
        mrs r5, psp
        bx lr
"""
    machine = boot(program)
    Stops(machine, lambda engine: engine.write_register("cpu_a", "BASEPRI", 0x40))
    machine.engine.poke("cpu_a", 0xE000_ED1C, b"\0\0\0\x20")  # SVCall may preempt 0x40
    machine.engine.set_breakpoints("cpu_a", at(machine, "here"))
    machine.finish()
    assert machine.register["R4"] == 0x40
    assert machine.register["R5"] == 0x2000_4000 - 32


def test_what_a_debugger_stores_over_code_is_what_runs(boot):
    machine = boot(COUNT)
    code = machine.symbol("after")
    Stops(machine, lambda engine: engine.poke("cpu_a", code, b"\x00\xbf\x00\xbf"))  # nop; nop
    machine.engine.set_breakpoints("cpu_a", at(machine, "after"))
    machine.finish()
    assert machine.out() == 1


def test_devices_are_seen_and_changed_as_the_core_would(boot):
    machine = boot("reset: poke SYST_CSR + 4, 99\n poke SYST_CSR, 5\nwait: b wait\n")
    engine = machine.engine
    Stops(machine)
    machine.run_us(40)
    counted = engine.peek("cpu_a", 0xE000_E010, 4)
    assert counted == engine.peek("cpu_a", 0xE000_E010, 4) == (0x1_0005).to_bytes(4, "little"), "COUNTFLAG stays"
    engine.poke("cpu_a", 0xE000_E014, (7).to_bytes(4, "little"))
    assert engine.peek("cpu_a", 0xE000_E014, 4) == b"\7\0\0\0"
    assert machine.unmodelled == []
    with pytest.raises(TranslationError, match="cpu_a at 0x30000000: nothing answers"):
        engine.peek("cpu_a", 0x3000_0000, 4)


def test_an_exception_that_comes_with_a_stop_is_not_lost(boot):
    program = """
reset:  poke NVIC_ISER, 1
        ldr r0, =NVIC_ISPR
        movs r1, #1
here:   str r1, [r0]
        nop
        b done
irq0:   bx lr
"""
    machine = boot(program)
    stops = Stops(machine, step_on(2))
    machine.engine.set_breakpoints("cpu_a", at(machine, "here"))
    machine.finish()
    assert stops.pcs == [machine.symbol("here"), machine.symbol("irq0")]
    assert len(machine.details(ExceptionTaken)) == 1
