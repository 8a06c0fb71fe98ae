"""Small Thumb programs on the nRF5340: two Cortex-M33, what holds one of them, its timers, and input at speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from orchestrator.board import Board
from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.events import CoreState, ExceptionTaken, Fault, GuestError, UnmodelledAccess
from orchestrator.platform import load_platform
from tests.unit.engines.contract.conftest import Assembler, Rig

APP, NET = "cpu_app", "cpu_net"
BOOT = {APP: 0x0000_0000, NET: 0x0100_0000}
STACK = {APP: 0x2001_0000, NET: 0x2101_0000}
MARKS = 0x2007_0000
INTERRUPTS = {APP: 69, NET: 30}
OPEN = "ldr r0, =0x50003440\n movs r1, #0x10\n str r1, [r0]\n"  # SPU.EXTDOMAIN[0].PERM: the RAM for the other core
FORCEOFF = "ldr r0, =0x50005614\n movs r1, #0\n str r1, [r0]\n"
RELEASE = OPEN + FORCEOFF

PRELUDE = """
    .syntax unified
    .cpu cortex-m33
    .thumb
    .text
    .equ MARKS, 0x20070000
vectors:
    .word STACK, start, unexpected, unexpected, unexpected, unexpected, unexpected
    .rept 9
    .word unexpected
    .endr
    .rept LINES
    .word interrupt
    .endr
    .type unexpected, %function
    .thumb_func
unexpected: b unexpected
    .type interrupt, %function
    .type start, %function
    .thumb_func
start:
"""
SILENT = "\n    .thumb_func\ninterrupt: b interrupt\n"


@pytest.fixture
def nrf(assembler: Assembler) -> Iterator[Callable[..., Rig]]:
    """``nrf(app, net)``: a board with these programs at power-on."""
    rigs = []

    def make(app: str, net: str = "b .") -> Rig:
        rig = Rig(UnicornEngine(load_platform("nrf5340"), EngineOptions()))
        for core, program in ((APP, app), (NET, net)):
            prelude = PRELUDE.replace("STACK", hex(STACK[core])).replace("LINES", str(INTERRUPTS[core]))
            handler = "" if "\ninterrupt:" in program else SILENT
            image = assembler.image(prelude + program + handler, BOOT[core], "nrf5340")
            rig.engine.load(core, image, BOOT[core])
        rigs.append(rig)
        return rig

    yield make
    for rig in rigs:
        rig.engine.close()


def mark(rig: Rig, index: int = 0) -> int:
    return rig.word(MARKS + 4 * index, APP)


def faults(rig: Rig) -> list[tuple[str, tuple[str, ...], int | None]]:
    return [
        (event.core, event.detail.status, event.detail.address)
        for event in rig.events
        if isinstance(event.detail, Fault)
    ]


def moments(rig: Rig, core: str, number: int) -> list[int]:
    taken = (e for e in rig.events if isinstance(e.detail, ExceptionTaken) and e.core == core)
    return [event.time_ns for event in taken if event.detail.number == number]


def test_the_network_core_runs_from_the_moment_that_forceoff_is_cleared(nrf):
    """PS, RESET, NETWORK.FORCEOFF; held again it stops, let go again it starts from its vector table."""
    again = "movs r1, #1\n str r1, [r0]\n" + RELEASE
    rig = nrf(
        RELEASE + "ldr r2, =2000\n1: subs r2, #1\n bne 1b\n" + again + "b .",
        """
    ldr r0, =MARKS
    ldr r1, [r0]
    adds r1, #1
    str r1, [r0]
    b .
