"""The MPU enforced on real code: regions, subregions, privilege, and the faults they make (DDI0403E B3.5)."""

from __future__ import annotations

import pytest

from orchestrator.engines.common.cortex_m import CFSR_BITS

RAM = 0x2000_0000
FULL, PRIVILEGED, USER_READS, NONE, PRIVILEGED_READS, READS = 3, 1, 2, 0, 5, 6  # MPU_RASR.AP
NEVER = 1 << 28  # XN
CONTROL = {"on": 1, "hfnmi": 2, "background": 4}

MPU = """
    .equ MPU_CTRL, 0xE000ED94
    .equ MPU_RNR,  0xE000ED98
    .equ MPU_RBAR, 0xE000ED9C
    .equ MPU_RASR, 0xE000EDA0
    .macro region number, base, attributes
    poke MPU_RNR, \\number
    poke MPU_RBAR, \\base
    poke MPU_RASR, \\attributes
    .endm
    .macro mpu_on control=5
    poke MPU_CTRL, \\control
    dsb
    isb
    .endm
    .macro unprivileged
    mov r0, #1
    msr control, r0
    isb
    .endm
"""
REPORT = """
hard_fault:
mem_manage:
bus_fault:
usage_fault:
    keep_at CFSR, 0
    keep_at HFSR, 1
    keep_at MMFAR, 2
    keep_at BFAR, 3
    mrs r0, ipsr
    keep r0, 4
    ldr r0, [sp, #24]
    keep r0, 5
    keep r4, 6
    poke MPU_CTRL, 0
    mov r0, #0
    b done
"""
MEM, HARD = 4, 3


def region(base: int, size: int, access: int = FULL, *, never: bool = False, disabled: int = 0, number: int = 0) -> str:
    """A region of PMSAv7 as the lines that program it."""
    attributes = (NEVER if never else 0) | access << 24 | disabled << 8 | (size.bit_length() - 2) << 1 | 1
    return f"    region {number}, {base:#x}, {attributes:#x}\n"


def program(regions: str, body: str, control: int = 5, handlers: str = REPORT) -> str:
    return f"{MPU}\nreset:\n poke SHCSR, 7 << 16\n{regions}\n mpu_on {control}\n{body}\n b unexpected\n{handlers}"


def bits(*names: str) -> int:
    return sum(1 << CFSR_BITS[name] for name in names)


DACCVIOL = bits("DACCVIOL", "MMARVALID")


def test_a_refused_load_is_a_precise_memmanage_and_loads_nothing(boot, core):
    body = "ldr r0, =0x20004000\n ldr r4, =0x12345678\nat: ldr r4, [r0]"
    machine = boot(program(region(0x2000_4000, 1024, NONE), body), core=core).finish()
    cfsr, hfsr, mmfar, _bfar, ipsr, pc, r4 = machine.outs(7)
    assert (cfsr, hfsr, mmfar, ipsr) == (DACCVIOL, 0, 0x2000_4000, MEM)
    assert pc == machine.symbol("at") == machine.fault.pc
    assert r4 == 0x1234_5678
    assert machine.fault.address == 0x2000_4000
    assert machine.fault.what == (
        "reads 4 bytes at 0x20004000, refused by MPU region 0 (0x20004000..0x20004400, --- for privileged code)"
    )


def test_a_refused_store_does_not_land(boot, core):
    body = "ldr r0, =0x20004008\n ldr r4, =0x12345678\nat: str r4, [r0, #4]!\n nop"
    machine = boot(program(region(0x2000_4000, 1024, PRIVILEGED_READS), body), core=core).finish()
    cfsr, _hfsr, mmfar, _bfar, ipsr, pc, _r4 = machine.outs(7)
    assert (cfsr, mmfar, ipsr, pc) == (DACCVIOL, 0x2000_400C, MEM, machine.symbol("at"))
    assert machine.read(0x2000_400C) == 0
    assert machine.register["R0"] == 0


