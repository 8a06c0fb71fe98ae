/* Faults: status, address, stacked PC, escalation (DDI0403E B1.5.14, B3.2.15). */
#include "harness.h"

CASE(fault_load_from_nowhere)
{
    note_faults();
    ATTEMPT("ldr r2, [%0]", "r"(NOWHERE));
    show_fault_address();
    show_fault();
}

CASE(fault_load_leaves_the_register)
{
    note_faults();
    ATTEMPT("movs r2, #5\n ldr r2, [%0]", "r"(NOWHERE));
    show("r2", noted.frame[2]);
    show_fault();
}

CASE(fault_store_to_nowhere)
{
    note_faults();
    ATTEMPT("str r2, [%0, #8]", "r"(NOWHERE));
    show_fault_address();
    show_fault();
}

CASE(fault_byte_at_an_odd_address)
{
    note_faults();
    ATTEMPT("ldrb r2, [%0, #3]", "r"(NOWHERE));
    show_fault_address();
    show_fault();
}

CASE(fault_post_index_leaves_the_base)
{
    note_faults();
    ATTEMPT("mov r1, %0\n ldr r2, [r1], #4", "r"(NOWHERE));
    show("base moved", noted.frame[1] - NOWHERE);
    show_fault();
}

CASE(fault_pre_index_store_leaves_the_base)
{
    note_faults();
    ATTEMPT("mov r1, %0\n str r2, [r1, #4]!", "r"(NOWHERE));
    show("base moved", noted.frame[1] - NOWHERE);
    show_fault_address();
    show_fault();
}

CASE(fault_load_multiple_leaves_the_base)
{
    note_faults();
    ATTEMPT("mov r1, %0\n ldmia r1!, {r2, r3}", "r"(NOWHERE));
    show("base moved", noted.frame[1] - NOWHERE);
    show_fault_address();
    show_fault();
}

CASE(fault_store_multiple_leaves_the_base)
{
    note_faults();
    ATTEMPT("mov r1, %0\n stmia r1!, {r2, r3}", "r"(NOWHERE));
    show("base moved", noted.frame[1] - NOWHERE);
    show_fault_address();
    show_fault();
}

CASE(fault_load_double)
{
    note_faults();
    ATTEMPT("movs r2, #7\n ldrd r2, r3, [%0, #16]", "r"(NOWHERE));
    show("r2", noted.frame[2]);
    show_fault_address();
    show_fault();
}

CASE(fault_fetch_from_nowhere)
{
    note_faults();
    ATTEMPT("orr r1, %0, #1\n blx r1", "r"(NOWHERE));
    show("pc", noted.frame[6]);
    show("exception", noted.exception);
    show("cfsr", noted.cfsr);
    show_fault_address();
}

CASE(fault_undefined_instruction)
{
    note_faults();
    ATTEMPT("nop\n udf #1", "r"(0));
    show_fault();
}

CASE(fault_undefined_wide_instruction)
{
    note_faults();
    ATTEMPT("udf.w #1", "r"(0));
    show_fault();
}

CASE(fault_branch_to_an_even_address)
{
    note_faults();
    ATTEMPT("adr r1, 92f\n bic r1, r1, #1\n blx r1\n .balign 4\n 92: nop", "r"(0));
    show("thumb bit", noted.frame[7] >> 24 & 1);
    show("exception", noted.exception);
    show("cfsr", noted.cfsr);
    show("offset", noted.frame[6] - began_at);
}

CASE(fault_pop_of_an_even_address)
{
    note_faults();
    ATTEMPT("mov r2, sp\n adr r1, 92f\n bic r1, r1, #1\n push {r0, r1}\n ldr r3, [sp], #4\n pop {pc}\n .balign 4\n 92: nop", "r"(0));
    show("exception", noted.exception);
    show("cfsr", noted.cfsr);
}

CASE(fault_coprocessor_that_is_absent)
{
    note_faults();
    ATTEMPT("mcr p5, #0, r1, c0, c0, #0", "r"(0));
    show_fault();
}

CASE(fault_floating_point_switched_off)
{
    note_faults();
    ATTEMPT("nop\n vmov s0, r1", "r"(0));
    show_fault();
}

