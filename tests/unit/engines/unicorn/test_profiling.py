"""Samples of where a core is, and counts of what it executes: they change nothing, and are exact."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.base.memory import Extent
from orchestrator.engines.unicorn import recurrence
from orchestrator.events import CoreState

US, MS = 1_000, 1_000_000

LOOP = "reset: movs r0, #100\n1: subs r0, #1\n bne 1b\n movs r1, #7\n wfi\n b done\n"
STORM = "reset:\n1: svc 0\n b 1b\nsv_call: bx lr\n"
TICKS = (
    "reset: ldr r0, =SYST_CSR\n ldr r1, =6399\n str r1, [r0, #4]\n movs r1, #7\n str r1, [r0]\n"
    "1: wfi\n bl work\n b 1b\nwork: movs r2, #200\n2: subs r2, #1\n it ne\n addne r3, #1\n bne 2b\n bx lr\n"
    "sys_tick: adds r4, #1\n bx lr\n"
)


def count_all(machine) -> None:
    image = machine.images[machine.name]
    text = next(section for section in image.sections if section.name == ".text")
    machine.engine.count(machine.name, Extent(text.address, text.size))


def state(machine) -> object:
    engine = machine.engine
    registers = [dict(engine.registers(core.name)) for core in engine.platform.cores]
    return engine.time_ns, registers, engine.wiring.memory.save(), [str(each) for each in machine.events]


def test_each_instruction_is_counted_as_often_as_it_ran(boot, core):
    machine = boot(LOOP, core=core)
    count_all(machine)
    machine.run_us(100)
    counts = machine.engine.counts(core)
    reset = machine.symbol("reset")
    assert [counts.get(reset + 2 * index, 0) for index in range(6)] == [1, 100, 100, 1, 1, 0]
    assert sum(counts.values()) == 203


def test_what_is_executed_is_counted_whole_however_often_a_slice_ends(boot, core):
    whole, cut = (boot(TICKS, core=core, skip_idle_loops=False) for _ in range(2))
    for machine in (whole, cut):
        count_all(machine)
    cut.engine.sample(core, US, lambda *_: None)
    for machine in (whole, cut):
        machine.run_us(5_000)
    assert whole.engine.counts(core) == cut.engine.counts(core)
    counts, work = whole.engine.counts(core), whole.symbol("work")
    calls = counts[work]
    assert calls > 10
    rounds = counts[work + 2]
    assert 200 * (calls - 1) < rounds <= 200 * calls  # the run may end in the midst of the last call
    assert rounds - 1 <= counts[work + 8] <= counts[work + 4] <= rounds
    assert counts[work + 6] in (rounds - calls, rounds - calls + 1)  # the condition fails once a call
    assert counts[whole.symbol("sys_tick")] == len(whole.taken)


@pytest.mark.parametrize("program", [LOOP, TICKS, STORM])
@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("looks", ["counts", "samples", "counts and samples"])
def test_looking_changes_nothing(boot, monkeypatch, program, skips, looks):
    monkeypatch.setattr(recurrence, "_PATIENCE", 60)
    plain, watched = (boot(program, other="reset: wfi\n b reset\n", skip_idle_loops=skips) for _ in range(2))
    if "counts" in looks:
        count_all(watched)
    for each in watched.engine.platform.cores if "samples" in looks else ():
        watched.engine.sample(each.name, 3 * US, lambda *_: None)
    stops = [machine.engine.run(500 * US) for machine in (plain, watched)]
    assert stops[0] == stops[1]
    assert state(plain) == state(watched)


def test_there_is_a_sample_for_each_interval(boot, core):
    machine = boot(TICKS, core=core)
    seen: Counter[CoreState] = Counter()

    def see(number, doing, backtrace):
        seen[doing] += number

    catch_up = machine.engine.sample(core, 7 * US, see)
    machine.run_us(10_000)
    catch_up()
    assert seen.total() == machine.engine.time_ns // (7 * US)
    assert set(seen) == {CoreState.RUNNING, CoreState.SLEEPING}
    busy = 1 - seen[CoreState.SLEEPING] / seen.total()
    work = sum(1 for _ in machine.taken) * 800 / machine.core.now
    assert busy == pytest.approx(work, abs=0.05)


def test_a_sample_says_where_the_core_is(boot, core):
    machine = boot(TICKS, core=core)
    places: Counter[tuple[CoreState, str]] = Counter()
    machine.engine.sample(core, 7 * US, lambda number, doing, trace: places.update({(doing, trace[0].symbol): number}))
    machine.run_us(10_000)
    running = {symbol.partition("+")[0] for doing, symbol in places if doing is CoreState.RUNNING}
    assert running <= {"work", "reset", "sys_tick"}
    assert "work" in running
    assert {symbol.partition("+")[0] for doing, symbol in places if doing is CoreState.SLEEPING} == {"reset"}


def test_each_sleep_has_a_place_of_its_own(boot, core):
    program = TICKS.replace(
        "1: wfi\n bl work\n b 1b\n", "1: bl one\n bl two\n b 1b\none: wfi\n bx lr\ntwo: wfi\n bx lr\n"
    )
    machine = boot(program, core=core)
    places: Counter[str] = Counter()
    machine.engine.sample(
        core, 7 * US, lambda number, _, trace: places.update({trace[0].symbol.partition("+")[0]: number})
    )
    machine.run_us(10_000)
    assert places["one"] == pytest.approx(places["two"], rel=0.1)


def test_a_core_that_is_held_is_told_without_a_place(boot):
    machine = boot(LOOP, core="cpu_a")
    told = []
    catch_up = machine.engine.sample("cpu_b", 10 * US, lambda *what: told.append(what))
    machine.run_us(100)
    catch_up()
    assert told == [(10, CoreState.HELD, ())]


def test_a_core_that_locks_up_is_dead_all_the_same(boot, core):
    machine = boot("reset: ldr r0, =NOWHERE\n ldr r1, [r0]\nhard_fault: ldr r1, [r0]\n", core=core)
    told: Counter[CoreState] = Counter()
    catch_up = machine.engine.sample(core, US, lambda number, doing, _: told.update({doing: number}))
    stop = machine.engine.run(100 * MS)
    catch_up()
    assert stop.reason == "dead"
    assert CoreState.LOCKED_UP in told