""",
    )
    assert rig.engine.state(NET) is CoreState.HELD
    rig.run_us(200)
    assert rig.engine.state(NET) is CoreState.RUNNING
    assert mark(rig) == 2


READ_MARKS = "ldr r0, =MARKS\n ldr r1, [r0]\n b ."
PERM = "ldr r0, =0x50003000\n"


def test_the_network_core_has_no_way_into_the_ram_that_was_not_opened_for_it(nrf):
    """PS, SPU: a Secure region, and a domain whose accesses are not."""
    rig = nrf(FORCEOFF + "b .", "ldr r0, =MARKS + 2\n strh r0, [r0]\n b .")
    rig.run_us(100)
    assert faults(rig) == [(NET, ("PRECISERR", "BFARVALID"), MARKS + 2)]
    (fault,) = (event.detail for event in rig.events if isinstance(event.detail, Fault))
    assert fault.what == (
        "writes 2 bytes at 0x20070002, refused while SPU.EXTDOMAIN[0].PERM.SECATTR is 0x0"
        " and SPU.RAMREGION[56].PERM.SECATTR is 0x1"
    )


@pytest.mark.parametrize(
    ("app", "net", "refused"),
    [
        # RAMREGION[56].PERM: neither Secure nor the write right, and as it is at reset for the block below
        (PERM + "movs r1, #5\n str r1, [r0, #0x7E0]\n", "ldr r0, =MARKS\n ldr r1, [r0]\n str r1, [r0]\n b .", MARKS),
        (PERM + "movs r1, #3\n str r1, [r0, #0x7E0]\n", READ_MARKS, MARKS),
        (PERM + "movs r1, #7\n str r1, [r0, #0x7E0]\n", READ_MARKS.replace("MARKS", "MARKS - 4"), MARKS - 4),
        # DCNF, EXTRAM[0].PROTECT: the slave of 64 KB
        (OPEN + "ldr r0, =0x50000000\n movs r1, #0x80\n str r1, [r0, #0x460]\n", READ_MARKS, MARKS),
    ],
    ids=["not writable", "not readable", "another block", "DCNF"],
)
def test_each_register_that_shuts_the_ram_is_asked(nrf, app, net, refused):
    rig = nrf(app + FORCEOFF + "b .", net)
    rig.run_us(100)
    assert faults(rig) == [(NET, ("PRECISERR", "BFARVALID"), refused)]


@pytest.mark.parametrize(
    "opening", [OPEN, PERM + "movs r1, #7\n str r1, [r0, #0x7E0]\n"], ids=["EXTDOMAIN", "RAMREGION"]
)
def test_ram_that_is_opened_is_ram(nrf, opening):
    rig = nrf(opening + FORCEOFF + "b .", "ldr r0, =MARKS\n str r0, [r0]\n b .")
    rig.run_us(100)
    assert (faults(rig), mark(rig)) == ([], MARKS)


def test_ram_may_be_opened_and_shut_while_the_network_core_runs(nrf):
    """It counts up as long as it may; 2,000 rounds of the application core are 40 us."""
    wait = "ldr r2, =2000\n{0}: subs r2, #1\n bne {0}b\n"
    shut = "ldr r0, =0x50003440\n movs r1, #0\n str r1, [r0]\n"
    rig = nrf(OPEN + FORCEOFF + wait.format(1) + shut + "b .", "ldr r0, =MARKS\n1: adds r1, #1\n str r1, [r0]\n b 1b")
    rig.run_us(20)
    before = rig.engine.snapshot()
    assert mark(rig) > 100
    rig.run_us(180)
    seen = faults(rig), mark(rig)
    assert seen[0] == [(NET, ("PRECISERR", "BFARVALID"), MARKS)]
    rig.engine.restore(before)
    rig.events.clear()
    rig.run_us(180)
    assert (faults(rig), mark(rig)) == seen


def test_where_no_firmware_opens_it_nothing_is_shut(nrf):
    """A network core alone on its board, let go by hand: nobody could have opened its way."""
    rig = Rig(UnicornEngine(load_platform("nrf5340"), EngineOptions()))
    with_both = nrf("b .", "ldr r0, =MARKS\n str r0, [r0]\n b .")
    (image,) = with_both.engine.core(NET).images
    rig.engine.load(NET, image, BOOT[NET])
    rig.engine.start(NET)
    rig.engine.hold(APP)
    rig.run_us(100)
    assert (faults(rig), mark(rig)) == ([], MARKS)
    rig.engine.close()


def test_without_it_the_network_core_stays_held(nrf):
    rig = nrf("b .", "ldr r0, =MARKS\n str r0, [r0]\n b .")
    rig.run_us(500)
    assert (rig.engine.state(NET), mark(rig)) == (CoreState.HELD, 0)


def test_a_null_pointer_of_the_network_core_is_a_bus_fault(nrf):
    rig = nrf(RELEASE + "b .", "movs r0, #0\n ldr r1, [r0]\n b .")
    rig.run_us(100)
    assert faults(rig) == [(NET, ("PRECISERR", "BFARVALID"), 0)]


def test_the_end_of_a_transmission_stops_the_transmitter_over_dppi(nrf):
    """PS, DPPI: as Zephyr's driver of the UARTE has it, which polls TXSTOPPED before the next byte."""
    rig = nrf("""
    ldr r0, =0x50008000
    ldr r1, =0x80000003
    str r1, [r0, #0x1A0]
    str r1, [r0, #0x08C]
    ldr r2, =0x50017000
    movs r1, #8
    str r1, [r2, #0x504]
    str r1, [r0, #0x500]
    ldr r1, =MARKS
    str r1, [r0, #0x544]
    movs r1, #1
    str r1, [r0, #0x548]
    str r1, [r0, #0x008]
1:  ldr r1, [r0, #0x158]
    cmp r1, #0
    beq 1b
    ldr r2, =MARKS
    str r1, [r2]
    b .
""")
    rig.run_us(100)
    assert mark(rig) == 1
    assert rig.details(UnmodelledAccess) == []


