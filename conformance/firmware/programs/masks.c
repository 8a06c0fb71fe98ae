/* PRIMASK, BASEPRI, FAULTMASK and what unmasks (DDI0403E B1.4.3, B1.5.4). */
#include "harness.h"

static void irq1(void) { mark('1'); }
static void irq2(void) { mark('2'); }
static void nmi(void) { mark('n'); }

static void begin(void)
{
    on(IRQ(1), record);
    resume_at = 0;
    enable(1);
}

/* The program counts in r2 around the instruction that unmasks; the frame shows where the exception came. */
#define UNMASK(BEFORE, AFTER)                                                                                 \
    __asm volatile("movs r2, #0\n" BEFORE "\n str %1, [%0]\n dsb\n adds r2, #1\n" AFTER "\n adds r2, #16\n adds r2, #16\n" \
                   ::"r"(&ISPR), "r"(2u)                                                                       \
                   : "r0", "r1", "r2", "r3", "r12", "cc", "memory");                                           \
    show("taken at", noted.frame[2]);                                                                          \
    show("count", noted.count)

CASE(mask_cpsie_i_takes_at_once)
{
    begin();
    UNMASK("cpsid i", "cpsie i");
}

CASE(mask_msr_primask_takes_at_once)
{
    begin();
    UNMASK("movs r0, #1\n msr primask, r0", "movs r0, #0\n msr primask, r0");
}

CASE(mask_msr_basepri_takes_at_once)
{
    begin();
    priority(IRQ(1), 0x80);
    UNMASK("movs r0, #0x40\n msr basepri, r0", "movs r0, #0\n msr basepri, r0");
}

CASE(mask_basepri_lowered_just_enough)
{
    begin();
    priority(IRQ(1), 0x80);
    UNMASK("movs r0, #0x40\n msr basepri, r0", "movs r0, #0x81\n msr basepri, r0");
    show("basepri", READ_SPECIAL(basepri));
}

CASE(mask_msr_faultmask_takes_at_once)
{
    begin();
    UNMASK("movs r0, #1\n msr faultmask, r0", "movs r0, #0\n msr faultmask, r0");
}

CASE(mask_cpsie_f_takes_at_once)
{
    begin();
    UNMASK("cpsid f", "cpsie f");
}

CASE(mask_two_masks_need_both_cleared)
{
    begin();
    UNMASK("cpsid i\n cpsid f", "cpsie i\n adds r2, #4\n cpsie f");
}

CASE(mask_basepri_holds_equal_priority)
{
    on(IRQ(1), irq1);
    on(IRQ(2), irq2);
    ISER = 6;
    priority(IRQ(1), 0x80);
    priority(IRQ(2), 0x7F);
    WRITE_SPECIAL(basepri, 0x80);
    ISPR = 6;
    DSB();
    mark('.');
    WRITE_SPECIAL(basepri, 0);
    show_trace();
}

CASE(mask_basepri_by_group_only)
{
    on(IRQ(1), irq1);
    enable(1);
    AIRCR = VECTKEY | 6 << 8;
    priority(IRQ(1), 0x10);
    WRITE_SPECIAL(basepri, 0x60);
    pend(IRQ(1));
    mark('.');
    WRITE_SPECIAL(basepri, 0x80);
    mark(',');
    WRITE_SPECIAL(basepri, 0);
    show_trace();
}

CASE(mask_basepri_max_only_raises)
{
    WRITE_SPECIAL(basepri, 0x40);
    WRITE_SPECIAL(basepri_max, 0x80);
    show("basepri", READ_SPECIAL(basepri));
    WRITE_SPECIAL(basepri_max, 0x20);
    show("basepri", READ_SPECIAL(basepri));
    WRITE_SPECIAL(basepri_max, 0);
    show("basepri", READ_SPECIAL(basepri));
}

CASE(mask_basepri_max_sets_from_zero)
{
    WRITE_SPECIAL(basepri_max, 0x60);
    show("basepri", READ_SPECIAL(basepri));
    show("by its other name", READ_SPECIAL(basepri_max));
}

CASE(mask_primask_keeps_one_bit)
{
    WRITE_SPECIAL(primask, 0xFFFFFFFF);
    show("primask", READ_SPECIAL(primask));
    WRITE_SPECIAL(primask, 0xFFFFFFFE);
    show("primask", READ_SPECIAL(primask));
}

CASE(mask_nmi_comes_through_faultmask)
{
    on(NMI, nmi);
    __asm volatile("cpsid f\n cpsid i" ::: "memory");
    pend(NMI);
    show_trace();
    show("faultmask", READ_SPECIAL(faultmask));
}

static void sets_faultmask(void)
{
    WRITE_SPECIAL(faultmask, 1);
    show("in handler", READ_SPECIAL(faultmask));
}

CASE(mask_faultmask_cleared_by_return)
{
    on(IRQ(1), sets_faultmask);
    enable(1);
    pend(IRQ(1));
    show("after", READ_SPECIAL(faultmask));
}

CASE(mask_faultmask_kept_by_return_from_nmi)
{
    on(NMI, sets_faultmask);
    WRITE_SPECIAL(faultmask, 1);
    on(NMI, nmi);
    pend(NMI);
    show("after", READ_SPECIAL(faultmask));
}

static void sets_primask(void) { WRITE_SPECIAL(primask, 1); }

CASE(mask_primask_outlives_the_handler)
{
    on(IRQ(1), sets_primask);
    enable(1);
    pend(IRQ(1));
    show("after", READ_SPECIAL(primask));
}

