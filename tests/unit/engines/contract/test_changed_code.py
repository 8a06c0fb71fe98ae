"""Code that changes after a core has executed it is executed as changed, whoever changed it and through which address.

Each test changes the code of a function many times while it is being called in a tight loop: a translation that is
kept for one round too long is caught by its return value. ``movs r0, #N`` is the halfword 0x2000 + N.
"""

from __future__ import annotations

import pytest

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
RETURN_0 = bytes.fromhex("0020 7047")  # movs r0, #0; bx lr
ROUNDS = 200

# r4: the function; leaves its last value in mark 0 and counts calls in mark 1
CALL_FOR_EVER = """
    ldr r5, =MARKS
again:
    blx r4
    str r0, [r5]
    ldr r1, [r5, #4]
    adds r1, #1
    str r1, [r5, #4]
    b again
"""

# r4: the function to call; r6: where its first halfword is stored. Counts stale returns in mark 0, rounds in mark 1.
CHANGE_AND_CALL = f"""
    ldr r5, =MARKS
    movs r7, #0
change:
    adds r7, #1
    add r1, r7, #0x2000
    strh r1, [r6]
    dsb
    isb
    blx r4
    cmp r0, r7
    beq fresh
    ldr r1, [r5]
    adds r1, #1
    str r1, [r5]
fresh:
    str r7, [r5, #4]
    cmp r7, #{ROUNDS}
    bne change
    b .
"""

# r4: the function. A value below the number that was announced before the call is stale: counted in mark 0.
CALL_AND_COMPARE = f"""
    ldr r5, =MARKS
again:
    ldr r6, [r5, #8]
    blx r4
    cmp r0, r6
    bhs fresh
    ldr r1, [r5]
    adds r1, #1
    str r1, [r5]
fresh:
    str r0, [r5, #4]
    cmp r0, #{ROUNDS}
    bne again
    b .
"""

# r6: where the function's first halfword is stored; announces each change in mark 2, and waits for it to be noticed
# or not: the delay is no multiple of the quantum.
CHANGE_AND_ANNOUNCE = f"""
    ldr r5, =MARKS
    movs r7, #0
change:
    adds r7, #1
    add r1, r7, #0x2000
    strh r1, [r6]
    dsb
    str r7, [r5, #8]
    movw r0, #777
delay:
    subs r0, #1
    bne delay
    cmp r7, #{ROUNDS}
    bne change
    b .
"""

PLACES = {
    "SRAM4": (0x3800_8000, 0x3800_8000),
    "SRAM3": (0x3004_0000, 0x3004_0000),
    "SRAM3, changed through the alias": (0x3004_0000, 0x1004_0000),
}


def load(register: str, value: int) -> str:
    return f"ldr {register}, ={value:#x}\n"


@pytest.mark.parametrize(("executed", "stored"), PLACES.values(), ids=PLACES)
def test_code_that_the_other_core_changes_is_executed_as_changed(board, executed, stored):
    rig = board(
        load("r4", executed | 1) + CALL_AND_COMPARE,
        load("r6", stored) + CHANGE_AND_ANNOUNCE,
    )
    rig.engine.memory(MAIN).write(executed, RETURN_0)
    rig.run_us(8_000)
    assert rig.mark(1) == ROUNDS
    assert rig.mark(0) == 0, "stale calls"


@pytest.mark.parametrize(
    ("executed", "stored"),
    [(0x1004_0000, 0x3004_0000), (0x3004_0000, 0x1004_0000), (0x1004_0000, 0x1004_0000)],
    ids=["executed through the alias", "stored through the alias", "at its own address"],
)
def test_code_that_a_core_changes_itself_is_executed_as_changed(board, executed, stored):
    rig = board(remote=load("r4", executed | 1) + load("r6", stored) + CHANGE_AND_CALL)
    rig.engine.memory(REMOTE).write(executed, RETURN_0)
    rig.run_us(1_000)
    assert rig.mark(1) == ROUNDS
    assert rig.mark(0) == 0, "stale calls"


# r4: the function, r6: where it is stored. The first round is the other core's: mark 2 says when.
CHANGED_THEN_CHANGE_AND_CALL = (
    """
    ldr r5, =MARKS
    blx r4
    str r7, [r5, #12]
changed:
    ldr r1, [r5, #8]
    cmp r1, #1
    bne changed
    blx r4
"""
    + CHANGE_AND_CALL
)
CHANGE_ONCE = """
    ldr r5, =MARKS
    movw r0, #5000
delay:
    subs r0, #1
    bne delay
    movw r1, #0x2009
    strh r1, [r6]
    dsb
    movs r1, #1
    str r1, [r5, #8]
    b .
"""