CASE(fault_unaligned_double_load)
{
    note_faults();
    ATTEMPT("add r1, %0, #2\n ldrd r2, r3, [r1]", "r"(process_stack));
    show_fault();
}

CASE(fault_unaligned_load_multiple)
{
    note_faults();
    ATTEMPT("add r1, %0, #2\n ldmia r1, {r2, r3}", "r"(process_stack));
    show_fault();
}

CASE(fault_unaligned_store_double)
{
    note_faults();
    process_stack[1] = 0x55;
    ATTEMPT("add r1, %0, #1\n strd r2, r3, [r1]", "r"(process_stack));
    show("memory", process_stack[1]);
    show_fault();
}

CASE(fault_unaligned_exclusive)
{
    note_faults();
    ATTEMPT("add r1, %0, #2\n ldrex r2, [r1]", "r"(process_stack));
    show_fault();
}

CASE(unaligned_word_is_allowed)
{
    note_faults();
    process_stack[0] = 0x44332211;
    process_stack[1] = 0x88776655;
    ATTEMPT("ldr r2, [%0, #1]\n str r2, [%0, #8]\n ldrh r2, [%0, #3]\n str r2, [%0, #12]", "r"(process_stack));
    show("word", process_stack[2]);
    show("half", process_stack[3]);
    show_fault();
}

CASE(unalign_trp_traps_a_word)
{
    note_faults();
    CCR |= 8;
    DSB();
    ATTEMPT("nop\n movs r2, #9\n ldr r2, [%0, #2]", "r"(process_stack));
    show("r2", noted.frame[2]);
    show_fault();
}

CASE(unalign_trp_traps_a_halfword_store)
{
    note_faults();
    CCR |= 8;
    DSB();
    process_stack[0] = 0x77777777;
    ATTEMPT("movs r2, #0\n strh r2, [%0, #1]", "r"(process_stack));
    show("memory", process_stack[0]);
    show_fault();
}

CASE(unalign_trp_lets_aligned_ones_pass)
{
    note_faults();
    CCR |= 8;
    DSB();
    ATTEMPT("ldr r2, [%0, #4]\n ldrh r2, [%0, #2]\n ldrb r2, [%0, #1]\n strb r2, [%0, #3]", "r"(process_stack));
    show_fault();
}

CASE(unalign_trp_leaves_the_base)
{
    note_faults();
    CCR |= 8;
    DSB();
    ATTEMPT("add r1, %0, #1\n mov r12, r1\n ldr r2, [r1, #4]!", "r"(process_stack));
    show("base moved", noted.frame[1] - noted.frame[4]);
    show_fault();
}

CASE(unalign_trp_ends_when_cleared)
{
    note_faults();
    CCR |= 8;
    DSB();
    CCR &= ~8u;
    DSB();
    ATTEMPT("ldr r2, [%0, #2]", "r"(process_stack));
    show_fault();
}

CASE(divide_by_zero_gives_zero)
{
    uint32_t unsigned_, signed_;
    __asm volatile("movs r0, #0\n udiv %0, %2, r0\n sdiv %1, %2, r0" : "=&r"(unsigned_), "=&r"(signed_) : "r"(77) : "r0");
    show("udiv", unsigned_);
    show("sdiv", signed_);
}

CASE(divide_overflow_wraps)
{
    uint32_t quotient;
    __asm volatile("sdiv %0, %1, %2" : "=r"(quotient) : "r"(0x80000000), "r"(0xFFFFFFFF));
    show("sdiv", quotient);
}

CASE(div_0_trp_traps_udiv)
{
    note_faults();
    CCR |= 0x10;
    DSB();
    ATTEMPT("movs r1, #0\n movs r2, #3\n udiv r2, r2, r1", "r"(0));
    show_fault();
}

CASE(div_0_trp_traps_sdiv)
{
    note_faults();
    CCR |= 0x10;
    DSB();
    ATTEMPT("movs r1, #0\n sdiv r2, r1, r1", "r"(0));
    show_fault();
}