@pytest.mark.parametrize(
    ("access", "body", "refused"),
    [
        (PRIVILEGED, "str r4, [r0]", False),
        (PRIVILEGED, "unprivileged\n ldr r0, =0x20004000\nat: ldr r4, [r0]", True),
        (USER_READS, "unprivileged\n ldr r0, =0x20004000\n ldr r4, [r0]", False),
        (USER_READS, "unprivileged\n ldr r0, =0x20004000\nat: str r4, [r0]", True),
        (FULL, "unprivileged\n ldr r0, =0x20004000\n str r4, [r0]", False),
        (PRIVILEGED_READS, "ldr r4, [r0]", False),
        (PRIVILEGED_READS, "at: str r4, [r0]", True),
        (PRIVILEGED_READS, "unprivileged\n ldr r0, =0x20004000\nat: ldr r4, [r0]", True),
        (READS, "unprivileged\n ldr r0, =0x20004000\n ldr r4, [r0]", False),
        (READS, "at: str r4, [r0]", True),
        (NONE, "at: ldrb r4, [r0]", True),
    ],
)
def test_access_permissions_by_privilege(boot, core, access, body, refused):
    """Table B3-15; code, data and stack lie in regions of their own."""
    regions = region(0x0800_0000, 0x20000, READS, number=0) + region(RAM, 0x2000, FULL, number=1)
    regions += region(0x2000_4000, 1024, access, number=2)
    end = "ldr r2, =0xBEEF\n ldr r3, =out\n str r2, [r3, #40]\n b done"
    machine = boot(program(regions, f"ldr r0, =0x20004000\n {body}\n {end}"), core=core).finish()
    assert machine.out(0) == (DACCVIOL if refused else 0)
    assert machine.out(10) == (0 if refused else 0xBEEF)
    if refused:
        assert machine.out(5) == machine.symbol("at")


@pytest.mark.parametrize(
    ("offset", "refused"), [(0x000, False), (0x0E0, False), (0x100, True), (0x1FC, True), (0x200, False)]
)
def test_a_disabled_subregion_leaves_its_addresses_to_what_lies_below(boot, core, offset, refused):
    """B3.5.9: region 1 opens 2 KB, except for its second eighth; region 0 below refuses."""
    regions = region(0x2000_4000, 2048, NONE) + region(0x2000_4000, 2048, FULL, disabled=2, number=1)
    body = f"ldr r0, =0x20004000 + {offset}\nat: str r4, [r0]\n ldr r1, [r0]\n b done"
    machine = boot(program(regions, body), core=core).finish()
    assert machine.out(0) == (DACCVIOL if refused else 0)


def test_where_regions_overlap_the_highest_number_decides(boot, core):
    regions = region(0x2000_4000, 4096, FULL, number=3) + region(0x2000_4400, 32, NONE, number=5)
    regions += region(0x2000_4400, 1024, FULL, number=4)
    body = "ldr r0, =0x20004420\n str r0, [r0]\n sub r0, #4\nat: str r0, [r0]"
    machine = boot(program(regions, body), core=core).finish()
    assert (machine.out(2), machine.read(0x2000_4420)) == (0x2000_441C, 0x2000_4420)
    assert "MPU region 5" in machine.fault.what


def test_without_the_background_region_what_no_region_covers_is_refused(boot, core):
    regions = region(0x0800_0000, 0x20000, READS) + region(RAM, 0x1000, number=1)
    body = "ldr r0, =0x20000FFC\n ldr r4, [r0]\nat: ldr r4, [r0, #4]"
    machine = boot(program(regions, body, control=1), core=core).finish()
    assert (machine.out(0), machine.out(2)) == (DACCVIOL, 0x2000_1000)
    assert machine.fault.what.endswith("where no MPU region grants privileged code anything")


GUARD = region(0x2000_4200, 32, NONE)
STORES = {
    "below the guard": ("str r4, [r0, #-4]", None, [(-4, 4)]),
    "behind the guard": ("str r4, [r0, #32]", None, [(32, 4)]),
    "word": ("at: str r4, [r0, #28]", 28, []),
    "byte": ("at: strb r4, [r0, #31]", 31, []),
    "unaligned from below": ("at: str r4, [r0, #-2]", 0, []),
    "unaligned to behind": ("at: str r4, [r0, #30]", 30, []),
    "with write-back": ("at: str r4, [r0, #4]!", 4, []),
    "double word from below": ("at: strd r4, r4, [r0, #-4]", 0, [(-4, 4)]),
    "multiple": ("at: stmdb r1!, {r4, r5, r6, r7}", 24, []),
    "floating point": ("fpu_on r2, r3\nat: vstmdb r1!, {s0-s3}", 24, []),
}


