/* Stack frames, stacks, EXC_RETURN, SVC and PendSV (DDI0403E B1.5.6 to B1.5.8). */
#include "harness.h"

static void irq2(void) { mark('2'); }
CASE(svc_pended_by_shcsr)
{
    on(SVCALL, irq2);
    SHCSR |= 1u << 15;
    DSB();
    show_trace();
}
static void pendsv(void) { mark('p'); }

/* Leaves from r4 to r11 alone; r0 to r3 and r12 are set before an exception is raised by SVC. */
#define SVC_WITH(REGISTERS)                                                                              \
    __asm volatile(REGISTERS "\n svc #0x2A\n" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory")

static uint32_t svc_number(void) { return HALF(noted.frame[6] - 2) & 0xFF; }

static void show_entry(void)
{
    show("count", noted.count);
    show("exception", noted.exception);
    show("exc_return", noted.exc_return);
    show("svc", svc_number());
    noted.count = 0;
}

static void svc_42(void) { __asm volatile("svc #42" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory"); }

CASE(svc_privileged_on_main_stack)
{
    on(SVCALL, record);
    svc_42();
    show_entry();
}

static void svc_unprivileged(void)
{
    unprivileged();
    svc_42();
    on(SVCALL, make_privileged);
    privileged();
}

CASE(svc_unprivileged_on_main_stack)
{
    on(SVCALL, record);
    svc_unprivileged();
    show_entry();
}

CASE(svc_privileged_on_process_stack)
{
    on(SVCALL, record);
    with_psp(svc_42);
    show_entry();
    show("in process stack", noted.sp - (uint32_t)process_stack < sizeof process_stack);
}

static void svc_then_privileged(void)
{
    unprivileged();
    svc_42();
    __asm volatile("svc #7" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
}

ASM_HANDLER(records_or_raises, "mrs r0, psp\n ldr r1, [r0, #24]\n subs r1, #2\n ldrb r1, [r1]\n cmp r1, #7\n beq make_privileged\n b record\n");

CASE(svc_unprivileged_on_process_stack)
{
    on(SVCALL, records_or_raises);
    with_psp(svc_then_privileged);
    show_entry();
    show("control", READ_SPECIAL(control));
}

static void svc_in_handler(void)
{
    mark('(');
    svc_42();
    mark(')');
}

CASE(svc_inside_a_handler)
{
    on(IRQ(1), svc_in_handler);
    on(SVCALL, record);
    priority(IRQ(1), 0x80);
    enable(1);
    pend(IRQ(1));
    show_trace();
    show_entry();
}

static void attempts_svc(void)
{
    ATTEMPT("svc #3", "r"(0));
    mark('.');
}

/* What the SVC has become is taken at once, and it returns behind the SVC (DDI0403E B1.5.6, ReturnAddress()). */
CASE(svc_at_equal_priority_is_a_hard_fault)
{
    on(IRQ(1), attempts_svc);
    on(HARD_FAULT, record);
    enable(1);
    pend(IRQ(1));
    show_trace();
    show("exc_return", noted.exc_return);
    show_fault();
}

CASE(svc_with_primask_is_a_hard_fault)
{
    on(HARD_FAULT, record);
    on(SVCALL, irq2);
    WRITE_SPECIAL(primask, 1);
    ATTEMPT("svc #3", "r"(0));
    WRITE_SPECIAL(primask, 0);
    show_fault();
}

CASE(svc_held_back_by_basepri_is_a_hard_fault)
{
    on(HARD_FAULT, record);
    priority(SVCALL, 0x80);
    WRITE_SPECIAL(basepri, 0x80);
    ATTEMPT("svc #3", "r"(0));
    show_fault();
}

CASE(svc_passes_a_lower_basepri)
{
    on(SVCALL, record);
    priority(SVCALL, 0x40);
    WRITE_SPECIAL(basepri, 0x80);
    svc_42();
    show_entry();
}

CASE(frame_holds_the_registers)
{
    on(SVCALL, record);
    SVC_WITH("movs r0, #10\n movs r1, #11\n movs r2, #12\n movs r3, #13\n mov r12, #22\n mov lr, #24\n");
    for (uint32_t index = 0; index < 6; index++)
        show("word", noted.frame[index]);
}

CASE(frame_holds_the_flags_and_thumb_bit)
{
    on(SVCALL, record);
    SVC_WITH("mov r0, #0xA0000000\n msr apsr_nzcvq, r0\n");
    show("xpsr", noted.frame[7] & ~0x200u);
}

ASM_HANDLER(changes_frame, "mov r0, #100\n str r0, [sp]\n mov r0, #103\n str r0, [sp, #12]\n mov r0, #112\n str r0, [sp, #16]\n"
      "ldr r0, [sp, #28]\n orr r0, r0, #0x60000000\n str r0, [sp, #28]\n bx lr\n");

CASE(frame_changed_by_the_handler_is_restored)
{
    uint32_t a, b, c, flags;
    on(SVCALL, changes_frame);
    __asm volatile("movs r0, #1\n msr apsr_nzcvq, r1\n svc #0\n mov %0, r0\n mov %1, r3\n mov %2, r12\n mrs %3, apsr"
                   : "=r"(a), "=r"(b), "=r"(c), "=r"(flags)::"r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    show("r0", a);
    show("r3", b);
    show("r12", c);
    show("flags", flags & 0x60000000);
}

#define SVC_AT(ADJUST)                                                                                        \
    __asm volatile("mov r4, sp\n bic r4, r4, #7\n mov r5, sp\n" ADJUST "\n mov sp, r4\n svc #0\n mov r6, sp\n" \
                   "mov sp, r5\n sub r6, r6, r4\n str r6, [%0]\n str r4, [%1]\n"                               \
                   ::"r"(&moved), "r"(&sp_before) : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r12", "lr", "cc", "memory")
static volatile uint32_t moved, sp_before;

CASE(frame_on_an_aligned_stack)
{
    on(SVCALL, record);
    SVC_AT("sub r4, r4, #64");
    show("frame below", sp_before - noted.sp);
    show("padding bit", noted.frame[7] >> 9 & 1);
    show("sp moved by", moved);
}

CASE(frame_on_an_unaligned_stack_is_padded)
{
    on(SVCALL, record);
    SVC_AT("sub r4, r4, #60");
    show("frame below", sp_before - noted.sp);
    show("padding bit", noted.frame[7] >> 9 & 1);
    show("sp moved by", moved);
}

#ifdef CORE_M4
CASE(frame_without_stkalign_is_not_padded)
{
    on(SVCALL, record);
    CCR &= ~0x200u;
    DSB();
    show("ccr", CCR);
    SVC_AT("sub r4, r4, #60");
    show("frame below", sp_before - noted.sp);
    show("padding bit", noted.frame[7] >> 9 & 1);
    show("sp moved by", moved);
}
#endif

ASM_HANDLER(sets_padding_bit, "ldr r0, [sp, #28]\n orr r0, r0, #0x200\n str r0, [sp, #28]\n bx lr\n");

CASE(frame_padding_bit_decides_at_return)
{
    on(SVCALL, sets_padding_bit);
    SVC_AT("sub r4, r4, #64");
    show("sp moved by", moved);
}

CASE(frame_pc_is_the_next_instruction)
{
    on(SVCALL, record);
    ATTEMPT("nop\n svc #0", "r"(0));
    show_fault();
}

/* --- leaving */

ASM_HANDLER(leaves_by_bx, "mov r0, lr\n bx r0");
ASM_HANDLER(leaves_by_pop, "push {r4, lr}\n movs r4, #0\n pop {r4, pc}");
ASM_HANDLER(leaves_by_ldm, "sub sp, #8\n str r4, [sp]\n str lr, [sp, #4]\n mov r0, sp\n add sp, #8\n ldmia.w r0, {r4, pc}");
ASM_HANDLER(leaves_by_ldr, "str lr, [sp, #-8]!\n ldr pc, [sp], #8");
ASM_HANDLER(leaves_in_it, "cmp r0, r0\n it eq\n bxeq lr\n b .");
ASM_HANDLER(leaves_with_locals, "push {r0, r1, r4, lr}\n add sp, #8\n pop {r4, pc}");

static void leave_by(handler *leaves)
{
    on(SVCALL, leaves);
    svc_42();
    show("ipsr", READ_SPECIAL(ipsr));
    show("active", SHCSR & 0x80);
}

CASE(return_by_bx_of_another_register) { leave_by(leaves_by_bx); }
CASE(return_by_pop) { leave_by(leaves_by_pop); }
CASE(return_by_ldm) { leave_by(leaves_by_ldm); }
CASE(return_by_ldr_to_pc) { leave_by(leaves_by_ldr); }
CASE(return_inside_an_it_block) { leave_by(leaves_in_it); }
CASE(return_by_pop_after_locals) { leave_by(leaves_with_locals); }

static void shows_control(void)
{
    show("control", READ_SPECIAL(control));
    show("sp is msp", READ_SPECIAL(msp) - (uint32_t)__builtin_frame_address(0) < 64);
}

CASE(handler_runs_on_the_main_stack)
{
    on(SVCALL, shows_control);
    with_psp(svc_42);
    show_trace();
}

static void sets_spsel(void)
{
    WRITE_SPECIAL(control, READ_SPECIAL(control) | 2);
    show("control", READ_SPECIAL(control));
}

CASE(handler_cannot_select_the_process_stack)
{
    on(SVCALL, sets_spsel);
    svc_42();
    show("control", READ_SPECIAL(control));
}

static void drops_privilege(void) { WRITE_SPECIAL(control, READ_SPECIAL(control) | 1); show("in handler", READ_SPECIAL(control)); }

CASE(handler_drops_the_privilege_of_threads)
{
    uint32_t control;
    on(SVCALL, drops_privilege);
    svc_42();
    control = READ_SPECIAL(control);
    on(SVCALL, make_privileged);
    privileged();
    show("thread", control);
}

CASE(control_selects_the_stack_at_once)
{
    uint32_t before, inside, after;
    WRITE_SPECIAL(psp, (uint32_t)(process_stack + 64));
    __asm volatile("mov %0, sp\n movs r0, #2\n msr control, r0\n isb\n mov %1, sp\n movs r0, #0\n msr control, r0\n isb\n mov %2, sp"
                   : "=&r"(before), "=&r"(inside), "=&r"(after)::"r0", "memory");
    show("inside", inside - (uint32_t)process_stack);
    show("back", after - before);
}

CASE(control_msp_and_psp_are_two_registers)
{
    uint32_t msp = READ_SPECIAL(msp);
    WRITE_SPECIAL(psp, 0x20001000);
    show("psp", READ_SPECIAL(psp));
    show("msp the same", READ_SPECIAL(msp) == msp);
}

CASE(control_sp_low_bits_are_zero)
{
    WRITE_SPECIAL(psp, 0x20001003);
    show("psp", READ_SPECIAL(psp));
}

CASE(control_high_bits_read_zero)
{
    WRITE_SPECIAL(control, 0xFFFFFFF8);
    show("control", READ_SPECIAL(control));
}

/* A first thread is started by a return to a frame that nobody stacked. */
static void first_thread(void)
{
    mark('t');
    show("control", READ_SPECIAL(control));
    show("psp", READ_SPECIAL(psp) - (uint32_t)process_stack <= sizeof process_stack);
    finish();
}
ASM_HANDLER(to_process_stack, "movs r0, #2\n ldr lr, =0xFFFFFFFD\n bx lr\n .ltorg");

CASE(return_to_a_thread_that_never_ran)
{
    uint32_t *frame = process_stack + 248;
    frame[5] = 0xFFFFFFFF;
    frame[6] = (uint32_t)first_thread & ~1u;
    frame[7] = 0x01000000;
    WRITE_SPECIAL(psp, (uint32_t)frame);
    on(SVCALL, to_process_stack);
    svc_42();
}

/* Two threads hand over by PendSV. */
static uint32_t *threads[2];
static uint32_t running;
__attribute__((used)) static uint32_t *switch_threads(uint32_t *old)
{
    threads[running] = old;
    running ^= 1;
    return threads[running];
}
ASM_HANDLER(switches, "mrs r0, psp\n stmdb r0!, {r4-r11}\n push {r4, lr}\n bl switch_threads\n pop {r4, lr}\n ldmia r0!, {r4-r11}\n msr psp, r0\n bx lr");
static uint32_t stack_a[128], stack_b[128];
static void yield(void) { pend(PENDSV); }
static void thread_a(void)
{
    for (int i = 0; i < 3; i++) { mark('a'); yield(); }
    show_trace();
    finish();
}
static void thread_b(void)
{
    for (;;) { mark('b'); yield(); }
}

CASE(pendsv_switches_threads)
{
    on(PENDSV, switches);
    priority(PENDSV, 0xFF);
    uint32_t *frame = stack_b + 128 - 8;
    frame[6] = (uint32_t)thread_b & ~1u;
    frame[7] = 0x01000000;
    threads[1] = frame - 8;
    WRITE_SPECIAL(psp, (uint32_t)(stack_a + 128));
    WRITE_SPECIAL(control, 2);
    thread_a();
}

static void svc_pends_pendsv(void)
{
    mark('(');
    pend(PENDSV);
    mark(')');
}

CASE(pendsv_after_svc)
{
    on(SVCALL, svc_pends_pendsv);
    on(PENDSV, pendsv);
    priority(PENDSV, 0xFF);
    svc_42();
    mark('.');
    show_trace();
}

CASE(pendsv_inside_svc_when_higher)
{
    on(SVCALL, svc_pends_pendsv);
    on(PENDSV, pendsv);
    priority(SVCALL, 0x80);
    svc_42();
    mark('.');
    show_trace();
}

CASE(pendsv_chained_sees_the_threads_frame)
{
    on(SVCALL, svc_pends_pendsv);
    on(PENDSV, record);
    priority(PENDSV, 0xFF);
    SVC_WITH("movs r0, #5\n movs r3, #6");
    show("exc_return", noted.exc_return);
    show("r0", noted.frame[0]);
    show("r3", noted.frame[3]);
}

CASE(exc_return_of_a_nested_handler)
{
    on(IRQ(1), svc_in_handler);
    on(SVCALL, record);
    priority(IRQ(1), 0x80);
    enable(1);
    pend(IRQ(1));
    show("exc_return", noted.exc_return);
    show("ipsr stacked", noted.frame[7] & 0x1FF);
    show_trace();
}

/* --- integrity checks */

__attribute__((used)) static void show_and_finish(uint32_t exc_return, uint32_t *frame)
{
    show("exception", READ_SPECIAL(ipsr));
    show("exc_return", exc_return);
    show("cfsr", CFSR);
    show("hfsr", HFSR);
    show("active", SHCSR & 0xFFFF);
    show("pc", frame[6] - began_at);
    show("xpsr", frame[7] & 0xF70FFDFF);
    finish();
}
ASM_HANDLER(ends_here, "mov r0, lr\n mrs r1, msp\n b show_and_finish");

/* What is noticed at a return is taken on the frame that was to be returned to. */
static void bad_return(handler *leaves)
{
    SHCSR = 7u << 16;
    for (uint32_t exception = HARD_FAULT; exception <= USAGE_FAULT; exception++)
        on(exception, ends_here);
    priority(SVCALL, 0x80);
    on(SVCALL, leaves);
    ATTEMPT("svc #0", "r"(0));
    say("returned");
}

ASM_HANDLER(leaves_by_unknown, "ldr r0, =0xFFFFFFF5\n bx r0\n .ltorg");
ASM_HANDLER(leaves_to_handler_mode, "ldr r0, =0xFFFFFFF1\n bx r0\n .ltorg");
CASE(integrity_unknown_exc_return) { bad_return(leaves_by_unknown); }
CASE(integrity_handler_mode_with_nothing_active) { bad_return(leaves_to_handler_mode); }

ASM_HANDLER(leaves_with_ipsr, "ldr r0, [sp, #28]\n adds r0, #17\n str r0, [sp, #28]\n bx lr");
CASE(integrity_thread_frame_with_an_exception_number) { bad_return(leaves_with_ipsr); }

ASM_HANDLER(leaves_without_thumb, "ldr r0, [sp, #28]\n bic r0, r0, #0x1000000\n str r0, [sp, #28]\n bx lr");
CASE(integrity_frame_without_the_thumb_bit)
{
    note_faults();
    on(SVCALL, leaves_without_thumb);
    ATTEMPT("nop\n svc #0\n nop", "r"(0)); /* at a multiple of 4, or QEMU calls it unaligned */
    show_fault();
}

ASM_HANDLER(returns_to_thread, "ldr r0, =0xFFFFFFF9\n bx r0\n .ltorg\n");
static void nests(void)
{
    on(SVCALL, returns_to_thread);
    ATTEMPT("svc #0", "r"(0));
    mark('h');
}

CASE(integrity_thread_mode_with_another_active)
{
    SHCSR = 7u << 16;
    on(USAGE_FAULT, ends_here);
    on(IRQ(1), nests);
    priority(IRQ(1), 0xC0);
    priority(SVCALL, 0x80);
    priority(USAGE_FAULT, 0x40);
    enable(1);
    pend(IRQ(1));
}

static uint32_t ipsr_below;
ASM_HANDLER(goes_to_thread_base, "ldr r0, [sp, #28]\n lsrs r0, r0, #9\n lsls r0, r0, #9\n str r0, [sp, #28]\n ldr r0, =0xFFFFFFF9\n bx r0\n .ltorg\n");
static void nests_to_base(void)
{
    on(SVCALL, goes_to_thread_base);
    __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    ipsr_below = READ_SPECIAL(ipsr);
    show("ipsr", ipsr_below);
    show("iabr", IABR);
    finish();
}

CASE(integrity_nonbasethrdena_allows_it)
{
    note_faults();
    CCR |= 1;
    DSB();
    on(IRQ(1), nests_to_base);
    priority(IRQ(1), 0xC0);
    enable(1);
    pend(IRQ(1));
}

ASM_HANDLER(becomes_inactive, "ldr r0, =0xE000ED24\n ldr r1, [r0]\n bic r1, r1, #0x80\n str r1, [r0]\n dsb\n bx lr\n .ltorg\n");
CASE(integrity_returns_from_what_is_not_active) { bad_return(becomes_inactive); }

CASE(exc_return_in_thread_mode_is_an_address)
{
    note_faults();
    ATTEMPT("ldr r0, =0xFFFFFFF9\n bx r0\n b 91f\n .ltorg", "r"(0));
    show("exception", noted.exception);
    show("cfsr", noted.cfsr);
    show("pc", noted.frame[6]);
}