@pytest.mark.parametrize("address", [0x3004_0000, 0x1004_0000])
def test_code_that_a_core_changes_after_the_other_one_did_is_executed_as_changed(board, address):
    """Both addresses are the executing core's: Unicorn does not know which of them a block was translated from."""
    rig = board(
        load("r6", 0x3004_0000) + CHANGE_ONCE,
        load("r4", address | 1) + load("r6", address) + CHANGED_THEN_CHANGE_AND_CALL,
    )
    rig.engine.memory(MAIN).write(0x3004_0000, RETURN_0)
    rig.run_us(2_000)
    assert rig.mark(1) == ROUNDS
    assert rig.mark(0) == 0, "stale calls"


def test_code_that_both_cores_execute_and_each_changes_is_executed_as_changed_by_both(board):
    """Two functions of one page: each core changes and calls its own, and calls the other's."""
    both = """
    ldr r8, ={other:#x}
    ldr r5, =MARKS+{marks}
    movs r7, #0
change:
    adds r7, #1
    add r1, r7, #0x2000
    strh r1, [r6]
    dsb
    isb
    blx r8
    blx r4
    cmp r0, r7
    beq fresh
    ldr r1, [r5]
    adds r1, #1
    str r1, [r5]
fresh:
    str r7, [r5, #4]
    cmp r7, #200
    bne change
    b .
"""
    first, second = 0x3004_0000, 0x3004_0010
    rig = board(
        load("r4", first | 1) + load("r6", first) + both.format(other=second | 1, marks=0),
        load("r4", second | 1) + load("r6", second) + both.format(other=first | 1, marks=8),
        quantum_ns=1_000,
    )
    rig.engine.memory(MAIN).write(first, RETURN_0)
    rig.engine.memory(MAIN).write(second, RETURN_0)
    rig.run_us(1_000)
    assert (rig.mark(1), rig.mark(3)) == (ROUNDS, ROUNDS)
    assert (rig.mark(0), rig.mark(2)) == (0, 0), "stale calls"


@pytest.mark.parametrize("address", [0x3004_0000, 0x1004_0000])
def test_code_that_the_host_changes_is_executed_as_changed(board, address):
    rig = board(load("r4", 0x3004_0001) + CALL_FOR_EVER)
    memory = rig.engine.memory(REMOTE)  # the view that has both addresses
    for number in range(40):
        memory.write(address, bytes([number]) + RETURN_0[1:])
        rig.run_us(40)
        assert rig.mark() == number


LOOP_AND_WAY_OUT = """
again:
    nop
    nop
    b again
    ldr r0, =0x38000000
    movs r1, #7
    str r1, [r0]
    b .
"""
NOP = (0xBF00).to_bytes(2, "little")


def test_an_idle_loop_whose_code_the_host_changes_is_left(board, assembler):
    """The loop is skipped, in the middle of a round (its length divides no quantum), when its branch becomes a nop."""
    outcomes = []
    for skip_idle_loops in (True, False):
        rig = board(load("r4", 0x3004_0001) + "bx r4", skip_idle_loops=skip_idle_loops)
        rig.engine.memory(MAIN).write(0x3004_0000, assembler.code(LOOP_AND_WAY_OUT, 0x3004_0000))
        rig.run_us(100)
        assert rig.stands_idle(MAIN) == skip_idle_loops
        rig.engine.memory(MAIN).write(0x3004_0004, NOP)
        rig.run_us(40)
        assert rig.mark() == 7
        outcomes.append(rig.everything())
    assert outcomes[0] == outcomes[1]


def test_an_idle_loop_whose_code_the_other_core_changes_is_left(board, assembler):
    remote = """
    movw r0, #40001
delay:
    subs r0, #1
    bne delay
    ldr r0, =0x10040004
    movw r1, #0xbf00
    strh r1, [r0]
    b .
"""
    outcomes = []
    for skip_idle_loops in (True, False):
        rig = board(load("r4", 0x3004_0001) + "bx r4", remote, skip_idle_loops=skip_idle_loops)
        rig.engine.memory(MAIN).write(0x3004_0000, assembler.code(LOOP_AND_WAY_OUT, 0x3004_0000))
        rig.run_us(200)
        assert rig.stands_idle(MAIN) == skip_idle_loops
        rig.run_us(1000)
        assert rig.mark() == 7
        outcomes.append(rig.everything())
    assert outcomes[0] == outcomes[1]


