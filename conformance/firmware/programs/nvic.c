/* Which exception is taken when, and what the NVIC's registers show (DDI0403E B1.5.4, B3.4). */
#include "harness.h"

static void irq1(void) { mark('1'); }
static void irq2(void) { mark('2'); }
static void irq3(void) { mark('3'); }
static void nmi(void) { mark('n'); }
static void pendsv(void) { mark('p'); }
static void systick(void) { mark('t'); }

static void pends_2(void)
{
    mark('(');
    pend(IRQ(2));
    mark(')');
}

static void pends_2_and_3(void)
{
    mark('(');
    ISPR = 1u << 3;
    ISPR = 1u << 2;
    DSB();
    mark(')');
}

static void three(void)
{
    on(IRQ(1), irq1);
    on(IRQ(2), irq2);
    on(IRQ(3), irq3);
    ISER = 0xE;
    DSB();
}

CASE(nvic_pended_interrupt_is_taken)
{
    on(IRQ(1), irq1);
    enable(1);
    pend(IRQ(1));
    show_trace();
}

CASE(nvic_lowest_number_first_among_equals)
{
    three();
    WRITE_SPECIAL(primask, 1);
    ISPR = 1u << 3;
    ISPR = 1u << 1;
    ISPR = 1u << 2;
    WRITE_SPECIAL(primask, 0);
    show_trace();
}

CASE(nvic_higher_priority_first_over_lower_number)
{
    three();
    priority(IRQ(1), 0x80);
    priority(IRQ(2), 0xC0);
    priority(IRQ(3), 0x40);
    WRITE_SPECIAL(primask, 1);
    ISPR = 0xE;
    WRITE_SPECIAL(primask, 0);
    show_trace();
}

CASE(nvic_higher_priority_preempts)
{
    three();
    on(IRQ(1), pends_2);
    priority(IRQ(1), 0x80);
    priority(IRQ(2), 0x40);
    pend(IRQ(1));
    show_trace();
}

CASE(nvic_equal_priority_waits)
{
    three();
    on(IRQ(1), pends_2);
    priority(IRQ(1), 0x80);
    priority(IRQ(2), 0x80);
    pend(IRQ(1));
    show_trace();
}

CASE(nvic_lower_priority_waits)
{
    three();
    on(IRQ(1), pends_2);
    priority(IRQ(1), 0x40);
    priority(IRQ(2), 0x80);
    pend(IRQ(1));
    show_trace();
}

CASE(nvic_subpriority_does_not_preempt)
{
    three();
    on(IRQ(1), pends_2);
    AIRCR = VECTKEY | 6 << 8; /* one bit of group */
    priority(IRQ(1), 0x60);
    priority(IRQ(2), 0x20);
    pend(IRQ(1));
    show_trace();
}

CASE(nvic_subpriority_orders_what_waits)
{
    three();
    AIRCR = VECTKEY | 6 << 8;
    priority(IRQ(1), 0x60);
    priority(IRQ(2), 0x40);
    priority(IRQ(3), 0x20);
    WRITE_SPECIAL(primask, 1);
    ISPR = 0xE;
    WRITE_SPECIAL(primask, 0);
    show_trace();
}

CASE(nvic_group_of_no_bits_never_preempts)
{
    three();
    on(IRQ(1), pends_2);
    AIRCR = VECTKEY | 7 << 8;
    priority(IRQ(1), 0xFF);
    priority(IRQ(2), 0x00);
    pend(IRQ(1));
    show_trace();
}

CASE(nvic_prigroup_reads_back_with_key_status)
{
    AIRCR = VECTKEY | 5 << 8;
    show("aircr", AIRCR);
}

CASE(nvic_aircr_without_key_is_ignored)
{
    AIRCR = VECTKEY | 3 << 8;
    AIRCR = 0x12340000u | 6 << 8;
    show("aircr", AIRCR);
}

CASE(nvic_priority_reads_back)
{
    priority(IRQ(5), 0xFF);
    priority(IRQ(6), 0x5A);
    show("5", IPR(5));
    show("6", IPR(6));
}

CASE(nvic_priority_words_hold_four_interrupts)
{
    REG(0xE000E404) = 0x40302010;
    show("4", IPR(4));
    show("7", IPR(7));
    HALF(0xE000E406) = 0x8070;
    show("word", REG(0xE000E404));
}

CASE(nvic_system_priorities_read_back)
{
    REG(0xE000ED18) = 0xFFFFFFFF;
    REG(0xE000ED1C) = 0xFFFFFFFF;
    REG(0xE000ED20) = 0xFFFFFFFF;
    show("shpr2", REG(0xE000ED1C));
    show("pendsv", SHPR(14));
    show("systick", SHPR(15));
    show("usage", SHPR(6));
}

CASE(nvic_enable_sets_and_clear_clears)
{
    ISER = 0x0F0F;
    show("iser", ISER);
    show("icer", ICER);
    ICER = 0x0C03;
    show("iser", ISER);
    ISER = 0;
    show("iser", ISER);
}

