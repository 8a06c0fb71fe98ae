"""Skipping idle loops is invisible: with it and without it everything that can be seen of a board is the same.

Each program runs both ways. Those that must be skipped are the ones that would make a run slow; those that must not be
are loops that look the same from round to round and are not.
"""

from __future__ import annotations

import itertools

import pytest

from orchestrator.events import ExceptionTaken, GuestError, Note

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"

POLLED = 0x3004_1000

# SysTick of either core at 1 kHz of the M4's 200 MHz, 2 kHz of the M7's 400 MHz; its handler counts in r11.
SYSTICK = """
    ldr r0, =0xE000E010
    ldr r1, ={reload}
    str r1, [r0, #4]
    movs r1, #0
    str r1, [r0, #8]
    movs r1, #7
    str r1, [r0]
"""
COUNT_SYSTICK = """
    .ltorg
sys_tick:
    ldr r0, =MARKS
    ldr r1, [r0, #{offset}]
    adds r1, #1
    str r1, [r0, #{offset}]
    bx lr
"""

IDLE = {
    "branch to itself": "b .",
    "nops, no divisor of a quantum": "again: nop\n nop\n nop\n nop\n nop\n nop\n b again",
    "call of an empty function": "again: bl empty\n b again\nempty: bx lr",
    "call that pushes": "again: bl pushes\n b again\npushes: push {r4, lr}\n nop\n pop {r4, pc}",
    "stores what is there": f"ldr r0, ={POLLED:#x}\n movs r1, #0\nagain: str r1, [r0]\n b again",
    "polls memory": f"ldr r0, ={POLLED:#x}\nagain: ldr r1, [r0]\n cmp r1, #0\n beq again\n b .",
    "inner delay loop": "again: movs r0, #20\ndelay: subs r0, #1\n bne delay\n b again",
    "conditional": "movs r0, #0\nagain: cmp r0, #1\n ite eq\n moveq r1, #1\n movne r1, #2\n b again",
    "load-exclusive": f"ldr r0, ={POLLED:#x}\nagain: ldrex r1, [r0]\n cmp r1, #0\n beq again\n b .",
    "masks interrupts meanwhile": "again: cpsid i\n nop\n nop\n cpsie i\n b again",
    "double precision": """
    ldr r0, =0xE000ED88
    ldr r1, =0xF00000
    str r1, [r0]
    dsb
    isb
    vmov.f32 s0, #1.0
again:
    vadd.f32 s1, s0, s0
    b again
""",
}

# r10 counts rounds, or marks are left: what is wrongly skipped is missing.
BUSY = {
    "counts in a register": "again: adds r10, #1\n b again",
    "counts in memory": "ldr r0, =MARKS\nagain: ldr r1, [r0]\n adds r1, #1\n str r1, [r0]\n b again",
    "toggles memory": "ldr r0, =MARKS\nagain: ldr r1, [r0]\n mvns r1, r1\n str r1, [r0]\n b again",
    "long delay that ends": """
    ldr r0, =12345
again:
    subs r0, #1
    bne again
    ldr r1, =MARKS
    movs r0, #1
    str r0, [r1]
    b .
""",
    "walks through memory": "ldr r0, =0x24000000\nagain: ldr r1, [r0], #4\n bic r0, r0, #0x10000\n b again",
    "only the flags change": """
again:
    mrs r1, apsr
    eor r1, r1, #0x80000000
    msr apsr_nzcvq, r1
    mov r1, #0
    b again
""",
    "only a floating-point register changes": """
    ldr r0, =0xE000ED88
    ldr r1, =0xF00000
    str r1, [r0]
    dsb
    isb
    vmov.f32 s0, #1.0
    vmov.f32 s1, #1.0
again:
    vadd.f32 s1, s1, s0
    b again
""",
    "sends events": "again: sev\n b again",
    "sends wide events": "again: sev.w\n nop\n b again",
    "waits for events that come": "again: wfe\n adds r10, #1\n b again",
    "reads the cycle counter": """
    ldr r0, =0xE000EDFC
    ldr r1, =0x01000000
    str r1, [r0]
    ldr r0, =0xE0001000
    movs r1, #1
    str r1, [r0]
again:
    ldr r1, [r0, #4]
    b again
""",
    "stores to flash what is there": "ldr r0, =0x08000000\n ldr r1, [r0]\nagain: str r1, [r0]\n b again",
    "overwrites its own way out": """
    ldr r4, =0x24000000
    ldr r0, =0xBF00BF00
    str r0, [r4]
    ldr r0, =0x4770BF00
    str r0, [r4, #4]
    dsb
    isb
    ldr r5, =0x24000001
    movw r6, #3000
warm:
    blx r5
    subs r6, #1
    bne warm
    ldr r0, =0x4770350A
    movw r0, #0x3a01
    strh r0, [r4]
    movw r0, #0x2a00
    strh r0, [r4, #2]
    movw r0, #0xd1fc
    strh r0, [r4, #4]
    dsb
    isb
    ldr r2, =20000
    blx r5
    ldr r0, =MARKS
    movs r1, #1
    str r1, [r0]
    b .
""",
}