@pytest.mark.parametrize("store", STORES)
def test_a_guard_of_32_bytes_refuses_stores_that_touch_it_and_no_others(boot, core, store):
    body, refused, landed = STORES[store]
    lines = "ldr r0, =0x20004200\n ldr r1, =0x20004228\n ldr r4, =0xAAAAAAAA"
    handlers = f"mem_manage: keep r0, 8, r3\n keep r1, 9, r3\n{REPORT.replace('mem_manage:', '')}"
    machine = boot(program(GUARD, f"{lines}\n{body}\n b done", handlers=handlers), core=core).finish()
    assert machine.out(0) == (0 if refused is None else DACCVIOL)
    if refused is not None:
        assert machine.out(2) == 0x2000_4200 + refused
        assert machine.fault.pc == machine.symbol("at")
        assert machine.out(8) == 0x2000_4200
        assert machine.out(9) == 0x2000_4228  # the base of STM stays
    for offset in range(-16, 64, 4):
        expected = 0xAAAA_AAAA if (offset, 4) in landed else 0
        assert machine.read(0x2000_4200 + offset) == expected, offset


@pytest.mark.parametrize(
    ("load", "refused"),
    [
        ("ldr r4, [r0, #-4]", None),
        ("ldr r4, [r0, #32]", None),
        ("at: ldr r4, [r0, #-1]", 0),
        ("at: ldrh r4, [r0, #31]", 31),
        ("at: ldrd r5, r4, [r0, #28]", 28),
        ("at: ldr r4, [r0], #4", 0),
        ("at: ldmia r0!, {r4, r5}", 0),
        ("sub r0, #8\nat: ldmia r0, {r4-r7}", 0),
        ("at: ldrex r4, [r0]", 0),
        ("at: tbb [r0, r9]", 0),
    ],
)
def test_a_guard_refuses_loads_that_touch_it_and_no_others(boot, core, load, refused):
    lines = "ldr r0, =0x20004200\n mov r9, #0\n"
    machine = boot(program(GUARD, f"{lines}{load}\n b done"), core=core).finish()
    assert machine.out(0) == (0 if refused is None else DACCVIOL)
    if refused is not None:
        assert (machine.out(2), machine.out(5)) == (0x2000_4200 + refused, machine.symbol("at"))


def test_an_unaligned_store_across_the_border_to_a_refused_page_stores_nothing(boot, core):
    body = "ldr r0, =0x200043FE\n ldr r4, =0x11223344\nat: str r4, [r0]"
    machine = boot(program(region(0x2000_4400, 1024, PRIVILEGED_READS), body), core=core).finish()
    assert (machine.out(0), machine.out(2)) == (DACCVIOL, 0x2000_4400)
    assert (machine.read(0x2000_43FC), machine.read(0x2000_4400)) == (0, 0)


def test_an_unaligned_load_across_the_border_to_a_refused_page_is_refused(boot, core):
    body = "ldr r0, =0x200043FE\n ldr r4, =0x11223344\nat: ldr r4, [r0]"
    machine = boot(program(region(0x2000_4400, 1024, NONE), body), core=core).finish()
    assert (machine.out(0), machine.out(2), machine.out(6)) == (DACCVIOL, 0x2000_4400, 0x1122_3344)


RETRY = """
mem_manage:
    keep_at MMFAR, 0
    poke MPU_RNR, 0
    poke MPU_RASR, 0
    ldr r1, [sp, #28]
    keep r1, 1
    bx lr
"""


@pytest.mark.parametrize("size", [32, 1024])
def test_a_handler_that_opens_the_region_lets_the_instruction_run_again(boot, core, size):
    """B1.5.6: the stacked IT state is that of the instruction, what follows it in the block has not happened."""
    body = """
    ldr r6, =0x20004000
    ldr r4, =0x55
    mov r5, #0
    movs r7, #0
    ittt eq
    addeq r5, #1
    streq r4, [r6, #4]!
    addeq r5, #16
    keep r5, 2
    keep r6, 3
    b done
"""
    machine = boot(program(region(0x2000_4000, size, NONE), body, handlers=RETRY), core=core).finish()
    assert machine.outs(4)[0] == 0x2000_4004
    assert machine.outs(4)[2:] == [17, 0x2000_4004]
    assert machine.read(0x2000_4004) == 0x55
    assert machine.taken == ["MemManage"]


