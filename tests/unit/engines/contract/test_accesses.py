"""Who reads and writes observed bytes: each access once, in order, and nothing else about the run changes."""

from __future__ import annotations

import pytest

from orchestrator.base.errors import EngineError
from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Capability
from orchestrator.events import Accessed, Changed, Fault

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
SHARED, ALIAS = 0x3004_0000, 0x1004_0000  # SRAM3, as the main core and as the remote one sees it
ALL = Extent(SHARED, 0x400)
BEGIN = "ldr r0, =0x30040000\n ldr r1, =0x44332211\n ldr r2, =0x88776655\n"
ENABLE_FPU = "ldr r3, =0xE000ED88\n ldr r4, =0xF00000\n str r4, [r3]\n isb\n"
INITIAL = bytes(range(0x10, 0x50))


def short(accesses, base=SHARED):
    """Kind, offset, size and value."""
    return [("W" if each.writes else "R", each.address - base, each.size, each.value) for each in accesses]


def word(offset, size=4):
    return int.from_bytes(INITIAL[offset : offset + size], "little")


def observed(board, program, extent=ALL, *, merge=False, **options):
    rig = board(BEGIN + program + "\n b .", **options)
    rig.engine.memory(MAIN).write(SHARED, INITIAL)
    rig.engine.observe("all", MAIN, extent, merge=merge)
    rig.run_us(40)
    return rig


# What is told


@pytest.mark.parametrize(
    ("instruction", "accesses"),
    [
        ("str r1, [r0]", [("W", 0, 4, 0x4433_2211)]),
        ("strh r1, [r0, #2]", [("W", 2, 2, 0x2211)]),
        ("strb r1, [r0, #3]", [("W", 3, 1, 0x11)]),
        ("ldr r3, [r0, #4]", [("R", 4, 4, word(4))]),
        ("ldrsh r3, [r0, #6]", [("R", 6, 2, word(6, 2))]),
        ("ldrb r3, [r0, #7]", [("R", 7, 1, word(7, 1))]),
        ("ldrd r3, r4, [r0]", [("R", 0, 4, word(0)), ("R", 4, 4, word(4))]),
        ("strd r1, r2, [r0, #8]", [("W", 8, 4, 0x4433_2211), ("W", 12, 4, 0x8877_6655)]),
        ("ldmia r0, {r3-r5}", [("R", 0, 4, word(0)), ("R", 4, 4, word(4)), ("R", 8, 4, word(8))]),
        ("stmia r0!, {r1, r2}", [("W", 0, 4, 0x4433_2211), ("W", 4, 4, 0x8877_6655)]),
        ("ldr r3, [r0, #4]!", [("R", 4, 4, word(4))]),
        ("ldr r3, [r0], #4", [("R", 0, 4, word(0))]),
        ("ldr r3, [r0, #5]", [("R", 5, 4, word(5))]),
        ("ldrh r3, [r0, #3]", [("R", 3, 2, word(3, 2))]),
        ("movs r4, #3\n ldr r3, [r0, r4]", [("R", 3, 4, word(3))]),
        ("adds r3, r0, #1\n ldr r4, [r3], #4", [("R", 1, 4, word(1))]),
        ("str r1, [r0, #6]", [("W", 6, 4, 0x4433_2211)]),
        ("strh r1, [r0, #7]", [("W", 7, 2, 0x2211)]),
        (ENABLE_FPU + "vldr s0, [r0, #8]", [("R", 8, 4, word(8))]),
        (ENABLE_FPU + "vldr d0, [r0, #8]", [("R", 8, 4, word(8)), ("R", 12, 4, word(12))]),
        (ENABLE_FPU + "vldr d0, [r0, #4]", [("R", 4, 4, word(4)), ("R", 8, 4, word(8))]),
        (ENABLE_FPU + "vmov d0, r1, r2\n vstr d0, [r0, #4]", [("W", 4, 8, 0x8877_6655_4433_2211)]),
        ("ldrex r3, [r0]\n strex r4, r1, [r0]", [("R", 0, 4, word(0)), ("W", 0, 4, 0x4433_2211)]),
        ("strex r4, r1, [r0]", []),
        ("ldrexb r3, [r0]\n adds r0, #1\n strexb r4, r1, [r0]", [("R", 0, 1, word(0, 1))]),
        ("cmp r0, r0\n ite eq\n streq r1, [r0]\n strne r2, [r0]", [("W", 0, 4, 0x4433_2211)]),
        ("cmp r0, r0\n itt ne\n ldrne r3, [r0]\n strne r2, [r0]", []),
        ("pld [r0]", []),
    ],
)
def test_each_access_of_an_instruction_is_told_once(board, instruction, accesses):
    assert short(observed(board, instruction).accesses()) == accesses