CASE(div_0_trp_lets_others_pass)
{
    uint32_t quotient;
    note_faults();
    CCR |= 0x10;
    DSB();
    __asm volatile("udiv %0, %1, %2" : "=r"(quotient) : "r"(91), "r"(7));
    show("quotient", quotient);
    show_fault();
}

CASE(div_0_trp_in_an_it_block)
{
    note_faults();
    CCR |= 0x10;
    DSB();
    ATTEMPT("movs r1, #0\n movs r2, #3\n cmp r1, #0\n ittt eq\n moveq r3, #1\n udiveq r2, r2, r1\n moveq r3, #2", "r"(0));
    show("r3", noted.frame[3]);
    show("it", noted.frame[7] & 0x0600FC00);
    show_fault();
}

CASE(div_0_trp_not_where_the_condition_fails)
{
    note_faults();
    CCR |= 0x10;
    DSB();
    ATTEMPT("movs r1, #0\n movs r2, #3\n cmp r1, #0\n it ne\n udivne r2, r2, r1", "r"(0));
    show_fault();
}

/* --- escalation */

static void hard_only(void)
{
    note_faults();
    SHCSR = 0;
    DSB();
}

CASE(escalated_bus_fault)
{
    hard_only();
    ATTEMPT("ldr r2, [%0]", "r"(NOWHERE));
    show_fault_address();
    show_fault();
}

CASE(escalated_usage_fault)
{
    hard_only();
    ATTEMPT("udf #0", "r"(0));
    show_fault();
}

CASE(escalated_mem_manage_fault)
{
    hard_only();
    ATTEMPT("ldr r1, =0xE0100001\n blx r1\n b 91f\n .ltorg", "r"(0));
    show("exception", noted.exception);
    show("cfsr", noted.cfsr);
    show("hfsr", noted.hfsr);
}

CASE(escalated_by_primask)
{
    note_faults();
    WRITE_SPECIAL(primask, 1);
    ATTEMPT("udf #0", "r"(0));
    show_fault();
}

CASE(escalated_by_basepri)
{
    note_faults();
    priority(BUS_FAULT, 0x80);
    WRITE_SPECIAL(basepri, 0x40);
    ATTEMPT("ldr r2, [%0]", "r"(NOWHERE));
    show_fault();
}

CASE(not_escalated_above_basepri)
{
    note_faults();
    priority(BUS_FAULT, 0x20);
    WRITE_SPECIAL(basepri, 0x40);
    ATTEMPT("ldr r2, [%0]", "r"(NOWHERE));
    show_fault();
}

__attribute__((used)) static void undefined_in_handler(void)
{
    ATTEMPT("udf #0", "r"(0));
    mark('.');
}

CASE(escalated_inside_a_handler_of_equal_priority)
{
    note_faults();
    on(SVCALL, undefined_in_handler);
    __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    show("exc_return", noted.exc_return);
    show_fault();
    show_trace();
}

CASE(fault_inside_a_handler_of_lower_priority)
{
    note_faults();
    on(SVCALL, undefined_in_handler);
    priority(SVCALL, 0x80);
    __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    show("exc_return", noted.exc_return);
    show_fault();
    show_trace();
}

ASM_HANDLER(skips_its_load, "push {r4, lr}\n bl undefined_in_handler\n pop {r4, lr}\n ldr r0, [sp, #24]\n adds r0, #2\n str r0, [sp, #24]\n bx lr\n");

