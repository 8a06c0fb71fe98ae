"""Faults: status, addresses, escalation and lockup (DDI0403E B1.5.11 to B1.5.15, B3.2.15 to B3.2.18)."""

from __future__ import annotations

import pytest

from orchestrator.engines.common.cortex_m import CFSR_BITS
from orchestrator.events import CoreState, ExceptionReturn, ExceptionTaken, Lockup

ENABLE_FAULTS = "poke SHCSR, 7 << 16, r10, r11"
REPORT = """
    keep_at CFSR, 0
    keep_at HFSR, 1
    keep_at BFAR, 2
    keep_at MMFAR, 3
    mrs r0, ipsr
    keep r0, 4
    ldr r0, [sp, #24]
    keep r0, 5
    ldr r0, [sp, #28]
    keep r0, 6
    b done
"""
HANDLERS = f"hard_fault:\nmem_manage:\nbus_fault:\nusage_fault:\n{REPORT}"
FORCED = 1 << 30
BUS, MEM, USAGE, HARD = 5, 4, 6, 3

# What each fault does: the code, the handler that is enabled for it, its bits, what its address register holds.
KINDS = {
    "load from nowhere": ("ldr r0, =NOWHERE\nat: ldr r1, [r0]", BUS, ("PRECISERR", "BFARVALID"), 0x30000000),
    "store to nowhere": ("ldr r0, =NOWHERE\nat: strb r1, [r0, #3]", BUS, ("PRECISERR", "BFARVALID"), 0x30000003),
    "load between two devices": (
        "ldr r0, =0x50000180\nat: ldr r1, [r0]",
        BUS,
        ("PRECISERR", "BFARVALID"),
        0x50000180,
    ),
    "store between two devices": (
        "ldr r0, =0x50000180\nat: strh r1, [r0]",
        BUS,
        ("PRECISERR", "BFARVALID"),
        0x50000180,
    ),
    "jump to nowhere": ("ldr r0, =NOWHERE + 1\n bx r0", BUS, ("IBUSERR",), None),
    "jump into a device": ("ldr r0, =PULLER + 1\n bx r0", MEM, ("IACCVIOL",), None),
    "jump into the system space": ("ldr r0, =0xE000E001\n bx r0", MEM, ("IACCVIOL",), None),
    "jump to an exception return": ("ldr r0, =0xFFFFFFF9\n bx r0", MEM, ("IACCVIOL",), None),
    "undefined instruction": ("at: udf 1", USAGE, ("UNDEFINSTR",), None),
    "wide undefined instruction": ("at: udf.w 1", USAGE, ("UNDEFINSTR",), None),
    "call of an even address": ("ldr r0, =done - 1\n bic r0, #1\n blx r0", USAGE, ("INVSTATE",), None),
    "floating point switched off": ("at: vmov.f32 s0, #1.0", USAGE, ("NOCP",), None),
    "coprocessor that is absent": ("at: mcr p3, 0, r0, c0, c0, 0", USAGE, ("NOCP",), None),
}