def test_a_write_says_what_was_there_before_which_instruction_made_it_and_when(board):
    rig = observed(board, "nop\n nop\n here: str r1, [r0]\n str r2, [r0]")
    first, second = rig.accesses()
    code = rig.engine.memory(MAIN).read(first.pc, 4)
    assert code == bytes.fromhex("0160 0260")  # STR r1, [r0]; STR r2, [r0]
    assert second.pc == first.pc + 2
    assert (first.before, first.value) == (word(0), 0x4433_2211)
    assert (second.before, second.value) == (0x4433_2211, 0x8877_6655)
    assert first.time_ns == first.last_ns == 60  # the sixth instruction at 100 MIPS
    assert second.time_ns == 70


def test_each_core_is_told_in_its_own_view_whatever_the_alias(board):
    rig = board(BEGIN + "str r1, [r0]\n b .", "ldr r0, =0x10040004\n ldr r1, [r0]\n b .")
    assert rig.engine.observe("all", REMOTE, Extent(ALIAS, 8)) == {MAIN, REMOTE}
    rig.run_us(20)
    assert short(rig.accesses(MAIN)) == [("W", 0, 4, 0x4433_2211)]
    assert short(rig.accesses(REMOTE), ALIAS) == [("R", 4, 4, 0)]


def test_accesses_come_before_the_changes_of_the_same_turn(board):
    rig = board(BEGIN + "str r1, [r0]\n b .")
    rig.engine.observe("all", MAIN, ALL)
    rig.engine.watch("all", MAIN, ALL)
    rig.run_us(20)
    kinds = [type(event.detail) for event in rig.events if isinstance(event.detail, Accessed | Changed)]
    assert kinds == [Accessed, Changed]


def test_what_lies_beside_the_extent_is_not_told(board):
    program = "str r1, [r0]\n str r1, [r0, #12]\n str r1, [r0, #4]\n strb r1, [r0, #8]"
    rig = observed(board, program, Extent(SHARED + 4, 8))
    assert short(rig.accesses()) == [("W", 4, 4, 0x4433_2211), ("W", 8, 1, 0x11)]


def test_an_access_that_reaches_into_the_extent_is_told_whole(board):
    rig = observed(board, "str r1, [r0, #2]", Extent(SHARED + 4, 4))
    assert short(rig.accesses()) == [("W", 2, 4, 0x4433_2211)]


def test_what_the_host_stores_is_not_told(board):
    rig = observed(board, "nop")
    rig.set_word(SHARED, 7)
    rig.run_us(40)
    assert rig.accesses() == []


def test_nothing_is_told_after_unobserve_and_the_same_name_replaces(board):
    rig = board(BEGIN + "again: adds r1, #1\n str r1, [r0]\n str r1, [r0, #8]\n ldr r3, [r0, #16]\n b again")
    rig.engine.observe("all", MAIN, Extent(SHARED, 4))
    rig.run_us(20)
    rig.engine.observe("all", MAIN, Extent(SHARED + 8, 4))
    before = len(rig.accesses())
    rig.run_us(20)
    rig.engine.unobserve("all")
    after = len(rig.accesses())
    rig.run_us(20)
    assert {each.address for each in rig.accesses()[:before]} == {SHARED}
    assert {each.address for each in rig.accesses()[before:]} == {SHARED + 8}
    assert before < after == len(rig.accesses())


def test_an_extent_outside_memory_is_refused(board):
    with pytest.raises(EngineError, match="what is to be observed does not lie in one piece of memory"):
        board().engine.observe("all", MAIN, Extent(0x3004_7FFC, 8))


def test_the_engine_says_that_it_can(board):
    assert Capability.ACCESSES in board().engine.capabilities


# Several as one


def test_a_value_that_is_read_again_is_one_record_until_it_changes(board):
    poll = "movs r3, #20\n 1: ldr r4, [r0]\n ldr r5, [r0, #8]\n subs r3, #1\n bne 1b\n"
    rig = observed(board, f"{poll} str r1, [r0]\n {poll}")
    assert [(*each[:3], access.times) for each, access in zip(short(rig.accesses()), rig.accesses(), strict=True)] == [
        ("R", 0, 4, 20),
        ("R", 8, 4, 20),
        ("W", 0, 4, 1),
        ("R", 0, 4, 20),
        ("R", 8, 4, 20),
    ]
    first = rig.accesses()[0]
    assert (first.last_ns - first.time_ns) // 10 == 19 * 4


