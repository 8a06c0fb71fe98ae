"""Programs on a Cortex-M7 whose data cache is modelled: what the core sees, what is found, and what stays as it was."""

from __future__ import annotations

import pytest

from orchestrator.engines.contract import CoherenceMode, PlayedCore
from orchestrator.events import Accessed, IncoherenceKind, Incoherent

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
SHARED = 0x2400_0000  # AXI SRAM: write-back with allocation by the default map, one address for both
OWN = 0x2000_0000  # DTCM: where main leaves what it saw
REPORT, REAL = CoherenceMode.REPORT, CoherenceMode.REAL
# r7: shared memory, r6: main's own, r5: DCIMVAC; r4 and r3 are used up.
BEGIN = """
    ldr r7, =0x24000000
    ldr r6, =0x20000000
    ldr r5, =0xE000EF5C
    ldr r3, =0xE000ED14
    ldr r4, [r3]
    orr r4, #0x10000
    str r4, [r3]            @ CCR.DC
    dsb
    isb
"""
INVALIDATE = "str r7, [r5]\n dsb\n"
CLEAN = "str r7, [r5, #0xC]\n dsb\n"
LATER = "movw r4, #4000\n 9: subs r4, #1\n bne 9b\n"  # 40 us and more: the other core has had its turn
REMOTE_WRITES = """
    ldr r7, =0x24000000
    movw r4, #2500
1:  subs r4, #1
    bne 1b
    movs r0, #0x55
    str r0, [r7]
    b .
"""
REMOTE_READS = REMOTE_WRITES.replace("movs r0, #0x55\n    str r0, [r7]", "ldr r0, [r7]")


def found(rig):
    return [each.incoherence for each in rig.details(Incoherent)]


def test_a_core_sees_what_it_fetched_until_it_invalidates(board):
    main = f"{BEGIN} ldr r0, [r7]\n {LATER} ldr r1, [r7]\n {INVALIDATE} ldr r2, [r7]\n stm r6, {{r0-r2}}\n b ."
    rig = board(main, REMOTE_WRITES, coherence=REAL)
    rig.run_us(200)
    assert [rig.word(OWN + 4 * each) for each in range(3)] == [0, 0, 0x55]
    assert found(rig) == [IncoherenceKind.STALE_READ]


def test_a_report_leaves_memory_as_it_is_and_says_the_same(board):
    main = f"{BEGIN} ldr r0, [r7]\n {LATER} ldr r1, [r7]\n stm r6, {{r0-r1}}\n b ."
    rig = board(main, REMOTE_WRITES, coherence=REPORT)
    rig.run_us(200)
    assert [rig.word(OWN + 4 * each) for each in range(2)] == [0, 0x55]
    (said,) = rig.details(Incoherent)
    assert (said.incoherence, said.line, said.address, said.size) == (IncoherenceKind.STALE_READ, SHARED, SHARED, 4)
    assert (said.by.core, said.of.core, said.since.core) == (MAIN, REMOTE, MAIN)
    assert said.since.time_ns < said.of.time_ns < said.by.time_ns


@pytest.mark.parametrize(("clean", "expected"), [("", [IncoherenceKind.WRITE_STAYED]), (CLEAN, [])])
@pytest.mark.parametrize("mode", [REPORT, REAL])
def test_what_is_written_is_for_others_once_it_is_cleaned(board, mode, clean, expected):
    rig = board(f"{BEGIN} movs r0, #7\n str r0, [r7]\n {clean} b .", REMOTE_READS, coherence=mode)
    rig.run_us(200)
    assert found(rig) == expected
    assert rig.word(SHARED, REMOTE) == (0 if mode is REAL and not clean else 7)


def test_a_core_whose_cache_is_off_or_whose_memory_is_its_own_has_nothing_found(board):
    off = BEGIN.replace("orr r4, #0x10000", "nop")
    main = f"{off} ldr r0, [r7]\n str r0, [r7, #4]\n {LATER} ldr r1, [r7]\n b ."
    rig = board(main, REMOTE_WRITES, coherence=REPORT)
    rig.run_us(200)
    assert found(rig) == []


def test_an_mpu_region_takes_memory_out_of_the_cache(board):
    """From when it is enabled, in the middle of a run: TEX 1, C 0, B 0."""
    mpu = """
    ldr r3, =0xE000ED98
    movs r4, #0
    str r4, [r3]
    ldr r4, =0x24000000
    str r4, [r3, #4]
    ldr r4, =0x0308001F     @ 64 KB, full access
    str r4, [r3, #8]
    movs r4, #5
    str r4, [r3, #-4]
    dsb
"""
    main = f"{BEGIN} {mpu} ldr r0, [r7]\n str r0, [r7, #4]\n {LATER} ldr r1, [r7]\n b ."
    rig = board(main, REMOTE_WRITES, coherence=REPORT)
    rig.run_us(200)
    assert found(rig) == []
    without = board(main.replace("movs r4, #5", "movs r4, #4"), REMOTE_WRITES, coherence=REPORT)
    without.run_us(200)
    assert IncoherenceKind.STALE_READ in found(without)


