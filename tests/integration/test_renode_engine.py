"""Renode's own hooks, exceptions, resets, vector tables and log: small programs on it and on Unicorn, told alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from support.thumb_board import Assembler, board_platform

from orchestrator.base.errors import EngineError
from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Engine, StopReason
from orchestrator.engines.registry import create_engine
from orchestrator.engines.renode.discovery import discover
from orchestrator.events import (
    Accessed,
    Changed,
    CoreState,
    Event,
    ExceptionTaken,
    Fault,
    Lockup,
    Note,
    StateChanged,
    UnmodelledAccess,
)
from orchestrator.formats.elf import Image

pytestmark = [pytest.mark.renode, pytest.mark.xdist_group("remote")]

A, B = "cpu_a", "cpu_b"
QUANTUM = 20_000


@dataclass
class Rig:
    """A board with programs in its cores; a core without one is held."""

    engine: Engine
    images: dict[str, Image]
    events: list[Event] = field(default_factory=list)

    def symbol(self, name: str, core: str = A) -> int:
        return self.images[core].symbols[name].address

    def word(self, address: int, core: str = A) -> int:
        return int.from_bytes(self.engine.memory(core).read(address, 4), "little")

    def of(self, *kinds: type) -> list[Event]:
        return [event for event in self.events if isinstance(event.detail, kinds)]

    def told(self, *kinds: type) -> list[tuple[str, object]]:
        """By whom, and what."""
        return [(event.core, event.detail) for event in self.of(*kinds)]


Boot = Callable[..., Rig]


@pytest.fixture(scope="module")
def assembler(tmp_path_factory: pytest.TempPathFactory) -> Assembler:
    return Assembler(tmp_path_factory.mktemp("thumb"))


@pytest.fixture
def boot(assembler: Assembler) -> Iterator[Boot]:
    try:
        discover()
    except EngineError as missing:
        pytest.skip(f"no Renode: {missing.what}")
    engines: list[Engine] = []

    def boot(engine: str, program: str, other: str | None = None) -> Rig:
        images = {A: assembler.image(program, 0)}
        if other is not None:
            images[B] = assembler.image(other, 1)
        rig = Rig(create_engine(engine, board_platform("pair")), images)
        engines.append(rig.engine)
        rig.engine.subscribe(rig.events.append)
        for core in (A, B):
            if core in images:
                rig.engine.load(core, images[core], images[core].vector_table)
            else:
                rig.engine.hold(core)
        return rig

    yield boot
    for engine in engines:
        engine.close()


@pytest.fixture
def both(boot: Boot) -> Callable[..., list[Rig]]:
    """The same programs on Unicorn and on Renode."""
    return lambda program, other=None: [boot(engine, program, other) for engine in ("unicorn", "renode")]


STORES = """
reset:
    ldr r0, =0x20004000
    mov r1, #1
    mov r2, #2
    mov r3, #3
    mov r4, #4
    stm r0!, {r1-r4}
    strd r3, r4, [r0], #8
    strb r1, [r0], #1
    strh r2, [r0, #1]
    ldr r5, =5000
1:  subs r5, #1
    bne 1b
    ldr r0, =0x20004000
    ldr r1, =0x20006000
    mov r2, #0x11
    str r2, [r1]            @ where nobody looks
    str r2, [r0]
    ldr r5, =5000
2:  subs r5, #1
    bne 2b
    mov r2, #0x22
    str r2, [r1]
    b done
"""
OTHERS_STORES = """
reset:
    ldr r5, =2000
1:  subs r5, #1
    bne 1b
    ldr r0, =0x10004010     @ the same memory by this core's other address
    mov r1, #0x55
    str r1, [r0]
    b done
"""


def test_stores_of_every_width_and_through_every_address_are_changes_with_memory_as_each_turn_left_it(both):
    seen = []
    for rig in both(STORES, OTHERS_STORES):
        changes: list[tuple[int, str, bytes, int]] = []

        def look(event: Event, rig: Rig = rig, changes: list[tuple[int, str, bytes, int]] = changes) -> None:
            if isinstance(event.detail, Changed):
                watched = rig.engine.memory(A).read(0x2000_4000, 32)
                changes.append((event.time_ns, event.core, watched, rig.word(0x2000_6000)))

        rig.engine.watch("here", A, Extent(0x2000_4000, 32))
        rig.engine.subscribe(look)
        rig.engine.run(500_000)
        seen.append(changes)
    unicorn, renode = seen
    assert [core for _, core, _, _ in renode] == [A, B, A]
    assert renode[-1][3] == 0x11
    assert renode == unicorn


READS = """
reset:
    ldr r0, =0x20004000
    ldr r1, =0x00110022
    str r1, [r0]
    ldrh r2, [r0, #2]
    mov r3, #3
1:  ldr r1, [r0]            @ the same again: one record
    subs r3, #1
    bne 1b
    ldm r0, {r4-r5}
    ldrb r1, [r0, #33]      @ beside what is observed
    b done
"""


def test_each_access_to_observed_bytes_is_told_with_instruction_value_and_what_was_there(both):
    told = []
    for rig in both(READS):
        assert rig.engine.observe("here", A, Extent(0x2000_4000, 32)) >= {A}
        rig.engine.run(100_000)
        (event,) = rig.of(Accessed)
        told.append([each._replace(time_ns=0, last_ns=0) for each in event.detail.accesses])
    unicorn, renode = told
    assert [each.times for each in renode] == [1, 1, 3, 1, 1]
    assert renode == unicorn


EXCEPTIONS = """
reset:
    cpsie i
    poke NVIC_ISER, 1
    poke SHPR3, 0xFF000000
    svc 3
    poke ICSR, PENDSVSET
    nop
    poke PULLER, 1
    nop
    poke 0xE000E014, 1999   @ SYST_RVR
    poke SYST_CSR, 7
1:  ldr r0, =out
    ldr r0, [r0]
    cmp r0, #3
    blo 1b
    poke SYST_CSR, 0
    b done
sv_call:
    bx lr
pend_sv:
    bx lr
irq0:
    poke PULLER, 0
    bx lr
sys_tick:
    ldr r0, =out
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
    bx lr
"""


def test_each_exception_is_told_once_with_its_number_when_it_is_taken(both):
    unicorn, renode = both(EXCEPTIONS)
    for rig in (unicorn, renode):
        rig.engine.run(400_000)
        assert rig.engine.registers(A)["PC"] == rig.symbol("done")
    names = [event.detail.name for event in renode.of(ExceptionTaken)]
    assert names == ["SVCall", "PendSV", "IRQ 0", "SysTick", "SysTick", "SysTick"]
    assert names == [event.detail.name for event in unicorn.of(ExceptionTaken)]
    assert renode.told(ExceptionTaken)[0] == unicorn.told(ExceptionTaken)[0]  # the others come at the end of a block


FAULTS = {
    "a load from nothing": "reset: ldr r0, =NOWHERE\n    ldrh r1, [r0]\n    b done\nbus_fault: b done\n",
    "a store to nothing": "reset: ldr r0, =NOWHERE + 8\n    strb r1, [r0]\n    b done\n",
    "no instruction": "reset: udf #1\n    b done\nusage_fault: b done\n",
    "no floating point": "reset: vadd.f32 s0, s1, s2\n    b done\n",
    "a division by zero": "reset: poke CCR, 0x210\n    mov r1, #0\n    udiv r0, r1, r1\n    b done\n",
    "SVC where it cannot be taken": "reset: cpsid i\n    svc 1\n    b done\n",
    "no debugger": "reset: bkpt 1\n    b done\n",
    "a stack that is none": "reset: ldr r0, =NOWHERE\n    mov sp, r0\n    push {r1}\n    b done\nbus_fault: b done\n",
    "a fault in a handler": (
        "reset: svc 1\n    b done\nsv_call: ldr r0, =NOWHERE\n    ldr r1, [r0, #4]\n    bx lr\nhard_fault: b done\n"
    ),
}


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_the_same_name_cause_place_and_words(both, name, enabled):
    program = FAULTS[name]
    if enabled:
        program = program.replace("reset: ", "reset: poke SHCSR, 0x70000\n    ")
    unicorn, renode = both(program)
    for rig in (unicorn, renode):
        rig.engine.run(40_000)
    left_out = {"registers": {}, "backtrace": ()}
    expected, found = (
        [(each.core, replace(each.detail, **left_out)) for each in rig.of(Fault)] for rig in (unicorn, renode)
    )
    assert found == expected != []
    if name != "no debugger":  # which Renode has DebugMonitor take
        numbers = ([event.detail.number for event in rig.of(ExceptionTaken)] for rig in (unicorn, renode))
        assert next(numbers) == next(numbers) != []


NOWHERE = "reset: ldr r0, =NOWHERE + 1\n    bx r0\n    b done\n"


def test_a_core_that_runs_into_nothing_is_a_fault_in_the_same_words_and_ends_the_run_at_once(both):
    unicorn, renode = both(NOWHERE)
    for rig in (unicorn, renode):
        rig.engine.run(1_000_000)
    expected, fault = unicorn.of(Fault)[0].detail, renode.of(Fault)[0].detail
    assert (fault.name, fault.status, fault.pc, fault.what) == (
        expected.name,
        expected.status,
        expected.pc,
        expected.what,
    )
    assert renode.engine.time_ns < 1_000_000
    assert renode.engine.run(1_000_000).reason is StopReason.DEAD
    assert renode.engine.memory(A).read(0x0800_0000, 4) == unicorn.engine.memory(A).read(0x0800_0000, 4)


SPIN = "reset: b reset\n"
SLEEP = "reset: wfi\n    b reset\n"


def test_a_branch_to_itself_is_no_sleep(both):
    for rig in both(SPIN, SLEEP):
        rig.engine.run(100_000)
        assert rig.engine.state(A) is CoreState.RUNNING
        assert rig.engine.registers(A)["PC"] == rig.symbol("reset")
        assert rig.engine.state(B) is CoreState.SLEEPING
        assert rig.engine.registers(B)["PC"] == rig.symbol("reset", B) + 2
        assert rig.engine.instructions(A) == rig.engine.instructions(B) == 10_000


def test_a_branch_to_an_even_address_is_found_where_it_is(both):
    unicorn, renode = both("reset: ldr r0, =0x08000100\n    bx r0\n    b done\n")
    for rig in (unicorn, renode):
        rig.engine.run(40_000)
    (expected,), (fault,) = unicorn.of(Fault), renode.of(Fault)
    assert (fault.detail.name, fault.detail.status, fault.detail.what) == (
        expected.detail.name,
        expected.detail.status,
        expected.detail.what,
    )
    assert fault.detail.symbol == "reset+0x2"  # Unicorn: where it leads to


LOCKUPS = {
    "a second fault": "reset: udf #1\nhard_fault: ldr r0, =NOWHERE\n    ldrb r1, [r0]\n",
    "an instruction": "reset: ldr r0, =NOWHERE\n    ldr r1, [r0]\nhard_fault: nop\n    udf #2\n",
    "SVC": "reset: udf #1\nhard_fault: svc 1\n",
}


@pytest.mark.parametrize("name", LOCKUPS)
def test_a_lockup_is_told_where_it_happened_and_ends_the_run_when_no_other_core_can_run(both, name):
    told = []
    for rig in both(LOCKUPS[name]):
        assert rig.engine.run(5_000_000).reason is StopReason.DEAD
        assert rig.engine.state(A) is CoreState.LOCKED_UP
        (event,) = rig.of(Lockup)
        told.append((event.core, replace(event.detail, registers={}), rig.engine.backtrace(A)))
    unicorn, renode = told
    assert renode == unicorn


COUNTS = """
reset:
    ldr r0, =0x20004000
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
1:  wfi
    b 1b
"""


def test_a_core_boots_where_its_image_is_and_is_watched_after_every_kind_of_reset(boot, assembler):
    rig = boot("renode", COUNTS)
    engine = rig.engine
    elsewhere = assembler.image(COUNTS, 1)
    engine.load(A, elsewhere, elsewhere.vector_table)
    engine.watch("here", A, Extent(0x2000_4000, 4))
    engine.run(100_000)
    assert elsewhere.symbols["reset"].address < engine.registers(A)["PC"] < elsewhere.symbols["done"].address
    engine.reset(A)
    engine.run(100_000)
    engine.hold(A)
    engine.run(100_000)
    engine.start(A)
    engine.run(100_000)
    assert [event.core for event in rig.of(Changed)] == [A, A, A]
    assert rig.word(0x2000_4000) == 3


RESETS = """
reset:
    ldr r0, =0x20004000
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
    cmp r1, #3
    bhs done
    poke AIRCR, 0x05FA0004
1:  b 1b
"""


def test_a_chip_that_its_firmware_resets_boots_again_and_stays_watched(boot):
    rig = boot("renode", RESETS)
    rig.engine.watch("here", A, Extent(0x2000_4000, 4))
    rig.engine.run(1_000_000)
    assert rig.word(0x2000_4000) == 3
    assert [event.core for event in rig.of(Changed)] == [A, A, A]
    assert [event.detail.why for event in rig.of(StateChanged)].count("system reset requested by firmware") == 2


UNMODELLED = """
reset:
    ldr r0, =PULLER
    mov r2, #7
read:
    ldr r1, [r0, #0x40]
    str r2, [r0, #0x44]
    ldr r1, [r0, #0x40]     @ another instruction
    ldr r5, =0xE000E000
    movw r4, #0xF60         @ DCISW
    str r2, [r5, r4]
    mov r3, #2
1:  ldr r1, [r0, #0x48]
    subs r3, #1
    bne 1b
    b done
"""


def test_an_access_to_what_no_model_has_is_told_with_its_instruction_and_once(both):
    unicorn, renode = both(UNMODELLED)
    for rig in (unicorn, renode):
        rig.engine.run(100_000)
    expected, found = unicorn.told(UnmodelledAccess), renode.told(UnmodelledAccess)
    assert len(expected) == 4
    assert found == expected
    assert renode.told(Note)[3:] == []  # the first say what is not checked


def test_a_listener_ends_the_run_with_the_quantum(boot):
    rig = boot("renode", COUNTS)
    rig.engine.watch("here", A, Extent(0x2000_4000, 4))
    rig.engine.subscribe(lambda event: rig.engine.stop() if isinstance(event.detail, Changed) else None)
    stop = rig.engine.run(50_000_000)
    assert (stop.reason, stop.time_ns) == (StopReason.REQUESTED, QUANTUM)