def test_a_range_that_is_copied_is_one_record_where_it_may_be(board):
    copy = """
        movs r3, #0
    1:  ldrb r4, [r0, r3]
        adds r6, r0, r3
        strb r4, [r6, #32]
        adds r3, #1
        cmp r3, #16
        bne 1b
    """
    rig = observed(board, copy, merge=True)
    reads, writes = rig.accesses()
    assert (reads.writes, reads.address, reads.size, reads.times) == (False, SHARED, 16, 16)
    assert (writes.writes, writes.address, writes.size, writes.times) == (True, SHARED + 32, 16, 16)
    assert reads.value is None
    assert reads.pc < writes.pc
    assert reads.time_ns < writes.time_ns < reads.last_ns < writes.last_ns


def test_a_range_does_not_grow_past_an_index_that_was_written_or_read_in_between(board):
    program = """
    strb r1, [r0, #32]
    strb r1, [r0, #33]
    {index}
    strb r1, [r0, #34]
    """
    for index in ("strh r1, [r0]", "ldrh r3, [r0]"):
        rig = board(BEGIN + program.format(index=index) + "b .")
        rig.engine.observe("payload", MAIN, Extent(SHARED, 0x100), merge=True)
        rig.engine.observe("index", MAIN, Extent(SHARED, 4))
        rig.run_us(20)
        assert [each.size for each in rig.accesses()] == [2, 2, 1]


def test_ranges_of_two_extents_stay_apart(board):
    rig = board(BEGIN + "str r1, [r0]\n str r1, [r0, #4]\n str r1, [r0, #8]\n b .")
    rig.engine.observe("one", MAIN, Extent(SHARED, 8), merge=True)
    rig.engine.observe("two", MAIN, Extent(SHARED + 8, 8), merge=True)
    rig.run_us(20)
    assert [(each.address - SHARED, each.size) for each in rig.accesses()] == [(0, 8), (8, 4)]


