"""What the Unicorn engine promises beside executing instructions: conditions, watches, stops, hold, reset, errors."""

from __future__ import annotations

import signal
import threading

import pytest

from orchestrator.base.errors import EngineError, TranslationError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.engines.contract import ConsoleText, EngineOptions, MemoryEquals, StopReason
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.events import Changed, CoreState, Fault, GuestError, Lockup, NotificationSent, StateChanged

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
MARKS = 0x3800_0000
SHARED = 0x3004_0000  # SRAM3
ALIAS = 0x1004_0000

COUNT = "ldr r0, =MARKS\nagain: ldr r1, [r0]\n adds r1, #1\n str r1, [r0]\n b again"
# r1: what is stored at r0 after some 300 us
STORE_LATER = """
    movw r2, #15000
delay:
    subs r2, #1
    bne delay
    ldr r0, ={address:#x}
    ldr r1, ={value}
    str r1, [r0]
    b .
"""
PRINT = """
    ldr r0, =0x40004800
    movs r1, #0xD
    str r1, [r0]
    adr r2, text
next:
    ldrb r1, [r2], #1
    cbz r1, done
    str r1, [r0, #0x28]
    ldr r3, =900
delay:
    subs r3, #1
    bne delay
    b next
done:
    b .
    .align 2
text: .asciz "one\\ntwo three\\n"
"""


# Runs and their ends


def test_a_run_ends_at_the_first_quantum_boundary_at_or_after_its_timeout(board):
    rig = board()
    assert rig.engine.run(1).time_ns == 20_000
    assert rig.engine.run(20_000).time_ns == 40_000
    assert rig.engine.run(20_001).time_ns == rig.engine.time_ns == 80_000
    assert rig.engine.run(0).reason is StopReason.TIMEOUT
    assert rig.engine.time_ns == 80_000


def test_a_quantum_of_no_time_is_refused(platform):
    with pytest.raises(UsageError, match="expected more than 0 ns, found 0"):
        UnicornEngine(platform, EngineOptions(quantum_ns=0))


def test_a_core_executes_its_mips_per_virtual_microsecond(board):
    rig = board(COUNT, "again: b again")
    rig.run_us(1_000)
    assert rig.engine.instructions(MAIN) == rig.engine.instructions(REMOTE) == 100_000
    assert rig.mark() == 100_000 // 4


def test_a_condition_on_memory_ends_the_run_in_the_quantum_in_which_it_is_met(board):
    rig = board(remote=STORE_LATER.format(address=ALIAS, value="0x12345678"))
    stop = rig.engine.run(10_000_000, MemoryEquals(MAIN, SHARED, 4, 0x12345678))
    assert stop.reason is StopReason.CONDITION
    assert stop.time_ns == rig.engine.time_ns == 320_000  # 30,000 instructions at 10 ns, and the next boundary


def test_a_condition_on_memory_looks_at_the_masked_bits_of_its_size(board):
    rig = board(remote=STORE_LATER.format(address=ALIAS, value="0x12345678"))
    assert rig.engine.run(10_000_000, MemoryEquals(MAIN, SHARED, 1, 0x70, mask=0xF0)).reason is StopReason.CONDITION
    assert rig.engine.run(1_000_000, MemoryEquals(MAIN, SHARED, 1, 0x7F)).reason is StopReason.TIMEOUT


def test_a_condition_on_memory_that_the_core_does_not_have_is_refused(board):
    with pytest.raises(UsageError, match="cpu_cm7 at 0x10000000: no memory to wait for"):
        board().engine.run(1, MemoryEquals(MAIN, 0x1000_0000, 4, 1))


@pytest.mark.parametrize(
    ("condition", "printed"),
    [
        (ConsoleText("usart3", "two"), b"one\ntwo"),
        (ConsoleText("usart3", "^tw. t", regex=True), b"one\ntwo t"),
        (ConsoleText("usart3", "e$", regex=True), b"one"),
    ],
)
def test_a_condition_on_text_is_met_when_it_has_come_out_of_the_uart(board, condition, printed):
    rig = board(PRINT)
    stop = rig.engine.run(10_000_000, condition)
    assert stop.reason is StopReason.CONDITION
    assert bytes(rig.engine.consoles["usart3"].output) == printed