@pytest.mark.parametrize("size", [32, 1024])
@pytest.mark.parametrize(
    "access",
    ["ldrt", "ldrbt", "ldrht", "ldrsbt", "ldrsht", "strt", "strbt", "strht"],
)
def test_unprivileged_loads_and_stores_of_privileged_code_are_checked_as_unprivileged(boot, core, access, size):
    body = f"ldr r0, =0x20004000\n str r0, [r0, #8]\nat: {access} r4, [r0, #8]"
    machine = boot(program(region(0x2000_4000, size, PRIVILEGED), body), core=core).finish()
    assert (machine.out(0), machine.out(2), machine.out(5)) == (DACCVIOL, 0x2000_4008, machine.symbol("at"))
    assert "unprivileged" in machine.fault.what


def test_after_an_unprivileged_load_the_next_one_is_privileged_again(boot, core):
    regions = region(0x2000_4000, 32, USER_READS)
    body = "ldr r0, =0x20004000\n ldrt r4, [r0]\n str r0, [r0]\n ldrt r4, [r0]\n keep r4, 0\nat: strt r0, [r0]"
    machine = boot(program(regions, body), core=core).finish()
    assert machine.out(6) == 0x2000_4000
    assert machine.out(5) == machine.symbol("at")


NOP_BX = 0x4770_BF00  # nop, bx lr


@pytest.mark.parametrize("size", [32, 1024])
def test_code_in_a_region_that_is_never_executed_is_a_fetch_fault(boot, core, size):
    body = f"""
    ldr r0, =0x20004000
    ldr r1, ={NOP_BX:#x}
    str r1, [r0]
    str r1, [r0, #{size}]
    dsb
    isb
    ldr r2, =0x20004001 + {size}
    blx r2
    ldr r2, =0x20004001
    blx r2
"""
    machine = boot(program(region(0x2000_4000, size, never=True), body), core=core).finish()
    assert machine.out(0) == bits("IACCVIOL")
    assert machine.out(5) == 0x2000_4000 == machine.fault.pc
    assert "rw- for privileged code" in machine.fault.what


def test_execution_that_runs_into_a_region_faults_at_its_first_instruction(boot, core):
    body = """
    ldr r0, =0x20004018
    ldr r1, =0xBF00BF00
    str r1, [r0]
    str r1, [r0, #4]
    str r1, [r0, #8]
    dsb
    isb
    ldr r2, =0x20004019
    mov r4, #0
    bx r2
"""
    machine = boot(program(region(0x2000_4020, 32, never=True), body), core=core).finish()
    assert (machine.out(0), machine.out(5)) == (bits("IACCVIOL"), 0x2000_4020)


def test_a_wide_instruction_with_its_second_half_in_the_region_faults_at_its_beginning(boot, core):
    body = """
    ldr r0, =0x2000401C
    ldr r1, =0xF04FBF00  @ nop, first half of mov r4, #1
    str r1, [r0]
    ldr r1, =0xBF000401
    str r1, [r0, #4]
    dsb
    isb
    ldr r2, =0x2000401D
    mov r4, #0
    bx r2
"""
    machine = boot(program(region(0x2000_4020, 32, never=True), body), core=core).finish()
    assert (machine.out(0), machine.out(5), machine.out(6)) == (bits("IACCVIOL"), 0x2000_401E, 0)


@pytest.mark.parametrize("size", [32, 1024])
def test_code_for_privileged_code_only_is_refused_to_unprivileged_code(boot, core, size):
    regions = region(0x0800_0000, 0x20000, READS) + region(RAM, 0x10000, FULL, number=1)
    regions += region(0x2000_4000, size, PRIVILEGED, number=2)
    body = f"""
    ldr r0, =0x20004000
    ldr r1, ={NOP_BX:#x}
    str r1, [r0]
    dsb
    isb
    ldr r2, =0x20004001
    blx r2
    mov r4, #77
    unprivileged
    ldr r2, =0x20004001
    blx r2
"""
    machine = boot(program(regions, body, control=1), core=core).finish()
    assert (machine.out(0), machine.out(5), machine.out(6)) == (bits("IACCVIOL"), 0x2000_4000, 77)


HFNMI = """
hard_fault:
    ldr r0, =0x20004000
    ldr r1, [r0]
    keep r1, 3
    bx lr
mem_manage:
    keep_at MMFAR, 0
    poke MPU_CTRL, 0
    b done
"""