@pytest.mark.parametrize("skips", [True, False])
def test_a_core_that_polls_is_told_when_what_it_polls_has_changed(board, skips):
    main = f"{BEGIN} 1: ldr r0, [r7]\n cmp r0, #0x55\n bne 1b\n str r0, [r6]\n b ."
    rig = board(main, REMOTE_WRITES, coherence=REPORT, skip_idle_loops=skips)
    rig.run_us(300)
    assert rig.word(OWN) == 0x55
    assert found(rig) == [IncoherenceKind.STALE_READ]


def test_on_a_real_cache_a_poll_without_maintenance_ends_when_the_line_is_driven_out(board):
    main = f"{BEGIN} 1: ldr r0, [r7]\n cmp r0, #0x55\n bne 1b\n str r0, [r6]\n b ."
    rig = board(main, REMOTE_WRITES, coherence=REAL, seed=1)
    rig.run_us(20)
    rig.run_us(2_000)
    assert found(rig)[:1] == [IncoherenceKind.STALE_READ]
    rig.run_us(200_000)
    assert rig.word(OWN) == 0x55


def test_an_unaligned_load_is_told_of_the_bytes_alone_that_it_asks_for(board):
    remote = REMOTE_WRITES.replace("str r0, [r7]", "strb r0, [r7]\n strb r0, [r7, #5]")
    main = f"{BEGIN} ldr r0, [r7]\n {LATER} ldr r1, [r7, #1]\n b ."  # bytes 1 to 4
    rig = board(main, remote, coherence=REPORT)
    rig.run_us(200)
    assert found(rig) == []


def test_a_store_exclusive_that_fails_makes_nothing_dirty(board):
    main = f"{BEGIN} ldrex r0, [r7]\n clrex\n movs r1, #9\n strex r2, r1, [r7]\n str r2, [r6]\n b ."
    rig = board(main, REMOTE_READS, coherence=REPORT)
    rig.run_us(200)
    assert rig.word(OWN) == 1
    assert found(rig) == []


FLOATS = "ldr r3, =0xE000ED88\n ldr r4, =0xF00000\n str r4, [r3]\n isb\n vmov.f32 s0, #1.0\n vstr s0, [r7, #0x60]\n"
EVERYTHING = """
    ldr r0, =0x01234567
    ldr r1, =0x89ABCDEF
    strd r0, r1, [r7, #8]
    str r0, [r7, #0x1D]     @ across two lines
    strh r1, [r7, #0x3F]
    stm r7!, {r0, r1, r6}
    ldr r7, =0x24000000
    ldr r2, [r7, #0x1D]
    ldrh r3, [r7, #0x3F]
    ldrd r8, r9, [r7, #8]
    ldm r7, {r10-r12}
    ldrex r4, [r7]
    add r4, #1
    strex r0, r4, [r7]
    ldrsb r1, [r7, #3]
    add r3, r7, #0x100
    mov sp, r3
    push {r0-r4, lr}
    svc #0
    pop {r0-r4, lr}
    ldr sp, =0x20002000
    b .
    .thumb_func
sv_call:
    ldr r12, [sp]           @ what was stacked, and what is to come back
    add r12, #1
    str r12, [sp, #4]
    bx lr
"""


@pytest.mark.parametrize("enable", ["", FLOATS], ids=["integers", "floats"])
@pytest.mark.parametrize("mode", [REPORT, REAL])
def test_one_master_cannot_tell_a_cache_from_memory(board, mode, enable):
    """By whatever instruction; exception frames included, with a floating-point context and without."""
    program = BEGIN + enable + EVERYTHING
    plain, cached = board(program), board(program, coherence=mode)
    for rig in (plain, cached):
        rig.run_us(100)
    assert cached.engine.registers(MAIN) == plain.engine.registers(MAIN)
    assert plain.engine.registers(MAIN)["R9"] == 0x89AB_CDEF
    assert found(cached) == []


def test_what_is_told_of_accesses_is_the_same_with_a_report(board):
    main = f"{BEGIN} ldr r0, [r7]\n str r0, [r7, #4]\n {LATER} ldr r1, [r7]\n b ."
    told = []
    for mode in (None, REPORT):
        rig = board(main, REMOTE_WRITES, coherence=mode)
        from_here = rig.engine.platform.region_at(MAIN, SHARED)[0].extents(MAIN)[0]
        rig.engine.observe("all", MAIN, from_here)
        rig.run_us(200)
        told.append([each for each in rig.events if isinstance(each.detail, Accessed)])
    assert told[0] == told[1]
    assert told[0]