CASE(nvic_pending_reads_back_while_disabled)
{
    ISPR = 0x00F0;
    show("ispr", ISPR);
    show("icpr", ICPR);
    ICPR = 0x0030;
    show("ispr", ISPR);
}

CASE(nvic_pending_is_taken_when_enabled)
{
    on(IRQ(1), irq1);
    pend(IRQ(1));
    mark('e');
    enable(1);
    show_trace();
}

CASE(nvic_cleared_pending_is_not_taken)
{
    on(IRQ(1), irq1);
    pend(IRQ(1));
    ICPR = 2;
    enable(1);
    mark('e');
    show_trace();
}

static void shows_active(void)
{
    show("iabr", IABR);
    show("ispr", ISPR);
    show("iser", ISER);
}

CASE(nvic_active_in_handler_and_no_longer_pending)
{
    on(IRQ(7), shows_active);
    enable(7);
    pend(IRQ(7));
    show("iabr", IABR);
}

CASE(nvic_stir_pends)
{
    on(IRQ(3), irq3);
    enable(3);
    STIR = 3;
    DSB();
    show_trace();
}

CASE(nvic_vectpending_names_highest_that_is_masked)
{
    three();
    priority(IRQ(1), 0x80);
    priority(IRQ(2), 0x40);
    WRITE_SPECIAL(primask, 1);
    ISPR = 6;
    DSB();
    show("icsr", ICSR & 0x1FFFFF);
    ICPR = 6;
    DSB();
    show("icsr", ICSR & 0x1FFFFF);
}

CASE(nvic_vectpending_ignores_disabled)
{
    ISPR = 0x10;
    DSB();
    show("vectpending", ICSR >> 12 & 0x1FF);
}

static void shows_vectactive(void)
{
    show("vectactive", ICSR & 0x1FF);
    show("ipsr", READ_SPECIAL(ipsr));
}

CASE(nvic_vectactive_is_ipsr)
{
    on(IRQ(9), shows_vectactive);
    enable(9);
    pend(IRQ(9));
    shows_vectactive();
}

static void shows_rettobase(void) { show("rettobase", ICSR >> 11 & 1); }
static void shows_rettobase_and_pends(void)
{
    shows_rettobase();
    pend(IRQ(2));
    shows_rettobase();
}

CASE(nvic_rettobase_when_alone)
{
    on(IRQ(1), shows_rettobase_and_pends);
    on(IRQ(2), shows_rettobase);
    ISER = 6;
    priority(IRQ(1), 0x80);
    pend(IRQ(1));
}

CASE(nvic_isrpending_shows_external_ones)
{
    WRITE_SPECIAL(primask, 1);
    show("isrpending", ICSR >> 22 & 1);
    ISER = 2;
    ISPR = 2;
    DSB();
    show("isrpending", ICSR >> 22 & 1);
    ICPR = 2;
}

static uint32_t again;
static void pends_itself(void)
{
    mark('(');
    if (again++ < 2)
        pend(IRQ(1));
    mark(')');
}

CASE(nvic_pending_itself_is_taken_again)
{
    on(IRQ(1), pends_itself);
    enable(1);
    pend(IRQ(1));
    show_trace();
}

CASE(nvic_tail_chain_by_priority)
{
    three();
    on(IRQ(1), pends_2_and_3);
    priority(IRQ(1), 0x20);
    priority(IRQ(2), 0x80);
    priority(IRQ(3), 0x40);
    pend(IRQ(1));
    show_trace();
}

static void pends_and_unpends(void)
{
    ISPR = 4;
    DSB();
    ICPR = 4;
    DSB();
    mark('1');
}

CASE(nvic_unpended_in_handler_is_not_chained)
{
    three();
    on(IRQ(1), pends_and_unpends);
    pend(IRQ(1));
    show_trace();
}

CASE(nvic_priority_change_reorders_what_waits)
{
    three();
    WRITE_SPECIAL(primask, 1);
    ISPR = 6;
    priority(IRQ(1), 0x80);
    WRITE_SPECIAL(primask, 0);
    show_trace();
}

static void lowers_itself(void)
{
    mark('(');
    pend(IRQ(2));
    mark('-');
    priority(IRQ(1), 0xC0);
    mark(')');
}

CASE(nvic_lowered_active_priority_lets_through)
{
    three();
    on(IRQ(1), lowers_itself);
    priority(IRQ(1), 0x40);
    priority(IRQ(2), 0x80);
    pend(IRQ(1));
    show_trace();
}

static void disables_itself(void)
{
    ICER = 2;
    DSB();
    show("iabr", IABR);
    show("iser", ISER);
}

CASE(nvic_disabled_while_active_stays_active)
{
    on(IRQ(1), disables_itself);
    enable(1);
    pend(IRQ(1));
    show("iabr", IABR);
}