def test_a_hardfault_handler_is_not_subject_to_the_mpu_unless_hfnmiena_says_so(boot, core):
    """B3.5.4: afterwards the MPU is in force again."""
    body = "ldr r0, =0x20004000\n mov r1, #7\n str r1, [r0]\n mpu_on 5\n cpsid i\n svc 0\n"
    body += "ldr r0, =0x20004000\nat: ldr r1, [r0]"
    handlers = HFNMI.replace("    bx lr", "    cpsie i\n bx lr")
    text = program("", f"region 0, 0x20004000, {NONE << 24 | 9 << 1 | 1:#x}\n{body}", control=0, handlers=handlers)
    machine = boot(text, core=core).finish()
    assert machine.taken == ["HardFault", "MemManage"]
    assert (machine.out(3), machine.out(0)) == (7, 0x2000_4000)


def test_with_hfnmiena_a_refusal_in_a_hardfault_handler_locks_up(boot, core):
    body = "cpsid i\n svc 0"
    machine = boot(program(region(0x2000_4000, 1024, NONE), body, control=7, handlers=HFNMI), core=core).run_us(50)
    assert machine.taken == ["HardFault"]
    assert "MPU region 0" in machine.lockup.what


@pytest.mark.parametrize("mask", ["cpsid f", "mov r2, #1\n msr faultmask, r2"])
@pytest.mark.parametrize("unmask", ["cpsie f", "mov r2, #0\n msr faultmask, r2"])
def test_faultmask_takes_the_mpu_out_of_force_and_puts_it_back(boot, core, mask, unmask):
    body = f"ldr r0, =0x20004000\n {mask}\n str r0, [r0]\n {unmask}\n mov r4, #5\nat: str r4, [r0]"
    machine = boot(program(region(0x2000_4000, 1024, NONE), body), core=core).finish()
    assert (machine.out(0), machine.out(5), machine.out(6)) == (DACCVIOL, machine.symbol("at"), 5)
    assert machine.read(0x2000_4000) == 0x2000_4000


STACKS = """
    ldr r0, =0x20004100
    msr psp, r0
    mov r0, #2
    msr control, r0
    isb
"""


@pytest.mark.parametrize("size", [32, 1024])
def test_a_frame_on_a_refused_stack_is_a_stacking_error(boot, core, size):
    """B1.5.6: MSTKERR, no address; the exception that was to be taken comes after it or in its place."""
    body = f"{STACKS}\nat: svc 0"
    handlers = "sv_call: b unexpected\n" + REPORT
    machine = boot(
        program(
            region(0x2000_40E0, 32, NONE) if size == 32 else region(0x2000_4000, 1024, NONE),
            body,
            handlers=handlers.replace("ldr r0, [sp, #24]", "mov r0, #0"),
        ),
        core=core,
    ).run_us(100)
    assert machine.out(0) == bits("MSTKERR")
    assert machine.taken == ["MemManage"]
    assert machine.fault.what.startswith("stacking for SVCall at 0x200040e0, refused by MPU region 0")
    assert machine.fault.what.endswith("--- for privileged code)")
    assert machine.read(0x2000_40E0) == 0


def test_a_frame_that_may_not_be_read_back_is_an_unstacking_error(boot, core):
    handlers = (
        "sv_call: poke MPU_RNR, 0\n poke MPU_RBAR, 0x20004000\n"
        + f" poke MPU_RASR, {NONE << 24 | 9 << 1 | 1:#x}\n bx lr\n"
    )
    handlers += REPORT.replace("ldr r0, [sp, #24]", "mov r0, #0")
    machine = boot(program("", f"{STACKS}\n svc 0", handlers=handlers), core=core).run_us(100)
    assert machine.out(0) == bits("MUNSTKERR")
    assert machine.taken == ["SVCall", "MemManage"]


def test_an_unstacking_error_while_interrupts_are_masked_becomes_a_hardfault_and_no_lockup(boot, core):
    """At priority 0 a MemManage is not taken, and a HardFault is (B1.5.11, B1.5.14)."""
    handlers = (
        "sv_call: cpsid i\n poke MPU_RNR, 0\n poke MPU_RBAR, 0x20004000\n"
        + f" poke MPU_RASR, {NONE << 24 | 9 << 1 | 1:#x}\n bx lr\n"
    )
    handlers += REPORT.replace("ldr r0, [sp, #24]", "mov r0, #0")
    machine = boot(program("", f"{STACKS}\n svc 0", handlers=handlers), core=core).run_us(100)
    assert (machine.out(0), machine.out(1), machine.out(4)) == (bits("MUNSTKERR"), 1 << 30, HARD)
    assert machine.taken == ["SVCall", "HardFault"]
    assert machine.fault.escalated