def test_a_condition_on_text_sees_only_what_comes_out_after_the_run_began(board):
    rig = board(PRINT)
    assert rig.engine.run(10_000_000, ConsoleText("usart3", "one")).reason is StopReason.CONDITION
    assert rig.engine.run(1_000_000, ConsoleText("usart3", "one")).reason is StopReason.TIMEOUT


def test_a_condition_on_a_uart_that_is_not_there_names_those_that_are(board):
    with pytest.raises(UsageError, match=r"no such UART: expected usart1 \| usart2 \| .*, found usart9"):
        board().engine.run(1, ConsoleText("usart9", "x"))


def test_a_listener_can_stop_the_run(board):
    rig = board("svc 0\n b .\nsv_call: bx lr")
    rig.engine.subscribe(lambda event: rig.engine.stop())
    stop = rig.engine.run(10_000_000)
    assert (stop.reason, stop.time_ns) == (StopReason.REQUESTED, 20_000)
    assert rig.engine.run(100_000).reason is StopReason.TIMEOUT


def test_another_thread_can_stop_the_run(board):
    rig = board(COUNT)
    timer = threading.Timer(0.05, rig.engine.stop)
    timer.start()
    assert rig.engine.run(1_000_000_000_000).reason is StopReason.REQUESTED
    timer.join()


def test_a_run_with_nobody_left_to_run_is_dead(board):
    fault = "udf #0\nhard_fault: udf #0"
    rig = board(fault, fault)
    stop = rig.engine.run(10_000_000_000)
    assert (stop.reason, stop.time_ns) == (StopReason.DEAD, 20_000)
    assert len(rig.details(Lockup)) == 2
    assert rig.engine.state(MAIN) is rig.engine.state(REMOTE) is CoreState.LOCKED_UP


def test_a_held_and_a_locked_up_core_are_dead_together(board):
    rig = board("udf #0\nhard_fault: udf #0")
    rig.engine.hold(REMOTE)
    assert rig.engine.run(10_000_000_000).reason is StopReason.DEAD
    rig.engine.start(REMOTE)
    assert rig.engine.run(100_000).reason is StopReason.TIMEOUT


def test_one_core_that_waits_for_ever_is_not_dead(board):
    rig = board("udf #0\nhard_fault: udf #0", "wfi\n b .")
    stop = rig.engine.run(10_000_000_000)
    assert (stop.reason, stop.time_ns) == (StopReason.TIMEOUT, 10_000_000_000)


# Ctrl-C and listeners that fail


