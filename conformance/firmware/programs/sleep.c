/* WFI, WFE, SEV, SysTick, reset, identification (DDI0403E B1.5.17, B3.3, B3.2). */
#include "harness.h"

static void irq1(void) { mark('1'); }
static void systick(void) { mark('t'); }

CASE(wfi_ends_for_what_primask_holds_back)
{
    on(IRQ(1), irq1);
    enable(1);
    __asm volatile("cpsid i" ::: "memory");
    ISPR = 2;
    __asm volatile("dsb\n wfi" ::: "memory");
    mark('w');
    __asm volatile("cpsie i\n isb" ::: "memory");
    mark('.');
    show_trace();
}

static void tick_soon(void)
{
    SYST_RVR = 2000;
    SYST_CVR = 0;
    on(SYSTICK, systick);
}

CASE(wfi_sleeps_until_systick)
{
    tick_soon();
    SYST_CSR = 7;
    __asm volatile("wfi" ::: "memory");
    SYST_CSR = 0;
    mark('.');
    show_trace();
}

CASE(wfi_idle_idiom)
{
    tick_soon();
    __asm volatile("cpsid i" ::: "memory");
    SYST_CSR = 7;
    for (int round = 0; round < 3; round++) {
        __asm volatile("cpsid i\n dsb\n wfi\n cpsie i\n isb" ::: "memory");
        mark('.');
    }
    SYST_CSR = 0;
    show_trace();
}

MANUAL_CASE(wfi_not_ended_by_what_basepri_holds_back, "DDI0403E B1.5.19", "trace tw1")
{
    tick_soon();
    on(IRQ(1), irq1);
    priority(IRQ(1), 0x80);
    priority(SYSTICK, 0x20);
    enable(1);
    WRITE_SPECIAL(basepri, 0x40);
    ISPR = 2;
    SYST_CSR = 7;
    __asm volatile("dsb\n wfi" ::: "memory");
    SYST_CSR = 0;
    mark('w');
    WRITE_SPECIAL(basepri, 0);
    show_trace();
}

CASE(wfi_not_ended_by_what_is_disabled)
{
    tick_soon();
    ISPR = 2;
    SYST_CSR = 7;
    __asm volatile("dsb\n wfi" ::: "memory");
    SYST_CSR = 0;
    show_trace();
    ICPR = 2;
}

static void sleeps_inside(void)
{
    mark('(');
    SYST_CSR = 7;
    __asm volatile("dsb\n wfi" ::: "memory");
    SYST_CSR = 0;
    mark(')');
}

CASE(wfi_inside_a_handler)
{
    tick_soon();
    on(IRQ(1), sleeps_inside);
    priority(IRQ(1), 0x80);
    enable(1);
    pend(IRQ(1));
    show_trace();
}

CASE(wfe_ends_after_sev)
{
    __asm volatile("sev\n wfe" ::: "memory");
    say("awake");
}

CASE(wfe_ends_after_an_exception)
{
    on(IRQ(1), irq1);
    enable(1);
    pend(IRQ(1));
    __asm volatile("wfe" ::: "memory");
    show_trace();
}

CASE(wfe_ends_by_sevonpend)
{
    SCR = 0x10;
    DSB();
    ISPR = 2;
    __asm volatile("dsb\n wfe" ::: "memory");
    say("awake");
    ICPR = 2;
}

MANUAL_CASE(wfe_sleeps_until_systick, "DDI0403E B1.5.18", "ticks 0x00000001\ntrace t")
{
    tick_soon();
    SYST_CSR = 7;
    /* The first may find the event register set. */
    __asm volatile("sev\n wfe\n wfe" ::: "memory");
    show("ticks", SYST_CSR >> 16 & 1);
    SYST_CSR = 0;
    show_trace();
}

static uint32_t countdown = 3;
static void last_of_three(void)
{
    mark('t');
    if (--countdown == 0) {
        SCR = 0;
        SYST_CSR = 0;
    }
}

MANUAL_CASE(sleeponexit_sleeps_again, "DDI0403E B1.5.17", "trace ttt.")
{
    tick_soon();
    on(SYSTICK, last_of_three);
    SCR = 2;
    SYST_CSR = 7;
    __asm volatile("dsb\n wfi" ::: "memory");
    mark('.');
    show_trace();
}