CASE(fault_inside_a_fault_handler)
{
    note_faults();
    on(BUS_FAULT, skips_its_load);
    priority(BUS_FAULT, 0x80);
    __asm volatile("ldr r0, [%0]" ::"l"(NOWHERE) : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    show("exc_return", noted.exc_return);
    show_fault();
    show("active", SHCSR & 0xFFFF);
    show_trace();
}

static void bkpt_test(void)
{
    ATTEMPT("nop\n bkpt #1", "r"(0));
}

/* QEMU says FORCED. */
MANUAL_CASE(breakpoint_without_a_debugger, "DDI0403E C1.6.1, B3.2.16", "exception 0x00000003\npc 0x00000002\nhfsr 0x80000000")
{
    note_faults();
    bkpt_test();
    show("exception", noted.exception);
    show("pc", noted.frame[6] - began_at);
    show("hfsr", noted.hfsr);
}

__attribute__((used)) static uint32_t seen_shcsr;
ASM_HANDLER(notes_shcsr, "ldr r0, =0xE000ED24\n ldr r1, [r0]\n ldr r0, =seen_shcsr\n str r1, [r0]\n b record\n .ltorg\n");

CASE(shcsr_shows_the_active_usage_fault)
{
    note_faults();
    on(USAGE_FAULT, notes_shcsr);
    ATTEMPT("udf #0", "r"(0));
    show("shcsr", *(volatile uint32_t *)&seen_shcsr);
    show("after", SHCSR);
}

CASE(shcsr_shows_the_active_bus_fault)
{
    note_faults();
    on(BUS_FAULT, notes_shcsr);
    ATTEMPT("ldr r1, [%0]", "r"(NOWHERE));
    show("shcsr", *(volatile uint32_t *)&seen_shcsr);
}

CASE(shcsr_shows_the_active_svc)
{
    on(SVCALL, notes_shcsr);
    __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    show("shcsr", *(volatile uint32_t *)&seen_shcsr);
}

CASE(shcsr_shows_the_active_pendsv)
{
    on(PENDSV, notes_shcsr);
    pend(PENDSV);
    show("shcsr", *(volatile uint32_t *)&seen_shcsr);
}

CASE(shcsr_enables_read_back)
{
    SHCSR = 0x00070000;
    show("shcsr", SHCSR);
    SHCSR = 0x00020000;
    show("shcsr", SHCSR);
}

CASE(shcsr_pends_a_usage_fault)
{
    on(USAGE_FAULT, notes_shcsr);
    SHCSR = 1u << 18;
    SHCSR |= 1u << 12;
    DSB();
    show("exception", noted.exception);
    show("shcsr", *(volatile uint32_t *)&seen_shcsr);
}

CASE(cfsr_bits_stay_until_written)
{
    note_faults();
    ATTEMPT("udf #0", "r"(0));
    ATTEMPT("ldr r1, [%0]", "r"(NOWHERE));
    show("cfsr", CFSR);
    CFSR = 0x00010000;
    show("cfsr", CFSR);
    CFSR = 0xFFFFFFFF;
    show("cfsr", CFSR);
}

CASE(cfsr_by_bytes_and_halves)
{
    note_faults();
    ATTEMPT("udf #0", "r"(0));
    ATTEMPT("ldr r1, [%0]", "r"(NOWHERE));
    show("ufsr", HALF(0xE000ED2A));
    show("bfsr", BYTE(0xE000ED29));
    BYTE(0xE000ED29) = 0xFF;
    show("cfsr", CFSR);
    HALF(0xE000ED2A) = 0xFFFF;
    show("cfsr", CFSR);
}

CASE(hfsr_forced_stays_until_written)
{
    hard_only();
    ATTEMPT("udf #0", "r"(0));
    show("hfsr", HFSR);
    HFSR = 0x40000000;
    show("hfsr", HFSR);
}

CASE(fault_addresses_can_be_written)
{
    BFAR = 0x12345678;
    MMFAR = 0x87654321;
    show("bfar", BFAR);
    show("mmfar", MMFAR);
}

/* --- stacking and vectors */

static void stacking_handler(void)
{
    show("exception", READ_SPECIAL(ipsr));
    show("cfsr", CFSR);
    show("hfsr", HFSR);
    show("iabr", IABR);
    show("ispr", ISPR);
    show("psp", READ_SPECIAL(psp));
    finish();
}

static void bad_stack(void)
{
    WRITE_SPECIAL(psp, NOWHERE + 0x100);
    __asm volatile("movs r0, #2\n msr control, r0\n isb\n ldr r0, =0xE000E200\n movs r1, #2\n str r1, [r0]\n dsb\n isb\n b .\n .ltorg" ::: "r0", "r1", "memory");
}

static void irq_on_bad_stack(void) { mark('i'); show_trace(); finish(); }

CASE(stacking_error_taken_first_when_higher)
{
    SHCSR = 7u << 16;
    on(BUS_FAULT, stacking_handler);
    on(HARD_FAULT, stacking_handler);
    on(IRQ(1), irq_on_bad_stack);
    priority(IRQ(1), 0x80);
    enable(1);
    bad_stack();
}

CASE(stacking_error_waits_when_lower)
{
    SHCSR = 7u << 16;
    on(BUS_FAULT, stacking_handler);
    on(HARD_FAULT, stacking_handler);
    on(IRQ(1), stacking_handler);
    priority(BUS_FAULT, 0x80);
    enable(1);
    bad_stack();
}

CASE(stacking_error_escalates_when_disabled)
{
    on(BUS_FAULT, stacking_handler);
    on(HARD_FAULT, stacking_handler);
    on(IRQ(1), stacking_handler);
    enable(1);
    bad_stack();
}

ASM_HANDLER(moves_psp_away, "ldr r0, =0x3F000000\n msr psp, r0\n ldr r0, =0xFFFFFFFD\n bx r0\n .ltorg\n");

CASE(unstacking_error)
{
    SHCSR = 7u << 16;
    on(BUS_FAULT, stacking_handler);
    on(HARD_FAULT, stacking_handler);
    on(SVCALL, moves_psp_away);
    priority(SVCALL, 0x80);
    __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
}

#ifdef CORE_M33
#define END_OF_MEMORY 0x38400000u
#else
#define END_OF_MEMORY 0x20800000u
#endif

/* QEMU reads a zero there. */
MANUAL_CASE(vector_that_lies_in_no_memory, "DDI0403E B1.5.11",
            "exception 0x00000003\ncfsr 0x00000000\nhfsr 0x00000002\niabr 0x00000000\nispr 0x00100000\npsp 0x00000000")
{
    uint32_t *table = (uint32_t *)(END_OF_MEMORY - 0x200);
    for (uint32_t number = 0; number < 128; number++)
        table[number] = (uint32_t)stacking_handler;
    table = (uint32_t *)(END_OF_MEMORY - 0x80);
    for (uint32_t number = 0; number < 32; number++)
        table[number] = (uint32_t)stacking_handler;
    VTOR = (uint32_t)table;
    enable(20);
    pend(IRQ(20));
}

__attribute__((aligned(4))) static void even_handler(void); /* or QEMU calls it unaligned */
CASE(vector_that_is_even)
{
    note_faults();
    on(IRQ(1), (handler *)((uint32_t)even_handler & ~1u));
    priority(IRQ(1), 0x80);
    enable(1);
    on(USAGE_FAULT, stacking_handler);
    pend(IRQ(1));
}
static void even_handler(void) { mark('!'); }

CASE(execute_in_device_memory)
{
    note_faults();
    ATTEMPT("ldr r1, =0x40004001\n blx r1\n b 91f\n .ltorg", "r"(0));
    show("exception", noted.exception);
    show("cfsr", noted.cfsr);
    show("pc", noted.frame[6]);
}

CASE(execute_in_the_system_space)
{
    note_faults();
    ATTEMPT("ldr r1, =0xE000E001\n blx r1\n b 91f\n .ltorg", "r"(0));
    show("exception", noted.exception);
    show("cfsr", noted.cfsr);
    show("pc", noted.frame[6]);
}

MANUAL_CASE(lockup_fault_in_hard_fault, "DDI0403E B1.5.15", "trace h\n-- locks up")
{
    on(HARD_FAULT, undefined_in_handler);
    mark('h');
    show_trace();
    __asm volatile("udf #0");
}

MANUAL_CASE(lockup_fault_in_nmi, "DDI0403E B1.5.15", "trace n\n-- locks up")
{
    on(NMI, undefined_in_handler);
    mark('n');
    show_trace();
    pend(NMI);
}

MANUAL_CASE(lockup_fault_with_faultmask, "DDI0403E B1.5.15", "trace f\n-- locks up")
{
    mark('f');
    show_trace();
    __asm volatile("cpsid f\n udf #0");
}
