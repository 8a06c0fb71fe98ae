"""Exception entry and return on the emulator (DDI0403E B1.5)."""

from __future__ import annotations

import struct

import pytest

from orchestrator.engines.unicorn.cpu.signals import LineChanged
from orchestrator.engines.unicorn.wiring import Wiring
from orchestrator.events import ExceptionReturn, ExceptionTaken

SVC_THEN_PENDSV = """
reset:
    poke SHPR3, 0xF0 << 16
    svc 5
    log 3
    b done
sv_call:
    poke ICSR, PENDSVSET
    log 1
    bx lr
pend_sv:
    log 2
    bx lr
"""


def test_a_pendsv_that_svc_pends_follows_it_before_thread_mode_goes_on(boot, core):
    machine = boot(SVC_THEN_PENDSV, core=core).finish()
    assert machine.trace == [1, 2, 3]


def test_svc_returns_behind_itself(boot, core):
    machine = boot("reset: mov r4, #1\nhere: svc 0\n add r4, #1\n keep r4, 0\n b done\nsv_call: bx lr", core=core)
    assert machine.finish().out() == 2
    (taken,) = machine.details(ExceptionTaken)
    assert (taken.name, taken.return_address) == ("SVCall", machine.symbol("here") + 2)
    assert machine.details(ExceptionReturn) == [ExceptionReturn(11, "SVCall")]


def test_the_board_is_told_of_each_interrupt_that_it_asked_for_by_its_number(boot, core, monkeypatch):
    """Whose mailbox it is of, the board knows; of the others it is told nothing."""
    told = []
    monkeypatch.setattr(Wiring, "interrupt_taken", lambda _, core, interrupt: told.append((core.name, interrupt)))
    program = """
reset:
    poke NVIC_ISER, 11
    poke NVIC_ISPR, 8
    svc 0
    poke NVIC_ISPR, 2
    poke NVIC_ISPR, 1
    b done
irq0: bx lr
irq1: bx lr
irq3: bx lr
sv_call: bx lr
"""
    machine = boot(program, core=core)
    machine.core.announce((0, 3))
    machine.finish()
    assert told == [(core, 3), (core, 0)]


STORES = {
    "a word": "str r1, [r0]",
    "a byte": "lsr r1, #24\n add r0, #3\n strb r1, [r0]",
    "with write-back": "str r1, [r0], #4",
    "before write-back": "sub r0, #4\n str r1, [r0, #4]!",
    "two words": "strd r1, r2, [r0]",
    "several": "stm r0!, {r1, r2}",
    "the last of a conditional block": "cmp r0, r0\n itt eq\n moveq r5, r5\n streq r1, [r0]",
}


@pytest.mark.parametrize("kind", STORES)
def test_pendsv_pended_by_a_store_is_taken_at_the_next_instruction(boot, core, kind):
    machine = boot(
        f"""
reset:
    ldr r0, =ICSR
    ldr r1, =PENDSVSET
    ldr r2, =vectors
    mov r4, #0
    {STORES[kind]}
    add r4, #1
    keep r4, 1
    keep r0, 2
    b done
pend_sv:
    keep r4, 0
    log 1
    bx lr
""",
        core=core,
    ).finish()
    assert machine.out(0) == 0
    assert machine.out(1) == 1
    assert machine.trace == [1]
    assert machine.out(2) == 0xE000ED04 + {"a byte": 3, "with write-back": 4, "several": 8}.get(kind, 0)