def test_ctrl_c_ends_a_run_and_the_board_can_be_looked_at(board):
    rig = board(COUNT)

    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    rig.engine.run(100_000)
    timer = threading.Timer(0.1, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        rig.engine.run(1_000_000_000_000)
    timer.join()
    assert rig.mark() > 0
    assert rig.engine.registers(MAIN)["R0"] == MARKS
    assert rig.engine.time_ns > 100_000


@pytest.mark.parametrize(
    "program",
    [
        "svc 0\n b .\nsv_call: bx lr",
        "ldr r0, =0x08000000\n str r0, [r0]\n b .",  # the event comes out of a store that is under way
        "ldr r0, =0x40004800\n ldr r0, [r0, #0x30]\n b .",  # out of a load from a device
    ],
    ids=["exception", "store to flash", "device"],
)
def test_an_error_of_a_listener_ends_the_run_as_it_was_raised(board, program):
    rig = board(program)

    def fail(event: object) -> None:
        raise LookupError(event)

    rig.engine.subscribe(fail)
    with pytest.raises(LookupError):
        rig.engine.run(100_000)


# Watches


@pytest.mark.parametrize(
    ("core", "watched", "stored"), [(MAIN, SHARED, ALIAS), (REMOTE, ALIAS, SHARED), (REMOTE, SHARED, ALIAS)]
)
def test_a_watch_sees_a_store_through_any_alias(board, core, watched, stored):
    rig = board(remote=STORE_LATER.format(address=stored + 8, value=7))
    rig.engine.watch("here", core, Extent(watched, 16))
    rig.run_us(1_000)
    assert [(event.core, event.time_ns, event.detail) for event in rig.events] == [(REMOTE, 320_000, Changed("here"))]


def test_a_watch_does_not_see_stores_beside_it_nor_of_what_is_there(board):
    rig = board(remote=STORE_LATER.format(address=ALIAS + 16, value=7))
    rig.engine.watch("before", MAIN, Extent(SHARED, 16))
    rig.engine.watch("after", MAIN, Extent(SHARED + 20, 16))
    rig.engine.memory(MAIN).write(SHARED + 16, b"\7\0\0\0")
    rig.engine.watch("same", MAIN, Extent(SHARED + 16, 4))
    rig.run_us(1_000)
    assert rig.events == []


def test_a_watch_does_not_see_what_the_host_stores(board):
    rig = board(COUNT)
    rig.engine.watch("here", MAIN, Extent(SHARED, 4))
    rig.set_word(SHARED, 1)
    rig.run_us(40)
    rig.engine.memory(REMOTE).write(ALIAS, b"\2")
    rig.run_us(40)
    assert rig.events == []


def test_what_the_host_stores_while_a_core_runs_hides_no_store_of_the_core(board):
    """A listener stores beside what the core has stored in the same turn."""
    rig = board(f"ldr r0, ={SHARED:#x}\n movs r1, #1\n str r1, [r0]\n svc 0\n b .\nsv_call: bx lr")
    rig.engine.watch("both", MAIN, Extent(SHARED, 8))
    rig.engine.watch("host's", MAIN, Extent(SHARED + 4, 4))
    rig.engine.subscribe(lambda event: event.kind == "exception-taken" and rig.set_word(SHARED + 4, 1))
    rig.run_us(40)
    assert rig.details(Changed) == [Changed("both")]


def test_the_same_name_replaces_a_watch_and_unwatch_ends_it(board):
    rig = board(COUNT)
    rig.engine.watch("here", MAIN, Extent(MARKS, 4))
    rig.engine.watch("here", MAIN, Extent(SHARED, 4))
    rig.run_us(40)
    assert rig.events == []
    rig.engine.watch("here", MAIN, Extent(MARKS, 4))
    rig.run_us(40)
    assert len(rig.events) == 2  # one for each turn, however many stores
    rig.engine.unwatch("here")
    rig.engine.unwatch("not there")
    rig.run_us(40)
    assert len(rig.events) == 2


def test_a_watch_outside_memory_is_refused(board):
    with pytest.raises(EngineError, match=r"cpu_cm7: what is to be watched .* found 0x1000"):
        board().engine.watch("here", MAIN, Extent(0x1000_0000, 4))


# Hold, start, reset


def test_a_held_core_does_not_run_and_starts_from_its_vector_table(board):
    rig = board(COUNT)
    rig.run_us(100)
    rig.engine.hold(MAIN)
    before = rig.mark()
    rig.run_us(100)
    assert rig.mark() == before > 0
    assert rig.engine.state(MAIN) is CoreState.HELD
    rig.set_word(MARKS, 0)
    rig.engine.start(MAIN)
    assert rig.engine.state(MAIN) is CoreState.RUNNING
    rig.run_us(20)
    assert rig.mark() == 2000 // 4
    assert [event.detail.state for event in rig.events] == [CoreState.HELD, CoreState.RUNNING]


@pytest.mark.parametrize(
    "program",
    [
        "b .",
        "wfi\n b .",
        "wfe\n wfe\n b .",
        "svc 0\nsv_call: b .",
        "cpsid i\n b .",
        "movs r0, #2\n msr control, r0\n isb\n b .",
        "udf #0\nhard_fault: udf #0",
    ],
    ids=["idle loop", "WFI", "WFE", "in a handler", "masked", "process stack", "locked up"],
)
def test_a_core_that_was_held_anywhere_starts_as_after_reset(board, program):
    count = f"ldr r0, =MARKS\n ldr r1, [r0]\n adds r1, #1\n str r1, [r0]\n{program}"
    rig = board(count)
    rig.run_us(200)
    rig.engine.hold(MAIN)
    rig.run_us(200)
    rig.engine.start(MAIN)
    rig.run_us(200)
    assert rig.mark() == 2
    fresh = board(count)
    fresh.run_us(200)
    assert rig.engine.registers(MAIN) == {**fresh.engine.registers(MAIN), "R1": 2}


def test_holding_a_held_core_and_starting_a_running_one_changes_nothing(board):
    rig = board(COUNT)
    rig.engine.start(MAIN)
    rig.run_us(20)
    rig.engine.hold(REMOTE)
    rig.engine.hold(REMOTE)
    rig.engine.start(MAIN)
    assert [event.detail for event in rig.events] == [StateChanged(CoreState.HELD, "held")]
    assert rig.mark() == 2000 // 4


def test_reset_starts_a_core_from_its_vector_table_and_leaves_memory(board):
    rig = board(COUNT, COUNT.replace("MARKS", "MARKS+4"))
    rig.run_us(100)
    before = rig.mark()
    rig.engine.reset(MAIN)
    assert rig.engine.registers(MAIN)["R0"] == 0
    assert rig.mark() == before
    rig.run_us(20)
    assert rig.mark() == before + 2000 // 4
    assert rig.mark(1) == 12_000 // 4  # the other core has noticed nothing


def test_an_interrupt_line_that_is_raised_before_a_reset_is_still_high_after_it(board):
    """USART3 drives the line of both cores: the byte waits until somebody reads it."""
    main = """
    ldr r0, =0x40004800
    movs r1, #0x2D
    str r1, [r0]
    ldr r0, =0xE000E104
    movs r1, #0x80
    str r1, [r0]
again:
    wfi
    b again
interrupt:
    ldr r0, =0x40004800
    ldr r1, [r0, #0x24]
    ldr r0, =MARKS
    str r1, [r0]
    bx lr
"""
    rig = board(main)
    rig.run_us(40)
    rig.engine.consoles["usart3"].write(b"!")
    rig.engine.reset(MAIN)
    rig.run_us(40)
    assert rig.mark() == ord("!")


@pytest.mark.parametrize(
    "call", ["hold", "start", "reset", "state", "registers", "memory", "backtrace", "instructions"]
)
def test_a_core_that_is_not_there_is_named_with_those_that_are(board, call):
    with pytest.raises(UsageError, match=r"no such core: expected cpu_cm7 \| cpu_cm4, found cpu9"):
        getattr(board().engine, call)("cpu9")


# Loading and memory


def test_a_segment_outside_memory_is_named_with_what_the_core_has(board, assembler):
    rig = board()
    image = assembler.image(".word 1", 0x1000_0000, "elsewhere")
    with pytest.raises(EngineError) as caught:
        rig.engine.load(MAIN, image, 0)
    text = str(caught.value)
    assert "segment 0x10000000..0x10000004 does not lie in memory of cpu_cm7" in text
    assert "0x24000000..0x24080000" in text
    assert text.startswith(image.name)
    rig.engine.load(REMOTE, image, 0)
    assert rig.word(0x3000_0000) == 1


def test_a_segment_that_does_not_fit_stores_nothing(board, assembler):
    rig = board()
    image = assembler.image(".word 1, 2", 0x3004_7FFC, "too_long")
    with pytest.raises(
        EngineError, match=r"0x30047ffc\.\.0x30048004 does not lie in memory of cpu_cm7.*found .*0x30048000"
    ):
        rig.engine.load(MAIN, image, 0)
    assert rig.word(0x3004_7FFC) == 0


def test_memory_names_the_first_address_that_is_not_there_and_stores_nothing(board):
    memory = board().engine.memory(MAIN)
    with pytest.raises(TranslationError, match="cpu_cm7 at 0x30048000: no memory"):
        memory.write(0x3004_7FFE, b"1234")
    assert memory.read(0x3004_7FFE, 2) == b"\0\0"
    with pytest.raises(TranslationError, match="cpu_cm7 at 0x10000000: no memory"):
        memory.read(0x1000_0000, 1)
    assert memory.read(0x3004_0000, 0) == b""


def test_flash_reads_as_erased_where_nothing_is_loaded_and_takes_only_the_hosts_stores(board):
    stores = "str r1, [r0]\n strd r1, r1, [r0, #8]\n strh r1, [r0, #3]"
    rig = board(f"ldr r0, =0x08050000\n movs r1, #0\n {stores}\n ldr r2, [r0]\n b .")
    rig.run_us(40)
    memory = rig.engine.memory(MAIN)
    assert memory.read(0x0805_0000, 16) == b"\xff" * 16
    assert rig.engine.registers(MAIN)["R2"] == 0xFFFF_FFFF
    assert [detail.address for detail in rig.details(GuestError)] == [0x0805_0000, 0x0805_0008, 0x0805_0003]
    memory.write(0x0805_0000, b"host")
    assert memory.read(0x0805_0000, 4) == b"host"


@pytest.mark.parametrize(
    ("table", "fault", "what"),
    [
        ("0x20020000, 0x08000008", "UsageFault", "is even"),
        ("0x20020000, 0x00000000", "UsageFault", "is even"),
        ("0xFFFFFFFF, 0xFFFFFFFF", "MemManage", "executes at 0xfffffffe, where the memory map forbids it"),
        ("0x20020000, 0x90000001", "BusFault", "executes at 0x90000000, where there is no memory"),
    ],
    ids=["even", "zero", "erased", "nowhere"],
)
@pytest.mark.parametrize("handler", ["0xFFFFFFFF", "0", "0x90000001"])
def test_a_core_that_cannot_start_says_why_and_ends_in_lockup_while_the_other_runs(
    board, assembler, table, fault, what, handler
):
    rig = board(assembler.image(f".word {table}, {handler}, {handler}", 0x0800_0000), COUNT)
    rig.run_us(100)
    (first, *_) = rig.details(Fault)
    assert first.name == fault
    assert what in first.what
    assert len(rig.details(Lockup)) == 1
    assert rig.engine.state(MAIN) is CoreState.LOCKED_UP
    assert rig.mark() == 2_500


def test_a_core_with_a_vector_table_in_no_memory_locks_up(board):
    rig = board(COUNT)
    image = rig.engine.core(MAIN).images[0]
    rig.engine.load(MAIN, image, 0x9000_0000)
    rig.run_us(100)
    assert [detail.what for detail in rig.details(Lockup)] == ["the vector table at 0x90000000 lies in no memory"]


def test_nothing_is_notified_where_no_mailbox_is_touched(board):
    rig = board(COUNT)
    rig.run_us(100)
    assert rig.details(NotificationSent) == []


# Snapshots


def test_a_snapshot_belongs_to_its_board(board):
    first, second = board(), board()
    with pytest.raises(UsageError, match="only on the board"):
        second.engine.restore(first.engine.snapshot())


@pytest.mark.parametrize("what", ["snapshot", "restore"])
def test_a_board_is_not_copied_in_the_middle_of_a_turn(board, what):
    rig = board("svc 0\n b .\nsv_call: bx lr")
    before = rig.engine.snapshot()
    rig.engine.subscribe(lambda event: rig.engine.snapshot() if what == "snapshot" else rig.engine.restore(before))
    with pytest.raises(UsageError, match=f"cpu_cm7: a {what} in the middle of a core's turn"):
        rig.engine.run(40_000)


def test_snapshots_can_be_restored_in_any_order_with_what_the_consoles_had_said(board):
    rig = board(PRINT)
    snapshots = []
    for _ in range(4):
        snapshots.append((rig.engine.snapshot(), rig.everything()))
        rig.run_us(60)
    for index in (1, 3, 0, 2, 2):
        snapshot, seen = snapshots[index]
        rig.engine.restore(snapshot)
        assert rig.everything() == seen
        assert rig.engine.time_ns == snapshot.time_ns


def test_a_restored_watch_takes_memory_as_it_is_then(board):
    rig = board(STORE_LATER.format(address=SHARED, value=1))
    rig.engine.watch("here", MAIN, Extent(SHARED, 4))
    before = rig.engine.snapshot()
    for _ in range(2):
        rig.events.clear()
        rig.run_us(1_000)
        assert rig.details(Changed) == [Changed("here")]
        rig.engine.restore(before)
        rig.events.clear()
        rig.run_us(100)
        assert rig.events == []
        rig.engine.restore(before)


def test_refused_stores_are_events_again_after_a_restore(board):
    rig = board("ldr r0, =0x08000000\n str r0, [r0]\n b .")
    before = rig.engine.snapshot()
    for _ in range(2):
        rig.events.clear()
        rig.run_us(40)
        assert len(rig.details(GuestError)) == 1
        rig.engine.restore(before)
