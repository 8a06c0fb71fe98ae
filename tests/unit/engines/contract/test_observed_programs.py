"""Observed accesses on the Unicorn engine: code and watchpoints on the same page, borders of pages, random programs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Watchpoint
from orchestrator.events import Accessed

MAIN = "cpu_cm7"
BOOT = 0x0800_0000
SHARED = 0x3004_0000  # SRAM3
ALL = Extent(SHARED, 0x400)
BEGIN = "ldr r0, =0x30040000\n ldr r1, =0x44332211\n ldr r2, =0x88776655\n"
INITIAL = bytes(range(0x10, 0x50)) * 16


def short(accesses):
    """Kind, offset, size and value."""
    return [("W" if each.writes else "R", each.address - SHARED, each.size, each.value) for each in accesses]


def test_code_on_an_observed_page_runs_and_what_it_accesses_is_told(board):
    code = bytes.fromhex("0164 036c 7047")  # STR r1, [r0, #64]; LDR r3, [r0, #64]; BX LR
    rig = board(BEGIN + "ldr r5, =0x30040101\n movs r6, #3\n 1: blx r5\n adds r1, #1\n subs r6, #1\n bne 1b\n b .")
    rig.engine.memory(MAIN).write(SHARED + 0x100, code)
    rig.engine.observe("all", MAIN, ALL)
    rig.run_us(40)
    assert [each[0] for each in short(rig.accesses())] == ["W", "R"] * 3
    assert {each.pc for each in rig.accesses()} == {SHARED + 0x100, SHARED + 0x102}


def test_code_on_an_observed_page_may_change_itself(board):
    code = bytes.fromhex("0123 7047")  # MOVS r3, #1; BX LR
    change = 0x2302  # MOVS r3, #2
    rig = board(
        BEGIN
        + f"ldr r5, =0x30040101\n blx r5\n str r3, [r0]\n ldr r6, ={change:#x}\n"
        + "strh r6, [r0, #0x100]\n dsb\n isb\n blx r5\n str r3, [r0, #4]\n b ."
    )
    rig.engine.memory(MAIN).write(SHARED + 0x100, code)
    rig.engine.observe("all", MAIN, ALL)
    rig.run_us(40)
    assert [rig.word(SHARED), rig.word(SHARED + 4)] == [1, 2]
    assert short(rig.accesses())[0] == ("W", 0, 4, 1)


@pytest.mark.parametrize("writes", [False, True])
def test_a_watchpoint_on_an_observed_page_stops_where_it_would(board, writes):
    rig = board(BEGIN + "str r1, [r0]\n ldr r3, [r0]\n b .")
    stops = []
    rig.engine.observe("all", MAIN, ALL)
    rig.engine.debug(MAIN, stops.append)
    rig.engine.set_watchpoints(MAIN, (Watchpoint(Extent(SHARED, 4), reads=not writes, writes=writes),))
    rig.run_us(20)
    (stop,) = stops
    assert stop.access[1:] == (SHARED, writes)
    assert len(rig.accesses()) == 2


def across(board, instruction, extent):
    rig = board(f"{BEGIN}{instruction}\n b .")
    rig.engine.observe("all", MAIN, extent)
    rig.run_us(20)
    return rig.accesses()


@pytest.mark.parametrize(
    ("instruction", "accesses"),
    [
        ("ldr r3, [r0, #0x3fe]", [("R", 0x3FE, 2, 0)]),
        ("str r1, [r0, #0x3fd]", [("W", 0x3FD, 3, 0x33_2211)]),
        ("ldr r3, [r0, #0x3fc]", [("R", 0x3FC, 4, 0)]),
    ],
)
def test_of_an_access_across_the_border_of_an_observed_page_that_part_is_told(board, instruction, accesses):
    assert short(across(board, instruction, ALL)) == accesses


def test_of_an_access_across_the_border_to_an_observed_page_that_part_is_told(board):
    assert short(across(board, "ldr r3, [r0, #0x3fd]", Extent(SHARED + 0x400, 0x400))) == [("R", 0x400, 1, 0)]


# Random programs: what is told explains memory, byte for byte

TARGETS = st.integers(1, 7)  # r0 is the base


def apart(one, other):
    return lambda words: words[-1] >> one & 15 != words[-1] >> other & 15


NARROW = st.builds(
    lambda kind, load, offset, target: (kind | load << 11 | offset << 6 | target,),
    st.sampled_from([0x6000, 0x7000, 0x8000]),  # STR, STRB, STRH and the loads
    st.booleans(),
    st.integers(0, 31),
    TARGETS,
)
WIDE = st.builds(
    lambda size, load, offset, target: (0xF880 | size << 5 | load << 4, target << 12 | offset),
    st.integers(0, 2),
    st.booleans(),
    st.integers(0, 200),
    TARGETS,
)
SEVERAL = st.builds(
    lambda load, registers: (0xE880 | load << 4, registers << 1), st.booleans(), st.integers(3, 127)
).filter(lambda words: words[1].bit_count() > 1)
PAIR = st.builds(
    lambda load, offset, one, other: (0xE9C0 | load << 4, one << 12 | other << 8 | offset),
    st.booleans(),
    st.integers(0, 50),
    TARGETS,
    TARGETS,
).filter(apart(12, 8))
CHANGE = st.builds(lambda target, value: (0x3000 | target << 8 | value,), TARGETS, st.integers(0, 255))  # ADDS
EXCLUSIVE = st.builds(
    lambda loaded, stored, result, offset: (0xE850, loaded << 12 | 0xF00, 0xE840, stored << 12 | result << 8 | offset),
    TARGETS,
    TARGETS,
    TARGETS,
    st.integers(0, 1),
).filter(apart(12, 8))
IF_ELSE = st.builds(
    lambda condition, one, other: (0xBF04 | condition << 4 | (~condition & 1) << 3, *one, *other),
    st.integers(0, 13),
    NARROW | SEVERAL,
    WIDE | NARROW,
)
PROGRAM = st.lists(st.one_of(NARROW, WIDE, SEVERAL, PAIR, CHANGE, EXCLUSIVE, IF_ELSE), min_size=1, max_size=30)


def after(board, program, *, observe, merge=False):
    rig = board(BEGIN + ".rept 200\n nop\n .endr\n b .")
    code = b"".join(half.to_bytes(2, "little") for instruction in program for half in instruction)
    memory = rig.engine.memory(MAIN)
    memory.write(BOOT + memory.read(BOOT, 0x800).index(b"\x00\xbf" * 200), code)
    memory.write(SHARED, INITIAL)
    if observe:
        rig.engine.observe("all", MAIN, ALL, merge=merge)
    rig.run_us(20)
    rest = [event for event in rig.events if not isinstance(event.detail, Accessed)]
    result = rig.everything(), rest, rig.accesses()
    rig.engine.close()
    return result


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=PROGRAM)
def test_what_is_told_of_a_random_program_explains_memory_and_the_run_is_the_same(board, program):
    plain, seen = after(board, program, observe=False), after(board, program, observe=True)
    assert seen[:2] == plain[:2]
    memory = bytearray(INITIAL)
    for access in seen[2]:
        span = slice(access.address - SHARED, access.address - SHARED + access.size)
        found = int.from_bytes(memory[span], "little")
        assert found == (access.before if access.writes else access.value)
        memory[span] = access.value.to_bytes(access.size, "little")
    final = next(each for each in seen[0]["memory"] if bytes(memory) in each)
    assert final.startswith(bytes(memory))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=PROGRAM)
def test_ranges_hold_the_same_bytes_as_single_accesses(board, program):
    ranges, singles = (after(board, program, observe=True, merge=merge)[2] for merge in (True, False))
    for writes in (False, True):
        touched = [
            {byte for each in told if each.writes == writes for byte in range(each.address, each.address + each.size)}
            for told in (ranges, singles)
        ]
        assert touched[0] == touched[1]
        counts = [sum(each.times for each in told if each.writes == writes) for told in (ranges, singles)]
        assert counts[0] == counts[1]