FLOAT = """
    ldr r0, =0xE000ED88
    ldr r1, =0xF << 20
    str r1, [r0]
    dsb
    isb
    ldr r2, [r0]
    ldr r0, =MARKS
    str r2, [r0]
    .fpu fpv5-sp-d16
    vmov.f32 s0, #2.0
    vadd.f32 s0, s0, s0
    vmov r2, s0
    str r2, [r0, #4]
    b .
"""


def test_the_application_core_has_a_floating_point_unit(nrf):
    rig = nrf(FLOAT)
    rig.run_us(100)
    assert (mark(rig, 0), mark(rig, 1), faults(rig)) == (0xF << 20, 0x40800000, [])


def test_the_network_core_has_none_and_its_cpacr_cannot_be_set(nrf):
    """PS, CPU; DDI0553: CPACR of coprocessors that are not there is RAZ/WI, and using one is NOCP."""
    rig = nrf(RELEASE + "b .", FLOAT)
    rig.run_us(100)
    assert (mark(rig, 0), mark(rig, 1)) == (0, 0)
    assert faults(rig) == [(NET, ("NOCP",), None)]


@pytest.mark.parametrize("core", [APP, NET])
def test_a_stack_below_its_limit_is_a_usage_fault(nrf, core):
    """DDI0553, MSPLIM."""
    program = "mov r0, sp\n subs r0, #48\n msr msplim, r0\n push {r0-r12}\n b ."  # a frame still fits
    rig = nrf(program) if core == APP else nrf(RELEASE + "b .", program)
    rig.run_us(100)
    assert faults(rig) == [(core, ("STKOF",), None)]


RTC = """
    ldr r0, =0xE000E100
    ldr r1, =1 << (LINE)
    str r1, [r0]
    ldr r4, =BASE
    ldr r0, =328
    str r0, [r4, #0x540]
    movs r0, #1
    str r0, [r4, #0x200]
    ldr r0, =1 << 16
    str r0, [r4, #0x304]
    movs r0, #1
    str r0, [r4]
wait:
    WAIT
    b wait
    .thumb_func
interrupt:
    ldr r4, =BASE
    movs r0, #0
    str r0, [r4, #0x140]
    ldr r4, =MARKS
    ldr r0, [r4]
    adds r0, #1
    str r0, [r4]
    dsb
    bx lr
"""


@pytest.mark.parametrize("wait", ["wfi", "nop"])
@pytest.mark.parametrize(("core", "base", "line"), [(APP, 0x50015000, 21), (NET, 0x41011000, 17)])
def test_the_rtc_is_a_time_base(nrf, core, base, line, wait):
    """PS, RTC: COMPARE and its short to CLEAR, 328 ticks of 32,768 Hz are 10.01 ms."""
    program = RTC.replace("BASE", hex(base)).replace("LINE", str(line)).replace("WAIT", wait)
    rig = nrf(program) if core == APP else nrf(RELEASE + "b .", program)
    rig.run_us(100_000)
    times = moments(rig, core, 16 + line)
    assert len(times) == mark(rig) == 9
    assert [round((b - a) / 1000) for a, b in zip(times, times[1:])] == [10_010] * 8  # noqa: RUF007, B905  # pairs