def bits(names):
    return sum(1 << CFSR_BITS[name] for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_taken_by_its_own_handler_when_that_is_enabled(boot, core, kind):
    code, exception, status, address = KINDS[kind]
    machine = boot(f"reset: {ENABLE_FAULTS}\n {code}\n b unexpected\n{HANDLERS}", core=core).finish()
    cfsr, hfsr, bfar, _mmfar, ipsr, _pc, _xpsr = machine.outs(7)
    assert (cfsr, hfsr, ipsr) == (bits(status), 0, exception)
    assert machine.fault.status == status
    assert machine.fault.address == address
    assert not machine.fault.escalated
    if address is not None:
        assert bfar == address


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_without_its_handler_becomes_a_hardfault(boot, core, kind):
    code, _exception, status, _address = KINDS[kind]
    machine = boot(f"reset: {code}\n b unexpected\n{HANDLERS}", core=core).finish()
    cfsr, hfsr, _bfar, _mmfar, ipsr, _pc, _xpsr = machine.outs(7)
    assert (cfsr, hfsr, ipsr) == (bits(status), FORCED, HARD)
    assert machine.fault.escalated


WORDS = {
    "load from nowhere": "reads 4 bytes at 0x30000000, where this chip has nothing",
    "store to nowhere": "writes 1 bytes at 0x30000003, where this chip has nothing",
    "jump to nowhere": "executes at 0x30000000, where there is no memory",
    "undefined instruction": "executes the undefined instruction 0xde01",
    "call of an even address": "branches to an even address: not Thumb code",
}


@pytest.mark.parametrize("kind", WORDS)
def test_what_faults_is_said_with_its_bytes_and_its_address(boot, core, kind):
    machine = boot(f"reset: {ENABLE_FAULTS}\n {KINDS[kind][0]}\n b unexpected\n{HANDLERS}", core=core).finish()
    assert machine.fault.what == WORDS[kind]


@pytest.mark.parametrize("kind", [kind for kind, (code, *_) in KINDS.items() if "at:" in code])
def test_the_stacked_pc_is_the_instruction_that_faults(boot, core, kind):
    program = f"reset: nop\n nop\n {KINDS[kind][0]}\n b unexpected\n{HANDLERS}".replace("at:", "\nat:")
    machine = boot(program, core=core).finish()
    assert machine.out(5) == machine.symbol("at") == machine.fault.pc
    assert machine.fault.symbol == "at"


@pytest.mark.parametrize("target", ["NOWHERE", "PULLER", "0xE000E000", "0x2000FFF0 + 0x10"])
def test_the_stacked_pc_of_a_fetch_is_its_target(boot, core, target):
    machine = boot(f"reset: ldr r0, ={target} + 1\n bx r0\n{HANDLERS}", core=core).finish()
    assert (
        machine.out(5)
        == machine.fault.pc
        == {"NOWHERE": 0x30000000, "PULLER": 0x50000000}.get(target, 0x20010000 if "FFF0" in target else 0xE000E000)
    )


def test_running_off_the_end_of_memory_faults_there(boot, core):
    machine = boot(
        f"""
reset:
    ldr r0, =0x2000FFFC
    ldr r1, =0xBF00BF00
    str r1, [r0]
    add r0, #1
    dsb
    isb
    bx r0
{HANDLERS}""",
        core=core,
    ).finish()
    assert machine.fault.status == ("IBUSERR",)
    assert machine.out(5) == 0x20010000


def test_a_wide_instruction_across_the_end_of_memory_faults_at_its_beginning(boot, core):
    machine = boot(
        f"""
reset:
    ldr r0, =0x2000FFFC
    ldr r1, =0xF000BF00  @ nop, first half of a bl
    str r1, [r0]
    add r0, #1
    dsb
    isb
    bx r0
{HANDLERS}""",
        core=core,
    ).finish()
    assert machine.fault.status == ("IBUSERR",)
    assert machine.out(5) == 0x2000FFFE


@pytest.mark.parametrize("address", [0x30000000, 0x50000180, 0xE000F000])
@pytest.mark.parametrize(
    "load",
    ["ldr r1, [r0]", "ldrb r1, [r0], #4", "ldr r1, [r0, #4]!", "ldrd r1, r2, [r0]", "ldrsh r1, [r0]", "vldr s5, [r0]"],
)
def test_a_load_that_faults_changes_no_register(boot, core, address, load):
    machine = boot(
        f"""
reset:
    fpu_on
    vmov.f32 s5, #1.0
    mov r1, #0x11
    mov r2, #0x22
    ldr r0, ={address:#x}
    cmp r0, r0
    {load}
    b unexpected
hard_fault:
    keep r0, 0, r4
    keep r1, 1, r4
    keep r2, 2, r4
    vmov r0, s5
    keep r0, 3, r4
    b done
""",
        core=core,
    ).finish()
    assert machine.outs(4) == [address, 0x11, 0x22, 0x3F800000]


def test_a_handler_can_step_over_the_load_that_faulted(boot, core):
    machine = boot(
        """
reset:
    ldr r0, =0x50000180
    mov r1, #5
    ldr.w r1, [r0]
    keep r1, 0
    ldr r0, =NOWHERE
    ldr.w r1, [r0]
    keep r1, 1
    b done
hard_fault:
    ldr r0, [sp, #24]
    add r0, #4
    str r0, [sp, #24]
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(2) == [5, 5]
    assert machine.taken == ["HardFault", "HardFault"]


def test_status_bits_stay_until_written_with_ones(boot, core):
    machine = boot(
        """
reset:
    poke SHCSR, 7 << 16
    ldr r0, =NOWHERE
    ldr r0, [r0]
    udf.w 0
    keep_at CFSR, 0
    poke CFSR, 0x00010000
    keep_at CFSR, 1
    ldr r0, =CFSR + 1
    mov r1, #0x82
    strb r1, [r0]
    keep_at CFSR, 2
    b done
bus_fault:
    ldr r0, [sp, #24]
    add r0, #2
    str r0, [sp, #24]
    bx lr
usage_fault:
    ldr r0, [sp, #24]
    add r0, #4
    str r0, [sp, #24]
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(3) == [0x00018200, 0x00008200, 0]


def test_cpacr_switches_the_fpu_on_and_off(boot, core):
    machine = boot(
        """
reset:
    vmov.f32 s0, #1.0
    log 1
    fpu_on
    vmov.f32 s0, #1.0
    log 2
    poke CPACR, 0
    dsb
    isb
    vmov.f32 s0, #1.0
    log 3
    b done
hard_fault:
    log 9
    ldr r0, [sp, #24]
    add r0, #4
    str r0, [sp, #24]
    poke CFSR, 0xFFFFFFFF
    bx lr
""",
        core=core,
    ).finish()
    assert machine.trace == [9, 1, 2, 9, 3]
    assert [fault.status for fault in machine.faults] == [("NOCP",), ("NOCP",)]


def test_a_breakpoint_without_a_debugger_is_a_hardfault(boot, core):
    program = f"reset: nop\n\nat: bkpt 3\n{HANDLERS}".replace(REPORT, f"keep_at DFSR, 7\n{REPORT}")
    machine = boot(program, core=core).finish()
    cfsr, hfsr, _bfar, _mmfar, ipsr, pc, _xpsr, dfsr = machine.outs(8)
    assert (cfsr, hfsr, ipsr, pc, dfsr) == (0, 1 << 31, HARD, machine.symbol("at"), 2)
    assert machine.fault.status == ("DEBUGEVT",)


def test_an_svc_that_cannot_be_taken_is_a_hardfault_that_returns_behind_it(boot, core):
    machine = boot(f"reset: cpsid i\n\nat: svc 0\n b unexpected\n{HANDLERS}", core=core).finish()
    _cfsr, hfsr, _bfar, _mmfar, ipsr, pc, _xpsr = machine.outs(7)
    assert (hfsr, ipsr, pc) == (FORCED, HARD, machine.symbol("at") + 2)
    assert machine.fault.pc == machine.symbol("at")


SERVED = """
reset: cpsid i
    movs r4, #0
again: svc 0
    adds r4, #1
    cmp r4, #20
    bne again
    keep r4, 0
    b done
hard_fault: bx lr
"""


def test_a_fault_whose_handler_returns_says_where_to(boot, core):
    machine = boot(SERVED, core=core).finish()
    assert machine.out(0) == 20
    returns = machine.details(ExceptionReturn)
    assert [(each.number, each.address) for each in returns] == [(HARD, machine.symbol("again") + 2)] * 20


def test_of_faults_at_one_place_the_first_have_a_backtrace(boot, core):
    machine = boot(SERVED.replace("reset:", "bl reset\nreset:"), core=core).finish()
    assert len(machine.faults) == 20
    assert all(fault.backtrace[0].pc == fault.pc for fault in machine.faults)
    assert {len(fault.backtrace) for fault in machine.faults[2:]} == {1}


def test_with_primask_a_fault_escalates(boot, core):
    machine = boot(f"reset: {ENABLE_FAULTS}\n cpsid i\n udf 0\n{HANDLERS}", core=core).finish()
    assert machine.outs(5)[1::3] == [FORCED, HARD]


def test_a_fault_in_a_handler_of_the_same_priority_escalates(boot, core):
    machine = boot(
        f"reset: {ENABLE_FAULTS}\n udf 0\nusage_fault: ldr r0, =NOWHERE\n ldr r0, [r0]\nhard_fault: {REPORT}", core=core
    ).finish()
    assert machine.out(0) == bits(("UNDEFINSTR", "PRECISERR", "BFARVALID"))
    assert machine.taken == ["UsageFault", "HardFault"]


def test_a_fault_in_a_fault_handler_of_lower_priority_preempts_it(boot, core):
    machine = boot(
        f"""
reset:
    {ENABLE_FAULTS}
    poke SHPR1, 0x00800000
    udf 0
usage_fault:
    ldr r0, =NOWHERE
    ldr r0, [r0]
bus_fault:
    {REPORT}""",
        core=core,
    ).finish()
    assert machine.taken == ["UsageFault", "BusFault"]


def test_a_fault_in_the_hardfault_handler_locks_up(boot, core):
    machine = boot("reset: udf 0\nhard_fault: nop\n\nat: udf 0", core=core).run_us(50)
    assert machine.engine.state(core) == CoreState.LOCKED_UP
    assert machine.lockup.pc == machine.symbol("at")
    assert machine.lockup.symbol == "at"
    assert len(machine.details(Lockup)) == 1


@pytest.mark.parametrize("before", ["cpsid f", "poke ICSR, 1 << 31"])
def test_a_fault_with_faultmask_or_in_nmi_locks_up(boot, core, before):
    machine = boot(f"reset: {before}\n udf 0\nnmi: udf 0", core=core).run_us(50)
    assert machine.engine.state(core) == CoreState.LOCKED_UP


def test_a_core_that_is_locked_up_lets_the_other_go_on(boot):
    counting = "reset: ldr r0, =out\n1: ldr r1, [r0]\n add r1, #1\n str r1, [r0]\n b 1b"
    machine = boot("reset: udf 0\nhard_fault: udf 0", other=counting).run_us(100)
    assert machine.engine.state("cpu_a") == CoreState.LOCKED_UP
    before = machine.out(0, "cpu_b")
    assert machine.run_us(100).out(0, "cpu_b") > before


# --- vectors

BARE = '    .section .vectors, "a"\nvectors: .word {sp}, {pc}, unexpected, {hard}\n .text\n'


def test_an_even_reset_vector_is_invstate(boot, core):
    machine = boot(f"{BARE.format(sp='stack_top', pc='reset - 1', hard='hard_fault')}reset: nop\n{HANDLERS}", core=core)
    machine.finish()
    cfsr, hfsr, _bfar, _mmfar, ipsr, pc, xpsr = machine.outs(7)
    assert (cfsr, hfsr, ipsr) == (bits(("INVSTATE",)), FORCED, HARD)
    assert pc == machine.symbol("reset")
    assert xpsr >> 24 & 1 == 0
    assert "even" in machine.fault.what


def test_a_reset_vector_to_nowhere_is_a_bus_fault(boot, core):
    machine = boot(f"{BARE.format(sp='stack_top', pc='NOWHERE + 1', hard='hard_fault')}\nreset:\n{HANDLERS}", core=core)
    assert machine.finish().fault.status == ("IBUSERR",)


def test_an_erased_vector_table_locks_up(boot, core):
    machine = boot(f"{BARE.format(sp='-1', pc='-1', hard='-1')}reset: nop", core=core).run_us(50)
    assert machine.engine.state(core) == CoreState.LOCKED_UP
    assert machine.faults or machine.lockup


def test_a_vector_table_in_no_memory_locks_up_at_once(boot, core):
    machine = boot("reset: b done", core=core)
    machine.core.scs.vtor_reset = machine.core.scs.vtor = 0x60000000
    machine.run_us(50)
    assert machine.engine.state(core) == CoreState.LOCKED_UP
    assert "0x60000000" in machine.lockup.what


INVALID = {
    "no EXC_RETURN value": ("", "ldr lr, =0xFFFFFFF5"),
    "another low nibble": ("", "ldr lr, =0xFFFFFFF3"),
    "handler mode where Thread mode was": ("", "ldr lr, =0xFFFFFFF1"),
    "Thread mode with a number in the frame": ("", "ldr r0, [sp, #28]\n orr r0, #14\n str r0, [sp, #28]"),
}


@pytest.mark.parametrize("kind", INVALID)
def test_an_invalid_return_is_invpc_on_the_frame_that_was_to_be_left(boot, core, kind):
    before, spoil = INVALID[kind]
    machine = boot(
        f"""
reset:
    {ENABLE_FAULTS}
    {before}
    mov r4, sp
    svc 0
    b unexpected
sv_call:
    {spoil}
    bx lr
usage_fault:
    mov r5, sp
    sub r5, r4, r5
    keep r5, 0
    keep_at CFSR, 1
    keep_at SHCSR, 2
    b done
""",
        core=core,
    ).finish()
    assert machine.outs(2) == [32, bits(("INVPC",))]
    assert machine.out(2) & 0x88 == 8  # SVCall is no longer active, UsageFault is
    assert machine.fault.symbol.startswith("sv_call")


def test_a_return_to_thread_mode_under_an_active_exception_is_invpc_unless_allowed(boot, core):
    program = """
reset:
    {allow}
    poke SHPR3, 0x80 << 16
    poke ICSR, PENDSVSET
    b unexpected
pend_sv:
    svc 0
    b unexpected
sv_call:
    ldr r0, =done
    str r0, [sp, #24]
    mov r0, #0x01000000
    str r0, [sp, #28]
    ldr lr, =0xFFFFFFF9
    bx lr
hard_fault:
    keep_at CFSR, 0
    b done
"""
    machine = boot(program.format(allow=""), core=core).finish()
    assert machine.out() == bits(("INVPC",))
    machine = boot(program.format(allow="poke CCR, 0x201  @ NONBASETHRDENA"), core=core).finish()
    assert (machine.out(), machine.faults) == (0, [])


def test_a_frame_without_the_thumb_bit_is_invstate_at_its_pc(boot, core):
    """The initial frame of a task whose xPSR was forgotten."""
    machine = boot(
        f"""
reset:
    svc 0
    b unexpected
task:
    b unexpected
sv_call:
    ldr r0, =task
    str r0, [sp, #24]
    mov r0, #0
    str r0, [sp, #28]
    bx lr
{HANDLERS}""",
        core=core,
    ).finish()
    assert machine.out(0) == bits(("INVSTATE",))
    assert machine.out(5) == machine.symbol("task")
    assert machine.out(6) >> 24 & 1 == 0


def test_an_even_vector_is_invstate_in_its_exception(boot, core):
    machine = boot(
        f"""
reset:
    {ENABLE_FAULTS}
    poke SHPR2, 0x80000000
    poke 0x2000F02C, sv_call
    ldr r0, =0x2000F02C
    ldr r1, [r0]
    bic r1, #1
    str r1, [r0]
    poke 0x2000F018, usage_fault
    poke VTOR, 0x2000F000
    svc 0
    b unexpected
sv_call:
    b unexpected
usage_fault:
    keep_at SHCSR, 7
    {REPORT}""",
        core=core,
    ).finish()
    assert machine.out(0) == bits(("INVSTATE",))
    assert machine.out(5) == machine.symbol("sv_call")
    assert machine.out(6) & 0x010001FF == 11
    assert machine.out(7) & 0x88 == 0x88


@pytest.mark.parametrize(
    ("store", "stores"),
    [("strd r1, r2, [r0]", 1), ("str r1, [r0, #1]", 1), ("stm r0, {r1, r2}", 1), ("vstr d0, [r0]", 1)],
)
def test_a_store_to_flash_changes_nothing_and_is_an_error_of_the_firmware(boot, core, store, stores):
    machine = boot(
        f"""
reset:
    fpu_on
    ldr r0, =constant
    bic r0, #1
    mov r1, #0
    mov r2, #0
at:
    {store}
    ldm r0, {{r4, r5}}
    keep r4, 0
    keep r5, 1
    b done
    .balign 8
constant:
    .word 0x12345678, 0x9ABCDEF0
""",
        core=core,
    ).finish()
    assert machine.outs(2) == [0x12345678, 0x9ABCDEF0]
    errors = machine.guest_errors
    assert len(errors) == stores
    assert errors[0].pc == machine.symbol("at")
    assert errors[0].address & ~1 == machine.symbol("constant") & ~1
    assert "flash" in errors[0].what
    assert machine.taken == []


def test_every_store_to_flash_is_told(boot):
    machine = boot("reset: ldr r0, =reset - 1\n mov r2, #3\n1: str r2, [r0]\n subs r2, #1\n bne 1b\n b done").finish()
    assert len(machine.guest_errors) == 3


def test_code_runs_as_it_is_in_flash_after_a_store_to_it(boot, core):
    machine = boot(
        """
reset:
    ldr r0, =target
    bic r0, #1
    movw r1, #0x2405  @ movs r4, #5
    strh r1, [r0]
target:
    movs r4, #7
    keep r4, 0
    b done
""",
        core=core,
    ).finish()
    assert machine.out() == 7


@pytest.mark.parametrize("access", ["ldr r1, [r0]", "str r1, [r0]", "bx r0"])
def test_the_engines_own_page_of_code_is_nowhere_for_the_guest(boot, core, access):
    machine = boot(
        f"reset: ldr r0, =0x9FFFFC01\n bic r2, r0, #1\n {access.replace('[r0]', '[r2]')}\n{HANDLERS}", core=core
    )
    machine.finish()
    assert machine.fault.status in (("PRECISERR", "BFARVALID"), ("IBUSERR",))


def test_sysresetreq_starts_every_core_again_and_keeps_memory(boot):
    machine = boot(
        """
reset:
    ldr r0, =out
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
    cmp r1, #3
    beq done
    poke NVIC_ISER, 0xFF
    poke CPACR, 0xF << 20
    poke VTOR, 0x20000000
    ldr r0, =3000  @ longer than a turn, so that the other core has begun
1:  subs r0, #1
    bne 1b
    poke AIRCR, 0x05FA0004
    b unexpected
""",
        other="reset: ldr r0, =out\n ldr r1, [r0]\n add r1, #1\n str r1, [r0]\n b done",
    ).finish()
    assert machine.out() == 3
    assert machine.out(0, "cpu_b") == 3
    assert machine.core.exceptions.enabled >> 16 == 0
    assert (machine.core.scs.cpacr, machine.core.scs.vtor) == (0, 0x08000000)


def test_a_wrong_key_resets_nothing(boot):
    assert boot("reset: poke AIRCR, 0x05FB0004\n keep_at AIRCR, 0\n b done").finish().out() == 0xFA050000


# --- who was there


def test_the_fault_comes_before_its_exception(boot):
    machine = boot("reset: udf 0\nhard_fault: b done").finish()
    kinds = [type(event.detail).__name__ for event in machine.events]
    assert kinds[-2:] == ["Fault", ExceptionTaken.__name__]


def test_a_vector_outside_memory_is_vecttbl_on_the_same_frame(boot, core):
    """The exception stays pending, nothing more is stacked, and LR is that of the frame (B1.5.11)."""
    machine = boot(
        """
reset:
    mov r4, sp
    ldr r0, =VTOR
    ldr r8, [r0]
    poke NVIC_ISER, 1 << 20
    poke 0x2000FF8C, hard_fault
    poke VTOR, 0x2000FF80
    poke NVIC_ISPR, 1 << 20  @ its vector would be at 0x20010010
    log 3
    b done
hard_fault:
    keep_at HFSR, 0
    mov r5, sp
    sub r5, r4, r5
    keep r5, 1
    keep lr, 2
    keep_at NVIC_ISPR, 4
    ldr r0, =VTOR
    str r8, [r0]
    log 1
    bx lr
irq20:
    log 2
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(3) == [2, 32, 0xFFFFFFF9]
    assert machine.out(4) == 1 << 20
    assert machine.trace == [1, 2, 3]
    assert machine.fault.status == ("VECTTBL",)


def test_a_hardfault_vector_outside_memory_locks_up(boot, core):
    machine = boot("reset: poke VTOR, 0x60000000\n udf 0", core=core).run_us(50)
    assert machine.engine.state(core) == CoreState.LOCKED_UP
    icsr = machine.core.scs.read(0xD04, 4)
    assert (icsr & 0x1FF, icsr >> 12 & 0x1FF) == (HARD, 0)  # VECTACTIVE, VECTPENDING
    assert "0x6000000c" in machine.lockup.what


def test_an_nmi_vector_outside_memory_locks_up_in_the_nmi(boot, core):
    """It is active then, and pends no more."""
    machine = boot("reset: poke VTOR, 0x60000000\n poke ICSR, 1 << 31\n b unexpected", core=core).run_us(50)
    assert machine.engine.state(core) == CoreState.LOCKED_UP
    icsr = machine.core.scs.read(0xD04, 4)
    assert (icsr & 0x1FF, icsr >> 12 & 0x1FF, icsr >> 31) == (2, 0, 0)  # VECTACTIVE, VECTPENDING, NMIPENDSET
    assert "0x60000008" in machine.lockup.what


def test_a_system_reset_by_the_other_core_ends_a_lockup(boot):
    machine = boot(
        "reset: ldr r0, =out\n ldr r1, [r0]\n add r1, #1\n str r1, [r0]\n"
        "cmp r1, #2\n beq done\n udf 0\nhard_fault: udf 0",
        other="""
reset:
    ldr r0, =out
    ldr r1, [r0]
    cmp r1, #1
    beq done
    mov r1, #1
    str r1, [r0]
    ldr r0, =9000
1:  subs r0, #1
    bne 1b
    poke AIRCR, 0x05FA0004
    b unexpected
""",
    ).finish(500)
    assert len(machine.details(Lockup)) == 1
    assert machine.out() == 2


def test_the_other_core_faults_on_its_own(boot):
    machine = boot("reset: b done", other="reset: udf 0\nhard_fault: keep_at CFSR, 0\n b done").finish()
    assert (machine.out(0, "cpu_a"), machine.out(0, "cpu_b")) == (0, bits(("UNDEFINSTR",)))
    assert [each.what for each in machine.details(type(machine.fault), "cpu_b")] == [machine.fault.what]


def test_an_instruction_that_needs_no_memory_behind_the_fault_is_not_executed(boot, core):
    """Whatever stops the core, nothing behind the fault has run."""
    machine = boot(
        "reset: mov r4, #1\n ldr r0, =0x50000180\n ldr r1, [r0]\n mov r4, #2\n b unexpected\n"
        "hard_fault: keep r4, 0\n b done",
        core=core,
    ).finish()
    assert machine.out() == 1