/* --- SysTick */

static void wait_for_flag(void)
{
    while (!(SYST_CSR >> 16 & 1))
        ;
}

CASE(systick_flag_is_cleared_by_reading)
{
    SYST_RVR = 500;
    SYST_CVR = 0;
    SYST_CSR = 5;
    wait_for_flag();
    SYST_CSR = 4;
    show("csr", SYST_CSR);
}

CASE(systick_flag_again_after_each_period)
{
    SYST_RVR = 500;
    SYST_CVR = 0;
    SYST_CSR = 5;
    wait_for_flag();
    wait_for_flag();
    wait_for_flag();
    SYST_CSR = 4;
    say("three");
}

CASE(systick_writing_the_value_clears_flag_and_value)
{
    SYST_RVR = 0xFFFF;
    SYST_CVR = 0;
    SYST_CSR = 5;
    for (volatile int i = 0; i < 10; i++)
        ;
    SYST_CSR = 4;
    show("runs", SYST_CVR != 0);
    SYST_CVR = 0x1234;
    show("value", SYST_CVR);
    show("csr", SYST_CSR);
}

CASE(systick_without_tickint_raises_nothing)
{
    on(SYSTICK, systick);
    SYST_RVR = 300;
    SYST_CVR = 0;
    SYST_CSR = 5;
    wait_for_flag();
    show("icsr", ICSR >> 26 & 1);
    SYST_CSR = 0;
    mark('.');
    show_trace();
}

CASE(systick_raises_while_masked_and_waits)
{
    on(SYSTICK, systick);
    __asm volatile("cpsid i" ::: "memory");
    SYST_RVR = 300;
    SYST_CVR = 0;
    SYST_CSR = 7;
    while (!(ICSR >> 26 & 1))
        ;
    SYST_CSR = 0;
    mark('.');
    __asm volatile("cpsie i\n isb" ::: "memory");
    show_trace();
}

CASE(systick_reload_has_24_bits)
{
    SYST_RVR = 0xFFFFFFFF;
    show("rvr", SYST_RVR);
}

CASE(systick_control_reads_back)
{
    SYST_RVR = 0xFFFFFF;
    SYST_CSR = 0xFFFFFFFF;
    show("csr", SYST_CSR & 0xFFFEFFFF);
    SYST_CSR = 4;
    show("csr", SYST_CSR & 0xFFFEFFFF);
}

CASE(systick_counts_down_between_reads)
{
    uint32_t last, wrong = 0;
    SYST_RVR = 0xFFFFFF;
    SYST_CVR = 0;
    SYST_CSR = 5;
    for (volatile int i = 0; i < 4; i++)
        ;
    last = SYST_CVR;
    for (int i = 0; i < 50; i++) {
        uint32_t now = SYST_CVR;
        wrong += now >= last;
        last = now;
    }
    show("not lower", wrong);
}

CASE(systick_stays_within_reload)
{
    uint32_t above = 0;
    SYST_RVR = 37;
    SYST_CVR = 0;
    SYST_CSR = 5;
    for (int i = 0; i < 200; i++)
        above += SYST_CVR > 37;
    show("above", above);
}

CASE(systick_stopped_keeps_its_value)
{
    SYST_RVR = 0xFFFFFF;
    SYST_CVR = 0;
    SYST_CSR = 5;
    for (volatile int i = 0; i < 4; i++)
        ;
    SYST_CSR = 4;
    uint32_t value = SYST_CVR;
    for (volatile int i = 0; i < 4; i++)
        ;
    show("same", SYST_CVR == value);
    show("counted", value < 0xFFFFFF && value > 0xFFF000);
}

CASE(systick_reload_of_zero_never_fires)
{
    on(SYSTICK, systick);
    SYST_RVR = 0;
    SYST_CVR = 0;
    SYST_CSR = 7;
    for (volatile int i = 0; i < 200; i++)
        ;
    show("csr", SYST_CSR);
    mark('.');
    show_trace();
}

static volatile uint32_t ticks;
static void counts_ticks(void) { ticks++; }