def test_code_that_a_reload_changes_is_executed_as_changed(board, assembler):
    rig = board("ldr r0, =MARKS\n movs r1, #1\nagain: str r1, [r0]\n b again")
    for number in range(2, 12):
        changed = assembler.program(MAIN, f"ldr r0, =MARKS\n movs r1, #{number}\nagain: str r1, [r0]\n b again")
        rig.run_us(100)
        rig.engine.load(MAIN, changed, changed.vector_table)
        rig.engine.reset(MAIN)
        rig.run_us(100)
        assert rig.mark() == number


def test_after_a_reload_code_is_named_by_the_new_image(board, assembler):
    source = "nop\n .type {name}, %function\n .thumb_func\n{name}: b {name}"
    rig = board(source.format(name="old_name"))
    rig.run_us(100)
    assert rig.engine.backtrace(MAIN)[0].symbol == "old_name"
    changed = assembler.program(MAIN, source.format(name="new_name"))
    rig.engine.load(MAIN, changed, changed.vector_table)
    rig.engine.reset(MAIN)
    rig.run_us(100)
    assert rig.engine.backtrace(MAIN)[0].symbol == "new_name"


def test_code_that_a_restore_brings_back_is_executed_as_it_was(board):
    rig = board(load("r4", 0x3004_0001) + CALL_FOR_EVER)
    memory = rig.engine.memory(MAIN)
    memory.write(0x3004_0000, RETURN_0)
    rig.run_us(100)
    before = rig.engine.snapshot()
    for number in range(1, 20):
        memory.write(0x3004_0000, bytes([number]) + RETURN_0[1:])
        rig.run_us(40)
        assert rig.mark() == number
        rig.engine.restore(before)
        rig.run_us(40)
        assert rig.mark() == 0


def test_a_page_that_holds_code_and_variables_runs_as_written(board, assembler):
    """Stores beside the code that makes them, by both cores."""
    code = assembler.code(
        """
    adr r0, counter
again:
    ldr r1, [r0]
    adds r1, #1
    str r1, [r0]
    cmp r1, #250
    bne again
    b .
    .align 2
counter: .word 0
""",
        0x3004_0000,
    )
    start = load("r4", 0x3004_0001) + "bx r4"
    rig = board(start, load("r4", 0x1004_0101) + "bx r4")
    rig.engine.memory(MAIN).write(0x3004_0000, code)
    rig.engine.memory(MAIN).write(0x3004_0100, code)
    rig.run_us(100)
    assert rig.word(0x3004_0000 + len(code) - 4) == 250
    assert rig.word(0x3004_0100 + len(code) - 4) == 250


def test_shared_memory_is_one_buffer_in_every_view(board):
    rig = board()
    main, remote = rig.engine.memory(MAIN), rig.engine.memory(REMOTE)
    main.write(0x3004_0123, b"rptwin")
    assert remote.read(0x3004_0123, 6) == remote.read(0x1004_0123, 6) == b"rptwin"
    remote.write(0x1001_FFFE, b"across")  # from SRAM1 into SRAM2
    assert main.read(0x3001_FFFE, 6) == b"across"


def test_what_one_core_stores_the_other_loads_through_the_alias(board):
    rig = board(
        "ldr r0, =0x30041000\n ldr r1, =0x12345678\n str r1, [r0]\n b .",
        "ldr r0, =0x10041000\nwait: ldr r1, [r0]\n cmp r1, #0\n beq wait\n ldr r2, =MARKS\n str r1, [r2]\n b .",
    )
    rig.run_us(60)
    assert rig.mark() == 0x1234_5678


def test_a_wake_up_call_that_a_core_writes_into_code_it_has_executed_is_sent(board):
    """SEV stored over a NOP of a page that is known already: the other core waits for it."""
    main = """
    ldr r4, =0x24000001
    ldr r6, =0x24000000
    movw r1, #0xbf00
    strh r1, [r6]
    movw r1, #0x4770
    strh r1, [r6, #2]
    dsb
    isb
    blx r4
    movw r0, #3000
delay:
    subs r0, #1
    bne delay
    movw r1, #0xbf40
    strh r1, [r6]
    dsb
    isb
    blx r4
    b .
"""
    rig = board(main, "wfe\n ldr r0, =MARKS\n movs r1, #1\n str r1, [r0]\n b .")
    rig.run_us(300)
    assert rig.mark() == 1
