"""Frames with a floating-point context (DDI0403E B1.5.7), and the stack limit of Armv8-M."""

from __future__ import annotations


def test_an_fp_frame_is_aligned_even_without_stkalign(boot):
    """PushStack(): FPCA forces the alignment (B1.5.7)."""
    machine = boot(
        """
reset:
    fpu_on
    vmov.f32 s0, #1.0
    poke CCR, 0
    sub sp, #4
    mov r4, sp
    svc 0
    mov r5, sp
    sub r4, r5
    keep r4, 1
    b done
sv_call:
    mov r5, sp
    sub r5, r4, r5
    keep r5, 0
    bx lr
""",
        core="cpu_b",
    ).finish()
    assert machine.outs(2) == [108, 0]


FP_PRESERVED = """
reset:
    fpu_on
    {prepare}
    poke SHPR3, 0x80 << 16
    ldr r0, =0x3F800000
    vmov s0, r0
    vmov s15, r0
    vmov s16, r0
    ldr r0, =0x02C00010  @ rounding, flush, default NaN, a sticky flag
    vmsr fpscr, r0
    poke ICSR, PENDSVSET
    vmov r4, s0
    vmov r5, s15
    vmov r6, s16
    vmrs r7, fpscr
    keep r4, 0
    keep r5, 1
    keep r6, 2
    keep r7, 3
    mrs r7, control
    keep r7, 4
    b done
pend_sv:
    mrs r4, control
    keep r4, 5
    vmov.f32 s0, #2.0
    vmov.f32 s15, #3.0
    vmrs r4, fpscr
    keep r4, 6
    mov r4, #0
    vmsr fpscr, r4
    mrs r4, control
    keep r4, 7
    bx lr
"""


def test_floating_point_registers_survive_a_handler_that_uses_them(boot, core):
    s0, s15, s16, fpscr, after, on_entry, fresh, used = (
        boot(FP_PRESERVED.format(prepare=""), core=core).finish().outs(8)
    )
    assert (s0, s15, s16, fpscr) == (0x3F800000, 0x3F800000, 0x3F800000, 0x02C00010)
    assert (after, on_entry, used) == (4, 0, 4)  # CONTROL.FPCA
    assert fresh == 0  # FPDSCR


def test_the_fp_frame_holds_s0_to_s15_and_fpscr(boot, core):
    registers = "\n".join(f"mov r0, #{100 + n}\n vmov s{n}, r0" for n in range(16))
    machine = boot(
        f"""
reset:
    fpu_on
    {registers}
    mov r0, #0x01000000
    vmsr fpscr, r0
    svc 0
    b done
sv_call:
    vmov s16, r0  @ the room in the frame is filled by the first use
    add r4, sp, #32
    ldr r5, =out
    mov r6, #17
1:  ldr r7, [r4], #4
    str r7, [r5], #4
    subs r6, #1
    bne 1b
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(17) == [100 + n for n in range(16)] + [0x01000000]


def test_an_interrupt_of_code_without_fp_takes_a_basic_frame_again(boot, core):
    """FPCA is clear after a handler that used the unit returns to code that did not."""
    machine = boot(
        """
reset:
    fpu_on
    mov r4, sp
    svc 0
    svc 0
    b done
sv_call:
    mov r5, sp
    sub r5, r4, r5
    keep r5, 0
    vmov.f32 s0, #1.0
    bx lr
""",
        core=core,
    ).finish()
    assert machine.out() == 32


def test_a_tail_chained_handler_starts_without_fp_context(boot, core):
    """ExceptionTaken() clears FPCA (B1.5.6)."""
    machine = boot(
        """
reset:
    fpu_on
    poke SHPR3, 0xF0 << 16
    svc 0
    b done
sv_call:
    poke ICSR, PENDSVSET
    vmov.f32 s0, #1.0
    bx lr
pend_sv:
    mrs r4, control
    keep r4, 0
    log 1
    bx lr
""",
        core=core,
    ).finish()
    assert machine.trace == [1]
    assert machine.out() == 0


def test_an_fp_context_survives_tail_chaining(boot, core):
    machine = boot(
        """
reset:
    fpu_on
    poke SHPR3, 0xF0 << 16
    vmov.f32 s3, #1.5
    svc 0
    vmov r4, s3
    keep r4, 0
    b done
sv_call:
    poke ICSR, PENDSVSET
    vmov.f32 s3, #2.0
    bx lr
pend_sv:
    vmov.f32 s3, #4.0
    keep lr, 1
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(2) == [0x3FC00000, 0xFFFFFFE9]


def test_the_m33_restores_its_fp_context(boot):
    """CONTROL.FPCA and SFPA together, or the next instruction would reset FPSCR."""
    program = "@ M33\n" + FP_PRESERVED.format(prepare="")
    s0, s15, s16, fpscr, after, on_entry, _fresh, _used = boot(program, board="single").finish().outs(8)
    assert (s0, s15, s16, fpscr) == (0x3F800000, 0x3F800000, 0x3F800000, 0x02C00010)
    assert (after, on_entry) == (0xC, 0)


def test_the_m33_faults_when_the_stack_passes_its_limit(boot):
    machine = boot(
        """@ M33
reset:
    ldr r1, =psp_top
    sub r0, r1, #48  @ room for a frame
    msr psplim, r0
    msr psp, r1
    mov r0, #2
    msr control, r0
    isb
    push {r0-r12}
    b unexpected
hard_fault:
    keep_at CFSR, 0
    b done
""",
        board="single",
    ).finish()
    assert machine.out() == 1 << 20  # STKOF
    assert machine.fault.status == ("STKOF",)