LOADS_CODE = """
    ldr r0, =0x47702007     @ movs r0, #7; bx lr
    str r0, [r7, #0x40]
    add r1, r7, #0x40
    {clean}
    movs r0, #1
    str r0, [r7]
    str r7, [r5, #0xC]
    dsb
    {later}
    ldr r0, =0x47702009
    str r0, [r7, #0x40]
    {clean}
    movs r0, #2
    str r0, [r7]
    str r7, [r5, #0xC]
    dsb
    b .
"""
RUNS_CODE = """
    ldr r7, =0x24000000
    ldr r6, =0x10000000
    ldr r5, =0x24000041
1:  ldr r0, [r7]
    cmp r0, #1
    bne 1b
    blx r5
    str r0, [r6]
2:  ldr r0, [r7]
    cmp r0, #2
    bne 2b
    blx r5
    str r0, [r6, #4]
    b .
"""


@pytest.mark.parametrize("mode", [REPORT, REAL])
def test_code_that_is_loaded_and_cleaned_is_what_the_other_core_runs(board, mode):
    main = BEGIN + LOADS_CODE.format(clean="str r1, [r5, #0xC]\n dsb\n", later=LATER)
    rig = board(main, RUNS_CODE, coherence=mode)
    rig.run_us(400)
    assert [rig.word(0x1000_0000 + each, REMOTE) for each in (0, 4)] == [7, 9]
    assert found(rig) == []


def test_new_code_that_stays_in_the_cache_is_not_what_the_other_core_runs(board):
    main = BEGIN + LOADS_CODE.format(clean="{}", later=LATER).replace("{}", "str r1, [r5, #0xC]\n dsb\n", 1).replace(
        "{}", ""
    )
    rig = board(main, RUNS_CODE, coherence=REAL)
    rig.run_us(400)
    assert [rig.word(0x1000_0000 + each, REMOTE) for each in (0, 4)] == [7, 7]


def test_code_that_stays_in_the_cache_is_found_where_it_is_fetched(board):
    """By the other core, or by the same one: instructions are fetched past the data cache."""
    loads = LOADS_CODE.replace("{clean}", "str r1, [r5, #0xC]\n dsb\n", 1)
    rig = board(BEGIN + loads.format(clean="", later=LATER), RUNS_CODE, coherence=REPORT)
    rig.run_us(400)
    said = rig.details(Incoherent)
    assert {(each.incoherence, each.by.core) for each in said} == {(IncoherenceKind.WRITE_STAYED, REMOTE)}
    assert [each.by.pc - SHARED for each in said] == [0x40, 0x42]
    own = "ldr r0, =0x47702007\n str r0, [r7, #0x40]\n {}\n add r3, r7, #0x41\n blx r3\n b ."
    rig = board(BEGIN + own.format(""), coherence=REPORT)
    rig.run_us(100)
    assert {(each.incoherence, each.by.core) for each in rig.details(Incoherent)} == {
        (IncoherenceKind.WRITE_STAYED, MAIN)
    }
    rig = board(BEGIN + own.format("add r1, r7, #0x40\n str r1, [r5, #0xC]\n dsb"), coherence=REPORT)
    rig.run_us(100)
    assert found(rig) == []


def test_what_the_host_stores_is_so_for_everybody(board):
    main = f"{BEGIN} 1: ldr r0, [r7]\n str r0, [r6]\n b 1b"
    rig = board(main, coherence=REAL)
    rig.run_us(60)
    rig.set_word(SHARED, 0x77)
    rig.run_us(60)
    assert rig.word(OWN) == 0x77
    assert found(rig) == []


def test_a_reset_core_has_an_empty_cache(board):
    main = f"{BEGIN} movs r0, #7\n str r0, [r7]\n b ."
    rig = board(main, coherence=REAL)
    rig.run_us(60)
    rig.engine.hold(MAIN)
    rig.engine.reset(MAIN)
    assert rig.word(SHARED) == 0


def test_a_snapshot_of_a_cache_goes_back_and_on(board):
    main = f"{BEGIN} ldr r0, [r7]\n {LATER} {LATER} ldr r1, [r7]\n stm r6, {{r0-r1}}\n b ."
    rig = board(main, REMOTE_WRITES, coherence=REAL)
    rig.run_us(40)
    saved = rig.engine.snapshot()
    rig.run_us(400)
    first = found(rig)
    rig.engine.restore(saved)
    rig.run_us(400)
    assert found(rig) == first * 2
    assert first == [IncoherenceKind.STALE_READ]
    assert rig.word(OWN + 4) == 0


