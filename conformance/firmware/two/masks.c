/* A doorbell that rings while it is held back, and the instruction at which it is taken (DDI0553B B3.12, B3.32). */
#include "harness.h"

static void begin_masks(void)
{
    on(IRQ(BELL(0)), record_bell);
    enable(BELL(0));
    resume_at = 0;
    noted.count = 0;
}

/* The other core rings while BEFORE holds; r2 counts around the instruction that lets the doorbell in. */
#define HELD(BEFORE, AFTER)                                                                                \
    begin_masks();                                                                                         \
    __asm volatile(BEFORE ::: "r0", "memory");                                                             \
    other(rings_0);                                                                                        \
    show("pending", ISPR >> BELL(0) & 3);                                                                  \
    __asm volatile("movs r2, #0\n nop\n adds r2, #1\n" AFTER "\n adds r2, #16\n adds r2, #16\n" ::         \
                       : "r0", "r1", "r2", "r3", "r12", "cc", "memory");                                   \
    show("taken at", noted.frame[2]);                                                                      \
    show("count", noted.count)

BOTH(held_by_primask_until_cpsie) { HELD("cpsid i", "cpsie i"); }
BOTH(held_by_primask_until_msr) { HELD("movs r0, #1\n msr primask, r0", "movs r0, #0\n msr primask, r0"); }
BOTH(held_by_faultmask_until_cpsie) { HELD("cpsid f", "cpsie f"); }
BOTH(held_by_faultmask_until_msr) { HELD("movs r0, #1\n msr faultmask, r0", "movs r0, #0\n msr faultmask, r0"); }
BOTH(held_by_two_masks_until_both_are_cleared) { HELD("cpsid i\n cpsid f", "cpsie f\n adds r2, #4\n cpsie i"); }

BOTH(held_by_basepri_until_cleared)
{
    priority(IRQ(BELL(0)), 0x80);
    HELD("movs r0, #0x40\n msr basepri, r0", "movs r0, #0\n msr basepri, r0");
}

BOTH(held_by_basepri_of_equal_priority)
{
    priority(IRQ(BELL(0)), 0x80);
    HELD("movs r0, #0x80\n msr basepri, r0", "movs r0, #0xC0\n msr basepri, r0\n adds r2, #4\n movs r0, #0\n msr basepri, r0");
}

BOTH(held_until_its_priority_is_raised)
{
    priority(IRQ(BELL(0)), 0x80);
    HELD("movs r0, #0x80\n msr basepri, r0", "ldr r0, =0xE000E406\n movs r1, #0x20\n strb r1, [r0]\n dsb\n b 1f\n .ltorg\n 1:");
    WRITE_SPECIAL(basepri, 0);
}

BOTH(held_until_it_is_enabled)
{
    HELD("ldr r0, =0xE000E180\n mov r1, #0xC0\n str r1, [r0]\n dsb\n b 1f\n .ltorg\n 1:",
         "ldr r0, =0xE000E100\n movs r1, #0x40\n str r1, [r0]\n dsb\n b 1f\n .ltorg\n 1:");
}

BOTH(held_and_masked_again_in_between) { HELD("cpsid i", "cpsie i\n cpsid i\n adds r2, #4\n cpsie i"); }

BOTH(held_until_an_it_block_unmasks)
{
    HELD("cpsid i", "cmp r2, r2\n mov.w r0, #0\n itt eq\n addeq r2, r2, #4\n msreq primask, r0");
    show("it", noted.frame[7] & 0x0600FC00);
}

/* The whole of what is stacked where the doorbell comes in. */
BOTH(held_then_everything_is_stacked)
{
    uint32_t flags, begun;
    begin_masks();
    MASK();
    other(rings_0);
    __asm volatile("mov r0, #0x1000\n mov r1, #0x1100\n mov r2, #0x1200\n mov r3, #0x1300\n mov r12, #0x1400\n mov lr, #0x1500\n"
                   "subs r3, r3, r3\n adr.w %1, 1f\n cpsie i\n 1: nop\n mrs %0, apsr"
                   : "=&r"(flags), "=&r"(begun)::"r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    for (int word = 0; word < 6; word++)
        show("stacked", noted.frame[word]);
    show("pc", noted.frame[6] - (begun & ~1u));
    show("xpsr", noted.frame[7]);
    show("flags", flags);
    show("exc_return", noted.exc_return);
}

static void returns_from_nmi(void) { mark('n'); }
BOTH(held_by_faultmask_that_a_return_clears)
{
    on(IRQ(BELL(0)), bell_a);
    on(NMI, returns_from_nmi);
    enable(BELL(0));
    priority(PENDSV, 0);
    __asm volatile("cpsid f" ::: "memory");
    other(rings_0);
    mark('.');
    pend(NMI); /* its return leaves FAULTMASK; that of PendSV would clear it, and cannot be had now */
    mark('.');
    show("faultmask", READ_SPECIAL(faultmask));
    __asm volatile("cpsie f\n isb" ::: "memory");
    show_trace();
}

static void masks_and_is_rung(void)
{
    mark('(');
    __asm volatile("cpsid f" ::: "memory");
    other(rings_1);
    show("inside", ISPR >> BELL(0) & 3);
    hush(0, 1);
    mark(')');
}
BOTH(held_by_faultmask_until_the_handler_returns)
{
    bells();
    on(IRQ(BELL(0)), masks_and_is_rung);
    priority(IRQ(BELL(0)), 0x80);
    priority(IRQ(BELL(1)), 0x40);
    other(rings_0);
    show("faultmask", READ_SPECIAL(faultmask));
    show_trace();
}

static void masks_and_returns(void)
{
    mark('(');
    MASK();
    hush(0, 1);
    mark(')');
}
BOTH(held_by_primask_beyond_the_return)
{
    bells();
    on(IRQ(BELL(0)), masks_and_returns);
    other(rings_0);
    show("primask", READ_SPECIAL(primask));
    other(rings_1);
    mark('.');
    UNMASK();
    show_trace();
}

static void without_privilege(void)
{
    unprivileged();
    __asm volatile("cpsie i\n nop" ::: "memory"); /* ignored */
    WORD(30) = 1;
    privileged();
}
BOTH(held_although_unprivileged_code_unmasks)
{
    bells();
    priority(SVCALL, 0);
    priority(IRQ(BELL(0)), 0x80);
    WRITE_SPECIAL(basepri, 0x40);
    other(rings_0);
    unprivileged();
    __asm volatile("movs r0, #0\n msr basepri, r0" ::: "r0", "memory");
    privileged();
    mark('.');
    show("basepri", READ_SPECIAL(basepri));
    WRITE_SPECIAL(basepri, 0);
    show_trace();
}

BOTH(held_by_neither_for_unprivileged_code)
{
    begin_masks();
    without_privilege();
    MASK();
    other(rings_0);
    __asm volatile("movs r2, #0\n cpsie i\n movs r2, #1" ::: "r2", "cc", "memory");
    show("count", noted.count);
    show("r2", noted.frame[2]);
}

BOTH(held_twice_taken_twice)
{
    begin_masks();
    for (int round = 0; round < 2; round++) {
        MASK();
        other(rings_0);
        UNMASK();
    }
    show("count", noted.count);
}

BOTH(held_by_basepri_max)
{
    priority(IRQ(BELL(0)), 0x80);
    HELD("movs r0, #0x60\n msr basepri_max, r0\n movs r0, #0xA0\n msr basepri_max, r0", "movs r0, #0\n msr basepri_max, r0\n adds r2, #4\n msr basepri, r0");
}