def test_stacking_has_the_privilege_of_the_code_that_is_interrupted(boot, core):
    regions = region(0x2000_4000, 1024, PRIVILEGED) + region(0x0800_0000, 0x20000, READS, number=1)
    privileged = boot(program(regions, f"{STACKS}\n svc 0\n b done", handlers="sv_call: bx lr"), core=core).finish()
    assert privileged.taken == ["SVCall"]
    unprivileged = f"{STACKS}\n mov r0, #3\n msr control, r0\n isb\n svc 0"
    handlers = "sv_call: b unexpected\n" + REPORT.replace("ldr r0, [sp, #24]", "mov r0, #0")
    machine = boot(program(regions, unprivileged, handlers=handlers), core=core).finish()
    assert machine.out(0) == bits("MSTKERR")
    assert "unprivileged" in machine.fault.what


def test_a_handler_that_is_interrupted_stacks_with_privilege_whatever_the_thread_is(boot, core):
    """The frame of a handler is pushed by privileged accesses (B1.5.6), and what refuses them is said of those."""
    handlers = """
sv_call:
    ldr r1, =0x20004100
    mov sp, r1
    poke ICSR, PENDSVSET
    b unexpected
pend_sv: b unexpected
"""
    body = "poke 0xE000ED1C, 0x80000000\n unprivileged\n svc 0"
    handlers += REPORT.replace("ldr r0, [sp, #24]", "mov r0, #0")
    regions = region(0x2000_4000, 1024, NONE) + region(0x0800_0000, 0x20000, READS, number=1)
    regions += region(RAM, 0x2000, FULL, number=2)
    machine = boot(program(regions, body, handlers=handlers), core=core).run_us(100)
    assert machine.out(0) == bits("MSTKERR")
    assert machine.taken == ["SVCall", "MemManage"]
    assert machine.fault.what == (
        "stacking for PendSV at 0x200040e0, refused by MPU region 0 (0x20004000..0x20004400, --- for privileged code)"
    )


def test_handlers_are_privileged_whatever_the_thread_is(boot, core):
    regions = region(0x2000_4000, 1024, PRIVILEGED) + region(0x0800_0000, 0x20000, READS, number=1)
    regions += region(RAM, 0x2000, FULL, number=2)
    body = "unprivileged\n svc 0\n ldr r0, =0x20004000\nat: ldr r4, [r0]"
    handlers = "sv_call: ldr r0, =0x20004000\n mov r1, #9\n str r1, [r0]\n bx lr\n" + REPORT
    machine = boot(program(regions, body, handlers=handlers), core=core).finish()
    assert machine.taken == ["SVCall", "MemManage"]
    assert machine.read(0x2000_4000) == 9
    assert machine.out(5) == machine.symbol("at")


def test_unprivileged_tasks_on_the_process_stack_come_back_as_they_were(boot, core):
    """CONTROL, and the stack that it selects, survive exceptions; a handler runs on the main stack with SPSEL clear."""
    body = """
    ldr r0, =psp_top
    msr psp, r0
    mov r0, #3
    msr control, r0
    isb
    mov r6, sp
    svc 0
    mov r7, sp
    mrs r4, control
    keep r4, 0
    sub r6, r7
    keep r6, 1
    svc 0
    b done
"""
    handlers = (
        "sv_call: mrs r0, control\n keep r0, 2\n ldr r1, =stack_top\n mov r2, sp\n sub r1, r2\n keep r1, 4\n bx lr"
    )
    regions = region(0x0800_0000, 0x20000, READS) + region(RAM, 0x10000, FULL, number=1)
    machine = boot(program(regions, body, handlers=handlers), core=core).finish()
    assert machine.outs(5) == [3, 0, 1, 0, 0]
    assert machine.taken == ["SVCall", "SVCall"]


def test_primask_set_before_privilege_is_dropped_still_masks(boot, core):
    body = "cpsid i\n unprivileged\n nop\n nop\n svc 0"
    text = program(
        "",
        f"poke NVIC_ISER, 8\n poke NVIC_ISPR, 8\n {body}",
        control=0,
        handlers="irq3: b unexpected\nhard_fault: b done",
    )
    text = text.replace(
        "poke NVIC_ISER, 8\n poke NVIC_ISPR, 8\n cpsid i", "cpsid i\n poke NVIC_ISER, 8\n poke NVIC_ISPR, 8"
    )
    machine = boot(text, core=core).finish()
    assert machine.taken == ["HardFault"]