CASE(systick_interrupts_a_busy_loop)
{
    on(SYSTICK, counts_ticks);
    SYST_RVR = 1000;
    SYST_CVR = 0;
    SYST_CSR = 7;
    while (ticks < 5)
        ;
    SYST_CSR = 0;
    show("ticks", ticks);
}

/* --- reset */

static uint32_t gone = 5;

CASE(reset_restarts_the_chip)
{
    if (cause_of_reset() == 0) {
        gone = 6;
        WRITE_SPECIAL(basepri, 0x40);
        ISER = 0xF0;
        ISPR = 0xF0;
        SCR = 0x10;
        SHCSR = 7u << 16;
        CCR |= 0x10;
        SYST_RVR = 77;
        BFAR = 1;
        VTOR = 0x20001000;
        priority(IRQ(3), 0x60);
        AIRCR = VECTKEY | 3 << 8;
        AIRCR = VECTKEY | 3 << 8 | 4;
        for (;;)
            ;
    }
    show("data", gone);
    show("basepri", READ_SPECIAL(basepri));
    show("iser", ISER);
    show("ispr", ISPR);
    show("scr", SCR);
    show("shcsr", SHCSR);
    show("ccr", CCR & 0xFFFF);
    show("ipr", IPR(3));
    show("aircr", AIRCR);
    show("csr", SYST_CSR);
}

static void resets(void)
{
    AIRCR = VECTKEY | 4;
    for (;;)
        ;
}

CASE(reset_from_a_handler)
{
    if (cause_of_reset() == 0) {
        on(IRQ(1), resets);
        enable(1);
        pend(IRQ(1));
    }
    show("ipsr", READ_SPECIAL(ipsr));
    show("iabr", IABR);
}

CASE(reset_drops_the_process_stack_and_privilege_bits)
{
    if (cause_of_reset() == 0) {
        WRITE_SPECIAL(psp, (uint32_t)(process_stack + 200));
        WRITE_SPECIAL(control, 2);
        AIRCR = VECTKEY | 4;
        for (;;)
            ;
    }
    show("control", READ_SPECIAL(control));
}

CASE(reset_without_the_key_does_nothing)
{
    AIRCR = 4;
    AIRCR = 0xFA050004;
    show("resets", cause_of_reset());
}

/* --- identification and control */

CASE(id_cpuid) { show("cpuid", CPUID & 0xFF0FFFF0); } /* without variant and revision */

CASE(id_feature_registers)
{
    for (uint32_t address = 0xE000ED40; address <= 0xE000ED70; address += 4)
        if (address < 0xE000ED50 || address >= 0xE000ED60) /* QEMU's memory model registers of the M4 are another's */
            show("id", REG(address));
}

CASE(id_floating_point)
{
    show("mvfr0", REG(0xE000EF40));
    show("mvfr1", REG(0xE000EF44));
    show("mvfr2", REG(0xE000EF48));
}

CASE(ccr_after_reset_and_read_back)
{
    show("ccr", CCR & 0xFFFF); /* of the caches and branch prediction QEMU knows nothing */
    CCR = 0x31A;
    show("ccr", CCR & 0xFFFF);
}

CASE(scr_reads_back)
{
    SCR = 0xFFFFFFFF;
    show("scr", SCR & 0x12); /* QEMU has no SLEEPDEEP */
    SCR = 0;
}

CASE(cpacr_reads_back)
{
    CPACR = 0xFFFFFFFF;
    show("cpacr", CPACR);
    CPACR = 0x00500000;
    show("cpacr", CPACR);
}

CASE(scs_byte_of_a_priority_word)
{
    BYTE(0xE000E405) = 0x70;
    show("priority", REG(0xE000E404));
}

MANUAL_CASE(dwt_cycle_counter_never_goes_back, "DDI0403E C1.8.8", "back 0x00000000\nmoves 0x00000001")
{
    uint32_t back = 0, first, last;
    DEMCR |= 1u << 24;
    CYCCNT = 0;
    DWT_CTRL |= 1;
    first = last = CYCCNT;
    for (int i = 0; i < 100; i++) {
        uint32_t now = CYCCNT;
        back += now < last;
        last = now;
    }
    show("back", back);
    show("moves", last > first);
}