CASE(nvic_nmi_needs_no_enable)
{
    on(NMI, nmi);
    pend(NMI);
    show_trace();
}

static void pends_nmi(void)
{
    mark('(');
    pend(NMI);
    mark(')');
}

CASE(nvic_nmi_preempts_highest_priority)
{
    on(NMI, nmi);
    on(IRQ(1), pends_nmi);
    priority(IRQ(1), 0);
    enable(1);
    pend(IRQ(1));
    show_trace();
}

static void pends_1(void)
{
    pend(IRQ(1));
    mark('n');
}

CASE(nvic_nothing_preempts_nmi)
{
    on(NMI, pends_1);
    three();
    pend(NMI);
    show_trace();
}

CASE(nvic_pendsv_set_and_cleared)
{
    on(PENDSV, pendsv);
    WRITE_SPECIAL(primask, 1);
    ICSR = PENDSVSET;
    DSB();
    show("icsr", ICSR & 0xF0000000);
    ICSR = PENDSVCLR;
    DSB();
    show("icsr", ICSR & 0xF0000000);
    WRITE_SPECIAL(primask, 0);
    mark('.');
    show_trace();
}

CASE(nvic_systick_set_and_cleared)
{
    on(SYSTICK, systick);
    WRITE_SPECIAL(primask, 1);
    ICSR = PENDSTSET;
    DSB();
    show("icsr", ICSR >> 25 & 3);
    ICSR = PENDSTCLR;
    DSB();
    show("icsr", ICSR >> 25 & 3);
    WRITE_SPECIAL(primask, 0);
    mark('.');
    show_trace();
}

CASE(nvic_system_exceptions_by_number)
{
    on(PENDSV, pendsv);
    on(SYSTICK, systick);
    three();
    WRITE_SPECIAL(primask, 1);
    ISPR = 2;
    ICSR = PENDSVSET | PENDSTSET;
    WRITE_SPECIAL(primask, 0);
    show_trace();
}

CASE(nvic_interrupt_lines_count)
{
#ifndef CORE_M33 /* of its 124 lines QEMU counts three words */
    show("ictr", ICTR);
#endif
    REG(0xE000E100) = 0xFFFFFFFF;
    REG(0xE000E104) = 0xFFFFFFFF;
    REG(0xE000E108) = 0xFFFFFFFF;
    REG(0xE000E10C) = 0xFFFFFFFF;
    for (uint32_t word = 0; word < 4; word++)
        show("iser", REG(0xE000E100 + 4 * word));
}

static void enables_2(void)
{
    mark('(');
    enable(2);
    mark(')');
}

CASE(nvic_enable_in_handler_takes_what_waits)
{
    on(IRQ(1), enables_2);
    on(IRQ(2), irq2);
    enable(1);
    priority(IRQ(1), 0x80);
    ISPR = 4;
    pend(IRQ(1));
    show_trace();
}

static void three_deep_3(void) { mark('3'); show("iabr", IABR); }
static void three_deep_2(void) { mark('['); pend(IRQ(3)); mark(']'); }
static void three_deep_1(void) { mark('('); pend(IRQ(2)); mark(')'); }

CASE(nvic_three_deep)
{
    on(IRQ(1), three_deep_1);
    on(IRQ(2), three_deep_2);
    on(IRQ(3), three_deep_3);
    priority(IRQ(1), 0xC0);
    priority(IRQ(2), 0x80);
    priority(IRQ(3), 0x40);
    ISER = 0xE;
    pend(IRQ(1));
    show_trace();
}

/* --- VTOR */

__attribute__((aligned(1024))) static uint32_t other_vectors[64];

CASE(vtor_reads_back_aligned)
{
    VTOR = 0xFFFFFFFF;
    show("vtor", VTOR);
    VTOR = 0x20001080;
    show("vtor", VTOR);
}

CASE(vtor_moves_the_handlers)
{
    other_vectors[IRQ(1)] = (uint32_t)irq2;
    on(IRQ(1), irq1);
    enable(1);
    pend(IRQ(1));
    VTOR = (uint32_t)other_vectors;
    DSB();
    pend(IRQ(1));
    show_trace();
}

CASE(vtor_moved_while_pending)
{
    other_vectors[IRQ(1)] = (uint32_t)irq2;
    on(IRQ(1), irq1);
    enable(1);
    WRITE_SPECIAL(primask, 1);
    ISPR = 2;
    VTOR = (uint32_t)other_vectors;
    WRITE_SPECIAL(primask, 0);
    show_trace();
}

static void moves_table(void)
{
    VTOR = (uint32_t)other_vectors;
    DSB();
    mark('(');
    pend(IRQ(2));
    mark(')');
}

CASE(vtor_moved_in_a_handler)
{
    other_vectors[IRQ(2)] = (uint32_t)irq3;
    on(IRQ(1), moves_table);
    on(IRQ(2), irq2);
    priority(IRQ(1), 0x80);
    ISER = 6;
    pend(IRQ(1));
    show_trace();
}