def test_pendsv_pended_inside_a_conditional_block_is_taken_at_once(boot, core):
    machine = boot(
        """
reset:
    ldr r0, =ICSR
    ldr r1, =PENDSVSET
    mov r4, #0
    cmp r0, r0
    ittt eq
    streq r1, [r0]
    addeq r4, #1
    addeq r4, #1
    add r4, #4
    keep r4, 1
    b done
pend_sv:
    keep r4, 0
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(2) == [0, 6]


# --- stack pointers and EXC_RETURN

RETURNS = """
reset:
    {before}
    svc 0
    {after}
    mov r6, sp
    ldr r7, ={expected}
    keep r6, 1
    keep r7, 2
    mrs r6, control
    keep r6, 3
    b done
sv_call:
    keep lr, 0
    {in_handler}
    bx lr
"""


@pytest.mark.parametrize(
    ("before", "exc_return", "expected", "control"),
    [
        ("", 0xFFFFFFF9, "stack_top", 0),
        ("ldr r0, =psp_top\n msr psp, r0\n mov r0, #2\n msr control, r0\n isb", 0xFFFFFFFD, "psp_top", 2),
        ("fpu_on\n vmov.f32 s0, #1.0", 0xFFFFFFE9, "stack_top", 4),
        (
            "fpu_on\n ldr r0, =psp_top\n msr psp, r0\n mov r0, #2\n msr control, r0\n isb\n vmov.f32 s0, #1.0",
            0xFFFFFFED,
            "psp_top",
            6,
        ),
    ],
    ids=["main", "process", "main with FP", "process with FP"],
)
def test_exc_return_says_where_the_frame_lies_and_brings_the_stack_back(
    boot, core, before, exc_return, expected, control
):
    program = RETURNS.format(before=before, after="", expected=expected, in_handler="")
    machine = boot(program, core=core).finish()
    lr, sp, wanted, after = machine.outs(4)
    assert (lr, sp, after) == (exc_return, wanted, control)


@pytest.mark.parametrize(("fp", "exc_return"), [("", 0xFFFFFFF1), ("vmov.f32 s0, #1.0", 0xFFFFFFE1)])
def test_exc_return_of_a_nested_exception_names_handler_mode(boot, core, fp, exc_return):
    machine = boot(
        f"""
reset:
    fpu_on
    poke SHPR3, 0x80 << 16
    poke ICSR, PENDSVSET
    b done
pend_sv:
    push {{r4, lr}}
    {fp}
    svc 0
    pop {{r4, pc}}
sv_call:
    keep lr, 0
    bx lr
""",
        core=core,
    ).finish()
    assert machine.out() == exc_return


def test_a_handler_can_send_thread_mode_to_the_process_stack(boot, core):
    """The way an RTOS starts its first task: EXC_RETURN 0xFFFFFFFD with a frame made by hand."""
    machine = boot(
        """
reset:
    svc 0
    b unexpected
sv_call:
    ldr r0, =psp_top - 32
    msr psp, r0
    ldr r1, =task
    str r1, [r0, #24]
    mov r1, #0x01000000
    str r1, [r0, #28]
    mov r1, #0x55
    str r1, [r0, #0]
    mvn lr, #2
    bx lr
task:
    keep r0, 0
    mov r1, sp
    keep r1, 1
    mrs r1, control
    keep r1, 2
    b done
""",
        core=core,
    ).finish()
    assert machine.outs(3) == [0x55, machine.symbol("psp_top"), 2]


def test_all_registers_flags_and_the_condition_survive_an_interrupt(boot, core):
    """Each instruction of a checksum loop is interrupted by SysTick; the sum is that of the undisturbed loop."""
    program = """
reset:
    {tick}
    mov r0, #0
    mov r1, #1
    mov r2, #2
    mov r3, #3
    mov r4, #200
    mov r12, #5
    mov lr, #7
1:  adds r0, r1
    adcs r1, r2
    rors r2, r3
    eor r12, r0, lsl #3
    cmp r12, r2
    ite hi
    addhi r3, #1
    subls lr, #1
    subs r4, #1
    bne 1b
    mrs r5, apsr
    poke SYST_CSR, 0, r6, r7
    keep r0, 0, r6
    keep r1, 1, r6
    keep r2, 2, r6
    keep r3, 3, r6
    keep r12, 4, r6
    keep lr, 5, r6
    keep r5, 6, r6
    b done
sys_tick:
    mov r0, #0
    mov r1, #0
    mov r2, #0
    mov r3, #0
    mov r12, #0
    adds r0, #0
    ldr r0, =cursor
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
    bx lr
"""
    calm = boot(program.format(tick=""), core=core).finish()
    tick = "poke SYST_CSR + 4, 36\n poke SYST_CSR + 8, 0\n poke SYST_CSR, 3"
    disturbed = boot(program.format(tick=tick), core=core).finish(2000)
    assert disturbed.read(disturbed.symbol("cursor")) > 20
    assert disturbed.outs(7) == calm.outs(7)


def test_the_frame_holds_the_eight_words_of_the_manual(boot, core):
    """R0-R3, R12, LR, return address, xPSR (B1.5.7)."""
    machine = boot(
        """
reset:
    mov r0, #10
    mov r1, #11
    mov r2, #12
    mov r3, #13
    mov r12, #14
    mov lr, #15
    cmp r0, r0
    svc 0
back:
    b done
sv_call:
    mov r4, sp
    ldr r5, =out
    mov r6, #8
1:  ldr r7, [r4], #4
    str r7, [r5], #4
    subs r6, #1
    bne 1b
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(8) == [10, 11, 12, 13, 14, 15, machine.symbol("back"), 0x61000000]


@pytest.mark.parametrize("misaligned", [0, 4])
def test_a_misaligned_stack_is_padded_and_bit_9_says_so(boot, core, misaligned):
    machine = boot(
        f"""
reset:
    sub sp, #{misaligned}
    mov r4, sp
    svc 0
    mov r5, sp
    sub r5, r4
    keep r5, 2
    b done
sv_call:
    mov r5, sp
    sub r5, r4, r5
    keep r5, 0
    ldr r5, [sp, #28]
    keep r5, 1
    bx lr
""",
        core=core,
    ).finish()
    size, xpsr, moved = machine.outs(3)
    assert (size, xpsr >> 9 & 1, moved) == (32 + misaligned, misaligned // 4, 0)


def test_without_stkalign_the_m4_stacks_where_the_stack_was(boot):
    """CCR.STKALIGN is read-only 1 on the M7 (DDI0489F 3.3)."""
    program = """
reset:
    poke CCR, 0
    sub sp, #4
    mov r4, sp
    svc 0
    b done
sv_call:
    mov r5, sp
    sub r5, r4, r5
    keep r5, 0
    bx lr
"""
    assert boot(program, core="cpu_b").finish().out() == 32
    assert boot(program, core="cpu_a").finish().out() == 36


# --- order


def test_tail_chained_handlers_share_one_frame(boot, core):
    """A thousand chained entries leave the stack where it was, and each is entered with the same stack."""
    machine = boot(
        """
reset:
    poke SHPR3, 0xF0 << 16
    mov r4, sp
    mov r6, #0
    ldr r7, =1000
    svc 0
    mov r5, sp
    sub r4, r5
    keep r4, 0
    keep r6, 1
    keep r8, 2
    b done
sv_call:
    mov r8, sp
    poke ICSR, PENDSVSET
    bx lr
pend_sv:
    cmp r8, sp
    it ne
    movne r6, #1
    subs r7, #1
    beq 1f
    poke ICSR, PENDSVSET
1:  bx lr
""",
        core=core,
    ).finish(2000)
    assert machine.outs(2) == [0, 0]
    assert machine.taken.count("PendSV") == 1000
    assert machine.out(2) == machine.symbol("stack_top") - 32


def test_nested_exceptions_bring_back_the_exception_number(boot, core):
    machine = boot(
        """
reset:
    poke SHPR3, 0x80 << 16
    poke ICSR, PENDSVSET
    mrs r4, ipsr
    keep r4, 3
    b done
pend_sv:
    push {r4, lr}
    mrs r4, ipsr
    keep r4, 0
    svc 0
    mrs r4, ipsr
    keep r4, 2
    pop {r4, pc}
sv_call:
    mrs r5, ipsr
    keep r5, 1
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(4) == [14, 11, 14, 0]


def test_iabr_and_icsr_show_what_is_active(boot, core):
    machine = boot(
        """
reset:
    poke NVIC_ISER, 3
    poke NVIC_IPR, 0x00001020
    poke NVIC_ISPR, 1
    b done
irq0:
    push {r4, lr}
    poke NVIC_ISPR, 2
    keep_at NVIC_IABR, 2
    pop {r4, pc}
irq1:
    keep_at NVIC_IABR, 0
    keep_at ICSR, 1
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(3) == [3, 17, 1]  # VECTACTIVE 17, RETTOBASE clear


def test_faultmask_is_cleared_by_a_return_and_kept_by_one_from_nmi(boot, core):
    machine = boot(
        """
reset:
    svc 0
    mrs r4, faultmask
    keep r4, 0
    cpsid f
    poke ICSR, 1 << 31
    mrs r4, faultmask
    keep r4, 1
    b done
sv_call:
    cpsid f
    bx lr
nmi:
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(2) == [0, 1]
    assert machine.taken == ["SVCall", "NMI"]


def test_primask_survives_a_return(boot, core):
    machine = boot("reset: svc 0\n mrs r4, primask\n keep r4, 0\n b done\nsv_call: cpsid i\n bx lr", core=core)
    assert machine.finish().out() == 1


def test_an_interrupt_line_that_stays_high_pends_again_after_the_return(boot, core):
    machine = boot(
        """
reset:
    mov r7, #0
    poke NVIC_ISER, 1
    poke PULLER, 1
    log 9
    b done
irq0:
    add r7, #1
    log 1
    cmp r7, #3
    bne 1f
    poke PULLER, 0
1:  bx lr
""",
        core=core,
    ).finish()
    assert machine.trace == [1, 1, 1, 9]


def test_a_new_edge_while_the_handler_runs_pends_the_interrupt_again(boot, core):
    """A pulse that comes after entry is not lost (B3.4.1)."""
    machine = boot(
        """
reset:
    mov r7, #0
    poke NVIC_ISER, 1
    poke PULLER, 1
    log 9
    b done
irq0:
    add r7, #1
    log 1
    poke PULLER, 0
    cmp r7, #1
    bne 1f
    poke PULLER, 1
    poke PULLER, 0
1:  bx lr
""",
        core=core,
    ).finish()
    assert machine.trace == [1, 1, 9]


def test_a_read_that_raises_an_interrupt_happens_once_and_is_interrupted_at_once(boot, core):
    machine = boot(
        """
reset:
    poke NVIC_ISER, 1
    ldr r0, =PULLER
    mov r4, #0
    ldr r5, [r0, #0x10]
    add r4, #1
    ldr r6, [r0, #8]
    keep r4, 1
    keep r5, 2
    keep r6, 3
    b done
irq0:
    keep r4, 0
    poke PULLER, 0
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(4) == [0, 1, 1, 2]


@pytest.mark.parametrize("context", ["", "fpu_on\n    vmov.f32 s0, #1.0"], ids=["plain", "floating point"])
def test_sleep_on_exit_goes_to_sleep_instead_of_thread_mode(boot, core, context):
    machine = boot(
        f"""
reset:
    {context}
    poke NVIC_ISER, 1
    poke SCR, 2
    poke NVIC_ISPR, 1
    log 9
    b unexpected
irq0:
    log 1
    bx lr
""",
        core=core,
    ).run_us(50)
    assert machine.trace == [1]
    assert machine.engine.state(core) == "sleeping"
    machine.core.post(machine.core.now, LineChanged(0, True))
    machine.core.post(machine.core.now + 1, LineChanged(0, False))
    machine.run_us(50)
    assert machine.trace == [1, 1]
    assert machine.engine.state(core) == "sleeping"


def test_vtor_moves_the_vectors(boot, core):
    machine = boot(
        """
reset:
    ldr r1, =0x2000F000
    ldr r2, =other
    str r2, [r1, #44]
    poke VTOR, 0x2000F000
    svc 0
    b done
other:
    log 7
    bx lr
sv_call:
    log 1
    bx lr
""",
        core=core,
    ).finish()
    assert machine.trace == [7]


@pytest.mark.parametrize(("value", "reads"), [(0x20000FFF, 0x20000F80), (0xFFFFFFFF, 0xFFFFFF80)])
def test_vtor_keeps_the_bits_that_it_has(boot, value, reads):
    assert boot(f"reset: poke VTOR, {value:#x}\n keep_at VTOR, 0\n b done").finish().out() == reads


def test_the_stack_of_the_reset_handler_and_its_registers_are_those_of_reset(boot, core):
    machine = boot("reset: b done", core=core)
    machine.step(1)
    registers = machine.register
    assert registers["SP"] == registers["MSP"] == machine.symbol("stack_top")
    assert registers["LR"] == 0xFFFFFFFF
    assert registers["CONTROL"] == registers["PRIMASK"] == registers["BASEPRI"] == registers["FAULTMASK"] == 0
    assert registers["XPSR"] & 0x010001FF == 0x01000000


def test_late_exceptions_keep_their_order_over_many_slots(boot, core):
    """Whatever slot an interrupt comes at, it is taken before the instruction of that slot."""
    program = """
reset:
    poke NVIC_ISER, 1
    mov r4, #0
    .rept 40
    add r4, #1
    .endr
    b done
irq0:
    keep r4, 0
    bx lr
"""
    start = None
    for delay in range(10, 30):
        machine = boot(program, core=core)
        machine.step(1)
        machine.core.post(delay, LineChanged(0, True))
        machine.core.post(delay, LineChanged(0, False))
        machine.finish()
        seen = machine.out()
        start = delay - seen if start is None else start
        assert seen == delay - start


def test_exception_events_carry_their_moment(boot, core):
    machine = boot("reset: nop\n nop\n nop\n svc 0\n b done\nsv_call: nop\n bx lr", core=core).finish()
    taken, returned = [each for each in machine.events if isinstance(each.detail, ExceptionTaken | ExceptionReturn)]
    assert (taken.time_ns, returned.time_ns) == (40, 60)


def test_frames_are_little_endian_words_in_memory(boot):
    machine = boot("reset: ldr r0, =0x11223344\n svc 0\nsv_call: b done").finish()
    sp = machine.register["SP"]
    assert struct.unpack("<I", machine.engine.memory("cpu_a").read(sp, 4)) == (0x11223344,)


def test_a_conditional_block_goes_on_behind_an_svc_in_it(boot, core):
    """ITSTATE is advanced before it is stacked: two of `itt eq` leave one (B1.5.6, A7.3.3)."""
    machine = boot(
        """
reset:
    cmp r0, r0
    itt eq
    svceq 0
    moveq r4, #5
    keep r4, 0
    b done
sv_call:
    ldr r0, [sp, #28]
    keep r0, 1
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(2) == [5, 0x61000800]


def test_the_frame_of_a_load_that_faults_in_a_conditional_block_holds_the_block(boot, core):
    machine = boot(
        """
reset:
    ldr r0, =NOWHERE
    mov r4, #1
    cmp r0, r0
    ittee eq
    ldreq.w r1, [r0]
    moveq r4, #2
    movne r4, #3
    movne r4, #4
    b unexpected
hard_fault:
    ldr r0, [sp, #28]
    keep r0, 0
    keep r4, 1
    b done
""",
        core=core,
    ).finish()
    assert machine.outs(2) == [0x67000400, 1]


@pytest.mark.parametrize(
    ("enter", "leave"),
    [
        ("push {r4, lr}", "pop {r4, pc}"),
        ("push {lr}", "ldr pc, [sp], #4"),
        ("push {r4, lr}", "ldmia sp!, {r4, pc}"),
        ("mov r3, lr", "bx r3"),
    ],
)
def test_every_way_to_load_pc_that_the_manual_names_returns(boot, core, enter, leave):
    """POP, LDM, LDR and BX (B1.5.8)."""
    machine = boot(f"reset: svc 0\n log 1\n b done\nsv_call: {enter}\n {leave}", core=core).finish()
    assert machine.trace == [1]


def test_basepri_max_only_raises(boot, core):
    machine = boot(
        """
reset:
    mov r0, #0x40
    msr basepri_max, r0
    mov r0, #0x80
    msr basepri_max, r0
    mrs r1, basepri
    keep r1, 0
    mov r0, #0x20
    msr basepri_max, r0
    mrs r1, basepri
    keep r1, 1
    b done
""",
        core=core,
    ).finish()
    assert machine.outs(2) == [0x40, 0x20]