OTHERS = {
    "nothing": "wfi\n b .",
    "busy": "again: adds r10, #1\n b again",
    "stores what is polled": f"""
    movw r0, #30001
delay:
    subs r0, #1
    bne delay
    ldr r1, ={POLLED:#x}
    movs r2, #1
    str r2, [r1]
    b .
""",
    "sends an event now and then": "again: movw r0, #7777\ndelay: subs r0, #1\n bne delay\n sev\n b again",
}


def run_both_ways(board, main, remote, time_us=500, **options):
    """Events and everything else, skipped and not; the rig that skipped."""
    rigs = []
    for skip_idle_loops in (True, False):
        rig = board(main, remote, skip_idle_loops=skip_idle_loops, **options)
        for piece in (120, 20, 160, time_us - 300):  # looking settles what is skipped: it must change nothing
            rig.run_us(piece)
            rig.everything()
        rigs.append(rig)
    skipped, executed = rigs
    assert [each for each in skipped.events if not isinstance(each.detail, Note)] == executed.events
    assert skipped.everything() == executed.everything()
    return skipped


@pytest.mark.parametrize(("program", "other"), list(itertools.product(IDLE, OTHERS)))
def test_skipping_an_idle_loop_is_invisible(board, program, other):
    run_both_ways(board, IDLE[program], OTHERS[other])


@pytest.mark.parametrize("program", IDLE)
def test_an_idle_loop_is_found(board, program):
    rig = board(IDLE[program], OTHERS["nothing"])
    rig.run_us(2_000)
    assert rig.stands_idle(MAIN)


@pytest.mark.parametrize(
    ("program", "other"), list(itertools.product(BUSY, ("nothing", "sends an event now and then")))
)
def test_a_loop_that_does_something_is_not_skipped(board, program, other):
    run_both_ways(board, BUSY[program], OTHERS[other])


@pytest.mark.parametrize("program", IDLE)
def test_an_idle_loop_is_interrupted_by_systick_at_the_same_instruction(board, program):
    rig = run_both_ways(
        board,
        SYSTICK.format(reload=40_000 - 1) + IDLE[program] + COUNT_SYSTICK.format(offset=0),
        SYSTICK.format(reload=33_333) + IDLE[program] + COUNT_SYSTICK.format(offset=4),
        time_us=700,
    )
    # 100 us of 400 MHz, 166.67 us of 200 MHz, from some instructions after the start
    assert (rig.mark(0), rig.mark(1)) == (6, 4)


def test_polled_memory_that_the_other_core_changes_ends_the_loop(board):
    rig = board(IDLE["polls memory"], OTHERS["stores what is polled"])
    rig.run_us(580)
    assert rig.stands_idle(MAIN)
    assert rig.engine.registers(MAIN)["R1"] == 0
    rig.run_us(100)
    assert rig.engine.registers(MAIN)["R1"] == 1


def test_polled_memory_that_the_host_changes_ends_the_loop(board):
    rig = board(IDLE["polls memory"])
    rig.run_us(500)
    assert rig.stands_idle(MAIN)
    rig.set_word(POLLED, 5)
    rig.run_us(20)
    assert rig.engine.registers(MAIN)["R1"] == 5


@pytest.mark.parametrize(
    ("mask", "unmask"),
    [
        ("cpsid i", "cpsie i"),
        ("movs r3, #1\n msr primask, r3", "movs r3, #0\n msr primask, r3"),
        ("movs r3, #0x10\n msr basepri, r3", "movs r3, #0\n msr basepri, r3"),
    ],
)
def test_a_loop_that_unmasks_a_pending_interrupt_is_left_by_it(board, mask, unmask):
    """Turns end while it masks what is pending: from there it would come back to itself."""
    priority = "ldr r0, =0xE000ED20\n ldr r1, =0x80000000\n str r1, [r0]\n"  # of SysTick: below BASEPRI
    main = priority + SYSTICK.format(reload=43_209) + f"again: {mask}\n" + "nop\n" * 900 + f"{unmask}\n b again"
    rig = run_both_ways(board, main + COUNT_SYSTICK.format(offset=0), "wfi\n b .", time_us=5_000)
    assert len(rig.details(ExceptionTaken)) == rig.mark() == 46