CASE(mask_faultmask_ignored_in_hard_fault)
{
    on(HARD_FAULT, sets_faultmask);
    resume_at = 0;
    on(IRQ(2), irq2);
    __asm volatile("cpsid i" ::: "memory");
    on(HARD_FAULT, record);
    ATTEMPT("svc #1", "r"(0));
    show("exception", noted.exception);
    show("faultmask", READ_SPECIAL(faultmask));
}

static void waits_masked(void)
{
    mark('(');
    __asm volatile("cpsid i" ::: "memory");
    ISPR = 4;
    DSB();
    mark('-');
    __asm volatile("cpsie i\n isb" ::: "memory");
    mark(')');
}

CASE(mask_primask_inside_a_handler)
{
    on(IRQ(1), waits_masked);
    on(IRQ(2), irq2);
    priority(IRQ(1), 0x80);
    ISER = 6;
    pend(IRQ(1));
    show_trace();
}

CASE(mask_set_again_before_anything_pends)
{
    on(IRQ(1), irq1);
    enable(1);
    __asm volatile("cpsid i\n cpsie i\n cpsid i" ::: "memory");
    pend(IRQ(1));
    mark('.');
    __asm volatile("cpsie i\n isb" ::: "memory");
    show_trace();
}

CASE(mask_one_instruction_window)
{
    on(IRQ(1), irq1);
    enable(1);
    __asm volatile("cpsid i" ::: "memory");
    ISPR = 2;
    __asm volatile("dsb\n cpsie i\n cpsid i" ::: "memory");
    show_trace();
    ICPR = 2;
}

/* --- without privilege */

static uint32_t read_primask, read_basepri, read_control;

CASE(unprivileged_masks_read_zero)
{
    WRITE_SPECIAL(basepri, 0x40);
    WRITE_SPECIAL(primask, 0);
    priority(SVCALL, 0x20);
    unprivileged();
    read_primask = READ_SPECIAL(primask);
    read_basepri = READ_SPECIAL(basepri);
    read_control = READ_SPECIAL(control);
    privileged();
    show("primask", read_primask);
    show("basepri", read_basepri);
    show("control", read_control);
    show("basepri", READ_SPECIAL(basepri));
}

CASE(unprivileged_cps_is_ignored)
{
    unprivileged();
    __asm volatile("cpsid i\n cpsid f" ::: "memory");
    privileged();
    show("primask", READ_SPECIAL(primask));
    show("faultmask", READ_SPECIAL(faultmask));
}

CASE(unprivileged_msr_is_ignored)
{
    unprivileged();
    WRITE_SPECIAL(primask, 1);
    WRITE_SPECIAL(basepri, 0x40);
    WRITE_SPECIAL(psp, 0x20000100);
    WRITE_SPECIAL(control, 0);
    read_control = READ_SPECIAL(control);
    privileged();
    show("control", read_control);
    show("primask", READ_SPECIAL(primask));
    show("basepri", READ_SPECIAL(basepri));
    show("psp", READ_SPECIAL(psp));
}

CASE(unprivileged_flags_can_be_written)
{
    uint32_t flags;
    unprivileged();
    __asm volatile("msr apsr_nzcvq, %1\n mrs %0, apsr" : "=r"(flags) : "r"(0xA8000000) : "cc");
    privileged();
    show("apsr", flags & 0xF8000000);
}

static uint32_t read_ipsr;
CASE(unprivileged_ipsr_and_stacks_read_zero)
{
    uint32_t msp;
    unprivileged();
    read_ipsr = READ_SPECIAL(ipsr);
    msp = READ_SPECIAL(msp);
    privileged();
    show("ipsr", read_ipsr);
    show("msp", msp);
}

/* --- status registers */

static void shows_status(void)
{
    show("ipsr", READ_SPECIAL(ipsr));
    show("iepsr", READ_SPECIAL(iepsr));
    show("epsr", READ_SPECIAL(epsr));
}

CASE(status_ipsr_in_a_handler_and_epsr_zero)
{
    on(IRQ(4), shows_status);
    enable(4);
    pend(IRQ(4));
    shows_status();
}

CASE(status_ipsr_and_epsr_cannot_be_written)
{
    __asm volatile("msr iepsr, %0\n isb" ::"r"(0xFFFFFFFF) : "cc");
    shows_status();
}

CASE(status_flags_by_msr)
{
    uint32_t flags;
    __asm volatile("msr apsr_nzcvq, %1\n mrs %0, apsr" : "=r"(flags) : "r"(0xF8000000) : "cc");
    show("all", flags & 0xF8000000);
    __asm volatile("msr apsr_nzcvq, %1\n mrs %0, apsr" : "=r"(flags) : "r"(0x50000000) : "cc");
    show("two", flags & 0xF8000000);
}

CASE(status_ge_bits_by_msr_and_sel)
{
    uint32_t flags, selected;
    __asm volatile("msr apsr_g, %2\n sel %1, %3, %4\n mrs %0, apsr"
                   : "=&r"(flags), "=&r"(selected) : "r"(0x00050000), "r"(0x11223344), "r"(0xAABBCCDD) : "cc");
    show("ge", flags & 0xF0000);
    show("selected", selected);
}

static void changes_flags(void)
{
    __asm volatile("msr apsr_nzcvqg, %0" ::"r"(0) : "cc");
}

CASE(status_flags_and_ge_restored_by_return)
{
    uint32_t flags;
    on(SVCALL, changes_flags);
    __asm volatile("msr apsr_nzcvqg, %1\n svc #0\n mrs %0, apsr"
                   : "=r"(flags) : "r"(0xF80F0000) : "cc", "r0", "r1", "r2", "r3", "r12", "lr", "memory");
    show("apsr", flags & 0xF80F0000);
}