SENDER = """
    ldr r1, =0x6C6C6568     @ hello, and a new line
    str r1, [r7]
    ldr r1, =0x210A6F
    str r1, [r7, #4]
    {clean}
    ldr r4, =0x40004800     @ USART3, whose transmitter asks DMA1 stream 1 for each byte
    movs r0, #0x09
    str r0, [r4]
    movs r0, #0x80
    str r0, [r4, #8]
    ldr r4, =0x40020000
    movs r0, #6
    str r0, [r4, #0x2C]
    ldr r0, =0x40004828
    str r0, [r4, #0x30]
    str r7, [r4, #0x34]
    ldr r1, =0x451
    str r1, [r4, #0x28]
    b .
"""


@pytest.mark.parametrize("mode", [REPORT, REAL])
def test_dma_reads_memory_past_the_cache(board, mode):
    rig = board(BEGIN + SENDER.format(clean=""), coherence=mode)
    rig.run_us(1000)
    assert rig.engine.consoles["usart3"].output == (bytes(6) if mode is REAL else b"hello\n")
    said = rig.details(Incoherent)
    assert {each.incoherence for each in said} == {IncoherenceKind.WRITE_STAYED}
    assert {(each.by.core, each.of.core) for each in said} == {("", MAIN)}
    assert {each.address - SHARED + byte for each in said for byte in range(each.size)} == set(range(6))


@pytest.mark.parametrize("mode", [REPORT, REAL])
def test_dma_reads_what_was_cleaned(board, mode):
    rig = board(BEGIN + SENDER.format(clean=CLEAN), coherence=mode)
    rig.run_us(1000)
    assert rig.engine.consoles["usart3"].output == b"hello\n"
    assert found(rig) == []


OVERLAYS = """
    orr r4, #0x20000
    str r4, [r3]            @ CCR.IC
    dsb
    isb
    ldr r0, =0x47702007     @ movs r0, #7; bx lr
    str r0, [r7]
    str r7, [r5, #0xC]
    dsb
    add r3, r7, #1
    blx r3
    ldr r0, =0x47702009
    str r0, [r7]
    str r7, [r5, #0xC]
    dsb
    {invalidate}
    isb
    blx r3
    str r0, [r6]
    b .
"""


@pytest.mark.parametrize(
    ("invalidate", "expected"),
    [
        ("", [IncoherenceKind.STALE_CODE]),
        ("str r7, [r5, #-12]", []),  # ICIALLU
        ("str r7, [r5, #-4]", []),  # ICIMVAU
        ("str r7, [r5]", [IncoherenceKind.STALE_CODE]),  # of the data cache
    ],
    ids=["nothing", "ICIALLU", "ICIMVAU", "DCIMVAC"],
)
@pytest.mark.parametrize("mode", [REPORT, REAL])
def test_code_that_is_written_anew_is_invalidated_in_the_instruction_cache(board, mode, invalidate, expected):
    rig = board(BEGIN + OVERLAYS.format(invalidate=invalidate), coherence=mode)
    rig.run_us(100)
    assert sorted(set(found(rig))) == expected
    assert rig.word(OWN) == 9
    off = board(BEGIN + OVERLAYS.format(invalidate=invalidate).replace("orr r4, #0x20000", "nop"), coherence=mode)
    off.run_us(100)
    assert found(off) == []


def test_without_a_data_cache_code_goes_stale_all_the_same(board):
    rig = board(BEGIN.replace("orr r4, #0x10000", "nop") + OVERLAYS.format(invalidate=""), coherence=REPORT)
    rig.run_us(100)
    assert set(found(rig)) == {IncoherenceKind.STALE_CODE}


class Writes:
    """Plays the remote: stores a word once, when the other core has fetched its line."""

    core: PlayedCore

    def turn(self, time_ns: int) -> int | None:
        if time_ns < 20_000:
            return 20_000
        self.core.memory.write(SHARED, (0x55).to_bytes(4, "little"))
        return None

    def reset(self) -> None:
        """Nothing to begin anew."""


@pytest.mark.parametrize(("mode", "seen"), [(REPORT, 0x55), (REAL, 0)])
def test_a_core_that_python_plays_reaches_memory_past_the_cache(board, mode, seen):
    rig = board(f"{BEGIN} ldr r0, [r7]\n {LATER} ldr r1, [r7]\n str r1, [r6]\n b .", coherence=mode)
    player = Writes()
    player.core = rig.engine.play(REMOTE, player)
    rig.run_us(300)
    (said,) = rig.details(Incoherent)
    assert (said.incoherence, said.of.core) == (IncoherenceKind.STALE_READ, REMOTE)
    assert rig.word(OWN) == seen