@pytest.mark.parametrize("mask", ["cpsid i", "movs r3, #0x10\n msr basepri, r3"])
def test_a_loop_that_leaves_a_pending_interrupt_masked_is_idle(board, mask):
    """As when a driver polls a register in a critical section, and the register never changes."""
    priority = "ldr r0, =0xE000ED20\n ldr r1, =0x80000000\n str r1, [r0]\n"
    main = priority + f"{mask}\n" + SYSTICK.format(reload=999) + IDLE["polls memory"]
    rig = run_both_ways(board, main + COUNT_SYSTICK.format(offset=0), "wfi\n b .", time_us=1_000)
    assert rig.stands_idle(MAIN)
    assert rig.details(ExceptionTaken) == []


def test_a_refused_store_is_an_event_in_every_round(board):
    rig = board(BUSY["stores to flash what is there"], OTHERS["nothing"])
    rig.run_us(1_000)
    assert not rig.stands_idle(MAIN)
    assert len(rig.details(GuestError)) > 40_000


def test_cores_at_different_quanta_skip_alike(board):
    for quantum_ns in (1_000, 7_770, 100_000):
        run_both_ways(board, IDLE["inner delay loop"], OTHERS["stores what is polled"], quantum_ns=quantum_ns)


def test_ten_seconds_of_two_busy_idle_loops_are_not_executed(board):
    """2,000 million instructions: only the skipping ends this in the time of a test."""
    rig = board(IDLE["call of an empty function"], IDLE["call that pushes"])
    rig.run_us(10_000_000)
    assert rig.engine.instructions(MAIN) == rig.engine.instructions(REMOTE) == 1_000_000_000


# Both take a semaphore of their own, and then ask for the other's in each round (RM0399 ch. 11: R_LR, COREID 3 and 1).
HOLDS_ONE = """
    ldr r0, =0x580244E0
    ldr r1, [r0]
    orr r1, r1, #0x02000000
    str r1, [r0]
    ldr r1, [r0]
    ldr r0, =0x58026400
    ldr r1, [r0, #{own}]
    movw r6, #3000
before: subs r6, #1
    bne before
"""
ASKS_FOR_OTHER = """
again:
    ldr r1, [r0, #{other}]
    lsrs r1, r1, #8
    uxtb r1, r1
    cmp r1, #{me}
    bne again
"""
TOOK = "ldr r0, =MARKS\n mov r1, #1\n str r1, [r0]\n b ."
MAIN_ASKS = HOLDS_ONE.format(own=0x80) + ASKS_FOR_OTHER.format(other=0x84, me=3) + TOOK
REMOTE_ASKS = HOLDS_ONE.format(own=0x84) + ASKS_FOR_OTHER.format(other=0x80, me=1) + "b ."
REMOTE_FREES = (
    HOLDS_ONE.format(own=0x84)
    + """
    movw r6, #14001
polls: ldr r1, [r0, #0x80]
    subs r6, #1
    bne polls
    mov r1, #0x100
    str r1, [r0, #4]
"""
    + ASKS_FOR_OTHER.format(other=0x80, me=1)
    + "b ."
)


def test_two_cores_that_poll_one_device_are_both_found_idle(board):
    rig = run_both_ways(board, MAIN_ASKS, REMOTE_ASKS, time_us=1_000)
    assert rig.stands_idle(MAIN)
    assert rig.stands_idle(REMOTE)


def test_ten_seconds_of_two_cores_that_poll_one_device_are_not_executed(board):
    rig = board(MAIN_ASKS, REMOTE_ASKS)
    rig.run_us(10_000_000)
    assert rig.stands_idle(MAIN)
    assert rig.stands_idle(REMOTE)
    assert rig.mark() == 0


@pytest.mark.parametrize("quantum_ns", [1_000, 20_000, 33_330])
def test_a_device_that_both_poll_and_one_changes_is_left_at_the_same_instruction(board, quantum_ns):
    rig = run_both_ways(board, MAIN_ASKS, REMOTE_FREES, time_us=2_000, quantum_ns=quantum_ns)
    assert rig.mark() == 1