def test_more_accesses_than_any_buffer_holds_are_all_told(board):
    rig = board(BEGIN + "1: stmia r0, {r1-r8}\n adds r1, #1\n b 1b", quantum_ns=1_000_000)
    rig.engine.observe("all", MAIN, ALL)
    rig.run_us(1_000)
    values = [each.value for each in rig.accesses() if each.address == SHARED]
    assert len(values) == -(-(100_000 - 3) // 3)
    assert values == list(range(0x4433_2211, 0x4433_2211 + len(values)))


# Exceptions and faults


def test_a_frame_on_an_observed_stack_is_told_as_one(board):
    rig = observed(board, "add r3, r0, #0x100\n mov sp, r3\n svc #0\n b .\nsv_call: bx lr")
    stacked, unstacked = rig.accesses()
    assert (stacked.frame, stacked.writes, stacked.address, stacked.size) == (True, True, SHARED + 0xE0, 32)
    assert (unstacked.frame, unstacked.writes, unstacked.address, unstacked.size) == (True, False, SHARED + 0xE0, 32)
    code = rig.engine.memory(MAIN).read
    assert code(stacked.pc, 2) == b"\xfe\xe7"  # the instruction behind the SVC
    assert code(unstacked.pc, 2) == b"\x70\x47"  # BX LR
    assert stacked.value is None


PROTECT = """
    ldr r3, =0xE000ED94
    ldr r4, =0x30040010     @ region 0: 32 bytes that nobody may write
    str r4, [r3, #8]
    ldr r4, =0x06000009
    str r4, [r3, #12]
    movs r4, #5             @ the background region; enabled
    str r4, [r3]
    dsb
    isb
"""


def test_under_an_mpu_what_is_granted_is_told_and_what_is_refused_is_not(board):
    rig = observed(
        board,
        PROTECT + "str r1, [r0, #0x40]\n ldr r3, [r0, #4]\n str r1, [r0, #4]\n b .\nhard_fault: b hard_fault",
    )
    (fault,) = rig.details(Fault)
    assert fault.address == SHARED + 4
    assert short(rig.accesses()) == [("W", 0x40, 4, 0x4433_2211), ("R", 4, 4, word(4))]


# The run is what it would have been

SYSTICK = """
    ldr r3, =0xE000E010
    ldr r4, =777
    str r4, [r3, #4]
    movs r4, #0
    str r4, [r3, #8]
    movs r4, #7
    str r4, [r3]
"""
TICKING = """
    b .
    .thumb_func
sys_tick:
    ldr r5, =0x30040000
    ldr r6, [r5, #16]
    adds r6, #1
    str r6, [r5, #16]
    bx lr
"""
PROGRAMS = {
    "polls and answers": "1: ldr r3, [r0, #16]\n cmp r3, #3\n blo 1b\n str r3, [r0, #20]\n b 1b",
    "IT block": "1: cmp r0, r0\n itt eq\n ldreq r3, [r0]\n nopeq\n b 2f\n 2: cmp r0, #0\n mov r4, #0\n adds r4, #1\n"
    " adds r5, r4\n str r5, [r0, #8]\n b 1b",
    "IT block of stores": "1: cmp r0, r0\n ittt eq\n streq r5, [r0]\n strheq r5, [r0, #8]\n addeq r5, #1\n b 1b",
    "exclusive": "1: ldrex r3, [r0]\n adds r3, #1\n strex r4, r3, [r0]\n cmp r4, #0\n bne 1b\n"
    " ldr r5, [r0, #16]\n b 1b",
    "stack": "mov sp, r0\n add sp, #0x100\n 1: push {r0-r3}\n pop {r4-r7}\n svc #0\n b 1b\n.thumb_func\nsv_call: bx lr",
    "protected": PROTECT + "1: ldr r3, [r0, #4]\n str r3, [r0, #0x40]\n ldr r3, [r0, #12]\n b 1b",
    "fault": "1: ldr r3, [r0]\n udf #0\n.thumb_func\nhard_fault: ldr r3, [r0, #4]\n b hard_fault",
}


@pytest.mark.parametrize("quantum_ns", [1_000, 20_000])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_observing_changes_nothing_else(board, program, quantum_ns):
    def run(*, observe):
        remote = f"ldr r0, =0x10040000\n{SYSTICK}{TICKING.replace('0x3004', '0x1004')}"
        rig = board(f"{BEGIN}{program}", remote, quantum_ns=quantum_ns)
        rig.engine.watch("all", MAIN, ALL)
        if observe:
            rig.engine.observe("all", MAIN, ALL)
        rig.run_us(200)
        if observe:
            rig.engine.observe("more", MAIN, Extent(SHARED, 0x2000), merge=True)
        rig.run_us(200)
        assert observe == bool(rig.accesses())
        return [event for event in rig.events if not isinstance(event.detail, Accessed)], rig.everything()

    assert run(observe=True) == run(observe=False)


def test_observing_from_the_middle_of_a_turn_begins_with_the_next_instruction(board):
    """The listener is called inside the store to flash, which changes nothing and is an event."""
    rig = board(BEGIN + "movs r3, #0\n orr r3, #0x08000000\n str r1, [r0]\n str r1, [r3]\n str r2, [r0, #4]\n b .")
    rig.engine.subscribe(lambda event: rig.engine.observe("all", MAIN, ALL) if event.kind == "guest-error" else None)
    rig.run_us(20)
    assert short(rig.accesses()) == [("W", 4, 4, 0x8877_6655)]


def test_a_core_that_polls_an_observed_word_stands_idle_and_says_what_it_waits_for(board):
    rig = board("ldr r0, =0x30040000\n 1: ldrh r1, [r0, #2]\n cmp r1, #9\n bne 1b\n strh r1, [r0, #4]\n b .")
    rig.engine.observe("all", MAIN, ALL)
    rig.run_us(100_000)
    waiting = rig.engine.waiting(MAIN)
    assert [(poll.address, poll.size, poll.value) for poll in waiting.polls] == [(SHARED + 2, 2, 0)]
    assert short(rig.accesses()) == [("R", 2, 2, 0)]
    rig.engine.memory(MAIN).write(SHARED + 2, b"\x09")
    rig.run_us(40)
    assert short(rig.accesses())[1:] == [("R", 2, 2, 9), ("W", 4, 2, 9)]


def test_a_restored_board_tells_the_same_again(board):
    rig = board(BEGIN + "1: adds r1, #1\n str r1, [r0]\n ldr r3, [r0]\n b 1b")
    rig.engine.observe("all", MAIN, ALL)
    rig.run_us(40)
    snapshot = rig.engine.snapshot()
    rig.events.clear()
    rig.run_us(100)
    first = rig.accesses()
    rig.engine.restore(snapshot)
    rig.events.clear()
    rig.run_us(100)
    assert rig.accesses() == first