def test_two_timers_of_two_cores_go_on_from_a_snapshot(nrf):
    program = RTC.replace("WAIT", "wfi")
    app = program.replace("BASE", "0x50014000").replace("LINE", "20").replace("start:", "")
    net = program.replace("BASE", "0x41011000").replace("LINE", "17").replace("=MARKS", "=MARKS + 4")
    rig = nrf(RELEASE + app, net)
    rig.run_us(25_000)
    saved = rig.engine.snapshot()
    rig.run_us(30_000)
    after = (mark(rig, 0), mark(rig, 1))
    assert after == (5, 5)
    rig.engine.restore(saved)
    assert (mark(rig, 0), mark(rig, 1)) == (2, 2)
    rig.run_us(30_000)
    assert (mark(rig, 0), mark(rig, 1)) == after


def test_a_hundred_thousand_bytes_pasted_into_a_uart_arrive_complete(nrf):
    """EasyDMA into a buffer of 64 bytes, restarted by its handler: every byte is summed once."""
    rig = nrf("""
    ldr r0, =0xE000E100
    ldr r1, =1 << 8
    str r1, [r0]
    ldr r4, =0x50008000
    ldr r0, =0x20000000
    str r0, [r4, #0x534]
    movs r0, #50
    str r0, [r4, #0x538]
    ldr r0, =0x0EBED000
    str r0, [r4, #0x524]
    movs r0, #8
    str r0, [r4, #0x500]
    movs r0, #16
    str r0, [r4, #0x304]
    movs r0, #1
    str r0, [r4]
wait:
    wfi
    b wait
    .thumb_func
interrupt:
    ldr r0, =0x50008110
    movs r1, #0
    str r1, [r0]
    ldr r0, =0x20000000
    ldr r3, =MARKS
    ldr r2, [r3]
1:  ldrb r12, [r0, r1]
    add r2, r12
    adds r1, #1
    cmp r1, #50
    bne 1b
    str r2, [r3]
    ldr r2, [r3, #4]
    add r2, r1
    str r2, [r3, #4]
    ldr r0, =0x50008000
    movs r1, #1
    str r1, [r0]
    dsb
    bx lr
""")
    data = bytes(number % 251 for number in range(100_000))
    rig.run_us(100)
    rig.engine.consoles["uart0_app"].write(data)
    rig.run_us(1_200_000)
    assert (mark(rig, 1), mark(rig, 0)) == (len(data), sum(data))


def test_a_long_line_of_commands_typed_at_once_is_answered_in_full(firmware):
    """The firmware's own shell: 400 commands pasted into both consoles; its buffer holds 64 bytes."""
    images = firmware("demo", "nrf5340")
    with Board("nrf5340", main=images.main, remote=images.remote) as board:
        board.run()
        for role in ("main", "remote"):
            board.consoles[role].write(b"status\r" * 400)
        board.run_for("400 ms")
        assert board.consoles["main"].output.count(b"vdev 0: status 0x07, ") == 400
        assert board.consoles["remote"].output.count(b"vdev 0: status 0x07, up, ") == 400


@pytest.mark.parametrize(
    ("register", "bit", "said"),
    [(0x678, 1, 1), (0x678, 2, 0), (0x668, 1, 0)],
    ids=["its section", "the next section", "another RAM"],
)
def test_ram_that_has_no_power_is_said_once(nrf, register, bit, said):
    """PS, VMC: RAM[7], section 0 of which holds the marks."""
    off = f"ldr r0, =0x50081000 + {register}\n movs r1, #{bit}\n str r1, [r0]\n"
    rig = nrf(off + "ldr r0, =MARKS\n ldr r1, [r0]\n str r1, [r0]\n b .", "b .")
    rig.run_us(100)
    found = [event.detail.what for event in rig.events if isinstance(event.detail, GuestError)]
    assert len(found) == said
    assert all("VMC.RAM.POWER of section [112] is 0x0" in each for each in found)
    assert faults(rig) == []


def test_ram_that_has_power_again_is_ram(nrf):
    off = "ldr r0, =0x50081678\n movs r1, #1\n str r1, [r0]\n ldr r0, =0x50081674\n str r1, [r0]\n"
    rig = nrf(off + "ldr r0, =MARKS\n str r0, [r0]\n b .", "b .")
    rig.run_us(100)
    assert [event for event in rig.events if isinstance(event.detail, GuestError)] == []
    assert mark(rig) == MARKS
