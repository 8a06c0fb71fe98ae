/* Sleep, and the other core that ends it (DDI0553B B3.30, B3.31). */
#include "harness.h"

static void later_rings_0(void)
{
    for (int round = 0; round < 200; round++)
        YIELD();
    WORD(0) = 1;
    ring(0, 1);
}

static void tick(void)
{
    mark('t');
    SYST_CSR = 0;
}
static void tick_in(uint32_t cycles)
{
    on(SYSTICK, tick);
    SYST_RVR = cycles;
    SYST_CVR = 0;
    SYST_CSR = 7;
}

BOTH(wfi_ended_by_a_doorbell)
{
    WORD(0) = 0;
    bells();
    begin(later_rings_0);
    while (!WORD(0))
        __asm volatile("wfi" ::: "memory");
    end();
    show_trace();
}

BOTH(wfi_ended_by_a_doorbell_that_primask_holds)
{
    WORD(0) = 0;
    bells();
    MASK();
    begin(later_rings_0);
    __asm volatile("dsb\n wfi" ::: "memory");
    show("rung", WORD(0));
    mark('.');
    UNMASK();
    end();
    show_trace();
}

BOTH(wfi_passes_when_a_doorbell_is_pending)
{
    bells();
    MASK();
    other(rings_0);
    __asm volatile("dsb\n wfi" ::: "memory");
    mark('.');
    UNMASK();
    show_trace();
}

BOTH(wfi_not_ended_by_a_doorbell_that_is_disabled)
{
    WORD(0) = 0;
    tick_in(40000);
    begin(later_rings_0);
    __asm volatile("dsb\n wfi" ::: "memory");
    show_trace();
    end();
    hush(0, 1);
    ICPR = 1u << BELL(0);
}

static void rings_50(void)
{
    for (uint32_t count = 1; count <= 50; count++) {
        ring(count & 1, 1);
        while (WORD(1) < count)
            YIELD();
    }
}
static void counts(void)
{
    hush(0, 1);
    hush(1, 1);
    WORD(1)++;
}
BOTH(wfi_fifty_times)
{
    WORD(1) = 0;
    on(IRQ(BELL(0)), counts);
    on(IRQ(BELL(1)), counts);
    ISER = 3u << BELL(0);
    begin(rings_50);
    while (WORD(1) < 50)
        __asm volatile("cpsid i\n dsb\n wfi\n cpsie i\n isb" ::: "memory");
    end();
    show("count", WORD(1));
}

/* Each sleeps until the other one rings. */
static void counts_own(void)
{
    hush(0, 1);
    WORD(2 + this_core())++;
}
static void sleeps_and_rings(void)
{
    uint32_t me = this_core();
    on(IRQ(BELL(0)), counts_own);
    enable(BELL(0));
    reach(1);
    await_stage(1);
    for (uint32_t round = 1; round <= 30; round++) {
        if (!me)
            ring(0, 1);
        for (;;) {
            MASK();
            if (WORD(2 + me) >= round)
                break;
            __asm volatile("dsb\n wfi" ::: "memory");
            UNMASK();
        }
        UNMASK();
        if (me)
            ring(0, 1);
    }
}
CASE(wfi_of_both_by_turns)
{
    begin(sleeps_and_rings);
    sleeps_and_rings();
    end();
    show("first", WORD(2));
    show("second", WORD(3));
}

static void sleeps_inside(void)
{
    mark('(');
    hush(0, 1);
    begin(rings_1);
    __asm volatile("dsb\n wfi" ::: "memory"); /* of higher priority: taken here */
    while (!WORD(1))
        YIELD();
    end();
    mark(')');
}
static void notes_b(void)
{
    WORD(1) = 1;
    bell_b();
}
BOTH(wfi_inside_a_doorbell_ended_by_the_other)
{
    WORD(1) = 0;
    bells();
    on(IRQ(BELL(0)), sleeps_inside);
    on(IRQ(BELL(1)), notes_b);
    priority(IRQ(BELL(0)), 0x80);
    priority(IRQ(BELL(1)), 0x40);
    other(rings_0);
    show_trace();
}

static void later_signals(void)
{
    for (int round = 0; round < 100; round++)
        YIELD();
    WORD(0) = 1;
    __asm volatile("dsb\n sev" ::: "memory");
}
BOTH(wfe_loop_ended_by_sev_of_the_other_core)
{
    WORD(0) = 0;
    begin(later_signals);
    while (!WORD(0))
        __asm volatile("wfe" ::: "memory");
    end();
    show("word", WORD(0));
}

#define SLEEPS "DDI0553B B3.31"
/* QEMU's WFE does not sleep. */
static void clears_its_event(void) { __asm volatile("sev\n wfe" ::: "memory"); }
static void sleeps_until_sev(void)
{
    WORD(0) = 0;
    clears_its_event();
    begin(later_signals);
    __asm volatile("wfe" ::: "memory");
    show("word", WORD(0));
    end();
}
MANUAL_CASE(wfe_sleeps_until_sev_of_the_other_core, SLEEPS, "word 0x00000001\n1: word 0x00000001") { both(sleeps_until_sev); }

static void signals(void) { __asm volatile("dsb\n sev" ::: "memory"); }
static void has_an_event(void)
{
    clears_its_event();
    other(signals);
    tick_in(40000);
    __asm volatile("wfe" ::: "memory"); /* passes */
    mark('.');
    __asm volatile("wfe" ::: "memory"); /* sleeps */
    show_trace();
}
MANUAL_CASE(wfe_passes_once_after_sev_of_the_other_core, SLEEPS, "trace .t\n1: trace .t") { both(has_an_event); }

static void wakes_by_pending(void)
{
    WORD(0) = 0;
    clears_its_event();
    SCR = 1 << 4; /* SEVONPEND */
    begin(later_rings_0);
    __asm volatile("wfe" ::: "memory");
    show("rung", WORD(0));
    SCR = 0;
    end();
    hush(0, 1);
    ICPR = 1u << BELL(0);
}
MANUAL_CASE(wfe_ended_by_a_disabled_doorbell_with_sevonpend, SLEEPS, "rung 0x00000001\n1: rung 0x00000001")
{
    both(wakes_by_pending);
}

static void leaves_sleep_at_exit(void)
{
    mark('a');
    hush(0, 1);
    if (++WORD(1) == 3)
        SCR = 0;
}
static void rings_three_times(void)
{
    for (uint32_t count = 1; count <= 3; count++) {
        WORD(2) = count;
        ring(0, 1);
        while (WORD(1) < count)
            YIELD();
        for (int round = 0; round < 50; round++)
            YIELD();
    }
}
static void sleeps_on_exit(void)
{
    WORD(1) = 0;
    bells();
    on(IRQ(BELL(0)), leaves_sleep_at_exit);
    SCR = 2; /* SLEEPONEXIT */
    begin(rings_three_times);
    __asm volatile("dsb\n wfi" ::: "memory");
    mark('.'); /* only after the third */
    end();
    show_trace();
}
MANUAL_CASE(sleep_on_exit_runs_handlers_alone, "DDI0553B B3.30", "trace aaa.\n1: trace aaa.") { both(sleeps_on_exit); }
